"""The peers' own public test suites as cases, from checkouts kept outside this repository, which ships none of them.

A case is {"suite", "name", "sql", "dialect", "schema", "default_schema", "default_database", "inputs", "outputs",
"edges", "left_out"}; what its suite does not state is None, and `left_out` says why a case is that peer's own
convention (see CONVENTIONS).
"""

import ast
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks.peers import CACHE, ROOT, python_of

Case = dict[str, Any]

# Peer's name of a dialect -> sqlglot's. Dialects that the product does not claim to read are left out.
DIALECTS = {
    "": "",
    "ansi": "",
    "non-validating": "",
    "generic": "",
    "postgres": "postgres",
    "postgresql": "postgres",
    "redshift": "redshift",
    "snowflake": "snowflake",
    "bigquery": "bigquery",
    "databricks": "databricks",
    "sparksql": "spark",
    "spark": "spark",
    "spark2": "spark",
    "hive": "hive",
    "athena": "athena",
    "trino": "trino",
    "mysql": "mysql",
    "mariadb": "mysql",
    "duckdb": "duckdb",
    "tsql": "tsql",
    "mssql": "tsql",
}
CONVENTIONS = {
    "dialect": "a dialect outside the twelve that the product reads",
    "template": "a template that another tool's configuration or folder fills",
    "count": "COUNT(*) given a source column named *: no column flows into it",
    "guess": "an unqualified column of several tables given no table: it is not known",
    "star": "columns named beside an unexpanded star are swallowed by it",
    "kept": "a table that a script makes, reads and keeps is no output of it",
    "changed": "a table that DELETE, TRUNCATE, ALTER or DROP changes: an output to one, to the other none",
    "updated": "a table that UPDATE changes is its own input",
    "temporary": "a temporary table that nothing reads is an output",
    "folded": "quoted names of another case are the same column",
    "renamed": "a table that is only renamed: its old name is gone and no input",
    "like": "CREATE TABLE … LIKE given the pattern as a source: no row flows",
    "location": "the files behind an external table are no input",
    "cached": "CACHE TABLE reads nothing",
    "invalid": "not valid in its dialect: a name its alias hides, brackets outside T-SQL, branches of unlike width",
    "placeholder": "a table named by a parameter or an expression: its name is not in the text",
}
# What a text shows of these conventions; the first that matches is the reason.
SIGNS = (
    ("template", r"\{\{|\{%"),
    ("changed", r"(?i)^\s*(DELETE|TRUNCATE|DROP|ALTER TABLE \S+ (?:ADD|DROP))\b"),
    ("renamed", r"(?i)^\s*ALTER TABLE \S+ RENAME TO \S+$"),
    ("like", r"(?i)^\s*CREATE TABLE \S+ LIKE\b"),
    ("location", r"(?is)^\s*CREATE EXTERNAL TABLE\b"),
    ("cached", r"(?i)^\s*CACHE TABLE\b"),
    (
        "invalid",
        r"(?is) AS :\w"
        r"|SELECT tab2\.\*\s+FROM tab2 a|SELECT db\.t\.x.*db\.t as t1|SELECT a FROM t1\s+UNION ALL\s+SELECT b, a\b",
    ),
)


def case(suite: str, name: str, sql: str, dialect: str, **stated: Any) -> Case:
    """One case; a dialect that is not read is the first reason to leave it out."""
    left_out = stated.pop("left_out", None) or (None if dialect in DIALECTS else "dialect")
    blank = dict.fromkeys(("schema", "default_schema", "default_database", "inputs", "outputs", "edges"))
    found = {"suite": suite, "name": name, "sql": sql, "dialect": DIALECTS.get(dialect, ""), "left_out": left_out}
    return blank | found | stated


def convention_of(sql: str, dialect: str) -> str | None:
    """The reason to leave a peer's statement out that its text shows, if any."""
    if dialect not in ("tsql", "mssql") and re.search(r"(?i)\bFROM \[", sql):
        return "invalid"
    return next((reason for reason, sign in SIGNS if re.search(sign, sql)), None)


def plain(name: str | None) -> str:
    """A table name without quotes, case and date shard, a path without its last slash, no mark of a missing schema."""
    bare = re.sub(r'[`"\[\]]', "", name or "").lower().removeprefix("<default>.").removesuffix("/")
    return re.sub(r"_(20\d{6}|yyyymmdd)$", "", bare)


def sqllineage_cases(checkout: Path, cache: Path) -> Iterator[Case]:
    """What the tests of a sqllineage checkout assert, recorded by running them with a plug-in."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "record.jsonl")
        places = {"PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{checkout}", "PEER_RECORD": str(record)}
        pytest = ["-m", "pytest", "-q", "-p", "peer_recorder", "-p", "no:cacheprovider", "tests"]
        command = [str(python_of("sqllineage", cache)), *pytest]
        subprocess.run(command, cwd=checkout, env=os.environ | places, capture_output=True, check=False)
        lines = set(record.read_text(encoding="utf-8").splitlines()) if record.exists() else set()
    seen = set()
    for asserted in map(json.loads, sorted(lines)):
        test = asserted.pop("test")
        key = json.dumps(asserted, sort_keys=True)
        if key not in seen:
            seen.add(key)
            yield sqllineage_case(checkout.name, test, asserted)


def sqllineage_case(suite: str, test: str, asserted: dict[str, Any]) -> Case:
    edges = asserted.get("edges")
    left_out = convention_of(asserted["sql"], asserted["dialect"]) or ("kept" if keeps_unstated(asserted) else None)
    if edges is not None:
        left_out = left_out or ("guess" if any(table is None for table, *_ in edges) else None)
        left_out = left_out or ("count" if any(edge[1] == "*" != edge[3] for edge in edges) else None)
        left_out = left_out or ("star" if swallowed_by_star(asserted["sql"], edges) else None)
        edges = [[plain(table), column.lower(), plain(target), name.lower()] for table, column, target, name in edges]
    return case(
        suite,
        test,
        asserted["sql"],
        "databricks" if asserted["lateral_aliases"] and asserted["dialect"] == "ansi" else asserted["dialect"],
        schema=asserted.get("schema") or None,
        default_schema=asserted["default_schema"],
        inputs=asserted.get("inputs"),
        outputs=asserted.get("outputs"),
        edges=edges,
        left_out=left_out,
    )


def keeps_unstated(asserted: dict[str, Any]) -> bool:
    """Whether the script makes a table or view that lasts and that the suite then does not count as made."""
    made = re.findall(r"(?i)\bCREATE (?:OR REPLACE )?(?:TABLE|VIEW) (?:IF NOT EXISTS )?([\w.]+)", asserted["sql"])
    stated = asserted.get("outputs")
    if stated is None:
        stated = [edge[2] for edge in asserted["edges"]]
    return len(made) > 0 and asserted["sql"].count(";") > 0 and not {*map(plain, made)} <= {*map(plain, stated)}


def swallowed_by_star(sql: str, edges: list[list[str]]) -> bool:
    return any(edge[1] == "*" for edge in edges) and bool(re.search(r"(?i)SELECT \w+,\s*\*", sql))


RUST_STRING = r'"((?:[^"\\]|\\.)*)"'
RUST_CALL = re.compile(
    rf"assert_eq!\(\s*test_sql(?P<with>_dialect)?\(\s*{RUST_STRING}\s*,?\s*(?:{RUST_STRING}\s*,?\s*)?\)"
    r"\s*\.unwrap\(\)\s*\.table_lineage,\s*TableLineage\s*\{\s*in_tables:\s*(?P<in>tables\(vec!\[.*?\]\)|vec!\[\]),"
    r"\s*out_tables:\s*(?P<out>tables\(vec!\[.*?\]\)|vec!\[\]),?\s*\}",
    re.DOTALL,
)
RUST_COLUMNS = re.compile(
    rf"let output = test_sql(?:_dialect)?\(\s*{RUST_STRING}\s*,?\s*(?:{RUST_STRING}\s*,?\s*)?\)\s*\.unwrap\(\);"
    r"\s*assert_eq!\(\s*output\.column_lineage,\s*vec!\[(?P<lineage>.*?)\]\s*\);",
    re.DOTALL,
)
RUST_DESCENDANT = re.compile(
    r"descendant:\s*ColumnMeta\s*\{\s*origin:\s*(?P<table>None|Some\(table\(\"[^\"]*\"\)\)),\s*name:\s*\"(?P<name>[^\"]*)\""
)
RUST_SOURCE = re.compile(r"origin:\s*(None|Some\(table\(\"([^\"]*)\"\)\)),\s*name:\s*\"([^\"]*)\"")


def rust_text(literal: str) -> str:
    """What a Rust string literal holds; a backslash at the end of a line swallows the white space after it."""
    joined = re.sub(r"\\\n\s*", "", literal)
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), joined)


def openlineage_cases(checkout: Path) -> Iterator[Case]:
    """What OpenLineage's SQL tests assert in one piece: one statement written out, its tables or its columns."""
    for path in sorted((checkout / "integration/sql/impl/tests").rglob("*.rs")):
        text = path.read_text(encoding="utf-8")
        for number, found in enumerate(RUST_CALL.finditer(text)):
            sql, dialect = rust_text(found[2]), found[3] or "postgres"
            names = [
                [plain(rust_text(name)) for name in re.findall(RUST_STRING, found[part])] for part in ("in", "out")
            ]
            left_out = "placeholder" if "{" in sql or "?" in sql else convention_of(sql, dialect)
            name = f"{path.stem} {number}"
            yield case("OpenLineage", name, sql, dialect, inputs=names[0], outputs=names[1], left_out=left_out)
        for number, found in enumerate(RUST_COLUMNS.finditer(text)):
            edges = list(rust_edges(found["lineage"]))
            sql, dialect = rust_text(found[1]), found[2] or "postgres"
            left_out = "guess" if any(not edge[0] for edge in edges) else convention_of(sql, dialect)
            name = f"{path.stem} columns {number}"
            yield case("OpenLineage", name, sql, dialect, edges=edges, left_out=left_out)


def rust_edges(lineage: str) -> Iterator[list[str]]:
    for block in re.split(r"ColumnLineage\s*\{", lineage)[1:]:
        target = RUST_DESCENDANT.search(block)
        if target:
            table = re.search(r'"([^"]*)"', target["table"])
            for source in RUST_SOURCE.finditer(block, target.end()):
                yield [plain(source[2]), source[3].lower(), plain(table[1]) if table else "", target["name"].lower()]


def bigquery_etl_cases(checkout: Path) -> Iterator[Case]:
    """Queries with a unit test: the tables that the test brings as fixtures are the query's true inputs."""
    for folder in sorted(path for path in (checkout / "tests/sql").glob("*/*/*") if path.is_dir()):
        fixtures = {path.name for test in folder.iterdir() if test.is_dir() for path in test.iterdir()}
        names = {re.sub(r"\.(yaml|ndjson|json|schema\.json)$", "", name) for name in fixtures}
        inputs = sorted(plain(name) for name in names if name.count(".") >= 1 and not name.endswith((".schema", ".py")))
        query = checkout.joinpath("sql", *folder.parts[-3:], "query.sql")
        if inputs and query.exists():
            sql = query.read_text(encoding="utf-8")
            left_out = "template" if "{{" in sql or "{%" in sql else None
            yield case("bigquery-etl", "/".join(folder.parts[-2:]), sql, "bigquery", inputs=inputs, left_out=left_out)


DATAHUB_TESTS = "metadata-ingestion/tests/unit/sql_parsing"
URN = re.compile(r"urn:li:dataset:\(urn:li:dataPlatform:\w+,(.+),PROD\)")


def datahub_cases(checkout: Path) -> Iterator[Case]:
    """DataHub's golden files, as far as the checkout has them, beside the statements that its test's text gives."""
    folder = checkout / DATAHUB_TESTS
    tree = ast.parse((folder / "test_sqlglot_lineage.py").read_text(encoding="utf-8"))
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "assert_sql_result":
            given = {word.arg: word.value for word in call.keywords}
            golden = folder / "goldens" / ast.literal_eval(given.pop("expected_file").right)  # type: ignore[attr-defined]
            said = {name: ast.literal_eval(value) for name, value in given.items()}
            if golden.is_file():
                yield datahub_case(golden.stem, ast.literal_eval(call.args[0]), said, json.loads(golden.read_text()))


def datahub_case(name: str, sql: str, said: dict[str, Any], golden: dict[str, Any]) -> Case:
    lineage = golden.get("column_lineage")
    edges = [
        [
            dataset(up["table"]),
            top(up["column"]),
            dataset(info["downstream"]["table"]),
            info["downstream"]["column"].lower(),
        ]
        for info in lineage or ()
        for up in info["upstreams"]
    ]
    return case(
        "DataHub",
        name,
        sql,
        said["dialect"],
        schema={dataset(urn): columns for urn, columns in said.get("schemas", {}).items()} or None,
        default_schema=said.get("default_schema"),
        default_database=said.get("default_db"),
        inputs=[dataset(urn) for urn in golden["in_tables"]],
        outputs=[dataset(urn) for urn in golden["out_tables"]],
        edges=edges if lineage is not None else None,
        left_out=convention_of(sql, said["dialect"]) or datahub_convention(sql, said["dialect"]),
    )


def datahub_convention(sql: str, dialect: str) -> str | None:
    if re.match(r"(?i)\s*UPDATE\b", sql):
        return "updated"
    if re.match(r"(?i)\s*CREATE TABLE #", sql):
        return "temporary"
    return "folded" if dialect == "snowflake" and re.search(r'"[^"]*[a-z][^"]*"', sql) else None


def top(column: str) -> str:
    """The column of a struct's field, which stands beside it as a path: a.b.c -> a."""
    return column.lower().partition(".")[0]


def dataset(urn: str | None) -> str:
    found = URN.fullmatch(urn or "")
    return plain(found[1]) if found else ""


def own_cases() -> Iterator[Case]:
    """The product's own cases, for the peers' sake: without templates, which they do not render."""
    for path in sorted((ROOT / "tests/lineage/sql/cases").glob("*.yaml")):
        for each in yaml.safe_load(path.read_text(encoding="utf-8")):
            if "{{" in each["sql"] or "{%" in each["sql"] or each.get("error") or each.get("default_database"):
                continue
            edges = None if "columns" not in each else [own_edge(text) for text in each["columns"]]
            yield case(
                "own cases",
                f"{path.stem}::{each['name']}",
                each["sql"],
                each["dialect"],
                schema=each.get("schema"),
                default_schema=each.get("default_schema"),
                inputs=[plain(name) for name in each["inputs"]],
                outputs=[plain(name) for name in each["outputs"]],
                edges=edges,
            )


def own_edge(text: str) -> list[str]:
    source, target = re.sub(r" [A-Z]{8,}$", "", text).split(" -> ")
    return [*map(plain, split_last(source)), *map(plain, split_last(target))]


def split_last(name: str) -> tuple[str, str]:
    table, _, column = name.rpartition(".")
    return table, column


def suite_of(checkout: Path, cache: Path = CACHE) -> list[Case]:
    """The cases of a checkout, whose kind shows by its folders; ValueError when it is none that is known."""
    if (checkout / "integration/sql/impl/tests").is_dir():
        return list(openlineage_cases(checkout))
    if (checkout / "sqllineage").is_dir() and (checkout / "tests/helpers.py").is_file():
        return list(sqllineage_cases(checkout, cache))
    if (checkout / "tests/sql").is_dir() and (checkout / "sql").is_dir():
        return list(bigquery_etl_cases(checkout))
    if (checkout / DATAHUB_TESTS).is_dir():
        return list(datahub_cases(checkout))
    raise ValueError(f"{checkout} is no checkout of sqllineage, OpenLineage, DataHub or bigquery-etl")
