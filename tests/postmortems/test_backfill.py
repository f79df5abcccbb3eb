"""The plan of what to run again after an incident."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits.checks.models import Check
from audits.postmortems.backfill import BackfillPlan, backfill_plan
from audits.postmortems.models import Hit, Incident
from catalog.models import Pipeline, Table
from tests.factories import NOON, make_edge, make_pipeline, make_run, make_sql_version, make_table

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
FIRST = NOON.date()
SAFE = {"load_strategy": "incremental", "idempotent": True, "backfill_safe": True, "reasons": []}
UNSAFE = {
    "load_strategy": "append",
    "idempotent": False,
    "backfill_safe": False,
    "reasons": [
        {"practice": "idempotent", "message": "rows are added, a second run adds them again"},
        {"practice": "atomic", "message": "half of it may be seen"},
    ],
}


@pytest.fixture
def chain() -> dict[str, Table]:
    """raw -> core -> mart by load_raw (append, Airflow), build_core (slices, Airflow) and mart (full refresh, dbt)."""
    tables = {name: make_table(name) for name in ("raw", "core", "mart")}
    build(
        "load_raw",
        tables["raw"],
        practices=UNSAFE,
        dag="shop.load",
        orchestrator="airflow",
        backfill="One day at a time",
    )
    build("build_core", tables["core"], tables["raw"], practices=SAFE, dag="core", orchestrator="airflow")
    build("model.shop.mart", tables["mart"], tables["core"], practices={**SAFE, "load_strategy": "full_refresh"},
          orchestrator="dbt")  # fmt: skip
    return tables


def build(name: str, target: Table, source: Table | None = None, practices: dict | None = None, **facts) -> Pipeline:
    pipeline = make_pipeline(name, **facts)
    make_edge(pipeline, source, target)
    if practices is not None:
        make_sql_version(pipeline, practices=practices)
    return pipeline


def hit(*tables: Table, **facts) -> Incident:
    facts = {"data_from": FIRST, "data_to": FIRST + 2 * DAY, **facts}
    incident = Incident.objects.create(
        title="Twice", started_at=NOON, detected_at=NOON + 3 * DAY, opened_by_name="x", **facts
    )
    for distance, table in enumerate(tables):
        Hit.objects.create(
            incident=incident, kind="table", node=table.node, name=table.name, table=table, distance=distance
        )
    return incident


def plan(incident: Incident) -> BackfillPlan:
    return backfill_plan(incident, FIRST + 5 * DAY)


def test_pipelines_stand_in_the_order_of_the_data_with_their_commands(chain) -> None:
    steps = plan(hit(chain["mart"], chain["raw"], chain["core"])).steps
    assert [(step.pipeline.name, step.commands) for step in steps] == [
        ("load_raw", ("airflow dags backfill --reset-dagruns --start-date 2026-03-02 --end-date 2026-03-04"
                      " --task-regex '^load$' shop",)),
        ("build_core", ("airflow dags backfill --reset-dagruns --start-date 2026-03-02 --end-date 2026-03-04 core",)),
        ("model.shop.mart", ("dbt run --select mart",)),
    ]  # fmt: skip
    assert [step.is_safe for step in steps] == [False, True, True]


def test_what_is_not_safe_says_why_and_is_commented_out(chain) -> None:
    found = plan(hit(chain["raw"]))
    assert found.steps[0].warnings == (
        "rows are added, a second run adds them again",
        "its owners say: One day at a time",
    )
    assert "# airflow dags backfill" in found.script and "#    mind: rows are added" in found.script


def test_one_dag_of_several_steps_is_run_once(chain) -> None:
    build("also_core", table := make_table("also"), chain["core"], practices=SAFE, dag="core", orchestrator="airflow")
    script = plan(hit(chain["core"], table)).script
    assert script.count("airflow dags backfill") == 1 and "#    by the command of step 1" in script


def test_where_no_sql_is_known_nobody_can_tell(chain) -> None:
    build("by_hand", table := make_table("by_hand"))
    (step,) = plan(hit(table)).steps
    assert (step.is_safe, step.warnings, step.commands) == (None, ("no SQL is known that would tell",), ())


def test_an_incremental_dbt_model_is_made_whole_unless_it_takes_days(chain) -> None:
    model = build("model.shop.daily", table := make_table("daily"), practices=SAFE, orchestrator="dbt")
    assert plan(hit(table)).steps[0].commands == ("dbt run --select daily --full-refresh",)
    model.ingested = {"dbt": {"incremental_strategy": "microbatch"}}
    model.save()
    assert plan(hit(table)).steps[0].commands == (
        "dbt run --select daily --event-time-start 2026-03-02 --event-time-end 2026-03-05",
    )


def test_progress_counts_days_that_ran_again_since_it_was_noticed(chain) -> None:
    core = Pipeline.objects.get(name="build_core")
    incident = hit(chain["core"])
    make_run(core, nominal_at=NOON, started_at=NOON)  # the first, wrong one
    for state, day in (("succeeded", 0), ("succeeded", 0), ("failed", 1), ("succeeded", 7)):
        make_run(core, nominal_at=NOON + day * DAY, started_at=NOON + 4 * DAY, state=state)
    (step,) = plan(incident).steps
    assert (step.done, step.days, step.is_done, step.progress) == (1, 3, False, "1 of 3 days run again")
    for day in (1, 2):
        make_run(core, nominal_at=NOON + day * DAY, started_at=NOON + 5 * DAY)
    assert plan(incident).steps[0].is_done


def test_of_a_full_refresh_one_run_does(chain) -> None:
    incident = hit(chain["mart"])
    assert not plan(incident).steps[0].is_done
    make_run(Pipeline.objects.get(name="model.shop.mart"), started_at=NOON + 4 * DAY)
    assert plan(incident).steps[0].is_done


def test_a_table_is_right_when_its_checks_pass_after_it_was_built_again(chain) -> None:
    incident = hit(chain["core"])
    check = Check.objects.create(
        table=chain["core"], kind="unique_key", name="id", state="pass", checked_at=NOON + 4 * DAY
    )
    assert plan(incident).steps[0].tables[0].is_right
    make_run(Pipeline.objects.get(name="build_core"), started_at=NOON + 5 * DAY)
    assert not plan(incident).steps[0].tables[0].is_right
    Check.objects.filter(pk=check.pk).update(checked_at=NOON + 6 * DAY)
    assert plan(incident).steps[0].tables[0].is_right
    assert not plan(hit(chain["raw"])).steps[0].tables[0].is_right


def test_without_stated_days_those_since_the_start_stand_in(chain) -> None:
    found = plan(hit(chain["core"], data_from=None, data_to=None))
    assert (found.is_dated, found.first, found.last) == (False, FIRST, FIRST + 5 * DAY)


def test_circles_and_tables_that_nothing_builds(chain) -> None:
    make_edge(Pipeline.objects.get(name="build_core"), chain["mart"], chain["core"])
    found = plan(hit(chain["core"], chain["mart"], make_table("alone")))
    assert [step.pipeline.name for step in found.steps] == ["build_core", "model.shop.mart"]
    assert [table.name for table in found.unbuilt] == ["alone"]


def test_it_costs_the_same_for_few_tables_and_many(chain) -> None:
    costs = []
    for number in (2, 10):
        tables = [make_table() for _ in range(number)]
        for table in tables:
            build(f"b{table.pk}", table, practices=SAFE)
        incident = hit(*tables)
        with CaptureQueriesContext(connection) as asked:
            plan(incident)
        costs.append(len(asked))
    assert costs[0] == costs[1] <= 7


def test_the_page_and_rest(chain, viewer, signed_in, with_token) -> None:
    incident = hit(chain["raw"], chain["core"])
    page = signed_in(viewer).get(f"/incidents/{incident.pk}/backfill/").content.decode()
    assert "not safe to run again" in page and "airflow dags backfill" in page and "no check proves it" in page
    answer = with_token(viewer).get(f"/api/v1/incidents/{incident.pk}/backfill-plan/").json()
    assert [(step["pipeline"], step["is_safe"]) for step in answer["steps"]] == [
        ("load_raw", False),
        ("build_core", True),
    ]
    assert answer["first_day"] == "2026-03-02"
    assert f"/incidents/{incident.pk}/backfill/" in signed_in(viewer).get(f"/incidents/{incident.pk}/").content.decode()
