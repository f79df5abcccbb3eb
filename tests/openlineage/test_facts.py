"""What events say becomes facts of the catalog, and what a person stated wins."""

from __future__ import annotations

import pytest

from catalog import services
from catalog.models import Column, Pipeline, Run, Source, Table
from ingest.models import ReportedJob
from ingest.openlineage.store import take
from lineage.models import ColumnEdge, Problem, SqlVersion, TableEdge
from lineage.services import declare_edges
from tests.factories import make_pipeline, make_source
from tests.openlineage.events import RECORDED, SHOP, dataset, dataset_event, event, job_event, made_from, schema

pytestmark = pytest.mark.django_db
FLOW = {"inputs": [dataset("shop.raw.orders")], "outputs": [dataset("shop.mart.orders")]}


def edges() -> set[tuple[str | None, str | None]]:
    current = TableEdge.objects.filter(valid_to=None, origin="openlineage")
    return set(current.values_list("source_table__name", "target_table__name"))


def test_recorded_events_of_the_client() -> None:
    take(RECORDED["openlineage-000"])
    pipeline = Pipeline.objects.get(name="orders.daily")
    assert [one.owner.name for one in pipeline.ownerships.all()] == ["finance"]
    source = Source.objects.get()
    assert (source.platform, source.dialect, source.namespaces) == ("postgres", "postgres", [SHOP])
    assert edges() == {("shop.raw.orders", "shop.mart.orders")}
    version = SqlVersion.objects.get()
    assert (version.sql, version.statements_read) == ("INSERT INTO mart.orders SELECT id, amount FROM raw.orders", 1)
    read_off_sql = ColumnEdge.objects.filter(origin="sql").values_list("source_column__name", "target_table__name")
    assert set(read_off_sql) == {("id", "shop.mart.orders"), ("amount", "shop.mart.orders")}
    reported = ColumnEdge.objects.get(origin="openlineage")
    assert (reported.source_column.name, reported.target_column.name, reported.kind) == ("amount", "amount", "IDENTITY")
    columns = Column.objects.filter(table__name="shop.raw.orders").values_list("name", "type", "position")
    assert list(columns) == [("id", "int", 1), ("amount", "numeric", 2)]
    assert not Problem.objects.exists()


def test_recorded_events_of_airflow() -> None:
    for number in range(5):
        take(RECORDED[f"airflow-00{number}"])
    names = ["orders_daily", "orders_daily.extract", "orders_daily.load"]
    assert list(Pipeline.objects.values_list("name", flat=True)) == names
    assert set(Pipeline.objects.values_list("dag", "orchestrator")) == {("orders_daily", "airflow")}
    extract = Pipeline.objects.get(name="orders_daily.extract")
    assert (extract.description, extract.tags.get().name) == ("extract orders", "finance")
    assert edges() == {
        (None, "file:///srv/data/raw_orders.csv"),
        ("file:///srv/data/raw_orders.csv", "file:///srv/data/mart_orders.csv"),
    }
    dag_run, task_run = Run.objects.get(pipeline__name="orders_daily"), Run.objects.get(pipeline=extract)
    assert task_run.parent_id == dag_run.external_id
    assert task_run.started_at.year == 2026, "from the event, not from the id, which spells the logical date"
    assert task_run.nominal_at.year == 2024


def test_a_run_repeated_under_its_id_counts_from_its_last_start() -> None:
    take(event("03:00:00", "START"))
    take(event("03:05:00", "FAIL", run_facets={"errorMessage": {"message": "boom"}}))
    run = Run.objects.get()
    assert (run.state, run.error) == ("failed", "boom")
    take(event("04:00:00", "START"))
    run.refresh_from_db()
    assert (run.state, run.ended_at, run.error) == ("running", None, "")
    take(event("04:02:00", "COMPLETE"))
    run.refresh_from_db()
    assert (run.state, (run.ended_at - run.started_at).seconds) == ("succeeded", 120)


def test_rows_are_summed_over_datasets() -> None:
    counted = [dataset(f"shop.raw.{name}", inputStatistics={"rowCount": 10}) for name in "ab"]
    take(event(inputs=counted, outputs=[dataset("shop.mart.c", outputStatistics={"rowCount": 7, "size": 99})]))
    run = Run.objects.get()
    assert (run.rows_in, run.rows_out) == (20, 7)


def test_lineage_is_that_of_the_last_run_that_succeeded_and_of_what_came_since() -> None:
    take(event("03:00:00", "START", run=1, **FLOW))
    take(event("03:01:00", run=1))
    take(event("04:00:00", "START", run=2, inputs=[dataset("shop.raw.other")]))
    assert edges() == {("shop.raw.orders", "shop.mart.orders"), ("shop.raw.other", "shop.mart.orders")}
    take(event("04:01:00", run=2, outputs=[dataset("shop.mart.orders")]))
    assert edges() == {("shop.raw.other", "shop.mart.orders")}
    ended = TableEdge.objects.exclude(valid_to=None).get()
    assert (ended.source_table.name, ended.valid_to.hour) == ("shop.raw.orders", 4)


def test_a_failed_run_without_datasets_takes_nothing_away() -> None:
    take(event("03:01:00", run=1, **FLOW))
    take(event("04:01:00", "FAIL", run=2))
    assert edges() == {("shop.raw.orders", "shop.mart.orders")}


def test_sql_that_differs_in_literals_alone_stays_one_version() -> None:
    for hour in (3, 4):
        sql = f"insert into mart.orders select * from raw.orders where hour = {hour}"
        take(event(f"0{hour}:00:00", run=hour, sql={"query": sql}, **FLOW))
    version = SqlVersion.objects.get()
    assert version.sql.endswith("hour = 4")


def test_a_table_that_sql_names_and_no_dataset_is_a_problem_where_its_place_is_not_known() -> None:
    take(event(sql={"query": "insert into mart.orders select * from raw.orders join lookup using (id)"}, **FLOW))
    assert Problem.objects.get(code="unknown_table").severity == "warning"
    assert not Table.objects.filter(name__contains="lookup").exists()


def test_a_dataset_goes_by_its_name_in_the_catalog() -> None:
    known = {"identifiers": [{"namespace": "hive://meta:9083", "name": "mart.orders", "type": "TABLE"}]}
    take(event("03:00:00", run=1, outputs=[dataset("warehouse/orders", "s3://lake")]))
    assert edges() == {(None, "s3://lake/warehouse/orders")}
    take(event("04:00:00", run=2, outputs=[dataset("warehouse/orders", "s3://lake", symlinks=known)]))
    assert edges() == {(None, "mart.orders")}
    assert Table.objects.get(name="s3://lake/warehouse/orders").status == "retired"


def test_a_renamed_table_keeps_its_lineage_until_its_old_name_is_used_again() -> None:
    take(event("03:00:00", job="read", inputs=[dataset("shop.old")], outputs=[dataset("shop.mart")]))
    change = {"lifecycleStateChange": "RENAME", "previousIdentifier": {"namespace": SHOP, "name": "shop.old"}}
    take(event("04:00:00", job="alter", run=2, outputs=[dataset("shop.new", lifecycleStateChange=change)]))
    assert ("shop.new", "shop.mart") in edges()
    assert Table.objects.get(name="shop.old").status == "retired"
    take(event("05:00:00", job="read", run=3, inputs=[dataset("shop.old")], outputs=[dataset("shop.mart")]))
    assert ("shop.old", "shop.mart") in edges()
    assert Table.objects.get(name="shop.old").status == "active"


def test_a_dropped_table_is_retired_until_it_is_named_again() -> None:
    dropped = dataset("shop.mart", lifecycleStateChange={"lifecycleStateChange": "DROP"})
    take(event("03:00:00", outputs=[dropped]))
    assert Table.objects.get().status == "retired"
    take(event("04:00:00", run=2, outputs=[dataset("shop.mart")]))
    assert Table.objects.get().status == "active"


def test_column_lineage_of_a_dataset_alone_belongs_to_the_pipelines_that_write_it() -> None:
    take(dataset_event("03:00:00", dataset("shop.mart.orders", columnLineage=made_from("a", "shop.raw.orders", "b"))))
    assert not ColumnEdge.objects.exists()
    take(event("04:00:00", **FLOW))
    edge = ColumnEdge.objects.get()
    assert (edge.pipeline.name, edge.source_column.name, edge.target_column.name) == ("orders.daily", "b", "a")


def test_influence_on_every_row_has_no_target_column() -> None:
    by = {"namespace": SHOP, "name": "shop.raw.orders", "field": "day",
          "transformations": [{"type": "INDIRECT", "subtype": "FILTER"}]}  # fmt: skip
    take(
        event(
            inputs=FLOW["inputs"], outputs=[dataset("shop.mart.orders", columnLineage={"fields": {}, "dataset": [by]})]
        )
    )
    edge = ColumnEdge.objects.get()
    assert (edge.source_column.name, edge.target_column, edge.kind) == ("day", None, "FILTER")


def test_a_job_event_states_what_a_job_reads_and_writes_without_a_run() -> None:
    take(job_event(facets={"documentation": {"description": "Orders, daily"}}, **FLOW))
    assert edges() == {("shop.raw.orders", "shop.mart.orders")}
    assert Pipeline.objects.get().description == "Orders, daily"
    assert not Run.objects.exists()


def test_unknown_facets_are_kept_and_a_deleted_one_goes() -> None:
    take(event("03:00:00", my_own={"cost": 3}))
    assert ReportedJob.objects.get().facets["my_own"] == {"cost": 3}
    take(event("04:00:00", my_own={"_deleted": True}))
    assert "my_own" not in ReportedJob.objects.get().facets


def test_assertions_are_kept_wherever_they_stand() -> None:
    facet = {"assertions": [{"assertion": "not_null", "success": True, "column": "id"}]}
    take(event("03:00:00", inputs=[{**dataset("shop.a"), "inputFacets": {"dataQualityAssertions": facet}}]))
    take(event("03:00:00", inputs=[dataset("shop.b", dataQualityAssertions=facet)]))
    kept = [table.reported_datasets.get().facets for table in Table.objects.all()]
    assert [each["dataQualityAssertions"] for each in kept] == [facet, facet]


def test_what_a_person_stated_wins(editor) -> None:
    pipeline = services.register_pipeline(actor=editor, name="orders.daily", description="By hand", tier=1)
    table = services.register_table(
        actor=editor, source=make_source("shop", namespaces=[SHOP]), name="shop.mart.orders", description="Mine"
    )
    said = dataset("shop.mart.orders", documentation={"description": "Theirs"}, schema=schema(id="int"))
    take(event(inputs=FLOW["inputs"], outputs=[said], documentation={"description": "Read"}))
    pipeline.refresh_from_db()
    table.refresh_from_db()
    assert (pipeline.description, pipeline.ingested["description"]) == ("By hand", "Read")
    assert (table.description, table.ingested["description"]) == ("Mine", "Theirs")
    assert pipeline.runs.count() == 1


def test_edges_that_a_person_declared_stay_beside_the_reported(editor) -> None:
    take(event("03:00:00", **FLOW))
    pipeline = Pipeline.objects.get()
    extra = Table.objects.get(name="shop.raw.orders")
    declare_edges(actor=editor, pipeline=pipeline, inputs=[extra], outputs=[])
    take(event("04:00:00", run=2, inputs=[dataset("shop.raw.v2")], outputs=FLOW["outputs"]))
    declared = TableEdge.objects.filter(valid_to=None, origin="declared")
    assert [edge.source_table for edge in declared] == [extra]


def test_a_pipeline_that_another_ingest_states_gets_runs_and_edges_but_no_facts() -> None:
    pipeline = make_pipeline("orders.daily", origin="ingest", stated_in="repo", description="From the repository")
    take(event(documentation={"description": "Read"}, **FLOW))
    pipeline.refresh_from_db()
    assert (pipeline.description, pipeline.runs.count()) == ("From the repository", 1)
    assert edges() == {("shop.raw.orders", "shop.mart.orders")}


def test_a_namespace_belongs_to_the_source_that_a_person_gave_it() -> None:
    shop = make_source("shop", platform="postgres", dialect="postgres", namespaces=[SHOP])
    take(event(**FLOW))
    assert set(Table.objects.values_list("source", flat=True)) == {shop.pk}
    assert Source.objects.count() == 1


def test_jobs_of_one_name_in_two_namespaces_are_two_pipelines() -> None:
    take(event(namespace="prod", run=1))
    take(event(namespace="staging", run=2))
    assert set(Pipeline.objects.values_list("name", flat=True)) == {"prod/orders.daily", "staging/orders.daily"}
