"""What a field of names offers is what the form then takes."""

from __future__ import annotations

import pytest

from catalog import search_index
from pages.forms import find_owners, find_tables
from tests.factories import make_owner, make_source, make_table
from tests.pages.reading import offered

pytestmark = pytest.mark.django_db


def test_owners_in_office_by_name_or_address(viewer, signed_in) -> None:
    ada = make_owner("Ada Lovelace", slug="ada", email="countess@example.com")
    make_owner("Adam", slug="adam", status="left")
    search_index.rebuild()
    browser = signed_in(viewer)
    assert offered(browser.get("/suggest/owners/?q=love")) == offered(browser.get("/suggest/owners/?q=countess"))
    assert find_owners(offered(browser.get("/suggest/owners/?q=ada"))) == [ada]


def test_tables_by_part_of_the_name_or_as_written(viewer, signed_in) -> None:
    for slug in ("lake", "mysql"):
        make_table("shop.orders", source=make_source(slug))
    search_index.rebuild()
    browser = signed_in(viewer)
    names = offered(browser.get("/suggest/tables/?q=orders"))
    assert sorted(names) == ["lake:shop.orders", "mysql:shop.orders"]
    assert offered(browser.get("/suggest/tables/?q=lake:shop.orders")) == names
    assert len(find_tables(names)) == 2


def test_nothing_typed_offers_nothing(viewer, signed_in) -> None:
    make_owner()
    assert offered(signed_in(viewer).get("/suggest/owners/?q=%00")) == []
