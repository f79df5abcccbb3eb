"""Verdicts from rows: each protection, each kind of read, each hole; with and without."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from audits.deletion.facts import State, gather, table_states
from audits.deletion.models import Protection, UnreadWindow, Verdict, VerdictRun
from audits.deletion.verdicts import WORDS, judge, proposals
from audits.usage.models import (
    LogCoverage,
    LoggedDay,
    LoggedEdge,
    QueryFingerprint,
    Reader,
    SeenName,
    SeenRead,
    UnparsedQuery,
)
from catalog.models import Table, Tag
from lineage import snapshot
from lineage.services import end_lineage
from lineage.snapshot import build_snapshot, bump_graph_version, current_edges
from tests.deletion.helpers import TODAY, build, cover, day, moment, read, write_by_hand
from tests.factories import make_edge, make_pipeline, make_problem, make_run, make_source, make_sql_version, make_table

pytestmark = pytest.mark.django_db


def verdicts(window: int | None = None, as_of: dt.date = TODAY) -> dict[str, str]:
    judged = judge(gather(as_of, window))
    names = dict(Table.objects.values_list("pk", "name"))
    return {names[int(judged.facts.ids[place])]: WORDS[judged.verdict[place]] for place in judged.places}


def reasons(table: Table) -> list[str]:
    """The codes of a stored verdict."""
    call_command("flag_unused", as_of=TODAY, stdout=StringIO())
    return [reason["code"] for reason in Verdict.objects.get(table=table).evidence["reasons"]]


@pytest.fixture
def unread(warehouse) -> Table:
    table = make_table("shop.old", source=warehouse)
    build(table, name="build_old")
    return table


def test_nobody_reads_it(unread) -> None:
    assert verdicts() == {"read.daily": "in_use", "shop.old": "unread"}


def test_a_read_in_the_window_is_use_and_one_before_is_not(unread) -> None:
    read(unread, 91)
    assert verdicts()["shop.old"] == "unread"
    read(unread, 89)
    assert verdicts()["shop.old"] == "in_use"


def test_reads_after_the_day_asked_for_do_not_count(unread) -> None:
    read(unread, 10)
    assert verdicts(as_of=day(11))["shop.old"] == "unread"


def test_the_builder_reading_its_own_table_is_no_use(unread, warehouse) -> None:
    builder = unread.edges_in.get().pipeline
    read(unread, 1, "build_old", pipeline=builder, kind="pipeline")
    read(unread, 1, "loader", builds=unread, kind="service")
    assert verdicts()["shop.old"] == "unread"
    read(unread, 1, "somebody's script", kind="pipeline")
    assert verdicts()["shop.old"] == "in_use"


def test_a_pipeline_reading_for_something_unread_is_no_use(unread, warehouse) -> None:
    report = make_table("shop.report", source=warehouse)
    pipeline = build(report, unread, name="build_report")
    read(unread, 1, "build_report", pipeline=pipeline, kind="pipeline")
    assert verdicts() == {"read.daily": "in_use", "shop.old": "feeds_unread", "shop.report": "unread"}
    read(report, 1)
    assert verdicts()["shop.old"] == "in_use"


def test_an_edge_of_a_retired_pipeline_holds_nothing(unread, warehouse) -> None:
    pipeline = make_pipeline(status="retired")
    make_edge(pipeline, unread)
    assert verdicts()["shop.old"] == "unread"


def test_a_query_that_writes_is_an_edge(unread, warehouse) -> None:
    copy = make_table("shop.copy", source=warehouse)
    write_by_hand(unread, copy)
    assert verdicts()["shop.old"] == "feeds_unread"
    read(copy, 3)
    assert verdicts()["shop.old"] == "in_use"


def test_a_write_to_an_unknown_name_is_use_and_later_a_doubt_while_that_name_is_read(unread, warehouse) -> None:
    reader = Reader.objects.create(source=warehouse, name="ben")
    edge = LoggedEdge(source=warehouse, source_name="shop.old", target_name="tmp.copy", reader=reader, count=1)
    edge.source_table, edge.first_at, edge.last_at = unread, moment(50), moment(50)
    edge.save()
    assert verdicts()["shop.old"] == "in_use"
    edge.last_at = moment(150)
    edge.save()
    assert verdicts()["shop.old"] == "feeds_unread"
    for number in range(60):  # so that one unknown name is not over 2 % of all
        read(make_table(f"read.t{number}", source=warehouse), 1)
    name = SeenName.objects.create(source=warehouse, name="tmp.copy")
    SeenRead.objects.create(name=name, day=day(3), reader=reader, count=1, last_at=moment(3))
    assert verdicts()["shop.old"] == "unknown"
    assert reasons(unread) == ["feeds_unknown_name"]


def test_a_graph_out_of_its_file_is_judged_as_it_is_now(unread, warehouse, monkeypatch, settings, tmp_path) -> None:
    settings.VAR_DIR = tmp_path
    monkeypatch.setattr(snapshot, "SMALL", 1)
    used = Table.objects.get(name="read.daily")
    feeding = build(used, unread, name="feed")
    bump_graph_version()
    build_snapshot()
    assert isinstance(current_edges().ends, np.memmap)
    assert verdicts()["shop.old"] == "in_use"
    feeding.status = "retired"
    feeding.save()
    assert verdicts()["shop.old"] == "unread"
    feeding.status = "active"
    feeding.save()
    end_lineage([feeding.pk], moment(0))
    assert verdicts()["shop.old"] == "unread"
    build_snapshot()
    write_by_hand(unread, used)
    assert verdicts()["shop.old"] == "in_use"


# Protections


def test_a_pin_holds_until_its_last_day(unread) -> None:
    pin = Protection.objects.create(table=unread, reason="audit", until=day(0), stated_by_name="ann")
    assert verdicts()["shop.old"] == "protected"
    pin.until = day(1)
    pin.save()
    assert verdicts()["shop.old"] == "unread"


def test_a_legal_hold_holds_until_it_is_lifted(unread) -> None:
    hold = Protection.objects.create(table=unread, kind="legal_hold", reason="case 7", stated_by_name="ann")
    assert verdicts()["shop.old"] == "protected"
    hold.lifted_at = moment(0)
    hold.save()
    assert verdicts()["shop.old"] == "unread"


@pytest.mark.parametrize(
    ("facts", "last_run", "verdict"),
    [
        ({"keep_forever": True}, 900, "protected"),
        ({"retention_days": 30}, 29, "protected"),
        ({"retention_days": 30}, 31, "unread"),
        ({"retention_days": 30}, None, "protected"),  # nobody knows when it was last written
    ],
)
def test_an_original_is_kept_for_its_retention(warehouse, facts, last_run, verdict) -> None:
    table = make_table("shop.orders", source=warehouse, provenance="original", **facts)
    pipeline = build(table)
    if last_run:
        make_run(pipeline, started_at=moment(last_run))
    assert verdicts()["shop.orders"] == verdict


def test_an_original_is_never_proposed_and_neither_is_what_nothing_builds(warehouse) -> None:
    build(make_table("a.original", source=warehouse, provenance="original"))
    make_table("b.unbuilt", source=warehouse)
    make_table("c.rebuildable", source=warehouse, provenance="rebuildable")
    build(make_table("d.built", source=warehouse))
    judged = judge(gather(TODAY))
    proposed = judged.facts.ids[judged.is_proposed]
    assert set(Table.objects.filter(pk__in=proposed.tolist()).values_list("name", flat=True)) == {
        "c.rebuildable",
        "d.built",
    }


def test_an_export_out_of_sight_protects_what_it_reads_and_all_before(unread, warehouse) -> None:
    first = make_table("shop.first", source=warehouse)
    make_edge(make_pipeline(), first, unread)
    make_edge(make_pipeline("send_away"), unread)
    assert {verdicts()[name] for name in ("shop.old", "shop.first")} == {"protected"}
    assert reasons(unread) == ["exported"]


@pytest.mark.parametrize(
    ("storage", "verdict"), [("cache", "protected"), ("dashboard", "protected"), ("lake", "unknown")]
)
def test_a_store_without_a_log(warehouse, storage, verdict) -> None:
    out = make_table("cards", source=make_source("outside", storage=storage))
    table = make_table("shop.cards", source=warehouse)
    build(out, table)
    assert {verdicts()[name] for name in ("cards", "shop.cards")} == {verdict}


def test_young_is_what_the_source_says_and_never_when_it_was_first_heard_of(unread) -> None:
    unread.created_at = moment(2)
    unread.save()
    assert verdicts()["shop.old"] == "unread"
    unread.source_created_at = moment(60)
    unread.save()
    assert verdicts()["shop.old"] == "protected"
    assert verdicts(window=30)["shop.old"] == "unread"


@pytest.mark.parametrize(
    ("days", "verdict"),
    [
        ([100, 150], "protected"),  # 50 days apart: over half of 90
        ([100, 140, 180], "unread"),
        ([350], "protected"),  # in this season last year
        ([200], "unread"),
    ],
)
def test_seasonal(unread, days, verdict) -> None:
    for ago in days:
        read(unread, ago)
    assert verdicts()["shop.old"] == verdict


# Holes


def test_without_a_log_everything_is_unknown() -> None:
    make_table("a.b")
    assert verdicts() == {"a.b": "unknown"}


@pytest.mark.parametrize(
    ("spans", "verdict"),
    [
        ([(90, 0)], "unread"),
        ([(80, 0)], "unknown"),
        ([(200, 3)], "unknown"),  # ends three days ago, and so does the window: 87 days would be missing otherwise
        ([(200, 4)], "unknown"),
        ([(200, 50), (48, 0)], "unknown"),
        ([(200, 50), (49, 0)], "unread"),
    ],
)
def test_the_log_must_cover_the_window(spans, verdict) -> None:
    source = make_source("lone")
    for first, last in spans:
        cover(source, first, last)
    build(make_table("a.b", source=source))
    expected = "unread" if spans == [(200, 3)] else verdict
    assert verdicts()["a.b"] == expected


def test_a_window_ends_with_the_log(warehouse) -> None:
    LogCoverage.objects.all().delete()
    cover(warehouse, 200, 3)
    table = make_table("a.b", source=warehouse)
    build(table)
    read(table, 92)
    assert verdicts()["a.b"] == "in_use"


def test_every_channel_must_be_covered(warehouse, unread) -> None:
    cover(warehouse, 300, 200, channel="region-eu")
    assert verdicts()["shop.old"] == "unknown"
    cover(warehouse, 199, 0, channel="region-eu")
    assert verdicts()["shop.old"] == "unread"


def test_a_log_without_an_entry_is_no_evidence() -> None:
    source = make_source("silent")
    cover(source, entries=0)
    build(make_table("a.b", source=source))
    assert verdicts()["a.b"] == "unknown"


@pytest.mark.parametrize(("unparsed", "verdict"), [(10, "unread"), (11, "unknown")])
def test_over_one_percent_unparsed_clouds_the_whole_source(warehouse, unread, unparsed, verdict) -> None:
    LoggedDay.objects.filter(source=warehouse).update(entries=1000, unparsed=unparsed)
    assert verdicts()["shop.old"] == verdict


@pytest.mark.parametrize(("unknown_names", "verdict"), [(1, "unread"), (2, "unknown")])
def test_over_two_percent_of_names_unmatched_clouds_the_whole_source(warehouse, unread, unknown_names, verdict) -> None:
    for number in range(60):
        read(make_table(f"read.t{number}", source=warehouse), 1)
    reader = Reader.objects.get(name="ann")
    for number in range(unknown_names):
        name = SeenName.objects.create(source=warehouse, name=f"x.y{number}")
        SeenRead.objects.create(name=name, day=day(3), reader=reader, count=1, last_at=moment(3))
    assert verdicts()["shop.old"] == verdict


def test_sql_that_could_not_be_read_clouds_what_it_names(unread, warehouse) -> None:
    make_table("shop.other", source=warehouse)
    pipeline = make_pipeline("odd")
    make_sql_version(pipeline, "EXECUTE 'insert into x select * from ' || s || '.OLD_20260101'", statements=1)
    assert (verdicts()["shop.old"], verdicts()["shop.other"]) == ("unknown", "unread")
    assert reasons(unread) == ["named_in_pipeline"]


def test_an_error_on_a_pipeline_clouds_what_its_sql_names(unread) -> None:
    pipeline = make_pipeline()
    make_sql_version(pipeline, "select * from shop.old", statements=1, statements_read=1)
    assert verdicts()["shop.old"] == "unread"
    make_problem(pipeline, severity="warning")
    assert verdicts()["shop.old"] == "unread"
    make_problem(pipeline, severity="error")
    assert verdicts()["shop.old"] == "unknown"


def test_log_entries_that_could_not_be_read_cloud_what_they_name(unread, warehouse) -> None:
    text = QueryFingerprint.objects.create(
        digest="1", engine_version=1, text="selec * from shop.old", reading={}, problem="x"
    )
    unparsed = UnparsedQuery.objects.create(source=warehouse, fingerprint=text, day=day(5), count=1)
    assert verdicts()["shop.old"] == "unknown"
    unparsed.day = day(200)
    unparsed.save()
    assert verdicts()["shop.old"] == "unread"


def test_a_window_that_ends_with_the_log_begins_earlier_for_every_evidence(unread, warehouse) -> None:
    LogCoverage.objects.all().delete()
    cover(warehouse, 200, 3)
    text = QueryFingerprint.objects.create(
        digest="1", engine_version=1, text="selec * from shop.old", reading={}, problem="x"
    )
    unparsed = UnparsedQuery.objects.create(source=warehouse, fingerprint=text, day=day(93), count=1)
    assert verdicts()["shop.old"] == "unknown"
    unparsed.delete()
    assert verdicts()["shop.old"] == "unread"
    unread.source_created_at = moment(93)
    unread.save()
    assert verdicts()["shop.old"] == "protected"


@pytest.mark.parametrize("step", [1, 2, 100])
def test_each_tables_own_row_is_read_right_however_far_its_id_lies_from_others(step) -> None:
    """Far apart, a row each; otherwise several tables in one."""
    sources = [make_source(f"s{number}") for number in range(5)]
    facts = [
        {},
        {"status": "retired"},
        {"provenance": "rebuildable", "keep_forever": True},
        {"provenance": "original"},
        {"provenance": "original", "retention_days": 3},
        {"provenance": "original", "keep_forever": True, "source_created_at": moment(10)},
        {"source_created_at": moment(11)},
    ]
    says = [0, State.RETIRED, State.REBUILDABLE, State.ORIGINAL, State.ORIGINAL | State.KEPT_ORIGINAL]
    says += [State.ORIGINAL | State.KEPT_ORIGINAL | State.NEW, 0]
    first = Table.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    expected = []
    for number in range(40):
        row, source = number % len(facts), sources[number * 3 % 5]
        table = make_table(pk=first + 1 + number * step, source=source, **facts[row])
        expected.append((table.pk, source.pk, int(says[row])))
    assert list(zip(*(column.tolist() for column in table_states(moment(10))), strict=True)) == expected


def test_of_no_table_nothing_is_read() -> None:
    assert [len(column) for column in table_states(moment(10))] == [0, 0, 0]


# Windows


def test_windows_by_source_tier_and_tag_the_longest_holds(unread, warehouse) -> None:
    read(unread, 100)
    UnreadWindow.objects.create(source=warehouse, days=30)
    assert verdicts()["shop.old"] == "unread"
    tag = Tag.objects.create(name="yearly")
    unread.tags.add(tag)
    UnreadWindow.objects.create(tag=tag, days=200)
    assert verdicts()["shop.old"] == "in_use"
    assert verdicts(window=90)["shop.old"] == "unread"
    UnreadWindow.objects.filter(tag=tag).delete()
    unread.edges_in.get().pipeline.__class__.objects.filter(name="build_old").update(tier=1)
    UnreadWindow.objects.create(tier=1, days=200)
    assert verdicts()["shop.old"] == "in_use"


# Pipelines that go along


def test_a_pipeline_goes_with_all_its_outputs_and_is_trimmed_of_some(unread, warehouse) -> None:
    both = make_pipeline("both")
    make_edge(both, None, unread)
    make_edge(both, None, Table.objects.get(name="read.daily"))
    judged = judge(gather(TODAY))
    plan = proposals(judged)
    names = dict(Table.objects.values_list("pk", "name"))
    builder = unread.edges_in.exclude(pipeline=both).get().pipeline
    assert plan.delete == {builder.pk}
    assert {pipeline: [names[pk] for pk in tables] for pipeline, tables in plan.trim.items()} == {both.pk: ["shop.old"]}


def test_a_pipeline_that_also_exports_or_was_not_read_whole_does_not_go(warehouse) -> None:
    exporting, half_read = build(make_table("a.a", source=warehouse)), build(make_table("a.c", source=warehouse))
    make_edge(exporting, Table.objects.get(name="read.daily"))
    make_sql_version(half_read, "?", statements=2, statements_read=1)
    assert proposals(judge(gather(TODAY))).delete == frozenset()


# Storing and the command


def test_only_what_changed_is_written(unread, warehouse) -> None:
    call_command("flag_unused", as_of=TODAY)
    first = VerdictRun.objects.first()
    assert (first.tables, first.written) == (2, 2)
    assert first.counts["unread"] == 1
    begun = Verdict.objects.get(table=unread)
    call_command("flag_unused", as_of=TODAY + dt.timedelta(days=1))
    assert VerdictRun.objects.first().written == 0
    read(unread, 1)
    call_command("flag_unused", as_of=TODAY + dt.timedelta(days=1))
    assert VerdictRun.objects.first().written == 1
    assert Verdict.objects.get(table=unread).since > begun.since
    Table.objects.filter(pk=unread.pk).update(status="retired")
    call_command("flag_unused", as_of=TODAY)
    assert VerdictRun.objects.first().written == 1
    assert not Verdict.objects.filter(table=unread).exists()


def test_evidence_that_changes_leaves_since_alone(unread, warehouse) -> None:
    call_command("flag_unused", as_of=TODAY)
    before = Verdict.objects.get(table=unread)
    read(unread, 120)
    call_command("flag_unused", as_of=TODAY)
    after = Verdict.objects.get(table=unread)
    assert (after.verdict, after.since) == (before.verdict, before.since)
    assert after.evidence["last_read"] == day(120).isoformat()
    assert after.changed_at > before.changed_at


def test_the_command_prints_json_and_writes_nothing_on_a_dry_run(unread, warehouse, capsys) -> None:
    read(unread, 120)
    report = make_table("shop.report", source=warehouse)
    build(report, unread, name="build_report")
    call_command("flag_unused", "--json", "--dry-run", as_of=TODAY)
    found = json.loads(capsys.readouterr().out)
    assert [set(entry) for entry in found] == [{"table", "source", "verdict", "evidence", "pipelines"}] * 3
    by_name = {entry["table"]: entry for entry in found}
    assert by_name["shop.old"]["verdict"] == "feeds_unread"
    assert by_name["shop.old"]["pipelines"] == ["build_old"]
    assert by_name["shop.report"]["pipelines"] == ["build_report"]
    assert by_name["read.daily"]["pipelines"] == []
    words = " ".join(by_name["shop.old"]["evidence"])
    for part in (day(120).isoformat(), "Readers on record: 1", "built from it directly: 1", "1,000 of 1,000 entries"):
        assert part in words
    assert not Verdict.objects.exists()
    assert not VerdictRun.objects.exists()


def test_the_command_says_what_is_amiss_with_a_log(capsys) -> None:
    source = make_source("lone")
    cover(source, 200, 10)
    build(make_table("a.b", source=source))
    call_command("flag_unused", "--dry-run", as_of=TODAY)
    assert f"The query log of lone ends on {day(10)}" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--window", "0"], ["--as-of", "yesterday"], ["--window", "x"]])
def test_wrong_use_is_told(wrong) -> None:
    with pytest.raises(CommandError, match="no day|no number of days"):
        call_command("flag_unused", *wrong)


def test_the_number_of_queries_does_not_grow_with_the_tables(warehouse, django_assert_max_num_queries) -> None:
    for number in range(40):
        build(make_table(f"t.t{number}", source=warehouse))
    with django_assert_max_num_queries(30):
        gather(TODAY)
