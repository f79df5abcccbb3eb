"""The door for OpenLineage clients: who may send, what is answered, and what bad input is told."""

from __future__ import annotations

import gzip
import json
from itertools import count
from typing import Any

import pytest

from catalog.models import Column, Pipeline, Role, Run, Table
from ingest.models import LineageEvent
from lineage.models import TableEdge
from tests.factories import make_user
from tests.openlineage.events import RECORDED, dataset, event, recorded, schema

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/lineage"


@pytest.fixture
def airflow(editor, with_token):
    """A program with a token of the scope ingest."""
    return with_token(editor, "ingest")


def fault(response: Any) -> tuple[int, str, str]:
    """Status, place and message of a refusal."""
    body = response.json()["error"]
    place, messages = next(iter(body["fields"].items()), ("", [body["message"]]))
    return response.status_code, place, messages[0]


def test_events_come_in_plain_and_gzipped(airflow) -> None:
    assert airflow.post(ADDRESS, RECORDED["openlineage-000"]).status_code == 201
    packed = gzip.compress(json.dumps(RECORDED["openlineage-001"]).encode())
    assert airflow.post(ADDRESS, packed, headers={"Content-Encoding": "gzip"}).status_code == 201
    run = Run.objects.get()
    assert (run.pipeline.name, run.state, run.rows_out, run.error) == ("orders.daily", "failed", 42, "boom")


def test_a_retry_is_answered_as_the_first_time(airflow) -> None:
    assert [airflow.post(ADDRESS, RECORDED["openlineage-000"]).status_code for _ in range(2)] == [201, 201]
    assert LineageEvent.objects.count() == 1


def test_all_three_kinds_of_event_are_kept_and_listed(airflow, viewer, with_token) -> None:
    for name in ("openlineage-000", "openlineage-002", "openlineage-003"):
        assert airflow.post(ADDRESS, RECORDED[name]).status_code == 201
    reader = with_token(viewer)
    listed = reader.get("/api/v1/lineage-events/").json()["results"]
    assert [row["kind"] for row in listed] == ["job", "dataset", "run"]
    assert reader.get(listed[2]["url"]).json()["event"] == RECORDED["openlineage-000"]
    narrowed = reader.get("/api/v1/lineage-events/?pipeline=orders.daily&event_type=START").json()["results"]
    assert [row["run_id"] for row in narrowed] == ["bebdc92e-56d3-4efd-a9d5-f100d728d1da"]


def test_a_token_for_events_does_nothing_else(airflow) -> None:
    assert airflow.post(ADDRESS, RECORDED["openlineage-000"]).status_code == 201
    for path in ("/api/v1/tables/", "/api/v1/lineage-events/", "/api/v1/graph/?node=pipeline:orders.daily"):
        assert airflow.get(path).status_code == 403
    assert airflow.post("/api/v1/tags/", {"name": "x"}).status_code == 403


@pytest.mark.parametrize(("role", "scope", "status"), [
    (Role.VIEWER, "ingest", 403), (Role.EDITOR, "read", 403), (Role.EDITOR, "write", 201), (Role.NONE, "ingest", 403),
])  # fmt: skip
def test_who_may_send(with_token, role, scope, status) -> None:
    assert with_token(make_user(role), scope).post(ADDRESS, RECORDED["openlineage-000"]).status_code == status


def test_nobody_sends_without_a_token(client) -> None:
    assert client.post(ADDRESS, RECORDED["openlineage-000"], content_type="application/json").status_code == 401


def test_what_is_not_let_in_is_told_as_everywhere(airflow, client, editor) -> None:
    unknown = client.post(ADDRESS, {}, content_type="application/json", headers={"Authorization": "Bearer pk_no"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (401, "unauthenticated")
    assert unknown.headers["WWW-Authenticate"] == "Bearer"
    assert airflow.post(ADDRESS, b"a=b", content_type="application/x-www-form-urlencoded").status_code == 415
    assert fault(airflow.post(f"{ADDRESS}?dry=1", {}))[:2] == (400, "dry")
    client.force_login(editor)
    assert client.post(ADDRESS, RECORDED["openlineage-000"], content_type="application/json").status_code == 201
    client.handler.enforce_csrf_checks = True
    forged = client.post(ADDRESS, RECORDED["openlineage-001"], content_type="application/json")
    assert (forged.status_code, LineageEvent.objects.count()) == (403, 1)


@pytest.mark.parametrize(("change", "place", "words"), [
    ({"eventTime": "yesterday"}, "eventTime", "no date and time"),
    ({"eventTime": "2026-13-01T00:00:00Z"}, "eventTime", "no date and time"),
    ({"eventTime": "2026-03-02T03:00:00"}, "eventTime", "time zone"),
    ({"eventTime": "0001-01-01T00:00:00+23:00"}, "eventTime", "calendar"),
    ({"eventTime": None}, "eventTime", "missing"),
    ({"eventType": "DONE"}, "eventType", "START, RUNNING"),
    ({"run": {"runId": "17"}}, "run.runId", "UUID"),
    ({"run": None, "job": None}, "event", "neither"),
    ({"job": {"namespace": "x"}}, "job.name", "missing"),
    ({"job": {"namespace": "x", "name": "y" * 3000}}, "job.name", "3,000 bytes"),
    ({"inputs": {"namespace": "x"}}, "inputs", "list"),
    ({"outputs": [{"namespace": "x", "name": 5}]}, "outputs[0].name", "text"),
    ({"outputs": [dataset("a.b", schema={"fields": [{"type": "int"}]})]}, "outputs[0].facets.schema.fields[0].name",
     "needs its name"),
    ({"outputs": [dataset("a.b", outputStatistics={"rowCount": -1})]}, "outputs[0].facets.outputStatistics.rowCount",
     "between 0"),
    ({"run": {"runId": "00000000-0000-0000-0000-000000000001", "facets": {"nominalTime": {
        "nominalStartTime": "noon"}}}}, "run.facets.nominalTime.nominalStartTime", "no date and time"),
    ({"job": {"namespace": "x", "name": "y", "facets": {"ownership": {"owners": "me"}}}},
     "job.facets.ownership.owners", "list"),
])  # fmt: skip
def test_a_refusal_names_the_place_and_the_fix_and_leaves_nothing_behind(airflow, change, place, words) -> None:
    status, where, message = fault(airflow.post(ADDRESS, recorded("openlineage-000") | change))
    assert (status, where) == (400, place)
    assert words in message
    assert not (LineageEvent.objects.exists() or Pipeline.objects.exists() or Table.objects.exists())


@pytest.mark.parametrize(("body", "headers", "status", "words"), [
    (b"{", {}, 400, "no JSON"),
    (b'{"a": NaN}', {}, 400, "NaN"),
    (b'{"a": "\xff"}', {}, 400, "UTF-8"),
    (b"[" * 100_000, {}, 400, "nested"),
    (b'{"a":' * 70 + b"1" + b"}" * 70, {}, 400, "nested"),
    (b'{"eventTime": "\\ud800"}', {}, 400, "half of a character"),
    (b'{"eventTime": "\\u0000"}', {}, 400, "NUL"),
    (b"9" * 5000, {}, 400, "JSON"),
    (b"{}", {"Content-Encoding": "gzip"}, 400, "no gzip"),
    (gzip.compress(b'{"a": 1, "b": 2}' * 50)[:-9], {"Content-Encoding": "gzip"}, 400, "cut"),
    (b"{}", {"Content-Encoding": "br"}, 400, "gzip"),
    (gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"}, 413, "bytes"),
    (b'"' + b"x" * 10_000_001 + b'"', {}, 413, "10,000,000 bytes"),
], ids=count())  # fmt: skip
def test_bodies_that_are_no_event(airflow, body, headers, status, words) -> None:
    found, _, message = fault(airflow.post(ADDRESS, body, headers=headers))
    assert (found, words in message) == (status, True), message
    assert not LineageEvent.objects.exists()


def test_of_a_batch_each_event_is_stored_or_refused_by_itself(airflow) -> None:
    good, bad = RECORDED["openlineage-000"], recorded("openlineage-001") | {"eventTime": "soon"}
    answer = airflow.post(f"{ADDRESS}/batch", [good, bad, "text", RECORDED["openlineage-002"]])
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "partial_success"
    assert body["summary"] == {"received": 4, "successful": 2, "failed": 2}
    assert [(each["index"], each["retriable"]) for each in body["failed_events"]] == [(1, False), (2, False)]
    assert "eventTime" in body["failed_events"][0]["reason"]
    assert LineageEvent.objects.count() == 2


def test_a_batch_that_went_in_whole_needs_no_words(airflow) -> None:
    answer = airflow.post(f"{ADDRESS}/batch", list(RECORDED.values()))
    assert (answer.status_code, answer.content) == (204, b"")
    assert airflow.post(f"{ADDRESS}/batch", {}).status_code == 400


def test_secrets_in_sql_are_masked_before_anything_is_kept(airflow) -> None:
    sql = """CREATE USER x IDENTIFIED BY "hunter2"; INSERT INTO mart.orders SELECT id FROM raw.orders"""
    assert airflow.post(ADDRESS, event(sql={"query": sql}, x={"password": "hunter2"})).status_code == 201
    kept = LineageEvent.objects.get().body + str(list(Pipeline.objects.get().reported_jobs.values()))
    assert "hunter2" not in kept
    assert "***" in kept


def test_an_ordinary_event_costs_few_queries(airflow, django_assert_max_num_queries) -> None:
    flow = {"inputs": [dataset("shop.raw.orders", schema=schema(id="int"))], "outputs": [dataset("shop.mart.orders")]}
    airflow.post(ADDRESS, event("03:00:00", "START", run=1, **flow))
    airflow.post(ADDRESS, event("03:01:00", run=1, **flow))
    with django_assert_max_num_queries(12):
        airflow.post(ADDRESS, event("04:00:00", "START", run=2, **flow))
    with django_assert_max_num_queries(12):
        airflow.post(ADDRESS, event("04:01:00", run=2, **flow))
    assert (TableEdge.objects.count(), Column.objects.count(), Run.objects.count()) == (1, 1, 2)
