"""The demo's scorecard: each practice passes somewhere and fails somewhere, and fails where the demo's flaws are."""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path

import pytest
from django.core.management import call_command

from audits.practices.models import Finding
from audits.practices.rules import RULES

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
    again = io.StringIO()
    call_command("score", stdout=again)
    assert "0 findings written" in again.getvalue()
