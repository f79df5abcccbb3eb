"""Assertions in events: results of checks, which are made where they are new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audits.checks.models import Check, State
from audits.checks.services import Reported, record_results
from catalog.models import Table
from ingest.models import ReportedDataset
from ingest.openlineage import facets as read
from ingest.openlineage.events import Event, Name, at_last_now

FACET = "dataQualityAssertions"


def store_assertions(event: Event, datasets: Mapping[Name, ReportedDataset]) -> None:
    """Store what the event says that its run asserted of datasets. No query where it asserts nothing."""
    asserted = {dataset.name: dataset for _, dataset in event.datasets() if FACET in dataset.facets}
    if not asserted:
        return
    known = ReportedDataset.objects.select_related("table__source").in_bulk(datasets[name].pk for name in asserted)
    for name, dataset in asserted.items():
        place = f"{dataset.place}.facets.{FACET}"
        results = list(_results(event, known[datasets[name].pk].table, dataset.facets[FACET], place))
        record_results(actor=None, origin=Check.Origin.OPENLINEAGE, results=results)


def _results(event: Event, table: Table, facet: Any, place: str) -> Iterator[Reported]:
    said_by = event.job[1] if event.job else "An event"
    for assertion in read.assertions(facet, place):
        kind, parameters = _kind(assertion)
        yield Reported(
            of=table,
            kind=kind,
            parameters=parameters,
            at=at_last_now(event.at),
            key=f"openlineage {event.run or ''} {event.at.isoformat()}",
            state=State.PASS if assertion.success else State.WARN if assertion.only_warns else State.FAIL,
            words=f"{said_by} asserted it, and it {'holds' if assertion.success else 'does not hold'}.",
            name=assertion.name,
            severity=Check.Severity.WARN if assertion.only_warns else Check.Severity.FAIL,
        )


def _kind(assertion: read.Assertion) -> tuple[str, dict[str, Any]]:
    """Ours of dbt's and Great Expectations' names, which are the ones that producers use."""
    if assertion.column and assertion.what in ("unique", "expect_column_values_to_be_unique"):
        return Check.Kind.UNIQUE_KEY, {"columns": [assertion.column]}
    if assertion.column and assertion.what in ("not_null", "expect_column_values_to_not_be_null"):
        return Check.Kind.NOT_NULL, {"column": assertion.column}
    return Check.Kind.EXTERNAL, {"what": assertion.name}
