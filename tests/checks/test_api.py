"""REST of checks and results: the same rules as the pages."""

from __future__ import annotations

import pytest

from audits.checks import services
from audits.checks.models import Check, CheckResult
from tests.factories import make_owner, make_pipeline, make_table, make_user

pytestmark = pytest.mark.django_db
CHECKS, RESULTS = "/api/v1/checks/", "/api/v1/check-results/"


@pytest.fixture
def check() -> Check:
    return services.create_check(
        actor=None, of=make_table("shop.orders"), kind="row_count", parameters={"min": 10}, origin="yaml"
    )


def test_a_check_is_made_read_and_changed(editor, with_token) -> None:
    make_table("shop.orders")
    program = with_token(editor, "write")
    facts = {"of": "table:warehouse:shop.orders", "kind": "unique_key", "parameters": {"columns": ["day", "country"]}}
    made = program.post(CHECKS, facts)
    assert made.status_code == 201
    body = made.json()
    assert (body["name"], body["state"], body["origin"]) == ("unique key: day, country", "unknown", "rest")
    assert 'COUNT(DISTINCT ("day", "country"))' in body["sql"]
    assert program.get(made.headers["Location"]).json() == body
    changed = program.patch(body["url"], {"severity": "warn", "is_active": False}).json()
    assert (changed["severity"], changed["is_active"]) == ("warn", False)
    assert program.put(body["url"], {name: changed[name] for name in (*facts, "name")}).status_code == 200


@pytest.mark.parametrize(
    ("sent", "field", "words"),
    [
        ({"of": "table:warehouse:nowhere"}, "of", "nowhere"),
        ({"of": "column:warehouse:shop.orders:id"}, "of", "There is no column"),
        ({"kind": "magic"}, "kind", "Not one of: 'row_count'"),
        ({"parameters": {"min": 5, "max": 1}}, "parameters", "max: It lies below min"),
        ({"parameters": {"smallest": 5}}, "parameters", "smallest: row_count has no such parameter"),
        ({"colour": "red"}, "colour", "no such field"),
        ({"owner": "nobody"}, "owner", "nobody"),
    ],
)
def test_what_cannot_be_made_says_why(sent, field, words, editor, with_token) -> None:
    make_table("shop.orders")
    facts = {"of": "table:warehouse:shop.orders", "kind": "row_count", "parameters": {"min": 1}}
    answer = with_token(editor, "write").post(CHECKS, facts | sent)
    assert answer.status_code == 400
    assert words in " ".join(answer.json()["error"]["fields"][field])
    assert not Check.objects.exists()


def test_own_sql_needs_a_steward(editor, steward, with_token) -> None:
    make_table("shop.orders")
    facts = {"of": "table:warehouse:shop.orders", "kind": "custom_sql", "parameters": {"sql": "SELECT 0"}}
    assert with_token(editor, "write").post(CHECKS, facts).status_code == 403
    assert with_token(steward, "write").post(CHECKS, facts).status_code == 201


def test_a_result_from_outside_counts_once(check, editor, with_token) -> None:
    program = with_token(editor, "write")
    sent = {"check": check.pk, "at": "2026-03-02T06:00:00Z", "value": 3, "key": "run 7"}
    first, again = program.post(RESULTS, sent), program.post(RESULTS, sent)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["state"], first.json()["low"], first.json()["reported_by"]) == ("fail", 10, "edith")
    older = program.post(RESULTS, sent | {"at": "2026-03-01T06:00:00Z", "value": 30, "key": "run 6"})
    assert older.json()["state"] == "pass"
    assert program.get(f"{CHECKS}{check.pk}/").json()["state"] == "fail"
    assert CheckResult.objects.count() == 2


@pytest.mark.parametrize(
    ("sent", "field"),
    [({"check": 999}, "check"), ({"at": "yesterday"}, "at"), ({"state": "broken"}, "state"), ({}, "state")]
    + [({"value": "NaN"}, "value"), ({"at": "2099-01-01T00:00:00Z", "state": "pass"}, "at")],
)
def test_what_is_no_result_says_why(sent, field, check, editor, with_token) -> None:
    facts = {"check": check.pk, "at": "2026-03-02T06:00:00Z"}
    answer = with_token(editor, "write").post(RESULTS, facts | sent)
    assert answer.status_code == 400, answer.json()
    assert field in answer.json()["error"]["fields"]
    assert not CheckResult.objects.exists()


def test_who_may_only_read_changes_nothing(check, viewer, editor, with_token) -> None:
    for program in (with_token(viewer, "write"), with_token(editor, "read")):
        assert program.post(CHECKS, {}).status_code in (400, 403)
        assert program.patch(f"{CHECKS}{check.pk}/", {"severity": "warn"}).status_code == 403
        sent = {"check": check.pk, "at": "2026-03-02T06:00:00Z", "state": "fail"}
        assert program.post(RESULTS, sent).status_code == 403
    assert not CheckResult.objects.exists()


def test_an_owner_of_the_table_may(check, with_token) -> None:
    owner = make_owner(slug="ann")
    table = make_table("shop.sales", owner=owner)
    program = with_token(make_user(owner=owner), "write")
    facts = {"of": "table:warehouse:shop.sales", "kind": "row_count", "parameters": {"min": 1}}
    assert program.post(CHECKS, facts).status_code == 201
    assert program.patch(f"{CHECKS}{check.pk}/", {"severity": "warn"}).status_code == 403
    assert table.checks.count() == 1


def test_lists_are_narrowed(check, viewer, with_token, django_assert_num_queries) -> None:
    make_owner(slug="ann")
    make_pipeline("nightly")
    services.record_result(actor=None, check=check, at=check.created_at, state="fail")
    program = with_token(viewer)
    queries = ("state=fail", "state=pass", "kind=row_count", "q=orders", "q=nightly", "table=shop.orders")
    queries += ("source=warehouse", "origin=yaml", "owner=ann", "severity=warn", "is_active=true", "pipeline=nightly")
    counts = [len(program.get(f"{CHECKS}?{query}").json()["results"]) for query in queries]
    assert counts == [1, 0, 1, 1, 0, 1, 1, 1, 0, 0, 1, 0]
    queries = (f"check={check.pk}", "check=99", "state=fail", "table=shop.orders", "since=2099-01-01T00:00:00Z")
    counts = [len(program.get(f"{RESULTS}?{query}").json()["results"]) for query in queries]
    assert counts == [1, 0, 1, 1, 0]
    assert program.get(f"{CHECKS}?state=broken").status_code == 400
    with django_assert_num_queries(2):  # whose token, and the checks with all that is shown
        program.get(CHECKS)


def test_a_check_and_those_of_a_table_are_run_now(check, editor, viewer, with_token, monkeypatch) -> None:
    monkeypatch.setattr("ingest.jobs.start", lambda run: None)  # the process would look in another database
    of_check, of_table = f"{CHECKS}{check.pk}/run/", f"/api/v1/tables/{check.table_id}/checks/run/"
    program = with_token(editor, "write")
    for address in (of_check, of_table):
        assert with_token(viewer, "write").post(address).status_code == 403
        assert with_token(editor, "read").post(address).status_code == 403
        begun = program.post(address)
        assert (begun.status_code, begun.json()["kind"], begun.json()["state"]) == (201, "checks", "waiting")
        assert program.get(begun.headers["Location"]).json() == begun.json()
        assert program.post(address).json()["id"] == begun.json()["id"]  # it is under way already
    assert program.post(f"{CHECKS}{check.pk + 1}/run/").status_code == 404
    assert program.post(f"{of_check}?fast=1").status_code == 400


def test_what_is_not_measured_here_is_not_run(editor, with_token) -> None:
    table = make_table("shop.orders")
    check = services.create_check(actor=None, of=table, kind="external", parameters={"what": "By eye"})
    answer = with_token(editor, "write").post(f"{CHECKS}{check.pk}/run/")
    assert answer.status_code == 400
    assert "measured elsewhere" in answer.content.decode()
    answer = with_token(editor, "write").post(f"/api/v1/tables/{table.pk}/checks/run/")
    assert "No check of shop.orders is run here" in answer.content.decode()
