"""Keys that SQL itself tells of: what a MERGE matches on, and what the query behind a summary table groups by. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from audits.checks.kinds import MOST_COLUMNS
from catalog.table_names import parts_of


@dataclass(frozen=True)
class Key:
    """Columns of a table that its rows are told apart by, and how that is known."""

    columns: tuple[str, ...]
    words: str


def keys_in_sql(sql: str, dialect: str, table: str) -> list[Key]:
    """The keys of a table, by its dotted name, that a script which writes it shows. What cannot be read shows none."""
    try:
        statements = sqlglot.parse(sql, dialect=dialect or None)
    except (SqlglotError, RecursionError):
        return []
    found: dict[tuple[str, ...], Key] = {}
    for statement in statements:
        for key in _keys(statement, table):
            if 1 <= len(key.columns) <= MOST_COLUMNS:
                found.setdefault(key.columns, key)
    return list(found.values())


def _keys(statement: exp.Expression | None, table: str) -> Iterator[Key]:
    match statement:
        case exp.Merge() if _is(statement.this, table):
            yield Key(_matched(statement), "merges on them")
        case exp.Insert() | exp.Create() if _is(statement.this, table):
            query = statement.expression
            if isinstance(query, exp.Select):
                yield from _grouped(query, _column_names(statement))
        case exp.Select():  # the whole file is the table's query
            yield from _grouped(statement, ())


def _is(target: exp.Expression | None, table: str) -> bool:
    """Whether a written target is the table, as far as its name is written out."""
    target = target.this if isinstance(target, exp.Schema) else target
    if not isinstance(target, exp.Table):
        return False
    written = [part.name.lower() for part in target.parts]
    whole = [part.lower() for part in parts_of(table)]
    return whole[-len(written) :] == written


def _matched(merge: exp.Merge) -> tuple[str, ...]:
    """Columns of the target in the equations of ON; none where anything else stands there."""
    target = merge.this.alias_or_name.lower()
    columns = []
    for part in merge.args["on"].flatten() if isinstance(merge.args["on"], exp.And) else [merge.args["on"]]:
        part = part.unnest()
        sides = [part.this, part.expression] if isinstance(part, exp.EQ) else []
        mine = [side for side in sides if isinstance(side, exp.Column) and side.table.lower() == target]
        if len(mine) != 1:
            return ()
        columns.append(mine[0].name)
    return tuple(columns)


def _column_names(insert: exp.Expression) -> tuple[str, ...]:
    """The columns that an INSERT names, in order."""
    schema = insert.this
    return tuple(each.name for each in schema.expressions) if isinstance(schema, exp.Schema) else ()


def _grouped(query: exp.Select, names: tuple[str, ...]) -> Iterator[Key]:
    """What a plain GROUP BY groups by, under the names that it has in the result."""
    group = query.args.get("group")
    plain = group is not None and not any(
        value for key, value in group.args.items() if key not in ("expressions", "all")
    )
    if not plain:
        return
    selected = list(query.expressions)
    if any(isinstance(each, exp.Star) or each.find(exp.Explode, exp.Unnest) for each in selected):
        return
    results = {}
    for place, each in enumerate(selected):
        name = names[place] if place < len(names) else each.alias_or_name
        results[each.unalias()] = name
        results[exp.column(each.alias_or_name)] = name
        results[exp.Literal.number(place + 1)] = name
    found = [results.get(each.unnest() if isinstance(each, exp.Paren) else each, "") for each in group.expressions]
    found += [""] if not group.expressions else []
    if all(found):
        yield Key(tuple(dict.fromkeys(found)), "groups by them")
