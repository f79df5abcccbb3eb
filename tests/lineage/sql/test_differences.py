"""What changed between two texts of SQL, in words: both texts and the sentences side by side."""

from __future__ import annotations

import pytest

from lineage.sql.differences import LONGEST, differences

LONG = ", ".join(f"WHEN {n} THEN 'number {n}'" for n in range(40)).replace(",", "")

CASES = [
    ("select a from t", "SELECT a -- same\nFROM t", []),
    ("select A from T", "select a from t", []),
    # columns
    ("select reason as r from t", "select code as r from t", ["column r now reads code instead of reason"]),
    ("select sum(a) as s from t", "select sum(b) as s from t", ["column s now reads b instead of a"]),
    ("select a as s from t", "select a + 1 as s from t", ["column s is now a + 1 instead of a"]),
    ("select a from t", "select a, b * 2 as c from t", ["column c added: b * 2"]),
    ("select a, b from t", "select a from t", ["column b removed"]),
    (
        f"select case x {LONG} WHEN 99 THEN y END as c from t",
        f"select case x {LONG} WHEN 99 THEN z END as c from t",
        ["column c now reads z instead of y"],
    ),
    (
        f"select case x {LONG} WHEN 99 THEN y END as c from t",
        f"select case x {LONG} WHEN 99 THEN f(y) END as c from t",
        ["column c is now CASE WHEN 99 THEN F(y) END instead of CASE WHEN 99 THEN y END"],
    ),
    # conditions
    ("select a from t where b", "select a from t where b and not c", ["WHERE condition added: NOT c"]),
    ("select a from t where b and c", "select a from t where c", ["WHERE condition removed: b"]),
    ("select a from t where d > 1", "select a from t where d > 2", ["WHERE condition changed: d > 2 instead of d > 1"]),
    ("select sum(a) from t", "select sum(a) from t having sum(a) > 0", ["HAVING condition added: SUM(a) > 0"]),
    # where the rows come from
    ("select a from t", "select a from u", ["reads u instead of t"]),
    ("select x.a from t as x", "select x.a from u as x", ["reads u instead of t"]),
    ("select 1 from t join u on t.i = u.i", "select 1 from t", ["JOIN u ON t.i = u.i removed"]),
    (
        "select 1 from t left join u on t.i = u.i",
        "select 1 from t join u on t.i = u.i and u.live",
        ["u is now read by JOIN instead of LEFT JOIN", "JOIN u condition added: u.live"],
    ),
    # the rest of a query
    ("select a from t", "select distinct a from t limit 3", ["DISTINCT added", "LIMIT 3 added"]),
    ("select a from t group by a", "select a from t group by a, b", ["now GROUP BY a, b instead of GROUP BY a"]),
    ("select a from t", "select a from t union all select a from u", ["query branch 2 added"]),
    # inner queries are named
    ("with c as (select a from t) select a from c", "with c as (select b as a from t) select a from c",
     ["in c: column a now reads b instead of a"]),
    ("select a from (select a from t where b) q", "select a from (select a from t) q",
     ["in q: WHERE condition removed: b"]),
    ("select a from t where a in (select 1)", "select a from t where a in (select 2)",
     ["WHERE condition changed: a IN (SELECT 2) instead of a IN (SELECT 1)"]),
    # statements
    ("create table x as select 1 as a from t", "insert into x select 1 as a from t",
     ["is now INSERT INTO x instead of CREATE TABLE x"]),
    ("delete from x where d = 1; insert into x select a from t", "insert into x select b as a from t",
     ["INSERT INTO x: column a now reads b instead of a", "statement removed: DELETE x"]),
    ("update x set a = 1 where b", "update x set a = 2 where c",
     ["WHERE condition changed: c instead of b", "a = 2 added", "a = 1 removed"]),
    # what cannot be read
    ("select a from t", "selec a from t((", ["statement removed: SELECT", "1 statement cannot be read, 0 before"]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "sentences"), CASES)
def test_the_sentences(before: str, after: str, sentences: list[str]) -> None:
    assert list(differences(before, after, "duckdb")) == sentences


def test_a_changed_merge_says_what_it_does_now() -> None:
    merge = "merge into t using s on t.i = s.i when matched then update set a = s.{}"
    assert differences(merge.format("a"), merge.format("b"), "duckdb") == (
        "WHEN MATCHED THEN UPDATE SET a = s.b added",
        "WHEN MATCHED THEN UPDATE SET a = s.a removed",
    )


def test_no_sentence_quotes_pages_of_sql() -> None:
    long = "select " + " + ".join(f"a{n}" for n in range(1000)) + " as c from t"
    assert max(map(len, differences(long, "select 1 as c from t", "duckdb"))) < 2 * LONGEST + 60


def test_an_unknown_dialect_is_read_as_standard_sql() -> None:
    assert differences("select a from t", "select b from t", "klingon") == ("column b added", "column a removed")
