"""Distinct keys counted in the quick ways that DuckDB has: always the figure that plain Python counts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audits.checks import services
from audits.checks.models import Check
from audits.checks.run import run
from catalog.models import Table
from tests.factories import make_source, make_table
from tests.live import DuckDB

pytestmark = pytest.mark.django_db

COLUMNS = {
    "small": ("TINYINT", st.integers(-128, 127)),
    "big": ("BIGINT", st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)),
    "huge": ("HUGEINT", st.integers(-(2**120), 2**120)),
    "day": (
        "DATE",
        st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31)) | st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 9)),
    ),
    "word": ("VARCHAR", st.text("abA é", max_size=3)),
    "moment": ("TIMESTAMP", st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2))),
    "ratio": ("DOUBLE", st.floats(allow_nan=False)),
}
ROW = st.tuples(*(st.none() | values for _, values in COLUMNS.values()))
NAMES = list(COLUMNS)
KEY = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)


def keep(file: DuckDB, rows: list[tuple[Any, ...]]) -> None:
    """The table `t` with these rows, in this order."""
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in COLUMNS.items())
    with duckdb.connect(str(file.path)) as connection:
        connection.execute(f"CREATE OR REPLACE TABLE t ({columns})")
        if rows:
            connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(COLUMNS))})", rows)


@pytest.fixture
def table(file) -> Table:
    return make_table("warehouse.main.t", source=make_source("warehouse", dialect="duckdb", connection="WAREHOUSE_URL"))


def make_key(table: Table, *columns: str, **parameters: Any) -> Check:
    given_ = {"columns": list(columns), **parameters}
    return services.create_check(actor=None, of=table, kind="unique_key", parameters=given_)


def sorted_by(place: int, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted((row for row in rows if row[place] is not None), key=lambda row: row[place])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_repetitions_are_what_python_counts(file, table, data) -> None:
    Check.objects.all().delete()
    keys = data.draw(st.lists(KEY, min_size=1, max_size=4, unique_by=tuple))
    rows = data.draw(st.lists(ROW, max_size=12))
    rows += [tuple(data.draw(st.sampled_from(values)) for values in zip(*rows, strict=True)) for _ in rows[:3]]
    in_order = data.draw(st.booleans())
    rows = sorted_by(NAMES.index(keys[0][0]), rows) if in_order else rows
    keep(file, rows)
    for key in keys:
        make_key(table, *key)
    for found in run(list(Check.objects.select_related("table__source"))):
        places = [NAMES.index(name) for name in found.check.parameters["columns"]]
        assert found.value == len(rows) - len({tuple(row[place] for place in places) for row in rows}), found


def figures(table: Table) -> dict[str, float | None]:
    return {found.check.name: found.value for found in run(list(Check.objects.select_related("table__source")))}


def test_a_key_that_rises_is_not_counted(file, table, statements) -> None:
    file.run("CREATE TABLE t AS SELECT range AS day, 'x' || hash(range) AS word FROM range(300000)")
    make_key(table, "word", "day")
    assert list(figures(table).values()) == [0]
    assert not any("DISTINCT" in sent or "BITSTRING" in sent for sent in statements)


def test_a_key_that_rises_first_and_falls_later_is_counted(file, table) -> None:
    file.run(
        "CREATE TABLE t AS SELECT range AS day, 'x' || lpad(range::VARCHAR, 9, '0') AS word FROM range(300000)",
        "INSERT INTO t SELECT day, word FROM t WHERE day IN (7, 250000)",
    )
    make_key(table, "day")
    make_key(table, "word")
    make_key(table, "word", "day")
    make_key(table, "day", where="day < 200000")
    assert list(figures(table).values()) == [2, 1, 2, 2]  # by name


def test_numbers_and_days_that_lie_close_are_counted_by_bits(file, table, statements) -> None:
    file.run(
        "CREATE TABLE t AS SELECT -range % 1000 AS big, DATE '2026-01-01' + (range % 37)::INTEGER AS day"
        " FROM range(20000)",
        "INSERT INTO t VALUES (NULL, NULL), (NULL, '2026-01-01'), (NULL, NULL)",
    )
    make_key(table, "big", "day")
    assert list(figures(table).values()) == [1]
    assert any("BITSTRING_AGG" in sent for sent in statements)


def shuffled(file: DuckDB, moment: str) -> None:
    file.run(
        f"CREATE TABLE t AS SELECT 'w' || range % 7 AS word, range % 90 AS big, {moment} AS moment"
        " FROM range(-1500, 1500) ORDER BY hash(range)"
    )


def test_a_moment_that_is_another_in_every_row_tells_that_a_key_is(file, table, statements) -> None:
    shuffled(file, "TIMESTAMP '1970-01-01' + INTERVAL (range) SECOND + INTERVAL 999999 MICROSECOND")
    make_key(table, "word", "moment", "big")
    assert list(figures(table).values()) == [0]
    assert "BITSTRING" in statements[-1]
    assert not any("DISTINCT (" in sent for sent in statements)


@pytest.mark.parametrize(("again", "expected"), [(0, 0), (3, 3)])
def test_moments_of_one_second_tell_nothing(file, table, statements, again: int, expected: int) -> None:
    shuffled(file, "TIMESTAMP '2026-01-01' + INTERVAL (range) MILLISECOND")
    file.run(f"INSERT INTO t SELECT * FROM t LIMIT {again}")
    make_key(table, "word", "moment")
    assert list(figures(table).values()) == [expected]
    assert any("DISTINCT (" in sent for sent in statements)


@pytest.mark.parametrize(
    "moment", ["TIMESTAMPTZ '2026-01-01 00:00:00+02'", "TIMESTAMP_NS '2026-01-01'", "TIMESTAMP 'infinity'"]
)
def test_moments_of_other_kinds_are_counted_all_the_same(file, table, moment: str) -> None:
    shuffled(file, f"{moment} + INTERVAL (range % 1000) SECOND")
    make_key(table, "moment", "word")
    found = duckdb.connect(str(file.path)).execute("SELECT count(*) - count(DISTINCT (moment, word)) FROM t").fetchall()
    assert list(figures(table).values()) == [found[0][0]]


def test_a_view_is_asked_once(file, table, statements) -> None:
    file.run("CREATE VIEW t AS SELECT range AS day FROM range(10)")
    Table.objects.update(kind=Table.Kind.VIEW)
    make_key(table, "day")
    assert list(figures(table).values()) == [0]
    assert len(statements) == 2  # the columns, the scan
