"""A lineage as drawn: the boxes and arrows of `lineage.layout`, with their addresses, counts and short keys."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.utils.http import urlencode

from lineage import layout
from lineage.queries import GraphEdge, GraphNode, Lineage

_MARGIN = 36  # pixels


@dataclass(frozen=True)
class Row:
    """A column in its table's box, or all rows of the table; `top` and the rest count from the top of the box."""

    node: GraphNode
    key: str
    text: str
    top: float
    height: float
    is_start: bool

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
        return f"{self.node.url}lineage/"


@dataclass(frozen=True)
class Line:
    """An arrow between the keys of its ends."""

    arrow: layout.Arrow
    source: str
    target: str


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


def draw(lineage: Lineage) -> Picture:
    """The picture of a lineage; the same one is laid out once."""
    placed = layout.layout(lineage.nodes, lineage.edges)
    nodes = {node.id: node for node in lineage.nodes}
    keys = {node_id: f"n{number}" for number, node_id in enumerate(nodes)}
    boxes = [_drawn(box, nodes, keys, lineage.start) for box in placed.boxes]
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


def lineage_url(node: GraphNode) -> str:
    """The lineage page around a node."""
    if node.kind == "column":
        return f"{node.url}lineage/?{urlencode({'grain': 'column', 'column': node.label})}"
    return f"{node.url}lineage/" + ("?grain=column" if node.kind == "rows" else "")


def _frame(width: float, height: float) -> Frame:
    wide, high = round(width) + 2 * _MARGIN, round(height) + 2 * _MARGIN
    return Frame(wide, high, f"-{_MARGIN} -{_MARGIN} {wide} {high}")


def _drawn(box: layout.Box, nodes: dict[str, GraphNode], keys: dict[str, str], start: str) -> Drawn:
    rows = tuple(
        Row(nodes[row.id], keys[row.id], row.text, row.y - box.y, row.height, row.id == start) for row in box.rows
    )
    node = rows[0].node if rows else nodes[box.id]
    is_start = box.id == start or any(row.is_start for row in rows)
    return Drawn(box, node, "" if rows else keys[box.id], is_start, rows)
