"""The stored edges as a graph to walk: one SQL query per hop, current or as of a date.

Table grain: nodes are ("table", id); an edge without a target or a source ends at ("pipeline", id), where walks end
too, unless they start there. Column grain: ("column", id), and ("rows", table id) for every row of a table at once
(filters, joins, stars that could not be expanded).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, models
from django.db.models import Q, QuerySet

from lineage.graph import Edge, Node
from lineage.models import ColumnEdge, TableEdge
from lineage.snapshot import Snapshot
from lineage.sql.model import DIRECT_KINDS

_LEGS_PER_QUERY = 400  # SQLite takes 500 in one UNION
_TABLE_EDGE = ("source_table_id", "target_table_id", "pipeline_id")
_COLUMN_EDGE = ("source_table_id", "source_column_id", "target_table_id", "target_column_id", "pipeline_id", "kind")


@dataclass(frozen=True)
class Arm:
    """One way from a node to its neighbours: from the node in column `near` to the one in column `far`."""

    sign: int  # -1 upstream, 1 downstream
    near_kind: str
    near: str
    far_kind: str
    far: str
    where: str = "1 = 1"


class TableRows:
    """Edges between tables. `root` is a pipeline that a walk starts from: its edges lead to it and on from it.

    A `snapshot` of now knows how many neighbours a hub has without counting them.
    """

    def __init__(self, at: datetime | None = None, root: int | None = None, snapshot: Snapshot | None = None) -> None:
        self._at = at
        self._snapshot = snapshot if at is None and root is None else None
        self._root = root
        self._arms = [*_table_arms(-1, "target", "source", root), *_table_arms(1, "source", "target", root)]

    def hop(
        self, upstream_of: Collection[Node], downstream_of: Collection[Node], limit: int
    ) -> list[tuple[Node, Node]]:
        return _hop(TableEdge, self._arms, self._at, upstream_of, downstream_of, limit)

    def between(self, nodes: Collection[Node]) -> Iterator[Edge]:
        known = set(nodes)
        for row in _between(TableEdge, _TABLE_EDGE, self._arms, self._at, nodes):
            yield from (edge for edge in self._as_edges(*row) if edge.source in known and edge.target in known)

    def degrees(self, nodes: Collection[Node]) -> Mapping[Node, tuple[int, int]]:
        if self._snapshot is None:
            return _degrees(TableEdge, self._arms, self._at, nodes)
        counts = self._snapshot.degrees(_keys("table", nodes))
        return {("table", table): sides for table, sides in counts.items()}

    def _as_edges(self, source: int | None, target: int | None, pipeline: int) -> Iterator[Edge]:
        here = ("pipeline", pipeline)
        if source and target and pipeline != self._root:
            yield Edge(("table", source), ("table", target), pipeline)
            return
        if source:
            yield Edge(("table", source), here, pipeline)
        if target:
            yield Edge(here, ("table", target), pipeline)


class ColumnRows:
    """Edges between columns, and between every row of a table (an empty end of the edge) and them.

    With `direct_only` just those along which data goes: no filters, joins, groups, sorts and conditions.
    """

    def __init__(self, at: datetime | None = None, direct_only: bool = False) -> None:
        self._at = at
        kinds = ", ".join(f"'{kind}'" for kind in DIRECT_KINDS)
        where = f"kind IN ({kinds})" if direct_only else "1 = 1"
        self._arms = [*_column_arms(-1, "target", "source", where), *_column_arms(1, "source", "target", where)]

    def hop(
        self, upstream_of: Collection[Node], downstream_of: Collection[Node], limit: int
    ) -> list[tuple[Node, Node]]:
        return _hop(ColumnEdge, self._arms, self._at, upstream_of, downstream_of, limit)

    def between(self, nodes: Collection[Node]) -> Iterator[Edge]:
        for source_table, source_column, target_table, target_column, pipeline, kind in _between(
            ColumnEdge, _COLUMN_EDGE, self._arms, self._at, nodes
        ):
            yield Edge(_end(source_table, source_column), _end(target_table, target_column), pipeline, kind)

    def degrees(self, nodes: Collection[Node]) -> Mapping[Node, tuple[int, int]]:
        return _degrees(ColumnEdge, self._arms, self._at, nodes)


_AROUND = {
    "upstream": Arm(-1, "table", "target_table_id", "table", "source_table_id"),
    "downstream": Arm(1, "table", "source_table_id", "table", "target_table_id"),
    "builders": Arm(-1, "table", "target_table_id", "pipeline", "pipeline_id"),
    "readers": Arm(1, "table", "source_table_id", "pipeline", "pipeline_id"),
}


def around(table: int, limit: int) -> dict[str, tuple[list[int], int]]:
    """Of a table now: `upstream` and `downstream` tables, `builders` and `readers`, each as at most `limit` ids and the
    number of them all. One query, which reads a hub's index but not its rows."""
    legs, parameters = [], []
    for number, arm in enumerate(_AROUND.values()):
        legs.append(_leg(TableEdge, number, arm, "valid_to IS NULL", limit))
        legs.append(_count(TableEdge, number + len(_AROUND), arm, "= %s", "valid_to IS NULL"))
        parameters += [[table], [table]]
    rows = _fetch(legs, parameters)
    counts = {number - len(_AROUND): count for number, _, count in rows if number >= len(_AROUND)}
    return {
        name: ([far for leg, _, far in rows if leg == number], counts.get(number, 0))
        for number, name in enumerate(_AROUND)
    }


class Named(NamedTuple):
    """A node as answers name it. Of a column, and of every row of a table, all but `name` is its table's."""

    kind: str
    key: int
    name: str
    thing_kind: str
    status: str
    source: str = ""
    table: str = ""
    table_key: int = 0


def named(nodes: Iterable[Node]) -> list[Named]:
    """Names and facts of nodes; those that are gone are left out. One query."""
    keys: dict[str, list[int]] = defaultdict(list)
    for kind, key in nodes:
        keys[kind].append(key)
    legs = [f"{_NAMES[kind]} IN ({_marks(group)})" for kind, group in keys.items()]
    return [Named(*row) for row in _fetch(legs, list(keys.values()))]


_TABLE = "t.kind, t.status, s.slug, t.name, t.id FROM catalog_table t JOIN catalog_source s ON s.id = t.source_id"
_NAMES = {
    "table": f"SELECT 'table', t.id, t.name, {_TABLE} WHERE t.id",
    "rows": f"SELECT 'rows', t.id, 'all rows', {_TABLE} WHERE t.id",
    "column": f"SELECT 'column', c.id, c.name, {_TABLE} JOIN catalog_column c ON c.table_id = t.id WHERE c.id",
    "pipeline": "SELECT 'pipeline', id, name, kind, status, '', '', 0 FROM catalog_pipeline WHERE id",
}


def _table_arms(sign: int, near: str, far: str, root: int | None) -> list[Arm]:
    """From a table to tables, or to the pipeline where the edge has no other end or is one of the root's."""
    to_table, to_pipeline = "1 = 1", f"{far}_table_id IS NULL"
    if root is None:
        from_root = []
    else:
        to_table, to_pipeline = f"pipeline_id <> {root:d}", f"({to_pipeline} OR pipeline_id = {root:d})"
        from_root = [Arm(sign, "pipeline", "pipeline_id", "table", f"{far}_table_id", f"pipeline_id = {root:d}")]
    return [
        Arm(sign, "table", f"{near}_table_id", "table", f"{far}_table_id", to_table),
        Arm(sign, "table", f"{near}_table_id", "pipeline", "pipeline_id", to_pipeline),
        *from_root,
    ]


def _column_arms(sign: int, near: str, far: str, where: str) -> list[Arm]:
    nears = [("column", f"{near}_column_id", "1 = 1"), ("rows", f"{near}_table_id", f"{near}_column_id IS NULL")]
    fars = [("column", f"{far}_column_id", "1 = 1"), ("rows", f"{far}_table_id", f"{far}_column_id IS NULL")]
    return [
        Arm(sign, near_kind, near_column, far_kind, far_column, f"{near_where} AND {far_where} AND {where}")
        for near_kind, near_column, near_where in nears
        for far_kind, far_column, far_where in fars
    ]


def _hop(
    model: type[models.Model],
    arms: list[Arm],
    at: datetime | None,
    upstream_of: Collection[Node],
    downstream_of: Collection[Node],
    limit: int,
) -> list[tuple[Node, Node]]:
    """(source, target) of each neighbour, at most `limit` per node and arm.

    A node's limit is its own: of a hub, no more rows are read than can be drawn, and the others keep their turn.
    """
    held, moments = _held(at)
    legs, parameters = [], []
    for sign, nodes in ((-1, upstream_of), (1, downstream_of)):
        for kind, key in nodes:
            for number, arm in enumerate(arms):
                if (arm.sign, arm.near_kind) == (sign, kind):
                    legs.append(_leg(model, number, arm, held, limit))
                    parameters.append([key, *moments])
    pairs: list[tuple[Node, Node]] = []
    for start in range(0, len(legs), _LEGS_PER_QUERY):
        chunk = slice(start, start + _LEGS_PER_QUERY)
        for number, near_key, far_key in _fetch(legs[chunk], parameters[chunk]):
            near, far = (arms[number].near_kind, near_key), (arms[number].far_kind, far_key)
            pairs.append((far, near) if arms[number].sign < 0 else (near, far))
    return pairs


def _leg(model: type[models.Model], number: int, arm: Arm, held: str, limit: int) -> str:
    return (
        f"SELECT * FROM (SELECT DISTINCT {number} AS arm, {arm.near} AS near, {arm.far} AS far FROM {_table(model)}"
        f" WHERE {arm.near} = %s AND {arm.far} IS NOT NULL AND {arm.where} AND {held}"
        f" ORDER BY {arm.far} LIMIT {limit:d}) AS leg"
    )


def _degrees(
    model: type[models.Model], arms: list[Arm], at: datetime | None, nodes: Collection[Node]
) -> dict[Node, tuple[int, int]]:
    """How many different neighbours each node has, counted on the index alone where the question is about now."""
    held, moments = _held(at)
    legs, parameters = [], []
    for number, arm in enumerate(arms):
        if keys := _keys(arm.near_kind, nodes):
            legs.append(_count(model, number, arm, f"IN ({_marks(keys)})", held))
            parameters.append([*keys, *moments])
    counts: dict[Node, list[int]] = defaultdict(lambda: [0, 0])
    for number, key, count in _fetch(legs, parameters):
        counts[(arms[number].near_kind, key)][0 if arms[number].sign < 0 else 1] += count
    return {node: (up, down) for node, (up, down) in counts.items()}


def _between(
    model: type[models.Model], fields: Sequence[str], arms: list[Arm], at: datetime | None, nodes: Collection[Node]
) -> list[tuple[Any, ...]]:
    """`fields` of the edges that lead from a node to a node, sorted.

    A leg per arm: for all kinds of ends in one condition SQLite finds no index, and reads every edge there is. Arms
    upstream lead to the same edges, but for those without a source.
    """
    held, moments = _held(at)
    legs, parameters = [], []
    for arm in arms:
        nears, fars = _keys(arm.near_kind, nodes), _keys(arm.far_kind, nodes)
        if nears and fars and (arm.sign > 0 or arm.far_kind == "pipeline"):
            legs.append(
                f"SELECT {', '.join(fields)} FROM {_table(model)} WHERE {arm.near} IN ({_marks(nears)})"
                f" AND {arm.far} IN ({_marks(fars)}) AND {arm.where} AND {held}"
            )
            parameters.append([*nears, *fars, *moments])
    return sorted(set(_fetch(legs, parameters)), key=lambda row: [(value is not None, value) for value in row])


def _count(model: type[models.Model], number: int, arm: Arm, which: str, held: str) -> str:
    return (
        f"SELECT {number}, {arm.near}, COUNT(DISTINCT {arm.far}) FROM {_table(model)}"
        f" WHERE {arm.near} {which} AND {arm.where} AND {held} GROUP BY {arm.near}"
    )


def _marks(values: Collection[int]) -> str:
    return ", ".join(["%s"] * len(values))


def _fetch(legs: list[str], parameters: list[list[Any]]) -> list[tuple[Any, ...]]:
    if not legs:
        return []
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(legs), [value for group in parameters for value in group])
        return cursor.fetchall()


def _held(at: datetime | None) -> tuple[str, list[Any]]:
    """The condition, with its parameters, that an edge holds now, or held at that moment."""
    if at is None:
        return "valid_to IS NULL", []
    moment = connection.ops.adapt_datetimefield_value(at)
    return "valid_from <= %s AND (valid_to IS NULL OR valid_to > %s)", [moment, moment]


def in_force(model: Any, at: datetime | None) -> QuerySet:
    """The edges that hold now, or held at that moment."""
    if at is None:
        return model.objects.filter(valid_to__isnull=True)
    return model.objects.filter(Q(valid_to__isnull=True) | Q(valid_to__gt=at), valid_from__lte=at)


def _keys(kind: str, nodes: Iterable[Any]) -> list[int]:
    return sorted(key for node_kind, key in nodes if node_kind == kind)


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _end(table: int, column: int | None) -> Node:
    return ("column", column) if column else ("rows", table)
