"""Changes that somebody plans, or mishaps that happened, as an address states them: what the impact is asked of.

    drop_column column:warehouse:mart.orders:reason
    rename_column column:warehouse:mart.orders:reason reason_code
    wrong_rows table:warehouse:mart.orders 2026-03-01..2026-03-04

A word that says what happens, a node id, and for some what comes of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from catalog.models import Column, Pipeline, Table
from lineage.nodes import NodeId, find

MOST_CHANGES = 50
LONGEST_SQL = 100_000  # characters


@dataclass(frozen=True)
class Verb:
    """What can happen to things of one `kind`; `asks` says what else must be told, `words` how it reads."""

    label: str
    kind: str
    words: str
    asks: str = ""
    is_optional: bool = False
    is_offered: bool = True  # to people; the others only programs ask


VERBS = {
    "drop_table": Verb("Drop a table", "table", "{thing} is dropped"),
    "rename_table": Verb("Rename a table", "table", "{thing} is renamed to {argument}", "new name"),
    "drop_column": Verb("Drop a column", "column", "column {thing} is dropped"),
    "rename_column": Verb("Rename a column", "column", "column {thing} is renamed to {argument}", "new name"),
    "retype_column": Verb("Retype a column", "column", "column {thing} becomes {argument}", "new type"),
    "retire_pipeline": Verb("Retire a pipeline", "pipeline", "{thing} runs no more"),
    "replace_sql": Verb("Replace a pipeline's SQL", "pipeline", "{thing} gets another SQL", "new SQL"),
    "lose_columns": Verb(
        "Columns cannot be told any more", "table", "nobody can tell the columns of {thing} any more", is_offered=False
    ),
    "not_refreshed": Verb("Was not refreshed", "table", "{thing} has no new data{argument}", "since", True),
    "run_failed": Verb("A run failed", "pipeline", "a run of {thing} failed"),
    "wrong_rows": Verb("Has wrong rows", "table or column", "{thing} has wrong rows{argument}", "days", True),
}


@dataclass(frozen=True)
class PlannedChange:
    """One of them, with the thing it is about."""

    verb: str
    node: NodeId
    argument: str
    thing: Table | Pipeline | Column

    @classmethod
    def parse(cls, text: str, *, columns_may_be_new: bool = False) -> PlannedChange:
        """The change that `text` spells, its thing looked up by one query. ValueError says what is wrong, LookupError
        what is not there; where columns may be new, one of a table that is there need not be."""
        verb, _, rest = text.strip().partition(" ")
        name, _, argument = rest.strip().partition(" ")
        if verb not in VERBS:
            raise ValueError(f"{verb!r} is no change known here. Write one of: {', '.join(VERBS)}.")
        node, kinds = NodeId.parse(name), VERBS[verb].kind
        if node.kind not in kinds:
            raise ValueError(f"{verb} is about a {kinds}, not a {node.kind}.")
        argument = _ARGUMENTS.get(verb, _none)(argument.strip())
        if node.kind == "column" and columns_may_be_new:
            table = find(NodeId("table", node.name, node.source))
            column = Column.objects.filter(table=table, name=node.column).first()
            return cls(verb, node, argument, column or Column(table=table, name=node.column))
        return cls(verb, node, argument, find(node))

    def __str__(self) -> str:
        return " ".join(filter(None, [self.verb, str(self.node), self.argument]))

    @property
    def table_id(self) -> int | None:
        """The table that it is about, or whose column; None for a pipeline."""
        return self.thing.pk if isinstance(self.thing, Table) else getattr(self.thing, "table_id", None)

    @property
    def words(self) -> str:
        """The change as a clause: "column reason of mart.orders is dropped"."""
        thing = f"{self.node.column} of {self.node.name}" if self.node.column else self.node.name
        if self.verb == "wrong_rows" and self.node.column:
            thing = f"column {thing}"
        argument = self.argument
        if VERBS[self.verb].is_optional and argument:
            first, _, last = argument.partition("..")
            argument = (
                f" from {first} to {last}" if last else f" {'since' if self.verb == 'not_refreshed' else 'for'} {first}"
            )
        return VERBS[self.verb].words.format(thing=thing, argument=argument)


def _none(text: str) -> str:
    if text:
        raise ValueError(f"Nothing is asked after the node id, so {text[:80]!r} has no place here.")
    return ""


def _some(what: str, longest: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not text:
            raise ValueError(f"Write the {what} after the node id.")
        if len(text) > longest:
            raise ValueError(f"The {what} has {len(text):,} characters; {longest:,} at most.")
        return text

    return check


def _day(text: str) -> str:
    if text:
        _as_day(text)
    return text


def _days(text: str) -> str:
    """One day, or two with .. between them."""
    if text:
        first, _, last = text.partition("..")
        if last and _as_day(last) < _as_day(first):
            raise ValueError(f"{last} lies before {first}.")
        _as_day(first)
    return text


def _as_day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a day: write 2026-03-01, or 2026-03-01..2026-03-04 for several.") from error


_ARGUMENTS: dict[str, Callable[[str], str]] = {
    "rename_table": _some("new name", 500),
    "rename_column": _some("new name", 300),
    "retype_column": _some("new type", 1000),
    "replace_sql": _some("new SQL", LONGEST_SQL),
    "not_refreshed": _day,
    "wrong_rows": _days,
}
