"""Any order of events, any number of repeats, and any groups of them that come at once end in the same state."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from catalog.models import Column, Ownership, Pipeline, Run, Table
from ingest.models import LineageEvent, ReportedDataset, ReportedJob
from ingest.openlineage.store import take_all
from lineage.models import ColumnEdge, Problem, SqlVersion, TableEdge
from tests.openlineage.events import RECORDED, SHOP, dataset, dataset_event, event, job_event, made_from, schema

pytestmark = pytest.mark.django_db

_BOTH = {"inputs": [dataset("shop.raw.orders")], "outputs": [dataset("shop.mart.orders")]}
TRICKY = [
    # A run repeated under the same id, and one that fails
    event("03:00:00", "START", run=1, **_BOTH),
    event("03:05:00", "FAIL", run=1, run_facets={"errorMessage": {"message": "boom"}}),
    event("04:00:00", "START", run=1),
    event("04:02:00", "COMPLETE", run=1, outputs=[dataset("shop.mart.orders", outputStatistics={"rowCount": 3})]),
    # The job reads another table from its second run on
    event("05:00:00", "START", run=2, inputs=[dataset("shop.raw.orders_v2", schema=schema(id="int", amount="int"))]),
    event("05:01:00", "COMPLETE", run=2, outputs=[dataset("shop.mart.orders")]),
    # Facets that change, are taken away, and are said at the same moment by two
    event("05:01:30", "OTHER", run=2, documentation={"description": "first"}),
    event("05:02:00", "OTHER", run=2, documentation={"description": "second"}),
    event("05:02:00", "OTHER", run=3, documentation={"description": "at the same moment"}),
    event("05:03:00", "OTHER", run=3, sql={"query": "insert into mart.orders select * from raw.orders_v2"}),
    event("05:04:00", "OTHER", run=3, ownership={"owners": [{"name": "team:finance"}]}),
    event("05:05:00", "OTHER", run=3, ownership={"_deleted": True}),
    # Names: a symlink, a rename, a name used again, a table dropped
    dataset_event("06:00:00", dataset("lake/x", "s3://b", symlinks={"identifiers": [_x := {
        "namespace": "hive://m", "name": "db.x", "type": "TABLE"}]})),
    event("06:01:00", job="copy", run=9, inputs=[dataset("lake/x", "s3://b")], outputs=[dataset("shop.old.y")]),
    event("06:02:00", job="alter", run=10, outputs=[dataset("shop.new.y", lifecycleStateChange={
        "lifecycleStateChange": "RENAME", "previousIdentifier": {"namespace": SHOP, "name": "shop.old.y"}})]),
    event("06:03:00", job="drop", run=11, outputs=[dataset("shop.raw.gone", lifecycleStateChange={
        "lifecycleStateChange": "DROP"})]),
    # What is said of jobs and datasets outside of runs
    job_event("07:00:00", job="static", inputs=[dataset("shop.new.y")], outputs=[dataset("shop.mart.z")]),
    dataset_event("07:01:00", dataset("shop.mart.z", columnLineage=made_from("a", "shop.new.y", "a"))),
    # Two jobs of one name
    event("08:00:00", namespace="staging", run=20),
]  # fmt: skip


class _Undo(Exception):
    pass


def state_after(groups: Iterable[list[dict[str, Any]]]) -> dict[str, Any]:
    """What the catalog holds after these events, by names and without the times at which rows were written."""
    found: dict[str, Any] = {}
    try:
        with transaction.atomic():
            for group in groups:
                assert all(isinstance(answer, bool) for answer in take_all(group))
            found = state()
            raise _Undo
    except _Undo:
        return found


def state() -> dict[str, Any]:
    edge = ("pipeline__name", "source_table__name", "target_table__name", "origin")
    columns = (*edge, "source_column__name", "target_column__name", "kind", "basis")
    current = {"valid_to": None}
    rows = {
        "tables": Table.objects.values_list("source__slug", "name", "kind", "status", "description", "row_count"),
        "columns": Column.objects.values_list("table__name", "name", "position", "type"),
        "pipelines": Pipeline.objects.values_list("name", "kind", "description", "dag", "schedule", "orchestrator"),
        "tags": Pipeline.objects.values_list("name", "tags__name"),
        "owners": Ownership.objects.values_list("pipeline__name", "table__name", "role", "owner__slug"),
        "runs": Run.objects.values_list(
            *("pipeline__name", "external_id", "state", "started_at", "ended_at", "nominal_at"),
            *("rows_in", "rows_out", "error", "parent_id"),
        ),
        "edges": TableEdge.objects.filter(**current).values_list(*edge),
        "column edges": ColumnEdge.objects.filter(**current).values_list(*columns),
        "sql": SqlVersion.objects.filter(**current).values_list("pipeline__name", "sql", "dialect", "statements_read"),
        "problems": Problem.objects.values_list("pipeline__name", "code", "message"),
        "jobs": ReportedJob.objects.values_list("namespace", "name", "pipeline__name", "stamps"),
        "datasets": ReportedDataset.objects.values_list("namespace", "name", "table__name", "stamps", "seen_at"),
        "events": LineageEvent.objects.values_list("digest", "kind", "event_type", "event_time"),
    }
    as_text = partial(json.dumps, sort_keys=True, default=str)
    return {name: sorted(map(as_text, values.order_by())) for name, values in rows.items()}


def one_by_one(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    return [[one] for one in events]


@pytest.mark.parametrize("events", [list(RECORDED.values()), TRICKY], ids=["recorded", "tricky"])
def test_the_same_events_again_change_nothing(events) -> None:
    once = state_after(one_by_one(events))
    assert once["events"]
    assert state_after(one_by_one([*events, *events])) == once
    assert state_after([[*events, *events]]) == once


@pytest.fixture
def in_order(events) -> dict[str, Any]:
    return state_after(one_by_one(events))


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a shorter order says no more than the failing one
)
@given(data=st.data())
@pytest.mark.parametrize("events", [list(RECORDED.values()), TRICKY], ids=["recorded", "tricky"])
def test_any_order_with_repeats_in_any_groups_ends_in_the_same_state(events, in_order, data) -> None:
    order = data.draw(st.permutations(range(len(events))))
    repeats = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=4))
    shuffled = [events[number] for number in [*order, *repeats]]
    ends = sorted(data.draw(st.sets(st.integers(1, len(shuffled) - 1))))
    groups = [shuffled[start:end] for start, end in pairwise([0, *ends, len(shuffled)])]
    found = state_after(groups)
    for part in in_order:
        assert found[part] == in_order[part], part
