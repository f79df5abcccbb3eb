"""Full refresh wherever the whole load fits its schedule; else an incremental that finds what is new by time or key."""

from __future__ import annotations

import datetime as dt

from audits.practices.facts import (
    APPEND,
    FULL_REFRESH,
    INCREMENTAL,
    MERGE,
    REPEATABLE,
    SPOKEN,
    Facts,
    Judgement,
    Sentence,
    fails,
    passes,
    shown_by,
    unknown,
)
from catalog.moments import lasting

FITS = 4  # a whole load fits where it takes a quarter of the time between runs at most
TOO_LONG = 2  # and is too long where it takes more than half of it


def judge(facts: Facts) -> Judgement:
    """By the strategy that the SQL shows, else the declared one; where the two differ that is the finding."""
    strategy = facts.detected or facts.load_strategy
    if facts.detected and facts.load_strategy and not _agree(facts.load_strategy, facts.detected):
        return _contradiction(facts)
    if drift := _drift(facts):
        return drift
    if strategy == FULL_REFRESH:
        return _of_whole(facts)
    if strategy in (INCREMENTAL, MERGE):
        return _of_part(facts, strategy)
    if strategy == APPEND:
        return _of_append(facts)
    return unknown("Neither its SQL nor anybody says how it loads." if facts.sql else "Nobody says how it loads.")


def _agree(declared: str, detected: str) -> bool:
    """A merge is a way to load incrementally."""
    return declared == detected or {declared, detected} == {INCREMENTAL, MERGE}


def _contradiction(facts: Facts) -> Judgement:
    assert facts.sql is not None  # noqa: S101 something was detected
    reason = facts.sql.reason("load_strategy", "idempotent")
    return fails(
        f"It is declared as {SPOKEN[facts.load_strategy]}, and its SQL does {SPOKEN[facts.detected]}.",
        *([shown_by(reason, "")] if reason else []),
        mend=[REPEATABLE if facts.detected == APPEND else "Make its SQL load as declared, or declare what it does."],
    )


def _drift(facts: Facts) -> Judgement | None:
    """The schedule says another rhythm than the runs."""
    if facts.scheduled is None or facts.runs is None or facts.runs.every is None:
        return None
    usual, true = facts.scheduled[1], facts.runs.every
    if usual / 2 < true < usual * 2:
        return None
    return fails(
        f"It is scheduled every {lasting(usual)}, and its runs come every {lasting(true)}.",
        mend=["Correct the declared schedule, or find out why it runs otherwise."],
    )


def _every(facts: Facts) -> dt.timedelta | None:
    """The time that a run has: the shortest between two starts, by the schedule, else by the runs."""
    if facts.scheduled:
        return facts.scheduled[0]
    return facts.runs.every if facts.runs else None


def _how(facts: Facts) -> Sentence:
    """What says how it loads."""
    if facts.sql and facts.detected:
        return shown_by(facts.sql.reason("load_strategy"), f"Its SQL does {SPOKEN[facts.detected]}.")
    beside = "its SQL does not show how its rows are loaded" if facts.sql else "there is no SQL to compare with"
    return Sentence(f"Declared as {SPOKEN[facts.load_strategy]}; {beside}.")


def _of_whole(facts: Facts) -> Judgement:
    every = _every(facts)
    if facts.runs is None or every is None:
        return passes(_how(facts), "How long that takes is not known: no run is on record.")
    takes = f"The longest of {facts.runs.number} runs took {lasting(facts.runs.longest)} of {lasting(every)}."
    if facts.runs.longest * TOO_LONG > every:
        return fails(_how(facts), takes, mend=["Load only what is new or changed: the whole no longer fits."])
    return passes(_how(facts), takes)


def _of_part(facts: Facts, strategy: str) -> Judgement:
    whole, every = _whole_load(facts), _every(facts)
    if whole and every and whole * FITS <= every and not _history_is_lost(facts):
        return fails(
            _how(facts),
            f"By its runs, loading all rows would take about {lasting(whole)} of {lasting(every)}.",
            mend=["Make it a full refresh: the whole fits."],
        )
    if facts.sql is None or not facts.detected or facts.sql.idempotent is None:
        doubt = facts.sql.reason("idempotent", "backfill_safe") if facts.sql and facts.detected else None
        return unknown(
            _how(facts), shown_by(doubt, "By which column or key it finds what is new cannot be told from here.")
        )
    if not facts.sql.idempotent:
        reason = facts.sql.reason("idempotent", "backfill_safe")
        return fails(
            _how(facts),
            shown_by(reason, "The part that it loads is not the same on a second run."),
            mend=[REPEATABLE],
        )
    kept = _history_is_lost(facts)
    return passes(_how(facts), *([kept] if kept else []))


def _of_append(facts: Facts) -> Judgement:
    if facts.sql is None or not facts.detected or facts.sql.idempotent is not False:
        return unknown(_how(facts), "Nothing shows which records are new.")
    return fails(
        shown_by(facts.sql.reason("idempotent"), "Rows are only added."),
        "That is no full refresh, and nothing names the rows that are new.",
        mend=[REPEATABLE],
    )


def _whole_load(facts: Facts) -> dt.timedelta | None:
    """How long all rows would take at the speed of its runs; more than it truly would, as starting takes time too."""
    runs, rows = facts.runs, [table.rows for table in facts.outputs]
    if runs is None or not runs.rows or not rows or None in rows:
        return None
    total = sum(number or 0 for number in rows)
    return runs.longest * max(1.0, total / runs.rows)


def _history_is_lost(facts: Facts) -> str:
    """Why a full refresh would lose rows, "" where nothing says that it would."""
    for output in facts.outputs:
        if output.is_original:
            return f"{output.name} holds what its sources no longer do."
        for table in facts.inputs:
            if table.keeps is not None and (output.keeps is None or output.keeps > table.keeps):
                return f"{table.name} keeps {table.keeps} days, {output.name} more: a full refresh would lose the rest."
    return ""
