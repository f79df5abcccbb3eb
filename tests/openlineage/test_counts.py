"""What runs count becomes results of the checks that are there, in whatever order and however often it arrives."""

from __future__ import annotations

from itertools import permutations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits.checks.models import Check, CheckResult
from audits.checks.services import create_check
from catalog.models import Pipeline, Table
from ingest.openlineage.reading import BadEvent
from ingest.openlineage.store import take, take_all
from tests.openlineage.events import dataset, dataset_event, event

pytestmark = pytest.mark.django_db
RAW, MART = "shop.raw.orders", "shop.mart.orders"


def read(rows: int | None = None, name: str = RAW, **facets):
    counted = {"inputStatistics": {"rowCount": rows}} if rows is not None else {}
    return dataset(name) | {"inputFacets": counted | facets}


def written(rows: int | None = None, change: str = "OVERWRITE", name: str = MART):
    counted = {"outputStatistics": {"rowCount": rows}} if rows is not None else {}
    facets = {"lifecycleStateChange": {"lifecycleStateChange": change}} if change else {}
    return dataset(name, **facets) | {"outputFacets": counted}


def metrics(rows: int, **columns: dict[str, int]):
    return {"dataQualityMetrics": {"rowCount": rows, "columnMetrics": columns}}


def check(kind: str, name: str = MART, **parameters) -> Check:
    """Once the tables are known, somebody makes a check."""
    return create_check(actor=None, of=Table.objects.get(name=name), kind=kind, parameters=parameters)


def ratio(**bounds: float) -> Check:
    names = dict(zip(("input", "output"), (str_of(RAW), str_of(MART)), strict=True))
    of = Pipeline.objects.get(name="orders.daily")
    return create_check(actor=None, of=of, kind="in_out_ratio", parameters=names | bounds)


def str_of(name: str) -> str:
    table = Table.objects.select_related("source").get(name=name)
    return f"{table.source.slug}:{table.name}"


@pytest.fixture(autouse=True)
def known() -> None:
    take(event("01:00:00", inputs=[read()], outputs=[written(change="")], run=100))


def results() -> list[tuple[str, str, float | None, str]]:
    found = CheckResult.objects.order_by("check_of", "at").values_list(
        "check_of__kind", "state", "value", "reported_by"
    )
    return list(found)


def test_rows_of_a_table_that_a_run_wrote_anew() -> None:
    check("row_count", min=5)
    take(event("03:00:00", outputs=[written(9)], run=1))
    take(event("04:00:00", outputs=[written(4)], run=2))
    assert results() == [("row_count", "pass", 9, "openlineage"), ("row_count", "fail", 4, "openlineage")]
    assert Check.objects.get().failing_since.hour == 4
    assert CheckResult.objects.first().words == "4 rows; at least 5 are expected."


def test_rows_that_a_run_only_added_are_not_those_of_the_table() -> None:
    check("row_count", min=5)
    take(event(outputs=[written(2, change="")]))
    assert results() == []


@pytest.mark.parametrize(
    ("declared", "sql", "counts"),
    [
        ("full_refresh", "", True),
        ("incremental", "", False),
        ("", "CREATE OR REPLACE TABLE shop.mart.orders AS SELECT * FROM shop.raw.orders", True),
        ("full_refresh", "INSERT INTO shop.mart.orders SELECT * FROM shop.raw.orders", False),
    ],
)
def test_a_full_refresh_writes_all_rows(declared: str, sql: str, counts: bool) -> None:
    check("row_count", min=5)
    Pipeline.objects.update(load_strategy=declared, stated_fields=["load_strategy"])
    told = {"sql": {"query": sql}} if sql else {}
    take(event(inputs=[read()], outputs=[written(9, change="")], **told))
    assert bool(results()) is counts


def test_rows_out_for_rows_in_whatever_the_order() -> None:
    """The input is counted at the start, and again later; a part of a run that goes on is no result."""
    events = [
        event("03:00:00", "START", inputs=[read(10)]),
        event("03:10:00", "RUNNING", inputs=[read(20)], outputs=[written(1)]),
        event("03:20:00", "COMPLETE", outputs=[written(18)]),
    ]
    ratio(min=0.9, max=1)
    ended = set()
    for order in permutations(events):
        for each in [*order, *order]:
            take(each)
        found = Check.objects.get()
        ended.add((found.state, str(found.checked_at), found.failing_since, *results()))
        Pipeline.objects.get().runs.all().delete()
        Pipeline.objects.get().reported_jobs.get().events.all().delete()
        CheckResult.objects.all().delete()
        Check.objects.update(state="unknown", checked_at=None, failing_since=None)
    assert ended == {("pass", "2026-03-02 03:20:00+00:00", None, ("in_out_ratio", "pass", 0.9, "openlineage"))}


def test_events_that_come_together_give_one_result() -> None:
    ratio(min=0.9)
    take_all([event("03:00:00", "START", inputs=[read(10)]), event("03:20:00", outputs=[written(5)])])
    assert results() == [("in_out_ratio", "fail", 0.5, "openlineage")]


def test_the_end_of_a_run_need_not_name_what_was_counted() -> None:
    check("row_count", min=5)
    take(event("03:10:00", "RUNNING", outputs=[written(9)]))
    assert results() == []
    take(event("03:20:00", "COMPLETE"))
    assert results() == [("row_count", "pass", 9, "openlineage")]


def test_a_run_that_fails_or_reads_nothing_has_no_ratio() -> None:
    ratio(min=0.9)
    take(event("03:00:00", "FAIL", inputs=[read(10)], outputs=[written(5)], run=1))
    assert results() == []
    take(event("04:00:00", inputs=[read(0)], outputs=[written(0)], run=2))
    assert results() == [("in_out_ratio", "error", None, "openlineage")]
    assert "read no rows" in CheckResult.objects.get().words


def test_a_repeated_run_takes_the_place_of_its_result() -> None:
    check("row_count", min=5)
    take(event("03:00:00", outputs=[written(2)]))
    take(event("04:00:00", "START"))
    take(event("05:00:00", outputs=[written(7)]))
    assert results() == [("row_count", "pass", 7, "openlineage")]


def test_data_quality_metrics_answer_checks_of_the_whole_table() -> None:
    for column, most in (("id", 0), ("email", 1)):
        check("not_null", RAW, column=column, max=most)
    check("unique_key", RAW, columns=["id"])
    check("unique_key", RAW, columns=["email"])
    check("row_count", RAW, max=9)
    check("unique_key", RAW, columns=["id", "email"])
    check("row_count", RAW, min=1, where="id > 3")
    columns = {"ID": {"nullCount": 0, "distinctCount": 10}, "email": {"nullCount": 2, "distinctCount": 7}}
    told = event(inputs=[read(**metrics(10, **columns))])
    take(told)
    assert take(told) is False
    found = {(one.check_of.name, one.state, one.value) for one in CheckResult.objects.all()}
    assert found == {
        ("not null: id", "pass", 0),
        ("not null: email", "fail", 2),
        ("unique key: id", "pass", 0),
        ("unique key: email", "fail", 2),  # ten rows: seven values, NULL as one more, and two that are there already
        ("row count", "fail", 10),
    }


@pytest.mark.parametrize(("distinct", "expected"), [(10, [0]), (9, [])])
def test_without_a_count_of_nulls_repeated_keys_are_not_certain(distinct: int, expected: list[int]) -> None:
    check("unique_key", RAW, columns=["id"])
    take(dataset_event("03:00:00", dataset(RAW, **metrics(10, id={"distinctCount": distinct}))))
    assert [value for _, _, value, _ in results()] == expected


def test_metrics_that_cannot_be_read_are_refused_with_their_place() -> None:
    with pytest.raises(BadEvent, match=r"columnMetrics\.id\.nullCount"):
        take(event(inputs=[read(**metrics(1, id={"nullCount": -1}))]))


def test_no_check_is_made_and_none_is_asked_for_where_there_are_none() -> None:
    def cost(rows: int, run: int) -> list[str]:
        told = event(f"0{run}:00:00", inputs=[read(rows)], outputs=[written(rows)], run=run)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            take(told)
        return [query["sql"] for query in queries]

    cost(1, 1)
    assert not any('FROM "checks_check" WHERE' in sql for sql in cost(2, 2))
    assert not Check.objects.exists()
    check("row_count", min=1)
    assert any('"checks_checkresult"' in sql for sql in cost(3, 3))
