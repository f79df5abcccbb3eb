"""Changes of a table's columns: what they are, and that writes of an ingest record them once, with a date."""

from __future__ import annotations

import pytest

from catalog.facts import ColumnFact
from catalog.ingested import ensure_columns, store_columns
from catalog.models import SchemaChange, Table
from catalog.schema_changes import ColumnChange, Place, changes_between, same_type
from catalog.services import change_column
from tests.factories import make_source, make_table
from tests.pages.reading import text_of


def schema(*columns: str) -> dict[str, Place]:
    """`schema("id INT", "total")` in the order of the table."""
    split = [column.partition(" ") for column in columns]
    return {name: Place(place, type_) for place, (name, _, type_) in enumerate(split, 1)}


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (["id INT", "a INT"], ["id INT", "a INT"], []),
        (["id INT"], ["id INT", "a TEXT"], [ColumnChange("added", "a", after="TEXT")]),
        (["id INT", "a TEXT"], ["id INT"], [ColumnChange("dropped", "a", before="TEXT")]),
        (["id INT", "a INT"], ["id INT", "a TEXT"], [ColumnChange("retyped", "a", "INT", "TEXT")]),
        (["id INT", "a INT", "b INT"], ["id INT", "c INT", "b INT"], [ColumnChange("renamed", "c", "a", "c")]),
        # another type in that place, or another place: nobody can say that it is the same column
        (
            ["id INT", "a INT"],
            ["id INT", "c TEXT"],
            [ColumnChange("dropped", "a", before="INT"), ColumnChange("added", "c", after="TEXT")],
        ),
        (
            ["a INT", "id INT"],
            ["id INT", "c INT"],
            [ColumnChange("dropped", "a", before="INT"), ColumnChange("added", "c", after="INT")],
        ),
        (["id INT", "a"], ["id INT", "c"], [ColumnChange("dropped", "a"), ColumnChange("added", "c")]),
        # moved, or its type no longer said: no change
        (["id INT", "a INT"], ["a INT", "id INT"], []),
        (["id INT", "a INT"], ["id INT", "a"], []),
    ],
)
def test_changes(before, after, changes) -> None:
    assert changes_between(schema(*before), schema(*after)) == changes


@pytest.mark.parametrize(
    ("one", "other", "dialect", "same"),
    [
        ("INT64", "BIGINT", "bigquery", True),
        ("numeric(9,2)", "DECIMAL(9, 2)", "postgres", True),
        ("character varying(20)", "VARCHAR(20)", "postgres", True),
        ("VARCHAR(20)", "VARCHAR(21)", "postgres", False),
        ("integer", "bigint", "duckdb", False),
        ("not a type (", "another [", "", False),
        ("INT", "TEXT", "no such dialect", False),
    ],
)
def test_two_spellings_of_one_type_are_no_change(one, other, dialect, same) -> None:
    assert same_type(one, other, dialect) is same


def recorded(table: Table) -> list[tuple[str, str, str, str]]:
    return list(table.schema_changes.order_by("id").values_list("change", "column", "before", "after"))


@pytest.fixture
def table(db) -> Table:
    return make_table("shop.orders", source=make_source("wh", dialect="bigquery"))


def test_the_first_listing_changes_nothing(table) -> None:
    ensure_columns({table.pk: ["id", "seen_in_sql"]})
    store_columns({table.pk: [ColumnFact("id", "INT64"), ColumnFact("total", "FLOAT64")]})
    assert recorded(table) == []


def test_an_ingest_records_what_changed_once(table) -> None:
    store_columns({table.pk: [ColumnFact("id", "INT64"), ColumnFact("total", "FLOAT64"), ColumnFact("note", "STRING")]})
    changed = {table.pk: [ColumnFact("id", "STRING"), ColumnFact("amount", "FLOAT64"), ColumnFact("note", "STRING")]}
    for _ in range(2):
        store_columns(changed)
    assert recorded(table) == [("retyped", "id", "INT64", "STRING"), ("renamed", "amount", "total", "amount")]
    store_columns({table.pk: [ColumnFact("id", "STRING"), ColumnFact("amount", "FLOAT64")]})
    assert recorded(table)[2:] == [("dropped", "note", "STRING", "")]
    store_columns(changed)
    assert recorded(table)[3:] == [("added", "note", "", "STRING")]


def test_descriptions_and_a_persons_type_are_no_change_of_the_schema(table, editor) -> None:
    listed = [ColumnFact("id", "INT64", "Key"), ColumnFact("total", "FLOAT64")]
    store_columns({table.pk: listed})
    change_column(actor=editor, column=table.columns.get(name="id"), type="order number")
    store_columns({table.pk: [ColumnFact("id", "INT64", "The key"), ColumnFact("total", "FLOAT64")]})
    assert recorded(table) == []
    store_columns({table.pk: [ColumnFact("id", "STRING"), ColumnFact("total", "FLOAT64")]})
    assert recorded(table) == [("retyped", "id", "INT64", "STRING")]


def test_they_stand_on_the_tables_page_and_in_the_api(table, viewer, signed_in, with_token) -> None:
    url = "/tables/wh/shop.orders/schema/"
    assert "No change is on record" in text_of(signed_in(viewer).get(url))
    store_columns({table.pk: [ColumnFact("id", "INT64"), ColumnFact("total", "FLOAT64")]})
    store_columns({table.pk: [ColumnFact("id", "INT64")]})
    assert "total Dropped FLOAT64 –" in text_of(signed_in(viewer).get(url))
    assert "No change is on record" not in text_of(signed_in(viewer).get(url + "?change=added"))
    other = make_table()
    SchemaChange.objects.create(table=other, change="added", column="x")
    program = with_token(viewer)
    rows = program.get("/api/v1/schema-changes/?table=shop.orders").json()["results"]
    assert [(row["source"], row["column"], row["change"], row["before"]) for row in rows] == [
        ("wh", "total", "dropped", "FLOAT64")
    ]
    assert len(program.get("/api/v1/schema-changes/").json()["results"]) == 2
    assert program.get("/api/v1/schema-changes/?change=gone").status_code == 400
