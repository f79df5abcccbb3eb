"""One incident from the alert to its published report and the last action item closed by its proof, with four people:
who leads, who owns what is hit, who reviews, and a stranger who gets nowhere."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone
from playwright.sync_api import Page, expect

from audits.checks.models import Check, CheckResult
from audits.postmortems.models import Incident, PostMortem
from catalog.models import Table, User
from tests.factories import make_column, make_edge, make_owner, make_pipeline, make_run, make_table, make_user

pytestmark = pytest.mark.django_db(transaction=True)

SECTIONS = ("Summary", "Trigger", "Root cause", "Contributing factors", "What went well", "What went wrong")


@pytest.fixture
def lead(db) -> User:
    """Lea, an editor, where orders feed revenue, a dashboard shows it, and a run has failed in the night."""
    orders, revenue = make_table("shop.orders"), make_table("shop.revenue")
    make_column("id", orders)
    team = make_owner("Growth", kind="team", email="growth@shop.example")
    pipeline = make_pipeline("build_revenue", owner=make_owner("Jo", slug="jo", email="jo@shop.example", team=team))
    make_edge(pipeline, orders, revenue)
    make_edge(make_pipeline("publish"), revenue, make_table("boards.sales", kind=Table.Kind.DASHBOARD))
    make_run(pipeline, state="failed", started_at=timezone.now() - dt.timedelta(hours=2), error="Key twice")
    return make_user("editor", owner=make_owner("Lea", slug="lea"), username="lea")


@pytest.fixture
def owner(lead: User) -> User:
    """Jo, a viewer, who keeps what is hit running."""
    from catalog.models import Owner

    return make_user("viewer", owner=Owner.objects.get(slug="jo"), username="jo")


def alert(program) -> None:
    """What a monitor sends."""
    payload = {"summary": "Orders twice", "source": "monitor", "severity": "critical"}
    payload["custom_details"] = {"table": "warehouse:shop.orders"}
    sent = {"event_action": "trigger", "dedup_key": "orders", "payload": payload}
    assert program.post("/api/v1/incidents/pagerduty/", sent).json()[0]["outcome"] == "opened"


def test_from_the_alert_to_the_last_action_item(
    page: Page, change_to, lead, owner, editor, stranger, with_token, assert_accessible, live_server, settings
) -> None:
    settings.SITE_URL = live_server.url
    alert(with_token(editor, "write"))
    call_command("send_notices")
    assert [each.to for each in mail.outbox] == [["jo@shop.example"]]
    link = mail.outbox[0].body.split()[-1]

    # A stranger with the link in hand sees nothing.
    change_to(stranger)
    assert page.goto(link).status == 403

    # Jo comes from the mail and takes it on; what is hit is there already.
    change_to(owner)
    page.goto(link)
    hits = page.get_by_role("heading", name="What is hit")
    for name in ("shop.orders", "shop.revenue", "boards.sales", "build_revenue"):
        expect(page.locator("section", has=hits).get_by_role("link", name=name, exact=True)).to_be_visible()
    expect(page.get_by_text("run run-")).to_be_visible()
    assert_accessible()
    page.get_by_role("button", name="I take it on").click()
    expect(page.get_by_text("Acknowledged by Jo.")).to_be_visible()
    page.get_by_label("What happened").fill("The load ran twice.")
    page.get_by_label("Pin it").check()
    page.get_by_role("button", name="Note it").click()
    expect(page.locator(".pinned", has_text="The load ran twice.")).to_be_visible()
    page.get_by_role("button", name="boards.sales was not hit").click()
    expect(page.locator(".out", has_text="boards.sales")).to_be_visible()
    page.get_by_label("What was done").fill("Switched the dashboard off")
    page.get_by_role("button", name="It does no more harm").click()

    # Lea mends the data, sets the day, and begins the report.
    change_to(lead)
    page.goto(link)
    expect(page.get_by_text("Mitigated: Switched the dashboard off")).to_be_visible()
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("First day of wrong data").fill("2026-03-02")
    acknowledged = page.get_by_label("Acknowledged").input_value()
    page.get_by_label("Acknowledged").fill("2020-01-01T00:00:00")
    assert_accessible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("is before detected")).to_be_visible()
    page.get_by_label("Acknowledged").fill(acknowledged)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("2026-03-02 to today")).to_be_visible()
    page.get_by_label("What was done").fill("Loaded again")
    page.get_by_role("button", name="The data is right again").click()
    page.get_by_role("button", name="Write the post-mortem").click()

    # It saves itself as she types; what Jo wrote meanwhile is not overwritten unseen.
    for name in SECTIONS:
        page.get_by_role("textbox", name=name, exact=True).press_sequentially(f"Said of {name.lower()}.")
    for name in SECTIONS:
        field = page.get_by_role("textbox", name=name, exact=True)
        expect(page.locator("form", has=field).get_by_text("Saved by Lea")).to_be_visible()
    page.get_by_label("Where we were lucky").fill("**Nobody** looked. <script>alert(1)</script>")
    form = page.locator("form", has=page.get_by_label("Where we were lucky"))
    expect(form.get_by_text("Saved by Lea")).to_be_visible()
    form.get_by_role("button", name="Preview").click()
    expect(form.locator(".preview strong")).to_have_text("Nobody")
    assert_accessible()
    report = PostMortem.objects.get()
    report.sections.filter(name="summary").update(text="Jo was here.", revision=9, saved_by_name="Jo")
    page.get_by_label("Summary", exact=True).press_sequentially(" And more.")
    expect(page.get_by_text("Jo saved this section meanwhile.")).to_be_visible()
    assert report.sections.get(name="summary").text == "Jo was here."
    page.get_by_role("button", name="Put mine over it").click()
    expect(page.get_by_text("Jo saved this section meanwhile.")).to_have_count(0)
    assert report.sections.get(name="summary").text == "Said of summary. And more."
    page.locator("#root-cause").select_option("rerun")
    page.get_by_role("button", name="Save the causes").click()
    page.get_by_role("link", name="Done writing").click()
    page.get_by_label("Reviewer").select_option(label="Jo")
    page.get_by_role("button", name="Send to review").click()
    expect(page.get_by_text("Jo reads it.")).to_be_visible()
    expect(page.get_by_role("button", name="Publish it")).to_have_count(0)

    # Jo reviews and publishes.
    change_to(owner)
    page.goto(report.get_absolute_url())
    assert_accessible()
    page.get_by_role("button", name="Publish it").click()
    expect(page.get_by_text("It is published.")).to_be_visible()

    # An action item makes the check that proves it, and closes when that passes.
    change_to(lead)
    page.goto(report.get_absolute_url())
    page.get_by_role("link", name="Add one").click()
    page.get_by_label("Title").fill("One row an order, checked")
    page.get_by_label("Type").select_option("detect")
    page.get_by_label("Owner").fill("jo")
    page.get_by_label("Due").fill("2020-01-01")
    page.get_by_role("button", name="Decide").click()
    expect(page.get_by_text("2020-01-01 is past")).to_be_visible()
    page.get_by_label("Due").fill(str(timezone.now().date() + dt.timedelta(days=7)))
    page.get_by_role("button", name="Decide").click()
    page.get_by_role("link", name="One row an order, checked").click()
    assert_accessible()
    page.get_by_text("Have a check prove it").first.click()
    page.get_by_label("Of the table").fill("shop.orders")
    page.get_by_label("Columns").fill("id")
    page.get_by_role("button", name="Have a check prove it").click()
    expect(page.get_by_text("has not run since the decision")).to_be_visible()
    page.get_by_role("button", name="Look whether it is green").click()
    expect(page.get_by_text("It does not show green yet.")).to_be_visible()
    check = Check.objects.get()
    CheckResult.objects.create(check_of=check, key="1", at=timezone.now(), state="pass", reported_by="test")
    call_command("watch_action_items")
    page.reload()
    expect(page.get_by_text("as Pipekeeper found")).to_be_visible()

    # The strangers stay outside, and a viewer who has nothing to do with it sees no button.
    change_to(make_user("viewer", username="vi"))
    page.goto(link)
    expect(page.get_by_text("The load ran twice.")).to_be_visible()
    expect(page.get_by_role("button", name="Note it")).to_have_count(0)
    change_to(stranger)
    assert page.goto(report.get_absolute_url()).status == 403

    # A year later, with the tables gone, the whole reads as it was.
    Table.objects.get(name="shop.revenue").delete()
    change_to(lead)
    page.goto(f"{report.get_absolute_url()}print/")
    for text in ("Said of summary. And more.", "shop.revenue", "The load ran twice.", "One row an order, checked"):
        expect(page.get_by_text(text).first).to_be_visible()
    assert_accessible()
    assert Incident.objects.get().status == "resolved"
