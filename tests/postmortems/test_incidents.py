"""Incidents: how they are opened, what they hit, their times, their course, and who may."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from audits.checks.models import Check, CheckResult
from audits.postmortems import services
from audits.postmortems.models import Incident, TimelineEntry
from audits.postmortems.timeline import note_events
from catalog.models import HistoryEntry, OutgoingMessage, Pipeline
from catalog.search import search
from tests.factories import (
    make_column,
    make_edge,
    make_owner,
    make_pipeline,
    make_run,
    make_sql_version,
    make_table,
    make_user,
)

pytestmark = pytest.mark.django_db


def ago(**units: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(**units)


def names(incident: Incident, kind: str) -> list[str]:
    return list(incident.hits.filter(kind=kind, is_out=False).values_list("name", flat=True))


# Opening, and what is hit


def test_opening_lists_all_that_lies_downstream_and_who_answers(incident, shop) -> None:
    assert names(incident, "table") == ["shop.orders", "shop.revenue"]
    assert names(incident, "dashboard") == ["boards.sales"]
    assert names(incident, "pipeline") == ["shop.build_revenue", "shop.publish"]
    owners = {hit.name: hit.note for hit in incident.hits.filter(kind="owner")}
    assert owners == {"Ann": "Business owner of shop.revenue", "Jo": "Technical owner of shop.build_revenue"}
    assert [(entry.text, entry.is_pinned) for entry in incident.timeline.all()] == [
        ("Opened by edith.", False),
        ("Twice the rows.", True),
    ]


def test_the_hit_list_follows_the_lineage_of_the_start(shop, editor) -> None:
    then, late = ago(days=2), make_table("shop.late")
    make_edge(make_pipeline("shop.later"), shop.orders, late, valid_from=ago(days=1))
    gone = make_table("shop.gone")
    make_edge(make_pipeline("shop.before"), shop.orders, gone, valid_from=ago(days=9), valid_to=ago(days=1))
    incident = services.open_incident(actor=editor, title="x", things=[shop.orders], started_at=then)
    assert "shop.gone" in names(incident, "table")
    assert "shop.late" not in names(incident, "table")
    assert incident.lineage_at == then


def test_where_lineage_is_younger_than_the_incident_the_oldest_known_counts(editor) -> None:
    table, seen = make_table("shop.new"), ago(days=1)
    make_edge(make_pipeline("p"), table, make_table("shop.next"), valid_from=seen)
    incident = services.open_incident(actor=editor, title="x", things=[table], started_at=ago(days=30))
    assert names(incident, "table") == ["shop.new", "shop.next"]
    assert incident.lineage_at == seen


def test_a_column_hits_the_columns_made_of_it(shop, editor) -> None:
    from lineage.models import ColumnEdge

    amount, total = make_column("amount", shop.orders), make_column("total", shop.revenue)
    ends = {"source_table": shop.orders, "source_column": amount, "target_table": shop.revenue, "target_column": total}
    ColumnEdge.objects.create(
        pipeline=shop.pipeline, kind="AGGREGATION", basis="parsed", statement=0, valid_from=ago(days=400), **ends
    )
    incident = services.open_incident(actor=editor, title="x", things=[amount])
    assert names(incident, "column") == ["shop.orders.amount", "shop.revenue.total"]
    assert incident.hits.get(name="shop.revenue.total").column == total


def test_the_hit_list_reads_on_when_its_things_are_gone(incident, shop) -> None:
    before = list(incident.hits.values_list("kind", "name", "distance", "note"))
    Pipeline.objects.all().delete()
    for thing in (shop.board, shop.revenue, shop.orders, shop.jo, shop.ann):
        thing.delete()
    assert list(incident.hits.values_list("kind", "name", "distance", "note")) == before
    assert not incident.hits.exclude(table=None, pipeline=None, owner=None).exists()


def test_people_add_to_the_hit_list_and_cross_out(incident, editor, shop) -> None:
    by_hand = make_table("lake.raw")
    [added] = services.add_hits(actor=editor, incident=incident, things=[by_hand], note="copied by hand")
    assert (added.added_by_name, added.note) == ("edith", "copied by hand")
    hit = incident.hits.get(name="boards.sales")
    services.change_hit(actor=editor, hit=hit, is_out=True)
    assert names(incident, "dashboard") == []
    services.add_hits(actor=editor, incident=incident, things=[shop.board])
    assert names(incident, "dashboard") == ["boards.sales"]


def test_two_incidents_on_one_table_are_two(incident, shop, editor) -> None:
    services.open_incident(actor=editor, title="Orders late", things=[shop.orders])
    assert Incident.objects.filter(hits__table=shop.orders).count() == 2


def test_opening_and_resolving_is_told_to_those_it_hits(incident, editor) -> None:
    assert sorted(OutgoingMessage.objects.values_list("mail_to", flat=True)) == ["ann@shop.example", "jo@shop.example"]
    services.resolve(actor=editor, incident=incident)
    assert OutgoingMessage.objects.filter(event="incident.resolved").count() == 2


def test_who_has_left_is_told_through_the_team(shop, editor) -> None:
    shop.jo.status = "left"
    shop.jo.save()
    services.open_incident(actor=editor, title="x", things=[shop.orders])
    assert "growth@shop.example" in OutgoingMessage.objects.values_list("mail_to", flat=True)


# Who may


def test_who_answers_for_what_is_hit_works_on_it_and_others_do_not(incident, shop, jo, viewer, stranger) -> None:
    services.acknowledge(actor=jo, incident=incident)
    for person in (viewer, stranger):
        with pytest.raises(PermissionDenied):
            services.add_entry(actor=person, incident=incident, text="hm")
    services.set_people(actor=None, incident=incident, lead=None, participants=[make_owner("Vi", slug="vi")])
    helper = make_user("viewer", owner=incident.people.get().owner)
    assert services.add_entry(actor=helper, incident=incident, text="I look").by_name == "Vi"


def test_an_owner_opens_one_on_what_they_own_alone(shop, jo) -> None:
    assert services.open_incident(actor=jo, title="x", things=[shop.pipeline]).pk
    for things in ([], [shop.orders], [shop.pipeline, shop.orders]):
        with pytest.raises(PermissionDenied):
            services.open_incident(actor=jo, title="x", things=things)


# Times and status


def test_times_out_of_order_are_refused_and_named(incident, editor) -> None:
    with pytest.raises(ValidationError) as refused:
        services.change_incident(
            actor=editor, incident=incident, acknowledged_at=incident.detected_at - dt.timedelta(1)
        )
    assert list(refused.value.message_dict) == ["acknowledged_at"]
    words = refused.value.message_dict["acknowledged_at"][0]
    assert words.startswith("Acknowledged (")
    assert "is before detected (" in words
    with pytest.raises(ValidationError, match="is in the future"):
        services.change_incident(actor=editor, incident=incident, resolved_at=ago(hours=-2))
    assert Incident.objects.get().status == "open"


def test_every_pair_of_times_is_held_in_order(incident, editor) -> None:
    start = ago(hours=10)
    times = {name: start + dt.timedelta(hours=n) for n, name in enumerate(Incident.TIMES)}
    services.change_incident(actor=editor, incident=incident, **times)
    for earlier, later in zip(Incident.TIMES, Incident.TIMES[1:], strict=False):
        with pytest.raises(ValidationError) as refused:
            services.change_incident(
                actor=editor, incident=incident, **{later: times[earlier] - dt.timedelta(minutes=1)}
            )
        assert later in refused.value.message_dict


def test_the_course_of_an_incident(incident, jo, editor) -> None:
    services.acknowledge(actor=jo, incident=incident)
    assert [(person.name, person.role) for person in incident.people.all()] == [("Jo", "lead")]
    assert services.mitigate(actor=editor, incident=incident, words="Reports are off").status == "mitigated"
    assert services.resolve(actor=jo, incident=incident, words="Loaded again").status == "resolved"
    for verb in (services.acknowledge, services.mitigate, services.resolve):
        with pytest.raises(ValidationError, match="already"):
            verb(actor=editor, incident=incident)
    with pytest.raises(ValidationError, match="Say why"):
        services.reopen(actor=editor, incident=incident, words=" ")
    again = services.reopen(actor=editor, incident=incident, words="Still twice")
    assert (again.status, again.resolved_at) == ("open", None)
    told = list(incident.timeline.filter(source="status").values_list("text", flat=True))
    assert told[1:] == [
        "Acknowledged by Jo.",
        "Mitigated: Reports are off",
        "Resolved: Loaded again",
        "Opened again: Still twice",
    ]


def test_what_is_changed_by_hand_is_in_the_history(incident, editor) -> None:
    services.change_incident(actor=editor, incident=incident, severity=1, wrong_rows=500)
    entry = HistoryEntry.objects.get(noun="incident")
    assert (entry.before["severity"], entry.after) == (2, {"severity": 1, "wrong_rows": 500})


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"title": ""}, "title"),
        ({"severity": 5}, "severity"),
        ({"data_from": dt.date(2026, 3, 2), "data_to": dt.date(2026, 3, 1)}, "before the first"),
        ({"links": [{"title": "x", "url": "javascript:alert(1)"}]}, "no link"),
        ({"links": ["x"]}, "no link"),
        ({"links": "https://shop.example"}, "list"),
    ],
)
def test_bad_facts_are_refused_in_words(incident, editor, facts, words) -> None:
    with pytest.raises(ValidationError) as refused:
        services.change_incident(actor=editor, incident=incident, **facts)
    assert words in str(refused.value)


# The timeline


def test_events_make_entries_once(shop, editor) -> None:
    make_sql_version(shop.pipeline, valid_from=ago(days=9), valid_to=ago(hours=3))
    make_sql_version(shop.pipeline, valid_from=ago(hours=3))
    make_run(
        shop.pipeline, state="failed", started_at=ago(hours=2), external_id="night", error="No column rate\nLINE 1"
    )
    make_run(shop.pipeline, state="failed", started_at=ago(hours=1))  # still fails: nothing new
    make_run(shop.pipeline, state="failed", started_at=ago(days=9))
    make_run(make_pipeline("other"), state="failed", started_at=ago(hours=2))
    incident = services.open_incident(actor=editor, title="x", things=[shop.orders])
    made = [(entry.source, entry.text) for entry in incident.timeline.exclude(event="")]
    assert made == [
        ("sql", "The SQL of shop.build_revenue changed"),
        ("run", "shop.build_revenue: run night failed: No column rate"),
    ]
    assert note_events(incident) == 0
    make_run(shop.pipeline, started_at=ago(minutes=1), external_id="again")
    assert services.look_for_events(actor=editor, incident=incident) == 1
    assert incident.timeline.filter(text="shop.build_revenue: run again succeeded").exists()


def test_a_check_is_noted_when_it_turns(shop, editor) -> None:
    check = Check.objects.create(table=shop.revenue, kind="unique_key", name="one row a day", parameters={})
    for hours, state in ((9, "pass"), (8, "fail"), (7, "fail"), (6, "error"), (5, "pass"), (4, "pass"), (3, "fail")):
        CheckResult.objects.create(
            check_of=check, key=str(hours), at=ago(hours=hours), state=state, words=f"{hours} h ago", reported_by="x"
        )
    incident = services.open_incident(actor=editor, title="x", things=[shop.orders])
    assert [entry.text for entry in incident.timeline.filter(source="check")] == [
        "Check one row a day fails: 8 h ago",
        "Check one row a day passes: 5 h ago",
        "Check one row a day fails: 3 h ago",
    ]


def test_a_failing_check_opens_one_with_its_result_pinned(shop, editor) -> None:
    check = Check.objects.create(table=shop.revenue, kind="unique_key", name="one row a day", parameters={})
    check.failing_since = ago(hours=8)
    CheckResult.objects.create(check_of=check, key="1", at=ago(hours=8), state="fail", words="7 rows", reported_by="x")
    incident = services.open_incident(actor=editor, because=check, **services.suggested_facts(check))
    assert (incident.detection, incident.started_at) == ("check", check.failing_since)
    assert incident.timeline.get(is_pinned=True).text == "Check one row a day fails: 7 rows"


def test_a_failed_run_opens_one_in_one_step(shop, editor) -> None:
    run = make_run(shop.pipeline, state="failed", started_at=ago(hours=5), external_id="night", error="boom")
    incident = services.open_incident(actor=editor, because=run, **services.suggested_facts(run))
    assert (incident.title, incident.started_at) == ("shop.build_revenue failed", run.started_at)
    assert "shop.revenue" in names(incident, "table")
    assert incident.timeline.filter(source="run", is_pinned=True).count() == 1


def test_five_megabytes_of_pasted_log_become_an_attachment(incident, editor) -> None:
    log = "ERROR line of a log\n" * 250_000
    entry = services.add_entry(actor=editor, incident=incident, text=log)
    assert len(entry.text) < 600
    kept = incident.attachments.get()
    assert bytes(kept.content) == log.encode()
    assert entry.link == kept.get_absolute_url()


def test_what_is_larger_than_the_limit_is_refused_and_the_limit_named(incident, editor) -> None:
    with pytest.raises(ValidationError, match="8,000,001 bytes are too many: one attachment may hold 8,000,000"):
        services.attach(actor=editor, incident=incident, name="a.log", content=b"x" * 8_000_001)
    for _ in range(5):
        services.attach(actor=editor, incident=incident, name="a.log", content=b"x" * 8_000_000)
    with pytest.raises(ValidationError, match="40,000,000 bytes in all"):
        services.attach(actor=editor, incident=incident, name="a.log", content=b"x")


def test_only_what_people_noted_is_mended(incident, editor) -> None:
    mine = services.add_entry(actor=editor, incident=incident, text="Looked at the log")
    assert services.change_entry(actor=editor, entry=mine, text="Read the log", is_pinned=True).is_pinned
    status = incident.timeline.filter(source="status").first()
    services.change_entry(actor=editor, entry=status, is_pinned=True)
    with pytest.raises(ValidationError, match="Only what a person noted"):
        services.change_entry(actor=editor, entry=status, text="never")
    for link in ("javascript:alert(1)", "//evil.example/", "/\\evil.example", "data:text/html,x"):
        with pytest.raises(ValidationError, match="no link"):
            services.add_entry(actor=editor, incident=incident, text="x", link=link)
    with pytest.raises(ValidationError, match="in the future"):
        services.add_entry(actor=editor, incident=incident, text="x", at=ago(hours=-3))
    assert TimelineEntry.objects.filter(text="x").count() == 0


def test_an_incident_is_found_by_what_is_said_of_it(incident, editor) -> None:
    def found(q: str) -> list[str]:
        return [hit.name for hit in search(q, {"kind": {"incident"}}, limit=5).hits]

    assert found("orders twice") == ["Orders twice"]
    services.change_incident(actor=editor, incident=incident, title="Doubled baskets")
    assert (found("baskets"), found("orders twice")) == (["Doubled baskets"], [])
