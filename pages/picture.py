"""A lineage as a picture: boxes with their texts and sizes, placed by `lineage.layout`, lines between them.

At table grain a box is a table or a pipeline; at column grain it is a table with the columns that were walked as rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from django.utils.http import urlencode

from lineage.layout import Box as Size
from lineage.layout import layout
from lineage.queries import GraphEdge, GraphNode, Lineage

ROW = 22  # pixels of a column's row
HEAD = 44  # pixels of a box with a name and where it is
LONGEST = 34  # characters of a name; the whole name is in the title
_CHARACTER = 7.3  # pixels, of a wide system font at 12 pixels
_NARROWEST, _ICON = 110, 34


@dataclass(frozen=True)
class Row:
    """A column inside a table's box, or "all rows" of it; `y` is its middle, from the top of the box."""

    node: GraphNode
    key: str
    y: float

    @property
    def top(self) -> float:
        return self.y - ROW / 2

    @property
    def baseline(self) -> float:
        """Where its text stands."""
        return self.y + 4

    @property
    def text(self) -> str:
        return elided(self.node.label)

    @property
    def url(self) -> str:
        return lineage_url(self.node)


@dataclass(frozen=True)
class Drawn:
    """A box in its place; `key` is short and unique in the picture."""

    node: GraphNode
    key: str
    x: float
    y: float
    width: float
    height: float
    is_start: bool
    rows: list[Row] = field(default_factory=list)

    @cached_property
    def title(self) -> str:
        return self.node.table_label or self.node.label

    @property
    def name(self) -> str:
        """The last part of a dotted name: what people call it."""
        return elided(_split(self.title)[1])

    @property
    def place(self) -> str:
        """What stands before it: database and schema."""
        return elided(_split(self.title)[0])

    @property
    def inner(self) -> float:
        """The width between its borders."""
        return self.width - 2

    @property
    def right(self) -> float:
        """Where a text beside it begins."""
        return self.width + 5

    @property
    def icon(self) -> str:
        return "pipeline" if self.node.kind == "pipeline" else "table"

    @property
    def url(self) -> str:
        return lineage_url(self.node) if not self.rows else f"{self.node.url}lineage/"


@dataclass(frozen=True)
class Line:
    """An edge as a path; `kind` is the edge's, `source` and `target` the keys of its ends."""

    path: str
    source: str
    target: str
    kind: str
    via: str


@dataclass(frozen=True)
class Picture:
    """Everything the template draws, in pixels."""

    width: float
    height: float
    boxes: list[Drawn]
    lines: list[Line]


def draw(lineage: Lineage) -> Picture:
    """The picture of a lineage."""
    return _draw_columns(lineage) if lineage.grain == "column" else _draw_tables(lineage)


def lineage_url(node: GraphNode) -> str:
    """The lineage page around a node of a picture."""
    if node.kind == "column":
        return f"{node.url}lineage/?{urlencode({'grain': 'column', 'column': node.label})}"
    return f"{node.url}lineage/" + ("?grain=column" if node.kind == "rows" else "")


def elided(name: str) -> str:
    """A long name without its middle."""
    half = (LONGEST - 1) // 2
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"


def _draw_tables(lineage: Lineage) -> Picture:
    keys = {node.id: f"n{number}" for number, node in enumerate(lineage.nodes)}
    sizes = [Size(node.id, _width_of([node.label]), HEAD) for node in lineage.nodes]
    placed = layout(sizes, {(edge.source, edge.target) for edge in lineage.edges})
    boxes = [
        Drawn(
            node=node,
            key=keys[node.id],
            x=placed.at[node.id].x,
            y=placed.at[node.id].y,
            width=size.width,
            height=size.height,
            is_start=node.id == lineage.start,
        )
        for node, size in zip(lineage.nodes, sizes, strict=True)
    ]
    lines = [
        Line(placed.paths[edge.source, edge.target], keys[edge.source], keys[edge.target], edge.kind, edge.via)
        for edge in lineage.edges
    ]
    return Picture(placed.width, placed.height, boxes, lines)


def _draw_columns(lineage: Lineage) -> Picture:
    tables: dict[str, list[GraphNode]] = {}
    for node in lineage.nodes:
        tables.setdefault(node.table, []).append(node)
    table_of = {_row_id(node): node.table for node in lineage.nodes}
    sizes = [
        Size(table, _width_of([nodes[0].table_label, *(node.label for node in nodes)]), HEAD + ROW * len(nodes) + 6)
        for table, nodes in tables.items()
    ]
    pairs = {(table_of[edge.source], table_of[edge.target]) for edge in lineage.edges}
    placed = layout(sizes, {pair for pair in pairs if pair[0] != pair[1]})
    boxes = [
        _table_box(nodes, size, placed.at[table].x, placed.at[table].y, number, lineage.start)
        for number, ((table, nodes), size) in enumerate(zip(tables.items(), sizes, strict=True))
    ]
    lines = list(_row_lines(boxes, lineage.edges))
    return Picture(placed.width, placed.height, boxes, lines)


def _table_box(nodes: list[GraphNode], size: Size, x: float, y: float, number: int, start: str) -> Drawn:
    rows = [Row(node, f"n{number}r{place}", HEAD + ROW * (place + 0.5)) for place, node in enumerate(nodes)]
    is_start = any(start in (node.id, node.table) for node in nodes)
    return Drawn(nodes[0], f"n{number}", x, y, size.width, size.height, is_start, rows)


def _row_lines(boxes: list[Drawn], edges: Iterable[GraphEdge]) -> Iterable[Line]:
    places = {_row_id(row.node): (box, row) for box in boxes for row in box.rows}
    for edge in edges:
        (left, source), (right, target) = places[edge.source], places[edge.target]
        path = _curve(left.x + left.width, left.y + source.y, right.x, right.y + target.y)
        yield Line(path, source.key, target.key, edge.kind, edge.via)


def _row_id(node: GraphNode) -> str:
    return node.id


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = max(40.0, abs(x2 - x1) / 2)
    return f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"


def _width_of(names: Iterable[str]) -> float:
    longest = max(len(elided(part)) for name in names for part in _split(name))
    return max(_NARROWEST, _ICON + longest * _CHARACTER)


def _split(name: str) -> tuple[str, str]:
    """A dotted name or path as what stands before, and its last part."""
    separator = "/" if "/" in name else "."
    place, _, last = name.rpartition(separator)
    return place, last
