"""The demo's scorecard: each practice passes somewhere and fails somewhere, and fails where the demo's flaws are."""

from __future__ import annotations

import datetime as dt
import io
from collections import defaultdict
from pathlib import Path

import pytest
from django.core.management import call_command

from audits.checks.models import Check
from audits.practices.models import Finding
from audits.practices.rules import RULES
from demo.build import NIGHT_ENDS, Story, shop_today

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("demo")]

FLAWS = {
    "full_refresh": "growth.channel_spend_daily",
    "idempotent": "product.funnel_daily",
    "backfill": "growth.email_engagement",
    "documentation": "support.ticket_summary",
    "unused_outputs": "growth.attribution_report",
    "post_mortems": "finance.refund_rates",
}


def test_each_practice_passes_somewhere_and_fails_where_the_flaws_are(settings, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    out = io.StringIO()
    call_command("load_demo", stdout=out)
    pipelines: dict[tuple[str, str], set[str]] = defaultdict(set)
    for practice, standing, name in Finding.objects.with_standing().values_list(
        "practice", "standing", "pipeline__name"
    ):
        pipelines[practice, standing].add(name)
    assert [code for code in RULES if not pipelines[code, "pass"] or not pipelines[code, "fail"]] == []
    assert {code: name for code, name in FLAWS.items() if name not in pipelines[code, "fail"]} == {}
    assert "core.sessions" in pipelines["idempotent", "pass"]
    checks_have_a_true_history()
    again = io.StringIO()
    call_command("score", stdout=again)
    assert "0 findings written" in again.getvalue()


def checks_have_a_true_history() -> None:
    """A result for each of fifteen mornings, and what went wrong began when it did."""
    story = Story(shop_today())
    results = {check: list(check.results.order_by("at")) for check in Check.objects.all()}
    assert {len(of_check) for of_check in results.values()} == {len(story.days)}
    by_name = {check.name: check for check in results}
    twice = by_name["duplicate rows"]
    night = dt.datetime.combine(story.appended_twice_on, NIGHT_ENDS, dt.UTC)
    assert twice.failing_since == night + dt.timedelta(days=1)
    usual = results[by_name["usual row count"]]
    assert {result.state for result in usual} == {"pass", "unknown"}  # unknown on weekends, of which too few are known
    assert all(result.low < result.value < result.high for result in usual if result.state == "pass")
    values = [result.value for result in usual]
    assert values == sorted(set(values))  # the shop sells every day
    assert {result.state for result in results[by_name["freshness: ordered_at"]]} == {"pass"}
