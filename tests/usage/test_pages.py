"""The usage lists and the card on a table's page."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits.usage.models import LogCoverage, Read, Reader, SeenName, SeenRead
from catalog.models import Role, Table
from tests.factories import make_owner, make_table, make_user
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def table() -> Table:
    table = make_table("shop.orders", owner=make_owner("Olga", slug="olga"))
    reader = Reader.objects.create(source=table.source, name="ann@shop.example", kind="human")
    Read.objects.create(table=table, day=NOW.date(), reader=reader, count=7, last_at=NOW)
    LogCoverage.objects.create(source=table.source, covers_from=NOW, covers_to=NOW, format="generic", entries=7)
    return table


def test_the_lists(table, viewer, signed_in) -> None:
    make_table("shop.dusty")
    name = SeenName.objects.create(source=table.source, name="shop.gone")
    SeenRead.objects.create(name=name, day=NOW.date(), reader=Reader.objects.get(), count=2, last_at=NOW)
    text = text_of(signed_in(viewer).get("/usage/"))
    most, rest = text.split("Least used", 1)
    assert "shop.orders Warehouse 7 1" in most and "shop.dusty" not in most
    assert "shop.dusty Warehouse 0 0 never" in rest
    assert "shop.gone Warehouse 2 reads" in rest
    assert "ann@" not in text


def test_without_a_log_the_next_step_is_told(viewer, signed_in) -> None:
    assert "ingest_queries" in text_of(signed_in(viewer).get("/usage/"))


def test_the_card_names_readers_to_owners_and_stewards_only(table, viewer, signed_in) -> None:
    owner = make_user(owner=table.ownerships.get().owner)
    pages = {
        user: text_of(signed_in(user).get(f"{table.get_absolute_url()}use/"))
        for user in (owner, make_user(Role.STEWARD), viewer)
    }
    assert ["ann@shop.example" in page for page in pages.values()] == [True, True, False]
    assert "1 human reader 7" in pages[viewer]
    assert "7 reads by 1 reader" in pages[viewer]


def test_the_sparkline_has_a_bar_for_each_day_with_reads(table, viewer, signed_in) -> None:
    page = signed_in(viewer).get(f"{table.get_absolute_url()}use/").content.decode()
    assert page.count("<rect ") == 1
    assert f"<title>{NOW:%Y-%m-%d}: 7 reads by 1 reader</title>" in page


def test_a_table_of_a_source_without_a_log(viewer, signed_in) -> None:
    text = text_of(signed_in(viewer).get(f"{make_table().get_absolute_url()}use/"))
    assert "nobody can say who reads this table" in text


def test_the_lists_cost_the_same_for_few_rows_and_many(table, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    costs = []
    for rows in (5, 20):
        for number in range(rows):
            other = make_table()
            reader = Reader.objects.create(source=table.source, name=f"reader {other.pk}")
            Read.objects.create(table=other, day=NOW.date(), reader=reader, count=number + 1, last_at=NOW)
            name = SeenName.objects.create(source=table.source, name=f"gone.{other.pk}")
            SeenRead.objects.create(name=name, day=NOW.date(), reader=reader, count=2, last_at=NOW)
        with CaptureQueriesContext(connection) as asked:
            assert browser.get("/usage/").status_code == 200
        costs.append(len(asked))
    assert costs[0] == costs[1] <= 12
