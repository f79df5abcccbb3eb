"""Walks over a directed graph, whatever holds it: edge rows, the snapshot, or a few edges in a test.

An edge goes with the data, from source to target; upstream is against the edges, downstream along them.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from typing import Literal, NamedTuple, Protocol

Node = Hashable
Direction = Literal["upstream", "downstream", "both"]
Side = tuple[Node, int]  # a node's neighbours upstream (-1) or downstream (1)

_SIGNS = {"upstream": (-1,), "downstream": (1,), "both": (-1, 1)}
_NOTHING = object()


class Edge(NamedTuple):
    """Data goes from `source` to `target`, by `via` (a pipeline)."""

    source: Node
    target: Node
    via: Hashable | None = None
    kind: str = ""


class Neighbours(Protocol):
    """What a walk asks of a graph. Each call is one round trip, however many nodes it is about."""

    def hop(
        self, upstream_of: Collection[Node], downstream_of: Collection[Node], limit: int
    ) -> Iterable[tuple[Node, Node]]:
        """(source, target) of every edge into `upstream_of` or out of `downstream_of`, once.

        A node with more than `limit` neighbours on that side may leave out those past the limit.
        """

    def between(self, nodes: Collection[Node]) -> Iterable[Edge]:
        """Edges with both ends in `nodes`."""

    def degrees(self, nodes: Collection[Node]) -> Mapping[Node, tuple[int, int]]:
        """How many different neighbours each node has (upstream, downstream); a node left out has none."""


@dataclass(frozen=True)
class Walk:
    """What a walk drew, and honest counts of what it did not.

    `distance` is 0 at the start, negative upstream, positive downstream. `edges` are all those between drawn nodes.
    `folded` counts (upstream, downstream) neighbours not drawn, of nodes that have any. `capped` says that nodes within
    `depth` are missing; `reached` is then the least number that would be there.
    """

    start: tuple[Node, ...]
    distance: dict[Node, int]
    edges: list[Edge]
    folded: dict[Node, tuple[int, int]] = field(default_factory=dict)
    capped: bool = False
    reached: int = 0


def walk(
    neighbours: Neighbours,
    start: Collection[Node],
    direction: Direction = "both",
    depth: int | None = 1,
    cap: int = 150,
    opened: Collection[Side] = (),
    shut: Collection[Side] = (),
) -> Walk:
    """Everything up to `depth` hops from `start` (None: to the end), breadth first, at most `cap` nodes.

    "both" walks upstream and downstream, never sideways: a sibling is not a neighbour. Where the cap leaves no room for
    all, the nodes of a frontier take turns, so that one hub does not push out the others. Sides that are `shut` are not
    gone beyond; those `opened` are, by one hop, wherever their nodes lie. Costs one round trip per hop, one for sides
    opened (and one more for those that others reveal), and two at the end.
    """
    signs, shut = _SIGNS[direction], set(shut)
    wanted = tuple(dict.fromkeys(start))
    start = wanted[:cap]
    drawn = set(start)
    found = {sign: set(start) for sign in signs}
    frontier: dict[int, Collection[Node]] = {sign: _not_shut(start, sign, shut) for sign in signs}
    hop = 0
    while any(frontier.values()) and (depth is None or hop < depth) and len(drawn) < cap:
        hop += 1
        pairs = list(neighbours.hop(frontier.get(-1, ()), frontier.get(1, ()), cap))
        beside = {sign: _beside(pairs, frontier[sign], sign) for sign in signs}
        drawn.update(_in_turns(chain(*(groups.values() for groups in beside.values())), drawn, cap - len(drawn)))
        frontier = {sign: _not_shut(_enter(beside[sign], drawn, found[sign]), sign, shut) for sign in signs}
    extra = _open(neighbours, drawn, opened, cap)
    edges = list(dict.fromkeys(neighbours.between(drawn)))
    hops = {sign: _distances(edges, start, sign, depth) for sign in signs}
    folded = _folded(neighbours.degrees(drawn), edges)
    missing = len(wanted) - len(start) + max(_missing(hops, folded, depth, opened, shut), default=0)
    distance = _nearest(hops.values())
    for node, (opener, sign) in extra.items():
        distance.setdefault(node, distance[opener] + sign)
    return Walk(start, distance, edges, folded, missing > 0, len(drawn) + missing)


def _not_shut(nodes: Iterable[Node], sign: int, shut: Collection[Side]) -> list[Node]:
    return [node for node in nodes if (node, sign) not in shut]


def _open(neighbours: Neighbours, drawn: set[Node], opened: Collection[Side], cap: int) -> dict[Node, Side]:
    """Draw the neighbours on the sides opened; the new nodes, each with the side that brought it, in that order."""
    extra: dict[Node, Side] = {}
    waiting = dict.fromkeys(opened)
    while len(drawn) < cap and (ready := [side for side in waiting if side[0] in drawn]):
        nodes = {sign: [node for node, its_sign in ready if its_sign == sign] for sign in (-1, 1)}
        pairs = list(neighbours.hop(nodes[-1], nodes[1], cap))
        for sign in (-1, 1):
            beside = _beside(pairs, nodes[sign], sign)
            new = set(_in_turns(beside.values(), drawn, cap - len(drawn)))
            for near, group in beside.items():
                extra |= {far: (near, sign) for far in group if far in new and far not in extra}
            drawn |= new
        for side in ready:
            del waiting[side]
    return extra


def _beside(pairs: Iterable[tuple[Node, Node]], frontier: Collection[Node], sign: int) -> dict[Node, list[Node]]:
    """The neighbours that `pairs` give each node of the frontier, in their order."""
    members = set(frontier)
    beside: dict[Node, list[Node]] = defaultdict(list)
    for source, target in pairs:
        near, far = (target, source) if sign < 0 else (source, target)
        if near in members:
            beside[near].append(far)
    return beside


def _in_turns(groups: Iterable[Sequence[Node]], drawn: Collection[Node], room: int) -> list[Node]:
    """At most `room` nodes not drawn yet: the first of each group, then the second of each, and so on."""
    new = [[node for node in dict.fromkeys(group) if node not in drawn] for group in groups]
    turns = dict.fromkeys(node for turn in zip_longest(*new, fillvalue=_NOTHING) for node in turn)
    turns.pop(_NOTHING, None)
    return list(islice(turns, room))


def _enter(beside: Mapping[Node, list[Node]], drawn: set[Node], found: set[Node]) -> list[Node]:
    """Note the drawn nodes that this side reaches for the first time, and return them as the next frontier."""
    new = list(
        dict.fromkeys(node for group in beside.values() for node in group if node in drawn and node not in found)
    )
    found.update(new)
    return new


def _distances(edges: Iterable[Edge], start: Iterable[Node], sign: int, depth: int | None) -> dict[Node, int]:
    """How far drawn nodes are on one side, by drawn edges; in a circle a node is on both sides."""
    beside: dict[Node, list[Node]] = defaultdict(list)
    for edge in edges:
        near, far = (edge.target, edge.source) if sign < 0 else (edge.source, edge.target)
        beside[near].append(far)
    distances = dict.fromkeys(start, 0)
    waiting = deque(distances)
    while waiting:
        node = waiting.popleft()
        if depth is None or abs(distances[node]) < depth:
            new = [far for far in dict.fromkeys(beside[node]) if far not in distances]
            distances.update(dict.fromkeys(new, distances[node] + sign))
            waiting.extend(new)
    return distances


def _nearest(sides: Iterable[Mapping[Node, int]]) -> dict[Node, int]:
    """The distance on the nearer side; downstream, where both are as near."""
    nearest: dict[Node, int] = {}
    for side in sides:
        for node, distance in side.items():
            if abs(distance) <= abs(nearest.get(node, distance)):
                nearest[node] = distance
    return nearest


def _folded(degrees: Mapping[Node, tuple[int, int]], edges: Iterable[Edge]) -> dict[Node, tuple[int, int]]:
    """Per node, its neighbours that no drawn edge leads to; nodes without any are left out."""
    pairs = {(edge.source, edge.target) for edge in edges}
    upstream: dict[Node, int] = defaultdict(int)
    downstream: dict[Node, int] = defaultdict(int)
    for source, target in pairs:
        downstream[source] += 1
        upstream[target] += 1
    left = {
        # Never below zero: edges may be written between the two questions.
        node: (max(0, ups - upstream[node]), max(0, downs - downstream[node]))
        for node, (ups, downs) in degrees.items()
    }
    return {node: counts for node, counts in left.items() if any(counts)}


def _missing(
    hops: Mapping[int, Mapping[Node, int]],
    folded: Mapping[Node, tuple[int, int]],
    depth: int | None,
    opened: Collection[Side],
    shut: Collection[Side],
) -> Iterable[int]:
    """How many neighbours are not drawn, of each node that the walk should have gone on from."""
    wanted = {
        (node, sign): None
        for sign, side in hops.items()
        for node, distance in side.items()
        if (depth is None or abs(distance) < depth) and (node, sign) not in shut
    }
    for node, sign in [*wanted, *opened]:
        if node in folded:
            yield folded[node][0 if sign < 0 else 1]
