"""What changed upstream: every kind of change, its place in the list, and its way to the table."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audits.checks.models import Check, CheckResult
from audits.deletion.models import DeletionReview, ReviewedTable, ReviewEvent
from audits.postmortems.changes import upstream_changes
from audits.postmortems.models import Hit, Incident
from catalog import services
from catalog.models import Pipeline, Run, SchemaChange, Table
from lineage.models import SqlVersion
from tests.factories import make_edge, make_owner, make_pipeline, make_run, make_sql_version, make_table

pytestmark = pytest.mark.django_db

NOW = timezone.now().replace(microsecond=0)
DAY = dt.timedelta(days=1)
SINCE, UNTIL = NOW - 14 * DAY, NOW + DAY


@pytest.fixture
def tables() -> dict[str, Table]:
    """raw -> core -> mart, each built by the pipeline load_<table>; load_raw has no input."""
    made = {name: make_table(name) for name in ("raw", "core", "mart", "elsewhere")}
    for source, target in ((None, "raw"), ("raw", "core"), ("core", "mart")):
        pipeline = make_pipeline(f"load_{target}")
        make_edge(pipeline, made.get(source or ""), made[target], valid_from=NOW - 300 * DAY)
    make_pipeline("load_elsewhere")
    return made


def pipeline(name: str) -> Pipeline:
    return Pipeline.objects.get(name=name)


def change_sql(name: str, before: str, after: str, at: dt.datetime) -> SqlVersion:
    make_sql_version(pipeline(name), before, valid_from=at - 90 * DAY, valid_to=at, dialect="duckdb")
    return make_sql_version(pipeline(name), after, valid_from=at, dialect="duckdb")


def found(table: Table, **options):
    return upstream_changes(table, SINCE, UNTIL, **options)


def kinds(table: Table, **options) -> list[tuple[str, int]]:
    return [(change.kind, change.hops) for change in found(table, **options).items]


def test_a_change_of_sql_is_told_in_words_with_its_way(tables) -> None:
    version = change_sql("load_raw", "select reason from x", "select code as reason from x where y", NOW - DAY)
    (change,) = found(tables["mart"]).items
    assert (change.kind, change.hops, change.at, change.pipeline.name) == ("sql", 2, NOW - DAY, "load_raw")
    assert change.told.details == ("column reason now reads code instead of reason", "WHERE condition added: y")
    assert change.told.url == f"/pipelines/load_raw/sql/{version.pk}/"
    assert [(step.table.name, step.by and step.by.name) for step in change.way] == [
        ("raw", "load_core"),
        ("core", "load_mart"),
        ("mart", None),
    ]


def test_practices_that_got_worse_are_told(tables) -> None:
    version = change_sql("load_raw", "select 1 as a", "select 1 as a", NOW - DAY)
    SqlVersion.objects.filter(valid_to=NOW - DAY).update(practices={"load_strategy": "merge", "idempotent": True})
    SqlVersion.objects.filter(pk=version.pk).update(practices={"load_strategy": "append", "idempotent": False})
    (change,) = found(tables["raw"]).items
    assert change.told.details == (
        "load strategy: append instead of merge",
        "is no longer idempotent: a re-run may leave duplicates",
    )


def test_the_first_text_of_a_pipeline_is_no_change(tables) -> None:
    make_sql_version(pipeline("load_raw"), valid_from=NOW - DAY)
    assert kinds(tables["mart"]) == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"change": "renamed", "column": "code", "before": "reason", "after": "code"},
            "Column reason is called code now",
        ),
        ({"change": "dropped", "column": "reason"}, "Column reason dropped"),
        ({"change": "added", "column": "code", "after": "TEXT"}, "Column code added"),
        ({"change": "retyped", "column": "id", "before": "INT", "after": "TEXT"}, "Column id is TEXT instead of INT"),
    ],
)
def test_changes_of_columns(tables, facts, words) -> None:
    SchemaChange.objects.create(table=tables["raw"], at=NOW, **facts)
    SchemaChange.objects.create(table=tables["elsewhere"], at=NOW, **facts)
    assert [(change.hops, change.told.words) for change in found(tables["mart"]).items] == [(2, words)]


def test_what_failed_over_and_over_is_one_entry_from_its_first_time_on(tables) -> None:
    for days in (3, 2, 1):
        make_run(pipeline("load_core"), state="failed", started_at=NOW - days * DAY, error=f"no column x\nday {days}")
    make_run(pipeline("load_core"), started_at=NOW)
    make_run(pipeline("load_elsewhere"), state="failed", started_at=NOW)
    (change,) = found(tables["mart"]).items
    assert (change.kind, change.count, change.at, change.last_at) == ("run_failed", 3, NOW - 3 * DAY, NOW - DAY)
    assert change.told.details == ("no column x",)


def test_of_a_traceback_the_last_line_is_told(tables) -> None:
    make_run(pipeline("load_core"), state="failed", started_at=NOW, error="Traceback (…):\n  File x\nKeyError: 'a'\n")
    assert found(tables["mart"]).items[0].told.details == ("KeyError: 'a'",)


def test_runs_that_began_late_or_not_at_all(tables) -> None:
    Pipeline.objects.filter(name__in=["load_core", "load_raw"]).update(schedule="0 4 * * *")
    Pipeline.objects.filter(name="load_mart").update(schedule="when it suits")
    four = (NOW - 5 * DAY).replace(hour=4, minute=0, second=0)
    for start in (four, four + DAY, four + 2 * DAY + dt.timedelta(hours=3)):
        make_run(pipeline("load_core"), started_at=start)
    for days in range(5):
        make_run(pipeline("load_raw"), started_at=four + days * DAY)
        make_run(pipeline("load_mart"), started_at=four + days * DAY)
    until = four + 4 * DAY + dt.timedelta(minutes=5)
    (change,) = upstream_changes(tables["mart"], SINCE, until).items
    assert (change.kind, change.hops, change.count) == ("run_late", 1, 2)
    assert (change.at, change.last_at) == (four + 2 * DAY, four + 3 * DAY)
    assert change.told.words == f"A run due {four + 3 * DAY:%Y-%m-%d %H:%M} UTC has not begun since"


def test_rows_that_double_or_halve_are_told(tables) -> None:
    for days, rows in ((20, 100), (6, 110), (5, 230), (4, 220), (3, 20), (2, 25), (1, 24)):
        make_run(pipeline("load_core"), started_at=NOW - days * DAY, rows_out=rows)
    words = [change.told.words for change in found(tables["mart"]).items]
    assert words == ["Wrote 20 rows, the run before 220", "Wrote 230 rows, the run before 110"]


def test_the_run_before_may_lie_before_the_window(tables) -> None:
    make_run(pipeline("load_core"), started_at=SINCE - DAY, rows_out=100)
    make_run(pipeline("load_core"), started_at=SINCE + DAY, rows_out=1)
    assert [change.told.words for change in found(tables["mart"]).items] == ["Wrote 1 row, the run before 100"]


def test_owners_and_other_facts_that_people_changed(tables, editor) -> None:
    services.set_owners(actor=editor, thing=tables["raw"], role="technical", owners=[make_owner("Olga")])
    services.change_pipeline(actor=editor, pipeline=pipeline("load_core"), status="paused")
    services.change_table(actor=editor, table=tables["elsewhere"], description="not upstream")
    told = {change.kind: change.told for change in found(tables["mart"]).items}
    assert told["owners"].words == "edith changed the table"
    assert told["owners"].details == ("technical owners: none → Olga",)
    assert told["edit"].details == ("status: active → paused",)
    assert len(told) == 2


def test_deletions_and_quarantines(tables) -> None:
    review = DeletionReview.objects.create(opened_by_name="x", evidence_until=NOW.date())
    for position, name in enumerate(("raw", "core", "elsewhere")):
        ReviewedTable.objects.create(review=review, table=tables[name], position=position, quarantine_name="q")
    for state in ("notified", "quarantined"):
        ReviewEvent.objects.create(review=review, at=NOW, actor_name="x", to_state=state, words=f"now {state}")
    (change,) = found(tables["mart"]).items
    assert (change.kind, change.hops, change.told.details) == ("deletion", 1, ("now quarantined",))


def test_failed_checks_of_tables_and_of_pipelines(tables) -> None:
    of_table = Check.objects.create(table=tables["raw"], kind="unique_key", name="id is unique")
    of_pipeline = Check.objects.create(pipeline=pipeline("load_mart"), kind="in_out_ratio", name="ratio")
    for check, state in ((of_table, "fail"), (of_table, "pass"), (of_pipeline, "error")):
        CheckResult.objects.create(check_of=check, key=state, at=NOW, state=state, reported_by="x", words="7 twice")
    changes = found(tables["mart"]).items
    assert [(change.hops, change.told.words) for change in changes] == [
        (0, "The check ratio could not run"),
        (2, "The check id is unique failed"),
    ]
    assert changes[1].told.details == ("7 twice",)


def make_incident(table: Table, started_at: dt.datetime, **facts) -> Incident:
    facts = {"title": "Doubled", "started_at": started_at, "detected_at": started_at, "opened_by_name": "x", **facts}
    incident = Incident.objects.create(**facts)
    Hit.objects.create(incident=incident, kind="table", node=table.node, name=table.name, table=table)
    return incident


def test_earlier_incidents_that_lasted_into_the_window(tables) -> None:
    now = make_incident(tables["mart"], NOW)
    make_incident(tables["raw"], NOW - 90 * DAY, resolved_at=NOW - 80 * DAY)
    lasting = make_incident(tables["raw"], NOW - 60 * DAY)
    Hit.objects.create(incident=lasting, kind="table", node="x", name="core", table=tables["core"], distance=1)
    assert kinds(tables["mart"], besides=now) == [("incident", 2)]
    assert kinds(tables["mart"]) == [("incident", 0), ("incident", 2)]


def test_nearest_first_then_newest(tables) -> None:
    for name, days in (("load_raw", 0), ("load_mart", 9), ("load_core", 1)):
        make_run(pipeline(name), state="failed", started_at=NOW - days * DAY)
    change_sql("load_core", "select 1 as a", "select 2 as a", NOW)
    assert kinds(tables["mart"]) == [("run_failed", 0), ("sql", 1), ("run_failed", 1), ("run_failed", 2)]


def test_an_input_that_was_taken_away_within_the_window_is_upstream_still(tables) -> None:
    make_edge(pipeline("load_mart"), tables["elsewhere"], tables["mart"], valid_from=SINCE - DAY, valid_to=NOW - DAY)
    make_edge(pipeline("load_elsewhere"), None, tables["elsewhere"], valid_from=SINCE - DAY)
    make_run(pipeline("load_elsewhere"), state="failed", started_at=NOW)
    assert kinds(tables["mart"]) == [("run_failed", 1)]
    assert upstream_changes(tables["mart"], NOW - DAY / 2, UNTIL).items == []


def test_before_any_lineage_was_known_the_first_that_was_counts(tables) -> None:
    make_run(pipeline("load_core"), state="failed", started_at=NOW - 400 * DAY)
    changes = upstream_changes(tables["mart"], NOW - 401 * DAY, NOW - 399 * DAY)
    assert [(change.kind, change.hops) for change in changes.items] == [("run_failed", 1)]


def test_kinds_and_limit_narrow_what_is_shown_but_not_what_is_counted(tables) -> None:
    for name in ("load_raw", "load_mart", "load_core"):
        make_run(pipeline(name), state=Run.State.ABORTED, started_at=NOW)
    change_sql("load_core", "select 1 as a", "select 2 as a", NOW)
    changes = found(tables["mart"], kinds=["run_failed"], limit=2)
    assert [(change.kind, change.hops) for change in changes.items] == [("run_failed", 0), ("run_failed", 1)]
    assert (changes.total, changes.counts, changes.tables) == (3, {"run_failed": 3, "sql": 1}, 2)


def test_circles_end(tables) -> None:
    make_edge(pipeline("load_raw"), tables["mart"], tables["raw"], valid_from=SINCE - DAY)
    make_run(pipeline("load_raw"), state="failed", started_at=NOW)
    assert kinds(tables["raw"]) == [("run_failed", 0)]
    assert kinds(tables["mart"]) == [("run_failed", 2)]


def test_it_costs_the_same_for_few_changes_and_many(tables, editor) -> None:
    costs = []
    for number in range(2, 12, 9):
        for each in range(number):
            feeder, table = make_pipeline(), make_table()
            make_edge(feeder, None, table, valid_from=SINCE)
            make_edge(pipeline("load_raw"), table, tables["raw"], valid_from=SINCE)
            make_run(feeder, state="failed", started_at=NOW)
            make_sql_version(feeder, "select 1 as a", valid_from=SINCE - DAY, valid_to=NOW)
            make_sql_version(feeder, f"select {each} as a", valid_from=NOW)
            services.change_table(actor=editor, table=table, description="new")
            make_incident(table, NOW)
        with CaptureQueriesContext(connection) as asked:
            assert found(tables["mart"]).total >= 4 * number
        costs.append(len(asked))
    assert costs[0] == costs[1]
