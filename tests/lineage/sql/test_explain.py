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
    assert chain(sql, "u", "x") == [("q", "k", "a"), ("q", "k", "b"), ("u", "x", "q.k")]


def test_a_recursive_cte_ends() -> None:
    sql = "WITH RECURSIVE r AS (SELECT a AS n FROM t UNION ALL SELECT n + 1 FROM r) SELECT n FROM r"
    assert chain(sql, "", "n")[-1] == ("", "n", "n")


def test_a_column_that_nothing_makes() -> None:
    assert explain("CREATE TABLE u AS SELECT a FROM t", "u", "zzz", "postgres") == ()


def test_a_longer_name_of_the_target() -> None:
    assert chain("CREATE TABLE u AS SELECT a + 1 AS b FROM t", "db.u", "b") == [("db.u", "b", "a + 1")]
    assert chain("CREATE TABLE u AS SELECT a + 1 AS b FROM t", "db.uu", "b") == []


def test_through_a_star_of_an_unknown_table() -> None:
    sql = "CREATE TABLE u AS WITH d AS (SELECT * FROM raw.t) SELECT CASE WHEN s = 2 THEN 1 END AS b FROM d"
    assert chain(sql, "u", "b") == [("d", "s", "*"), ("u", "b", "CASE WHEN s = 2 THEN 1 END")]
    assert chain("CREATE TABLE u AS SELECT * FROM raw.t", "u", "b") == [("u", "b", "*")]
    assert chain("CREATE TABLE u AS SELECT a FROM raw.t", "u", "b") == []


MERGE = """
MERGE INTO ops.u AS l USING (SELECT id, sum(q) AS n FROM raw.t GROUP BY id) AS m ON l.id = m.id
WHEN MATCHED THEN UPDATE SET n = coalesce(m.n, 0) + CASE WHEN m.id = 1 THEN 2 END, seen = now()
WHEN NOT MATCHED THEN INSERT (id, n) VALUES (m.id, abs(m.n))
"""


def test_both_branches_of_a_merge() -> None:
    assert chain(MERGE, "ops.u", "n") == [
        ("m", "n", "sum(q)"),
        ("m", "id", "id"),
        ("ops.u", "n", "coalesce(m.n, 0) + CASE WHEN m.id = 1 THEN 2 END"),
        ("ops.u", "n", "abs(m.n)"),
    ]
    assert chain(MERGE, "ops.u", "id") == [("m", "id", "id"), ("ops.u", "id", "m.id")]


def test_a_merge_of_all_columns() -> None:
    sql = "MERGE INTO u USING s ON u.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    assert chain(sql, "u", "n", "databricks") == [("u", "n", "*")]


def test_what_an_update_sets() -> None:
    sql = "UPDATE u SET a = t.b * 2, (c, d) = (t.e, 1) FROM t WHERE t.id = u.id"
    assert chain(sql, "u", "a") == [("u", "a", "t.b * 2")]
    assert chain(sql, "u", "c") == [("u", "c", "(t.e, 1)")]
    assert chain(sql, "u", "d") == [("u", "d", "1")]


def test_a_target_column_called_star_is_a_name() -> None:
    sql = "MERGE u USING s ON FALSE WHEN NOT MATCHED THEN INSERT (id, *) VALUES (id, x)"
    assert chain(sql, "u", "id", "bigquery") == [("u", "id", "id")]


def test_a_target_column_without_a_readable_name_is_no_star() -> None:
    sql = "MERGE INTO u USING s ON 1 = 0 WHEN NOT MATCHED THEN INSERT ((a, b)) VALUES (s.a, s.b)"
    assert [step.expression for step in explain(sql, "u", "")] == ["s.a"]
