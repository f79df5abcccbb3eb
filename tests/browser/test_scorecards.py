"""From the company's score to one finding, its SQL, a waiver, and back; and the pages of coverage. All with axe."""

from __future__ import annotations

import datetime as dt

import pytest
from playwright.sync_api import Page, expect

from audits.practices import services
from audits.practices.models import Score, today
from tests.factories import make_edge, make_owner, make_pipeline, make_problem, make_sql_version, make_table, own

pytestmark = pytest.mark.django_db(transaction=True)

APPENDS = {
    "load_strategy": "append",
    "idempotent": False,
    "atomic": True,
    "backfill_safe": False,
    "reasons": [{"practice": "idempotent", "message": "rows are added", "statement": 0, "line": 2}],
}


@pytest.fixture
def shop():
    """A pipeline that appends, of a team, judged on two days."""
    team = make_owner("Finance", kind="team", slug="finance")
    pipeline = make_pipeline("shop.daily", owner=team, tier=1)
    own(pipeline, team, "business")
    version = make_sql_version(
        *(pipeline, "-- daily\ninsert into shop.daily\nselect * from shop.orders"),
        practices=APPENDS,
        statements=2,
        statements_read=1,
        columns_named=4,
        columns_found=3,
    )
    make_edge(pipeline, make_table("shop.orders"), make_table("shop.daily"), sql_version=version)
    make_problem(pipeline, line=3)
    Score.objects.create(scope="company", day=today() - dt.timedelta(days=30), score=0.5, known=1)
    services.judge_all()
    return pipeline


def test_from_the_score_to_a_waiver(page: Page, shop, editor, sign_in, assert_accessible) -> None:
    sign_in(editor)
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Scorecards").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Scorecard")
    assert_accessible()
    page.get_by_role("link", name="shop.daily").first.click()
    finding = page.get_by_role("region", name="Idempotent and atomic")
    expect(finding).to_contain_text("Rows are added.")
    expect(finding.locator(".is-named")).to_contain_text("insert into shop.daily")
    assert_accessible()
    finding.get_by_role("link", name="Waive it").click()
    page.get_by_label("Why it need not be kept").fill("It goes next week.")
    page.get_by_label("Who answers for it").fill("Finance")
    page.get_by_label("Last day").fill((today() + dt.timedelta(days=7)).isoformat())
    assert_accessible()
    page.get_by_role("button", name="Waive").click()
    expect(finding).to_contain_text("waived until")
    page.get_by_role("button", name="Lift").click()
    expect(finding).not_to_contain_text("waived until")
    page.goto("/scorecards/findings/?standing=fail")
    expect(page.get_by_role("region", name="Findings")).to_contain_text("Rows are added.")
    assert_accessible()


def test_what_was_read_in_part_is_a_click_from_home(page: Page, shop, viewer, sign_in, assert_accessible) -> None:
    sign_in(viewer)
    page.goto("/")
    part = page.get_by_role("region", name="Read in part")
    expect(part).to_contain_text("1 of 2 statements")
    assert_accessible()
    part.get_by_role("link", name="shop.daily").click()
    expect(page.locator("#L3")).to_be_in_viewport()
    page.goto("/coverage/")
    expect(page.get_by_role("region", name="Read in part").first).to_contain_text("parse error, line 3")
    assert_accessible()
