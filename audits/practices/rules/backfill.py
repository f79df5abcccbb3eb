"""Running it again for the past is easy: nothing hangs on the clock, and how to do it is plain or written down."""

from __future__ import annotations

from audits.practices.facts import (
    FULL_REFRESH,
    REPEATABLE,
    Facts,
    Judgement,
    Sentence,
    fails,
    passes,
    shown_by,
    unknown,
)

_CAUGHT_UP = "Catchup is on: its scheduler runs by itself the dates that it missed."


def judge(facts: Facts) -> Judgement:
    """The SQL decides where it can; what is written down counts beside it, and may be contradicted by it."""
    safe = facts.sql.backfill_safe if facts.sql else None
    if safe is False:
        return _unsafe(facts)
    if safe is None:
        return _untold(facts)
    assert facts.sql is not None  # noqa: S101 it said so
    how = shown_by(facts.sql.reason("load_strategy"), "Its SQL can be run again for any day.")
    if facts.detected == FULL_REFRESH:
        return passes(how, "Running it again loads everything.")
    if facts.backfill:
        return passes(how, _written(facts))
    if again := _by_its_scheduler(facts):
        return passes(how, again)
    return fails(
        how,
        "How to run it again for past days is written nowhere.",
        mend=["Write down how to run it again for past days."],
    )


def _unsafe(facts: Facts) -> Judgement:
    assert facts.sql is not None  # noqa: S101 it said so
    reason = facts.sql.reason("backfill_safe", "idempotent")
    against = [f"Yet it is written: {_quoted(facts.backfill)}"] if facts.backfill else []
    if facts.catchup:
        against.append("Yet catchup is on: dates that it missed are run later, and leave those other rows.")
    return fails(
        shown_by(reason, "A run for a past day leaves other rows than that day's own run."),
        *against,
        mend=[REPEATABLE],
    )


def _untold(facts: Facts) -> Judgement:
    doubt = Sentence("There is no SQL to read it off.")
    if facts.sql:
        doubt = shown_by(facts.sql.reason("backfill_safe", "idempotent"), "Its SQL alone does not tell.")
    if facts.backfill:
        return passes(_written(facts), doubt)
    if facts.catchup:
        return passes(_CAUGHT_UP, doubt)
    return unknown(doubt, "Nothing is written down either.")


def _by_its_scheduler(facts: Facts) -> str:
    """How its scheduler runs it for past dates, "" where none is known to."""
    if facts.catchup:
        return _CAUGHT_UP
    if facts.orchestrator.lower() != "airflow":
        return ""
    if facts.catchup is None:
        return "Airflow runs it again for past dates."
    return "Airflow runs it again for past dates when it is told to; catchup is off, so that none is run by itself."


def _written(facts: Facts) -> Sentence:
    return Sentence(f"It is written down: {_quoted(facts.backfill)}")


def _quoted(text: str) -> str:
    text = " ".join(text.split())
    return f"“{text if len(text) <= 200 else text[:199] + '…'}”"
