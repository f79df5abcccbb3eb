"""Crawls of databases that really run: what is found, what changes, what is gone, and what only seems to be."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command

from audits.deletion.models import DeletionReview, ReviewedTable
from audits.usage.models import LogCoverage, Read
from catalog.addresses import ConnectionProblem
from catalog.connections import open_source
from catalog.facts import ColumnFact, SourceFact, TableFact
from catalog.ingested import store_sources, store_tables
from catalog.models import Column, Pipeline, SchemaChange, SearchDocument, Source, Table
from ingest.jobs import perform
from ingest.live_catalogs import SYSTEMS
from ingest.models import IngestRun
from ingest.services import _Ingest
from lineage.models import ColumnEdge, EdgeOrigin, Problem, TableEdge
from tests.factories import make_edge, make_pipeline, make_source
from tests.live import PASSWORD, DuckDB, MariaDB, PostgreSQL

pytestmark = pytest.mark.django_db

ORDERS = "CREATE TABLE orders (id integer PRIMARY KEY, total decimal(9, 2), note varchar(20))"
CUSTOMERS = "CREATE TABLE customers (id integer, name varchar(50))"
DAILY = (
    "CREATE VIEW daily AS "
    "SELECT o.id, sum(o.total) AS amount FROM orders o JOIN customers c ON c.id = o.id GROUP BY o.id"
)


@pytest.fixture(params=[DuckDB, PostgreSQL, MariaDB], ids=lambda engine: engine.__name__)
def engine(request, tmp_path, monkeypatch) -> Iterator[DuckDB | PostgreSQL | MariaDB]:
    engine = request.param(tmp_path, "pk_crawl")
    engine.run(ORDERS, CUSTOMERS, DAILY, "INSERT INTO orders VALUES (1, 2.50, 'a'), (2, 7, 'b')")
    if engine.dialect == "mysql":
        engine.run("ALTER TABLE orders COMMENT = 'What was bought', MODIFY note varchar(20) COMMENT 'By hand'")
    else:
        engine.run("COMMENT ON TABLE orders IS 'What was bought'", "COMMENT ON COLUMN orders.note IS 'By hand'")
    monkeypatch.setenv("SHOP_URL", engine.address)
    yield engine
    engine.drop()


@pytest.fixture
def postgres(tmp_path, monkeypatch) -> Iterator[PostgreSQL]:
    engine = PostgreSQL(tmp_path, "pk_crawl_one")
    monkeypatch.setenv("SHOP_URL", engine.address)
    yield engine
    engine.drop()


@pytest.fixture
def duckdb_file(tmp_path, monkeypatch) -> DuckDB:
    engine = DuckDB(tmp_path, "shop")
    monkeypatch.setenv("SHOP_URL", engine.address)
    return engine


@pytest.fixture(autouse=True)
def source(db) -> Source:
    return make_source("live", connection="SHOP_URL")


def crawl(*options: str) -> dict:
    """What one crawl says of itself; `{"exit": …}` is how it ended."""
    said, code = StringIO(), 0
    try:
        call_command("crawl", "live", "--jobs", "0", "--json", *options, stdout=said)
    except SystemExit as ended:
        code = ended.code
    return json.loads(said.getvalue()) | {"exit": code}


def full(engine, name: str) -> str:
    parts = [engine.schema, name] if engine.dialect == "mysql" else [engine.database, engine.schema, name]
    return ".".join(parts)


def table(engine, name: str) -> Table:
    return Table.objects.get(source__slug="live", name=full(engine, name))


def recorded() -> list[tuple[str, str, str, str]]:
    return list(SchemaChange.objects.order_by("id").values_list("change", "column", "before", "after"))


def test_tables_columns_comments_and_keys(engine) -> None:
    answer = crawl()
    assert (answer["tables"], answer["views"], answer["columns"], answer["exit"]) == (3, 1, 7, 0)
    orders = table(engine, "orders")
    assert (orders.kind, orders.description, orders.origin) == ("table", "What was bought", "ingest")
    columns = list(orders.columns.values_list("name", "position", "description", "is_primary_key"))
    assert columns == [("id", 1, "", True), ("total", 2, "", False), ("note", 3, "By hand", False)]
    assert orders.columns.get(name="total").type.lower().replace(" ", "") in ("decimal(9,2)", "numeric(9,2)")
    assert orders.crawled_at is not None
    assert recorded() == []


def test_rows_and_sizes_where_the_database_keeps_them(engine) -> None:
    engine.run("ANALYZE TABLE orders" if engine.dialect == "mysql" else "ANALYZE")
    crawl()
    orders, daily = table(engine, "orders"), table(engine, "daily")
    assert orders.row_count == 2
    assert orders.size_bytes > 0
    assert (daily.row_count, daily.size_bytes) == (None, None)
    assert (orders.source_created_at is not None) is (engine.dialect == "mysql")


def test_a_view_is_a_pipeline_with_its_lineage(engine) -> None:
    crawl()
    daily = table(engine, "daily")
    assert daily.kind == "view"
    builder = Pipeline.objects.get(name=f"live:{daily.name}")
    edges = TableEdge.objects.filter(pipeline=builder, target_table=daily, valid_to=None)
    sources = {edge.source_table.name for edge in edges}
    assert sources == {full(engine, "orders"), full(engine, "customers")}
    amount = ColumnEdge.objects.get(target_column__name="amount", valid_to=None, kind="AGGREGATION")
    assert (amount.source_column.name, amount.source_table.name) == ("total", full(engine, "orders"))
    assert not Problem.objects.exists()


def test_a_second_crawl_changes_nothing(engine) -> None:
    crawl()
    before = [list(model.objects.order_by("id").values()) for model in (Column, TableEdge, ColumnEdge, Pipeline)]
    crawl()
    assert before == [
        list(model.objects.order_by("id").values()) for model in (Column, TableEdge, ColumnEdge, Pipeline)
    ]
    assert recorded() == []
    assert IngestRun.objects.filter(kind="crawl", scope="crawl:live", state="done").count() == 2


def test_changed_columns_become_schema_changes(engine) -> None:
    crawl()
    engine.run(
        "DROP VIEW daily", "ALTER TABLE orders RENAME COLUMN total TO amount", "ALTER TABLE customers ADD age integer"
    )
    assert crawl()["schema_changes"] == 2
    assert {(change, column) for change, column, _, _ in recorded()} == {("renamed", "amount"), ("added", "age")}
    engine.run("ALTER TABLE orders DROP COLUMN note")
    crawl()
    assert recorded()[2][:2] == ("dropped", "note")


def test_what_is_gone_is_retired_and_comes_back(engine) -> None:
    crawl()
    engine.run("DROP VIEW daily", "DROP TABLE customers")
    crawl()
    assert {table(engine, name).status for name in ("daily", "customers")} == {"retired"}
    assert Pipeline.objects.get(name__startswith="live:").status == "retired"
    assert not TableEdge.objects.filter(valid_to=None).exists()
    assert table(engine, "orders").status == "active"
    engine.run(CUSTOMERS, DAILY)
    crawl()
    assert {table(engine, name).status for name in ("daily", "customers")} == {"active"}
    assert Pipeline.objects.get(name__startswith="live:").status == "active"


def test_when_much_is_gone_nothing_is_retired_until_a_person_says_so(duckdb_file) -> None:
    duckdb_file.run(*(f"CREATE TABLE t{number} (id integer)" for number in range(12)))
    crawl()
    seen_at = Source.objects.get().crawled_at
    duckdb_file.run(*(f"DROP TABLE t{number}" for number in range(6)))
    answer = crawl()
    assert (answer["exit"], answer["held_back"]) == (1, 6)
    assert Table.objects.filter(status="active").count() == 12
    assert Source.objects.get().crawled_at == seen_at  # it has not been seen as a whole since
    assert "6 of 12 known tables are gone" in Problem.objects.get(code="vanished_files").message
    assert crawl("--allow-retire")["exit"] == 0
    assert Table.objects.filter(status="active").count() == 6
    assert not Problem.objects.exists()


def test_lost_rights_retire_nothing(tmp_path, monkeypatch) -> None:
    engine = MariaDB(tmp_path, "pk_rights")
    monkeypatch.setenv("SHOP_URL", engine.address)
    try:
        engine.run(ORDERS, CUSTOMERS)
        crawl()
        engine.run(
            f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {engine.user}@'%'",
            f"GRANT SELECT ON {engine.database}.orders TO {engine.user}@'%'",
        )
        answer = crawl()
        assert (answer["exit"], answer["held_back"], answer["tables"]) == (1, 1, 1)
        assert table(engine, "customers").status == "active"
    finally:
        engine.drop()


def test_rights_that_postgres_takes_away_hide_nothing(postgres) -> None:
    postgres.run(ORDERS, CUSTOMERS)
    crawl()
    postgres.run(f"REVOKE pg_read_all_data FROM {postgres.user}", "REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    answer = crawl()
    assert (answer["exit"], answer["tables"], answer["held_back"]) == (0, 2, 0)


def test_a_database_that_goes_away_changes_nothing(engine) -> None:
    crawl()
    before = list(Table.objects.values())
    engine.drop() if engine.dialect != "duckdb" else engine.path.rename(engine.path.with_suffix(".away"))
    with pytest.raises(CommandError) as refused:
        call_command("crawl", "live", "--jobs", "0")
    assert refused.value.returncode == 2
    assert before == list(Table.objects.values())
    run = IngestRun.objects.first()
    assert run.state == "failed"
    assert run.error == str(refused.value)
    assert PASSWORD not in run.error
    if engine.dialect == "duckdb":
        engine.path.with_suffix(".away").rename(engine.path)


def test_a_database_that_goes_away_in_the_middle_leaves_nothing_half_written(postgres) -> None:
    postgres.run(ORDERS, CUSTOMERS)

    def end_sessions(step: str, done: int, of: int) -> None:
        if (step, done) == ("Asking the database", 2):
            postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{postgres.user}'")

    run = IngestRun(kind="crawl", scope="crawl:live", actor_name="test", options={"source": "live", "jobs": 0})
    run.options["allow_retire"] = False
    with pytest.raises(ConnectionProblem, match="was lost"):
        perform(run, end_sessions)
    assert not Table.objects.exists()
    assert (run.state, "Try again" in run.error) == ("failed", True)


def test_a_database_that_goes_away_while_rows_arrive_was_lost(postgres) -> None:
    ending = "CASE n WHEN 50000 THEN pg_terminate_backend(pg_backend_pid()) END"
    with open_source(Source.objects.get()) as connection, pytest.raises(ConnectionProblem, match="was lost"):
        connection.run(f"SELECT {ending} FROM generate_series(1, 90000) n", max_rows=100_000)


def test_a_locked_table_is_crawled_without_its_size(postgres) -> None:
    postgres.run(ORDERS, CUSTOMERS)
    crawl()
    before = table(postgres, "orders").size_bytes
    postgres.run("ALTER TABLE orders ADD more text")
    with psycopg.connect(f"{postgres.server}/{postgres.database}") as other:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        answer = crawl()
    assert (answer["exit"], answer["tables"], answer["sized"]) == (0, 2, 1)
    assert table(postgres, "orders").size_bytes == before > 0
    assert table(postgres, "orders").columns.filter(name="more").exists()


def test_a_view_on_a_locked_table_is_waited_for_and_told(postgres, monkeypatch) -> None:
    postgres.run(ORDERS, "CREATE VIEW daily AS SELECT id FROM orders")
    system = SYSTEMS["postgres"]
    hasty = replace(system, tables=system.tables.replace("'30s'", "'200ms'"))
    monkeypatch.setitem(SYSTEMS, "postgres", hasty)
    with psycopg.connect(f"{postgres.server}/{postgres.database}") as other:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(CommandError, match="locked there by another session"):
            call_command("crawl", "live", "--jobs", "0")
    assert not Table.objects.exists()
    assert crawl()["views"] == 1


def test_what_a_killed_crawl_stored_is_found_after_the_next(duckdb_file, monkeypatch) -> None:
    """It had stored every table, but not yet what follows from them."""
    duckdb_file.run(ORDERS)
    crawl()
    duckdb_file.run(CUSTOMERS)

    def die(self) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(_Ingest, "index", die)
        crawl()
    assert table(duckdb_file, "customers")
    assert not SearchDocument.objects.filter(name__endswith="customers").exists()
    crawl()
    assert SearchDocument.objects.filter(name__endswith="customers").exists()


def test_the_address_is_stored_nowhere(engine) -> None:
    engine.run("DROP TABLE customers CASCADE" if engine.dialect != "mysql" else "DROP TABLE customers")
    crawl()
    models = (Source, Table, Column, Pipeline, IngestRun, Problem)
    stored = str([list(model.objects.values()) for model in models])
    assert "SHOP_URL" in stored
    assert PASSWORD not in stored
    assert engine.address not in stored


def test_what_a_repository_describes_stays_its_own(engine) -> None:
    """The crawl gives it columns, rows and size; its words, its builder and its life are the repository's."""
    sources = store_sources([SourceFact("live", "Live", "duckdb")])
    name = full(engine, "orders")
    described = TableFact("live", name, {"description": "Ours"}, (ColumnFact("id", "TEXT", "The key"),))
    store_tables([described], sources, {}, "repo")
    crawl()
    orders = table(engine, "orders")
    assert (orders.description, orders.stated_in) == ("Ours", "repo")
    assert [column.name for column in orders.columns.all()] == ["id", "total", "note"]
    assert orders.columns.get(name="id").description == "The key"
    assert orders.columns.get(name="note").description == "By hand"
    changes = recorded()
    for _ in range(2):  # neither takes the other's word back
        store_tables([described], sources, {}, "repo")
        crawl()
    assert recorded() == changes
    assert [column.name for column in orders.columns.all()] == ["id", "total", "note"]


def test_a_view_that_a_repository_builds_has_one_builder(duckdb_file) -> None:
    duckdb_file.run(ORDERS, "CREATE VIEW daily AS SELECT id FROM orders")
    sources = store_sources([SourceFact("live", "Live", "duckdb")])
    ids = store_tables([TableFact("live", "shop.main.daily")], sources, {}, "repo")
    make_edge(
        make_pipeline("repo.daily", stated_in="repo"),
        target=Table.objects.get(pk=ids["live", "shop.main.daily"]),
        origin=EdgeOrigin.DECLARED,
    )
    crawl()
    assert [pipeline.name for pipeline in Pipeline.objects.all()] == ["repo.daily"]


def test_names_without_the_database_stay_so(postgres) -> None:
    postgres.run(ORDERS, "CREATE VIEW daily AS SELECT id, total FROM orders")
    sources = store_sources([SourceFact("live", "Live", "postgres")])
    store_tables([TableFact("live", "public.orders")], sources, {}, "repo")
    crawl()
    assert set(Table.objects.values_list("name", flat=True)) == {"public.orders", "public.daily"}
    edge = TableEdge.objects.get(valid_to=None)
    assert (edge.source_table.name, edge.target_table.name) == ("public.orders", "public.daily")


def test_what_others_state_and_the_database_lost_is_a_problem(duckdb_file) -> None:
    duckdb_file.run(ORDERS, CUSTOMERS)
    sources = store_sources([SourceFact("live", "Live", "duckdb")])
    store_tables([TableFact("live", "shop.main.orders")], sources, {}, "repo")
    crawl()
    duckdb_file.run("DROP TABLE orders")
    assert crawl()["gone"] == 1
    assert "no longer has shop.main.orders, but repo still states it" in Problem.objects.get().message
    assert Table.objects.get(name="shop.main.orders").status == "active"
    duckdb_file.run(ORDERS)
    assert crawl()["gone"] == 0
    assert not Problem.objects.exists()


def review(table: Table, state: str) -> DeletionReview:
    made = DeletionReview.objects.create(state=state, evidence_until=dt.date.today())
    base = table.name
    ReviewedTable.objects.create(
        review=made, table=table, position=1, quarantine_name=f"{base}__quarantine_1", kept_name=f"{base}__kept_1"
    )
    return made


def test_a_table_in_quarantine_is_still_there(duckdb_file) -> None:
    duckdb_file.run(ORDERS, CUSTOMERS)
    crawl()
    review(Table.objects.get(name="shop.main.orders"), DeletionReview.State.QUARANTINED)
    duckdb_file.run("ALTER TABLE orders RENAME TO orders__quarantine_1")
    crawl()
    names = set(Table.objects.filter(status="active").values_list("name", flat=True))
    assert names == {"shop.main.orders", "shop.main.customers"}


def test_a_crawl_that_no_longer_sees_a_deleted_table_confirms_it(duckdb_file) -> None:
    duckdb_file.run(ORDERS, CUSTOMERS)
    sources = store_sources([SourceFact("live", "Live", "duckdb")])
    store_tables([TableFact("live", "shop.main.orders")], sources, {}, "repo")  # which goes on stating it
    crawl()
    made = review(Table.objects.get(name="shop.main.orders"), DeletionReview.State.DELETED)
    crawl()
    made.refresh_from_db()
    assert made.state == DeletionReview.State.DELETED
    duckdb_file.run("ALTER TABLE orders RENAME TO orders__kept_1")
    assert crawl()["confirmed_reviews"] == 1
    made.refresh_from_db()
    assert made.state == DeletionReview.State.CONFIRMED
    assert not Table.objects.filter(name__contains="kept").exists()


def scanned(postgres: PostgreSQL, times: int) -> None:
    """The statistics are written when a session ends, or within a second."""
    for _ in range(times):
        postgres.run("SELECT count(*) FROM orders", "SELECT pg_stat_force_next_flush()")


def test_scans_count_from_the_second_crawl_on_and_cover_nothing(postgres) -> None:
    """PostgreSQL 16 also tells when the last scan was: that one counts in the first crawl, too."""
    ((tells_when,),) = postgres.run("SELECT current_setting('server_version_num')::int >= 160000")
    postgres.run(ORDERS)
    scanned(postgres, 3)
    assert crawl()["reads"] == int(tells_when)  # nobody knows when the others were
    scanned(postgres, 2)
    assert crawl()["reads"] == 1
    assert {(read.table.name, read.reader.name) for read in Read.objects.all()} == {(full(postgres, "orders"), "")}
    assert sum(read.count for read in Read.objects.all()) == 2 + int(tells_when)
    assert crawl()["reads"] == 0
    assert not LogCoverage.objects.exists()


def test_a_source_with_a_log_needs_no_scans(postgres, source) -> None:
    postgres.run(ORDERS)
    moment = "2026-03-02T00:00:00Z"
    LogCoverage.objects.create(source=source, covers_from=moment, covers_to=moment, format="generic", entries=1)
    crawl()
    scanned(postgres, 2)
    assert crawl()["reads"] == 0


def test_partitions_are_part_of_their_table(postgres) -> None:
    postgres.run(
        "CREATE TABLE visits (day date, n integer) PARTITION BY RANGE (day)",
        "CREATE TABLE visits_jan PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "INSERT INTO visits SELECT '2026-01-02', generate_series(1, 500)",
        "ANALYZE",
    )
    assert crawl()["tables"] == 1
    visits = table(postgres, "visits")
    assert visits.row_count == 500
    assert visits.size_bytes > 8000


def test_odd_names(postgres) -> None:
    postgres.run(
        'CREATE SCHEMA "Odd one"',
        'CREATE TABLE "Odd one"."Order.Lines" ("Id" integer, "total %" integer)',
        'CREATE VIEW public."Sum of it" AS SELECT "Id" FROM "Odd one"."Order.Lines"',
    )
    crawl()
    lines = f'{postgres.database}.Odd one."Order.Lines"'
    assert [column.name for column in Table.objects.get(name=lines).columns.all()] == ["Id", "total %"]
    edge = TableEdge.objects.get(valid_to=None)
    assert (edge.source_table.name, edge.target_table.name) == (lines, f"{postgres.database}.public.Sum of it")


def test_a_view_that_cannot_be_read_is_a_problem(duckdb_file, monkeypatch) -> None:
    duckdb_file.run(ORDERS, "CREATE VIEW odd AS FROM orders SELECT id QUALIFY row_number() OVER () = 1")
    answer = crawl()
    assert answer["views"] == 1
    edges = TableEdge.objects.filter(source_table__name="shop.main.orders").exists()
    assert edges or answer["problems"]


@pytest.mark.parametrize(
    ("source_slug", "words"),
    [("none", "No source has the slug none. There are: live."), ("live", "SHOP_URL is not set")],
)
def test_wrong_use_is_told(source_slug, words) -> None:
    with pytest.raises(CommandError, match=words) as refused:
        call_command("crawl", source_slug)
    assert refused.value.returncode == 2


def test_sqlite_is_crawled_by_what_it_tells(tmp_path, monkeypatch) -> None:
    path = tmp_path / "shop.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{ORDERS}; CREATE VIEW daily AS SELECT id, total FROM orders;")
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{path}")
    answer = crawl()
    assert (answer["tables"], answer["views"], answer["sized"], answer["exit"]) == (2, 1, 0, 0)
    columns = Column.objects.filter(table__name="orders").values_list("name", "is_primary_key")
    assert list(columns) == [("id", True), ("total", False), ("note", False)]
    edge = TableEdge.objects.get(valid_to=None)
    assert (edge.source_table.name, edge.target_table.name) == ("orders", "daily")
