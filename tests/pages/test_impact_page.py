"""The page and the REST address of the impact of a change."""

from __future__ import annotations

import csv
import io
from urllib.parse import parse_qs, urlsplit

import pytest

from catalog.models import Table
from lineage.models import ColumnEdge
from tests.factories import NOON, make_column, make_edge, make_owner, make_pipeline, make_sql_version, make_table
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db

DROP = "drop_column column:warehouse:shop.orders:price"


@pytest.fixture
def orders() -> Table:
    """shop.sales is made of shop.orders.price by sum_sales, which Olga holds; =bad only reads another column."""
    orders, sales, other = (make_table(f"shop.{name}") for name in ("orders", "sales", "other"))
    price, size, total = make_column("price", orders), make_column("size", orders), make_column("total", sales)
    for name, source, target, column in (
        ("sum_sales", price, sales, total),
        ("=bad", size, other, make_column("n", other)),
    ):
        pipeline = make_pipeline(
            name, owner=make_owner("Olga", email="olga@shop.example") if name == "sum_sales" else None
        )
        version = make_sql_version(pipeline, f"select sum({source.name}) from orders", statements=1, statements_read=1)
        make_edge(pipeline, orders, target, sql_version=version, origin="sql")
        ColumnEdge.objects.create(
            pipeline=pipeline, sql_version=version, source_table=orders, source_column=source, target_table=target,
            target_column=column, kind="AGGREGATION", basis="parsed", statement=0, origin="sql", valid_from=NOON,
        )  # fmt: skip
    return orders


def test_without_a_change_it_asks_for_one(viewer, signed_in) -> None:
    assert "Choose a change" in text_of(signed_in(viewer).get("/impact/"))


def test_it_says_what_breaks_and_what_is_stale_and_whom_to_tell(orders, viewer, signed_in) -> None:
    text = text_of(signed_in(viewer).get("/impact/", {"change": DROP}))
    assert "column price of shop.orders is dropped" in text
    assert "Why Owners sum_sales breaks names column price" in text.split("Breaks 1", 1)[1]
    assert "shop.sales stale" in text and "built by a pipeline that breaks" in text
    assert "Unaffected readers 1" in text and "=bad" in text
    assert "Hello Olga, - column price of shop.orders is dropped Of yours, this breaks: - sum_sales: breaks" in text
    assert "http://testserver/impact/?change=drop_column%20column:warehouse:shop.orders:price" in text


@pytest.mark.parametrize(
    ("asked", "change"),
    [
        ({"verb": "drop_column", "thing": "shop.orders.price"}, DROP),
        ({"verb": "drop_column", "thing": "warehouse:shop.orders.price"}, DROP),
        ({"verb": "drop_table", "thing": "warehouse:shop.orders"}, "drop_table table:warehouse:shop.orders"),
        ({"verb": "wrong_rows", "thing": "shop.orders", "argument": "2026-03-01"},
         "wrong_rows table:warehouse:shop.orders 2026-03-01"),
        ({"verb": "wrong_rows", "thing": "shop.orders.size"}, "wrong_rows column:warehouse:shop.orders:size"),
        ({"verb": "run_failed", "thing": "sum_sales"}, "run_failed pipeline:sum_sales"),
        ({"verb": "rename_column", "thing": DROP.split()[1], "argument": "cost"},
         f"rename_column {DROP.split()[1]} cost"),
    ],
)  # fmt: skip
def test_a_change_added_by_form_goes_into_the_address(orders, viewer, signed_in, asked, change) -> None:
    other = "retire_pipeline pipeline:sum_sales"
    response = signed_in(viewer).get("/impact/", {"change": other, **asked})
    assert parse_qs(urlsplit(response.headers["Location"]).query)["change"] == [other, change]
    assert signed_in(viewer).get(response.headers["Location"]).status_code == 200


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"verb": "drop_column", "thing": "shop.orders.nothing"}, "No column is called shop.orders.nothing"),
        ({"verb": "drop_table", "thing": "nothing"}, "No table here is called nothing"),
        ({"verb": "run_failed", "thing": "nothing"}, "There is no pipeline nothing"),
        ({"verb": "burn", "thing": "shop.orders"}, "Choose what happens"),
        ({"verb": "rename_table", "thing": "shop.orders"}, "Write the new name"),
    ],
)
def test_what_cannot_be_added_says_why_and_keeps_what_was_typed(orders, viewer, signed_in, asked, words) -> None:
    response = signed_in(viewer).get("/impact/", {"change": DROP, **asked})
    assert response.status_code == 422
    assert words in text_of(response) and f'value="{asked["thing"]}"' in response.content.decode()
    assert "column price of shop.orders is dropped" in text_of(response)


def test_an_address_that_cannot_be_read_says_why(viewer, signed_in) -> None:
    response = signed_in(viewer).get("/impact/", {"change": "drop_table table:warehouse:gone"})
    assert response.status_code == 400 and "There is no table gone in source warehouse" in text_of(response)


def test_the_csv_has_every_hit_and_runs_nothing(orders, viewer, signed_in) -> None:
    response = signed_in(viewer).get("/impact/", {"change": "drop_table table:warehouse:shop.orders", "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert [(row["level"], row["name"]) for row in rows[:2]] == [("breaks", "'=bad"), ("breaks", "sum_sales")]
    assert (
        rows[1]["owners"].startswith("owner-") and rows[1]["path"] == "table:warehouse:shop.orders > pipeline:sum_sales"
    )


def test_rest_answers_the_same(orders, viewer, with_token) -> None:
    answer = with_token(viewer).get("/api/v1/impact/", {"change": DROP}).json()
    assert answer["changes"] == [DROP]
    assert [(hit["node"], hit["level"], hit["path"]) for hit in answer["breaks"]] == [
        ("pipeline:sum_sales", "breaks", ["column:warehouse:shop.orders:price", "pipeline:sum_sales"])
    ]
    assert [hit["node"] for hit in answer["stale"]] == ["table:warehouse:shop.sales"]
    assert (answer["affected"], answer["unknown"], answer["unaffected"]) == ([], [], ["=bad"])
    assert [message["email"] for message in answer["messages"]] == ["olga@shop.example"]


def test_rest_says_what_is_wrong_with_each_change(orders, viewer, with_token) -> None:
    program = with_token(viewer)
    assert "Say what changes" in program.get("/api/v1/impact/").json()["error"]["fields"]["change"][0]
    wrong = program.get("/api/v1/impact/", {"change": ["burn x", DROP, "drop_table column:a:b:c"]})
    assert len(wrong.json()["error"]["fields"]["change"]) == 2 and wrong.status_code == 400
    assert "50 changes at most" in program.get("/api/v1/impact/", {"change": [DROP] * 51}).json()["error"]["message"]
