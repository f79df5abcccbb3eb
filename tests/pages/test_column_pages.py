"""A column's page, and the same over REST: how the SQL of its builders makes it."""

from __future__ import annotations

import re

import pytest

from catalog.models import Column
from lineage import explanations
from lineage.models import ColumnEdge
from tests.factories import (
    NOON,
    make_column,
    make_edge,
    make_pipeline,
    make_problem,
    make_sql_version,
    make_table,
)
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db

SQL = """CREATE TABLE mart.revenue AS
WITH paid AS (SELECT day, price * amount AS total FROM orders)
SELECT day, SUM(total) AS revenue FROM paid GROUP BY day
"""


@pytest.fixture
def revenue() -> Column:
    """`shop.mart.revenue.revenue`, made from `shop.raw.orders` by SQL that says just `orders`."""
    orders, target = make_table("shop.raw.orders"), make_table("shop.mart.revenue")
    for name in ("day", "price", "amount"):
        make_column(name, orders)
    builder = make_pipeline("build_revenue")
    make_edge(builder, orders, target, sql_version=make_sql_version(builder, SQL))
    return make_column("revenue", target, type="DECIMAL")


def test_the_chain_stands_beside_the_sql_with_its_fragments_marked(viewer, signed_in, revenue) -> None:
    response = signed_in(viewer).get(f"/tables/warehouse/shop.mart.revenue/columns/{revenue.pk}/")
    page, html = text_of(response), response.content.decode()
    assert "How build_revenue makes it" in page
    assert "paid. total = price * amount from orders.price , orders.amount line 2" in page
    assert "revenue = SUM(total) from paid.total line 3" in page
    marked = "".join(re.findall(r"<mark>(.*?)</mark>", html))
    assert re.sub(r"<[^>]+>", "", marked) == "price * amountSUM(total)"
    price = Column.objects.get(name="price")
    assert f"/tables/warehouse/shop.raw.orders/columns/{price.pk}/" in html


def test_the_same_over_rest(viewer, with_token, revenue) -> None:
    answer = with_token(viewer).get(f"/api/v1/columns/{revenue.pk}/explain/")
    (explanation,) = answer.json()
    assert (explanation["pipeline"], explanation["why_not"]) == ("build_revenue", "")
    assert [step["expression"] for step in explanation["steps"]] == ["price * amount", "SUM(total)"]
    step = explanation["steps"][0]
    assert SQL[step["start"] : step["end"]] == "price * amount"
    assert step["reads"] == [["orders", "price"], ["orders", "amount"]]


def test_texts_that_are_too_long_or_were_given_up_are_not_read_again(viewer, with_token, revenue, monkeypatch) -> None:
    client, address = with_token(viewer), f"/api/v1/columns/{revenue.pk}/explain/"
    monkeypatch.setattr(explanations, "LONGEST", 20)
    assert "longer than 20 characters" in client.get(address).json()[0]["why_not"]
    make_problem(revenue.table.edges_in.get().pipeline, code="worker_died")
    assert "took too long to read" in client.get(address).json()[0]["why_not"]


def test_sql_that_does_not_name_the_column_says_so(viewer, with_token, revenue) -> None:
    other = make_column("unheard_of", revenue.table)
    (explanation,) = with_token(viewer).get(f"/api/v1/columns/{other.pk}/explain/").json()
    assert explanation["steps"] == []
    assert "No expression" in explanation["why_not"]


def test_a_column_of_another_table_is_not_found_there(viewer, signed_in, revenue) -> None:
    make_table("shop.other")
    assert signed_in(viewer).get(f"/tables/warehouse/shop.other/columns/{revenue.pk}/").status_code == 404


def test_columns_that_give_data_stand_before_those_that_decide(viewer, signed_in, revenue) -> None:
    day, price = Column.objects.get(name="day"), Column.objects.get(name="price")
    for source, kind in ((day, "GROUP_BY"), (price, "AGGREGATION")):
        ColumnEdge.objects.create(
            pipeline=revenue.table.edges_in.get().pipeline,
            source_table=source.table,
            source_column=source,
            target_table=revenue.table,
            target_column=revenue,
            kind=kind,
            basis="parsed",
            statement=0,
            origin="sql",
            valid_from=NOON,
        )
    page = text_of(signed_in(viewer).get(f"{revenue.table.get_absolute_url()}columns/{revenue.pk}/"))
    assert "Made from 2 price shop.raw.orders aggregated day shop.raw.orders groups rows" in page


def test_a_page_costs_at_most_fifteen_queries(viewer, signed_in, revenue, django_assert_max_num_queries) -> None:
    browser = signed_in(viewer)
    with django_assert_max_num_queries(15):
        browser.get(f"{revenue.table.get_absolute_url()}columns/{revenue.pk}/")
