"""A table's page and forms, its columns included."""

from __future__ import annotations

import pytest

from catalog.models import Column, Table
from tests.factories import make_column, make_edge, make_owner, make_pipeline, make_source, make_table, make_user
from tests.pages.reading import fields_of, text_of

pytestmark = pytest.mark.django_db


def test_the_page_says_what_builds_it_what_it_holds_and_what_hangs_on_it(viewer, signed_in) -> None:
    table = make_table("shop.orders", description="One row per order.", retention_days=30, row_count=12)
    make_column("order_id", table, type="BIGINT", is_primary_key=True, description="The order")
    builder = make_pipeline("build_orders", owner=make_owner("Ada"))
    make_edge(builder, make_table("shop.raw"), table)
    make_edge(make_pipeline("report"), table, make_table("shop.report"))
    page = text_of(signed_in(viewer).get("/tables/warehouse/shop.orders/"))
    assert "One row per order." in page
    assert "Built by 1 build_orders" in page
    assert "order_id PK BIGINT The order" in page
    assert "Upstream 1 Lineage shop.raw" in page
    assert "Downstream 1 Lineage shop.report" in page
    assert "Ada Where the table states none, these are the owners of what builds it: build_orders" in page
    assert "Retention 30 days" in page
    assert "1 pipeline report" in page


def test_names_with_slashes_and_dots_have_pages(viewer, signed_in) -> None:
    table = make_table("s3://bucket/daily.csv", source=make_source("lake"))
    response = signed_in(viewer).get(table.get_absolute_url())
    assert response.context["table"] == table


def test_register_a_table_then_a_column_then_change_both(editor, signed_in) -> None:
    source, browser = make_source("lake"), signed_in(editor)
    make_owner("Ada", slug="ada")
    form = {"source": source.pk, "name": "raw.events", "kind": "files", "status": "active", "technical_owners": "ada"}
    assert browser.post("/tables/new/", form).headers["Location"] == "/tables/lake/raw.events/"
    url = "/tables/lake/raw.events/"
    assert browser.post(f"{url}columns/new/", {"name": "id", "type": "INT"}).headers["Location"] == url
    column = Column.objects.get()
    edit = f"{url}columns/{column.pk}/edit/"
    browser.post(edit, fields_of(browser.get(edit)) | {"description": "The event", "is_primary_key": "on"})
    column.refresh_from_db()
    assert (column.description, column.is_primary_key) == ("The event", True)
    form = fields_of(browser.get(f"{url}edit/")) | {"keep_forever": "on", "provenance": "original"}
    page = text_of(browser.post(f"{url}edit/", form, follow=True))
    assert "Retention Kept forever" in page
    assert "Ada" in page
    assert "keep forever: no → yes" in page


def test_a_retention_period_and_forever_exclude_each_other(editor, signed_in) -> None:
    make_table("shop.orders")
    browser = signed_in(editor)
    url = "/tables/warehouse/shop.orders/edit/"
    form = fields_of(browser.get(url)) | {"keep_forever": "on", "retention_days": "3"}
    response = browser.post(url, form)
    assert response.status_code == 422
    assert "not both" in response.context["form"].errors["retention_days"][0]
    assert Table.objects.get().retention_days is None


def test_a_column_taken_twice_is_refused_in_words(editor, signed_in) -> None:
    make_column("id", make_table("shop.orders"))
    response = signed_in(editor).post("/tables/warehouse/shop.orders/columns/new/", {"name": "id"})
    assert response.status_code == 422
    assert "already has a column of this name" in text_of(response)


def test_who_may_not_change_sees_no_buttons(viewer, signed_in) -> None:
    make_table("shop.orders")
    browser = signed_in(viewer)
    assert "Register a table" not in text_of(browser.get("/tables/"))
    assert "Edit" not in text_of(browser.get("/tables/warehouse/shop.orders/"))
    for path in ("/tables/new/", "/tables/warehouse/shop.orders/edit/", "/tables/warehouse/shop.orders/columns/new/"):
        assert browser.get(path).status_code == 403


def test_the_owner_of_a_table_may_describe_its_columns(signed_in) -> None:
    ada = make_owner("Ada")
    column = make_column("id", make_table("shop.orders", owner=ada))
    url = f"/tables/warehouse/shop.orders/columns/{column.pk}/edit/"
    browser = signed_in(make_user("viewer", owner=ada))
    assert browser.post(url, fields_of(browser.get(url)) | {"description": "The order"}).status_code == 302
    other = signed_in(make_user("viewer", owner=make_owner()))
    assert other.post(url, {"name": "id"}).status_code == 403


def test_of_very_many_columns_the_first_are_shown_and_all_when_asked(viewer, signed_in) -> None:
    table = make_table("shop.wide")
    Column.objects.bulk_create(Column(table=table, name=f"c{number:03}", position=number) for number in range(1, 211))
    browser = signed_in(viewer)
    page = text_of(browser.get("/tables/warehouse/shop.wide/"))
    assert "c200" in page
    assert "c201" not in page
    assert "The first 200. Show all 210" in page
    assert "c210" in text_of(browser.get("/tables/warehouse/shop.wide/?columns=all"))
