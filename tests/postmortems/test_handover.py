"""Everything that one owner holds goes to another, in one step and all of it or nothing."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from audits.checks.models import Check
from audits.postmortems.handover import hand_over, holdings_of, waiting_for
from audits.postmortems.models import ActionItem, Incident, IncidentPerson
from catalog.models import Origin, Role
from catalog.queries import owner_slugs_of
from catalog.search import search
from tests.factories import NOON, make_edge, make_owner, make_pipeline, make_table, make_user, own
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ben():
    """Ben holds a pipeline in both roles (beside Cleo in one), a table as an ingest read it, a check and a promise."""
    ben, cleo = make_owner("Ben", slug="ben"), make_owner("Cleo", slug="cleo")
    pipeline, table = make_pipeline("build", owner=ben), make_table("shop.orders")
    own(pipeline, ben, "business")
    own(pipeline, cleo, "technical")
    own(table, ben, "technical", origin=Origin.INGEST)
    Check.objects.create(table=table, kind="row_count", name="rows", parameters={"minimum": 1}, owner=ben, state="fail")
    incident = Incident.objects.create(title="Wrong", started_at=NOON, detected_at=NOON, opened_by_name="ada")
    IncidentPerson.objects.create(incident=incident, owner=ben, name="Ben", role="lead")
    due = dt.date.today() + dt.timedelta(days=7)
    for title, status in (("Mend it", "open"), ("Done long ago", "done")):
        ActionItem.objects.create(
            incident=incident, title=title, type="prevent", owner=ben, owner_name="Ben", due=due, status=status,
            created_by_name="ada", ended_at=NOON if status == "done" else None,
        )  # fmt: skip
    return ben


def test_everything_goes_over_and_others_stay(ben, editor) -> None:
    dora = make_owner("Dora", slug="dora")
    handed = hand_over(actor=editor, owner=ben, to=dora)
    assert handed.counts == {"pipelines": 1, "tables": 1, "checks": 1, "action_items": 1}
    [(_, owners)] = owner_slugs_of("pipeline", [handed.ownerships[0][0].pk]).items()
    assert (owners.business, sorted(owners.technical)) == (("dora",), ["cleo", "dora"])
    assert not holdings_of(ben)
    assert holdings_of(dora).counts == handed.counts
    assert list(ActionItem.objects.filter(owner=ben).values_list("title", flat=True)) == ["Done long ago"]
    assert {hit.name for hit in search("", {"owner": ["dora"]}).hits} == {"build", "shop.orders"}


def test_not_to_oneself_nor_to_somebody_who_left(ben, editor) -> None:
    with pytest.raises(ValidationError, match="same owner"):
        hand_over(actor=editor, owner=ben, to=ben)
    with pytest.raises(ValidationError, match="Gone has left"):
        hand_over(actor=editor, owner=ben, to=make_owner("Gone", status="left"))


def test_only_who_may_edit_hands_over_and_nothing_halfway(ben) -> None:
    dora = make_owner("Dora", slug="dora")
    with pytest.raises(PermissionDenied):
        hand_over(actor=make_user(Role.VIEWER, owner=ben), owner=ben, to=dora)
    assert not holdings_of(dora)


def test_what_waits_for_an_owner(ben) -> None:
    waiting = waiting_for(ben)
    assert [item.title for item in waiting.items] == ["Mend it"]
    assert [check.name for check in waiting.checks] == ["rows"]
    assert [incident.title for incident in waiting.incidents] == ["Wrong"]


def test_the_page_lists_what_goes_before_it_goes(ben, editor, signed_in) -> None:
    make_owner("Dora", slug="dora")
    browser = signed_in(editor)
    page = text_of(browser.get("/owners/ben/hand-over/"))
    assert "1 pipeline, 1 table, 1 check, 1 action item" in page
    refused = browser.post("/owners/ben/hand-over/", {"to": "nobody"})
    assert refused.status_code == 422
    assert "No owner here is called nobody" in text_of(refused)
    assert browser.post("/owners/ben/hand-over/", {"to": "ben"}).status_code == 422
    assert browser.post("/owners/ben/hand-over/", {"to": "dora"}).headers["Location"] == "/owners/dora/"
    assert "build" in text_of(browser.get("/owners/dora/"))


def test_a_viewer_sees_no_button_and_is_refused(ben, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    page = text_of(browser.get("/owners/ben/"))
    assert "Hand over" not in page
    assert "Waiting for Ben" in page
    assert browser.get("/owners/ben/hand-over/").status_code == 403


def test_over_rest(ben, editor, with_token) -> None:
    make_owner("Dora", slug="dora")
    url = f"/api/v1/owners/{ben.pk}/hand-over/"
    assert with_token(editor).get(url).json()["action_items"] == 1
    assert with_token(editor).post(url, {"to": "dora"}).status_code == 403  # a token that only reads
    program = with_token(editor, "write")
    assert program.post(url, {"to": "nobody"}).status_code == 400
    assert program.post(url, {"to": "dora"}).json() == {"pipelines": 1, "tables": 1, "checks": 1, "action_items": 1}
    assert program.get(url).json()["pipelines"] == 0


def test_things_that_only_their_builders_owners_hold_follow(ben, editor) -> None:
    pipeline, built = holdings_of(ben).ownerships[0][0], make_table("shop.daily")
    make_edge(pipeline, target=built)
    hand_over(actor=editor, owner=ben, to=make_owner("Dora", slug="dora"))
    assert ("table", "shop.daily") in {(hit.kind, hit.name) for hit in search("daily", {"owner": ["dora"]}).hits}
