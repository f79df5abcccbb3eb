"""Writes by people: facts and who stated them, history, and all or nothing."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from catalog import services
from catalog.models import HistoryEntry, Origin, Owner, Pipeline, Table, Tag
from tests.factories import NOON, make_owner, make_pipeline, make_source, make_table, own

pytestmark = pytest.mark.django_db


def history() -> list[tuple[str, str, dict, dict]]:
    entries = HistoryEntry.objects.order_by("id")
    return [(entry.action, entry.object_name, entry.before, entry.after) for entry in entries]


def test_registering_states_what_was_given_and_says_who(editor) -> None:
    source = services.register_source(actor=editor, name="Big Lake", platform="s3", storage="lake", dialect="")
    table = services.register_table(actor=editor, source=source, name=" raw.events ", kind="topic", tags=["pii"])
    assert (source.slug, table.name) == ("big-lake", "raw.events")
    assert (source.stated_fields, table.stated_fields) == (["storage"], ["kind"])
    assert list(table.tags.values_list("name", flat=True)) == ["pii"]
    assert (table.origin, table.ingested) == (Origin.PERSON, {})
    entry = HistoryEntry.objects.latest("id")
    assert (entry.actor, entry.actor_name, entry.noun, entry.object_id) == (editor, "edith", "table", table.pk)


def test_the_product_itself_needs_no_role_and_signs_with_its_name() -> None:
    services.register_tag(actor=None, name="pii")
    assert HistoryEntry.objects.get().actor_name == "pipekeeper"


def test_a_change_notes_before_and_after_of_what_changed_only(editor) -> None:
    pipeline = make_pipeline("p", description="old", tier=2)
    services.change_pipeline(actor=editor, pipeline=pipeline, description="new", tier=2)
    assert history() == [("changed", "p", {"description": "old"}, {"description": "new"})]
    pipeline.refresh_from_db()
    assert (pipeline.description, pipeline.stated_fields) == ("new", ["description"])


def test_two_who_change_different_facts_at_once_both_keep_theirs(editor) -> None:
    table = make_table()
    seen_by_other = Table.objects.get()
    services.change_table(actor=editor, table=table, description="new")
    services.change_table(actor=editor, table=seen_by_other, retention_days=30)
    table.refresh_from_db()
    assert (table.description, table.retention_days) == ("new", 30)


def test_changing_nothing_leaves_no_trace(editor) -> None:
    pipeline = make_pipeline(kind="summary", kind_is_inferred=True, tier=1)
    services.change_pipeline(actor=editor, pipeline=pipeline, kind="summary", tier=1, tags=[])
    pipeline.refresh_from_db()
    assert (history(), pipeline.stated_fields, pipeline.kind_is_inferred) == ([], [], True)


def test_emptying_a_field_is_a_statement_too(editor) -> None:
    pipeline = make_pipeline(schedule="daily", ingested={"schedule": "daily"})
    services.change_pipeline(actor=editor, pipeline=pipeline, schedule="")
    pipeline.refresh_from_db()
    assert (pipeline.schedule, pipeline.stated_fields) == ("", ["schedule"])


def test_tags_are_set_as_a_whole_and_noted(editor) -> None:
    table = make_table("t")
    services.change_table(actor=editor, table=table, tags=["b", "a", "a"])
    services.change_table(actor=editor, table=table, tags=["a", "b"])
    services.change_table(actor=editor, table=table, tags=["c"])
    assert history() == [
        ("changed", "t", {"tags": []}, {"tags": ["a", "b"]}),
        ("changed", "t", {"tags": ["a", "b"]}, {"tags": ["c"]}),
    ]


def test_a_tag_that_is_no_word_is_refused(editor) -> None:
    with pytest.raises(ValidationError, match="'two words' cannot be a tag"):
        services.change_table(actor=editor, table=make_table(), tags=["two words"])
    assert not Tag.objects.exists()


@pytest.mark.parametrize(
    "facts", [{"kind": "chair"}, {"retention_days": -1}, {"retention_days": 1, "keep_forever": True}, {"status": ""}]
)
def test_facts_that_cannot_be_leave_everything_as_it_was(editor, facts) -> None:
    table = make_table("t")
    with pytest.raises(ValidationError):
        services.change_table(actor=editor, table=table, description="new", tags=["pii"], **facts)
    assert (Table.objects.get().description, history(), Tag.objects.count()) == ("", [], 0)


def test_the_same_name_twice_is_refused(editor) -> None:
    table = make_table("t")
    with pytest.raises(ValidationError, match="already has a table"):
        services.register_table(actor=editor, source=table.source, name="t")
    services.register_table(actor=editor, source=make_source(), name="t")
    make_pipeline("p")
    with pytest.raises(ValidationError):
        services.register_pipeline(actor=editor, name="p")


def test_owners_are_stated_beside_what_an_ingest_read(editor) -> None:
    pipeline, read, stated = make_pipeline("p"), make_owner("Read"), make_owner("Stated")
    own(pipeline, read, origin=Origin.INGEST)
    services.set_owners(actor=editor, thing=pipeline, role="technical", owners=[stated, stated])
    services.set_owners(actor=editor, thing=pipeline, role="technical", owners=[stated])
    assert set(pipeline.ownerships.values_list("owner__name", "origin")) == {("Read", "ingest"), ("Stated", "person")}
    services.set_owners(actor=editor, thing=pipeline, role="technical", owners=[])
    assert list(pipeline.ownerships.values_list("owner__name", flat=True)) == ["Read"]
    assert history() == [
        ("changed", "p", {"technical_owners": []}, {"technical_owners": ["Stated"]}),
        ("changed", "p", {"technical_owners": ["Stated"]}, {"technical_owners": []}),
    ]


def test_two_owners_of_one_name_are_two(editor) -> None:
    pipeline, one, other = make_pipeline(), make_owner("Kim"), make_owner("Kim")
    services.set_owners(actor=editor, thing=pipeline, role="business", owners=[one])
    services.set_owners(actor=editor, thing=pipeline, role="business", owners=[other])
    assert [each.owner for each in pipeline.ownerships.all()] == [other]


def test_an_owner_can_leave_and_keeps_what_they_held(editor) -> None:
    owner = make_owner()
    pipeline = make_pipeline(owner=owner)
    services.change_owner(actor=editor, owner=owner, status=Owner.Status.LEFT)
    assert pipeline.ownerships.get().owner.status == "left"


def test_a_run_may_be_reported_again_and_again(editor) -> None:
    pipeline = make_pipeline()
    facts = {"actor": editor, "pipeline": pipeline, "external_id": "1", "started_at": NOON}
    services.record_run(**facts, state="running")
    services.record_run(**facts, state="succeeded", ended_at=NOON, rows_out=3)
    assert [(run.state, run.rows_out) for run in pipeline.runs.all()] == [("succeeded", 3)]
    with pytest.raises(ValidationError, match="before it starts"):
        services.record_run(**facts, state="failed", ended_at=NOON.replace(hour=1))


@pytest.mark.parametrize("role", ["", "viewer"])
def test_who_may_not_changes_nothing(role, viewer, stranger) -> None:
    person = viewer if role else stranger
    table, pipeline, owner, source = make_table(), make_pipeline(), make_owner(), make_source()
    attempts = [
        lambda: services.register_source(actor=person, name="s", platform="x"),
        lambda: services.change_source(actor=person, source=source, description="x"),
        lambda: services.register_table(actor=person, source=source, name="t"),
        lambda: services.change_table(actor=person, table=table, description="x"),
        lambda: services.register_column(actor=person, table=table, name="c"),
        lambda: services.register_pipeline(actor=person, name="p"),
        lambda: services.change_pipeline(actor=person, pipeline=pipeline, description="x"),
        lambda: services.register_owner(actor=person, name="o"),
        lambda: services.change_owner(actor=person, owner=owner, status="left"),
        lambda: services.register_tag(actor=person, name="t"),
        lambda: services.set_owners(actor=person, thing=table, role="business", owners=[owner]),
        lambda: services.record_run(actor=person, pipeline=pipeline, external_id="1", state="running", started_at=NOON),
    ]
    for attempt in attempts:
        with pytest.raises(PermissionDenied):
            attempt()
    assert history() == []
    assert Pipeline.objects.count() == Table.objects.count() == 1
