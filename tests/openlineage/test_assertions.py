"""Assertions in events become results of checks, once however often and in whichever place they arrive."""

from __future__ import annotations

import pytest

from audits.checks.models import Check, CheckResult
from ingest.openlineage.reading import BadEvent
from ingest.openlineage.store import take
from tests.openlineage.events import dataset, event

pytestmark = pytest.mark.django_db


def asserted(*assertions: tuple[str, str, bool]) -> dict[str, object]:
    named = [{"assertion": what, "column": column, "success": success} for what, column, success in assertions]
    return {"dataQualityAssertions": {"assertions": named}}


def test_assertions_become_checks_with_results() -> None:
    orders = dataset("shop.raw.orders", **asserted(("unique", "id", True), ("not_null", "id", False)))
    orders["inputFacets"] = asserted(("unique", "id", True), ("not_null", "id", False), ("adds_up", "", True))
    take(event(inputs=[orders]))
    found = {(check.name, check.kind, check.state, check.origin) for check in Check.objects.all()}
    assert found == {
        ("unique(id)", "unique_key", "pass", "openlineage"),
        ("not_null(id)", "not_null", "fail", "openlineage"),
        ("adds_up", "external", "pass", "openlineage"),
    }
    assert {check.table.name for check in Check.objects.all()} == {"shop.raw.orders"}
    assert take(event(inputs=[orders])) is False
    assert CheckResult.objects.count() == 3


def test_events_out_of_order_end_in_the_same_state() -> None:
    for at, holds in (("04:00:00", True), ("03:00:00", False)):
        take(event(at, inputs=[dataset("shop.raw.orders", **asserted(("unique", "id", holds)))]))
    check = Check.objects.get()
    assert (check.state, check.results.count()) == ("pass", 2)


def test_an_assertion_that_cannot_be_read_is_refused_with_its_place() -> None:
    broken = dataset("shop.raw.orders", dataQualityAssertions={"assertions": "all well"})
    with pytest.raises(BadEvent, match="dataQualityAssertions"):
        take(event(inputs=[broken]))
    assert not Check.objects.exists()
