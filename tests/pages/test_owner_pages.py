"""Owners, sources and tags: pages and forms."""

from __future__ import annotations

import pytest

from catalog.models import Owner, Source, Tag
from tests.factories import make_owner, make_pipeline, make_source, make_table, own
from tests.pages.reading import fields_of, text_of

pytestmark = pytest.mark.django_db


def test_an_owners_page_lists_all_they_hold_by_role(viewer, signed_in) -> None:
    ada = make_owner("Ada", slug="ada", team=make_owner("Finance"))
    pipeline = make_pipeline("shop.daily", owner=ada)
    own(pipeline, ada, "business")
    make_table("shop.orders", owner=ada)
    page = text_of(signed_in(viewer).get("/owners/ada/"))
    assert "shop.daily business, technical" in page
    assert "shop.orders technical" in page
    assert "Member of Finance" in page


def test_who_left_and_still_holds_things_is_flagged(viewer, signed_in) -> None:
    make_pipeline(owner=make_owner("Bob", slug="bob", status="left"))
    make_owner("Cy", slug="cy", status="left")
    browser = signed_in(viewer)
    assert "Bob has left and is still on record" in text_of(browser.get("/owners/bob/"))
    assert "still on record" not in text_of(browser.get("/owners/cy/"))


def test_an_ingested_owner_whom_a_person_overruled_is_not_counted(viewer, signed_in) -> None:
    ada, bob = make_owner("Ada"), make_owner("Bob")
    pipeline = make_pipeline(owner=ada)
    own(pipeline, bob, "technical", origin="ingest")
    counts = {o.name: o.pipeline_count for o in signed_in(viewer).get("/owners/").context["listing"].page.items}
    assert counts == {"Ada": 1, "Bob": 0}


def test_register_and_change_an_owner(editor, signed_in) -> None:
    browser = signed_in(editor)
    browser.post("/owners/new/", {"name": "Ada Lovelace", "kind": "person", "status": "active"})
    ada = Owner.objects.get(slug="ada-lovelace")
    url = "/owners/ada-lovelace/edit/"
    browser.post(url, fields_of(browser.get(url)) | {"status": "left"})
    ada.refresh_from_db()
    assert ada.status == "left"
    assert browser.post(url, {"name": "", "kind": "person", "status": "active"}).status_code == 422


def test_register_and_change_a_source(editor, signed_in) -> None:
    browser = signed_in(editor)
    form = {"name": "Big Lake", "platform": "s3", "storage": "lake"}
    assert browser.post("/sources/new/", form).headers["Location"] == "/sources/big-lake/"
    url = "/sources/big-lake/edit/"
    browser.post(url, fields_of(browser.get(url)) | {"dialect": "trino"})
    assert Source.objects.get().dialect == "trino"


def test_a_sources_page_counts_its_tables_by_kind(viewer, signed_in) -> None:
    source = make_source("lake")
    for kind in ("files", "files", "view"):
        make_table(source=source, kind=kind)
    assert "Files 2 View 1" in text_of(signed_in(viewer).get("/sources/lake/"))


def test_a_tags_page_lists_what_carries_it(viewer, signed_in) -> None:
    tag = Tag.objects.create(name="pii")
    make_table("shop.customers").tags.add(tag)
    make_pipeline("mask").tags.add(tag)
    browser = signed_in(viewer)
    assert "mask" in text_of(browser.get("/tags/pii/"))
    assert "pii 1 1" in text_of(browser.get("/tags/"))
