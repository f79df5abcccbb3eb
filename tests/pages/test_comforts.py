"""Everyday comforts of lists: CSV of what the filters leave, saved views, owners and tags of many at once."""

from __future__ import annotations

import csv

import pytest

from catalog.models import HistoryEntry, SavedView
from tests.factories import make_owner, make_pipeline, make_source, make_table, own
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db


def rows_of(response) -> list[dict[str, str]]:
    return list(csv.DictReader(b"".join(response.streaming_content).decode().splitlines()))


def test_csv_holds_what_the_filters_leave_of_every_page(viewer, signed_in) -> None:
    lake = make_source("lake")
    for number in range(60):
        make_table(f"t{number:02}", source=lake, owner=make_owner(slug="finance") if not number else None)
    make_table("elsewhere")
    response = signed_in(viewer).get("/tables/?source=lake&as=csv&cursor=")
    assert response.headers["Content-Disposition"] == 'attachment; filename="tables.csv"'
    rows = rows_of(response)
    assert [row["table"] for row in rows] == [f"t{number:02}" for number in range(60)]
    assert rows[0]["technical owners"] == "finance"


def test_a_cell_that_would_be_a_formula_is_made_text(viewer, signed_in) -> None:
    for name in ("=1+1", "+1", "-1", "@x", "plain"):
        make_pipeline(name, description="=cmd|' /C calc'!A0", tier=1)
    rows = rows_of(signed_in(viewer).get("/pipelines/?as=csv"))
    assert [row["pipeline"] for row in rows] == ["'+1", "'-1", "'=1+1", "'@x", "plain"]
    assert {row["description"] for row in rows} == {"'=cmd|' /C calc'!A0"}
    assert {row["tier"] for row in rows} == {"1"}


def test_owners_as_csv(viewer, signed_in) -> None:
    own(make_pipeline(), make_owner("Ada", slug="ada", team=make_owner("Data", slug="data", kind="team")))
    [ada, data] = rows_of(signed_in(viewer).get("/owners/?as=csv"))
    assert (ada["team"], ada["pipelines"], data["pipelines"]) == ("data", "1", "0")


def test_a_view_is_kept_for_oneself_or_for_all(viewer, editor, signed_in) -> None:
    browser, other = signed_in(viewer), signed_in(editor)
    view = {"page": "table-list", "name": "My lake", "query": "source=lake&cursor=abc&as=csv"}
    assert browser.post("/views/", view).headers["Location"] == "/tables/?source=lake"
    assert "My lake" in text_of(browser.get("/tables/"))
    assert "My lake" not in text_of(browser.get("/pipelines/"))
    assert "My lake" not in text_of(other.get("/tables/"))
    browser.post("/views/", {**view, "query": "kind=view", "is_shared": "on"})  # the same name: replaced
    assert "My lake by vera" in text_of(other.get("/tables/"))
    kept = SavedView.objects.get()
    assert (kept.query, kept.is_shared) == ("kind=view", True)


def test_only_ones_own_view_is_forgotten(viewer, editor, signed_in) -> None:
    view = SavedView.objects.create(user=viewer, page="table-list", name="Lake", query="", is_shared=True)
    assert signed_in(editor).post(f"/views/{view.pk}/delete/").status_code == 404
    assert signed_in(viewer).get(f"/views/{view.pk}/delete/").status_code == 405
    assert signed_in(viewer).post(f"/views/{view.pk}/delete/").headers["Location"] == "/tables/"
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("facts", [{"page": "logout"}, {"name": ""}, {"name": "x" * 81}, {"query": "q=" + "x" * 3000}])
def test_a_view_that_cannot_be_kept_says_so(facts, viewer, signed_in) -> None:
    response = signed_in(viewer).post("/views/", {"page": "table-list", "name": "x", "query": "", **facts}, follow=True)
    assert response.status_code == 200
    assert 'class="message error"' in response.content.decode()
    assert not SavedView.objects.exists()


def test_many_are_changed_after_a_preview(editor, signed_in) -> None:
    ada, ben = make_owner("Ada", slug="ada"), make_owner("Ben", slug="ben")
    first, second, other = (make_pipeline(name, owner=ben) for name in ("etl.a", "etl.b", "x"))
    browser = signed_in(editor)
    assert [thing.name for thing in browser.get("/pipelines/many/?q=etl").context["things"]] == ["etl.a", "etl.b"]
    wish = {"role": "technical", "add_owners": "ada", "remove_owners": "ben", "add_tags": "core", "things": [first.pk]}
    preview = browser.post("/pipelines/many/?q=etl", {**wish, "step": "preview"})
    assert "technical owners: Ben → Ada" in text_of(preview)
    assert not HistoryEntry.objects.exists()
    applied = browser.post("/pipelines/many/?q=etl", {**wish, "step": "apply"})
    assert applied.headers["Location"] == "/pipelines/?q=etl"
    assert [tag.name for tag in first.tags.all()] == ["core"]
    assert not second.tags.exists()
    assert set(first.ownerships.filter(origin="person").values_list("owner__slug", flat=True)) == {"ada"}
    assert HistoryEntry.objects.filter(noun="pipeline", object_id=first.pk).count() == 2
    browser.post("/pipelines/many/?q=etl", {**wish, "things": [other.pk], "step": "apply"})  # not among the filtered
    assert not other.tags.exists()
    assert ada.ownerships.count() == 1


def test_tables_likewise_and_what_is_so_already_stays(editor, signed_in) -> None:
    table = make_table("shop.orders")
    browser = signed_in(editor)
    wish = {"role": "business", "add_tags": "core", "things": [table.pk]}
    browser.post("/tables/many/", {**wish, "step": "apply"})
    again = browser.post("/tables/many/", {**wish, "step": "preview"})
    assert "all of it is so already" in text_of(again)
    assert HistoryEntry.objects.count() == 1


def test_an_empty_wish_and_unknown_names_are_refused(editor, signed_in) -> None:
    make_table("t")
    browser = signed_in(editor)
    empty = browser.post("/tables/many/", {"role": "business", "step": "apply"})
    assert empty.status_code == 422
    assert "Say which owners or tags" in text_of(empty)
    unknown = browser.post("/tables/many/", {"role": "business", "add_owners": "nobody", "step": "apply"})
    assert "No owner here is called nobody" in text_of(unknown)


def test_who_may_not_edit_sees_no_way_there(viewer, signed_in) -> None:
    make_table("t")
    browser = signed_in(viewer)
    assert "Edit many" not in text_of(browser.get("/tables/"))
    assert browser.get("/tables/many/").status_code == 403
