"""REST of verdicts and reviews: the same rules as the pages."""

from __future__ import annotations

import pytest

from audits.deletion import services
from audits.deletion.models import DeletionReview
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_verdicts_are_listed_narrowed_and_explained(flagged, viewer, with_token) -> None:
    program = with_token(viewer)
    found = program.get("/api/v1/verdicts/?is_proposed=true").json()["results"]
    assert [(each["table"], each["verdict"]) for each in found] == [
        ("shop.first", "feeds_unread"),
        ("shop.second", "unread"),
    ]
    assert found[0]["node"] == "table:warehouse:shop.first"
    assert any("90 days" in sentence for sentence in found[1]["evidence"])
    assert found[1]["facts"]["window"] == 90
    used = program.get("/api/v1/verdicts/?verdict=in_use").json()["results"]
    assert [each["table"] for each in used] == ["read.daily"]
    assert program.get(f"/api/v1/verdicts/{flagged[0].pk}/").json() == found[0]
    assert program.get("/api/v1/verdicts/?verdict=dead").status_code == 400


def test_verdicts_by_owner_and_state_of_review(flagged, review, jo, viewer, with_token) -> None:
    program = with_token(viewer)
    counts = {
        query: len(program.get(f"/api/v1/verdicts/?{query}").json()["results"])
        for query in (f"owner={jo.slug}", "owner=nobody", "state=flagged", "state=none", "source=warehouse")
    }
    assert list(counts.values()) == [2, 0, 2, 1, 3]


def test_a_review_is_opened_and_walked(flagged, jo, editor, steward, with_token) -> None:
    program = with_token(editor, "write")
    opened = program.post("/api/v1/deletion-reviews/", {"tables": ["table:warehouse:shop.first"]})
    assert opened.status_code == 201
    body = opened.json()
    assert body["tables"] == ["table:warehouse:shop.second", "table:warehouse:shop.first"]
    assert body["pipelines"][0] == {"pipeline": "pipeline:build_first", "action": "delete"}
    assert program.get(opened.headers["Location"]).json() == body
    url = f"/api/v1/deletion-reviews/{body['id']}/"
    assert program.post(f"{url}notify/").json()["state"] == "notified"
    assert program.post(f"{url}approve/").status_code == 403
    review = DeletionReview.objects.get()
    services.agree(actor=make_user(owner=jo), notice=review.notices.get(owner=jo))
    boss = with_token(steward, "write")
    assert boss.post(f"{url}approve/").json()["state"] == "agreed"
    assert boss.post(f"{url}quarantined/").json()["state"] == "quarantined"
    early = boss.post(f"{url}deleted/")
    assert early.status_code == 400
    assert "The quarantine lasts until" in early.json()["error"]["message"]
    stopped = boss.post(f"{url}stop/", {"reason": "year end"}).json()
    assert (stopped["state"], stopped["stop_reason"], stopped["is_restored"]) == ("stopped", "stefan: year end", False)
    assert boss.post(f"{url}restored/").json()["is_restored"]
    assert [event["state"] for event in boss.get(url).json()["events"]][-1] == "stopped"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"tables": []}, "tables"),
        ({"tables": ["pipeline:build_first"]}, "Name tables"),
        ({"tables": ["table:warehouse:nowhere"]}, "nowhere"),
        ({"tables": ["table:warehouse:read.daily"]}, "read.daily is in use"),
        ({"tables": ["table:warehouse:shop.first"], "state": "agreed"}, "Only `tables` is sent"),
    ],
)
def test_what_cannot_be_opened_says_why(sent, words, flagged, editor, with_token) -> None:
    answer = with_token(editor, "write").post("/api/v1/deletion-reviews/", sent)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert not DeletionReview.objects.exists()


def test_who_may_only_read_changes_nothing(review, viewer, editor, with_token) -> None:
    url = f"/api/v1/deletion-reviews/{review.pk}/"
    for program in (with_token(viewer, "write"), with_token(editor, "read")):
        for verb in ("notify", "remind", "approve", "quarantined", "deleted", "restored", "stop"):
            assert program.post(f"{url}{verb}/", {"reason": "x"}).status_code == 403
        assert program.post("/api/v1/deletion-reviews/", {"tables": ["table:warehouse:shop.first"]}).status_code == 403
    assert review.events.count() == 1


def test_reviews_are_narrowed(review, jo, editor, viewer, with_token) -> None:
    services.notify(actor=editor, review=review)
    program = with_token(viewer)
    counts = {
        query: len(program.get(f"/api/v1/deletion-reviews/?{query}").json()["results"])
        for query in ("state=notified", "state=flagged", "source=warehouse", "table=shop.second", f"owner={jo.slug}")
    }
    assert list(counts.values()) == [1, 0, 1, 1, 1]
