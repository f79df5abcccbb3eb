"""The `plain` layout: any folder of .sql files, what their front comments say, and what pipekeeper.yaml adds."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.models import Owner, Ownership, Source
from catalog.queries import owners_of
from tests.ingest.folders import column_edges, columns, edges, ingest, pipeline, problems, table, write

pytestmark = pytest.mark.django_db


def test_a_select_builds_the_table_named_by_its_path(tmp_path: Path) -> None:
    write(tmp_path, {"mart/daily.sql": "SELECT day, SUM(amount) AS amount FROM raw.orders GROUP BY day"})
    outcome = ingest(tmp_path)
    assert edges() == {("raw.orders", "mart.daily")}
    assert column_edges("AGGREGATION") == {("raw.orders.amount", "mart.daily.amount")}
    assert [name for name, _, _ in columns("mart.daily")] == ["day", "amount"]
    assert pipeline("mart.daily").repository_path == "mart/daily.sql"
    assert (outcome.summary.pipelines, outcome.summary.tables, outcome.summary.edges) == (1, 2, 1)


def test_a_file_that_says_what_it_builds_is_believed(tmp_path: Path) -> None:
    write(tmp_path, {"jobs/load.sql": "CREATE VIEW mart.v AS SELECT a FROM t; INSERT INTO mart.log SELECT b FROM u"})
    ingest(tmp_path)
    assert edges() == {("t", "mart.v"), ("u", "mart.log")}
    assert table("mart.v").kind == "view"


def test_temporary_tables_are_collapsed_away(tmp_path: Path) -> None:
    sql = """
    CREATE TEMP TABLE one AS SELECT id FROM raw.a;
    CREATE TEMP TABLE two AS SELECT id FROM one;
    INSERT INTO mart.b (id) SELECT id FROM two;
    INSERT INTO mart.c (x) SELECT x FROM raw.d;
    """
    write(tmp_path, {"job.sql": sql})
    ingest(tmp_path, dialect="postgres")
    assert edges() == {("raw.a", "mart.b"), ("raw.d", "mart.c")}


def test_ref_is_the_table_that_file_builds_and_its_columns_resolve_a_star(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "mart/a_consumer.sql": "SELECT * FROM {{ ref('stg_orders') }}",
            "staging/stg_orders.sql": "SELECT id, amount FROM raw.orders",
        },
    )
    ingest(tmp_path)
    assert ("staging.stg_orders", "mart.a_consumer") in edges()
    assert ("staging.stg_orders.amount", "mart.a_consumer.amount") in column_edges("IDENTITY")
    assert problems() == []


def test_macros_and_variables_of_a_dbt_project_are_read_and_are_no_pipelines(tmp_path: Path) -> None:
    project = {
        "dbt_project.yml": "name: shop\nvars:\n  landing: raw\n  shop: {rate: 2}\n  at: '{{ run_started_at }}'\n",
        "macros/cents.sql": "{% macro cents(c) %}({{ c }} * {{ var('rate') }}) / 100{% endmacro %}",
        "macros/latest.sql": "{# the newest #}{% macro latest(of) %}(SELECT max(at) FROM {{ ref(of) }}){% endmacro %}",
        "late/days.sql": "SELECT max(day) AS at FROM raw.days",
        "macros/tests/positive.sql": "{% test positive(model) %}SELECT * FROM {{ model }} WHERE n < 0{% endtest %}",
        "core/orders.sql": "SELECT id, {{ shop.cents('amount') }} AS euro, day FROM {{ var('landing') }}.orders",
        "mart/newest.sql": "SELECT o.* FROM core.orders o WHERE day = {{ latest('days') }}",
    }
    write(tmp_path, project)
    outcome = ingest(tmp_path)
    assert (outcome.summary.pipelines, problems()) == (3, [])
    read = {("raw.orders", "core.orders"), ("core.orders", "mart.newest")}
    assert edges() == read | {("raw.days", "late.days"), ("late.days", "mart.newest")}
    assert column_edges("TRANSFORMATION") == {("raw.orders.amount", "core.orders.euro")}
    assert [name for name, _, _ in columns("mart.newest")] == ["id", "euro", "day"]

    write(tmp_path, {"macros/cents.sql": "{% macro cents(c) %}{{ c }}_cents / 100{% endmacro %}"})
    ingest(tmp_path)
    assert column_edges("TRANSFORMATION") == {("raw.orders.amount_cents", "core.orders.euro")}


def test_front_comments_state_owners_and_facts(tmp_path: Path) -> None:
    sql = """-- owner: ann@example.com, Data Platform
    -- business_owner: Finance
    -- schedule: 0 4 * * *
    -- kind: ab_test
    -- tier: 2
    -- tags: money, board
    -- load_strategy: incremental
    -- catchup: false

    SELECT 1 AS one FROM t -- owner: not.here@example.com
    """
    write(tmp_path, {"mart/x.sql": sql})
    ingest(tmp_path)
    found = pipeline("mart.x")
    owners = owners_of(found)
    assert [owner.email or owner.name for owner in owners.technical] == ["Data Platform", "ann@example.com"]
    assert [(owner.name, owner.kind) for owner in owners.business] == [("Finance", "team")]
    assert (found.schedule, found.kind, found.kind_is_inferred, found.tier) == ("0 4 * * *", "ab_test", False, 2)
    assert (found.load_strategy, found.catchup) == ("incremental", False)
    assert sorted(tag.name for tag in found.tags.all()) == ["board", "money"]


def test_owners_without_a_role_are_technical(tmp_path: Path) -> None:
    settings = 'owners_by_path: {"mart/*": Analytics}'
    write(tmp_path, {"pipekeeper.yaml": settings, "mart/x.sql": "SELECT 1 AS a", "raw/y.sql": "SELECT 1 AS a"})
    outcome = ingest(tmp_path)
    assert {(str(o.pipeline), o.owner.name, o.role) for o in Ownership.objects.all()} == {
        ("mart.x", "Analytics", "technical")
    }
    assert outcome.summary.unowned == 1


def test_a_front_comment_that_means_nothing_is_a_problem_at_its_line(tmp_path: Path) -> None:
    write(tmp_path, {"x.sql": "-- owner: ann@example.com\n-- tier: urgent\nSELECT 1 AS a"})
    ingest(tmp_path)
    assert problems() == [("x.sql", "bad_front_comment", 2)]
    assert pipeline("x").tier is None


SETTINGS = """
dialect: postgres
source: warehouse
default_database: shop
default_schema: core
table_name: "{folder}.{file}"
sources:
  - {name: warehouse, platform: postgres, storage: warehouse, databases: [shop]}
  - {name: Orders DB, platform: mysql, storage: operational_database, databases: [orders_db]}
  - {name: cache, platform: redis, storage: cache}
owners:
  - {name: Ann Lee, email: ann@example.com, team: Platform}
  - {name: Platform, kind: team}
  - {name: Bo, email: bo@example.com, status: left}
tables:
  - name: raw.orders
    description: Orders as of last night.
    provenance: rebuildable
    retention: 30 days
    primary_key: [id]
    columns: {amount: In euro.}
    business_owner: ann@example.com
  - {name: basket, source: cache, kind: key_space, retention: forever}
pipelines:
  - {name: fill_cache, inputs: [raw.orders], outputs: ["cache:basket"], owner: bo@example.com}
"""


def test_settings_declare_sources_tables_owners_and_pipelines(tmp_path: Path) -> None:
    files = {"pipekeeper.yaml": SETTINGS, "raw/orders.sql": "SELECT id, amount FROM orders_db.public.orders"}
    write(tmp_path, files)
    outcome = ingest(tmp_path)
    assert problems() == []
    assert edges() == {("orders_db.public.orders", "shop.raw.orders"), ("shop.raw.orders", "basket")}
    assert table("orders_db.public.orders").source == Source.objects.get(slug="orders-db")
    orders, basket = table("shop.raw.orders"), table("basket")
    assert (orders.retention_days, orders.provenance) == (30, "rebuildable")
    assert (basket.keep_forever, basket.kind, basket.source.slug) == (True, "key_space", "cache")
    described = {column.name: column for column in orders.columns.all()}
    assert (described["id"].is_primary_key, described["amount"].is_primary_key) == (True, False)
    assert (described["amount"].description, described["amount"].position) == ("In euro.", 2)
    assert [owner.name for owner in owners_of(orders).business] == ["Ann Lee"]
    assert Owner.objects.get(slug="ann-lee").team == Owner.objects.get(slug="platform")
    assert Owner.objects.get(email="bo@example.com").status == "left"
    assert outcome.summary.owners == 3


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("CREATE TABLE shop.a.b AS SELECT x FROM shop.a.c", "summary"),
        ("CREATE TABLE shop.a.b AS SELECT x FROM orders_db.public.c", "raw_ingest"),
        ("CREATE TABLE shop.a.b AS SELECT x FROM orders_db.public.c JOIN shop.a.d USING (x)", "summary"),
        ("INSERT INTO orders_db.public.c (x) SELECT x FROM shop.a.b", "production_export"),
        ("INSERT INTO shop.a.b (x) VALUES (1)", ""),
    ],
)
def test_a_kind_not_stated_is_inferred_from_where_data_goes(tmp_path: Path, sql: str, kind: str) -> None:
    write(tmp_path, {"pipekeeper.yaml": SETTINGS, "job.sql": sql})
    ingest(tmp_path)
    found = pipeline("job")
    assert (found.kind, found.kind_is_inferred) == (kind, bool(kind))


def test_a_file_read_by_sql_belongs_to_a_source_of_its_own(tmp_path: Path) -> None:
    sql = "CREATE TABLE mart.a AS SELECT x FROM 's3://lake/events.parquet'"
    write(tmp_path, {"job.sql": sql})
    ingest(tmp_path, dialect="duckdb")
    lake = Source.objects.get(slug="s3")
    assert lake.storage == "lake"
    assert [found.name for found in lake.tables.all()] == ["s3://lake/events.parquet"]


def test_several_builders_are_a_fact_and_two_full_refreshes_a_problem(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "one.sql": "CREATE OR REPLACE TABLE mart.seg AS SELECT a FROM t",
            "two.sql": "CREATE OR REPLACE TABLE mart.seg AS SELECT b FROM u",
            "log.sql": "INSERT INTO mart.log (a) SELECT a FROM t",
            "more.sql": "INSERT INTO mart.log (a) SELECT a FROM u",
        },
    )
    ingest(tmp_path, dialect="duckdb")
    assert edges(target_table__name="mart.log") == {("t", "mart.log"), ("u", "mart.log")}
    assert problems(code="two_full_refresh_builders") == [
        ("one.sql", "two_full_refresh_builders", None),
        ("two.sql", "two_full_refresh_builders", None),
    ]


def test_secrets_are_not_stored(tmp_path: Path) -> None:
    sql = (
        "CREATE USER etl PASSWORD 'hunter2secret';\nCOPY t FROM 's3://b/k' CREDENTIALS 'aws_secret_access_key=abc/def';"
    )
    write(tmp_path, {"x.sql": sql})
    ingest(tmp_path, dialect="redshift")
    version = pipeline("x").sql_versions.get()
    assert "hunter2secret" not in version.sql
    assert "abc/def" not in version.sql
    assert version.sql.count("\n") == sql.count("\n")
