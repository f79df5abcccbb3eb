"""A dbt project that dbt itself builds on DuckDB, in an environment made for it: `pytest -m dbt`.

Takes some minutes, most of them to install dbt. The project is in `dbt_shop/`; `broken.sql` fails, as models do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from catalog.models import Column, Ownership, Pipeline, Run, Table
from lineage.models import Problem, SqlVersion
from tests.ingest.dbt_projects import ingest
from tests.ingest.folders import column_edges, edges, pipeline, table

pytestmark = [pytest.mark.dbt, pytest.mark.django_db]

PACKAGES = ["dbt-core>=1.11.16,<1.12", "dbt-duckdb==1.11.1"]
PROJECT = Path(__file__).parent / "dbt_shop"
BUILDS = {
    ("shop.main.raw_orders", "shop.main.orders"),
    ("shop.main.raw_customers", "shop.main.customers"),  # through the ephemeral model known_customers
    ("shop.main.orders", "shop.main.customers"),
    ("shop.main.orders", "shop.main.daily_takings"),
    ("shop.main.customers", "shop.main.by_country"),
    ("shop.main.orders", "shop.main.broken"),
    ("shop.main.raw_customers", "shop.main_history.customers_over_time"),
    ("", "shop.main.raw_orders"),
    ("", "shop.main.raw_customers"),
    ("shop.main.daily_takings", "shop.takings_board"),
    ("shop.main.customers", "shop.takings_board"),
    ("shop.main.daily_takings", "shop.main.daily_takings"),  # what is in it says from when on to add
    ("shop.main.raw_customers", "shop.main.by_country"),  # in a comment that only dbt reads: declared
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, built, documented, and built once more, so that its incremental model is loaded as one."""
    place = tmp_path_factory.mktemp("dbt")
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    subprocess.run([place / "venv/bin/python", "-m", "pip", "install", "-q", *PACKAGES], check=True)
    project = shutil.copytree(PROJECT, place / "shop")

    def dbt(*words: str) -> int:
        quiet = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        command = [place / "venv/bin/dbt", *words, "--profiles-dir", "."]
        return subprocess.run(command, cwd=project, env=quiet, stdout=subprocess.DEVNULL).returncode

    assert dbt("seed") == 0  # the source is a seed as well, which dbt does not know to build first
    for _ in range(2):
        assert dbt("build") == 1  # broken.sql
    shutil.copy(project / "target/run_results.json", project / "results.json")
    assert dbt("docs", "generate") == 0
    return project


@pytest.fixture
def ingested(project: Path) -> None:
    ingest(project / "target", run_results=project / "results.json")


def test_the_project_arrives_as_its_files_state_it(ingested: None) -> None:
    assert edges() == BUILDS
    names = set(Pipeline.objects.values_list("name", flat=True))
    models = ("orders", "customers", "daily_takings", "by_country", "broken")
    assert names == {
        *(f"model.shop.{name}" for name in models),
        "seed.shop.raw_orders",
        "seed.shop.raw_customers",
        "snapshot.shop.customers_over_time",
        "exposure.shop.takings_board",
    }
    kinds = dict(Table.objects.values_list("name", "kind"))
    assert (kinds["shop.main.by_country"], kinds["shop.takings_board"]) == ("view", "dashboard")
    assert table("shop.main_history.customers_over_time").provenance == "original"
    assert table("shop.main.orders").description == "One row an order"
    assert set(pipeline("model.shop.by_country").tags.values_list("name", flat=True)) == {"regional"}


def test_columns_are_those_of_the_database_that_dbt_built(ingested: None, project: Path) -> None:
    with duckdb.connect(str(project / "shop.duckdb"), read_only=True) as connection:
        built = connection.execute(
            "SELECT concat_ws('.', table_catalog, table_schema, table_name), column_name, data_type, ordinal_position "
            "FROM information_schema.columns WHERE table_schema NOT LIKE '%audit' ORDER BY 1, 4"
        ).fetchall()
    listed = Column.objects.filter(position__isnull=False).exclude(table__name="shop.main.broken")
    known = listed.order_by("table__name", "position").values_list("table__name", "name", "type", "position")
    assert list(known) == built
    key = Column.objects.get(table__name="shop.main.orders", name="order_id")
    assert (key.is_primary_key, key.description) == (True, "The till's number")


def test_columns_are_traced_through_what_dbt_compiled(ingested: None) -> None:
    assert ("shop.main.raw_orders.id", "shop.main.orders.order_id") in column_edges("IDENTITY")
    assert ("shop.main.orders.amount", "shop.main.customers.lifetime_value") in column_edges("AGGREGATION")
    assert ("shop.main.raw_customers.email", "shop.main.customers.email") in column_edges("TRANSFORMATION")
    assert ("shop.main.raw_customers.email", "shop.main.customers.*") in column_edges("FILTER")


def test_owners_are_the_groups_and_those_in_meta_and_exposures(ingested: None) -> None:
    owners = set(
        Ownership.objects.exclude(pipeline=None).values_list("pipeline__name", "role", "owner__name", "owner__kind")
    )
    assert {
        ("model.shop.orders", "technical", "Finance Data", "team"),
        ("model.shop.customers", "technical", "Customer Desk", "team"),
        ("exposure.shop.takings_board", "business", "Ida", "person"),
    } <= owners
    assert Ownership.objects.get(table__name="shop.main.raw_orders").owner.email == "ingest@example.com"


def test_tests_stand_beside_their_tables(ingested: None) -> None:
    tests = {(test["test"], test["column"], test["severity"]) for test in table("shop.main.orders").ingested["tests"]}
    assert tests == {
        ("unique", "order_id", "error"),
        ("not_null", "order_id", "error"),
        ("relationships", "customer_id", "error"),
    }
    [accepted] = table("shop.main.customers").ingested["tests"]
    assert (accepted["test"], accepted["severity"], accepted["arguments"]["values"]) == ("accepted_values", "warn", [7])


def test_runs_are_those_of_the_last_build(ingested: None) -> None:
    runs = {run.pipeline.name: run for run in Run.objects.select_related("pipeline")}
    assert len({run.external_id for run in runs.values()}) == 1
    states = {name: run.state for name, run in runs.items()}
    assert (states["model.shop.broken"], states["model.shop.customers"]) == ("failed", "succeeded")
    assert "nowhere" in runs["model.shop.broken"].error
    assert runs["seed.shop.raw_orders"].rows_out == 3
    assert not any(name.startswith("exposure") for name in states)


def test_an_incremental_model_is_judged_as_one(ingested: None) -> None:
    practices = SqlVersion.objects.get(pipeline__name="model.shop.daily_takings").practices
    assert (practices["load_strategy"], practices["idempotent"]) == ("incremental", True)
    assert "unique_key" in practices["reasons"][0]["message"]


def test_what_only_depends_on_names_is_a_problem_and_nothing_else_is(ingested: None) -> None:
    found = Problem.objects.values_list("pipeline__name", "code", "severity")
    assert set(found) == {
        ("model.shop.by_country", "depends_on_differs", "warning"),
        ("model.shop.broken", "unresolved_column", "warning"),
    }


def test_a_second_ingest_changes_nothing(ingested: None, project: Path) -> None:
    before = [model.objects.count() for model in (Table, Pipeline, Column, SqlVersion, Run, Problem)]
    again = ingest(project / "target", run_results=project / "results.json")
    assert again.outcome.unchanged
    assert [model.objects.count() for model in (Table, Pipeline, Column, SqlVersion, Run, Problem)] == before
