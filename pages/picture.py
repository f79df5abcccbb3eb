"""A lineage as drawn: the boxes and arrows of `lineage.layout`, with their addresses, counts and short keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from django.utils.http import urlencode

from lineage import layout
from lineage.queries import GraphEdge, GraphNode, Lineage
from lineage.sql.model import DIRECT_KINDS
from pages.marks import Mark

_MARGIN = 36  # pixels


@dataclass(frozen=True)
class Handle:
    """What stands beside a box, on one side: "+5" unfolds five more neighbours, "−" folds those that are drawn."""

    text: str
    words: str
    url: str

    @property
    def is_fold(self) -> bool:
        return self.text == FOLD


FOLD = "−"
Handles = Callable[[GraphNode, str], Sequence[Handle]]  # of a node, and "u" or "d"


def no_handles(node: GraphNode, side: str) -> Sequence[Handle]:
    """Of a picture in which nothing folds."""
    return ()


@dataclass(frozen=True)
class Row:
    """A column in its table's box, or all rows of the table; `top` and the rest count from the top of the box."""

    node: GraphNode
    key: str
    text: str
    top: float
    height: float
    is_start: bool
    upstream: Sequence[Handle] = ()
    downstream: Sequence[Handle] = ()

    @property
    def baseline(self) -> float:
        return self.top + self.height / 2 + 4

    @property
    def url(self) -> str:
        return lineage_url(self.node)


@dataclass(frozen=True)
class Drawn:
    """A box in its place, with the node it stands for or, around columns, their first."""

    box: layout.Box
    node: GraphNode
    key: str
    is_start: bool
    rows: tuple[Row, ...]
    upstream: Sequence[Handle] = ()
    downstream: Sequence[Handle] = ()
    marks: Sequence[Mark] = ()

    @property
    def title(self) -> str:
        return self.node.table_label or self.node.label

    @property
    def inner(self) -> float:
        """The width between its borders."""
        return self.box.width - 2

    @property
    def right(self) -> float:
        """Where a text beside it begins."""
        return self.box.width + 4

    @property
    def url(self) -> str:
        return self.node.url if self.node.kind == "group" else f"{self.node.url}lineage/"


@dataclass(frozen=True)
class Line:
    """An arrow between the keys of its ends."""

    arrow: layout.Arrow
    source: str
    target: str

    @property
    def is_indirect(self) -> bool:
        """What only decides about data, or is known from a log alone."""
        return self.arrow.kind not in DIRECT_KINDS and self.arrow.kind not in ("reads", "writes")


@dataclass(frozen=True)
class Frame:
    """The paper of a picture: a margin around it leaves room for the counts beside the boxes."""

    width: int
    height: int
    view_box: str


@dataclass(frozen=True)
class Picture:
    """Everything the template draws, in pixels; `left_out` counts what is in the list alone."""

    frame: Frame
    boxes: list[Drawn]
    lines: list[Line]
    left_out: int
    edges_left_out: int


def draw(lineage: Lineage, handles: Handles = no_handles, marks: Mapping[str, Sequence[Mark]] | None = None) -> Picture:
    """The picture of a lineage; the same one is laid out once."""
    placed = layout.layout(lineage.nodes, lineage.edges)
    nodes = {node.id: node for node in lineage.nodes}
    keys = {node_id: node.key or f"n{number}" for number, (node_id, node) in enumerate(nodes.items())}
    boxes = [_drawn(box, nodes, keys, lineage.start, handles, marks or {}) for box in placed.boxes]
    lines = [Line(arrow, keys[arrow.source], keys[arrow.target]) for arrow in placed.arrows]
    return Picture(_frame(placed.width, placed.height), boxes, lines, placed.left_out, placed.edges_left_out)


def with_pipelines_folded(lineage: Lineage) -> Lineage:
    """The same with pipelines on the lines instead of between them, where that invents nothing.

    A pipeline with one output (or one input) folds: `a -> p -> t, b -> p -> t` becomes `a -> t, b -> t`. One with
    several of both stays, since its box does not say which input reaches which output.
    """
    sources: dict[str, list[str]] = {}
    targets: dict[str, list[str]] = {}
    for edge in lineage.edges:
        ends, end = (sources, edge.source) if edge.kind == "reads" else (targets, edge.target)
        ends.setdefault(edge.target if edge.kind == "reads" else edge.source, []).append(end)
    folding = {
        node.id: node.label
        for node in lineage.nodes
        if node.kind == "pipeline" and node.id != lineage.start and _folds(sources.get(node.id), targets.get(node.id))
    }
    edges = {edge for edge in lineage.edges if edge.source not in folding and edge.target not in folding}
    edges |= {
        GraphEdge(source, target, via, "writes")
        for pipeline, via in folding.items()
        for source in sources[pipeline]
        for target in targets[pipeline]
    }
    nodes = [node for node in lineage.nodes if node.id not in folding]
    return replace(lineage, nodes=nodes, edges=sorted(edges))


def _folds(sources: list[str] | None, targets: list[str] | None) -> bool:
    return bool(sources and targets) and 1 in (len(sources), len(targets))


def grouped_by_schema(lineage: Lineage, apart: Collection[str], address: Callable[[str], str]) -> Lineage:
    """The same with the tables of each schema as one box, lines between them once; pipelines fold into the lines.

    The start, schemas that are `apart`, and those with one table stay as they are. `address(schema)` takes one apart.
    """
    of_schema: dict[str, list[GraphNode]] = defaultdict(list)
    for node in lineage.nodes:
        if node.kind == "table" and node.id != lineage.start:
            of_schema[_schema_of(node)].append(node)
    groups = {
        schema: _group(schema, tables, address(schema))
        for schema, tables in of_schema.items()
        if schema not in apart and len(tables) > 1
    }
    into = {table.id: groups[schema].id for schema in groups for table in of_schema[schema]}
    ends: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for edge in lineage.edges:
        pipeline, side, table = (edge.target, 0, edge.source) if edge.kind == "reads" else (edge.source, 1, edge.target)
        ends[pipeline][side].add(into.get(table, table))
    labels = {node.id: node.label for node in lineage.nodes}
    swallowed = {
        pipeline for pipeline, (sources, targets) in ends.items()
        if pipeline != lineage.start and (sources | targets) & {group.id for group in groups.values()}
    }  # fmt: skip
    edges = {edge for edge in lineage.edges if edge.source not in swallowed and edge.target not in swallowed}
    for pipeline in swallowed:
        sources, targets = ends[pipeline]
        via = labels[pipeline]
        edges |= {GraphEdge(a, b, via, "writes") for a in sources for b in targets if a != b}
    kept = [node for node in lineage.nodes if node.id not in into and node.id not in swallowed]
    nodes = sorted([*kept, *groups.values()], key=lambda node: (node.distance, node.label))
    return replace(lineage, nodes=nodes, edges=_each_pair_once(edges))


def _schema_of(node: GraphNode) -> str:
    return node.label.rpartition(".")[0] or node.source


def _group(schema: str, tables: Sequence[GraphNode], url: str) -> GraphNode:
    nearest = min((table.distance for table in tables), key=abs)
    return GraphNode(
        f"group:{schema}", "group", f"{schema}.{len(tables)} tables", url, nearest, key=f"g{tables[0].key}"
    )


def _each_pair_once(edges: Collection[GraphEdge]) -> list[GraphEdge]:
    """Several pipelines between the same two ends become one line that names them all."""
    by_ends: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for edge in edges:
        by_ends[edge.source, edge.target, edge.kind].add(edge.via)
    return sorted(
        GraphEdge(source, target, ", ".join(sorted(vias)[:5]) + (" and others" if len(vias) > 5 else ""), kind)
        for (source, target, kind), vias in by_ends.items()
    )


def lineage_url(node: GraphNode) -> str:
    """The lineage page around a node."""
    if node.kind == "column":
        return f"{node.url}lineage/?{urlencode({'grain': 'column', 'column': node.label})}"
    return f"{node.url}lineage/" + ("?grain=column" if node.kind == "rows" else "")


def _frame(width: float, height: float) -> Frame:
    wide, high = round(width) + 2 * _MARGIN, round(height) + 2 * _MARGIN
    return Frame(wide, high, f"-{_MARGIN} -{_MARGIN} {wide} {high}")


def _drawn(
    box: layout.Box,
    nodes: Mapping[str, GraphNode],
    keys: Mapping[str, str],
    start: str,
    handles: Handles,
    marks: Mapping[str, Sequence[Mark]],
) -> Drawn:
    rows = tuple(
        Row(
            nodes[row.id],
            keys[row.id],
            row.text,
            row.y - box.y,
            row.height,
            row.id == start,
            handles(nodes[row.id], "u"),
            handles(nodes[row.id], "d"),
        )
        for row in box.rows
    )
    node = rows[0].node if rows else nodes[box.id]
    is_start = box.id == start or any(row.is_start for row in rows)
    beside = ((), ()) if rows else (handles(node, "u"), handles(node, "d"))
    return Drawn(box, node, "" if rows else keys[box.id], is_start, rows, *beside, marks.get(node.thing_key, ()))
