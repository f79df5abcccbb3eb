"""The page of search: hits in order with their words marked, facets in the address, and offers while one types."""

from __future__ import annotations

import pytest

from catalog import search_index
from catalog.models import Tag
from tests.factories import make_column, make_owner, make_pipeline, make_table
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db


def found(response) -> list[str]:
    return [hit.name for hit in response.context["found"].hits]


def test_every_noun_is_found(viewer, signed_in) -> None:
    make_column("order_id", make_table("shop.deliveries"))
    make_table("shop.orders")
    make_pipeline("build_orders")
    make_owner("Order Team")
    Tag.objects.create(name="orders")
    search_index.rebuild()
    response = signed_in(viewer).get("/search/?q=order")
    assert {(hit.kind, hit.name) for hit in response.context["found"].hits} == {
        ("table", "shop.orders"),
        ("pipeline", "build_orders"),
        ("column", "order_id"),
        ("owner", "Order Team"),
        ("tag", "orders"),
    }
    assert "column of shop.deliveries in warehouse" in text_of(response)


def test_every_hit_leads_to_its_page(viewer, signed_in) -> None:
    make_column("order id/x", make_table("shop.a/b%c"))
    make_pipeline("orders/nightly")
    make_owner("Order Team")
    Tag.objects.create(name="orders")
    search_index.rebuild()
    browser = signed_in(viewer)
    hits = browser.get("/search/?q=order").context["found"].hits
    assert len(hits) == 4
    assert {browser.get(hit.get_absolute_url().partition("#")[0]).status_code for hit in hits} == {200}


def test_the_match_is_marked_and_names_are_escaped(viewer, signed_in) -> None:
    make_pipeline("<b>orders</b>", description="All <i>orders</i> of a day")
    search_index.rebuild()
    page = signed_in(viewer).get("/search/?q=orders+day").content.decode().replace("<wbr>", "")
    assert "&lt;b&gt;<mark>orders</mark>&lt;/b&gt;" in page
    assert "All &lt;i&gt;orders&lt;/i&gt; of a <mark>day</mark>" in page


def test_a_facet_narrows_and_is_taken_back_by_its_own_link(viewer, signed_in) -> None:
    finance = make_owner("Finance", slug="finance")
    make_pipeline("orders_a", owner=finance)
    make_pipeline("orders_b")
    search_index.rebuild()
    browser = signed_in(viewer)
    facets = {facet.name: facet.values for facet in browser.get("/search/?q=orders").context["facets"]}
    [value] = facets["owner"]
    assert (value.label, value.count, value.is_chosen) == ("Finance", 1, False)
    narrowed = browser.get(f"/search/?{value.query}")
    assert found(narrowed) == ["orders_a"]
    [value] = next(facet.values for facet in narrowed.context["facets"] if facet.name == "owner")
    assert len(found(browser.get(f"/search/?{value.query}"))) == 2


def test_a_facet_alone_lists_what_has_it(viewer, signed_in) -> None:
    make_pipeline("critical", tier=1)
    make_pipeline("other", tier=4)
    search_index.rebuild()
    assert found(signed_in(viewer).get("/search/?tier=1")) == ["critical"]


def test_pages_of_hits(viewer, signed_in) -> None:
    for number in range(30):
        make_table(f"shop.orders_{number:02}")
    search_index.rebuild()
    browser = signed_in(viewer)
    first = browser.get("/search/?q=orders")
    second = browser.get(f"/search/?{first.context['next']}")
    assert found(first) + found(second) == [f"shop.orders_{number:02}" for number in range(30)]
    assert not second.context["next"]
    assert found(browser.get(f"/search/?{second.context['previous']}")) == found(first)


@pytest.mark.parametrize("number", ["0", "-1", "x", "²", "99999999999999999999"])
def test_a_page_that_cannot_be_is_no_error(number, viewer, signed_in) -> None:
    assert signed_in(viewer).get(f"/search/?q=x&page={number}").status_code == 200


def test_a_misspelt_word_says_what_it_was_read_as(viewer, signed_in) -> None:
    make_table("shop.customers")
    search_index.rebuild()
    response = signed_in(viewer).get("/search/?q=custmers")
    assert found(response) == ["shop.customers"]
    assert "Nothing has “custmers”: read as customers" in text_of(response)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("q=", "What are you looking for?"),
        ("q=nowhere", "Nothing has these words"),
        ("q=%00", "What are"),
        ("q=%22*%27%3A%20%26", "Nothing has these words"),
        ("q=x&owner=nobody", "Nothing fits"),
    ],
)
def test_nothing_found(query, says, viewer, signed_in) -> None:
    assert says in text_of(signed_in(viewer).get(f"/search/?{query}"))


def test_offers_are_options_with_their_pages_and_end_in_all_results(viewer, signed_in) -> None:
    table = make_table("shop.orders")
    search_index.rebuild()
    offers = signed_in(viewer).get("/search/offers/?q=ord").content.decode()
    assert f'data-url="{table.get_absolute_url()}"' in offers
    assert offers.count('role="option"') == 2
    assert 'data-url="/search/?q=ord"' in offers
    assert signed_in(viewer).get("/search/offers/?q=").content.strip() == b""
