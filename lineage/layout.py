"""Where to draw the boxes and lines of a graph: in layers from left to right, by Graphviz.

The only module that knows Graphviz. It gets sizes and gives places; names, texts and colours are the page's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache

import pygraphviz

MAX_BOXES = 1000  # Graphviz needs 0.25 s for them, and nobody can read more
MAX_ROUTED = 1500  # lines beyond are drawn, but Graphviz is not asked to find a way around boxes for them

_PIXELS_PER_INCH = 72  # Graphviz counts boxes in inches and places in points of 1/72; a point is a pixel here
_BETWEEN_BOXES, _BETWEEN_LAYERS = 14, 56
_PORT = 2

Pair = tuple[str, str]


@dataclass(frozen=True)
class Box:
    """What is to be placed, in pixels. `ports` are rows that lines may end at by their own id, from the top down: the
    id with the distance of the row's middle from the top of the box."""

    id: str
    width: float
    height: float
    ports: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Point:
    x: float
    y: float


@dataclass(frozen=True)
class Layout:
    """The upper left corner of each box by its id, and each line as the `d` of an SVG path, in pixels from the upper
    left corner of the whole. A line leaves its source on the right and ends at the left border of its target."""

    width: float
    height: float
    at: Mapping[str, Point]
    paths: Mapping[Pair, str]


def layout(boxes: Iterable[Box], lines: Iterable[Pair]) -> Layout:
    """Place boxes and the lines between them; a line is (source, target), each the id of a box or of a port.

    Boxes of a layer keep the order in which they come, as far as fewer crossings allow. The same graph is laid out once
    and then taken from memory. Thread-safe: Graphviz is not, so there is one layout at a time. Raises ValueError for
    more than MAX_BOXES, and KeyError for a line to nowhere.
    """
    boxes = tuple(boxes)
    if len(boxes) > MAX_BOXES:
        raise ValueError(f"A picture holds {MAX_BOXES:,} boxes at most; this would be {len(boxes):,}.")
    return _layout(boxes, tuple(sorted(set(lines))))


_graphviz = threading.Lock()


@lru_cache(maxsize=32)
def _layout(boxes: tuple[Box, ...], lines: tuple[Pair, ...]) -> Layout:
    if not boxes:
        return Layout(0, 0, {}, {})
    ends = _ends(boxes)
    routed = lines[:MAX_ROUTED]
    with _graphviz, closing(_drawing(boxes, routed, ends)) as drawing:
        drawing.layout(prog="dot")
        width, height = _numbers(drawing.graph_attr["bb"])[2:]
        at = {box.id: _corner(box, drawing.get_node(ends[box.id][0]).attr["pos"], height) for box in boxes}
        paths = {
            line: _path(drawing.get_edge(ends[line[0]][0], ends[line[1]][0], number).attr["pos"], height)
            for number, line in enumerate(routed)
        }
    sides = _sides(boxes, at)
    paths |= {(source, target): _curve(sides[source][1], sides[target][0]) for source, target in lines[MAX_ROUTED:]}
    return Layout(width, height, at, paths)


def _ends(boxes: Sequence[Box]) -> dict[str, Pair]:
    """Graphviz' own name of each box with no port, and of the box with the port for each port."""
    ends = {box.id: (f"n{number}", "") for number, box in enumerate(boxes)}
    for number, box in enumerate(boxes):
        ends |= {port: (f"n{number}", f"p{place}:") for place, (port, _) in enumerate(box.ports)}
    return ends


def _drawing(boxes: Sequence[Box], lines: Sequence[Pair], ends: Mapping[str, Pair]) -> pygraphviz.AGraph:
    """The graph as Graphviz gets it: numbers and sizes, no text that it could take for markup."""
    spacing = {"nodesep": _BETWEEN_BOXES / _PIXELS_PER_INCH, "ranksep": _BETWEEN_LAYERS / _PIXELS_PER_INCH}
    drawing = pygraphviz.AGraph(directed=True, strict=False, rankdir="LR", **spacing)
    drawing.node_attr.update(shape="box", label="", fixedsize="true")
    drawing.edge_attr.update(dir="none")
    for number, box in enumerate(boxes):
        drawing.add_node(f"n{number}", **_attributes(box))
    for number, (source, target) in enumerate(lines):
        (tail, tail_port), (head, head_port) = ends[source], ends[target]
        drawing.add_edge(tail, head, key=number, tailport=f"{tail_port}e", headport=f"{head_port}w")
    return drawing


def _attributes(box: Box) -> dict[str, str | float]:
    """A box with ports is a table for Graphviz: a flat cell at the height of each port, and room between them."""
    if not box.ports:
        return {"width": box.width / _PIXELS_PER_INCH, "height": box.height / _PIXELS_PER_INCH}
    rows, filled = "", 0.0
    for place, (_, y) in enumerate(box.ports):
        rows += _cell(box, y - _PORT / 2 - filled) + _cell(box, _PORT, f'PORT="p{place}"')
        filled = y + _PORT / 2
    rows += _cell(box, box.height - filled)
    table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE>'
    return {"shape": "plain", "fixedsize": "false", "label": f"<{table}>"}


def _cell(box: Box, height: float, port: str = "") -> str:
    return f'<TR><TD {port} FIXEDSIZE="TRUE" WIDTH="{box.width:.0f}" HEIGHT="{height:.0f}"></TD></TR>'


def _corner(box: Box, position: str, height: float) -> Point:
    """Graphviz gives the middle, counted from the lower left corner of a picture `height` high."""
    x, y = _numbers(position)
    return Point(round(x - box.width / 2, 1), round(height - y - box.height / 2, 1))


def _path(position: str, height: float) -> str:
    """Graphviz' spline as an SVG path: `0,0 1,0 2,1 3,1` in a picture 10 high is `M0,10C1,10 2,9 3,9`."""
    points = [_numbers(point) for point in position.split()]
    first, *others = [f"{x:.1f},{height - y:.1f}" for x, y in points]
    return f"M{first}C{' '.join(others)}"


def _sides(boxes: Iterable[Box], at: Mapping[str, Point]) -> dict[str, tuple[Point, Point]]:
    """Where lines end (left) and leave (right), of every box and port."""
    sides: dict[str, tuple[Point, Point]] = {}
    for box in boxes:
        corner = at[box.id]
        for end, y in ((box.id, box.height / 2), *box.ports):
            sides[end] = Point(corner.x, corner.y + y), Point(corner.x + box.width, corner.y + y)
    return sides


def _curve(start: Point, end: Point) -> str:
    bend = max(40.0, abs(end.x - start.x) / 2)
    return (
        f"M{start.x:.1f},{start.y:.1f}C{start.x + bend:.1f},{start.y:.1f} "
        f"{end.x - bend:.1f},{end.y:.1f} {end.x:.1f},{end.y:.1f}"
    )


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]
