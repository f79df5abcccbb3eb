"""What changed upstream, what a change would break, and what an incident asks for: in a browser, with axe."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from audits.postmortems import services
from audits.postmortems.models import Incident
from catalog.models import Table
from tests.factories import make_edge, make_owner, make_pipeline, make_run, make_sql_version, make_table

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NOW = timezone.now()
DAY = dt.timedelta(days=1)


@pytest.fixture
def mart(transactional_db: None) -> Table:
    """core -> mart: load_core failed yesterday and got another SQL the day before."""
    core, mart = make_table("shop.core"), make_table("shop.mart", owner=make_owner("Ada", slug="ada"))
    loads = make_pipeline("load_core", orchestrator="airflow", dag="shop")
    make_edge(loads, None, core, valid_from=NOW - 99 * DAY)
    make_edge(make_pipeline("build_mart"), core, mart, valid_from=NOW - 99 * DAY)
    make_run(loads, state="failed", started_at=NOW - DAY, error="no column reason")
    make_sql_version(loads, "select reason from t", valid_from=NOW - 90 * DAY, valid_to=NOW - 2 * DAY)
    make_sql_version(loads, "select code as reason from t", valid_from=NOW - 2 * DAY)
    return mart


@pytest.fixture
def incident(mart, editor) -> Incident:
    """It began in mart; an earlier one hit the same table."""
    for days in (40, 0):
        found = services.open_incident(
            actor=editor, title=f"Wrong {days} days ago", things=[mart], started_at=NOW - days * DAY
        )
    return found


def test_from_the_list_of_changes_to_the_lines_of_sql(page: Page, mart, viewer, sign_in, assert_accessible) -> None:
    sign_in(viewer)
    page.goto(f"{mart.get_absolute_url()}upstream-changes/")
    expect(page.get_by_text("2 changes among 1 table upstream")).to_be_visible()
    assert_accessible()
    page.locator("#kind").select_option("sql")
    expect(page.get_by_text("A run failed")).to_have_count(0)
    assert "kind=sql" in page.url
    page.get_by_role("link", name="The SQL changed").click()
    expect(page.get_by_text("column reason now reads code instead of reason")).to_be_visible()
    expect(page.locator(".diff.added")).to_contain_text("select code as reason from t")
    assert_accessible()


def test_a_question_of_impact_is_in_the_address(page: Page, mart, viewer, sign_in, assert_accessible) -> None:
    sign_in(viewer)
    page.goto("/impact/")
    assert_accessible()
    page.get_by_label("What happens").select_option("drop_table")
    page.get_by_label("To what").fill("shop.core")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="Breaks 1")).to_be_visible()
    expect(page.get_by_role("link", name="build_mart").first).to_be_visible()
    page.locator(".message-to").evaluate("letter => { letter.open = true }")
    expect(page.get_by_text("Hello Ada,")).to_be_visible()
    assert_accessible()
    page.get_by_role("button", name="Take away: shop.core is dropped").click()
    expect(page.get_by_text("Choose a change")).to_be_visible()


def test_a_mishap_is_declared_shows_on_other_pages_and_is_ended_by_keyboard(
    page: Page, mart, editor, sign_in, assert_accessible
) -> None:
    sign_in(editor)
    page.goto("/impact/")
    page.get_by_label("What happens").select_option("wrong_rows")
    page.get_by_label("To what").fill("shop.core")
    page.get_by_label("What comes of it").fill("2026-03-01..2026-03-04")
    page.get_by_label("To what").press("Enter")
    page.get_by_role("button", name="Declare it").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Declared. What is downstream has a badge")).to_be_visible()
    assert_accessible()
    page.goto(mart.get_absolute_url())
    page.get_by_role("link", name="wrong: shop.core has wrong rows").focus()
    assert_accessible()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="It is right again").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Ended: its badges are gone.")).to_be_visible()
    page.goto(mart.get_absolute_url())
    expect(page.get_by_role("link", name="wrong: ")).to_have_count(0)


def test_an_incident_brings_in_changes_earlier_ones_and_its_backfill(
    page: Page, incident, viewer, sign_in, assert_accessible
) -> None:
    sign_in(viewer)
    page.goto(incident.get_absolute_url())
    page.locator("summary", has_text="changes, the nearest: ").click()
    expect(page.get_by_role("link", name="The SQL changed")).to_be_visible()
    expect(page.get_by_role("link", name="Wrong 40 days ago").first).to_be_visible()
    assert page.title().startswith("Wrong 0 days ago")  # not that of what was brought in
    assert_accessible()
    page.get_by_role("link", name="Backfill plan").click()
    expect(page.get_by_role("heading", name="build_mart")).to_be_visible()
    assert_accessible()


def test_the_barometer_by_keyboard_and_in_a_narrow_window(
    page: Page, incident, viewer, sign_in, assert_accessible
) -> None:
    sign_in(viewer)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/barometer/")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert_accessible()
    page.locator(".chart a").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Incidents", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Wrong").first).to_be_visible()
