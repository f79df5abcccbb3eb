"""Who may what over REST: the owner, a colleague who edits, and strangers; sessions and tokens alike."""

from __future__ import annotations

import pytest
from django.test import Client

from catalog.models import HistoryEntry, Origin
from tests.factories import make_column, make_owner, make_pipeline, make_run, make_table, make_user, own

pytestmark = pytest.mark.django_db

NOUNS = [
    "sources",
    "tables",
    "columns",
    "pipelines",
    "owners",
    "tags",
    "schema-changes",
    "runs",
    "problems",
    "ingest-runs",
]


@pytest.fixture
def owner_person(db):
    """A viewer who is an owner of things."""
    return make_user("viewer", owner=make_owner(slug="keeper"))


@pytest.mark.parametrize("noun", NOUNS)
def test_reading_needs_a_role(noun, client, viewer, stranger, with_token) -> None:
    path = f"/api/v1/{noun}/"
    assert client.get(path).status_code == 401
    assert with_token(stranger).get(path).status_code == 403
    assert with_token(viewer).get(path).status_code == 200


def test_a_thing_is_changed_by_its_owner_or_an_editor_and_nobody_else(
    owner_person, editor, viewer, stranger, client, with_token
) -> None:
    for noun, make in [("tables", make_table), ("pipelines", make_pipeline)]:
        path = f"/api/v1/{noun}/{make(owner=owner_person.owner).pk}/"
        answers = {
            person.username: with_token(person, "write").patch(path, {"description": person.username}).status_code
            for person in (owner_person, editor, viewer, stranger)
        }
        assert list(answers.values()) == [200, 200, 403, 403]
        assert client.patch(path, {"description": "x"}, content_type="application/json").status_code == 401
    assert HistoryEntry.objects.count() == 4


def test_owning_one_thing_opens_no_other(owner_person, with_token) -> None:
    make_table(owner=owner_person.owner)
    program = with_token(owner_person, "write")
    assert program.patch(f"/api/v1/tables/{make_table().pk}/", {"description": "x"}).status_code == 403
    assert program.post("/api/v1/tables/", {"source": "warehouse", "name": "t"}).status_code == 403


def test_an_owner_changes_the_parts_of_what_they_own(owner_person, viewer, with_token) -> None:
    table, pipeline = make_table("t", owner=owner_person.owner), make_pipeline("p", owner=owner_person.owner)
    column, run = make_column("a", table), make_run(pipeline)
    new_column = {"source": "warehouse", "table": "t", "name": "b"}
    new_run = {"pipeline": "p", "external_id": "1", "state": "failed", "started_at": "2026-03-02T01:00:00Z"}
    for person, created, changed in [(viewer, 403, 403), (owner_person, 201, 200)]:
        program = with_token(person, "write")
        assert program.post("/api/v1/columns/", new_column).status_code == created
        assert program.post("/api/v1/runs/", new_run).status_code == created
        assert program.patch(f"/api/v1/columns/{column.pk}/", {"description": "x"}).status_code == changed
        assert program.patch(f"/api/v1/runs/{run.pk}/", {"state": "failed"}).status_code == changed


def test_a_member_of_the_owning_team_is_an_owner(with_token) -> None:
    team = make_owner(kind="team")
    member = make_user("viewer", owner=make_owner(team=team))
    path = f"/api/v1/tables/{make_table(owner=team).pk}/"
    assert with_token(member, "write").patch(path, {"description": "x"}).status_code == 200


def test_nobody_makes_themselves_an_owner_by_joining_a_team(owner_person, editor, with_token) -> None:
    make_owner(slug="finance", kind="team")
    path = f"/api/v1/owners/{owner_person.owner.pk}/"
    mine = with_token(owner_person, "write")
    assert mine.patch(path, {"email": "keeper@example.com"}).status_code == 200
    assert mine.patch(path, {"team": "finance"}).status_code == 403
    assert with_token(editor, "write").patch(path, {"team": "finance"}).status_code == 200


def test_an_owner_whom_a_person_replaced_may_no_longer(owner_person, with_token) -> None:
    pipeline = make_pipeline()
    own(pipeline, owner_person.owner, origin=Origin.INGEST)
    program, path = with_token(owner_person, "write"), f"/api/v1/pipelines/{pipeline.pk}/"
    assert program.patch(path, {"description": "x"}).status_code == 200
    own(pipeline, make_owner())
    assert program.patch(path, {"description": "y"}).status_code == 403


def test_a_reading_token_of_an_editor_only_reads(editor, with_token) -> None:
    path = f"/api/v1/tables/{make_table().pk}/"
    reading = with_token(editor, "read")
    assert reading.get(path).status_code == 200
    for answer in (reading.patch(path, {"description": "x"}), reading.post("/api/v1/tags/", {"name": "t"})):
        assert answer.status_code == 403
        assert "may only read" in answer.json()["error"]["message"]
    assert not HistoryEntry.objects.exists()


def test_a_writing_token_gives_no_more_than_its_person_has(viewer, with_token) -> None:
    assert with_token(viewer, "write").post("/api/v1/tags/", {"name": "t"}).status_code == 403


def test_a_token_ends_with_its_person(viewer, with_token) -> None:
    program = with_token(viewer)
    viewer.is_active = False
    viewer.save()
    assert program.get("/api/v1/tables/").status_code == 401


def test_a_role_taken_away_counts_at_once(editor, with_token) -> None:
    program = with_token(editor, "write")
    editor.role = ""
    editor.save()
    assert program.get("/api/v1/tables/").status_code == 403


def test_a_session_reads_and_writes_with_the_form_token_only(editor) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(editor)
    assert browser.get("/api/v1/tags/").status_code == 200
    forged = browser.post("/api/v1/tags/", {"name": "t"}, content_type="application/json")
    assert (forged.status_code, forged.json()["error"]["code"]) == (403, "forbidden")
    browser.get("/login/")
    browser.get("/account/")
    headers = {"X-CSRFToken": browser.cookies["csrftoken"].value}
    sent = browser.post("/api/v1/tags/", {"name": "t"}, content_type="application/json", headers=headers)
    assert sent.status_code == 201


def test_the_refusal_says_which_role_is_needed(viewer, stranger, with_token) -> None:
    message = with_token(viewer, "write").post("/api/v1/tags/", {"name": "t"}).json()["error"]["message"]
    assert message == "This needs the role editor; your role is viewer. An admin can change it."
    message = with_token(stranger).get("/api/v1/tags/").json()["error"]["message"]
    assert "you have no role yet" in message


def test_a_wrong_method_of_a_stranger_tells_them_nothing(stranger, client, with_token) -> None:
    assert client.delete("/api/v1/tables/1/").status_code == 401
    assert with_token(stranger, "write").delete("/api/v1/tables/1/").status_code == 403
    assert with_token(stranger).get("/api/v1/nonsense/").status_code == 403
