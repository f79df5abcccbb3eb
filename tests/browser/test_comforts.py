"""Small comforts that hold on every page: times in the zone of the reader, and undo."""

from __future__ import annotations

import datetime as dt

import pytest
from playwright.sync_api import Page, expect

from catalog.tokens import issue_token
from tests.factories import make_pipeline, make_run, make_table

pytestmark = pytest.mark.django_db(transaction=True)


def test_times_are_in_the_zone_of_the_browser_until_the_account_names_another(
    page: Page, sign_in, viewer, assert_accessible
) -> None:
    run = make_run(make_pipeline("nightly"), started_at=dt.datetime(2026, 1, 5, 23, 30, tzinfo=dt.UTC))
    page.context.new_cdp_session(page).send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
    sign_in(viewer)  # the page where one signs in tells the server of the browser's zone
    page.goto(f"/runs/{run.pk}/")
    started = page.locator("dd > time").first
    expect(started).to_have_text("2026-01-06 05:00:00")
    expect(started).to_have_attribute("title", "2026-01-05 23:30 UTC")
    page.get_by_role("link", name="Times in Asia/").press("Enter")
    page.get_by_label("Times are in").select_option("America/Lima")
    page.get_by_role("button", name="Use this zone").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("Times are in America/Lima now.")
    assert_accessible()
    page.goto(f"/runs/{run.pk}/")
    expect(started).to_have_text("2026-01-05 18:30:00")


def test_a_change_is_undone_by_keyboard_below_the_message_and_in_the_history(
    page: Page, sign_in, editor, assert_accessible
) -> None:
    table = make_table("shop.orders", description="One row an order.")
    sign_in(editor)
    page.goto(f"{table.get_absolute_url()}edit/")
    page.get_by_label("Description").fill("Wrong.")
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The changes are saved.")
    assert_accessible()
    page.get_by_role("button", name="Undo", exact=True).press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("It is as it was before.")
    table.refresh_from_db()
    assert table.description == "One row an order."
    page.reload()
    expect(page.get_by_role("status")).to_have_count(0)
    page.get_by_role("button", name="Undo the change of description").first.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("It is as it was before.")
    table.refresh_from_db()
    assert table.description == "Wrong."


def test_what_cannot_be_undone_asks_first(page: Page, sign_in, viewer, assert_accessible) -> None:
    issue_token(user=viewer, name="airflow", scope="read")
    sign_in(viewer)
    page.goto("/account/")
    page.locator("summary", has_text="Revoke").press("Enter")
    expect(page.get_by_text("This cannot be undone.")).to_be_visible()
    assert_accessible()
    page.get_by_role("button", name="Revoke airflow").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The token is revoked")
