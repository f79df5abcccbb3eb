"""The page and the REST address of what changed upstream, and the page of one change of SQL."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from catalog.models import Table
from pages.changes import compare_lines
from tests.factories import make_edge, make_pipeline, make_run, make_sql_version, make_table
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db

NOW = timezone.now()
DAY = dt.timedelta(days=1)


@pytest.fixture
def mart() -> Table:
    """Built from core, whose pipeline failed yesterday and got another SQL two days ago."""
    core, mart = make_table("core"), make_table("mart")
    loads, builds = make_pipeline("load_core"), make_pipeline("build_mart")
    make_edge(loads, None, core, valid_from=NOW - 99 * DAY)
    make_edge(builds, core, mart, valid_from=NOW - 99 * DAY)
    make_run(loads, state="failed", started_at=NOW - DAY, error="no column reason")
    make_sql_version(loads, "select\n  a\nfrom t", valid_from=NOW - 90 * DAY, valid_to=NOW - 2 * DAY)
    make_sql_version(loads, "select\n  a\nfrom t\nwhere b", valid_from=NOW - 2 * DAY)
    return mart


def address(table: Table) -> str:
    return f"{table.get_absolute_url()}upstream-changes/"


def test_the_page_lists_changes_by_hops_with_the_way(mart, viewer, signed_in) -> None:
    text = text_of(signed_in(viewer).get(address(mart)))
    assert "2 changes among 1 table upstream of mart" in text
    after = text.split("1 hop upstream 2", 1)[1]
    assert after.index("A run failed no column reason") < after.index("The SQL changed WHERE condition added: b")
    assert "core → mart" in after


def test_the_page_narrows_to_a_kind_and_a_window(mart, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    assert "The SQL changed" not in text_of(browser.get(address(mart), {"kind": "run_failed"}))
    text = text_of(browser.get(address(mart), {"from": "2020-01-01", "to": "2020-02-01"}))
    assert "Nothing is known to have changed among 1 table" in text


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"from": "yesterday"}, "Write a day (2026-03-02) or a moment"),
        ({"from": "2026-13-01"}, "Write a day"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "It lies after the end of the window, 2026-03-01 23:59 UTC"),
        ({"from": "2020-03-02", "to": "2026-03-01"}, "A window spans 366 days at most"),
    ],
)
def test_a_window_that_cannot_be_says_what_is_wrong(mart, viewer, signed_in, with_token, asked, words) -> None:
    page = signed_in(viewer).get(address(mart), asked)
    assert page.status_code == 400 and words in text_of(page)
    answer = with_token(viewer).get(f"/api/v1/tables/{mart.pk}/upstream-changes/", asked)
    assert answer.status_code == 400 and words in answer.json()["error"]["fields"]["from"][0]


def test_rest_answers_the_same(mart, viewer, with_token) -> None:
    program = with_token(viewer)
    answer = program.get(f"/api/v1/tables/{mart.pk}/upstream-changes/", {"from": (NOW - 3 * DAY).isoformat()}).json()
    assert (answer["table"], answer["total"], answer["upstream_tables"]) == ("table:warehouse:mart", 2, 1)
    assert answer["counts"] == {"run_failed": 1, "sql": 1} and answer["capped"] is False
    failed, sql = answer["changes"]
    assert (failed["kind"], failed["hops"], failed["details"]) == ("run_failed", 1, ["no column reason"])
    assert sql["way"] == [
        {"table": "table:warehouse:core", "by": "build_mart"},
        {"table": "table:warehouse:mart", "by": None},
    ]
    assert sql["page"].startswith("http://testserver/pipelines/load_core/sql/")
    assert len(program.get(f"/api/v1/tables/{mart.pk}/upstream-changes/?kind=sql&limit=1").json()["changes"]) == 1


def test_rest_refuses_what_it_does_not_know(mart, viewer, with_token) -> None:
    program, path = with_token(viewer), f"/api/v1/tables/{mart.pk}/upstream-changes/"
    refused = {
        query: program.get(f"{path}?{query}").json()["error"]["fields"] for query in ("kind=x", "limit=0", "x=1")
    }
    assert [list(fields) for fields in refused.values()] == [["kind"], ["limit"], ["x"]]
    assert program.get("/api/v1/tables/999999/upstream-changes/").status_code == 404


def test_a_change_of_sql_has_a_page_with_words_and_lines(mart, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    listed = browser.get(address(mart), {"kind": "sql"}).context["found"].items[0]
    page = browser.get(listed.told.url)
    assert "WHERE condition added: b" in text_of(page)
    assert '<code class="diff added">' in page.content.decode()
    assert browser.get("/pipelines/build_mart/sql/1/").status_code == 404
    assert browser.get("/pipelines/load_core/sql/999999/").status_code == 404


def test_lines_are_compared_with_three_around_and_a_gap_between() -> None:
    before = [f"line {n}" for n in range(30)]
    after = [*before[:5], "new", *before[5:25], "other", *before[26:]]
    lines = list(compare_lines("\n".join(before), "\n".join(after)))
    told = [(line.kind, line.text, line.before, line.after) for line in lines if line.kind != "same"]
    assert told == [
        ("added", "new", None, 6),
        ("gap", "", None, None),
        ("removed", "line 25", 26, None),
        ("added", "other", None, 27),
    ]
    assert sum(line.kind == "same" for line in lines) == 12
