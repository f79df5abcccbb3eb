"""Run twice, it leaves the same rows; cut short, it leaves all of them or none."""

from __future__ import annotations

from audits.practices.facts import REPEATABLE, Facts, Judgement, fails, passes, shown_by, unknown


def judge(facts: Facts) -> Judgement:
    """Both must be seen in the SQL to pass; either one seen to be untrue fails."""
    sql = facts.sql
    if sql is None:
        return unknown("There is no SQL to read it off.")
    evidence, mend = [], []
    if sql.idempotent is False:
        evidence.append(shown_by(sql.reason("idempotent", "backfill_safe"), "A second run leaves other rows."))
        mend.append(REPEATABLE)
    if sql.atomic is False:
        evidence.append(shown_by(sql.reason("atomic"), "A run cut short leaves a part of its rows."))
        mend.append("Put the statements that change the table into one transaction.")
    if mend:
        return fails(*evidence, mend=mend)
    if sql.idempotent and sql.atomic:
        how = shown_by(sql.reason("load_strategy"), "Its SQL leaves the same rows on every run.")
        return passes(how, "A second run leaves the same rows, and readers see them all at once.")
    doubts = []
    if sql.idempotent is None:
        reason = sql.reason("idempotent", "backfill_safe")
        doubts.append(shown_by(reason, "Its SQL alone does not tell whether a second run leaves the same rows."))
    if sql.atomic is None:
        doubts.append(shown_by(sql.reason("atomic"), "Its SQL alone does not tell whether readers see a part of it."))
    return unknown(*doubts)
