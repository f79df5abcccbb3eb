"""What changed in a table's columns between two readings of its schema. Plain values in and out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column stands (1-based) and its type, "" where that is not known."""

    position: int
    type: str


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """One change; `column` is the column's name now, `before` and `after` are names or types."""

    change: str
    column: str
    before: str = ""
    after: str = ""


def changes_between(before: Mapping[str, Place], after: Mapping[str, Place], dialect: str = "") -> list[ColumnChange]:
    """Added, dropped, renamed and retyped columns, in the order of the table.

    A column that vanished is renamed where a new one of the same type stands in its place:
    (id INT, total INT) -> (id INT, amount INT) renames total to amount.
    """
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    renamed = _renamed(before, after, gone, new, dialect)
    found = [(after[name].position, ColumnChange("renamed", name, old, name)) for old, name in renamed.items()]
    found += [
        (after[name].position, ColumnChange("added", name, after=after[name].type))
        for name in new - set(renamed.values())
    ]
    found += [
        (before[name].position, ColumnChange("dropped", name, before=before[name].type)) for name in gone - set(renamed)
    ]
    found += [
        (after[name].position, ColumnChange("retyped", name, before[name].type, after[name].type))
        for name in before.keys() & after.keys()
        if before[name].type and after[name].type and not same_type(before[name].type, after[name].type, dialect)
    ]
    return [change for _, change in sorted(found, key=lambda item: (item[0], item[1].column, item[1].change))]


def _renamed(
    before: Mapping[str, Place], after: Mapping[str, Place], gone: Collection[str], new: Collection[str], dialect: str
) -> dict[str, str]:
    """{old name: new name}"""
    by_position = {after[name].position: name for name in new}
    pairs = {old: by_position.get(before[old].position) for old in gone}
    return {
        old: name
        for old, name in pairs.items()
        if name and before[old].type and same_type(before[old].type, after[name].type, dialect)
    }


@lru_cache(maxsize=10_000)
def same_type(one: str, other: str, dialect: str = "") -> bool:
    """Whether two spellings mean one type: INT64 and BIGINT in BigQuery, varchar(20) and VARCHAR( 20 )."""
    if _plain(one) == _plain(other):
        return True
    try:
        kinds = [exp.DataType.build(text, dialect=dialect or None) for text in (one, other)]
    except (sqlglot.ParseError, sqlglot.TokenError, ValueError):
        return False
    return kinds[0] == kinds[1]


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()
