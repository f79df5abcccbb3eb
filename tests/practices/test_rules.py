"""Each rule alone, from facts to what it says: no database."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from audits.practices.facts import Facts, IncidentFact, Person, Reason, Runs, Sql, TableFact
from audits.practices.rules import RULES

DAY = dt.timedelta(days=1)
WHOLE = Sql(1, "full_refresh", True, True, True, (Reason("load_strategy", "the whole table is built anew", 3),))
SLICE = Sql(1, "incremental", True, True, True, (Reason("load_strategy", "the slice is inserted again", 9),))
APPEND = Sql(1, "append", False, True, False, (Reason("idempotent", "rows are added", 7),))
CLOCK = Sql(1, "incremental", False, True, False, (Reason("backfill_safe", "it moves with the clock", 4),))
ORDERS = TableFact("table:shop:orders", "orders", is_described=True, rows=1000)
DAILY = TableFact("table:shop:daily", "daily", is_described=True, rows=1000)
ADA, BEN = Person("Ada"), Person("Ben", has_left=True)


def facts(**known) -> Facts:
    return Facts("shop.daily", **{"inputs": (ORDERS,), "outputs": (DAILY,), **known})


def runs(**known) -> Runs:
    return Runs(**{"number": 20, "longest": dt.timedelta(minutes=14), "every": DAY, **known})


def said(rule: str, known: Facts) -> tuple[str, str]:
    judged = RULES[rule].judge(known)
    return judged.outcome, " ".join(sentence.words for sentence in judged.evidence)


def outcome(rule: str, known: Facts) -> str:
    return RULES[rule].judge(known).outcome


# Full refresh


def test_a_full_refresh_says_how_much_of_its_time_it_takes() -> None:
    assert said("full_refresh", facts(sql=WHOLE, runs=runs())) == (
        "pass",
        "The whole table is built anew. The longest of 20 runs took 14 min of 24 h.",
    )


def test_a_full_refresh_that_no_longer_fits_fails() -> None:
    outgrown = facts(sql=WHOLE, runs=runs(longest=dt.timedelta(hours=13)))
    assert said("full_refresh", outgrown)[0] == "fail"
    assert "13 h of 24 h" in said("full_refresh", outgrown)[1]


def test_a_declared_full_refresh_without_sql_passes_on_that_word() -> None:
    assert said("full_refresh", facts(load_strategy="full_refresh"))[0] == "pass"
    assert "Declared" in said("full_refresh", facts(load_strategy="full_refresh"))[1]


def test_an_incremental_whose_whole_load_fits_is_to_be_made_full() -> None:
    quick = facts(sql=SLICE, runs=runs(longest=dt.timedelta(minutes=1), rows=100.0))  # a tenth of the rows in a minute
    assert said("full_refresh", quick) == (
        "fail",
        "The slice is inserted again. By its runs, loading all rows would take about 10 min of 24 h.",
    )
    assert RULES["full_refresh"].judge(quick).remedies[0].words.startswith("Make it a full refresh")


def test_an_incremental_whose_whole_load_does_not_fit_is_sound() -> None:
    assert outcome("full_refresh", facts(sql=SLICE, runs=runs(longest=dt.timedelta(hours=1), rows=100.0))) == "pass"


def test_an_incremental_is_sound_where_a_full_refresh_would_lose_history() -> None:
    quick = facts(sql=SLICE, runs=runs(rows=100.0), inputs=(replace(ORDERS, keeps=90),))
    assert said("full_refresh", quick)[0] == "pass"
    assert "would lose the rest" in said("full_refresh", quick)[1]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (facts(sql=SLICE), "pass"),
        (facts(sql=replace(SLICE, idempotent=None)), "unknown"),
        (facts(sql=CLOCK), "fail"),
        (facts(sql=APPEND), "fail"),
        (facts(sql=replace(APPEND, idempotent=None)), "unknown"),
        (facts(sql=Sql(1)), "unknown"),
        (facts(), "unknown"),
        (facts(load_strategy="incremental"), "unknown"),
        (facts(sql=Sql(1), load_strategy="append"), "unknown"),
    ],
)
def test_a_part_load_must_be_seen_to_be_sound(known: Facts, expected: str) -> None:
    assert outcome("full_refresh", known) == expected


def test_a_declaration_that_the_sql_contradicts_is_the_finding() -> None:
    assert said("full_refresh", facts(sql=APPEND, load_strategy="incremental")) == (
        "fail",
        "It is declared as incremental, and its SQL does an append. Rows are added.",
    )
    assert outcome("full_refresh", facts(sql=SLICE, load_strategy="merge")) == "pass"  # a merge is incremental


def test_a_schedule_that_the_runs_contradict_is_the_finding() -> None:
    weekly = facts(sql=WHOLE, scheduled=(DAY, DAY), runs=runs(every=7 * DAY))
    assert said("full_refresh", weekly)[0] == "fail"
    assert "every 24 h, and its runs come every 7 days" in said("full_refresh", weekly)[1]
    assert outcome("full_refresh", facts(sql=WHOLE, scheduled=(DAY, DAY), runs=runs(every=DAY * 1.2))) == "pass"


def test_a_run_must_fit_the_shortest_gap_of_its_schedule() -> None:
    mornings = facts(sql=WHOLE, scheduled=(DAY / 24, DAY / 3), runs=runs(longest=DAY / 24, every=DAY / 3))
    assert outcome("full_refresh", mornings) == "fail"


# Idempotent and atomic


@pytest.mark.parametrize(
    ("idempotent", "atomic", "expected"),
    [
        (True, True, "pass"),
        (True, None, "unknown"),
        (None, True, "unknown"),
        (False, None, "fail"),
        (None, False, "fail"),
        (True, False, "fail"),
    ],
)
def test_both_idempotent_and_atomic(idempotent: bool | None, atomic: bool | None, expected: str) -> None:
    assert outcome("idempotent", facts(sql=replace(WHOLE, idempotent=idempotent, atomic=atomic))) == expected


def test_without_sql_nobody_can_say_whether_it_is_idempotent() -> None:
    assert outcome("idempotent", facts(load_strategy="full_refresh")) == "unknown"


def test_evidence_names_the_line() -> None:
    assert RULES["idempotent"].judge(facts(sql=CLOCK)).evidence[0].line == 4


# Backfill


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (facts(sql=WHOLE), "pass"),
        (facts(sql=SLICE), "fail"),
        (facts(sql=SLICE, backfill="Trigger with a day."), "pass"),
        (facts(sql=SLICE, orchestrator="Airflow"), "pass"),
        (facts(sql=CLOCK, backfill="Trigger with a day."), "fail"),
        (facts(sql=Sql(1)), "unknown"),
        (facts(sql=Sql(1), backfill="Run it again."), "pass"),
        (facts(backfill="Run it again."), "pass"),
        (facts(), "unknown"),
        (facts(sql=SLICE, catchup=True), "pass"),
        (facts(sql=SLICE, catchup=False), "fail"),
        (facts(sql=SLICE, orchestrator="airflow", catchup=False), "pass"),
        (facts(sql=CLOCK, catchup=True), "fail"),
        (facts(sql=Sql(1), catchup=True), "pass"),
        (facts(catchup=True), "pass"),
        (facts(catchup=False), "unknown"),
    ],
)
def test_backfill_is_easy(known: Facts, expected: str) -> None:
    assert outcome("backfill", known) == expected


def test_instructions_that_the_sql_contradicts_are_told() -> None:
    assert said("backfill", facts(sql=CLOCK, backfill="Trigger with a day."))[1] == (
        "It moves with the clock. Yet it is written: “Trigger with a day.”"
    )


def test_what_catchup_does_is_told() -> None:
    assert "runs by itself the dates that it missed" in said("backfill", facts(sql=SLICE, catchup=True))[1]
    off = facts(sql=SLICE, orchestrator="airflow", catchup=False)
    assert "when it is told to; catchup is off" in said("backfill", off)[1]
    assert said("backfill", facts(sql=CLOCK, catchup=True))[1] == (
        "It moves with the clock. Yet catchup is on: dates that it missed are run later, and leave those other rows."
    )


# Documented and owned


def test_documented_with_owners_who_are_here() -> None:
    assert outcome("documentation", facts(business=(ADA,), technical=(BEN, ADA))) == "pass"


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ({"business": ()}, "No business owner is on record."),
        ({"technical": (BEN,)}, "Ben, technical owner, has left."),
        ({"inputs": (replace(ORDERS, is_described=False),)}, "The input orders is not described."),
        ({"outputs": (replace(DAILY, is_described=False),)}, "The output daily is not described."),
    ],
)
def test_one_thing_lacking_leaves_it_undocumented(lacking: dict, words: str) -> None:
    assert said("documentation", facts(**{"business": (ADA,), "technical": (ADA,), **lacking})) == ("fail", words)


def test_a_description_is_lacking_to_all_who_use_the_table() -> None:
    bare = facts(business=(ADA,), technical=(ADA,), inputs=(replace(ORDERS, is_described=False),))
    assert RULES["documentation"].judge(bare).remedies[0].about == ORDERS.node


def test_owners_alone_do_not_document_what_nobody_knows() -> None:
    assert outcome("documentation", facts(business=(ADA,), technical=(ADA,), inputs=(), outputs=())) == "unknown"


def test_much_that_is_lacking_is_counted() -> None:
    bare = tuple(TableFact(f"table:shop:t{number}", f"t{number}") for number in range(9))
    assert "And 6 more are lacking." in said("documentation", facts(inputs=bare))[1]


# No unused outputs


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["in_use", "protected"], "pass"),
        (["in_use", "unread"], "fail"),
        (["unknown", "feeds_unread"], "fail"),
        (["in_use", "unknown"], "unknown"),
        (["in_use", ""], "unknown"),
        ([], "unknown"),
    ],
)
def test_outputs_are_used(verdicts: list[str], expected: str) -> None:
    outputs = tuple(TableFact(f"t{place}", f"t{place}", verdict=word) for place, word in enumerate(verdicts))
    assert outcome("unused_outputs", facts(outputs=outputs)) == expected


# Incidents understood

LATE = IncidentFact("Doubled day", is_over=True, has_report=False, days_over=20)


@pytest.mark.parametrize(
    ("incidents", "expected"),
    [
        ((), "pass"),
        ((LATE,), "fail"),
        ((replace(LATE, days_over=3),), "pass"),
        ((replace(LATE, is_over=False),), "pass"),
        ((replace(LATE, has_report=True),), "pass"),
        ((replace(LATE, has_report=True, overdue=("Add a check",)),), "fail"),
    ],
)
def test_incidents_are_understood(incidents: tuple[IncidentFact, ...], expected: str) -> None:
    assert outcome("post_mortems", facts(incidents=incidents, records_incidents=True)) == expected


def test_where_nobody_records_incidents_nobody_can_say() -> None:
    assert outcome("post_mortems", facts()) == "unknown"


# Inputs and outputs checked

KEYED = replace(DAILY, checks=frozenset({"unique_key", "row_count"}))
FRESH = replace(ORDERS, checks=frozenset({"freshness"}))
STATED = replace(DAILY, unheard=("not_null", "row_count", "unique_key"))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (facts(tier=4), "pass"),
        (facts(tier=3), "fail"),
        (facts(tier=3, outputs=(replace(DAILY, checks=frozenset({"not_null"})),)), "pass"),
        (facts(tier=2, outputs=(replace(DAILY, checks=frozenset({"unique_key"})),)), "fail"),
        (facts(tier=2, outputs=(KEYED,)), "pass"),
        (facts(tier=1, outputs=(KEYED,)), "fail"),
        (facts(tier=1, outputs=(KEYED,), inputs=(FRESH,)), "pass"),
        (facts(tier=1, outputs=(KEYED,), checks=frozenset({"in_out_ratio"})), "pass"),
        (facts(), "unknown"),
        (facts(outputs=(KEYED,)), "pass"),
        (facts(tier=1, outputs=()), "unknown"),
        (facts(tier=2, outputs=(STATED,)), "unknown"),
        (facts(outputs=(STATED,)), "unknown"),
        (facts(tier=1, outputs=(STATED,)), "fail"),  # nobody states any of its input
        (facts(tier=2, outputs=(replace(DAILY, unheard=("unique_key",)),)), "fail"),
        (facts(tier=2, outputs=(replace(STATED, checks=KEYED.checks),)), "pass"),
    ],
)
def test_checks_in_proportion_to_the_tier(known: Facts, expected: str) -> None:
    assert outcome("checked", known) == expected


def test_checks_that_are_only_stated_prove_nothing() -> None:
    assert said("checked", facts(tier=2, outputs=(STATED,), inputs=(replace(ORDERS, unheard=("freshness",)),))) == (
        "unknown",
        "3 checks are stated for daily, and none has reported a result. "
        "1 check is stated for orders, and none has reported a result. "
        "Whether they are run is not known until their results arrive here.",
    )


def test_a_failing_check_is_told_and_still_checks() -> None:
    failing = facts(tier=2, outputs=(replace(KEYED, is_failing=True),))
    assert said("checked", failing) == ("pass", "Its tables are checked as tier 2 needs. Failing now: those of daily.")
