"""Queries without literals: what must stay apart, what must come together, and that nothing of a literal is left."""

from __future__ import annotations

import duckdb
import pytest

from ingest.fingerprints import (
    bare_sql,
    exact_sql,
    fingerprint,
    head_fingerprint,
    is_doubtful,
    key_sql,
    lexis,
    split_sql,
)


def keys(dialect: str, *queries: str, heads_known: bool = False) -> list[str]:
    """The key that each query gets in the end: the cheap one, or the exact one where that is doubtful."""
    of = lexis(dialect)
    with duckdb.connect() as database:
        split = split_sql(of, "SELECT unnest(?::VARCHAR[]) AS query")
        rows = database.execute(f"SELECT query, said, head, tail FROM ({split})", [list(queries)]).fetchall()
        known = [head_fingerprint(of, head) if heads_known else "" for _, _, head, _ in rows]
        rest = [tail if text else said for text, (_, said, _, tail) in zip(known, rows, strict=True)]
        bare = f"SELECT query, rest, {bare_sql(of, 'rest')} AS bare FROM (SELECT unnest(?) AS query, unnest(?) AS rest)"
        sql = f"SELECT {key_sql(of, 'rest', 'bare')}, {exact_sql(of, 'query')} FROM ({bare})"
        found = database.execute(sql, [list(queries), rest]).fetchall()
    return [
        f"exact {exact}" if is_doubtful(of, cheap) else f"{head} {cheap}"
        for head, (cheap, exact) in zip(known, found, strict=True)
    ]


TOGETHER = [
    ("duckdb", "SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = '-- 5'"),
    ("duckdb", "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 22.5e3"),
    ("duckdb", "SELECT 5, 'x' FROM t WHERE b = 1", "SELECT 6, 'y' FROM t WHERE b = 2"),
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
    ("duckdb", "SELECT 1 FROM 'aWHEREb1.csv' WHERE c = 1", "SELECT 1 FROM 'aWHEREb2.csv' WHERE c = 1"),
    ("duckdb", 'SELECT "a WHERE 1" FROM t', 'SELECT "a WHERE 2" FROM t'),
    ("duckdb", "SELECT 1 FROM tWHERE1", "SELECT 1 FROM tWHERE2"),
    ("duckdb", "SELECT ' WHERE', a, ' ' FROM t", "SELECT ' WHERE', b, ' ' FROM t"),
    ("bigquery", "SELECT 1 FROM a-WHERE-1.ds.t", "SELECT 1 FROM a-WHERE-2.ds.t"),
    ("postgres", "CREATE TEMP TABLE tmp_ab12 AS SELECT 1", "CREATE TEMP TABLE tmp_cd34 AS SELECT 1"),
]


@pytest.mark.parametrize(("dialect", "one", "other"), TOGETHER)
@pytest.mark.parametrize("heads_known", [True, False])
def test_queries_that_differ_in_literals_and_comments_have_one_key(
    dialect: str, one: str, other: str, heads_known: bool
) -> None:
    first, second = keys(dialect, one, other, heads_known=heads_known)
    assert first == second
    assert fingerprint(lexis(dialect), one) == fingerprint(lexis(dialect), other)


@pytest.mark.parametrize(("dialect", "one", "other"), APART)
@pytest.mark.parametrize("heads_known", [True, False])
def test_queries_of_different_names_have_different_keys(dialect: str, one: str, other: str, heads_known: bool) -> None:
    first, second = keys(dialect, one, other, heads_known=heads_known)
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


def test_a_query_is_its_parts_again() -> None:
    queries = [
        "-- 1\n/* 2 */ SELECT 'é' FROM t WHERE a = 1 AND b IN (SELECT c FROM u WHERE d = 'é')",
        "select 1 from t where a = 1",
        "SELECT 1 FROM t",
        "WHERE",
        "",
    ]
    with duckdb.connect() as database:
        split = split_sql(lexis("duckdb"), "SELECT unnest(?) AS query")
        rows = database.execute(f"SELECT query, note, head, tail FROM ({split})", [queries]).fetchall()
    assert [note + head + tail for _, note, head, tail in rows] == queries
    assert rows[0][1:3] == ("-- 1\n/* 2 */", " SELECT 'é' FROM t ")
    assert [tail for *_, tail in rows[1:]] == ["where a = 1", "", "WHERE", ""]


@pytest.mark.parametrize(
    ("dialect", "head"),
    [
        ("duckdb", "SELECT 'so "),
        ("duckdb", "SELECT 1 -- so "),
        ("duckdb", "SELECT /* so "),
        ("duckdb", 'SELECT "so '),
        ("postgres", r"SELECT E'it\'s so "),
        ("postgres", "DO $x$ BEGIN DELETE FROM t "),
        ("bigquery", "SELECT 1 FROM `so "),
        ("bigquery", 'SELECT """it\'s " so '),
        ("tsql", "SELECT 1 FROM [so "),
    ],
)
def test_a_where_that_may_be_within_something_ends_no_head(dialect: str, head: str) -> None:
    assert head_fingerprint(lexis(dialect), head) == ""


def test_a_head_is_told_apart_by_its_names_and_not_by_its_literals() -> None:
    of = lexis("duckdb")
    one, other = (head_fingerprint(of, f"SELECT 'it''s', {n} FROM \"t 1\" -- {n}\n") for n in (1, 2))
    assert one == other != ""
    assert one != head_fingerprint(of, "SELECT 'x', 1 FROM \"t 2\" ")
