"""What must not change lineage: names of aliases, layers and order of CTEs, case and white space."""

import re
import time
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.sql import Analysis, analyze

COLUMNS = ("a", "b", "c", "d")
TABLES = ("t1", "t2", "t3")
SCHEMA = {table: {f"{table}_{column}": "INT" for column in COLUMNS} for table in TABLES}


def edges(analysis: Analysis) -> set[tuple[object, ...]]:
    return {(e.source, e.target, e.kind, e.basis, e.path) for e in analysis.column_edges}


def read(sql: str) -> set[tuple[object, ...]]:
    analysis = analyze(sql, dialect="postgres", schema=SCHEMA)
    assert not [problem for problem in analysis.problems if problem.severity == "error"], sql
    return edges(analysis)


columns = st.builds(
    lambda table, column: (table, f"{table}_{column}"), st.sampled_from(TABLES), st.sampled_from(COLUMNS)
)


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """An expression over qualified columns, written "{t1}.t1_a" so that aliases can be put in."""
    table, column = draw(columns)
    one = f"{{{table}}}.{column}"
    table, column = draw(columns)
    two = f"{{{table}}}.{column}"
    forms = (
        "{one}",
        "{one} + {two}",
        "coalesce({one}, {two})",
        "case when {one} > 0 then {two} else 0 end",
        "sum({one}) over (partition by {two})",
        "cast({one} as text)",
        "(select max({one}))",
    )
    return draw(st.sampled_from(forms)).replace("{one}", one).replace("{two}", two)


@st.composite
def queries(draw: st.DrawFn) -> tuple[list[str], str]:
    """Select items, and a condition."""
    items = draw(st.lists(expressions(), min_size=1, max_size=4))
    return items, draw(expressions())


def written(query: tuple[list[str], str], aliases: dict[str, str]) -> str:
    """The query over all three tables under these aliases."""
    items, condition = query
    selected = ", ".join(f"{item.format(**aliases)} AS x{place}" for place, item in enumerate(items))
    joins = f"t1 AS {aliases['t1']} JOIN t2 AS {aliases['t2']} ON {aliases['t1']}.t1_a = {aliases['t2']}.t2_a"
    joins += f" CROSS JOIN t3 AS {aliases['t3']}"
    return f"SELECT {selected} FROM {joins} WHERE {condition.format(**aliases)} IS NOT NULL"


PLAIN = {table: table for table in TABLES}
MAX_EXAMPLES = 60


@settings(max_examples=MAX_EXAMPLES, deadline=None)
@given(queries(), st.permutations(["p", "q", "r"]))
def test_aliases_do_not_matter(query: tuple[list[str], str], names: list[str]) -> None:
    other = dict(zip(TABLES, names, strict=True))
    assert read("CREATE TABLE u AS " + written(query, other)) == read("CREATE TABLE u AS " + written(query, PLAIN))


@settings(max_examples=MAX_EXAMPLES, deadline=None)
@given(queries(), st.integers(min_value=1, max_value=4))
def test_layers_of_ctes_do_not_matter(query: tuple[list[str], str], layers: int) -> None:
    plain = written(query, PLAIN)
    names = ", ".join(f"x{place}" for place in range(len(query[0])))
    ctes = [f"l0 AS ({plain})"] + [f"l{k} AS (SELECT {names} FROM l{k - 1})" for k in range(1, layers)]
    wrapped = f"CREATE TABLE u AS WITH {', '.join(ctes)} SELECT * FROM l{layers - 1}"
    assert read(wrapped) == read("CREATE TABLE u AS " + plain)


@settings(max_examples=MAX_EXAMPLES, deadline=None)
@given(st.lists(queries(), min_size=2, max_size=3), st.randoms(use_true_random=False))
def test_the_order_of_independent_ctes_does_not_matter(parts: list[tuple[list[str], str]], random) -> None:  # type: ignore[no-untyped-def]
    ctes = [f"c{place} AS ({written(part, PLAIN)})" for place, part in enumerate(parts)]
    shuffled = random.sample(ctes, len(ctes))
    end = " SELECT c0.x0 AS p, c1.x0 AS q FROM c0 CROSS JOIN c1"
    assert read(f"CREATE TABLE u AS WITH {', '.join(shuffled)}{end}") == read(
        f"CREATE TABLE u AS WITH {', '.join(ctes)}{end}"
    )


@settings(max_examples=MAX_EXAMPLES, deadline=None)
@given(queries(), st.sampled_from([" ", "\n", "\t\r\n", " /* x; */ ", " -- y;\n"]), st.booleans())
def test_case_and_white_space_do_not_matter(query: tuple[list[str], str], space: str, upper: bool) -> None:
    plain = "CREATE TABLE u AS " + written(query, PLAIN)
    changed = re.sub(" ", lambda _: space, plain)
    assert read(changed.upper() if upper and "--" not in space else changed) == read(plain)


@settings(max_examples=MAX_EXAMPLES, deadline=None)
@given(queries())
def test_a_temp_table_is_like_a_cte(query: tuple[list[str], str]) -> None:
    plain = written(query, PLAIN)
    script = f"CREATE TEMP TABLE stg AS {plain}; CREATE TABLE u AS SELECT * FROM stg"
    assert read(script) == read(f"CREATE TABLE u AS WITH stg AS ({plain}) SELECT * FROM stg")


# --- texts that are broken in some way: a result or a problem, never an exception

SEEDS = (
    "CREATE OR REPLACE TABLE d.u AS WITH c AS (SELECT a, SUM(b) AS s FROM d.t WHERE x > 1 GROUP BY a) SELECT * FROM c",
    "MERGE INTO u USING (SELECT id, x FROM s) q ON u.id = q.id WHEN MATCHED THEN UPDATE SET x = q.x "
    "WHEN NOT MATCHED THEN INSERT (id, x) VALUES (q.id, q.x);",
    "BEGIN; DELETE FROM u WHERE d = '{{ ds }}'; INSERT INTO u SELECT * FROM t WHERE d = '{{ ds }}'; COMMIT;",
    "DECLARE x INT64 DEFAULT 0; IF x > 0 THEN INSERT INTO u SELECT a FROM t; END IF; CALL p(1);",
    "CREATE PROCEDURE p() AS $$ BEGIN UPDATE u SET a = s.b FROM s WHERE u.id = s.id; END $$;",
    "SELECT {{ cols }} FROM {{ ref('x') }} {% if is_incremental() %} WHERE a > 1 {% endif %}",
    "SELECT t.a.b, f.value:x[0].y::string FROM t, LATERAL FLATTEN(input => t.v) f QUALIFY RANK() OVER (ORDER BY 1) = 1",
    "INSERT OVERWRITE TABLE u PARTITION (d = '1', h) SELECT k, v, h FROM t LATERAL VIEW explode(m) e AS k, v",
    "COPY INTO u FROM @stage/x; UNLOAD ('SELECT 1') TO 's3://b/k'; ALTER TABLE a RENAME TO b;",
    "SELECT * FROM t PIVOT (SUM(a) FOR b IN ('x', 'y')) UNION ALL BY NAME SELECT * EXCEPT (a) REPLACE (1 AS b) FROM s",
)
DIALECTS = (
    "",
    "bigquery",
    "snowflake",
    "redshift",
    "postgres",
    "spark",
    "hive",
    "trino",
    "athena",
    "mysql",
    "duckdb",
    "tsql",
)
SHREDS = (
    "(",
    ")",
    ",",
    ";",
    "'",
    '"',
    "`",
    "$$",
    "BEGIN",
    "END",
    "CASE",
    "WHEN",
    "SELECT",
    "FROM",
    ".",
    "*",
    "{{",
    "%}",
    "--",
    "/*",
)


@st.composite
def broken_texts(draw: st.DrawFn) -> str:
    """A seed with pieces cut out, doubled, moved or put in."""
    words = re.split(r"(\W)", draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(min_value=1, max_value=6))):
        place = draw(st.integers(min_value=0, max_value=max(len(words) - 1, 0)))
        match draw(st.sampled_from(["cut", "double", "put", "swap"])):
            case "cut":
                del words[place : place + draw(st.integers(min_value=1, max_value=8))]
            case "double":
                words[place:place] = words[place : place + 12]
            case "put":
                words.insert(place, draw(st.sampled_from(SHREDS)))
            case "swap":
                words[:] = words[place:] + words[:place]
    return "".join(words)


@settings(max_examples=400, deadline=None)
@given(broken_texts(), st.sampled_from(DIALECTS))
def test_broken_texts_end_in_a_result(text: str, dialect: str) -> None:
    answer = analyze(text, dialect=dialect).to_dict()
    assert [p for p in answer["problems"] if p["code"] == "internal_error"] == []
    places = [(s["start"], s["end"]) for s in answer["statements"]]
    assert all(0 <= start <= end <= len(answer["rendered"]) for start, end in places)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.sampled_from(DIALECTS))
def test_any_text_ends_in_a_result(text: str, dialect: str) -> None:
    answer = analyze(text, dialect=dialect).to_dict()
    assert [p for p in answer["problems"] if p["code"] == "internal_error"] == []


def chains() -> Iterator[tuple[str, str]]:
    yield "a long OR", "SELECT a FROM t WHERE " + " OR ".join(f"b = {n}" for n in range(10_000))
    yield "a long sum", "SELECT " + " + ".join("a" for _ in range(10_000)) + " AS s FROM t"
    yield "a long UNION", " UNION ALL ".join("SELECT a FROM t" for _ in range(1_500))
    yield "a long IN list", f"SELECT a FROM t WHERE b IN ({', '.join(map(str, range(100_000)))})"
    yield "many casts", "SELECT a" + "::int" * 5_000 + " AS s FROM t"
    yield "many elements", "SELECT a" + "[0]" * 150 + " AS s FROM t"
    yield "many rows", "INSERT INTO u (a) VALUES " + ", ".join(f"({n})" for n in range(50_000))


def test_long_chains_are_read() -> None:
    for what, sql in chains():
        analysis = analyze(sql, dialect="postgres")
        assert analysis.problems == (), what
        assert analysis.inputs == (() if what == "many rows" else ("t",)), what


def test_bounds_are_problems() -> None:
    deep = 10_000
    texts = {
        "too_deep": "SELECT a FROM " + "(SELECT a FROM " * deep + "t" + ")" * deep,
        "too_large": "SELECT 1 " * 1_000_000,
    }
    for code, sql in texts.items():
        assert [problem.code for problem in analyze(sql, dialect="bigquery").problems] == [code]


def test_a_deep_statement_costs_only_itself() -> None:
    deep = "SELECT " + "(" * 5_000 + "a" + ")" * 5_000 + " FROM x"
    analysis = analyze(
        f"CREATE TABLE u AS SELECT a FROM t; {deep}; CREATE TABLE w AS SELECT b FROM s", dialect="postgres"
    )
    assert (analysis.inputs, analysis.outputs) == (("s", "t"), ("u", "w"))
    assert [problem.code for problem in analysis.problems] == ["too_deep"]


def test_joins_that_wait_for_an_on_are_bounded() -> None:
    """The parser reads what follows such a JOIN twice: 50 of them would take it for ever, also through sub-queries."""
    many = "UPDATE t SET n = 1 FROM u AS t" + " JOIN u AS t" * 50
    nested = "SELECT 1 FROM a" + " JOIN b JOIN (SELECT 1 FROM a" * 20 + ") AS q" * 20
    for sql in (many, nested):
        assert [problem.code for problem in analyze(sql, dialect="tsql").problems] == ["too_deep"]


def test_queries_that_begin_with_from_are_bounded() -> None:
    """Where one of them does not fit, the parser reads what follows each twice: 21 took minutes."""
    for opened in ("LATERAL FLATTEN(FROM t, ", "LATERAL FROM t, "):
        never_closed = "SELECT v FROM t, " + opened * 21 + "x"
        assert [problem.code for problem in analyze(never_closed, dialect="snowflake").problems] == ["too_deep"]
    beside_each_other = " UNION ALL ".join("SELECT a FROM (FROM t)" for _ in range(40))
    analysis = analyze(beside_each_other, dialect="duckdb")
    assert (analysis.inputs, analysis.problems) == (("t",), analyze("SELECT a FROM (FROM t)", "duckdb").problems)


def test_sql_in_a_string_is_bounded_too() -> None:
    many = "SELECT 1 FROM a" + " JOIN b" * 50
    assert analyze(f"CREATE TABLE u AS SELECT * FROM crosstab('{many}') AS c (a int)", dialect="postgres").inputs == ()
    assert analyze(f"UNLOAD ('{many}') TO 's3://b/p'", dialect="redshift").inputs == ()


def test_joins_that_people_write_are_read() -> None:
    nested = (
        "SELECT 1 FROM a LEFT JOIN (b JOIN c ON b.x = c.x) ON a.x = b.x LEFT JOIN d JOIN e ON d.x = e.x ON a.x = d.x"
    )
    many = "SELECT 1 FROM a" + " JOIN b USING (x)" * 40 + " NATURAL JOIN c" * 40 + " CROSS JOIN d" * 40
    assert analyze(nested, dialect="postgres").inputs == ("a", "b", "c", "d", "e")
    assert analyze(many, dialect="postgres").inputs == ("a", "b", "c", "d")
    queries = " UNION ALL ".join("SELECT 1 FROM a JOIN b" for _ in range(40))
    assert analyze(queries, dialect="mysql").problems == ()


def test_nesting_that_people_write_is_read() -> None:
    sql = "SELECT a FROM " + "(SELECT a FROM " * 30 + "t" + ") AS q" * 30
    assert analyze(sql, dialect="postgres").inputs == ("t",)


def test_a_script_of_many_statements_takes_time_by_its_length() -> None:
    """Nothing may look at the whole script for each statement: that once made 20,000 statements take minutes."""

    def seconds(count: int) -> float:
        script = ";\n".join(f"INSERT INTO u{n % 7} SELECT a FROM t{n % 5}" for n in range(count))
        start = time.process_time()
        assert len(analyze(script, dialect="bigquery").statements) == count
        return time.process_time() - start

    seconds(50)
    assert seconds(4_000) < 3 * 8 * seconds(500)
