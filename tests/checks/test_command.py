"""`run_checks`: what it prints, stores, and ends with."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audits.checks import services
from audits.checks.models import Check, CheckResult
from audits.checks.queries import is_due

pytestmark = pytest.mark.django_db


def run_checks(*args: str) -> tuple[str, int]:
    """What it printed and the code it ended with."""
    out = StringIO()
    try:
        call_command("run_checks", *args, stdout=out)
    except SystemExit as ended:
        return out.getvalue(), ended.code
    return out.getvalue(), 0


def make_check(of: Any, kind: str = "row_count", severity: str = "fail", **parameters: Any) -> Check:
    return services.create_check(actor=None, of=of, kind=kind, severity=severity, parameters=parameters or {"min": 1})


def test_all_is_well(orders) -> None:
    make_check(orders)
    text, code = run_checks()
    assert code == 0
    assert "warehouse.shop.orders  row count: 5 rows; at least 1 are expected." in text
    assert text.endswith("1 checks: 1 passes.\n")
    result = CheckResult.objects.get()
    assert (result.state, result.value, result.low, result.reported_by) == ("pass", 5, 1, "pipekeeper")


def test_a_failure_ends_with_1_and_a_warning_with_0(orders) -> None:
    make_check(orders, "unique_key", "warn", columns=["id"])
    assert run_checks()[1] == 0
    make_check(orders, "duplicate_rows", max=0)
    assert run_checks()[1] == 1


def test_what_could_not_run_ends_with_3(orders) -> None:
    make_check(orders, "not_null", column="nowhere")
    text, code = run_checks("--json")
    assert code == 3
    said = json.loads(text)[0]
    assert (said["state"], said["value"], said["of"]) == ("error", None, "table:warehouse:warehouse.shop.orders")
    assert Check.objects.get().state == "error"


def test_only_what_is_asked_for_runs(orders, customers) -> None:
    first, second = make_check(orders), make_check(customers)
    assert len(json.loads(run_checks("--json", "--table", customers.name)[0])) == 1
    assert json.loads(run_checks("--json", "--check", str(first.pk))[0])[0]["check"] == first.pk
    Check.objects.filter(pk=first.pk).update(is_active=False)
    Check.objects.filter(pk=second.pk).update(origin="dbt")
    assert run_checks("--source", "warehouse")[0] == "No check is to be run.\n"


def test_due_is_what_has_no_result_of_the_last_day(orders, customers) -> None:
    fresh, stale = make_check(orders), make_check(customers)
    services.record_result(actor=None, check=fresh, at=timezone.now() - dt.timedelta(hours=2), state="pass")
    services.record_result(actor=None, check=stale, at=timezone.now() - dt.timedelta(hours=25), state="pass")
    assert [each["check"] for each in json.loads(run_checks("--json", "--due")[0])] == [stale.pk]


def test_due_by_cron(orders) -> None:
    check = make_check(orders)
    services.change_check(actor=None, check=check, schedule="0 6 * * 1")  # Mondays at six
    ran = dt.datetime(2026, 3, 2, 6, 30, tzinfo=dt.UTC)  # a Monday
    services.record_result(actor=None, check=check, at=ran, state="pass")
    check.refresh_from_db()
    assert not is_due(check, dt.datetime(2026, 3, 9, 5, 59, tzinfo=dt.UTC))
    assert is_due(check, dt.datetime(2026, 3, 9, 6, tzinfo=dt.UTC))


@pytest.mark.parametrize("args", [("--source", "no"), ("--table", "no"), ("--check", "7"), ("--timeout", "0")])
def test_wrong_use_is_said(args) -> None:
    with pytest.raises(CommandError) as refused:
        run_checks(*args)
    assert refused.value.returncode == 2
