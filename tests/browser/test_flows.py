"""What people come to do: sign in, search, open a table, follow lineage, register a pipeline; by keyboard too."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from catalog import search_index
from catalog.models import Pipeline
from lineage.models import ColumnEdge, EdgeOrigin
from tests.factories import (
    NOON,
    make_column,
    make_edge,
    make_owner,
    make_pipeline,
    make_problem,
    make_run,
    make_sql_version,
    make_table,
    own,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop():
    """raw_orders -> build_orders -> orders -> build_report -> report, with people, columns, a problem and a run."""
    raw, orders, report = (make_table(f"shop.{name}") for name in ("raw_orders", "orders", "report"))
    ada, bob = make_owner("Ada", slug="ada", kind="team"), make_owner("Bob", slug="bob", status="left")
    build = make_pipeline(
        "build_orders", owner=ada, kind="summary", kind_is_inferred=True, schedule="0 3 * * *", tier=1
    )
    own(build, bob, "business")
    make_edge(build, raw, orders)
    make_edge(make_pipeline("build_report"), orders, report)
    make_sql_version(build, "create table orders as\nselect id from raw_orders where x = 'y'", statements=1)
    make_problem(build, line=2, message="Where does x come from?")
    make_run(build)
    columns = [make_column("id", table, type="BIGINT", is_primary_key=True) for table in (raw, orders, report)]
    for source, target in zip(columns, columns[1:], strict=False):
        ColumnEdge.objects.create(
            pipeline=build,
            source_table=source.table,
            source_column=source,
            target_table=target.table,
            target_column=target,
            kind="IDENTITY",
            basis="parsed",
            statement=0,
            origin=EdgeOrigin.SQL,
            valid_from=NOON,
        )
    search_index.rebuild()
    return orders


def test_sign_in_search_open_a_table_follow_lineage(page: Page, shop, viewer, assert_accessible) -> None:
    page.goto("/login/")
    assert_accessible()
    page.get_by_label("User name").fill(viewer.username)
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What is here")
    assert_accessible()
    search = page.get_by_role("combobox", name="Search")
    search.fill("orders")
    search.press("Enter")
    expect(page.locator("mark").first).to_have_text("orders")
    assert_accessible()
    page.get_by_role("main").get_by_role("link", name="shop.orders").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop.orders")
    assert_accessible()
    page.get_by_role("navigation", name="Aspects").get_by_role("link", name="Lineage").click()
    expect(page.locator(".box")).to_have_count(5)
    assert_accessible()
    page.locator(".box", has_text="report").last.locator("a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop.report")
    page.get_by_role("link", name="One hop more").click()
    expect(page).to_have_url(re.compile("depth=2"))
    expect(page.locator(".box", has_text="raw_orders")).to_be_visible()


def test_hovering_a_box_lights_up_its_path(page: Page, sign_in, shop, viewer) -> None:
    sign_in(viewer)
    page.goto("/tables/warehouse/shop.orders/lineage/")
    page.locator(".box", has_text="raw_orders").hover()
    expect(page.locator(".line.on")).to_have_count(4)
    page.get_by_role("heading", level=1).hover()
    expect(page.locator(".tracing")).to_have_count(0)


def test_a_columns_path(page: Page, sign_in, shop, viewer, assert_accessible) -> None:
    sign_in(viewer)
    page.goto("/tables/warehouse/shop.orders/lineage/?column=id")
    expect(page.locator(".box .row")).to_have_count(3)
    expect(page.locator(".row.start")).to_have_text(re.compile("id"))
    assert_accessible()


def test_zoom_by_buttons_and_keys(page: Page, sign_in, shop, viewer) -> None:
    sign_in(viewer)
    page.goto("/tables/warehouse/shop.orders/lineage/")
    graph = page.locator(".graph")
    before = float(graph.get_attribute("width"))
    page.get_by_role("button", name="Zoom in").click()
    assert float(graph.get_attribute("width")) == pytest.approx(before * 1.25, rel=0.01)
    page.locator(".canvas").press("-")
    assert float(graph.get_attribute("width")) == pytest.approx(before, rel=0.01)


def test_register_a_pipeline_by_form(page: Page, sign_in, shop, editor, assert_accessible) -> None:
    sign_in(editor)
    page.goto("/pipelines/")
    page.get_by_role("link", name="Register a pipeline").click()
    assert_accessible()
    page.get_by_label("Name").fill("export_orders")
    page.get_by_label("Technical owners").fill("nobody")
    page.get_by_label("Declared inputs").fill("shop.orders")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("No owner here is called nobody")).to_be_visible()
    expect(page.get_by_label("Technical owners")).to_have_attribute("aria-invalid", "true")
    assert_accessible()
    page.get_by_label("Technical owners").fill("")
    page.get_by_label("Technical owners").press_sequentially("Ad")
    page.get_by_role("button", name="ada Ada").click()
    expect(page.get_by_label("Technical owners")).to_have_value("ada\n")
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_text("export_orders is registered.")).to_be_visible()
    assert Pipeline.objects.filter(name="export_orders", ownerships__owner__slug="ada").exists()


def test_by_keyboard_alone(page: Page, sign_in, shop, viewer) -> None:
    sign_in(viewer)
    page.goto("/")
    page.locator("body").press("/")
    page.keyboard.type("shop.orders")
    page.keyboard.press("Enter")
    hit = page.get_by_role("main").get_by_role("link", name="shop.orders")
    hit.wait_for()
    tab_to(page, "shop.orders")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("shop.orders")
    tab_to(page, "Lineage")
    page.keyboard.press("Enter")
    page.locator(".canvas").wait_for()
    tab_to(page, "shop.report")
    expect(page.locator(".tracing")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/shop.report/lineage/")


def test_from_search_to_a_post_mortem_by_keyboard_alone(page: Page, sign_in, shop, editor) -> None:
    sign_in(editor)
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("shop.orders")
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tables/warehouse/shop.orders/")
    press(page, "Impact")
    expect(page.get_by_role("heading", name="Breaks")).to_be_visible()
    press(page, "Open an incident")
    expect(page.get_by_label("Tables")).to_have_value("warehouse:shop.orders")
    press(page, "Title", "Orders twice", "Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Orders twice")
    press(page, "I take it on")
    expect(page.get_by_text("Acknowledged by edith.")).to_be_visible()
    press(page, "What was done", "Loaded again")
    press(page, "The data is right again")
    expect(page.get_by_text("Write down what can be learned")).to_be_visible()
    press(page, "Write the post-mortem")
    expect(page.get_by_role("heading", name="Orders twice")).to_be_visible()
    press(page, "Summary", "Loaded twice.")
    expect(page.get_by_text("Saved by edith")).to_be_visible()


def press(page: Page, text: str, *typed: str) -> None:
    """Go to what is called so and press Enter on it, or type, all by keys; on a new page past its frame."""
    page.wait_for_load_state()
    if page.evaluate("document.activeElement === document.body"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
    tab_to(page, text)
    for each in typed or ("Enter",):
        page.keyboard.press(each) if each == "Enter" else page.keyboard.type(each)


def tab_to(page: Page, text: str, most: int = 80) -> None:
    """Press Tab until the link or field with that text, or the box with that title, has the focus."""
    here = "document.activeElement"
    named = f"({here}.labels?.[0] ?? {here}.querySelector('title') ?? {here}).textContent.trim()"
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(named) == text:
            return
    raise AssertionError(f"{most} times Tab do not reach {text!r}")


def test_filtering_a_list_changes_it_in_place_and_the_address(page: Page, sign_in, shop, viewer) -> None:
    sign_in(viewer)
    page.goto("/tables/")
    page.get_by_label("Name").fill("report")
    expect(page.locator("#results tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=report"))
    page.reload()
    expect(page.get_by_label("Name")).to_have_value("report")
    expect(page.locator("#results tbody tr")).to_have_count(1)


def test_the_theme_switch_wins_over_the_system_and_stays(page: Page, sign_in, viewer) -> None:
    sign_in(viewer)
    page.goto("/")
    page.get_by_label("Theme").click()
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/tables/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"


PAGES = [
    "/pipelines/",
    "/pipelines/build_orders/",
    "/pipelines/build_orders/lineage/",
    "/tables/",
    "/tables/warehouse/shop.orders/",
    "/tables/warehouse/shop.orders/lineage/?grain=column&edges=all",
    "/tables/warehouse/shop.orders/edit/",
    "/owners/",
    "/owners/bob/",
    "/sources/",
    "/sources/warehouse/",
    "/tags/",
    "/problems/",
    "/runs/",
    "/ingest-runs/",
    "/account/",
    "/nowhere/",
]


def test_every_page_is_accessible_and_fits_a_narrow_window(
    page: Page, sign_in, shop, editor, assert_accessible
) -> None:
    sign_in(editor)
    for path in PAGES:
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(path)
        assert_accessible()
        page.set_viewport_size({"width": 390, "height": 800})
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, path
        assert_accessible()


def test_pages_work_without_javascript(browser, live_server, shop, viewer) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/login/?next=/tables/")
    page.get_by_label("User name").fill(viewer.username)
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Name").fill("report")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#results tbody tr")).to_have_count(1)
    page.goto("/tables/warehouse/shop.orders/lineage/")
    page.get_by_role("link", name="One hop more").click()
    expect(page.locator(".box")).to_have_count(5)
    expect(page.locator("tr", has_text="shop.report").first).to_be_visible()
    context.close()
