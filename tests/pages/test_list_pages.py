"""Lists: filters from the address, pages by keyset, words where there is nothing."""

from __future__ import annotations

import pytest

from ingest.models import IngestRun
from tests.factories import NOON, make_owner, make_pipeline, make_problem, make_run, make_source, make_table, own
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db

LISTS = ["pipelines", "tables", "owners", "sources", "tags", "problems", "runs"]


@pytest.mark.parametrize("noun", [*LISTS, "ingest-runs"])
def test_an_empty_list_says_what_to_do(noun, viewer, signed_in) -> None:
    page = text_of(signed_in(viewer).get(f"/{noun}/"))
    assert any(word in page for word in ("yet", "No problems", "No run", "No ingest"))


@pytest.mark.parametrize("noun", LISTS)
def test_a_filter_without_matches_says_so(noun, viewer, signed_in) -> None:
    make_pipeline()
    assert "Nothing matches" in text_of(signed_in(viewer).get(f"/{noun}/?q=no-such-thing"))


def test_fifty_a_page_and_the_rest_on_the_next(viewer, signed_in) -> None:
    for number in range(60):
        make_pipeline(f"shop.p{number:02}")
    browser = signed_in(viewer)
    first = browser.get("/pipelines/?q=shop")
    assert [row[0].name for row in first.context["rows"]] == [f"shop.p{number:02}" for number in range(50)]
    cursor = first.context["listing"].page.next
    second = browser.get("/pipelines/", {"q": "shop", "cursor": cursor})
    assert [row[0].name for row in second.context["rows"]] == [f"shop.p{number:02}" for number in range(50, 60)]
    assert "Previous" in text_of(second)
    assert "q=shop" in second.content.decode()


def test_a_foreign_cursor_is_a_400_in_words(viewer, signed_in) -> None:
    response = signed_in(viewer).get("/tables/?cursor=nonsense")
    assert response.status_code == 400
    assert "This address cannot be read" in text_of(response)


def test_a_filter_that_cannot_be_read_shows_its_error(viewer, signed_in) -> None:
    make_pipeline()
    page = text_of(signed_in(viewer).get("/pipelines/?kind=nonsense"))
    assert "Kind: Not one of:" in page


def test_pipelines_show_kind_owners_and_problems(viewer, signed_in) -> None:
    pipeline = make_pipeline("shop.daily", owner=make_owner("Ada"), kind="summary", kind_is_inferred=True, tier=1)
    own(pipeline, make_owner("Bob", status="left"), "business")
    make_problem(pipeline)
    page = text_of(signed_in(viewer).get("/pipelines/"))
    assert "shop.daily tier 1 Summary (ELT) inferred Bob left Ada – 1 error" in page


def test_tables_of_a_source(viewer, signed_in) -> None:
    make_table("raw.events", source=make_source("lake"))
    make_table("shop.orders", row_count=1234)
    page = text_of(signed_in(viewer).get("/tables/?source=warehouse"))
    assert "shop.orders" in page
    assert "1,234" in page
    assert "raw.events" not in page


def test_problems_by_code_and_severity(viewer, signed_in) -> None:
    make_problem(make_pipeline("shop.broken"), line=3, path="a.sql")
    make_problem(code="unknown_star", severity="warning", message="Which columns?")
    page = text_of(signed_in(viewer).get("/problems/?severity=warning"))
    assert "Which columns?" in page
    assert "shop.broken" not in page
    everything = signed_in(viewer).get("/problems/").content.decode()
    assert 'href="/pipelines/shop.broken/#L3"' in everything


def test_runs_of_a_pipeline(viewer, signed_in) -> None:
    make_run(make_pipeline("shop.daily"), state="failed", error="Out of memory", rows_out=7)
    make_run(make_pipeline("shop.other"))
    page = text_of(signed_in(viewer).get("/runs/?pipeline=shop.daily"))
    assert "Out of memory" in page
    assert "shop.other" not in page


def test_ingest_runs_say_what_they_found(viewer, signed_in) -> None:
    summary = {"files": 1713, "parse_coverage": 0.9899, "problems": {"parse_error": 2}}
    IngestRun.objects.create(
        kind="repo", scope="bqetl", state="done", actor_name="ada", started_at=NOON, ended_at=NOON, summary=summary
    )
    page = text_of(signed_in(viewer).get("/ingest-runs/"))
    assert "files 1,713" in page
    assert "parse coverage 98.9 %" in page
