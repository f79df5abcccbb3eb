"""The way of a check: proposed, accepted, run on a real DuckDB file, failing, and one click from an incident."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from audits.checks.models import Check
from catalog.models import Column
from ingest import jobs
from ingest.models import IngestRun
from tests.checks.conftest import file, warehouse  # noqa: F401 the shop's orders
from tests.factories import make_table

pytestmark = pytest.mark.django_db(transaction=True)


def test_proposed_accepted_run_and_an_incident_opened(
    page: Page,
    sign_in,
    steward,
    warehouse,  # noqa: F811
    monkeypatch,
    assert_accessible,
) -> None:
    monkeypatch.setattr(jobs, "start", lambda run: None)  # its process would look in another database: see below
    table = make_table("warehouse.shop.orders", source=warehouse)
    Column.objects.create(table=table, name="id", is_primary_key=True)
    sign_in(steward)

    page.goto(f"{table.get_absolute_url()}checks/")
    assert_accessible()
    page.get_by_role("button", name="Accept: unique key: id").click()
    page.get_by_role("link", name="unique key: id").click()
    expect(page.get_by_text("It has not been run yet.")).to_be_visible()

    page.get_by_role("button", name="Run it now").click()
    expect(page.get_by_text("The check is running")).to_be_visible()
    jobs.perform(IngestRun.objects.get())
    expect(page.get_by_role("region", name="Latest result")).to_contain_text("1 rows with a key that is there already")
    expect(page.get_by_role("region", name="Some offending keys").first).to_contain_text("2")
    assert_accessible()

    page.get_by_role("link", name="Open an incident").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("ncident")
    assert Check.objects.get().state == "fail"


def test_a_check_is_made_by_form(page: Page, sign_in, steward, warehouse, assert_accessible) -> None:  # noqa: F811
    table = make_table("warehouse.shop.orders", source=warehouse)
    Column.objects.create(table=table, name="country")
    sign_in(steward)
    page.goto(f"{table.get_absolute_url()}checks/new/")
    assert_accessible()
    page.get_by_role("link", name="Accepted values").click()
    page.get_by_label("Accepted values").fill("KR\nJP")
    assert_accessible()
    page.get_by_role("button", name="Make the check").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("accepted values: country")
    assert Check.objects.get().parameters == {"column": "country", "values": ["KR", "JP"]}
