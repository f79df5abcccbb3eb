"""REST of scorecards, findings and waivers."""

from __future__ import annotations

import datetime as dt

import pytest

from audits.practices.models import Finding, Waiver, today
from catalog.models import HistoryEntry
from tests.factories import make_owner, make_pipeline

pytestmark = pytest.mark.django_db
NEXT_WEEK = (today() + dt.timedelta(days=7)).isoformat()


def test_scorecards_of_pipelines_by_name(judged, viewer, with_token) -> None:
    make_pipeline("a.first")
    rows = with_token(viewer).get("/api/v1/scorecards/").json()["results"]
    assert [(row["pipeline"], row["score"]) for row in rows] == [("a.first", None), ("shop.daily", 0.2)]
    assert rows[1]["standings"]["idempotent"] == "fail"
    assert rows[0]["standings"] == {}


def test_the_card_of_a_pipeline_a_team_a_source_and_the_company(judged, viewer, with_token) -> None:
    program = with_token(viewer)
    for place in (f"{judged.pk}", "company", "teams/finance", "sources/warehouse"):
        card = program.get(f"/api/v1/scorecards/{place}/").json()
        assert (card["score"], card["trend"]) == (0.2, [{"day": today().isoformat(), "score": 0.2}]), place
        assert card["practices"]["idempotent"] == {"passed": 0, "failed": 1, "waived": 0, "unknown": 0}
        assert card["steps"][0]["mends"] == 3
    assert program.get("/api/v1/scorecards/teams/nobody/").status_code == 404
    assert program.get("/api/v1/scorecards/company/?day=1").status_code == 400


def test_people_have_no_scorecards(judged, viewer, with_token) -> None:
    make_owner("Ada", slug="ada")
    assert with_token(viewer).get("/api/v1/scorecards/teams/ada/").status_code == 404


def test_findings_are_narrowed(judged, viewer, with_token) -> None:
    program = with_token(viewer)
    found = program.get("/api/v1/findings/?practice=idempotent&standing=fail&team=finance&source=warehouse&tier=1")
    (row,) = found.json()["results"]
    assert row["evidence"] == [{"words": "Rows are added.", "line": 2}]
    assert row["remedies"][0]["node"] == judged.node
    assert program.get(row["url"]).json() == row
    assert program.get("/api/v1/findings/?standing=pass&practice=idempotent").json()["results"] == []
    assert program.get("/api/v1/findings/?team=nobody").json()["results"] == []
    assert "Not one of: fail" in program.get("/api/v1/findings/?standing=bad").json()["error"]["message"]


def test_waiving_and_lifting(judged, team, editor, with_token) -> None:
    program = with_token(editor, "write")
    facts = {"pipeline": "shop.daily", "practice": "idempotent", "reason": "Going.", "owner": "finance"}
    made = program.post("/api/v1/waivers/", {**facts, "until": NEXT_WEEK})
    assert (made.status_code, made.json()["in_force"]) == (201, True)
    assert program.get("/api/v1/findings/?standing=waived").json()["results"][0]["waived_until"] == NEXT_WEEK
    assert HistoryEntry.objects.filter(noun="pipeline", action="waived").count() == 1
    lifted = program.post(f"{made.json()['url']}lift/")
    assert (lifted.status_code, lifted.json()["in_force"]) == (200, False)
    assert program.post(f"{made.json()['url']}lift/").status_code == 400
    assert program.get("/api/v1/waivers/?in_force=true").json()["results"] == []
    assert len(program.get("/api/v1/waivers/?in_force=false&owner=finance").json()["results"]) == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"practice": "tidiness"}, "practice"),
        ({"until": "2020-01-01"}, "until"),
        ({"owner": "nobody"}, "owner"),
        ({"reason": ""}, "reason"),
        ({"because": "x"}, "because"),
    ],
)
def test_a_wrong_waiver_is_refused_by_field(judged, team, editor, with_token, wrong: dict, field: str) -> None:
    facts = {"pipeline": "shop.daily", "practice": "idempotent", "reason": "Going.", "owner": "finance"}
    refused = with_token(editor, "write").post("/api/v1/waivers/", {**facts, "until": NEXT_WEEK, **wrong})
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, [field])


def test_viewers_waive_only_what_they_own(judged, team, viewer, with_token) -> None:
    facts = {"pipeline": "shop.daily", "practice": "idempotent", "reason": "Going.", "owner": "finance"}
    program = with_token(viewer, "write")
    assert program.post("/api/v1/waivers/", {**facts, "until": NEXT_WEEK}).status_code == 403
    assert program.post(f"/api/v1/scorecards/{judged.pk}/judge/").status_code == 403
    viewer.owner = make_owner(team=team)
    viewer.save()
    made = program.post("/api/v1/waivers/", {**facts, "until": NEXT_WEEK})
    assert made.status_code == 201
    assert program.post(f"{made.json()['url']}lift/").status_code == 200
    assert Waiver.objects.get().lifted_at


def test_a_pipeline_is_judged_anew(judged, editor, with_token) -> None:
    Finding.objects.all().delete()
    card = with_token(editor, "write").post(f"/api/v1/scorecards/{judged.pk}/judge/").json()
    assert (card["name"], card["score"]) == ("shop.daily", 0.2)
