"""Finding things: the search field, its page, the lineage explorer, and comforts of lists; by keyboard alone too."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from catalog import search_index
from catalog.models import SavedView
from tests.factories import make_edge, make_owner, make_pipeline, make_sql_version, make_table

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop() -> None:
    """raw -> orders -> daily -> report, and thirty more that are built from orders."""
    names = ("shop.raw", "shop.orders", "shop.daily", "shop.report")
    tables = [make_table(name, owner=make_owner("Ada", slug=f"ada-{place}")) for place, name in enumerate(names)]
    for source, target in pairwise(tables):
        pipeline = make_pipeline(f"build_{target.name.split('.')[1]}")
        make_edge(pipeline, source, target)
        make_sql_version(pipeline, f"CREATE TABLE {target.name} AS\nSELECT 1 AS one\nFROM {source.name}")
    search_index.rebuild()


def test_search_by_keyboard_alone(page: Page, sign_in, shop, viewer, assert_accessible) -> None:
    sign_in(viewer)
    page.goto("/")
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Search")
    expect(field).to_be_focused()
    page.keyboard.type("ord")
    options = page.get_by_role("option")
    expect(options.first).to_contain_text("shop.orders")
    expect(field).to_have_attribute("aria-expanded", "true")
    assert_accessible()
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", "offer-1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tables/warehouse/shop.orders/")
    page.keyboard.press("/")  # nothing typed: what was visited, but for this page
    page.keyboard.press("Escape")
    page.goto("/tables/")
    page.keyboard.press("/")
    expect(page.locator("#offers").get_by_role("option")).to_contain_text("shop.orders")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()


def test_the_page_of_results_follows_what_is_typed_and_is_narrowed(
    page: Page, sign_in, shop, viewer, assert_accessible
) -> None:
    sign_in(viewer)
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("shop")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search/?q=shop")
    expect(page.get_by_role("heading", level=1)).to_have_text("Search: shop")
    assert_accessible()
    page.get_by_label("Narrow it down").get_by_role("link", name=re.compile("^Tables")).click()
    page.wait_for_url("**/search/?q=shop&kind=table")
    expect(page.get_by_label("Found").get_by_role("listitem")).to_have_count(4)
    page.get_by_role("searchbox").fill("dialy")  # misspelt
    expect(page.get_by_text("Nothing has “dialy”")).to_be_visible()


def test_lineage_unfolds_in_place_and_stands_in_the_address(
    page: Page, sign_in, shop, viewer, assert_accessible
) -> None:
    sign_in(viewer)
    page.goto("/tables/warehouse/shop.orders/lineage/")
    page.get_by_label("1 more downstream of shop.daily").click()
    expect(page.locator(".box", has_text="report").first).to_be_visible()
    assert "open=t" in page.url
    page.reload()
    expect(page.locator(".box", has_text="report").first).to_be_visible()
    page.get_by_label("Fold what was opened downstream of shop.daily").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("1 more downstream of shop.daily")).to_be_attached()
    assert "open=" not in page.url
    page.go_back()
    expect(page.get_by_label("Fold what was opened downstream of shop.daily")).to_be_attached()
    assert_accessible()


def test_the_picture_zooms_by_keys_and_by_the_wheel(page: Page, sign_in, shop, viewer) -> None:
    sign_in(viewer)
    page.goto("/tables/warehouse/shop.orders/lineage/")
    graph = page.locator(".graph")
    width = float(graph.get_attribute("width"))
    page.locator(".canvas").focus()
    page.keyboard.press("+")
    assert float(graph.get_attribute("width")) > width
    page.keyboard.press("0")
    fitting = float(graph.get_attribute("width"))
    page.locator(".canvas").hover()
    page.mouse.wheel(0, -200)
    page.wait_for_function("w => Number(document.querySelector('.graph').getAttribute('width')) > w", arg=fitting)


def test_zoom_and_place_stand_in_the_address_without_a_step_of_history(page: Page, sign_in, shop, viewer) -> None:
    sign_in(viewer)
    address = "/tables/warehouse/shop.orders/lineage/?depth=2"
    page.goto(address)
    steps = page.evaluate("history.length")
    assert "#" not in page.url  # as long as nobody touches it
    page.locator(".canvas").focus()
    for _ in range(5):
        page.keyboard.press("+")
    page.wait_for_function("() => location.hash.startsWith('#view=')")
    page.locator(".canvas").hover()
    page.mouse.wheel(0, 0)
    page.evaluate("document.querySelector('.canvas').scrollTo(120, 60)")
    page.wait_for_timeout(400)  # the address follows once the hand rests
    shown = page.evaluate(_SEEN)
    assert page.evaluate("history.length") == steps
    kept = page.url
    page.goto("/tables/")
    page.goto(kept)
    page.wait_for_function("() => document.querySelector('.canvas')?.dataset.ready")
    assert page.evaluate(_SEEN) == pytest.approx(shown, abs=2)


_SEEN = """() => {
    const canvas = document.querySelector(".canvas");
    const scale = Number(canvas.dataset.scale);
    const middle = [canvas.scrollLeft + canvas.clientWidth / 2, canvas.scrollTop + canvas.clientHeight / 2];
    return [scale * 100, middle[0] / scale, middle[1] / scale];
}"""


def test_an_export_is_downloaded(page: Page, sign_in, shop, viewer) -> None:
    sign_in(viewer)
    page.goto("/tables/warehouse/shop.orders/lineage/")
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Mermaid").click()
    assert download.value.suggested_filename == "lineage-shop.orders.mmd"


def test_a_list_keeps_views_and_columns_and_the_keys_are_listed(
    page: Page, sign_in, shop, viewer, assert_accessible
) -> None:
    sign_in(viewer)
    page.goto("/tables/")
    page.get_by_label("Name", exact=True).fill("daily")
    page.wait_for_url("**/tables/?q=daily**")
    page.get_by_text("Views", exact=True).click()
    assert_accessible()
    page.get_by_label("Save the list as it is now").fill("Daily ones")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The view Daily ones is saved.")).to_be_visible()
    assert "q=daily" in SavedView.objects.get().query
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("Technical owner").uncheck()
    expect(page.get_by_role("columnheader", name="Technical owner")).to_be_hidden()
    page.reload()
    expect(page.get_by_role("columnheader", name="Technical owner")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert_accessible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_names_and_sql_are_copied(page: Page, sign_in, shop, viewer) -> None:
    sign_in(viewer)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/pipelines/build_orders/")
    page.get_by_role("button", name="Copy the name").click()
    assert page.evaluate("navigator.clipboard.readText()") == "build_orders"
    page.get_by_role("button", name="Copy the SQL").click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("CREATE TABLE shop.orders AS\nSELECT 1 AS one\n")


def test_everything_of_who_left_is_handed_over(page: Page, sign_in, shop, editor, assert_accessible) -> None:
    ben, dora = make_owner("Ben", slug="ben", status="left"), make_owner("Dora", slug="dora")
    make_pipeline("his", owner=ben)
    search_index.rebuild()
    sign_in(editor)
    page.goto("/owners/ben/")
    page.get_by_role("link", name="Hand it all over to somebody else.").click()
    page.get_by_label("To whom").press_sequentially("Do")
    page.get_by_role("group", name="Suggestions").get_by_role("button", name="dora").click()
    assert_accessible()
    page.get_by_role("button", name="Hand over").click()
    page.wait_for_url("**/owners/dora/")
    assert dora.ownerships.filter(pipeline__name="his").exists()


def test_many_are_changed_by_hand_and_preview(page: Page, sign_in, shop, editor, assert_accessible) -> None:
    sign_in(editor)
    page.goto("/pipelines/")
    page.get_by_role("link", name="Edit many").click()
    page.get_by_label("build_report").uncheck()
    page.get_by_label("Add tags").fill("core")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="What changes 2")).to_be_visible()
    assert_accessible()
    page.get_by_role("button", name="Change 2").click()
    expect(page.get_by_text("2 pipelines changed.")).to_be_visible()
