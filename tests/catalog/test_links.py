"""Addresses made once per route say what Django's `reverse` says of each thing."""

from __future__ import annotations

import pytest
from django.urls import reverse, set_script_prefix

from catalog.links import link


@pytest.mark.parametrize("name", ["shop.orders", "a/b c", "100 %", "né?#&=+;", '"<b>"', "{0}%s", "1000000000"])
def test_an_address_is_the_one_that_reverse_gives(name: str) -> None:
    assert link("table-detail", "warehouse", name) == reverse("table-detail", args=["warehouse", name])
    assert link("column-detail", "warehouse", name, 7) == reverse("column-detail", args=["warehouse", name, 7])
    assert link("pipeline-detail", name) == reverse("pipeline-detail", args=[name])


def test_an_address_follows_the_prefix_under_which_the_site_is_served() -> None:
    before = link("owner-detail", "ada")
    set_script_prefix("/catalogué/")
    try:
        assert link("owner-detail", "ada") == reverse("owner-detail", args=["ada"]) == "/catalogu%C3%A9" + before
    finally:
        set_script_prefix("/")
