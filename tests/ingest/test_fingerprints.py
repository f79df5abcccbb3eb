"""Queries without literals: what must stay apart, what must come together, and that nothing of a literal is left."""

from __future__ import annotations

import duckdb
import pytest

from ingest.fingerprints import (
    bare_sql,
    exact_sql,
    fingerprint,
    headless_sql,
    is_doubtful,
    key_sql,
    lexis,
    parts_sql,
)


def keys(dialect: str, *queries: str, numbers_everywhere: bool = True) -> list[str]:
    """The key that each query gets in the end: the cheap one, or the exact one where that is doubtful."""
    of = lexis(dialect)
    with duckdb.connect() as database:
        cheap = key_sql(of, "query", "bare", "parts", numbers_everywhere=numbers_everywhere)
        headless = f"SELECT query, {headless_sql(of, 'query')} AS headless FROM (SELECT unnest(?) AS query)"
        bare = f"SELECT query, {bare_sql(of, 'query', 'headless')} AS bare FROM ({headless})"
        sql = f"SELECT {cheap}, {exact_sql(of, 'query')} FROM (SELECT *, {parts_sql('bare')} AS parts FROM ({bare}))"
        rows = database.execute(sql, [list(queries)]).fetchall()
    return [f"exact {exact}" if is_doubtful(of, cheap) else cheap for cheap, exact in rows]


TOGETHER = [
    ("duckdb", "SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = '-- 5'"),
    ("duckdb", "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 22.5e3"),
    ("duckdb", "SELECT a FROM t WHERE b IN (1, 2)", "SELECT a FROM t WHERE b IN (3, 4, 5, -6)"),
    ("duckdb", "SELECT a -- don't\nFROM t", "SELECT a -- 'quoted' \"more\n FROM t".replace(" FROM", "FROM")),
    ("duckdb", "SELECT a /* it's 5 */ FROM t WHERE b = 'x'", "SELECT a /* \" */ FROM t WHERE b = '--'"),
    ("duckdb", "SELECT \"a b\" FROM t WHERE c = 5", "SELECT \"a b\" FROM t WHERE c = 6"),
    ("postgres", r"SELECT a FROM t WHERE b = E'it\'s'", r"SELECT a FROM t WHERE b = E'\\'"),
    ("bigquery", "SELECT a FROM `p.d.t` WHERE b = \"x\"", "SELECT a FROM `p.d.t` WHERE b = \"it's\""),
    ("bigquery", r"SELECT a FROM t WHERE b = 'a\'b'", r"SELECT a FROM t WHERE b = 'c'".replace("'c'", r"'\\'")),
    ("bigquery", "SELECT '''it's''' FROM t", "SELECT '''\"x\"''' FROM t"),
    ("mysql", "SELECT a FROM t # it's\nWHERE b = 1", "SELECT a FROM t # \"\nWHERE b = 2"),
    ("snowflake", "SELECT a FROM t // it's\nWHERE b = 1", "SELECT a FROM t // none\nWHERE b = 2"),
]  # fmt: skip

APART = [
    ("duckdb", "SELECT a1 FROM t", "SELECT a2 FROM t"),
    ("duckdb", 'SELECT "year 2024" FROM t', 'SELECT "year 2023" FROM t'),
    ("duckdb", "SELECT \"it's\" FROM t WHERE x = 'a'", "SELECT \"it''s\" FROM t WHERE x = 'a'"),
    ("duckdb", "SELECT \"a'b'c\" FROM t", "SELECT \"a'x'c\" FROM t"),
    ("duckdb", 'SELECT "a -- b" FROM t', 'SELECT "a -- c" FROM t'),
    ("duckdb", "SELECT * FROM 's3://lake/one.parquet'", "SELECT * FROM 's3://lake/two.parquet'"),
    ("duckdb", "SELECT * FROM read_csv('one.csv')", "SELECT * FROM read_csv('two.csv')"),
    ("duckdb", "SELECT 1 FROM 주문1", "SELECT 1 FROM 주문2"),
    ("bigquery", "SELECT 1 FROM ds.events_20240101", "SELECT 1 FROM ds.events_20240102"),
    ("bigquery", "SELECT 1 FROM ds.2024", "SELECT 1 FROM ds.2023"),
    ("bigquery", "SELECT 1 FROM my-project-12.ds.t", "SELECT 1 FROM my-project-13.ds.t"),
    ("bigquery", "SELECT 1 FROM `my-project 1.ds.t`", "SELECT 1 FROM `my-project 2.ds.t`"),
    ("bigquery", "SELECT 1 FROM ds.2024_sales", "SELECT 1 FROM ds.2023_sales"),
    ("snowflake", "SELECT 1 FROM IDENTIFIER('db.s.t1')", "SELECT 1 FROM IDENTIFIER('db.s.t2')"),
    ("snowflake", "EXECUTE IMMEDIATE 'DELETE FROM t1'", "EXECUTE IMMEDIATE 'DELETE FROM t2'"),
    ("snowflake", "EXECUTE IMMEDIATE $$DELETE FROM t1$$", "EXECUTE IMMEDIATE $$DELETE FROM t2$$"),
    ("redshift", "UNLOAD ('SELECT * FROM t1') TO 's3://x/'", "UNLOAD ('SELECT * FROM t2') TO 's3://x/'"),
    ("postgres", "CREATE TEMP TABLE tmp_ab12 AS SELECT 1", "CREATE TEMP TABLE tmp_cd34 AS SELECT 1"),
]


@pytest.mark.parametrize(("dialect", "one", "other"), TOGETHER)
def test_queries_that_differ_in_literals_and_comments_have_one_key(dialect: str, one: str, other: str) -> None:
    first, second = keys(dialect, one, other)
    assert first == second
    assert fingerprint(lexis(dialect), one) == fingerprint(lexis(dialect), other)


@pytest.mark.parametrize(("dialect", "one", "other"), APART)
@pytest.mark.parametrize("numbers_everywhere", [True, False])
def test_queries_of_different_names_have_different_keys(
    dialect: str, one: str, other: str, numbers_everywhere: bool
) -> None:
    first, second = keys(dialect, one, other, numbers_everywhere=numbers_everywhere)
    assert first != second
    assert fingerprint(lexis(dialect), one) != fingerprint(lexis(dialect), other)


NOTHING_LEFT = [
    ("duckdb", "SELECT a,\n\tb FROM t WHERE c='kim' AND d=+82.10", "SELECT a, b FROM t WHERE c=? AND d=+?"),
    ("duckdb", "INSERT INTO t VALUES (1, 'a'), (2, 'b'),\n(3, 'c')", "INSERT INTO t VALUES (?)"),
    ("duckdb", "SELECT * FROM t WHERE a = 'cut he", "SELECT * FROM t WHERE a = ?"),
    ("duckdb", "SELECT 'it''s' FROM t", "SELECT ? FROM t"),
    ("duckdb", "SELECT 0xFF, 'a' /* kim", "SELECT ?"),
    ("bigquery", 'SELECT "kim", r\'\\d\', """k\n""" FROM `a b`', "SELECT ?, r? FROM `a b`"),
    ("snowflake", "SELECT $$kim lives here$$, $1 FROM t", "SELECT ?, $? FROM t"),
    ("snowflake", "EXECUTE IMMEDIATE 'DELETE FROM t WHERE n = ''k'''", "EXECUTE IMMEDIATE 'DELETE FROM t WHERE n = ?'"),
    ("postgres", "DO $x$ BEGIN DELETE FROM t WHERE n = 'k'; END $x$", "DO $x$BEGIN DELETE FROM t WHERE n = ?; END$x$"),
    ("duckdb", "COPY t FROM 's3://key:secret@lake/x.csv'", "COPY t FROM 's3://key:***@lake/x.csv'"),
]


@pytest.mark.parametrize(("dialect", "query", "text"), NOTHING_LEFT)
def test_no_literal_is_left(dialect: str, query: str, text: str) -> None:
    assert fingerprint(lexis(dialect), query) == text


def test_plain_texts_are_read_the_same_by_both_expressions() -> None:
    """Texts without rare marks take a faster expression; it must say the same."""
    of = lexis("duckdb")
    for query in (
        "SELECT a.b2, 5 FROM \"x y\" -- c\nWHERE d IN ('a', 'b')",
        "SELECT count(*) FROM t WHERE e = 'x' LIMIT 10",
    ):
        assert not of.is_rare(query)
        assert fingerprint(of, query) == fingerprint(of, query + " /* $ */")


def test_numbers_before_where_may_be_left_alone() -> None:
    one, other = "SELECT a1, 5 FROM t WHERE b = 6 LIMIT 7", "SELECT a1, 5 FROM t where b = 7 LIMIT 9"
    first, second = keys("duckdb", one, other, numbers_everywhere=False)
    assert first == second
    first, second = keys("duckdb", one, one.replace("5", "6"), numbers_everywhere=False)
    assert first != second
    first, second = keys("duckdb", "SELECT 5 FROM t LIMIT 1", "SELECT 6 FROM t LIMIT 2", numbers_everywhere=False)
    assert first == second
