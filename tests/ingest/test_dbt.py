"""A dbt project out of its artifacts: what it states, twice, in part, gone, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audits.checks.models import Check, CheckResult
from catalog.models import Column, Ownership, Pipeline, Run, Source, Table
from ingest.dbt.json_files import MAX_DEPTH, BadArtifact
from ingest.models import IngestRun
from lineage.models import ColumnEdge, GraphVersion, Problem, SqlVersion, TableEdge
from tests.factories import make_source
from tests.ingest.dbt_projects import catalog, data_test, ingest, model, results, shop, source, write_target
from tests.ingest.folders import column_edges, edges, pipeline, problems, table

pytestmark = pytest.mark.django_db


def rows() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (SqlVersion, TableEdge, ColumnEdge, Table, Pipeline, Run))


def owners(thing: Table | Pipeline) -> set[tuple[str, str, str]]:
    return set(thing.ownerships.values_list("role", "owner__name", "owner__kind"))


def test_models_sources_and_exposures_become_pipelines_tables_and_dashboards(tmp_path: Path) -> None:
    ingest(write_target(tmp_path, manifest=shop()))
    assert edges() == {
        ("wh.raw.orders", "wh.mart.orders"),
        ("wh.mart.orders", "wh.mart.daily"),
        ("wh.mart.daily", "shop.takings"),
    }
    orders = pipeline("model.shop.orders")
    assert (orders.kind, orders.orchestrator, orders.load_strategy) == ("summary", "dbt", "full_refresh")
    assert (orders.repository_path, list(orders.tags.values_list("name", flat=True))) == (
        "models/orders.sql",
        ["core-data"],
    )
    dashboard = table("shop.takings")
    assert (dashboard.kind, dashboard.source.storage) == ("dashboard", "dashboard")
    assert dashboard.description == "Takings\n\nhttps://bi.example.com/1"
    assert table("wh.raw.orders").description == "As the shop sends them"
    assert problems() == []


def test_columns_of_compiled_sql_are_traced(tmp_path: Path) -> None:
    ingest(write_target(tmp_path, manifest=shop()))
    assert ("wh.raw.orders.id", "wh.mart.orders.order_id") in column_edges("IDENTITY")
    assert ("wh.mart.orders.amount", "wh.mart.daily.amount") in column_edges("IDENTITY")


def test_owners_are_those_of_meta_of_the_group_and_of_exposures(tmp_path: Path) -> None:
    ingest(write_target(tmp_path, manifest=shop()))
    assert owners(pipeline("model.shop.orders")) == {("technical", "Finance Data", "team")}
    assert owners(pipeline("model.shop.daily")) == {
        ("technical", "Ann", "person"),
        ("technical", "Data Platform", "team"),
    }
    assert owners(table("shop.takings")) == {("business", "Ann", "person")}


def test_columns_have_the_warehouses_order_and_types_and_the_projects_words(tmp_path: Path) -> None:
    columns = {"ORDER_ID": "BIGINT", "amount": "DOUBLE"}
    ingest(write_target(tmp_path, manifest=shop(), catalog=catalog(orders=columns)))
    found = table("wh.mart.orders").columns.values_list("name", "type", "position", "description", "is_primary_key")
    assert list(found) == [("order_id", "BIGINT", 1, "Its number", True), ("amount", "DOUBLE", 2, "", False)]
    assert table("wh.mart.orders").row_count == 42


def test_documented_columns_alone_have_no_place_unless_a_contract_says_that_they_are_all(tmp_path: Path) -> None:
    column = {"columns": {"a": {"name": "a", "data_type": "int"}}}
    loose = model("loose", "", **column)
    bound = model("bound", "", **column, config={"contract": {"enforced": True}})
    ingest(write_target(tmp_path, manifest=shop(loose=loose, bound=bound)))
    places = dict(Column.objects.filter(name="a").values_list("table__name", "position"))
    assert places == {"wh.mart.loose": None, "wh.mart.bound": 1}


def test_tests_are_kept_beside_their_table(tmp_path: Path) -> None:
    accepted = data_test("accepted", "model.shop.orders", "accepted_values", "amount", values=[1, 2])
    manifest = shop()
    manifest["nodes"]["test.shop.accepted"] = accepted
    ingest(write_target(tmp_path, manifest=manifest))
    unique, values = table("wh.mart.orders").ingested["tests"]
    assert (unique["test"], unique["column"], unique["severity"]) == ("unique", "order_id", "warn")
    assert (values["test"], values["arguments"]) == ("accepted_values", {"values": [1, 2]})


def test_ephemeral_models_and_metrics_are_passed_through(tmp_path: Path) -> None:
    sql = 'with __dbt__cte__part as (select id from "wh"."raw"."orders") select id from __dbt__cte__part'
    manifest = shop(
        part=model("part", "select 1", "source.shop.raw.orders", config={"materialized": "ephemeral"}),
        whole=model("whole", sql, "model.shop.part"),
    )
    manifest["exposures"]["exposure.shop.takings"]["depends_on"]["nodes"] = ["metric.shop.sales"]
    manifest["metrics"] = {"metric.shop.sales": {"depends_on": {"nodes": ["semantic_model.shop.s"]}}}
    manifest["semantic_models"] = {"semantic_model.shop.s": {"depends_on": {"nodes": ["model.shop.whole"]}}}
    ingest(write_target(tmp_path, manifest=manifest))
    assert {("wh.raw.orders", "wh.mart.whole"), ("wh.mart.whole", "shop.takings")} <= edges()
    assert not Table.objects.filter(name__contains="part").exists()
    assert problems() == []


def test_what_sql_and_depends_on_say_differently_is_a_problem_that_names_both(tmp_path: Path) -> None:
    sql = 'select o.amount from "wh"."mart"."orders" o join raw.secret s on s.id = o.order_id'
    odd = model("odd", sql, "model.shop.orders", "model.shop.daily")
    ingest(write_target(tmp_path, manifest=shop(odd=odd)))
    problem = Problem.objects.get()
    assert (problem.code, problem.severity, problem.pipeline) == (
        "depends_on_differs",
        "warning",
        pipeline("model.shop.odd"),
    )
    assert "reads wh.raw.secret without a ref" in problem.message
    assert "depends_on names wh.mart.daily, which the compiled SQL does not read" in problem.message
    assert ("wh.mart.daily", "wh.mart.odd") in edges(origin="declared")


def test_how_an_incremental_model_loads_is_judged_by_its_config(tmp_path: Path) -> None:
    sql = 'select id from "wh"."raw"."orders" where id > (select max(id) from "wh"."mart"."{}")'
    merge = {"materialized": "incremental", "incremental_strategy": "merge", "unique_key": "id"}
    ingest(
        write_target(
            tmp_path,
            manifest=shop(
                merged=model("merged", sql.format("merged"), "source.shop.raw.orders", config=merge),
                added=model(
                    "added", sql.format("added"), "source.shop.raw.orders", config={"materialized": "incremental"}
                ),
            ),
        )
    )
    merged, added = (SqlVersion.objects.get(pipeline__name=f"model.shop.{name}") for name in ("merged", "added"))
    assert (merged.practices["load_strategy"], merged.practices["idempotent"]) == ("merge", True)
    assert (added.practices["load_strategy"], added.practices["idempotent"]) == ("append", False)
    assert pipeline("model.shop.added").load_strategy == "append"
    assert pipeline("model.shop.merged").ingested["dbt"] == merge
    assert problems() == []


def test_models_that_are_not_compiled_keep_what_depends_on_says(tmp_path: Path) -> None:
    raw, python = model("raw", "", "model.shop.orders"), model("py", "import x", "model.shop.orders", language="python")
    ingest(write_target(tmp_path, manifest=shop(raw=raw, py=python)))
    assert edges(pipeline__name="model.shop.raw") == {("wh.mart.orders", "wh.mart.raw")}
    assert edges(pipeline__name="model.shop.py") == {("wh.mart.orders", "wh.mart.py")}
    assert problems() == [("manifest.json", "not_compiled", None)]


def test_runs_are_those_of_what_was_executed_each_once(tmp_path: Path) -> None:
    ran = results(orders="success", daily="error", other="skipped")
    write_target(tmp_path, manifest=shop(other=model("other", "select 1")), run_results=ran)
    assert (ingest(tmp_path).runs, ingest(tmp_path).runs) == (2, 2)
    good, bad = Run.objects.order_by("pipeline__name")[::-1]
    assert (good.external_id, good.state, good.rows_out, good.error) == ("0b1c", "succeeded", 7, "")
    assert (good.ended_at - good.started_at).total_seconds() == 9
    assert (bad.state, bad.error) == ("failed", "no such table: x")


def test_what_docs_generate_writes_is_no_run(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(results(orders="success")))
    write_target(tmp_path, manifest=shop(), run_results=results("generate", orders="success"))
    assert ingest(tmp_path).runs == 0
    assert ingest(tmp_path, run_results=kept).runs == 1


def test_the_same_project_compiled_again_writes_nothing(tmp_path: Path) -> None:
    first = ingest(write_target(tmp_path, manifest=shop(), catalog=catalog(orders={"order_id": "INT"})))
    before, version = rows(), GraphVersion.objects.get().number
    manifest = shop()
    manifest["metadata"]["generated_at"] = "2026-03-02T02:00:00Z"
    manifest["nodes"]["model.shop.orders"]["created_at"] = 99.0
    second = ingest(write_target(tmp_path, manifest=manifest))
    assert second.outcome.unchanged
    assert {**second.to_dict(), "seconds": 0} == {**first.to_dict(), "seconds": 0}
    again = ingest(tmp_path, again=True)
    assert not again.outcome.unchanged
    assert (rows(), GraphVersion.objects.get().number) == (before, version)


def test_a_model_that_is_gone_is_retired_but_not_very_many_at_once(tmp_path: Path) -> None:
    more = {f"m{number}": model(f"m{number}", "select 1 as a") for number in range(8)}
    ingest(write_target(tmp_path, manifest=shop(**more)))
    del more["m0"]
    assert not ingest(write_target(tmp_path, manifest=shop(**more))).outcome.held_back
    assert pipeline("model.shop.m0").status == "retired"
    assert table("wh.mart.m0").status == "retired"
    assert ingest(write_target(tmp_path, manifest=shop())).outcome.held_back == 7
    assert pipeline("model.shop.m1").status == "active"
    assert problems() == [("", "vanished_files", None)]
    ingest(tmp_path, allow_retire=True)
    assert pipeline("model.shop.m1").status == "retired"


def test_a_manifest_of_an_unknown_version_is_read_and_said(tmp_path: Path) -> None:
    manifest = shop()
    manifest["metadata"]["dbt_schema_version"] = "https://schemas.getdbt.com/dbt/manifest/v99.json"
    ingest(write_target(tmp_path, manifest=manifest))
    assert Pipeline.objects.count() == 3
    problem = Problem.objects.get()
    assert problem.code == "unknown_artifact_version"
    assert "version 99; known are 4 to 12" in problem.message


def test_facts_of_other_shapes_are_passed_over(tmp_path: Path) -> None:
    manifest = shop(odd={"resource_type": "model", "columns": [1], "config": None, "tags": 5, "depends_on": "x"})
    manifest["nodes"]["model.shop.none"] = None
    manifest["groups"] = {"group.shop.x": {"name": None, "owner": "me"}}
    ingest(write_target(tmp_path, manifest=manifest))
    assert Pipeline.objects.count() == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (json.dumps(shop())[:-40], "manifest.json is not whole JSON"),
        ("", "manifest.json is not whole JSON"),
        ('{"nodes": {}}', "it is no manifest"),
        ('{"nodes": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}", f"nests deeper than {MAX_DEPTH} levels"),
        (json.dumps(shop()).replace('"wh"', "\udcff", 1).encode("utf-8", "surrogateescape"), "not whole JSON"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused_and_nothing_is_written(
    tmp_path: Path, text: str | bytes, says: str
) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BadArtifact, match=says):
        ingest(tmp_path)
    assert not Pipeline.objects.exists()


def test_a_catalog_cut_off_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    write_target(tmp_path, manifest=shop())
    (tmp_path / "catalog.json").write_text(json.dumps(catalog(orders={"a": "INT"}))[:-9])
    with pytest.raises(CommandError, match="catalog.json is not whole JSON"):
        call_command("ingest_dbt", str(tmp_path), "--jobs", "0")
    assert not Pipeline.objects.exists()
    assert IngestRun.objects.get().state == "failed"


def test_brackets_in_texts_do_not_count_as_nesting(tmp_path: Path) -> None:
    odd = model("odd", "select '" + '[{\\"\\\\' * 1000 + "' as a")
    ingest(write_target(tmp_path, manifest=shop(odd=odd)))
    assert pipeline("model.shop.odd").status == "active"


def test_tables_go_to_the_source_that_speaks_the_adapters_sql(tmp_path: Path) -> None:
    write_target(tmp_path, manifest=shop())
    make_source("lake", dialect="duckdb")
    ingest(tmp_path)
    assert table("wh.mart.orders").source.slug == "lake"
    make_source("other", dialect="duckdb")
    with pytest.raises(BadArtifact, match="Several sources speak duckdb: lake, other"):
        ingest(tmp_path)
    assert not Source.objects.filter(slug="duckdb").exists()


def test_the_command_prints_what_it_found(tmp_path: Path, capsys) -> None:
    write_target(tmp_path, manifest=shop(), run_results=results(orders="success"))
    call_command("ingest_dbt", str(tmp_path), "--jobs", "0", "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["nodes"], found["pipelines"], found["tables"], found["runs"]) == (5, 3, 4, 1)
    with pytest.raises(CommandError, match=r"holds no manifest\.json"):
        call_command("ingest_dbt", str(tmp_path / "nowhere"))


def test_a_table_that_is_built_and_declared_as_a_source_keeps_the_sources_owner(tmp_path: Path) -> None:
    manifest = shop()
    manifest["sources"]["source.shop.mart.orders"] = source("mart", "orders", meta={"owner": "ann@example.com"})
    ingest(write_target(tmp_path, manifest=manifest))
    assert Ownership.objects.filter(table__name="wh.mart.orders", owner__email="ann@example.com").exists()


def test_results_of_tests_become_results_of_checks(tmp_path: Path) -> None:
    manifest = shop()
    manifest["nodes"]["test.shop.adds_up.b2"] = data_test("adds_up", "model.shop.orders", "shop.adds_up", "amount")
    told = results("test", unique_orders="warn", adds_up="pass")
    for result, node in zip(told["results"], ("test.shop.unique_orders", "test.shop.adds_up.b2"), strict=True):
        result |= {"unique_id": node, "failures": 3 if node.endswith("orders") else 0}
    target = write_target(tmp_path, manifest=manifest, run_results=told)
    assert ingest(target).test_results == 2
    found = {(check.name, check.kind, check.state, check.severity, check.origin) for check in Check.objects.all()}
    assert found == {
        ("unique_orders", "unique_key", "warn", "warn", "dbt"),
        ("adds_up", "external", "pass", "warn", "dbt"),
    }
    assert Check.objects.get(kind="unique_key").parameters == {"columns": ["order_id"]}
    ingest(target)
    assert sorted(CheckResult.objects.values_list("value", flat=True)) == [0, 3]


def test_how_old_a_source_was_is_a_result_of_a_check_each_once(tmp_path: Path) -> None:
    bounds = {"warn_after": {"count": 12, "period": "hour"}, "error_after": {"count": 2, "period": "day"}}
    manifest = shop()
    manifest["sources"]["source.shop.raw.orders"] |= {"freshness": bounds, "loaded_at_field": "sent_at"}
    manifest["sources"]["source.shop.raw.odd"] = source("raw", "odd")
    stale = {
        "unique_id": "source.shop.raw.orders",
        "status": "error",
        "snapshotted_at": "2026-03-03T12:00:00Z",
        "max_loaded_at": "2026-03-01T06:00:00Z",
        "max_loaded_at_time_ago_in_s": 194400.0,
        "criteria": bounds,
    }
    broken = {"unique_id": "source.shop.raw.odd", "status": "runtime error", "error": "no such table"}
    unknown = {**stale, "unique_id": "source.other.x.y"}
    metadata = {"invocation_id": "0b1d", "generated_at": "2026-03-03T12:00:05Z"}
    write_target(tmp_path, manifest=manifest, sources={"metadata": metadata, "results": [stale, broken, unknown]})
    for _ in range(2):
        assert ingest(tmp_path).test_results == 2
    old, odd = CheckResult.objects.order_by("-check_of__table__name").select_related("check_of")
    assert (old.state, old.value, old.high, old.check_of.kind) == ("fail", 54.0, 48.0, "freshness")
    assert old.check_of.parameters == {"column": "sent_at", "hours": 48.0}
    assert (odd.state, odd.words, odd.check_of.kind) == ("error", "no such table", "external")
