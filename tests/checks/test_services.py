"""Checks and results as they are stored: who may, what is refused, and that order and repetition change nothing."""

from __future__ import annotations

import datetime as dt
import itertools
import math

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from audits.checks import services
from audits.checks.models import Check, CheckResult
from audits.checks.services import Reported
from catalog.models import HistoryEntry, OutgoingMessage
from tests.factories import make_owner, make_pipeline, make_table, make_user, own

pytestmark = pytest.mark.django_db
MORNING = dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC)


def make_check(of=None, kind="row_count", actor=None, **facts) -> Check:
    facts.setdefault("parameters", {"min": 1})
    return services.create_check(actor=actor, of=of or make_table(), kind=kind, **facts)


def record(check, state, hours=0, **facts) -> CheckResult | None:
    return services.record_result(actor=None, check=check, at=MORNING + dt.timedelta(hours=hours), state=state, **facts)


def standing(check) -> tuple:
    check.refresh_from_db()
    return check.state, check.checked_at, check.failing_since


# Checks


def test_a_check_is_called_by_what_it_does(editor) -> None:
    table = make_table()
    check = make_check(table, "unique_key", editor, parameters={"columns": ["day", "country"]})
    assert (check.name, check.state, check.severity) == ("unique key: day, country", "unknown", "fail")
    entry = HistoryEntry.objects.get(noun="check")
    assert (entry.actor_name, entry.action, entry.after["parameters"]) == ("edith", "registered", check.parameters)
    with pytest.raises(ValidationError, match="already has a check of this name"):
        make_check(table, "unique_key", parameters={"columns": ["day", "country"]})


def test_owners_and_editors_make_checks_and_others_do_not(editor, viewer) -> None:
    owner = make_owner()
    table = make_table(owner=owner)
    assert make_check(table, actor=editor, name="a")
    assert make_check(table, actor=make_user(owner=owner), name="b")
    with pytest.raises(PermissionDenied):
        make_check(table, actor=viewer, name="c")


def test_only_stewards_save_own_sql(editor, steward) -> None:
    table = make_table("shop.orders")
    facts = {"of": table, "kind": "custom_sql", "parameters": {"sql": "SELECT count(*) FROM shop.orders", "max": 5}}
    with pytest.raises(PermissionDenied):
        services.create_check(actor=editor, **facts)
    check = services.create_check(actor=steward, **facts)
    with pytest.raises(PermissionDenied):
        services.change_check(actor=editor, check=check, parameters={"sql": "SELECT 0"})
    services.change_check(actor=editor, check=check, severity="warn")
    with pytest.raises(ValidationError, match="one SELECT"):
        services.change_check(actor=steward, check=check, parameters={"sql": "DELETE FROM shop.orders"})


@pytest.mark.parametrize(
    ("kind", "parameters", "field", "words"),
    [
        ("row_count", {"min": 1, "where": "1 = 1; DROP TABLE x"}, "parameters", "one statement"),
        ("row_count", {}, "parameters", "State min"),
        ("nonsense", {}, "kind", "There is no check"),
        ("referential", {"columns": ["a"], "to_table": "x:y", "to_columns": ["a"]}, "parameters", "no table y"),
        ("in_out_ratio", {"input": "x:y", "output": "x:y", "min": 1}, "parameters", "no table y"),
    ],
)
def test_what_cannot_be_is_refused_by_field(kind, parameters, field, words) -> None:
    with pytest.raises(ValidationError) as refused:
        make_check(kind=kind, parameters=parameters)
    assert words in " ".join(refused.value.message_dict[field])
    assert not Check.objects.exists()


def test_a_check_of_a_pipeline_is_a_ratio() -> None:
    table = make_table("shop.orders")
    facts = {"input": "warehouse:shop.orders", "output": "warehouse:shop.orders", "min": 1}
    assert make_check(make_pipeline(), "in_out_ratio", parameters=facts).pipeline
    for of, kind, parameters in ((table, "in_out_ratio", facts), (make_pipeline(), "row_count", {"min": 1})):
        with pytest.raises(ValidationError, match="only it, is of a pipeline"):
            make_check(of, kind, parameters=parameters)


def test_a_schedule_is_cron() -> None:
    with pytest.raises(ValidationError, match="as cron does"):
        make_check(schedule="every morning")
    assert make_check(schedule="@daily").schedule == "@daily"


def test_what_a_check_is_of_stays(editor) -> None:
    check = make_check()
    with pytest.raises(ValidationError, match="cannot change"):
        services.change_check(actor=editor, check=check, kind="not_null")
    services.change_check(actor=editor, check=check, parameters={"min": 5}, is_active=False)
    check.refresh_from_db()
    assert (check.parameters, check.is_active) == ({"min": 5}, False)
    entry = HistoryEntry.objects.filter(action="changed").get()
    assert entry.before == {"parameters": {"min": 1}, "is_active": True}


# Results


def test_any_order_and_repetition_end_in_the_same_state() -> None:
    reports = [("pass", 0, "a"), ("fail", 1, "b"), ("error", 3, "c"), ("fail", 3, "d")]
    seen = set()
    for order in itertools.permutations(reports):
        check = make_check()
        for state, hours, key in (*order, order[0], order[-1]):
            record(check, state, hours, key=key)
        assert check.results.count() == 4
        seen.add(standing(check))
    assert seen == {("fail", MORNING + dt.timedelta(hours=3), MORNING + dt.timedelta(hours=1))}


def test_of_two_results_under_one_key_the_later_stays_in_any_order() -> None:
    ends = set()
    for order in itertools.permutations([("pass", 0), ("fail", 0), ("pass", 1)]):
        check = make_check()
        for state, hours in order:
            record(check, state, hours, key="run 7")
        ends.add((*standing(check), check.results.get().state))
    assert ends == {("pass", MORNING + dt.timedelta(hours=1), None, "pass")}


def test_an_error_in_between_does_not_hide_since_when_it_fails() -> None:
    check = make_check()
    for hours, state in enumerate(["fail", "pass", "warn", "error", "fail"]):
        record(check, state, hours)
    assert standing(check)[2] == MORNING + dt.timedelta(hours=2)
    record(check, "pass", 5)
    assert standing(check) == ("pass", MORNING + dt.timedelta(hours=5), None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_figure_is_an_error_whatever_was_reported(value) -> None:
    check = make_check()
    record(check, "pass", value=value, key="a")
    result = check.results.get()
    assert (result.state, result.value) == ("error", None)
    assert "no figure" in result.words


def test_a_value_alone_is_judged_by_the_bounds_of_the_check() -> None:
    check = make_check(parameters={"min": 10}, severity="warn")
    record(check, "", value=3)
    result = check.results.get()
    assert (result.state, result.low, result.words) == ("warn", 10, "3 rows; at least 10 are expected.")
    old = make_check(kind="freshness", parameters={"column": "at", "hours": 24})
    record(old, "", value=30)
    assert old.results.get().state == "fail"


def test_what_is_no_result_is_refused() -> None:
    check = make_check()
    with pytest.raises(ValidationError, match="State what it came to"):
        record(check, "")
    with pytest.raises(ValidationError, match="in the future"):
        services.record_result(actor=None, check=check, at=timezone.now() + dt.timedelta(days=1), state="pass")


def test_results_of_another_tool_make_their_checks_once(editor) -> None:
    table = make_table()
    reported = Reported(
        table, "unique_key", {"columns": ["id"]}, MORNING, "run 1", state="fail", value=2, name="unique_orders_id"
    )
    first = services.record_results(actor=editor, origin="dbt", results=[reported])
    again = services.record_results(actor=editor, origin="dbt", results=[reported])
    assert (first.new, first.known, first.checks_made) == (1, 0, 1)
    assert (again.new, again.known, again.checks_made) == (0, 1, 0)
    check = Check.objects.get()
    assert (check.origin, check.state, check.is_run_here) == ("dbt", "fail", False)


def test_nobody_reports_results_of_what_they_may_not_change(viewer) -> None:
    check = make_check()
    with pytest.raises(PermissionDenied):
        services.record_result(actor=viewer, check=check, at=MORNING, state="pass")


# Notices


def test_owners_hear_of_a_failure_once_and_of_the_recovery() -> None:
    table = make_table(owner=make_owner(email="ann@shop.example"))
    own(
        table,
        make_owner(email="gone@shop.example", status="left", team=make_owner(email="team@shop.example")),
        "business",
    )
    check = make_check(table)
    for hours, state in enumerate(["pass", "fail", "fail", "error", "fail", "pass", "pass"]):
        record(check, state, hours)
    told = OutgoingMessage.objects.order_by("id").values_list("event", "mail_to")
    events = ("check.failed", "check.error", "check.recovered")
    assert list(told) == [(event, f"{who}@shop.example") for event in events for who in ("ann", "team")]
    assert check.get_absolute_url() in OutgoingMessage.objects.first().body


def test_owners_hear_once_that_a_check_cannot_be_run_and_that_it_passes_again() -> None:
    check = make_check(make_table(owner=make_owner(email="ann@shop.example")))
    for hours, state in enumerate(["pass", "error", "error", "unknown", "error", "pass", "error", "fail", "pass"]):
        record(check, state, hours, words="There is no column day any more." if state == "error" else "")
    told = list(OutgoingMessage.objects.order_by("id"))
    once = ["check.error", "check.recovered"]
    assert [message.event for message in told] == [*once, "check.error", "check.failed", "check.recovered"]
    assert "Could not run" in told[0].subject
    assert "There is no column day any more." in told[0].body
    assert "It could not be run on 2026-" in told[1].body
    assert "It failed from" not in told[1].body
    check.refresh_from_db()
    assert check.error_since is None


def test_a_result_that_arrives_late_tells_nobody_anything() -> None:
    check = make_check(make_table(owner=make_owner(email="ann@shop.example")))
    record(check, "pass", 5)
    record(check, "fail", 1)
    assert not OutgoingMessage.objects.exists()


def test_the_owner_of_a_check_is_told_in_place_of_the_tables() -> None:
    check = make_check(
        make_table(owner=make_owner(email="ann@shop.example")), owner=make_owner(email="bo@shop.example")
    )
    record(check, "fail")
    assert OutgoingMessage.objects.get().mail_to == "bo@shop.example"
