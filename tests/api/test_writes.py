"""Registering and changing over REST: through the services, as the person who asks."""

from __future__ import annotations

import pytest

from catalog.models import HistoryEntry, Origin, Ownership, Pipeline, Run, Table
from ingest.models import IngestRun
from tests.factories import make_column, make_edge, make_owner, make_pipeline, make_run, make_source, make_table, own

pytestmark = pytest.mark.django_db


@pytest.fixture
def program(editor, with_token):
    return with_token(editor, "write")


def owners(thing) -> list[tuple[str, str, str]]:
    return sorted(thing.ownerships.values_list("role", "owner__slug", "origin"))


def test_a_source_a_table_and_a_column_one_after_the_other(program, editor) -> None:
    source = program.post("/api/v1/sources/", {"name": "Big Lake", "platform": "s3", "storage": "lake"})
    assert source.status_code == 201
    assert source.json()["slug"] == "big-lake"
    make_owner(slug="finance")
    facts = {"source": "big-lake", "name": "raw.events", "tags": ["pii"], "owners": {"business": ["finance"]}}
    table = program.post("/api/v1/tables/", facts)
    assert table.status_code == 201
    assert table.json()["tags"] == ["pii"]
    assert table.json()["owners"] == {"business": ["finance"], "technical": [], "inherited_from": []}
    assert table.headers["Location"] == table.json()["url"]
    assert program.get(table.json()["url"]).json() == table.json()
    column = program.post(
        "/api/v1/columns/", {"source": "big-lake", "table": "raw.events", "name": "id", "type": "INT"}
    )
    assert column.json()["node"] == "column:big-lake:raw.events:id"
    who = set(HistoryEntry.objects.values_list("actor_name", flat=True))
    assert who == {editor.username}
    assert HistoryEntry.objects.filter(noun="table", action="registered", object_name="raw.events").exists()


def test_a_pipeline_an_owner_and_a_tag(program) -> None:
    assert program.post("/api/v1/owners/", {"name": "Data Team", "kind": "team"}).json()["slug"] == "data-team"
    assert program.post("/api/v1/owners/", {"name": "Ada", "team": "data-team"}).json()["team"] == "data-team"
    assert program.post("/api/v1/tags/", {"name": "pii"}).status_code == 201
    facts = {"name": "nightly", "tier": 2, "schedule": "0 3 * * *", "owners": {"technical": ["ada", "data-team"]}}
    answer = program.post("/api/v1/pipelines/", facts).json()
    assert (answer["tier"], answer["owners"]["technical"]) == (2, ["ada", "data-team"])


def test_a_change_touches_what_was_sent_and_leaves_a_trace(program) -> None:
    table = make_table(description="old", row_count=5)
    answer = program.patch(f"/api/v1/tables/{table.pk}/", {"description": "new"})
    assert (answer.status_code, answer.json()["description"], answer.json()["row_count"]) == (200, "new", 5)
    entry = HistoryEntry.objects.get()
    assert (entry.before, entry.after) == ({"description": "old"}, {"description": "new"})


@pytest.mark.parametrize("noun", ["sources", "tables", "columns", "pipelines", "owners", "runs"])
def test_sending_back_what_was_read_changes_nothing(program, noun: str) -> None:
    table = make_table()
    builder = make_pipeline(owner=make_owner(team=make_owner()), kind="summary", kind_is_inferred=True)
    own(builder, make_owner(), "business", Origin.INGEST)
    make_edge(builder, make_table(), table)
    make_column(table=table)
    make_run(builder)
    for row in program.get(f"/api/v1/{noun}/").json()["results"]:
        answer = program.put(row["url"], row)
        assert (answer.status_code, answer.json()) == (200, row)
    assert not HistoryEntry.objects.exists()
    assert owners(table) == []


def test_stated_owners_replace_and_an_empty_list_brings_the_read_ones_back(program) -> None:
    pipeline = make_pipeline()
    own(pipeline, make_owner(slug="read"), origin=Origin.INGEST)
    make_owner(slug="stated")
    path = f"/api/v1/pipelines/{pipeline.pk}/"
    assert program.patch(path, {"owners": {"technical": ["stated"]}}).json()["owners"]["technical"] == ["stated"]
    assert owners(pipeline) == [("technical", "read", "ingest"), ("technical", "stated", "person")]
    assert program.patch(path, {"owners": {"technical": []}}).json()["owners"]["technical"] == ["read"]


def test_inherited_owners_name_their_pipeline(program) -> None:
    table = make_table(owner=make_owner(slug="asks"), role="business")
    make_edge(make_pipeline("build", owner=make_owner(slug="keeps")), target=table)
    answer = program.get(f"/api/v1/tables/{table.pk}/").json()
    assert answer["owners"] == {"business": ["asks"], "technical": ["keeps"], "inherited_from": ["build"]}


def test_a_write_that_fails_halfway_leaves_nothing(program) -> None:
    facts = {"source": make_source("lake").slug, "name": "t", "tags": ["new"], "owners": {"business": ["nobody"]}}
    answer = program.post("/api/v1/tables/", facts)
    assert answer.json()["error"]["fields"] == {"owners.business": ["No owner has the slug 'nobody'."]}
    assert not Table.objects.exists()
    assert not Ownership.objects.exists()


def test_a_kind_set_by_a_person_is_no_longer_inferred(program) -> None:
    pipeline = make_pipeline(kind="summary", kind_is_inferred=True)
    answer = program.patch(f"/api/v1/pipelines/{pipeline.pk}/", {"kind": "production_export"}).json()
    assert (answer["kind"], answer["kind_is_inferred"]) == ("production_export", False)
    pipeline.refresh_from_db()
    assert (pipeline.kind_is_inferred, pipeline.stated_fields) == (False, ["kind"])


def test_what_an_ingest_read_otherwise_is_shown_beside(program) -> None:
    table = make_table(description="mine", stated_fields=["description"], ingested={"description": "theirs"})
    answer = program.get(f"/api/v1/tables/{table.pk}/").json()
    assert answer["disagreements"] == [{"field": "description", "stated": "mine", "ingested": "theirs"}]


def test_a_run_reported_twice_is_one_run(program) -> None:
    make_pipeline("nightly")
    facts = {"pipeline": "nightly", "external_id": "1", "state": "running", "started_at": "2026-03-02T01:00:00Z"}
    first = program.post("/api/v1/runs/", facts)
    again = program.post("/api/v1/runs/", facts | {"state": "succeeded", "ended_at": "2026-03-02T02:00:00Z"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    run = Run.objects.get()
    assert (run.state, run.ended_at.hour) == ("succeeded", 2)
    answer = program.patch(again.json()["url"], {"state": "failed", "error": "disk full"}).json()
    assert (answer["state"], answer["error"], answer["ended_at"]) == ("failed", "disk full", "2026-03-02T02:00:00Z")


@pytest.mark.parametrize(
    ("noun", "make", "changed"),
    [
        ("sources", make_source, {"slug": "other"}),
        ("owners", make_owner, {"slug": "other"}),
        ("tables", make_table, {"source": "other"}),
        ("columns", make_column, {"table": "other.table"}),
        ("runs", make_run, {"external_id": "other"}),
        ("runs", make_run, {"pipeline": "other"}),
    ],
)
def test_what_others_refer_to_cannot_change(program, noun, make, changed) -> None:
    make_table("other.table")
    make_source("other")
    make_pipeline("other")
    thing = make()
    answer = program.patch(f"/api/v1/{noun}/{thing.pk}/", changed)
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, list(changed))


def test_a_table_and_a_pipeline_can_be_renamed(program) -> None:
    table, pipeline = make_table(), make_pipeline()
    assert program.patch(f"/api/v1/tables/{table.pk}/", {"name": "new"}).json()["node"] == "table:warehouse:new"
    assert program.patch(f"/api/v1/pipelines/{pipeline.pk}/", {"name": "new"}).json()["node"] == "pipeline:new"
    assert Pipeline.objects.get().name == "new"


def test_retiring_needs_a_steward(program, steward, with_token) -> None:
    path = f"/api/v1/tables/{make_table().pk}/"
    assert program.patch(path, {"status": "retired"}).status_code == 403
    assert with_token(steward, "write").patch(path, {"status": "retired"}).json()["status"] == "retired"


def test_nothing_is_deleted_over_rest(admin, with_token) -> None:
    table = make_table()
    assert with_token(admin, "write").delete(f"/api/v1/tables/{table.pk}/").status_code == 405
    assert Table.objects.exists()


def test_inputs_and_outputs_of_a_pipeline_without_sql_are_declared_by_node_id(program) -> None:
    here, there = make_table("orders"), make_table("orders", source=make_source("lake"))
    path = f"/api/v1/pipelines/{make_pipeline().pk}/"
    answer = program.patch(path, {"declared_inputs": [there.node], "declared_outputs": [here.node]}).json()
    assert (answer["inputs"], answer["outputs"]) == ([there.node], [here.node])
    answer = program.patch(path, {"declared_outputs": []}).json()
    assert (answer["declared_inputs"], answer["declared_outputs"]) == ([there.node], [])
    assert HistoryEntry.objects.filter(noun="pipeline").count() == 2


@pytest.mark.parametrize(
    "node", ["orders", "table:warehouse:nothing", "pipeline:p", "column:warehouse:orders:id", "\0"]
)
def test_only_tables_that_are_registered_can_be_declared(program, node: str) -> None:
    make_column("id", make_table("orders"))
    pipeline = make_pipeline("p")
    answer = program.patch(f"/api/v1/pipelines/{pipeline.pk}/", {"declared_inputs": [node]})
    assert answer.status_code == 400
    assert list(answer.json()["error"]["fields"])[0].startswith("declared_inputs")


def test_editors_cancel_and_resume_ingest_runs(viewer, editor, with_token, monkeypatch) -> None:
    monkeypatch.setattr("ingest.jobs.start", lambda run: None)
    run = IngestRun.objects.create(
        kind="repo", scope="shop", actor_name="ada", state="waiting", options={"folder": "x"}
    )
    path = f"/api/v1/ingest-runs/{run.pk}/"
    assert with_token(viewer, "write").post(f"{path}cancel/").status_code == 403
    program = with_token(editor, "write")
    assert program.post(f"{path}cancel/").json()["state"] == "cancelled"
    assert "not under way any more" in program.post(f"{path}cancel/").json()["error"]["message"]
    resumed = program.post(f"{path}resume/").json()
    assert (resumed["state"], resumed["attempt"]) == ("waiting", 2)
    assert program.post(f"{path}resume/").status_code == 400
    assert with_token(editor, "read").post(f"{path}cancel/").status_code == 403
