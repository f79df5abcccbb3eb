"""The chain of expressions behind one column."""

from lineage.sql import explain

SCRIPT = """
CREATE TEMP TABLE stg AS SELECT id, a + b AS ab FROM raw.t;
CREATE TABLE u (p, q) AS
WITH c AS (SELECT id, SUM(ab) AS s FROM stg GROUP BY id),
d AS (SELECT * FROM c)
SELECT id, CASE WHEN d.s > 3 THEN coalesce(s, 1) * 2 END FROM d
"""


def chain(sql: str, table: str, column: str, dialect: str = "postgres") -> list[tuple[str, str, str]]:
    return [(step.relation, step.column, step.expression) for step in explain(sql, table, column, dialect)]


def test_from_the_source_to_the_target() -> None:
    assert chain(SCRIPT, "u", "q") == [
        ("stg", "ab", "a + b"),
        ("d", "s", "SUM(ab)"),
        ("u", "q", "CASE WHEN d.s > 3 THEN coalesce(s, 1) * 2 END"),
    ]


def test_steps_say_where_they_stand_and_what_they_read() -> None:
    first = explain(SCRIPT, "u", "q", "postgres")[0]
    assert (SCRIPT[first.start : first.end], first.line) == ("a + b", 2)
    assert first.to_dict()["reads"] == [["raw.t", "a"], ["raw.t", "b"]]


def test_every_branch_of_a_union() -> None:
    sql = "INSERT INTO u (x) SELECT q.k FROM (SELECT a AS k FROM t1 UNION ALL SELECT b FROM t2) AS q"
    assert chain(sql, "u", "x") == [("q", "k", "b"), ("q", "k", "a"), ("u", "x", "q.k")]


def test_a_recursive_cte_ends() -> None:
    sql = "WITH RECURSIVE r AS (SELECT a AS n FROM t UNION ALL SELECT n + 1 FROM r) SELECT n FROM r"
    assert chain(sql, "", "n")[-1] == ("", "n", "n")


def test_a_column_that_nothing_makes() -> None:
    assert explain("CREATE TABLE u AS SELECT a FROM t", "u", "zzz", "postgres") == ()
