"""Search: by noun, whole and leading matches first, the match marked."""

from __future__ import annotations

import pytest

from catalog.models import Tag
from tests.factories import make_column, make_owner, make_pipeline, make_table
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db


def found(response) -> dict[str, list[str]]:
    return {group.noun: [hit.name for hit in group.hits] for group in response.context["groups"]}


def test_every_noun_is_found(viewer, signed_in) -> None:
    table = make_table("shop.orders")
    make_pipeline("build_orders")
    make_column("order_id", table)
    make_owner("Order Team")
    Tag.objects.create(name="orders")
    assert found(signed_in(viewer).get("/search/?q=order")) == {
        "Tables": ["shop.orders"],
        "Pipelines": ["build_orders"],
        "Columns": ["order_id"],
        "Owners": ["Order Team"],
        "Tags": ["orders"],
    }


def test_whole_names_come_before_beginnings_and_those_before_the_rest(viewer, signed_in) -> None:
    for name in ("shop.pre_orders", "shop.orders_daily", "orders", "x.orders", "orders.lines"):
        make_table(name)
    names = found(signed_in(viewer).get("/search/?q=ORDERS"))["Tables"]
    assert names == ["orders", "x.orders", "orders.lines", "shop.orders_daily", "shop.pre_orders"]


def test_the_match_is_marked_and_names_are_escaped(viewer, signed_in) -> None:
    make_pipeline("<b>orders</b>")
    page = signed_in(viewer).get("/search/?q=orders").content.decode()
    assert "&lt;b&gt;<mark>orders</mark>&lt;/b&gt;" in page.replace("<wbr>", "")


def test_many_matches_link_to_the_list(viewer, signed_in) -> None:
    for _ in range(9):
        make_table()
    response = signed_in(viewer).get("/search/?q=table_")
    assert len(found(response)["Tables"]) == 8
    assert "/tables/?q=table_" in response.content.decode()


@pytest.mark.parametrize(
    ("query", "says"), [("", "What are you looking for?"), ("nowhere", "Nothing is called like this"), ("%00", "What")]
)
def test_nothing_found(query, says, viewer, signed_in) -> None:
    assert says in text_of(signed_in(viewer).get(f"/search/?q={query}"))


def test_percent_and_underscore_are_letters(viewer, signed_in) -> None:
    make_table("shop.a_b")
    make_table("shop.axb")
    assert found(signed_in(viewer).get("/search/?q=a_b"))["Tables"] == ["shop.a_b"]
