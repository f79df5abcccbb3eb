"""Query logs of every format into reads: what each history hides, what is bad input, and that nothing counts twice."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from django.core.management import CommandError, call_command

from audits.usage.models import (
    ColumnRead,
    FailedRead,
    LogCoverage,
    LoggedDay,
    LoggedEdge,
    QueryFingerprint,
    Read,
    Reader,
    SeenRead,
    UnparsedQuery,
)
from audits.usage.services import attach_all_seen_names
from catalog.models import Source, Table
from ingest import log_entries
from ingest.fingerprints import lexis
from ingest.log_entries import Entries
from ingest.log_files import BadLog, Notes, open_log
from ingest.log_formats import FORMATS
from ingest.log_sql import LogSql
from ingest.query_logs import Imported, LogImport, import_log
from tests.factories import make_column, make_owner, make_pipeline, make_source, make_table

pytestmark = pytest.mark.django_db

DAY = dt.date(2026, 3, 2)
AT = "2026-03-02T09:00:00Z"


@pytest.fixture
def source() -> Source:
    return make_source("wh", dialect="duckdb")


@pytest.fixture
def orders(source: Source) -> Table:
    return make_table("wh.shop.orders", source)


def ask(query: str, user: str = "ann@shop.example", start_time: str = AT, **more: Any) -> dict[str, Any]:
    """An entry of a generic log."""
    return {"query": query, "user": user, "start_time": start_time, **more}


def write(folder: Path, rows: Iterable[dict[str, Any]], name: str = "log.jsonl") -> Path:
    """Rows as JSON lines, or as CSV where the name says so."""
    path = folder / name
    rows = list(rows)
    if ".csv" in name:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def load(*paths: Path, source: Source, form: str = "generic", **more: Any) -> Imported:
    dialect = FORMATS[form].dialect or source.dialect
    return import_log(LogImport(list(paths), FORMATS[form], source, dialect, workers=0, **more))


def load_rows(
    folder: Path, rows: Iterable[dict[str, Any]], source: Source, form: str = "generic", **more: Any
) -> Imported:
    return load(write(folder, rows), source=source, form=form, **more)


def reads() -> list[tuple[str, str, str, int]]:
    """(table, day, reader, count) of every read."""
    rows = Read.objects.order_by("table__name", "day", "reader__name")
    return [
        (read.table.name, str(read.day), read.reader.name, read.count)
        for read in rows.select_related("table", "reader")
    ]


def seen() -> list[tuple[str, int]]:
    return list(SeenRead.objects.order_by("name__name").values_list("name__name", "count"))


def edges() -> list[tuple[str, str, int]]:
    rows = LoggedEdge.objects.order_by("source_name", "target_name")
    return list(rows.values_list("source_name", "target_name", "count"))


class TestReads:
    def test_reads_per_table_day_and_reader(self, tmp_path: Path, source: Source, orders: Table) -> None:
        rows = [
            ask("SELECT * FROM shop.orders WHERE id = 1", database="wh"),
            ask("SELECT * FROM shop.orders WHERE id = 2", database="wh", start_time="2026-03-02T10:00:00Z"),
            ask("SELECT * FROM shop.orders WHERE id = 3", database="wh", start_time="2026-03-03T10:00:00Z"),
            ask("SELECT * FROM wh.shop.orders", user="bo@shop.example"),
        ]
        result = load_rows(tmp_path, rows, source)
        assert reads() == [
            ("wh.shop.orders", "2026-03-02", "ann@shop.example", 2),
            ("wh.shop.orders", "2026-03-02", "bo@shop.example", 1),
            ("wh.shop.orders", "2026-03-03", "ann@shop.example", 1),
        ]
        assert (result.entries, result.reads, result.fingerprints, result.unparsed) == (4, 4, 2, 0)
        last = Read.objects.get(reader__name="ann@shop.example", day=DAY).last_at
        assert last == dt.datetime(2026, 3, 2, 10, tzinfo=dt.UTC)

    def test_columns_that_the_query_names(self, tmp_path: Path, source: Source, orders: Table) -> None:
        amount, _unused = make_column("amount", orders), make_column("note", orders)
        rows = [ask("SELECT sum(o.amount) FROM wh.shop.orders o"), ask("SELECT * FROM wh.shop.orders", user="bo")]
        load_rows(tmp_path, rows, source)
        (read,) = ColumnRead.objects.all()
        assert (read.column, read.count, str(read.month), read.days) == (amount, 1, "2026-03-01", 0b10)

    def test_days_of_a_column_are_kept(self, tmp_path: Path, source: Source, orders: Table) -> None:
        make_column("amount", orders)
        times = ["2026-03-01T00:00:00Z", "2026-03-31T23:59:59Z", "2026-03-31T23:00:00Z"]
        load_rows(tmp_path, [ask("SELECT amount FROM wh.shop.orders", start_time=time) for time in times], source)
        read = ColumnRead.objects.get()
        assert (read.count, read.days) == (3, (1 << 30) | 1)

    def test_a_day_is_one_of_utc(self, tmp_path: Path, source: Source, orders: Table) -> None:
        load_rows(tmp_path, [ask("SELECT 1 FROM wh.shop.orders", start_time="2026-03-02T20:00:00-08:00")], source)
        assert reads() == [("wh.shop.orders", "2026-03-03", "ann@shop.example", 1)]

    def test_failed_and_cancelled_queries_are_no_use(self, tmp_path: Path, source: Source, orders: Table) -> None:
        rows = [
            ask("SELECT * FROM wh.shop.orders", status="failed"),
            ask("SELECT 1 FROM wh.shop.orders", status="CANCELLED"),
            ask("SELECT * FROM wh.shop.orders_old", status="failed"),
        ]
        load_rows(tmp_path, rows, source)
        assert reads() == [] and seen() == []
        failed = FailedRead.objects.order_by("name").values_list("name", "table", "count")
        assert list(failed) == [("wh.shop.orders", orders.pk, 2), ("wh.shop.orders_old", None, 1)]

    def test_what_writes_is_an_edge_and_what_only_reads_a_use(
        self, tmp_path: Path, source: Source, orders: Table
    ) -> None:
        daily = make_table("wh.mart.daily", source)
        load_rows(tmp_path, [ask("CREATE TABLE wh.mart.daily AS SELECT day FROM wh.shop.orders GROUP BY day")], source)
        assert reads() == []
        edge = LoggedEdge.objects.get()
        assert (edge.source_table, edge.target_table, edge.count) == (orders, daily, 1)

    def test_a_write_that_reads_nothing(self, tmp_path: Path, source: Source, orders: Table) -> None:
        load_rows(tmp_path, [ask("INSERT INTO wh.shop.orders VALUES (1, 'x')")], source)
        assert edges() == [("", "wh.shop.orders", 1)]

    def test_a_table_read_by_the_query_that_writes_it(self, tmp_path: Path, source: Source, orders: Table) -> None:
        query = "INSERT INTO wh.shop.orders SELECT * FROM wh.raw.o WHERE id > (SELECT max(id) FROM wh.shop.orders)"
        load_rows(tmp_path, [ask(query)], source)
        assert reads() == []
        assert edges() == [("wh.raw.o", "wh.shop.orders", 1)]

    def test_a_scripts_temporary_tables_are_no_names(self, tmp_path: Path, source: Source, orders: Table) -> None:
        load_rows(tmp_path, [ask("CREATE TEMP TABLE x AS SELECT * FROM wh.shop.orders; SELECT * FROM x")], source)
        assert [table for table, *_ in reads()] == ["wh.shop.orders"]
        assert seen() == []

    def test_a_view_and_not_the_tables_behind_it(self, tmp_path: Path, source: Source, orders: Table) -> None:
        """What a view is made of is lineage: a use of the view keeps the tables through the graph."""
        make_table("wh.shop.recent", source, kind="view")
        load_rows(tmp_path, [ask("SELECT * FROM wh.shop.recent")], source)
        assert [table for table, *_ in reads()] == ["wh.shop.recent"]


class TestReaders:
    def test_the_kind_that_the_log_states(self, tmp_path: Path, source: Source, orders: Table) -> None:
        rows = [
            ask("SELECT 1 FROM wh.shop.orders", user=kind, reader_kind=kind)
            for kind in ("human", "service", "pipeline")
        ]
        load_rows(tmp_path, rows, source)
        assert all(reader.kind == reader.name for reader in Reader.objects.all())

    def test_a_person_is_the_owner_with_that_e_mail(self, tmp_path: Path, source: Source, orders: Table) -> None:
        ann = make_owner("Ann", email="ann@shop.example")
        load_rows(tmp_path, [ask("SELECT 1 FROM wh.shop.orders")], source)
        assert Reader.objects.get().owner == ann

    def test_a_pipeline_is_the_one_of_that_name(self, tmp_path: Path, source: Source, orders: Table) -> None:
        pipeline = make_pipeline("mart.daily")
        load_rows(tmp_path, [ask("SELECT 1 FROM wh.shop.orders", user="mart.daily", reader_kind="pipeline")], source)
        assert Reader.objects.get().pipeline == pipeline

    def test_an_account_that_writes_one_table_builds_it(self, tmp_path: Path, source: Source, orders: Table) -> None:
        rows = [
            ask("INSERT INTO wh.shop.orders SELECT * FROM wh.raw.o", user="loader", reader_kind="service"),
            ask("INSERT INTO wh.a SELECT * FROM wh.raw.o", user="airflow", reader_kind="service"),
            ask("INSERT INTO wh.b SELECT * FROM wh.raw.o", user="airflow", reader_kind="service"),
            ask("INSERT INTO wh.shop.orders SELECT * FROM wh.raw.o", user="ann", reader_kind="human"),
        ]
        load_rows(tmp_path, rows, source)
        builds = dict(Reader.objects.values_list("name", "builds"))
        assert builds == {"loader": orders.pk, "airflow": None, "ann": None}

    @pytest.mark.parametrize(
        "query",
        [
            '/* {"app": "dbt", "node_id": "test.shop.unique"} */ SELECT count(*) FROM wh.shop.orders',
            'SELECT count(*) FROM wh.shop.orders /* {"app":"OpenMetadata","version":"1"} */',
            "/* pipekeeper */ SELECT count(*) FROM wh.shop.orders",
        ],
    )
    def test_tools_are_no_readers(self, tmp_path: Path, source: Source, orders: Table, query: str) -> None:
        load_rows(tmp_path, [ask(query)], source)
        assert reads() == []

    @pytest.mark.parametrize("comment_at", ["{} SELECT 1", "SELECT {} 1", "SELECT 1"])
    def test_a_tools_comment_in_what_many_queries_begin_with(
        self, tmp_path: Path, source: Source, orders: Table, comment_at: str
    ) -> None:
        comment = "/* {'app': 'dbt'} */".replace("'", '"')
        start = comment_at.format(comment) + " FROM wh.shop.orders WHERE id = "
        end = "" if comment in start else comment
        rows = [ask(f"{start}{n} {end}", start_time=f"2026-03-02T09:00:0{n}Z") for n in range(3)]
        assert load_rows(tmp_path, rows, source).reads == 0

    def test_words_of_a_tool_do_not_make_one(self, tmp_path: Path, source: Source, orders: Table) -> None:
        load_rows(tmp_path, [ask("SELECT 'dbt' FROM wh.shop.orders -- for the dbt cost dashboard")], source)
        assert len(reads()) == 1

    def test_what_a_tool_writes_is_still_an_edge(self, tmp_path: Path, source: Source, orders: Table) -> None:
        load_rows(tmp_path, [ask('/* {"app": "dbt"} */ CREATE TABLE wh.x AS SELECT * FROM wh.shop.orders')], source)
        assert edges() == [("wh.shop.orders", "wh.x", 1)]


class TestNothingTwice:
    def test_the_same_file_again(self, tmp_path: Path, source: Source, orders: Table) -> None:
        path = write(
            tmp_path, [ask(f"SELECT {n} FROM wh.shop.orders", start_time=f"2026-03-02T09:00:0{n}Z") for n in range(5)]
        )
        assert load(path, source=source).reads == 5
        again = load(path, source=source)
        assert (again.entries, again.new_entries, again.reads) == (5, 0, 0)
        assert [count for *_, count in reads()] == [5]
        assert LoggedDay.objects.get().entries == 5

    def test_an_overlapping_file(self, tmp_path: Path, source: Source, orders: Table) -> None:
        rows = [ask("SELECT 1 FROM wh.shop.orders", start_time=f"2026-03-0{day}T09:00:00Z") for day in range(1, 8)]
        load_rows(tmp_path, rows[:5], source)
        assert load_rows(tmp_path, rows[3:], source).reads == 2
        assert sum(count for *_, count in reads()) == 7

    def test_both_at_once(self, tmp_path: Path, source: Source, orders: Table) -> None:
        rows = [ask("SELECT 1 FROM wh.shop.orders", start_time=f"2026-03-0{day}T09:00:00Z") for day in range(1, 4)]
        one, other = write(tmp_path, rows, "one.jsonl"), write(tmp_path, rows[1:], "other.csv")
        assert load(one, other, source=source).reads == 3

    def test_ids_tell_entries_apart(self, tmp_path: Path, source: Source, orders: Table) -> None:
        rows = [ask("SELECT 1 FROM wh.shop.orders", id=str(n)) for n in range(3)]
        assert load_rows(tmp_path, [*rows, rows[0]], source).reads == 3

    def test_two_queries_at_one_instant_differ_by_their_text(
        self, tmp_path: Path, source: Source, orders: Table
    ) -> None:
        long = "x" * 300
        rows = [ask(f"SELECT '{long}', {n}, '{long}' FROM wh.shop.orders") for n in (1, 2)]
        assert load_rows(tmp_path, [*rows, rows[0]], source).reads == 2

    def test_an_entry_is_the_same_whatever_else_is_in_its_file(
        self, tmp_path: Path, source: Source, orders: Table
    ) -> None:
        """What many entries begin with is read once for them all, and for one alone not."""
        query = (
            "-- daily\nSELECT 'a' FROM wh.shop.orders WHERE id = {} AND day IN (SELECT max(day) FROM d WHERE x = 'x')"
        )
        rows = [ask(query.format(n)) for n in range(4)]
        assert load_rows(tmp_path, rows[:1], source).new_entries == 1
        assert load_rows(tmp_path, rows, source).new_entries == 3
        assert load_rows(tmp_path, rows[2:3], source).new_entries == 0

    def test_two_queries_at_one_instant_differ_by_the_comment_they_begin_with(
        self, tmp_path: Path, source: Source, orders: Table
    ) -> None:
        rows = [ask(f"/* report {n} */ SELECT 1 FROM wh.shop.orders WHERE id = 1") for n in (1, 2)]
        assert load_rows(tmp_path, rows, source).reads == 2

    def test_readings_are_remembered_across_imports(self, tmp_path: Path, source: Source, orders: Table) -> None:
        load_rows(tmp_path, [ask("SELECT * FROM wh.shop.orders WHERE id = 1")], source)
        remembered = QueryFingerprint.objects.get()
        load_rows(tmp_path, [ask("SELECT * FROM wh.shop.orders WHERE id = 2", user="bo")], source)
        assert QueryFingerprint.objects.get() == remembered
        assert len(reads()) == 2


class TestNoPeoplesData:
    def test_only_fingerprints_are_stored(self, tmp_path: Path, source: Source, orders: Table) -> None:
        query = "SELECT * FROM wh.shop.orders -- for Kim\nWHERE email = 'kim@example.com' AND phone IN (555, 556) AND x = 7.5"  # noqa: E501
        load_rows(tmp_path, [ask(query)], source)
        text = QueryFingerprint.objects.get().text
        assert text == "SELECT * FROM wh.shop.orders WHERE email = ? AND phone IN (?) AND x = ?"


class TestNames:
    def test_an_unknown_table_stays_a_name(self, tmp_path: Path, source: Source) -> None:
        result = load_rows(tmp_path, [ask("SELECT * FROM wh.shop.gone")], source)
        assert result.unmatched_names == 1 and result.reads == 0
        assert seen() == [("wh.shop.gone", 1)]
        assert not Table.objects.exists()

    def test_its_reads_move_when_the_catalog_learns_it(self, tmp_path: Path, source: Source) -> None:
        load_rows(tmp_path, [ask("SELECT * FROM wh.shop.late")], source)
        make_table("wh.shop.late", source)
        load_rows(tmp_path, [ask("SELECT * FROM wh.shop.late", start_time="2026-03-02T11:00:00Z")], source)
        assert reads() == [("wh.shop.late", "2026-03-02", "ann@shop.example", 2)]
        assert seen() == []

    def test_edges_and_failed_reads_learn_their_tables_too(self, tmp_path: Path, source: Source) -> None:
        rows = [ask("CREATE TABLE wh.b AS FROM wh.a"), ask("FROM wh.a", status="failed"), ask("SELECT 1 FROM wh.a")]
        load_rows(tmp_path, rows, source)
        a, b = make_table("wh.a", source), make_table("wh.b", source)
        assert attach_all_seen_names() == 1
        edge = LoggedEdge.objects.get()
        assert (edge.source_table, edge.target_table) == (a, b)
        assert FailedRead.objects.get().table == a
        assert Read.objects.get().table == a

    def test_a_kind_that_a_later_log_states(self, tmp_path: Path, source: Source, orders: Table) -> None:
        load_rows(tmp_path, [ask("FROM wh.shop.orders", user="bi")], source)
        load_rows(tmp_path, [ask("FROM wh.shop.orders", user="bi", reader_kind="service")], source)
        assert Reader.objects.get().kind == "service"

    def test_database_and_schema_of_the_entry(self, tmp_path: Path, source: Source, orders: Table) -> None:
        load_rows(tmp_path, [ask("SELECT * FROM orders", database="wh", schema="shop")], source)
        assert [table for table, *_ in reads()] == ["wh.shop.orders"]

    def test_a_catalog_that_leaves_out_the_database(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.orders", source)
        load_rows(tmp_path, [ask("SELECT * FROM wh.shop.orders")], source)
        assert [table for table, *_ in reads()] == ["shop.orders"]

    def test_a_name_that_may_mean_two_tables_means_none(self, tmp_path: Path, source: Source, orders: Table) -> None:
        make_table("wh.raw.orders", source)
        result = load_rows(tmp_path, [ask("SELECT * FROM orders")], source)
        assert (result.reads, result.unmatched_names) == (0, 1)

    def test_a_table_of_another_source_that_only_one_has(self, tmp_path: Path, source: Source) -> None:
        table = make_table("lake.raw.events", make_source("lake"))
        load_rows(tmp_path, [ask("SELECT * FROM lake.raw.events")], source)
        assert Read.objects.get().table == table

    def test_system_tables_are_no_names(self, tmp_path: Path, source: Source) -> None:
        result = load_rows(
            tmp_path, [ask("SELECT * FROM information_schema.tables"), ask("SELECT * FROM pg_class")], source
        )
        assert result.unmatched_names == 0


class TestUnparsed:
    def test_counted_and_kept_without_literals(self, tmp_path: Path, source: Source) -> None:
        rows = [ask(f"SELECT ((( FROM wh.shop.orders WHERE x = '{n}'", user=str(n)) for n in range(3)]
        result = load_rows(tmp_path, [*rows, ask("SELECT 1")], source)
        assert (result.entries, result.unparsed) == (4, 3)
        assert UnparsedQuery.objects.get().count == 3
        assert LoggedDay.objects.get().unparsed == 3
        coverage = LogCoverage.objects.get()
        assert (coverage.entries, coverage.unparsed) == (4, 3)
        assert "wh.shop.orders" in UnparsedQuery.objects.get().fingerprint.text

    def test_failed_queries_need_not_be_parsed(self, tmp_path: Path, source: Source) -> None:
        assert load_rows(tmp_path, [ask("SELCT oops", status="failed")], source).unparsed == 0

    def test_statements_that_move_nothing_are_not_unparsed(self, tmp_path: Path, source: Source) -> None:
        rows = [ask(query) for query in ("BEGIN", "SET x = 1", "SHOW TABLES", "COMMIT", "EXPLAIN SELECT 1")]
        assert load_rows(tmp_path, rows, source).unparsed == 0


class TestCoverage:
    def test_the_logs_own_period(self, tmp_path: Path, source: Source) -> None:
        load_rows(tmp_path, [ask("SELECT 1", start_time=f"2026-03-0{day}T00:00:00Z") for day in (5, 2, 4)], source)
        coverage = LogCoverage.objects.get()
        assert (coverage.covers_from.day, coverage.covers_to.day, coverage.channel) == (2, 5, "")

    def test_as_the_command_says(self, tmp_path: Path, source: Source) -> None:
        begin, end = dt.datetime(2026, 2, 1, tzinfo=dt.UTC), dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
        load_rows(tmp_path, [ask("SELECT 1")], source, covers_from=begin, covers_to=end, channels=("eu", "us"))
        rows = LogCoverage.objects.order_by("channel").values_list("channel", "covers_from", "covers_to", "entries")
        assert list(rows) == [("eu", begin, end, 1), ("us", begin, end, 0)]

    def test_channels_of_the_log(self, tmp_path: Path, source: Source) -> None:
        rows = [
            ask("SELECT 1", channel="eu", start_time="2026-03-01T00:00:00Z"),
            ask("SELECT 2", channel="us", start_time="2026-03-05T00:00:00Z"),
        ]
        load_rows(tmp_path, rows, source)
        assert set(LogCoverage.objects.values_list("channel", "covers_to__day")) == {("eu", 1), ("us", 5)}


class TestFiles:
    def test_csv_with_newlines_and_quotes(self, tmp_path: Path, source: Source, orders: Table) -> None:
        rows = [ask("SELECT \"a\",\n'it''s, x'\nFROM wh.shop.orders")]
        assert load(write(tmp_path, rows, "log.csv"), source=source).reads == 1

    def test_gzip_whatever_its_name(self, tmp_path: Path, source: Source, orders: Table) -> None:
        plain = write(tmp_path, [ask("SELECT 1 FROM wh.shop.orders")]).read_bytes()
        for name in ("log.jsonl.gz", "log.jsonl", "log"):
            (tmp_path / name).write_bytes(gzip.compress(plain))
            load(tmp_path / name, source=source)
        assert [count for *_, count in reads()] == [1]

    def test_parquet_with_types(self, tmp_path: Path, source: Source, orders: Table) -> None:
        path = tmp_path / "log.parquet"
        duckdb.sql(
            "SELECT 'SELECT 1 FROM wh.shop.orders' AS query, 'ann' AS user, "
            "TIMESTAMPTZ '2026-03-02 09:00:00+00' AS start_time"
        ).write_parquet(str(path))
        assert load(path, source=source).reads == 1
        assert reads()[0][1] == "2026-03-02"

    def test_a_json_array(self, tmp_path: Path, source: Source, orders: Table) -> None:
        path = tmp_path / "log.json"
        path.write_text(json.dumps([ask("SELECT 1 FROM wh.shop.orders"), ask("SELECT 2 FROM wh.shop.orders")]))
        assert load(path, source=source).reads == 2

    def test_column_names_in_capitals(self, tmp_path: Path, source: Source, orders: Table) -> None:
        row = {key.upper(): value for key, value in ask("SELECT 1 FROM wh.shop.orders").items()}
        assert load(write(tmp_path, [row], "log.csv"), source=source).reads == 1
        assert load(write(tmp_path, [row | {"USER": "bo"}]), source=source).reads == 1


class TestBadInput:
    def test_other_columns(self, tmp_path: Path, source: Source) -> None:
        with pytest.raises(
            BadLog, match=r"Wanted: generic: query, user, start_time. Found: sql, user. Missing: query, start_time"
        ):
            load_rows(tmp_path, [{"sql": "SELECT 1", "user": "ann"}], source)
        assert not LogCoverage.objects.exists()

    def test_truncated_gzip(self, tmp_path: Path, source: Source, orders: Table) -> None:
        lines = [
            ask(f"SELECT {n * 7919 % 10007} FROM wh.shop.orders", user=f"user {n * n}", id=str(n)) for n in range(5000)
        ]
        packed = gzip.compress(write(tmp_path, lines).read_bytes())
        path = tmp_path / "cut.jsonl.gz"
        path.write_bytes(packed[: len(packed) // 2])
        result = load(path, source=source)
        assert 0 < result.reads < 5000 and result.left_out
        assert f"ends after line {result.reads:,}" in result.notes[0]
        path.write_bytes(packed)
        assert load(path, source=source).reads == 5000 - result.reads

    def test_times_without_zone(self, tmp_path: Path, source: Source, orders: Table) -> None:
        rows = [
            ask("SELECT 1 FROM wh.shop.orders"),
            ask("SELECT 2 FROM wh.shop.orders", start_time="2026-03-02 10:00:00"),
        ]
        result = load_rows(tmp_path, rows, source)
        assert result.reads == 2 and not result.left_out
        assert result.notes == ["1 entry has a time without zone, taken as UTC: row 2."]

    def test_a_time_that_is_none(self, tmp_path: Path, source: Source, orders: Table) -> None:
        rows = [ask("SELECT 1 FROM wh.shop.orders"), ask("SELECT 2 FROM wh.shop.orders", start_time="yesterday")]
        result = load_rows(tmp_path, rows, source)
        assert (result.entries, result.reads, result.left_out) == (1, 1, True)
        assert "row 2" in result.notes[0]

    def test_days_out_of_order(self, tmp_path: Path, source: Source, orders: Table) -> None:
        days = (9, 1, 5, 1)
        load_rows(
            tmp_path,
            [
                ask("SELECT 1 FROM wh.shop.orders", start_time=f"2026-03-0{day}T0{n}:00:00Z")
                for n, day in enumerate(days)
            ],
            source,
        )
        assert [(day[-1], count) for _, day, _, count in reads()] == [("1", 2), ("5", 1), ("9", 1)]

    def test_a_reader_that_was_deleted(self, tmp_path: Path, source: Source, orders: Table) -> None:
        result = load_rows(
            tmp_path, [ask("SELECT 1 FROM wh.shop.orders"), ask("SELECT 2 FROM wh.shop.orders", user="")], source
        )
        assert [(reader, count) for _, _, reader, count in reads()] == [("", 1), ("ann@shop.example", 1)]
        assert "no user" in result.notes[0] and "row 2" in result.notes[0]

    def test_a_broken_json_line(self, tmp_path: Path, source: Source, orders: Table) -> None:
        path = write(tmp_path, [ask(f"SELECT {n} FROM wh.shop.orders") for n in range(3)])
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], '{"query": "SELECT', *lines[1:]]) + "\n")
        result = load(path, source=source)
        assert result.reads == 3 and result.left_out
        assert "row 2" in result.notes[0]

    def test_lines_that_are_no_objects(self, tmp_path: Path, source: Source, orders: Table) -> None:
        path = write(tmp_path, [ask("SELECT 1 FROM wh.shop.orders")])
        path.write_text(path.read_text() + '[1, 2]\n5\nnull\n{"query": {"a": 1}, "user": 5}\n')
        result = load(path, source=source)
        assert (result.reads, result.left_out) == (1, True)
        assert "row 2, 3, 4, …" in result.notes[0]

    def test_bytes_that_are_not_utf_8(self, tmp_path: Path, source: Source, orders: Table) -> None:
        for name in ("log.jsonl", "log.csv"):
            path = write(tmp_path, [ask(f"SELECT {n} FROM wh.shop.orders -- {name}") for n in range(3)], name)
            path.write_bytes(path.read_bytes().replace(b"SELECT 1", b"SELECT \xff"))
            result = load(path, source=source)
            assert (result.entries, result.left_out) == (2, True)

    def test_a_byte_order_mark(self, tmp_path: Path, source: Source, orders: Table) -> None:
        for name in ("log.jsonl", "log.csv"):
            path = write(tmp_path, [ask(f"SELECT 1 FROM wh.shop.orders -- {name}")], name)
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
            assert load(path, source=source).reads == 1

    def test_what_is_told_of_a_bad_file_holds_nothing_of_its_rows(self, tmp_path: Path, source: Source) -> None:
        path = tmp_path / "log.csv"
        path.write_text("query,user,start_time\n\"SELECT 'kim@example.com',ann,2026-03-02T09:00:00Z\n")
        with pytest.raises(BadLog) as raised:
            load(path, source=source)
        assert "kim" not in str(raised.value)

    def test_a_csv_row_with_too_many_fields(self, tmp_path: Path, source: Source, orders: Table) -> None:
        path = write(tmp_path, [ask(f"SELECT {n} FROM wh.shop.orders") for n in range(3)], "log.csv")
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:2], "a,b,c,d,e", *lines[2:]]) + "\n")
        result = load(path, source=source)
        assert result.reads == 3 and result.left_out
        assert "line 3" in result.notes[0]

    def test_an_empty_file(self, tmp_path: Path, source: Source) -> None:
        (tmp_path / "log.jsonl").write_text("")
        with pytest.raises(BadLog, match="is empty"):
            load(tmp_path / "log.jsonl", source=source)

    def test_no_file(self, tmp_path: Path, source: Source) -> None:
        with pytest.raises(BadLog, match="There is no file"):
            load(tmp_path / "nowhere.csv", source=source)


class TestBigQuery:
    @pytest.fixture
    def source(self) -> Source:
        return make_source("bq", dialect="bigquery", platform="bigquery")

    def job(self, n: int = 1, **more: Any) -> dict[str, Any]:
        table = {"project_id": "shop", "dataset_id": "mart", "table_id": "orders"}
        return {
            "job_id": f"job_{n}",
            "creation_time": "2026-03-02 09:00:00 UTC",
            "start_time": "2026-03-02 09:00:00.123456 UTC",
            "project_id": "shop",
            "user_email": "ann@shop.example",
            "job_type": "QUERY",
            "statement_type": "SELECT",
            "state": "DONE",
            "error_result": None,
            "query": "SELECT amount FROM mart.orders_view",
            "referenced_tables": [table],
            "destination_table": {"project_id": "shop", "dataset_id": "_c0ffee", "table_id": f"anon{n}"},
            "labels": [],
            "cache_hit": False,
        } | more

    def test_reads_are_referenced_tables(self, tmp_path: Path, source: Source) -> None:
        """The log names the tables behind a view; the SQL names the view."""
        orders = make_table("shop.mart.orders", source)
        load_rows(tmp_path, [self.job()], source, "bigquery")
        assert Read.objects.get().table == orders

    def test_a_view_that_only_the_sql_names_is_read_too(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.orders", source)
        view = make_table("shop.mart.orders_view", source, kind="view")
        column = make_column("amount", view)
        load_rows(tmp_path, [self.job()], source, "bigquery")
        assert [table for table, *_ in reads()] == ["shop.mart.orders", "shop.mart.orders_view"]
        assert ColumnRead.objects.get().column == column
        assert seen() == []

    def test_a_view_that_a_write_reads_is_the_start_of_an_edge(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.orders_view", source, kind="view")
        target = {"project_id": "shop", "dataset_id": "mart", "table_id": "daily"}
        query = "INSERT INTO mart.daily SELECT amount FROM mart.orders_view"
        job = self.job(statement_type="INSERT", destination_table=target, query=query)
        load_rows(tmp_path, [job], source, "bigquery")
        assert edges() == [("shop.mart.orders", "shop.mart.daily", 1), ("shop.mart.orders_view", "shop.mart.daily", 1)]

    def test_csv_has_them_as_text(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.orders", source)
        job = {key: json.dumps(value) if isinstance(value, list | dict) else value for key, value in self.job().items()}
        assert load(write(tmp_path, [job], "jobs.csv"), source=source, form="bigquery").reads == 1

    def test_parquet_has_them_in_lists_of_its_own(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.orders", source)
        path = tmp_path / "jobs.parquet"
        duckdb.sql(
            "SELECT 'job_1' AS job_id, TIMESTAMPTZ '2026-03-02 09:00:00+00' AS creation_time, 'ann' AS user_email, "
            "'SELECT 1' AS query, {'reason': NULL::VARCHAR, 'message': NULL::VARCHAR} AS error_result, "
            "{'list': [{'element': {'project_id': 'shop', 'dataset_id': 'mart', 'table_id': 'orders'}}]} "
            "AS referenced_tables"
        ).write_parquet(str(path))
        assert load(path, source=source, form="bigquery").reads == 1

    def test_a_cached_answer_names_none_so_its_sql_does(self, tmp_path: Path, source: Source) -> None:
        view = make_table("shop.mart.orders_view", source)
        load_rows(tmp_path, [self.job(referenced_tables=[], cache_hit=True)], source, "bigquery")
        assert Read.objects.get().table == view

    def test_a_missed_region_is_a_gap(self, tmp_path: Path, source: Source) -> None:
        load_rows(tmp_path, [self.job(1, region="eu"), self.job(2, region="us")], source, "bigquery")
        later = self.job(3, region="eu", start_time="2026-03-09 09:00:00 UTC")
        load_rows(tmp_path, [later], source, "bigquery")
        ends = {}
        for coverage in LogCoverage.objects.order_by("covers_to"):
            ends[coverage.channel] = coverage.covers_to.day
        assert ends == {"shop/eu": 9, "shop/us": 2}

    def test_a_target_that_is_not_the_answers_own_is_an_edge(self, tmp_path: Path, source: Source) -> None:
        target = {"project_id": "shop", "dataset_id": "mart", "table_id": "daily"}
        load_rows(tmp_path, [self.job(statement_type="INSERT", destination_table=target)], source, "bigquery")
        assert edges() == [("shop.mart.orders", "shop.mart.daily", 1)]
        assert reads() == [] and seen() == []

    def test_a_scripts_parent_does_not_count_beside_its_children(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.orders", source)
        rows = [self.job(1, statement_type="SCRIPT"), self.job(2, parent_job_id="job_1")]
        assert load_rows(tmp_path, rows, source, "bigquery").reads == 1

    def test_failed(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.orders", source)
        failed = self.job(error_result={"reason": "accessDenied", "message": "no"})
        assert load_rows(tmp_path, [failed], source, "bigquery").reads == 0

    def test_service_accounts_and_pipelines(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.orders", source)
        pipeline = make_pipeline("shop_daily.load")
        labels = [{"key": "airflow-dag", "value": "shop_daily"}, {"key": "airflow-task", "value": "load"}]
        rows = [self.job(1, user_email="bi@shop.iam.gserviceaccount.com"), self.job(2, labels=labels), self.job(3)]
        load_rows(tmp_path, rows, source, "bigquery")
        kinds = dict(Reader.objects.values_list("name", "kind"))
        assert kinds == {
            "bi@shop.iam.gserviceaccount.com": "service",
            "shop_daily.load": "pipeline",
            "ann@shop.example": "human",
        }
        assert Reader.objects.get(name="shop_daily.load").pipeline == pipeline

    def test_a_dbt_label_is_tool_traffic(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.orders", source)
        labels = [{"key": "dbt_invocation_id", "value": "x"}]
        assert load_rows(tmp_path, [self.job(labels=labels)], source, "bigquery").reads == 0

    def test_shards_are_one_table(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.events", source)
        shards = [{"project_id": "shop", "dataset_id": "mart", "table_id": f"events_2026030{n}"} for n in (1, 2)]
        assert load_rows(tmp_path, [self.job(referenced_tables=shards)], source, "bigquery").reads == 1


class TestSnowflake:
    @pytest.fixture
    def source(self) -> Source:
        return make_source("sf", dialect="snowflake", platform="snowflake")

    def query(self, n: int = 1, **more: Any) -> dict[str, Any]:
        return {
            "QUERY_ID": f"q{n}",
            "QUERY_TEXT": "select amount from orders_view",
            "DATABASE_NAME": "SHOP",
            "SCHEMA_NAME": "MART",
            "QUERY_TYPE": "SELECT",
            "USER_NAME": "ANN",
            "START_TIME": "2026-03-02 01:00:00.000 -0800",
            "EXECUTION_STATUS": "SUCCESS",
            "QUERY_TAG": "",
        } | more

    def access(self, n: int = 1, **more: Any) -> dict[str, Any]:
        def table(name: str, domain: str = "Table") -> dict[str, Any]:
            return {"objectDomain": domain, "objectName": name, "columns": [{"columnName": "AMOUNT"}]}

        return {
            "QUERY_ID": f"q{n}",
            "QUERY_START_TIME": "2026-03-02 01:00:00.000 -0800",
            "USER_NAME": "ANN",
            "DIRECT_OBJECTS_ACCESSED": [table("SHOP.MART.ORDERS_VIEW", "View")],
            "BASE_OBJECTS_ACCESSED": [table("SHOP.RAW.ORDERS")],
            "OBJECTS_MODIFIED": [],
        } | more

    def test_names_in_the_session_and_the_case_of_the_dialect(self, tmp_path: Path, source: Source) -> None:
        view = make_table("SHOP.MART.ORDERS_VIEW", source)
        load_rows(tmp_path, [self.query()], source, "snowflake")
        read = Read.objects.get()
        assert (read.table, str(read.last_at)) == (view, "2026-03-02 09:00:00+00:00")

    def test_base_objects_count_as_well_as_direct_ones(self, tmp_path: Path, source: Source) -> None:
        """With direct objects alone every table behind a view would look unread."""
        view, base = make_table("SHOP.MART.ORDERS_VIEW", source), make_table("SHOP.RAW.ORDERS", source)
        column = make_column("AMOUNT", base)
        load_rows(tmp_path, [self.access()], source, "snowflake")
        assert {read.table for read in Read.objects.all()} == {view, base}
        assert ColumnRead.objects.filter(column=column).exists()

    def test_both_views_in_one_command(self, tmp_path: Path, source: Source) -> None:
        make_table("SHOP.MART.ORDERS_VIEW", source), make_table("SHOP.RAW.ORDERS", source)
        one = write(tmp_path, [self.query(1), self.query(2, EXECUTION_STATUS="FAIL")], "query.csv")
        other = write(tmp_path, [self.access(1), self.access(3)], "access.jsonl")
        result = load(one, other, source=source, form="snowflake")
        assert result.entries == 3
        assert {table: count for table, _, _, count in reads()} == {"SHOP.MART.ORDERS_VIEW": 2, "SHOP.RAW.ORDERS": 2}

    @pytest.mark.parametrize("first", ["query", "access"])
    def test_one_view_after_the_other(self, tmp_path: Path, source: Source, first: str) -> None:
        """The second adds what only it knows: no read twice, and the tables behind the view are not missed."""
        make_table("SHOP.MART.ORDERS_VIEW", source), make_table("SHOP.RAW.ORDERS", source)
        rows = {"query": self.query(), "access": self.access()}
        load_rows(tmp_path, [rows.pop(first)], source, "snowflake")
        both = {"SHOP.MART.ORDERS_VIEW": 1, "SHOP.RAW.ORDERS": 1}
        for _ in range(2):
            load_rows(tmp_path, list(rows.values()), source, "snowflake")
            assert {table: count for table, _, _, count in reads()} == both

    def test_a_view_that_comes_late_for_some_queries(self, tmp_path: Path, source: Source) -> None:
        """ACCESS_HISTORY lags by hours: the queries it did not know in the first command come in the second."""
        make_table("SHOP.MART.ORDERS_VIEW", source), make_table("SHOP.RAW.ORDERS", source)
        history = write(tmp_path, [self.query(1), self.query(2)], "query.jsonl")
        load(history, write(tmp_path, [self.access(1)], "access1.jsonl"), source=source, form="snowflake")
        rows = [self.access(1), self.access(2)]
        load(write(tmp_path, rows, "access2.jsonl"), source=source, form="snowflake")
        assert {table: count for table, _, _, count in reads()} == {"SHOP.MART.ORDERS_VIEW": 2, "SHOP.RAW.ORDERS": 2}

    def test_what_was_modified_is_an_edge(self, tmp_path: Path, source: Source) -> None:
        modified = [{"objectDomain": "Table", "objectName": "SHOP.MART.DAILY", "columns": []}]
        row = self.access(DIRECT_OBJECTS_ACCESSED=self.access()["BASE_OBJECTS_ACCESSED"], OBJECTS_MODIFIED=modified)
        load_rows(tmp_path, [row], source, "snowflake")
        assert edges() == [("SHOP.RAW.ORDERS", "SHOP.MART.DAILY", 1)]

    def test_a_stage_is_no_table(self, tmp_path: Path, source: Source) -> None:
        stage = [{"objectDomain": "Stage", "objectName": "SHOP.RAW.S"}]
        load_rows(tmp_path, [self.access(DIRECT_OBJECTS_ACCESSED=stage, BASE_OBJECTS_ACCESSED=[])], source, "snowflake")
        assert seen() == []

    def test_query_tags(self, tmp_path: Path, source: Source) -> None:
        make_table("SHOP.MART.ORDERS_VIEW", source)
        rows = [
            self.query(1, QUERY_TAG='{"app": "dbt", "dbt_version": "1.9"}'),
            self.query(2, QUERY_TAG='{"dag_id": "daily", "task_id": "load"}'),
            self.query(3, USER_NAME="SVC_LOOKER"),
        ]
        load_rows(tmp_path, rows, source, "snowflake")
        kinds = {read.reader.name: read.reader.kind for read in Read.objects.select_related("reader")}
        assert kinds == {"daily.load": "pipeline", "SVC_LOOKER": "service"}


class TestRedshift:
    @pytest.fixture
    def source(self) -> Source:
        return make_source("rs", dialect="redshift", platform="redshift")

    def query(self, n: int = 1, **more: Any) -> dict[str, Any]:
        return {
            "user_id": "104",
            "query_id": str(n),
            "database_name": "shop      ",
            "query_type": "SELECT",
            "status": "success   ",
            "start_time": "2026-03-02 09:00:00.000000",
            "query_text": "select * from mart.orders",
        } | more

    def test_padded_columns_and_numbered_users(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.orders", source)
        load_rows(tmp_path, [self.query(1), self.query(2, status="failed    ")], source, "redshift")
        assert reads() == [("shop.mart.orders", "2026-03-02", "user 104", 1)]

    def test_a_text_cut_at_4000_characters_is_unparsed(self, tmp_path: Path, source: Source) -> None:
        cut = ("select * from mart.orders where note in (" + ", ".join(f"'{n}'" for n in range(2000)))[:4000]
        result = load_rows(tmp_path, [self.query(query_text=cut)], source, "redshift")
        assert result.unparsed == 1
        assert "mart.orders" in UnparsedQuery.objects.get().fingerprint.text

    def test_a_cut_text_that_happens_to_parse_is_unparsed_too(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.orders", source)
        cut = ("select * from mart.orders where a = " + "1" * 4000)[:4000]
        result = load_rows(tmp_path, [self.query(query_text=cut)], source, "redshift")
        assert (result.unparsed, result.reads) == (1, 1)

    def test_the_whole_text_out_of_sys_query_text(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.mart.orders", source)
        make_table("shop.mart.late", source)
        whole = "select * from mart.orders where a = 1" + " and a = 1" * 500 + " and b in (select b from mart.late)"
        history = write(tmp_path, [self.query(query_text=whole[:4000])], "history.csv")
        pieces = [{"query_id": "1", "sequence": n, "text": whole[n * 4000 : n * 4000 + 4000]} for n in (1, 0)]
        result = load(history, write(tmp_path, pieces, "text.csv"), source=source, form="redshift")
        assert (result.unparsed, result.reads) == (0, 2)

    def test_texts_alone_say_too_little(self, tmp_path: Path, source: Source) -> None:
        with pytest.raises(BadLog, match="only completes SYS_QUERY_HISTORY"):
            load_rows(tmp_path, [{"query_id": "1", "sequence": 0, "text": "select 1"}], source, "redshift")


class TestDatabricks:
    def test_statements(self, tmp_path: Path) -> None:
        source = make_source("dbx", dialect="databricks", platform="databricks")
        make_table("main.mart.orders", source)
        row = {
            "statement_id": "1",
            "executed_by": "ann@shop.example",
            "statement_text": 'SELECT `amount` FROM main.mart.orders WHERE city = "Seoul"',
            "statement_type": "SELECT",
            "execution_status": "FINISHED",
            "start_time": "2026-03-02T09:00:00.000Z",
            "client_application": "Databricks SQL",
            "workspace_id": "42",
        }
        service = row | {"statement_id": "2", "executed_by": "5f9d88c1-6e7b-4a57-9d4e-1b6c3c8d9a10"}
        dbt = row | {"statement_id": "3", "client_application": "dbt"}
        failed = row | {"statement_id": "4", "execution_status": "FAILED"}
        load_rows(tmp_path, [row, service, dbt, failed], source, "databricks")
        assert dict(Reader.objects.filter(reads__isnull=False).values_list("name", "kind")) == {
            "ann@shop.example": "human",
            "5f9d88c1-6e7b-4a57-9d4e-1b6c3c8d9a10": "service",
        }
        assert LogCoverage.objects.get().channel == "42"
        assert "Seoul" not in QueryFingerprint.objects.get().text


class TestPostgres:
    @pytest.fixture
    def source(self) -> Source:
        return make_source("pg", dialect="postgres", platform="postgres")

    def statement(
        self, calls: int, query: str = "select * from public.orders where id = $1", **more: Any
    ) -> dict[str, Any]:
        return {
            "userid": 10,
            "dbid": 5,
            "queryid": 99,
            "query": query,
            "calls": calls,
            "rows": 1,
            "datname": "shop",
        } | more

    def snapshot(self, folder: Path, source: Source, day: int, rows: list[dict[str, Any]]) -> Imported:
        return load_rows(folder, rows, source, "postgres", covers_to=dt.datetime(2026, 3, day, 12, tzinfo=dt.UTC))

    def test_statements_count_from_the_second_snapshot_on(self, tmp_path: Path, source: Source) -> None:
        """They have no last-run time: what was called before the first may be years old."""
        make_table("shop.public.orders", source)
        assert self.snapshot(tmp_path, source, 1, [self.statement(1000)]).reads == 0
        assert self.snapshot(tmp_path, source, 2, [self.statement(1007)]).reads == 7
        assert reads() == [("shop.public.orders", "2026-03-02", "user 10", 7)]
        coverage = LogCoverage.objects.order_by("covers_to").last()
        assert coverage is not None and (coverage.covers_from.day, coverage.covers_to.day) == (1, 2)

    def test_the_same_snapshot_again_adds_nothing(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.public.orders", source)
        for day, calls in ((1, 10), (2, 15), (2, 15), (1, 10)):
            self.snapshot(tmp_path, source, day, [self.statement(calls)])
        assert [count for *_, count in reads()] == [5]

    def test_counters_that_were_reset(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.public.orders", source)
        self.snapshot(tmp_path, source, 1, [self.statement(1000)])
        assert self.snapshot(tmp_path, source, 2, [self.statement(3)]).reads == 3

    def test_a_statement_that_is_new_in_the_second(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.public.orders", source)
        self.snapshot(tmp_path, source, 1, [self.statement(1, "select 1", queryid=1)])
        assert self.snapshot(tmp_path, source, 2, [self.statement(4)]).reads == 4

    def test_a_snapshot_must_be_dated(self, tmp_path: Path, source: Source) -> None:
        with pytest.raises(BadLog, match="--covers-to"):
            load_rows(tmp_path, [self.statement(1)], source, "postgres")

    def test_it_may_date_itself(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.public.orders", source)
        for day, calls in ((1, 1), (2, 3)):
            load_rows(tmp_path, [self.statement(calls, captured_at=f"2026-03-0{day} 12:00:00+00")], source, "postgres")
        assert [(day, count) for _, day, _, count in reads()] == [("2026-03-02", 2)]

    def table_counts(self, seq: int, idx: int, **more: Any) -> dict[str, Any]:
        return {"schemaname": "public", "relname": "orders", "seq_scan": seq, "idx_scan": idx} | more

    def test_scans_of_tables(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.public.orders", source)
        self.snapshot(tmp_path, source, 1, [self.table_counts(5, 5)])
        assert self.snapshot(tmp_path, source, 2, [self.table_counts(6, 7)]).reads == 3

    def test_the_last_scan_is_dated_from_version_16_on(self, tmp_path: Path, source: Source) -> None:
        make_table("shop.public.orders", source)
        row = self.table_counts(5, 5, last_seq_scan="2026-02-20 08:00:00+00", last_idx_scan="2026-02-21 08:00:00+00")
        assert self.snapshot(tmp_path, source, 1, [row]).reads == 1
        assert [(day, count) for _, day, _, count in reads()] == [("2026-02-21", 1)]

    def test_jsonlog(self, tmp_path: Path, source: Source) -> None:
        orders = make_table("shop.public.orders", source)
        line = {"timestamp": "2026-03-02 09:00:00.000 UTC", "user": "ann", "dbname": "shop", "session_id": "1.a"}
        rows = [
            line | {"line_num": 1, "error_severity": "LOG", "message": "statement: select *\nfrom orders"},
            line | {"line_num": 2, "error_severity": "LOG", "message": "duration: 3.1 ms"},
            line
            | {
                "line_num": 3,
                "error_severity": "LOG",
                "message": "duration: 3.1 ms  execute <unnamed>: select 1 from orders",
            },
            line
            | {
                "line_num": 4,
                "error_severity": "ERROR",
                "message": "no such table",
                "statement": "select * from orders_old",
            },
            line | {"line_num": 5, "error_severity": "LOG", "message": "checkpoint starting: time"},
        ]
        result = load_rows(tmp_path, rows, source, "postgres")
        assert (result.entries, result.reads, result.notes) == (3, 2, [])
        assert Read.objects.get().table == orders
        assert FailedRead.objects.get().name == "shop.public.orders_old"


def test_a_kind_of_query_that_lies_further_on_than_thought_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads that read a file may be far apart, so the place of a row says little on when it comes again."""
    log = write(tmp_path, [ask(f"SELECT {column} FROM wh.shop.orders WHERE a = 5") for column in "abcdef"])
    monkeypatch.setattr(log_entries, "_FURTHER", -3)
    with duckdb.connect() as database:
        view = open_log(database, [log], FORMATS["generic"], tmp_path, Notes())
        entries = Entries(database, LogSql(view, lexis("duckdb")), Notes())
        assert entries.learn() == []
        assert entries.read() == 6
        assert len({sample.query for sample in entries.samples()}) == 6


class TestTrino:
    def event(self, n: int = 1, **more: Any) -> dict[str, Any]:
        return {
            "metadata": {"queryId": f"q{n}", "query": "SELECT amount FROM orders_view", "queryState": "FINISHED"},
            "context": {"user": "ann", "catalog": "lake", "schema": "mart", "source": "trino-cli"},
            "createTime": "2026-03-02T09:00:00Z",
            "ioMetadata": {
                "inputs": [{"catalogName": "lake", "schema": "raw", "table": "orders", "columns": ["amount"]}]
            },
        } | more

    def test_inputs_of_the_event(self, tmp_path: Path) -> None:
        source = make_source("trino", dialect="trino", platform="trino")
        orders = make_table("lake.raw.orders", source)
        column = make_column("amount", orders)
        view = make_table("lake.mart.orders_view", source)
        output = {"catalogName": "lake", "schema": "mart", "table": "daily"}
        rows = [
            self.event(1),
            self.event(2, ioMetadata={"inputs": []}, createTime=1772442000.5),
            self.event(3, ioMetadata=self.event()["ioMetadata"] | {"output": output}),
            self.event(4, metadata=self.event()["metadata"] | {"queryId": "q4", "queryState": "FAILED"}),
            self.event(5, context={"user": "dbt", "source": "dbt-trino-1.9"}),
        ]
        for n, row in enumerate(rows):
            row["metadata"] = row["metadata"] | {"queryId": f"q{n}"}
        load_rows(tmp_path, rows, source, "trino")
        assert {table: count for table, _, _, count in reads()} == {orders.name: 1, view.name: 2}
        assert ColumnRead.objects.get().column == column
        assert edges() == [("lake.raw.orders", "lake.mart.daily", 1)]

    def test_figures_in_the_event_do_not_tell_queries_apart(self, tmp_path: Path) -> None:
        source = make_source("trino", dialect="trino", platform="trino")
        make_table("lake.raw.orders", source)
        rows = []
        for n in range(5):
            inputs = [
                self.event()["ioMetadata"]["inputs"][0] | {"physicalInputBytes": n, "columns": [{"name": "amount"}]}
            ]
            metadata = self.event()["metadata"] | {"queryId": f"q{n}"}
            rows.append(self.event(metadata=metadata, ioMetadata={"inputs": inputs, "output": None}))
        log = write(tmp_path, rows)
        with duckdb.connect() as database:
            view = open_log(database, [log], FORMATS["trino"], tmp_path, Notes())
            entries = Entries(database, LogSql(view, lexis("trino")), Notes())
            assert entries.learn() == ["SELECT amount FROM orders_view"]
            assert entries.read() == 5
            assert len(list(entries.samples())) == 1
        assert load(log, source=source, form="trino").reads == 5


class TestDuckDB:
    def test_its_own_log(self, tmp_path: Path) -> None:
        source = make_source("duck", dialect="duckdb", platform="duckdb")
        make_table("warehouse.main.orders", source)
        path = tmp_path / "logs.parquet"
        with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as database:
            database.execute("CREATE TABLE orders (amount INT)")
            database.execute("CALL enable_logging('QueryLog')")
            database.execute("SELECT sum(amount) FROM orders WHERE amount > 5").fetchall()
            database.execute(f"COPY (SELECT * FROM duckdb_logs) TO '{path}' (FORMAT parquet)")
        result = load(path, source=source, form="duckdb")
        assert (result.reads, result.unparsed) == (1, 0)
        assert Reader.objects.get(reads__isnull=False).name.startswith("connection ")


class TestCommand:
    KEYS = ["entries", "fingerprints", "reads", "unparsed", "unmatched_names", "seconds"]

    def test_json(self, tmp_path: Path, source: Source, orders: Table, capsys: pytest.CaptureFixture[str]) -> None:
        path = write(tmp_path, [ask("SELECT 1 FROM wh.shop.orders")])
        call_command("ingest_queries", str(path), "--format", "generic", "--source", "wh", "--json")
        answer = json.loads(capsys.readouterr().out)
        assert list(answer) == self.KEYS
        assert [answer[key] for key in self.KEYS[:-1]] == [1, 1, 1, 0, 0]

    def test_left_out_rows_end_with_3(self, tmp_path: Path, source: Source, orders: Table) -> None:
        path = write(tmp_path, [ask("SELECT 1 FROM wh.shop.orders"), ask("SELECT 1", start_time="?")])
        with pytest.raises(SystemExit) as ended:
            call_command("ingest_queries", str(path), "--format", "generic", "--source", "wh")
        assert ended.value.code == 3

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--source", "nowhere"], "no source 'nowhere'"),
            (["--source", "wh", "--covers-from", "soon"], "--covers-from 'soon' is no time"),
            (["--source", "wh", "--covers-from", "2026-03-02", "--covers-to", "2026-03-01"], "is later than"),
            (["--source", "wh", "--dialect", "klingon"], "klingon"),
            ([], "--source"),
        ],
    )
    def test_wrong_use(self, tmp_path: Path, source: Source, arguments: list[str], message: str) -> None:
        path = write(tmp_path, [ask("SELECT 1")])
        with pytest.raises(CommandError, match=message) as raised:
            call_command("ingest_queries", str(path), "--format", "generic", *arguments)
        assert raised.value.returncode == 2
