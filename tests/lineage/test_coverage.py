"""How much of the SQL was read: counted by workers, added up by source and by pipeline, shown with the place."""

from __future__ import annotations

import pytest

from ingest.analyze_file import SqlText, analyze_file
from lineage.coverage import Coverage, coverage, coverage_by_source, current_versions, least_read
from tests.factories import NOON, make_edge, make_pipeline, make_problem, make_source, make_sql_version, make_table
from tests.pages.reading import text_of


def counted(sql: str, columns: dict[str, dict[str, str]] | None = None) -> tuple[int, int]:
    read = analyze_file(SqlText("x.sql", sql, "postgres", "", "", columns=columns or {}))
    return read.columns_found, read.columns_named


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE TABLE u AS SELECT t.a, t.b + t.a AS c FROM t WHERE t.d > 1", (3, 3)),
        ("CREATE TABLE u AS SELECT 1 AS one", (0, 0)),
        ("CREATE TABLE u AS SELECT t.a, b FROM t JOIN s ON s.id = t.id", (3, 4)),
        ("CREATE TABLE u AS SELECT * FROM t", (0, 1)),
        ("CREATE TABLE u AS SELECT x.a FROM t", (0, 1)),
        ("CREATE TABLE u AS SELECT a FROM t; CREATE TABLE v AS SELECT a FROM t", (2, 2)),
    ],
)
def test_columns_named_and_found(sql: str, expected: tuple[int, int]) -> None:
    assert counted(sql) == expected


def test_a_star_over_a_known_table_is_found() -> None:
    assert counted("CREATE TABLE u AS SELECT * FROM t", {"t": {"a": "INT", "b": "INT"}}) == (2, 2)


def version(name: str, source: str = "warehouse", **counts: int):
    pipeline = make_pipeline(name)
    made = make_sql_version(pipeline, **counts)
    target = make_table(source=make_source(source) if source != "warehouse" else None)
    make_edge(pipeline, target=target, sql_version=made)
    make_edge(pipeline, target=make_table(source=target.source), sql_version=made)
    return made


@pytest.fixture
def three(db) -> None:
    version("shop.whole", statements=2, statements_read=2, columns_named=4, columns_found=4)
    broken = version("shop.broken", "lake", statements=3, statements_read=1, columns_named=8, columns_found=8)
    starred = version("shop.starred", statements=1, statements_read=1, columns_named=4, columns_found=1)
    make_sql_version(broken.pipeline, valid_to=NOON, statements=99)
    make_problem(broken.pipeline, code="parse_error", line=7, message="Expected a table.")
    make_problem(broken.pipeline, code="unresolved_star", severity="warning", line=2)
    make_problem(starred.pipeline, code="unresolved_star", severity="warning", line=3)


def test_in_all_and_by_source(three) -> None:
    assert coverage() == Coverage(6, 4, 16, 13)
    assert coverage_by_source() == {"lake": Coverage(3, 1, 8, 8), "warehouse": Coverage(3, 3, 8, 5)}
    assert (coverage().share, coverage().column_share) == (4 / 6, 13 / 16)
    assert (Coverage().share, Coverage().column_share) == (None, None)


def test_the_least_read_come_first_with_their_worst_problem(three) -> None:
    found = least_read(current_versions(), 9)
    assert [(each.pipeline.name, each.first_code, each.first_line) for each in found] == [
        ("shop.broken", "parse_error", 7),
        ("shop.starred", "unresolved_star", 3),
    ]


def test_the_page_leads_to_the_failing_statement(three, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    page = browser.get("/coverage/")
    assert 'href="/pipelines/shop.broken/#L7"' in page.content.decode()
    assert "66.6 % of 6 SQL statements read" in text_of(page)
    of_warehouse = browser.get("/coverage/?source=warehouse").content.decode()
    assert "shop.starred" in of_warehouse
    assert "shop.broken" not in of_warehouse


def test_over_rest(three, viewer, with_token) -> None:
    program = with_token(viewer)
    rows = program.get("/api/v1/coverage/?is_whole=false&source=lake").json()["results"]
    assert [(row["pipeline"], row["statements_read"], row["first_problem"]["line"]) for row in rows] == [
        ("shop.broken", 1, 7)
    ]
    assert program.get(rows[0]["url"]).json() == rows[0]
    assert [row["pipeline"] for row in program.get("/api/v1/coverage/?is_whole=true").json()["results"]] == [
        "shop.whole"
    ]
    by_source = program.get("/api/v1/coverage/sources/").json()
    assert [(row["source"], row["columns_found"]) for row in by_source] == [(None, 13), ("lake", 8), ("warehouse", 5)]
