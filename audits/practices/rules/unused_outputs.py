"""Whatever it writes, somebody needs: by the verdicts on the use of tables."""

from __future__ import annotations

from audits.practices.facts import NEEDED, UNNEEDED, Facts, Judgement, Remedy, fails, passes, unknown

MOST_NAMED = 5


def judge(facts: Facts) -> Judgement:
    """One unread output fails it; where use is not known, neither is this."""
    if not facts.outputs:
        return unknown("What it writes is not known.")
    unread = [table for table in facts.outputs if table.verdict in UNNEEDED]
    if unread:
        return fails(
            *(_said(table.name, table.verdict) for table in unread[:MOST_NAMED]),
            mend=[
                Remedy(f"Delete {table.name} with what builds it, by a deletion review.", table.node)
                for table in unread
            ],
        )
    untold = [table for table in facts.outputs if table.verdict not in NEEDED]
    if untold:
        return unknown(f"Whether anybody reads {_names(untold)} is not known: see the verdict there.")
    return passes(f"{_names(facts.outputs)}: in use, or protected.")


def _said(name: str, verdict: str) -> str:
    return f"Nobody reads {name}." if verdict == "unread" else f"{name} feeds only tables that nobody reads."


def _names(tables) -> str:  # noqa: ANN001
    named = ", ".join(table.name for table in tables[:3])
    return named if len(tables) <= 3 else f"{named} and {len(tables) - 3} more"
