"""Names, figures and times as pages write them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from catalog.models import Table
from catalog.queries import OwnerName
from lineage.breaks import Level
from lineage.standing import Badge, Standing
from pages.templatetags import pages as words


def test_names_wrap_after_their_separators_and_stay_escaped() -> None:
    assert words.breakable("a.b_c<d>") == "a.<wbr>b_<wbr>c&lt;d&gt;"


def test_the_last_part_of_a_name_stands_out() -> None:
    assert words.named("shop.core.orders") == '<span class="prefix">shop.<wbr>core.<wbr></span>orders'
    assert words.named("orders") == "orders"
    assert words.named("s3://bucket/a.csv") == "s3:/<wbr>/<wbr>bucket/<wbr>a.<wbr>csv".replace(":/<wbr>/", "://")


def test_every_match_is_marked_whatever_its_case() -> None:
    assert words.marked("OrderOrders", "order") == "<mark>Order</mark><mark>Order</mark>s"
    assert words.marked("a*b", "*") == "a<mark>*</mark>b"


@pytest.mark.parametrize(("share", "text"), [(None, "–"), (1.0, "100 %"), (0.99999, "99.9 %"), (0.5, "50.0 %")])
def test_a_share_is_never_rounded_up_to_all(share, text) -> None:
    assert words.percent(share) == text


def test_a_span_that_nobody_knows_is_a_dash() -> None:
    assert (words.lasting(None), words.lasting(dt.timedelta(minutes=5))) == ("–", "5 min")


@pytest.mark.parametrize(
    ("name", "letters"), [("Ada Lovelace", "AL"), ("finance-team", "FT"), ("ada@example.com", "A"), ("", "?")]
)
def test_initials(name, letters) -> None:
    assert words.initials(name) == letters


def test_a_description_is_markdown_and_a_long_one_shows_its_first_paragraph() -> None:
    assert words.description("`one`\ntwo\n\n<three>") == "<p><code>one</code>\ntwo</p>\n<p>&lt;three&gt;</p>\n"
    long = words.description("What it is.\n\n" + "More of it. " * 50)
    assert long.startswith("<p>What it is.</p>\n<details><summary>More</summary><p>More of it.")


def test_two_owners_of_a_row_are_named_and_the_others_counted() -> None:
    owners = [OwnerName("<Ada>", "ada", "left"), OwnerName("Bo", "bo", "active"), OwnerName("Cy", "cy", "active")]
    assert words.owner_links(owners) == (
        '<a class="left-owner" href="/owners/ada/">&lt;Ada&gt;</a> <span class="badge warn">left</span>, '
        '<a href="/owners/bo/">Bo</a> <span class="muted small">and 1 more</span>'
    )
    assert words.owner_links(owners[1:2]) == '<a href="/owners/bo/">Bo</a>'
    assert words.owner_links([]) == '<span class="lack">none</span>'


def test_what_is_wrong_says_why_and_what_is_right_nothing() -> None:
    since = timezone.now() - dt.timedelta(hours=2)
    badge = Badge(Level.WRONG, 'wrong_rows table:a:b "c"', 'rows of "b" are <wrong>', since)
    standing, hit, other = Standing(tables={7: badge}), Table(pk=7), Table(pk=8)
    assert words.standing_badge(hit, standing) == (
        ' <a class="badge bad" href="/impact/?change=wrong_rows%20table:a:b%20%22c%22" '
        'title="rows of &quot;b&quot; are &lt;wrong&gt;, for 2\xa0hours" '
        'aria-label="wrong: rows of &quot;b&quot; are &lt;wrong&gt;">wrong</a>'
    )
    assert words.standing_badge(other, standing) == ""
