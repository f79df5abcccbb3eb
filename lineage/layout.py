"""Where to draw a lineage graph: layers from left to right, by Graphviz, as plain values for an SVG.

The only module that knows Graphviz. It takes anything shaped like `lineage.queries.GraphNode` and `GraphEdge`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape
from tempfile import TemporaryFile
from typing import Any, Protocol

import pygraphviz
from pygraphviz import graphviz

# A picture larger than this can be neither read nor moved smoothly.
MAX_NODES = 500
MAX_EDGES = 1500
# Graphviz' time grows with edges far faster than with nodes: 150 nodes that lie deep took 0.2 s with 200 edges, and
# 87 s with 1,200. It is asked to find ways around boxes in small pictures only (else edges are plain curves), and to
# place boxes by so many edges at most, those that hold the picture together first.
MAX_ROUTED = 250
MAX_PLACING = 350

# Points, which the SVG takes for pixels; the text widths are of a 13 px sans-serif, taken on the wide side.
_CHARACTER = 7.3
_PADDING = 22
_LONGEST = 36  # characters of a line; the rest of a name is in its title
_ONE_LINE, _TWO_LINES, _ROW = 32, 46, 24
_POINTS_PER_INCH = 72


_Link = tuple[str, str, str, str]  # source, target, kind, via


class _Node(Protocol):
    """A node to place; nodes that name the same `table` are drawn as rows of one box."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def table_label(self) -> str: ...
    @property
    def distance(self) -> int: ...


class _Edge(Protocol):
    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def via(self) -> str: ...
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True)
class Row:
    """A column in its table's box. `y` is its upper edge, from the top of the picture."""

    id: str
    kind: str
    text: str
    y: float
    height: float


@dataclass(frozen=True)
class Box:
    """A node, in pixels from the upper left corner of the picture.

    `text` is its name, shortened to fit, under `prefix`, what stands before the name (database and schema). A table
    drawn with its columns has `rows`, and its own kind is then "table".
    """

    id: str
    kind: str
    text: str
    prefix: str
    x: float
    y: float
    width: float
    height: float
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Arrow:
    """An edge; `path` is the `d` of an SVG path that ends at the border of its target, without an arrow head."""

    source: str
    target: str
    kind: str
    via: str
    path: str


@dataclass(frozen=True)
class Picture:
    """A graph as drawn. `left_out` counts nodes, `edges_left_out` edges between drawn nodes, beyond the cap."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    left_out: int = 0
    edges_left_out: int = 0


@dataclass(frozen=True)
class _Shape:
    """A box before it has a place; `rows` are (id, kind, text)."""

    id: str
    kind: str
    text: str
    prefix: str
    rows: tuple[tuple[str, str, str], ...] = ()

    @property
    def head(self) -> float:
        return _TWO_LINES if self.prefix else _ONE_LINE

    @property
    def width(self) -> float:
        lines = [self.text, self.prefix, *(text for _, _, text in self.rows)]
        return round(max(map(len, lines)) * _CHARACTER + _PADDING)

    @property
    def height(self) -> float:
        return self.head + _ROW * len(self.rows)


def layout(nodes: Sequence[_Node], edges: Iterable[_Edge], max_nodes: int = MAX_NODES) -> Picture:
    """Place a graph; beyond `max_nodes` the nodes farthest from the start are left out, and counted.

    The same graph is laid out once and then taken from memory. Thread-safe: Graphviz is not, so one layout at a time.
    """
    drawn = sorted(nodes, key=lambda node: abs(node.distance))[:max_nodes]
    hops = {node.id: abs(node.distance) for node in drawn}
    links = _backbone_first(
        {(e.source, e.target, e.kind, e.via) for e in edges if {e.source, e.target} <= hops.keys()}, hops
    )
    # Graphviz draws nodes in the order it meets them: keep the given order, so that a picture does not jump.
    shapes = _shapes([node for node in nodes if node.id in hops])
    left_out = len(nodes) - len(drawn), max(0, len(links) - MAX_EDGES)
    return _placed(tuple(shapes), tuple(links[:MAX_EDGES]), *left_out)


def _backbone_first(links: Iterable[_Link], hops: Mapping[str, int]) -> list[_Link]:
    """The links that reach a node for the first time, from the start outwards, and then the others."""
    reached: set[str] = set()
    backbone, others = [], []
    for link in sorted(links, key=lambda link: (*sorted((hops[link[0]], hops[link[1]]), reverse=True), link)):
        (others if {link[0], link[1]} <= reached else backbone).append(link)
        reached |= {link[0], link[1]}
    return backbone + others


def _shapes(nodes: Iterable[_Node]) -> list[_Shape]:
    rows: dict[str, list[_Node]] = {}
    boxes: dict[str, tuple[str, str]] = {}
    for node in nodes:
        if node.table:
            rows.setdefault(node.table, []).append(node)
            boxes[node.table] = "table", node.table_label
        else:
            boxes[node.id] = node.kind, node.label
    return [_shape(box, kind, label, rows.get(box, ())) for box, (kind, label) in boxes.items()]


def _shape(node_id: str, kind: str, label: str, rows: Iterable[_Node]) -> _Shape:
    is_path = "/" in label
    prefix, _, name = ("", "", label) if is_path else label.rpartition(".")
    return _Shape(node_id, kind, _shortened(name), _shortened(prefix), _row_texts(rows))


def _row_texts(nodes: Iterable[_Node]) -> tuple[tuple[str, str, str], ...]:
    """Columns by name, and all rows of the table before them."""
    ordered = sorted(nodes, key=lambda node: (node.kind != "rows", node.label))
    return tuple((node.id, node.kind, _shortened(node.label)) for node in ordered)


def _shortened(text: str) -> str:
    """The end of a name says more than its beginning."""
    return text if len(text) <= _LONGEST else "…" + text[-_LONGEST + 1 :]


_graphviz = threading.Lock()


@lru_cache(maxsize=32)
def _placed(shapes: tuple[_Shape, ...], links: tuple[_Link, ...], left_out: int, edges_left_out: int) -> Picture:
    if not shapes:
        return Picture(0, 0, (), (), left_out, edges_left_out)
    is_routed = len(links) <= MAX_ROUTED
    drawn = _laid_out(_dot(shapes, links[:MAX_PLACING], is_routed))
    width, height = (float(size) * _POINTS_PER_INCH for size in drawn["graph"][0][1:])
    boxes = tuple(_box(shape, *node[1:3], height) for shape, node in zip(shapes, drawn["node"], strict=True))
    if is_routed:
        routes: dict[tuple[str, str], list[list[str]]] = {}
        for tail, head, _, *spline, _, _ in drawn["edge"]:
            routes.setdefault((tail, head), []).append(spline)
        paths = [_path(routes[ends].pop(), height) for ends in _sides(shapes, links)]
    else:
        paths = _curves(boxes, links)
    arrows = tuple(Arrow(*link, path) for link, path in zip(links, paths, strict=True))
    return Picture(width, height, boxes, arrows, left_out, edges_left_out)


def _laid_out(dot: str) -> dict[str, list[list[str]]]:
    """The graph as Graphviz places it: the words of the lines of its "plain-ext" format, in inches, by their first.

    By Graphviz' own functions, since AGraph would start Graphviz anew for each picture, which takes as long as laying
    out ten boxes. "plain-ext" is written in half the time of "json0", a tenth of a picture's.
    """
    with _graphviz, TemporaryFile() as file:
        file.write(dot.encode())
        file.seek(0)
        context, drawing = _started(), graphviz.agread(file, None)
        try:
            graphviz.gvLayout(context, drawing, b"dot")
            _, text = graphviz.gvRenderData(context, drawing, b"plain-ext")
            graphviz.gvFreeLayout(context, drawing)
        finally:
            graphviz.agclose(drawing)
    lines: dict[str, list[list[str]]] = {"node": [], "edge": []}
    for line in text.decode().splitlines():
        what, *words = line.split()
        lines.setdefault(what, []).append(words)
    return lines


@cache
def _started() -> Any:
    """Graphviz, ready to draw."""
    return graphviz.gvContextWithBuiltins()


def _dot(shapes: Sequence[_Shape], links: Sequence[_Link], is_routed: bool) -> str:
    """The graph in Graphviz' language: it gets sizes only, never a name, and so no text that it could misread."""
    lines = [
        "graph[rankdir=LR, nodesep=0.17, ranksep=0.7]",
        # Rounds of improvement: a third of the time, and no worse a picture.
        f"graph[nslimit=1, nslimit1=1, mclimit=0.3, splines={'spline' if is_routed else 'none'}]",
        'node[shape=box, label="", fixedsize=true]; edge[dir=none]',
        *(f"n{number}[{_attributes(shape)}]" for number, shape in enumerate(shapes)),
        *(f"{tail} -> {head}" for tail, head in _sides(shapes, links)),
    ]
    return f"digraph {{{'; '.join(lines)}}}"


def _sides(shapes: Sequence[_Shape], links: Iterable[_Link]) -> list[tuple[str, str]]:
    """What each link joins, as Graphviz writes it: the right of its source, the left of its target, boxes or rows."""
    ends = {shape.id: f"n{number}:%s" for number, shape in enumerate(shapes)}
    for number, shape in enumerate(shapes):
        ends |= {row[0]: f'n{number}:"r{place}:%s"' for place, row in enumerate(shape.rows)}
    return [(ends[link[0]] % "e", ends[link[1]] % "w") for link in links]


def _attributes(shape: _Shape) -> str:
    if not shape.rows:
        return f"width={shape.width / _POINTS_PER_INCH:.4f}, height={shape.height / _POINTS_PER_INCH:.4f}"
    cell = f'FIXEDSIZE="TRUE" WIDTH="{shape.width:.0f}"'
    rows = "".join(f'<TR><TD PORT="r{place}" {cell} HEIGHT="{_ROW}"></TD></TR>' for place in range(len(shape.rows)))
    table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR><TD {cell} HEIGHT="{shape.head}">'
    return f"shape=plain, fixedsize=false, label=<{table}</TD></TR>{rows}</TABLE>>"


def _box(shape: _Shape, across: str, up: str, picture_height: float) -> Box:
    x, y = float(across) * _POINTS_PER_INCH, float(up) * _POINTS_PER_INCH
    width, height = shape.width, shape.height
    left, top = round(x - width / 2, 1), round(picture_height - y - height / 2, 1)
    rows = tuple(
        Row(*row, y=round(top + shape.head + _ROW * place, 1), height=_ROW) for place, row in enumerate(shape.rows)
    )
    return Box(shape.id, shape.kind, shape.text, shape.prefix, left, top, width, height, rows)


def _path(spline: Sequence[str], picture_height: float) -> str:
    """Graphviz' spline, in inches from below, as an SVG path of points from above: `0 0 1 0 2 1 3 1` in a picture of
    height 100 is `M0.0,100.0C72.0,100.0 144.0,28.0 216.0,28.0`."""
    numbers = [float(number) * _POINTS_PER_INCH for number in spline]
    points = [f"{x:.1f},{picture_height - y:.1f}" for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
    return f"M{points[0]}C{' '.join(points[1:])}"


def _curves(boxes: Iterable[Box], links: Iterable[_Link]) -> list[str]:
    """A curve for each link, from the right of its source to the left of its target."""
    left, right = {}, {}
    for box in boxes:
        middles = [(box.id, box.y + box.height / 2), *((row.id, row.y + row.height / 2) for row in box.rows)]
        left |= {end: (box.x, y) for end, y in middles}
        right |= {end: (box.x + box.width, y) for end, y in middles}
    return [_curve(*right[source], *left[target]) for source, target, _, _ in links]


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = max(40.0, (x2 - x1) / 2)
    return f"M{x1:.1f},{y1:.1f}C{x1 + bend:.1f},{y1:.1f} {x2 - bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def as_png(boxes: Iterable[Box], arrows: Iterable[Arrow]) -> bytes:
    """A picture that was laid out before, as an image: Graphviz only paints, at the places it is given."""
    lines = ['graph[bgcolor="white", pad=0.3, dpi=144]; node[fontname="sans", fontsize=11]']
    inside: dict[str, str] = {}
    for number, box in enumerate(boxes):
        x, y = box.x + box.width / 2, -(box.y + box.height / 2)
        lines.append(f'n{number}[pos="{x:.1f},{y:.1f}", shape=plain, label=<{_painted(box)}>]')
        inside |= dict.fromkeys((box.id, *(row.id for row in box.rows)), f"n{number}")
    for arrow in arrows:
        places = [f"{x:.1f},{-y:.1f}" for x, y in _points(arrow.path)]
        points = " ".join([f"e,{places[-1]}", *places])  # Graphviz puts the head at e
        dashed = ", style=dashed" if arrow.kind.lower() not in _SOLID else ""
        ends = f"{inside[arrow.source]} -> {inside[arrow.target]}"
        lines.append(f'{ends}[pos="{points}", color="#566172", arrowsize=0.6{dashed}]')
    with _graphviz, closing(pygraphviz.AGraph(string=f"digraph {{{'; '.join(lines)}}}")) as drawing:
        return drawing.draw(format="png", prog="nop2")


def _painted(box: Box) -> str:
    """A box as Graphviz' table, its rows at the heights where arrows end."""
    head = "<BR/>".join(escape(text) for text in (box.prefix, box.text) if text)
    colour = "#e9eefc" if box.kind == "pipeline" else "#ffffff"
    cell = f'FIXEDSIZE="TRUE" WIDTH="{box.width:.0f}"'
    rows = "".join(f'<TR><TD {cell} HEIGHT="{row.height:.0f}">{escape(row.text)}</TD></TR>' for row in box.rows)
    height = box.height - sum(row.height for row in box.rows)
    style = f'BORDER="1" COLOR="#8a94a6" BGCOLOR="{colour}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'
    return f'<TABLE {style}><TR><TD {cell} HEIGHT="{height:.0f}">{head}</TD></TR>{rows}</TABLE>'


_SOLID = {"reads", "writes", "identity", "transformation", "aggregation"}


def _points(path: str) -> Iterable[tuple[float, float]]:
    """The points of an SVG path as `_path` and `_curve` write it."""
    for point in path[1:].replace("C", " ").split():
        x, y = _numbers(point)
        yield x, y
