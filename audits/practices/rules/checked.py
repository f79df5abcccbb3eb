"""Inputs and outputs are checked, in proportion to the tier: what is critical needs its key and its rows watched."""

from __future__ import annotations

from collections.abc import Iterator

from audits.practices.facts import Facts, Judgement, Remedy, TableFact, fails, passes, unknown

KEY = frozenset({"unique_key", "duplicate_rows"})
ROWS = frozenset({"row_count", "row_count_change", "usual_row_count", "in_out_ratio"})
ARRIVAL = ROWS | {"freshness"}
MOST_NAMED = 5


def judge(facts: Facts) -> Judgement:
    """Tier 1: key and rows of each output, rows or freshness of each input. Tier 2: key and rows of each output.
    Tier 3: any check of each output. Tier 4: none. Checks that have never run do not count, unless the repository of
    the SQL states them and has them run: then the words say that no result arrives here."""
    if facts.tier == 4:
        return passes("Tier 4 needs no checks.")
    if not facts.outputs:
        return unknown("What it writes is not known.")
    lacks = list(_lacks(facts))
    if lacks and facts.tier is None:
        return unknown("No tier is stated, so what it needs is not known.", *(words for words, _ in lacks[:MOST_NAMED]))
    if lacks:
        said = [f"Tier {facts.tier}: {words}" for words, _ in lacks[:MOST_NAMED]]
        return fails(*said, mend=[mend for _, mend in lacks])
    failing = sorted({table.name for table in (*facts.inputs, *facts.outputs) if table.is_failing})
    failing += [facts.name] if facts.is_failing else []
    unheard = any(table.is_unheard for table in (*facts.inputs, *facts.outputs))
    now = " Their repository has them run, and no results arrive here." if unheard else " They pass."
    now = f" Failing now: those of {', '.join(failing[:MOST_NAMED])}." if failing else now
    return passes(f"Its tables are checked as {_of(facts.tier)} needs.{now}")


def _of(tier: int | None) -> str:
    return f"tier {tier}" if tier else "its tier, whichever it is,"


def _lacks(facts: Facts) -> Iterator[tuple[str, Remedy]]:
    """What the tier asks for and no check looks at; without a tier as for the third."""
    tier = facts.tier or 3
    for table in facts.outputs:
        have = table.checks | facts.checks
        if tier == 3 and not have:
            yield _lacking(table, "output", "a check")
        if tier <= 2 and not have & KEY:
            yield _lacking(table, "output", "a check of the unique key")
        if tier <= 2 and not have & ROWS:
            yield _lacking(table, "output", "a check of the row count")
    if tier == 1:
        for table in facts.inputs:
            if not (table.checks | facts.checks) & ARRIVAL:
                yield _lacking(table, "input", "a check of the row count or freshness")


def _lacking(table: TableFact, role: str, what: str) -> tuple[str, Remedy]:
    return f"the {role} {table.name} lacks {what}.", Remedy(f"Add {what} to {table.name}.", table.node)
