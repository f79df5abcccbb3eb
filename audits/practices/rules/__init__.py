"""The practices: one module each, each one function from facts to a judgement. To add one: its module, a line here,
its test, its paragraph in docs/guides/scorecards.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audits.practices.facts import Facts, Judgement
from audits.practices.rules import (
    backfill,
    checked,
    documentation,
    full_refresh,
    idempotent,
    post_mortems,
    unused_outputs,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A practice: its code, its name on pages, and the function that judges it."""

    code: str
    name: str
    judge: Callable[[Facts], Judgement]


RULES = {
    rule.code: rule
    for rule in (
        Rule("full_refresh", "Full refresh, or a sound incremental", full_refresh.judge),
        Rule("idempotent", "Idempotent and atomic", idempotent.judge),
        Rule("backfill", "Backfill is easy", backfill.judge),
        Rule("documentation", "Documented and owned", documentation.judge),
        Rule("unused_outputs", "No unused outputs", unused_outputs.judge),
        Rule("post_mortems", "Incidents understood", post_mortems.judge),
        Rule("checked", "Inputs and outputs checked", checked.judge),
    )
}
