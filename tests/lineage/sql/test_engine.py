"""What `analyze` promises beside the edges themselves."""

import threading

from lineage.sql import ENGINE_VERSION, analyze


def test_statements_and_problems_have_their_place() -> None:
    sql = "CREATE TABLE u AS\nSELECT a FROM t;\n\nSELECT FROM WHERE (;\nSELECT x.y\nFROM s;\n"
    analysis = analyze(sql, dialect="postgres")
    texts = [sql[statement.start : statement.end] for statement in analysis.statements]
    assert texts == ["CREATE TABLE u AS\nSELECT a FROM t", "SELECT FROM WHERE (", "SELECT x.y\nFROM s"]
    places = [(problem.code, problem.statement, problem.line) for problem in analysis.problems]
    assert places == [("parse_error", 1, 4), ("unresolved_column", 2, 5)]


def test_a_line_inside_a_quoted_body_is_the_texts_line() -> None:
    sql = "CREATE PROCEDURE p() AS $$\nBEGIN\n  INSERT INTO u SELECT a FROM t;\n  INSERT INTO u SELECT FROM (;\nEND $$"
    assert [problem.line for problem in analyze(sql, dialect="postgres").problems] == [4]


def test_a_line_is_right_behind_parameters_and_commands_of_psql() -> None:
    sql = "\\set day 1\nSELECT a\nFROM t WHERE a = $1;\n\nSELECT i + $2;\n\\echo\nSELECT a b c;\n"
    assert [problem.line for problem in analyze(sql, dialect="postgres").problems] == [7]


def test_an_unknown_dialect_is_a_problem_and_the_text_is_read() -> None:
    analysis = analyze("SELECT a FROM t", dialect="no such dialect")
    assert [problem.code for problem in analysis.problems] == ["unknown_dialect"]
    assert analysis.inputs == ("t",)


class Catalog:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def columns(self, table: str) -> dict[str, str] | None:
        self.asked.append(table)
        return {"a": "INT64", "b": "STRING"} if table == "p.d.t" else None


def test_a_schema_may_be_an_object_that_is_asked_for_what_is_read() -> None:
    catalog = Catalog()
    analysis = analyze(
        "CREATE TABLE d.u AS SELECT * FROM d.t", dialect="bigquery", schema=catalog, default_database="p"
    )
    assert catalog.asked == ["p.d.t"]
    assert analysis.columns["p.d.u"].to_dict() == {"complete": True, "columns": [["a", "INT64"], ["b", "STRING"]]}


def test_nested_schemas_and_short_names_are_found() -> None:
    for schema in ({"d": {"t": {"a": "INT"}}}, {"t": {"a": "INT"}}, {"x.d.t": {"a": "INT"}}, {"D.T": {"A": "INT"}}):
        edges = analyze("CREATE TABLE d.u AS SELECT * FROM d.t", dialect="duckdb", schema=schema).column_edges
        assert [(edge.source, edge.basis) for edge in edges] == [(("d.t", "a"), "schema")], schema


def test_types_of_outputs() -> None:
    sql = "CREATE TABLE u AS SELECT CAST(a AS INT64) AS i, s, b + 1 AS n FROM t"
    columns = analyze(sql, dialect="bigquery", schema={"t": {"a": "X", "s": "STRING", "b": "INT64"}}).columns["u"]
    assert columns.columns == (("i", "INT64"), ("s", "STRING"), ("n", None))


def test_the_path_of_a_struct_field() -> None:
    edges = analyze("SELECT t.s.a.b AS x, v['k'] AS y FROM t", dialect="spark").column_edges
    assert [(edge.source, edge.path) for edge in edges] == [(("t", "s"), "a.b"), (("t", "v"), "k")]


def test_practices_say_why_and_where() -> None:
    sql = "-- load\nINSERT INTO u (a)\nSELECT a FROM t"
    reasons = analyze(sql, dialect="postgres").practices.reasons
    assert [(reason.practice, reason.statement, reason.line) for reason in reasons] == [("idempotent", 0, 2)]
    assert reasons[0].message == "rows are added, a second run adds them again"


def test_the_version_is_a_number() -> None:
    assert isinstance(ENGINE_VERSION, int)


def test_threads_do_not_disturb_each_other() -> None:
    texts = [f"CREATE TABLE u{n} AS SELECT t{n}.a + 1 AS b, {n} AS n FROM t{n} WHERE c > {n}" for n in range(40)]
    alone = [analyze(text, dialect="snowflake").to_dict() for text in texts]
    together: list[list[object]] = [[] for _ in range(6)]

    def read(place: int) -> None:
        together[place] = [analyze(text, dialect="snowflake").to_dict() for text in texts]

    threads = [threading.Thread(target=read, args=(place,)) for place in range(len(together))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answers == alone for answers in together)


def test_equal_texts_give_equal_answers() -> None:
    sql = "SELECT * FROM a JOIN b USING (k) UNION ALL SELECT * FROM c"
    assert analyze(sql, dialect="trino").to_dict() == analyze(sql, dialect="trino").to_dict()
