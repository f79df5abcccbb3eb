"""The engine against cases kept as data: SQL beside the tables and columns it really moves, one file per SQL feature.

A case is written from SQL's own rules, never from what the engine answers. Keys of a case:

name, dialect, sql      what is analysed; a name is unique within its file
schema, default_database, default_schema, relations, config
                        handed to `analyze` as they are
inputs, outputs         tables of the whole script, always given; a bare SELECT has no output
columns                 every direct edge, as "db.t.a -> db.u.b", with the kind after it where the case says one:
                        "db.t.a -> db.u.b AGGREGATION". The last dot outside double quotes splits table from column.
                        A target without a dot belongs to a bare SELECT: "t.a -> b". "t.* -> u.*" is an unexpanded star.
indirect                when given, every indirect edge: "t.b -> u.* FILTER", "t.b -> u.c WINDOW"
bases                   some edges' basis: {"t.a -> u.a": schema}
problems                when given, all problem codes; when not, no problem may be an error
error                   true: at least one problem must be an error, whatever its code
output_columns          {table: [columns in order]}
practices, by_output    some of load_strategy, idempotent, atomic, backfill_safe (null: the SQL alone cannot tell)

Where SQL leaves room, these rules hold:

- A table that UPDATE, DELETE or MERGE changes is an output; it is an input only when named again as another source.
  Its own columns may still be sources of edges (SET n = n + 1).
- A table that is written and then read by one script and outlives it is both output and input. One that is dropped
  again, or is temporary, is neither: its lineage goes through.
- COUNT(*), literals, row numbers and generated values have no direct source.
- An explicit CAST is a TRANSFORMATION. Along a path the strongest kind wins: AGGREGATION, TRANSFORMATION, IDENTITY.
- A column merged by USING or NATURAL comes from both sides.
- Reading through a CTE, sub-query or temp table carries its filters, joins, groupings along to the final target.
- The target columns of an INSERT without a list are, by position, those of the target where known, else the query's.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

try:
    from lineage.sql import analyze
except ImportError:
    pytest.skip("the engine is not there", allow_module_level=True)

CASES = Path(__file__).with_name("cases")
DIRECT = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")
INDIRECT = ("CONDITIONAL", "WINDOW", "FILTER", "JOIN", "GROUP_BY", "SORT")
EDGE = re.compile(rf"(?P<source>.+?) -> (?P<target>.+?)(?: (?P<kind>{'|'.join(DIRECT + INDIRECT)}))?")
LAST_DOT = re.compile(r'(?P<table>(?:"[^"]*"|.)*)\.(?P<column>"[^"]*"|[^."]+)')
SETTINGS = ("schema", "default_database", "default_schema", "relations", "config")
EXPECTATIONS = ("inputs", "outputs", "columns", "indirect", "bases") + (
    "problems",
    "error",
    "output_columns",
    "practices",
    "by_output",
)
FEATURES = (
    ("clients", "clone_copy", "comments", "ctas", "cte", "defaults", "delete", "explode", "files", "flatten")
    + (
        "functions",
        "indirect",
        "insert",
        "insert_overwrite",
        "joins",
        "kinds",
        "lateral_alias",
        "merge",
        "names",
        "natives",
    )
    + ("never_invented", "one_broken", "pivot", "qualify", "rename_swap", "script_tables", "scripting")
    + ("set_operations", "sharded", "star_except", "stars", "structs_json", "subqueries", "temp_tables", "templates")
    + ("transactions", "unnest", "update", "views", "windows")
    + ("practices_append", "practices_clock", "practices_dbt", "practices_full_refresh", "practices_incremental")
    + ("practices_jobs", "practices_merge", "practices_unknown")
)
DIALECTS = {"bigquery", "snowflake", "redshift", "postgres", "spark", "databricks", "hive", "clickhouse"} | {
    "trino",
    "athena",
    "mysql",
    "duckdb",
    "tsql",
    "oracle",
}


def load_cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """(file stem, case) of every case, files in name order."""
    for path in sorted(CASES.glob("*.yaml")):
        for case in yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader):  # ten times the pure loader
            yield path.stem, case


ALL = list(load_cases())


def split_column(text: str) -> tuple[str, str]:
    """'db.t.a' -> ('db.t', 'a'); 'a' -> ('', 'a')."""
    found = LAST_DOT.fullmatch(text)
    if not found:
        return "", text.strip('"')
    return found["table"], found["column"].strip('"')


def read_edge(text: str) -> tuple[tuple[str, str], tuple[str, str], str | None]:
    """'t.a -> u.b FILTER' -> (('t', 'a'), ('u', 'b'), 'FILTER')."""
    found = EDGE.fullmatch(text)
    assert found, f"not an edge: {text!r}"
    return split_column(found["source"]), split_column(found["target"]), found["kind"]


def write_edge(source: tuple[str, str], target: tuple[str, str], kind: str | None = None) -> str:
    ends = (".".join(part for part in end if part) for end in (source, target))
    return " -> ".join(ends) + (f" {kind}" if kind else "")


def compare_sets(what: str, expected: set[str], actual: set[str]) -> list[str]:
    missing = [f"{what}: missing    {item}" for item in sorted(expected - actual)]
    return missing + [f"{what}: unexpected {item}" for item in sorted(actual - expected)]


def edges_of(answer: dict[str, Any], kinds: tuple[str, ...]) -> set[tuple[tuple[str, str], tuple[str, str], str]]:
    edges = answer["column_edges"]
    return {(tuple(e["source"]), tuple(e["target"]), e["kind"]) for e in edges if e["kind"] in kinds}


def compare_direct(case: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Edges exactly; a kind only where the case says it, and then it must be the only one."""
    expected = [read_edge(text) for text in case["columns"]]
    actual = edges_of(answer, DIRECT)
    differences = compare_sets(
        "columns", {write_edge(*edge[:2]) for edge in expected}, {write_edge(*edge[:2]) for edge in actual}
    )
    for source, target, kind in expected:
        kinds = {edge[2] for edge in actual if edge[:2] == (source, target)}
        if kind and kinds and kinds != {kind}:
            differences.append(f"kind of {write_edge(source, target)}: expected {kind}, got {sorted(kinds)}")
    return differences


def compare_indirect(case: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    expected = {write_edge(*read_edge(text)) for text in case["indirect"]}
    return compare_sets("indirect", expected, {write_edge(*edge) for edge in edges_of(answer, INDIRECT)})


def compare_bases(case: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    differences = []
    for text, basis in case["bases"].items():
        source, target, _ = read_edge(text)
        edges = [(tuple(e["source"]), tuple(e["target"]), e["kind"], e["basis"]) for e in answer["column_edges"]]
        found = {edge[3] for edge in edges if edge[:2] == (source, target) and edge[2] in DIRECT}
        if found != {basis}:
            differences.append(f"basis of {text}: expected {basis}, got {sorted(found)}")
    return differences


def compare_problems(case: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    problems = answer["problems"]
    errors = [f"{p['code']} (line {p['line']}: {p['message']})" for p in problems if p["severity"] == "error"]
    if case.get("error") and not errors:
        return ["problems: an error was due, none was reported"]
    if "problems" in case:
        return compare_sets("problems", set(case["problems"]), {p["code"] for p in problems})
    return [] if case.get("error") else [f"problems: unexpected error {error}" for error in errors]


def compare_output_columns(case: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    differences = []
    for table, expected in case["output_columns"].items():
        actual = [column[0] for column in answer["columns"].get(table, {"columns": []})["columns"]]
        if actual != expected:
            differences.append(f"columns of {table}: expected {expected}, got {actual}")
    return differences


def compare_practices(what: str, expected: dict[str, Any], judged: dict[str, Any]) -> list[str]:
    return [
        f"{what}: {practice} expected {value!r}, got {judged.get(practice)!r}"
        for practice, value in expected.items()
        if practice not in judged or judged[practice] != value
    ]


def differences_of(case: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Everything in which the answer is not what the case says, one line each."""
    found = compare_sets("inputs", set(case["inputs"]), set(answer["inputs"]))
    found += compare_sets("outputs", set(case["outputs"]), set(answer["outputs"]) - {""})
    comparisons = {
        "columns": compare_direct,
        "indirect": compare_indirect,
        "bases": compare_bases,
        "output_columns": compare_output_columns,
    }
    for key, compare in comparisons.items():
        if key in case:
            found += compare(case, answer)
    found += compare_practices("practices", case.get("practices", {}), answer["practices"])
    for table, expected in case.get("by_output", {}).items():
        judged = answer["practices"]["by_output"].get(table, {})
        found += compare_practices(f"practices of {table}", expected, judged)
    return found + compare_problems(case, answer)


def analyze_case(case: dict[str, Any]) -> dict[str, Any]:
    settings = {key: case[key] for key in SETTINGS if key in case}
    return analyze(case["sql"], dialect=case["dialect"], **settings).to_dict()


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{stem}::{case['name']}") for stem, case in ALL])
def test_case(case: dict[str, Any]) -> None:
    differences = differences_of(case, analyze_case(case))
    assert not differences, "\n" + "\n".join([*differences, "", case["sql"]])


def test_a_case_has_only_known_keys_and_a_name_of_its_own() -> None:
    known = {"name", "dialect", "sql", *SETTINGS, *EXPECTATIONS}
    wrong = [f"{stem}::{case.get('name')}" for stem, case in ALL if set(case) - known or "inputs" not in case]
    counts = Counter(f"{stem}::{case['name']}" for stem, case in ALL)
    assert (wrong, [name for name, count in counts.items() if count > 1]) == ([], [])


def test_every_feature_and_every_dialect_has_cases() -> None:
    assert {stem for stem, _ in ALL} == set(FEATURES)
    assert {case["dialect"] for _, case in ALL} == DIALECTS


def test_there_are_at_least_400_cases_of_lineage_and_60_of_practices() -> None:
    judged = [case for _, case in ALL if "practices" in case or "by_output" in case]
    assert len(ALL) >= 400
    assert len(judged) >= 60


def test_a_wrong_answer_is_told_apart() -> None:
    case = {"inputs": ["t"], "outputs": ["u"], "columns": ["t.a -> u.b AGGREGATION"], "indirect": []}
    answer = analyze("SELECT 1", dialect="duckdb").to_dict()
    assert differences_of(case, answer) == [
        "inputs: missing    t",
        "outputs: missing    u",
        "columns: missing    t.a -> u.b",
    ]
