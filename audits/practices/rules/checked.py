"""Inputs and outputs are checked, in proportion to the tier: what is critical needs its key and its rows watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from audits.practices.facts import Facts, Judgement, Remedy, TableFact, fails, passes, unknown

KEY = frozenset({"unique_key", "duplicate_rows"})
ROWS = frozenset({"row_count", "row_count_change", "usual_row_count", "in_out_ratio"})
ARRIVAL = ROWS | {"freshness"}
MOST_NAMED = 5


def judge(facts: Facts) -> Judgement:
    """Tier 1: key and rows of each output, rows or freshness of each input. Tier 2: key and rows of each output.
    Tier 3: any check of each output. Tier 4: none. Checks that have never run do not count; where another tool is said
    to run those that are needed, and no result of them has ever arrived, nobody can say."""
    if facts.tier == 4:
        return passes("Tier 4 needs no checks.")
    if not facts.outputs:
        return unknown("What it writes is not known.")
    lacks = list(_lacks(facts, lambda table: table.checks | {*table.unheard}))
    if lacks and facts.tier is None:
        return unknown("No tier is stated, so what it needs is not known.", *(words for words, _ in lacks[:MOST_NAMED]))
    if lacks:
        said = [f"Tier {facts.tier}: {words}" for words, _ in lacks[:MOST_NAMED]]
        return fails(*said, mend=[mend for _, mend in lacks])
    if any(_lacks(facts, lambda table: table.checks)):
        return unknown(*_unheard(facts), "Whether they are run is not known until their results arrive here.")
    failing = sorted({table.name for table in (*facts.inputs, *facts.outputs) if table.is_failing})
    failing += [facts.name] if facts.is_failing else []
    now = f" Failing now: those of {', '.join(failing[:MOST_NAMED])}." if failing else " They pass."
    return passes(f"Its tables are checked as {_of(facts.tier)} needs.{now}")


def _of(tier: int | None) -> str:
    return f"tier {tier}" if tier else "its tier, whichever it is,"


def _unheard(facts: Facts) -> Iterator[str]:
    tables = {table.node: table for table in (*facts.outputs, *facts.inputs) if table.unheard}
    for table in list(tables.values())[:MOST_NAMED]:
        number = len(table.unheard)
        are = "check is" if number == 1 else "checks are"
        yield f"{number} {are} stated for {table.name}, and none has reported a result."


def _lacks(facts: Facts, checks_of: Callable[[TableFact], frozenset[str]]) -> Iterator[tuple[str, Remedy]]:
    """What the tier asks for and no check looks at; without a tier as for the third."""
    tier = facts.tier or 3
    for table in facts.outputs:
        have = checks_of(table) | facts.checks
        if tier == 3 and not have:
            yield _lacking(table, "output", "a check")
        if tier <= 2 and not have & KEY:
            yield _lacking(table, "output", "a check of the unique key")
        if tier <= 2 and not have & ROWS:
            yield _lacking(table, "output", "a check of the row count")
    if tier == 1:
        for table in facts.inputs:
            if not (checks_of(table) | facts.checks) & ARRIVAL:
                yield _lacking(table, "input", "a check of the row count or freshness")


def _lacking(table: TableFact, role: str, what: str) -> tuple[str, Remedy]:
    return f"the {role} {table.name} lacks {what}.", Remedy(f"Add {what} to {table.name}.", table.node)
