"""Every refusal has one shape and says what was wrong, where, and what would be right."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from tests.factories import make_pipeline, make_source, make_table

pytestmark = pytest.mark.django_db


@pytest.fixture
def program(editor, with_token):
    return with_token(editor, "write")


def fault(response: Any, status: int, code: str) -> dict[str, Any]:
    """The error of an answer, which must have the shape of them all."""
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/json"
    assert list(response.json()) == ["error"]
    error = response.json()["error"]
    assert set(error) == {"code", "message", "fields"}
    assert error["code"] == code
    assert error["message"]
    assert all(isinstance(words, list) for words in error["fields"].values())
    return error


@pytest.mark.parametrize("noun", ["tables", "pipelines", "ingest-runs"])
def test_an_unknown_parameter_is_named_with_those_that_are_known(program, noun: str) -> None:
    error = fault(program.get(f"/api/v1/{noun}/?colour=red&q=a"), 400, "invalid")
    assert list(error["fields"]) == ["colour"]
    assert "cursor, " in error["message"] and " q" in error["message"]


def test_details_and_writes_take_no_parameters(program) -> None:
    path = f"/api/v1/tables/{make_table().pk}/"
    assert list(fault(program.get(f"{path}?q=a"), 400, "invalid")["fields"]) == ["q"]
    assert list(fault(program.patch(f"{path}?q=a", {}), 400, "invalid")["fields"]) == ["q"]
    assert list(fault(program.post("/api/v1/tables/?q=a", {}), 400, "invalid")["fields"]) == ["q"]


def test_a_value_that_is_no_choice_is_refused_with_the_choices(program) -> None:
    assert "view" in fault(program.get("/api/v1/tables/?kind=chair"), 400, "invalid")["fields"]["kind"][0]
    assert fault(program.get("/api/v1/tables/?has_owner=maybe"), 400, "invalid")["fields"] == {
        "has_owner": ["Not one of: true, false."]
    }
    answer = program.post("/api/v1/pipelines/", {"name": "p", "kind": "chair"})
    assert "summary" in fault(answer, 400, "invalid")["fields"]["kind"][0]


@pytest.mark.parametrize("limit", ["0", "501", "-1", "ten", "", "1e2", "٣", "9" * 5000])
def test_a_limit_out_of_bounds(program, limit: str) -> None:
    assert "1 to 500" in fault(program.get("/api/v1/tables/", {"limit": limit}), 400, "invalid")["message"]


def test_a_foreign_cursor(program) -> None:
    assert list(fault(program.get("/api/v1/tables/?cursor=x"), 400, "invalid")["fields"]) == ["cursor"]


@pytest.mark.parametrize("path", ["/api/v1/tables/999/", "/api/v1/pipelines/999/sql-versions/", "/api/v1/chairs/"])
def test_what_is_not_there(program, path: str) -> None:
    fault(program.get(path), 404, "not_found")


@pytest.mark.parametrize("key", ["0", "9" * 18, "9" * 19, "9" * 6000, "x", "-1", "1.5", "%00"])
def test_a_number_that_nothing_has(program, key: str) -> None:
    fault(program.get(f"/api/v1/tables/{key}/"), 404, "not_found")


def test_an_address_without_its_slash_is_told_so(program) -> None:
    assert "/api/v1/tables/" in fault(program.post("/api/v1/tables", {}), 404, "not_found")["message"]


def test_methods_that_are_not_served(program) -> None:
    fault(program.delete(f"/api/v1/tables/{make_table().pk}/"), 405, "method_not_allowed")
    fault(program.post("/api/v1/problems/", {}), 405, "method_not_allowed")
    fault(program.put("/api/v1/tables/", {}), 405, "method_not_allowed")


def test_bodies_that_cannot_be_read(program) -> None:
    json = "application/json"
    for body in ["{", "[" * 100_000, b"\xff", '{"name": NaN}', '{"tier": %s}' % ("9" * 5000)]:
        fault(program.post("/api/v1/pipelines/", body, content_type=json), 400, "parse_error")
    for body in ["[]", "null", '"text"', "3"]:
        fault(program.post("/api/v1/pipelines/", body, content_type=json), 400, "invalid")
    fault(
        program.post("/api/v1/pipelines/", "name=p", "application/x-www-form-urlencoded"), 415, "unsupported_media_type"
    )


def test_a_body_beyond_the_bound(program, settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert "1,000 bytes" in fault(program.post("/api/v1/tags/", {"name": "a" * 1000}), 413, "too_large")["message"]


def test_fields_are_named_each_with_its_fault(program) -> None:
    make_source("warehouse")
    facts = {"source": "nowhere", "name": "", "tags": ["two words", "ok"], "retention_days": -1, "colour": "red"}
    answer = program.post("/api/v1/tables/", {key: facts[key] for key in facts if key != "colour"})
    fields = fault(answer, 400, "invalid")["fields"]
    assert set(fields) == {"source", "name", "tags.0", "retention_days"}
    assert set(fault(program.post("/api/v1/tables/", facts), 400, "invalid")["fields"]) == {"colour"}
    owners = {"source": "warehouse", "name": "t", "owners": {"steward": ["ada"]}}
    assert set(fault(program.post("/api/v1/tables/", owners), 400, "invalid")["fields"]) == {"owners.steward"}


@pytest.mark.parametrize("name", ["nul \0", "half a pair \ud800", "x" * 501, " ", None, 3.5, {"a": 1}])
def test_names_that_no_database_takes(program, name: Any) -> None:
    accepted = program.post("/api/v1/pipelines/", {"name": name})
    if name == 3.5:  # a number is read as its text
        assert accepted.json()["name"] == "3.5"
    else:
        assert "name" in fault(accepted, 400, "invalid")["fields"]


def test_rules_across_fields_speak_in_words(program) -> None:
    table = make_table("t", keep_forever=True)
    error = fault(program.patch(f"/api/v1/tables/{table.pk}/", {"retention_days": 30}), 400, "invalid")
    assert error["message"] == "Keep it for a number of days or forever, not both."
    error = fault(program.post("/api/v1/tables/", {"source": "warehouse", "name": "t"}), 400, "invalid")
    assert error["message"] == "This source already has a table of this name."
    make_pipeline("p")
    times = {"started_at": "2026-03-02T02:00:00Z", "ended_at": "2026-03-02T01:00:00Z"}
    run = {"pipeline": "p", "external_id": "1", "state": "failed", **times}
    assert "before it starts" in fault(program.post("/api/v1/runs/", run), 400, "invalid")["message"]


def test_two_who_register_the_same_at_once_are_told(program, monkeypatch) -> None:
    """The second passes validation, since the first has not committed yet; the database then refuses it."""
    make_pipeline("p")
    monkeypatch.setattr("catalog.models.Pipeline.full_clean", lambda self, **_: None)
    monkeypatch.setattr("rest_framework.validators.UniqueValidator.__call__", lambda *_: None)
    fault(program.post("/api/v1/pipelines/", {"name": "p"}), 409, "conflict")
    with connection.cursor() as cursor:
        cursor.execute("select 1")  # and the transaction around is still in order


def test_who_is_not_signed_in_is_told_how(client) -> None:
    answer = client.get("/api/v1/tables/")
    fault(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    for header in ["Bearer", "Bearer nonsense", "Bearer a b"]:
        fault(client.get("/api/v1/tables/", headers={"Authorization": header}), 401, "unauthenticated")
