"""The pages of scorecards, findings, waivers, the CSV file and the badge."""

from __future__ import annotations

import csv
import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits.practices import services
from audits.practices.models import Finding, Score, Waiver, today
from audits.practices.queries import Point
from catalog.models import Pipeline
from pages.csv_rows import plain_cell
from pages.scorecards import trend_of
from tests.factories import make_edge, make_owner, make_pipeline, make_table, own
from tests.practices.conftest import standing

pytestmark = pytest.mark.django_db
CARD = "/pipelines/shop.daily/scorecard/"
NEXT_WEEK = (today() + dt.timedelta(days=7)).isoformat()


def test_the_card_of_the_company_leads_on(judged, viewer, signed_in) -> None:
    page = signed_in(viewer).get("/scorecards/").content.decode()
    for address in ("/scorecards/teams/finance/", "/scorecards/sources/warehouse/", CARD):
        assert f'href="{address}' in page
    assert "20.0 %" in page
    assert "Make a second run leave the same rows" in page


def test_the_cards_of_a_team_and_of_a_source(judged, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    for address in ("/scorecards/teams/finance/", "/scorecards/sources/warehouse/"):
        assert "20.0 %" in browser.get(address).content.decode()
    make_owner("Ada", slug="ada")
    assert browser.get("/scorecards/teams/ada/").status_code == 404


def test_a_finding_shows_its_sql(judged, viewer, signed_in) -> None:
    page = signed_in(viewer).get(CARD).content.decode()
    assert "Rows are added." in page
    assert '<code class="line is-named" data-n="2">' in page
    assert "Waive it" not in page


def test_before_anything_is_judged_the_pages_say_so(appending, editor, signed_in) -> None:
    browser = signed_in(editor)
    for address in ("/scorecards/", "/scorecards/findings/", CARD):
        assert "Not judged yet" in browser.get(address).content.decode()
    assert browser.post(f"{CARD}judge/").status_code == 302
    assert standing(appending, "idempotent") == "fail"


def test_waiving_by_form_and_lifting(judged, team, editor, signed_in) -> None:
    browser = signed_in(editor)
    form = f"{CARD}waive/idempotent/"
    assert browser.get(form).status_code == 200
    answer = browser.post(form, {"reason": "Going.", "owner": "Finance", "until": NEXT_WEEK})
    assert (answer.status_code, answer.headers["Location"]) == (302, CARD)
    page = browser.get(CARD).content.decode()
    assert f"waived until {today() + dt.timedelta(days=7):%b}"[:12].lower() in page.lower()
    browser.post(f"/scorecards/waivers/{Waiver.objects.get().pk}/lift/")
    assert standing(judged, "idempotent") == "fail"


@pytest.mark.parametrize(
    "wrong", [{"reason": ""}, {"owner": "Nobody"}, {"owner": ""}, {"until": "2020-01-01"}, {"until": "soon"}]
)
def test_a_wrong_waiver_is_shown_again(judged, team, editor, signed_in, wrong: dict) -> None:
    facts = {"reason": "Going.", "owner": "Finance", "until": NEXT_WEEK, **wrong}
    assert signed_in(editor).post(f"{CARD}waive/idempotent/", facts).status_code == 422
    assert not Waiver.objects.exists()


def test_strangers_to_a_pipeline_waive_and_judge_nothing(judged, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    for address in (f"{CARD}waive/idempotent/", f"{CARD}judge/"):
        assert browser.post(address, {"reason": "x"}).status_code == 403
    assert browser.get(f"{CARD}waive/idempotent/").status_code == 403


def test_an_unknown_practice_cannot_be_waived(judged, editor, signed_in) -> None:
    assert signed_in(editor).get(f"{CARD}waive/tidiness/").status_code == 404


def test_a_pipeline_that_is_edited_is_judged_anew(judged, editor, signed_in) -> None:
    form = {"name": "shop.daily", "status": "active", "tier": "4", "technical_owners": "Finance"}
    assert signed_in(editor).post("/pipelines/shop.daily/edit/", form).status_code == 302
    assert standing(judged, "checked") == "pass"  # tier 4 needs none


def test_findings_as_a_list_and_as_csv(judged, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    assert "Rows are added." in browser.get("/scorecards/findings/?standing=fail").content.decode()
    answer = browser.get("/scorecards/findings.csv?standing=fail&practice=idempotent")
    rows = list(csv.DictReader(b"".join(answer.streaming_content).decode().splitlines()))
    assert [(row["pipeline"], row["standing"], row["line"]) for row in rows] == [("shop.daily", "fail", "2")]
    beside_the_list = browser.get("/scorecards/findings/?standing=fail&practice=idempotent&as=csv")
    assert list(csv.DictReader(b"".join(beside_the_list.streaming_content).decode().splitlines())) == rows
    nothing = b"".join(browser.get("/scorecards/findings.csv?standing=bad").streaming_content)
    assert len(nothing.splitlines()) == 1


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_a_csv_runs(text: str) -> None:
    assert plain_cell(text) == f"'{text}"


def test_a_pipeline_named_as_a_formula_stays_text(judged, viewer, signed_in) -> None:
    Pipeline.objects.update(name='=HYPERLINK("x")')
    body = b"".join(signed_in(viewer).get("/scorecards/findings.csv").streaming_content).decode()
    assert {row["pipeline"] for row in csv.DictReader(body.splitlines())} == {'\'=HYPERLINK("x")'}


def test_a_badge_needs_its_signed_address_and_nothing_else(judged, viewer, signed_in, client) -> None:
    page = signed_in(viewer).get(CARD)
    address = page.context["badge"].removeprefix("http://testserver")
    shown = client.get(address)
    assert (shown.status_code, shown.headers["Content-Type"]) == (200, "image/svg+xml")
    assert "scorecard: 20 %" in shown.content.decode()
    other = make_pipeline()
    assert client.get(address.replace(f"pipeline-{judged.pk}.", f"pipeline-{other.pk}.")).status_code == 403
    judged.delete()
    assert client.get(address).status_code == 404


def test_badges_of_teams_sources_and_the_company(judged, viewer, signed_in, client) -> None:
    browser = signed_in(viewer)
    for card in ("/scorecards/", "/scorecards/teams/finance/", "/scorecards/sources/warehouse/"):
        address = browser.get(card).context["badge"].removeprefix("http://testserver")
        assert "scorecard: 20 %" in client.get(address).content.decode()


def test_a_trend_is_drawn_in_steps_with_gaps() -> None:
    day = dt.date(2026, 3, 1)
    points = [Point(day + dt.timedelta(days=n), score) for n, score in ((0, 0.5), (5, None), (8, 1.0), (10, 1.0))]
    assert trend_of(points).path == "M0 60 H360 M576 0 H720 V0"
    assert trend_of(points[:1]).path == "M0 60 H720"  # of one day, a line all the same


@pytest.mark.parametrize(
    "address",
    [
        *("/scorecards/", "/scorecards/teams/finance/", "/scorecards/sources/warehouse/"),
        *("/scorecards/findings/", "/scorecards/findings/?team=finance&source=warehouse", CARD),
    ],
)
def test_a_page_costs_the_same_for_many(judged, team, editor, signed_in, address: str) -> None:
    browser = signed_in(editor)

    def grow(rows: int) -> None:
        for _ in range(rows):
            pipeline = make_pipeline(owner=make_owner(team=team), tier=2)
            own(pipeline, make_owner(kind="team"), "technical")
            make_edge(pipeline, make_table(), make_table())
            Waiver.objects.create(
                pipeline=judged, practice="idempotent", reason="x", owner=team, until=today(), stated_by_name="x"
            )
            Score.objects.create(scope="company", day=today() - dt.timedelta(days=pipeline.pk), score=0.1, known=1)
        services.judge_all()

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(address).status_code == 200
        return len(queries)

    grow(10)
    few = cost()
    grow(10)
    assert cost() == few <= 15
    assert Finding.objects.count() == 7 * 21
