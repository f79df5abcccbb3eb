"""What a click did can be taken back: at once by the button below the message, later in the history."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from audits.deletion.models import Protection
from audits.deletion.services import lift, protect
from audits.postmortems import reports
from audits.postmortems.services import open_incident
from audits.practices import services as practices
from audits.practices.models import Waiver
from catalog.models import HistoryEntry, Ownership, SavedView
from catalog.queries import history_of
from catalog.services import change_pipeline, change_table, set_owners
from catalog.undo import undo
from lineage.models import TableEdge
from lineage.services import declare_edges
from tests.factories import make_owner, make_pipeline, make_table


def undo_of_the_last_act(client, page="/"):
    """Press the button that the next page shows."""
    return press_undo(client, client.get(page, follow=True), page)


def press_undo(client, shown, page="/"):
    act = shown.content.decode().split('action="/undo/')[1].split('"')[0]
    return client.post(f"/undo/{act}", {"next": page}, follow=True)


def newest(thing) -> HistoryEntry:
    return history_of(thing)[0]


def test_a_bulk_edit_is_taken_back_as_one(editor, signed_in) -> None:
    ada, bob = make_owner("Ada"), make_owner("Bob")
    tables = [make_table(owner=ada) for _ in range(3)]
    tables[0].tags.create(name="old")
    client = signed_in(editor)
    wish = {"role": "technical", "add_owners": bob.slug, "remove_owners": ada.slug, "add_tags": "new"}
    sent = wish | {"things": [table.pk for table in tables], "step": "apply"}
    client.post(reverse("table-many"), sent)
    assert {table.ownerships.get().owner for table in tables} == {bob}
    answer = undo_of_the_last_act(client, reverse("table-list"))
    assert "It is as it was before." in answer.content.decode()
    assert {table.ownerships.get().owner for table in tables} == {ada}
    assert [[tag.name for tag in table.tags.all()] for table in tables] == [["old"], [], []]
    press_undo(client, answer)  # and that too
    assert {table.ownerships.get().owner for table in tables} == {bob}


def test_a_hand_over_is_taken_back(editor, signed_in) -> None:
    ada, bob = make_owner("Ada"), make_owner("Bob")
    table, pipeline = make_table(owner=ada), make_pipeline(owner=ada, role="business")
    client = signed_in(editor)
    client.post(reverse("owner-hand-over", args=[ada.slug]), {"to": bob.slug})
    assert set(Ownership.objects.values_list("owner", flat=True)) == {bob.pk}
    undo_of_the_last_act(client, ada.get_absolute_url())
    assert set(Ownership.objects.values_list("owner", flat=True)) == {ada.pk}
    assert table.ownerships.count() == pipeline.ownerships.count() == 1


def test_what_an_ingest_had_read_is_the_ingests_again(editor) -> None:
    pipeline = make_pipeline(kind="summary", kind_is_inferred=True, description="read", stated_fields=["dag"])
    change_pipeline(actor=editor, pipeline=pipeline, kind="production_export", description="said")
    assert pipeline.stated_fields == ["dag", "description", "kind"] and not pipeline.kind_is_inferred
    undo_entry = newest(pipeline)
    undo(actor=editor, entries=[undo_entry])
    pipeline.refresh_from_db()
    assert (pipeline.kind, pipeline.description, pipeline.kind_is_inferred) == ("summary", "read", True)
    assert pipeline.stated_fields == ["dag"]


def test_the_history_offers_it_as_long_as_nothing_else_changed_there(editor, signed_in) -> None:
    table = make_table(description="one")
    change_table(actor=editor, table=table, description="two")
    change_table(actor=editor, table=table, description="three")
    assert [entry.can_be_undone for entry in history_of(table)] == [True, False]
    first = history_of(table)[1]
    client = signed_in(editor)
    answer = client.post(reverse("undo-entry", args=[first.pk]), {"next": table.get_absolute_url()}, follow=True)
    assert "was changed since: description" in answer.content.decode()
    client.post(reverse("undo-entry", args=[newest(table).pk]))
    table.refresh_from_db()
    assert table.description == "two"
    assert [entry.can_be_undone for entry in history_of(table)] == [True, False, True]


def test_all_of_an_act_or_nothing(editor, signed_in) -> None:
    tables = [make_table() for _ in range(2)]
    client = signed_in(editor)
    things = [table.pk for table in tables]
    client.post(reverse("table-many"), {"role": "technical", "add_tags": "new", "things": things, "step": "apply"})
    change_table(actor=editor, table=tables[0], tags=["other"])
    answer = undo_of_the_last_act(client)
    assert f"Not undone: {tables[0]} was changed since: tags" in answer.content.decode()
    assert [tag.name for tag in tables[1].tags.all()] == ["new"]


def test_it_takes_the_right_to_change_the_thing(editor, viewer, signed_in) -> None:
    table = make_table(description="one")
    change_table(actor=editor, table=table, description="two")
    client = signed_in(viewer)
    assert client.post(reverse("undo-entry", args=[newest(table).pk])).status_code == 403
    assert "Undo" not in client.get(table.get_absolute_url()).content.decode()
    table.refresh_from_db()
    assert table.description == "two"


def test_nobody_takes_back_the_act_of_another(editor, steward, signed_in) -> None:
    table = make_table()
    signed_in(editor).post(
        reverse("table-many"), {"role": "technical", "add_tags": "x", "things": [table.pk], "step": "apply"}
    )
    act = newest(table).act
    assert signed_in(steward).post(reverse("undo-act", args=[act])).status_code == 404


def test_a_forgotten_view_comes_back(viewer, editor, signed_in) -> None:
    view = SavedView.objects.create(user=viewer, page="table-list", name="mine", query="q=x", is_shared=True)
    client = signed_in(viewer)
    client.post(reverse("saved-view-delete", args=[view.pk]))
    assert not SavedView.objects.exists()
    undo_of_the_last_act(client, reverse("table-list"))
    back = SavedView.objects.get()
    assert (back.user, back.page, back.name, back.query, back.is_shared) == (viewer, "table-list", "mine", "q=x", True)
    forgotten = HistoryEntry.objects.get(action="forgotten")
    again = client.post(reverse("undo-entry", args=[forgotten.pk]), follow=True)
    assert "There is a view mine again" in again.content.decode()
    assert signed_in(editor).post(reverse("undo-entry", args=[forgotten.pk])).status_code == 403


def test_a_view_that_was_saved_over_is_as_before(viewer, editor, signed_in) -> None:
    client = signed_in(viewer)
    first = {"page": "table-list", "name": "mine", "query": "q=old", "is_shared": "on"}
    client.post(reverse("saved-view-save"), first)
    assert "/undo/" not in client.get(reverse("table-list")).content.decode(), "nothing was lost"
    client.post(reverse("saved-view-save"), {**first, "query": "q=new", "is_shared": ""})
    undo_of_the_last_act(client, reverse("table-list"))
    back = SavedView.objects.get()
    assert (back.query, back.is_shared) == ("q=old", True)
    saving, undoing = HistoryEntry.objects.filter(noun="savedview").order_by("pk")
    again = client.post(reverse("undo-entry", args=[saving.pk]), follow=True)
    assert "was changed since: query" in again.content.decode()
    assert signed_in(editor).post(reverse("undo-entry", args=[undoing.pk])).status_code == 403


def test_causes_that_were_taken_out_of_a_post_mortem_stand_again(editor, signed_in) -> None:
    incident = open_incident(actor=editor, title="Wrong", things=[make_table()])
    report = reports.start_post_mortem(actor=editor, incident=incident)
    client, causes = signed_in(editor), reverse("post-mortem-act", args=[report.pk, "causes"])
    client.post(causes, {"root": "bug", "contributing": ["capacity", "rerun"]})
    client.post(causes, {"root": ""})
    assert not report.causes.exists()
    undo_of_the_last_act(client, reverse("post-mortem-edit", args=[report.pk]))
    assert set(report.causes.values_list("code", "is_root")) == {("bug", True), ("capacity", False), ("rerun", False)}
    shown = client.get(incident.get_absolute_url()).content.decode()
    assert "root cause: " in shown and "Undo: changed root cause, contributing causes" in shown


def test_declared_lineage_is_put_back(editor) -> None:
    pipeline, raw, mart, other = make_pipeline(), *(make_table() for _ in range(3))
    declare_edges(actor=editor, pipeline=pipeline, inputs=[raw], outputs=[mart])
    declare_edges(actor=editor, pipeline=pipeline, inputs=[other], outputs=[mart])
    undo(actor=editor, entries=[newest(pipeline)])
    edge = TableEdge.objects.get(pipeline=pipeline, valid_to=None)
    assert (edge.source_table, edge.target_table) == (raw, mart)


def test_a_lifted_waiver_and_a_lifted_protection_hold_again(editor) -> None:
    pipeline, table, ada = make_pipeline(), make_table(), make_owner("Ada")
    until = timezone.now().date() + dt.timedelta(days=30)
    waiver = practices.waive(actor=editor, pipeline=pipeline, practice="checked", reason="soon", owner=ada, until=until)
    practices.lift(actor=editor, waiver=waiver)
    undo(actor=editor, entries=[newest(pipeline)])
    assert Waiver.objects.get().is_in_force
    protection = protect(actor=editor, table=table, reason="audit", until=until)
    lift(actor=editor, protection=protection)
    undo(actor=editor, entries=[newest(table)])
    assert Protection.objects.get().lifted_at is None
    with pytest.raises(Exception, match="changed since: lifted at"):
        undo(actor=editor, entries=[entry for entry in history_of(table) if entry.undo])


def test_owners_as_an_ingest_read_them_count_again(editor) -> None:
    table, ada, bob = make_table(), make_owner("Ada"), make_owner("Bob")
    Ownership.objects.create(table=table, owner=ada, role="technical", origin="ingest")
    set_owners(actor=editor, thing=table, role="technical", owners=[bob])
    undo(actor=editor, entries=[newest(table)])
    assert Ownership.objects.get().owner == ada
