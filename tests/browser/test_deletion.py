"""The whole path of a deletion with three people: the owner, the steward, and a stranger who gets nowhere."""

from __future__ import annotations

import json
import re

import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone
from playwright.sync_api import Page, expect

from catalog.models import Pipeline, User
from tests.deletion.helpers import build, cover, read
from tests.factories import make_owner, make_source, make_table, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner() -> User:
    """Jo, who answers for two tables that nobody reads, in a warehouse whose log is whole."""
    warehouse = make_source("warehouse", dialect="duckdb")
    cover(warehouse)
    read(make_table("warehouse.shop.daily", source=warehouse), 1)
    jo = make_owner("Jo", email="jo@shop.example", team=make_owner("Growth", kind="team"))
    first, second = (make_table(f"warehouse.shop.{name}", source=warehouse, row_count=10) for name in ("a", "b"))
    build(first, name="build_a", owner=jo)
    build(second, first, name="build_b", owner=jo)
    call_command("flag_unused")
    return make_user("viewer", owner=jo, username="jo")


def ingest_failed_query(path, name: str) -> None:
    """A log of one query that failed, read the way every log is."""
    entry = {"query": f"select count(*) from {name}", "user": "ann@shop.example", "status": "failed"}
    path.write_text(json.dumps(entry | {"start_time": timezone.now().isoformat(), "reader_kind": "human"}) + "\n")
    call_command("ingest_queries", str(path), format="generic", source="warehouse", jobs=0)


def test_found_agreed_quarantined_missed_and_back(
    page: Page, change_to, owner, steward, stranger, assert_accessible, live_server, settings, tmp_path
) -> None:
    settings.SITE_URL = live_server.url

    # The steward finds two tables, looks at the plan, and tells their owner.
    change_to(steward)
    page.goto("/")
    page.get_by_role("link", name="Deletion").click()
    expect(page.get_by_role("row")).to_have_count(3)
    assert_accessible()
    page.get_by_label("Choose warehouse.shop.a").check()
    page.get_by_role("button", name="Look at what would go").click()
    expect(page.get_by_text("goes along")).to_be_visible()
    expect(page.locator("svg.graph .goes")).to_have_count(4)
    assert_accessible()
    page.get_by_role("button", name="Open a review").click()
    page.get_by_role("button", name="Tell the owners").click()
    expect(page.get_by_text("Owners notified", exact=True)).to_have_attribute("aria-current", "step")
    review = page.url
    page.get_by_role("button", name="Approve the deletion").click()
    expect(page.get_by_text("Not everybody who was asked has agreed")).to_be_visible()

    # A stranger with the link in hand may not speak for Jo, nor see the board.
    link = re.search(r"http\S+/deletion/notices/\S+", mail.outbox[0].body)[0]
    change_to(stranger)
    assert page.goto("/deletion/").status == 403
    page.goto(link)
    expect(page.get_by_role("button", name="I agree")).to_be_disabled()

    # Jo comes from the mail, signs in to agree, and does.
    change_to(None)
    page.goto(link)
    assert_accessible()
    page.get_by_role("button", name="Sign in to agree").click()
    page.get_by_label("User name").fill("jo")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="I agree").click()
    expect(page.get_by_text("You have answered: agreed")).to_be_visible()

    # The steward approves, runs the script, and says so.
    change_to(steward)
    page.goto(review)
    page.get_by_role("button", name="Approve the deletion").click()
    expect(page.locator("pre")).to_contain_text('ALTER TABLE "warehouse"."shop"."b" RENAME TO "b__quarantine_')
    assert_accessible()
    page.get_by_role("button", name="The pipelines are stopped and the tables renamed").click()
    expect(page.get_by_text("nothing is dropped")).to_be_visible()
    expect(page.get_by_role("button", name="The data is kept")).to_have_count(0)

    # Somebody misses the table: it comes back, and is not flagged again tomorrow.
    ingest_failed_query(tmp_path / "log.jsonl", "warehouse.shop.b")
    call_command("watch_deletions")
    page.reload()
    expect(page.locator("#stop-reason")).to_contain_text("somebody misses it")
    expect(page.locator("#stop-reason")).not_to_contain_text("ann")
    expect(page.locator("pre")).to_contain_text('RENAME TO "b"')
    assert_accessible()
    page.get_by_role("button", name="The tables are back").click()
    expect(page.get_by_text("This review has ended")).to_be_visible()
    assert set(Pipeline.objects.values_list("status", flat=True)) == {"active"}
    call_command("flag_unused")
    page.goto("/tables/warehouse/warehouse.shop.b/verdict/")
    expect(page.get_by_text("Pinned until").first).to_be_visible()
    expect(page.locator(".card-head .badge")).to_have_text("protected")
    assert_accessible()


def test_an_owner_keeps_the_tables_by_the_link_alone(
    page: Page, change_to, owner, steward, live_server, settings
) -> None:
    settings.SITE_URL = live_server.url
    change_to(steward)
    page.goto("/deletion/")
    page.get_by_label("Choose warehouse.shop.b").check()
    page.get_by_role("button", name="Look at what would go").click()
    page.get_by_role("button", name="Open a review").click()
    page.get_by_role("button", name="Tell the owners").click()
    expect(page.get_by_text("Owners notified", exact=True)).to_be_visible()
    review = page.url
    change_to(None)
    page.goto(re.search(r"http\S+/deletion/notices/\S+", mail.outbox[0].body)[0])
    page.get_by_role("button", name="Keep them").click()
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    page.get_by_label("Why it must stay").fill("The spring budget needs it")
    page.get_by_role("button", name="Keep them").click()
    expect(page.get_by_text("The spring budget needs it")).to_be_visible()
    change_to(steward)
    page.goto(review)
    expect(page.locator("#stop-reason")).to_contain_text("Jo objected: The spring budget needs it")
