"""The walk, over graphs of a few edges held in memory; its answers checked against networkx."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import networkx as nx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.graph import Edge, Node, walk

EVERYTHING = 10**9


class Memory:
    """A graph in a list of edges, as `walk` wants to ask it; counts its round trips."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.all = list(edges)
        self.asked = 0

    def hop(self, upstream_of: Collection[Node], downstream_of: Collection[Node], limit: int) -> list:
        self.asked += 1
        into = [[(e.source, e.target) for e in self.all if e.target == node] for node in upstream_of]
        out = [[(e.source, e.target) for e in self.all if e.source == node] for node in downstream_of]
        return [pair for pairs in into + out for pair in list(dict.fromkeys(pairs))[:limit]]

    def between(self, nodes: Collection[Node]) -> Iterable[Edge]:
        self.asked += 1
        return [edge for edge in self.all if edge.source in nodes and edge.target in nodes]

    def degrees(self, nodes: Collection[Node]) -> dict[Node, tuple[int, int]]:
        self.asked += 1
        pairs = {(edge.source, edge.target) for edge in self.all}
        return {
            node: (sum(target == node for _, target in pairs), sum(source == node for source, _ in pairs))
            for node in nodes
        }


def flow(*arrows: str) -> Memory:
    """`flow("a b", "b c")`: data goes from a to b, and from b to c."""
    return Memory(Edge(*arrow.split()) for arrow in arrows)


def test_distance_is_negative_upstream_and_positive_downstream():
    found = walk(flow("raw staged", "staged orders", "orders report"), ["staged"], depth=2)
    assert found.distance == {"staged": 0, "raw": -1, "orders": 1, "report": 2}


def test_both_directions_never_go_sideways():
    graph = flow("raw staged", "raw sibling", "other report", "staged report")
    assert set(walk(graph, ["staged"], depth=3).distance) == {"staged", "raw", "report"}


def test_edges_between_drawn_nodes_are_drawn_even_where_no_hop_took_them():
    found = walk(flow("a hub", "b hub", "a b"), ["hub"], "upstream", depth=1)
    assert Edge("a", "b") in found.edges


def test_what_lies_past_the_depth_is_counted_on_the_node_it_hangs_on():
    found = walk(flow("a b", "b c", "b d", "c e", "x b"), ["a"], depth=1)
    assert found.folded == {"b": (1, 2)}
    assert not found.capped
    assert found.reached == 2


def test_parallel_edges_are_one_neighbour():
    graph = Memory([Edge("a", "b", via=1), Edge("a", "b", via=2), Edge("b", "c", via=1), Edge("b", "c", via=2)])
    found = walk(graph, ["a"], depth=1)
    assert [edge.via for edge in found.edges] == [1, 2]
    assert found.folded == {"b": (0, 1)}


def test_a_table_that_reads_itself_is_not_its_own_folded_neighbour():
    found = walk(flow("a a", "a b"), ["a"], depth=1)
    assert found.distance == {"a": 0, "b": 1}
    assert found.folded == {}


def test_a_circle_is_walked_once_in_both_directions():
    found = walk(flow("a b", "b c", "c a", "c d"), ["a"], depth=None)
    assert found.distance == {"a": 0, "b": 1, "c": -1, "d": 3}


def test_the_cap_says_how_many_are_missing_at_least():
    found = walk(flow(*(f"hub t{number}" for number in range(20))), ["hub"], depth=1, cap=6)
    assert len(found.distance) == 6
    assert (found.capped, found.reached) == (True, 21)
    assert found.folded == {"hub": (0, 15)}


def test_starting_nodes_beyond_the_cap_are_missing_too():
    found = walk(flow("a b"), ["x", "y", "z"], cap=2)
    assert (list(found.distance), found.capped, found.reached) == (["x", "y"], True, 3)


def test_under_a_cap_the_nodes_of_a_frontier_take_turns():
    graph = flow("a hub", "a small", *(f"hub t{number}" for number in range(20)), "small leaf")
    assert "leaf" in walk(graph, ["a"], "downstream", depth=2, cap=6).distance


def test_a_cap_that_is_just_enough_caps_nothing():
    found = walk(flow("a b", "b c"), ["a"], depth=1, cap=2)
    assert not found.capped


def test_one_round_trip_a_hop_and_two_at_the_end():
    graph = flow("a b", "b c", "c d", "d e")
    walk(graph, ["c"], "both", depth=2)
    assert graph.asked == 2 + 2


slowly = settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the examples
graphs = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40).map(
    lambda pairs: [Edge(source, target) for source, target in pairs]
)


@slowly
@given(graphs, st.integers(0, 12), st.sampled_from(["upstream", "downstream"]), st.none() | st.integers(0, 5))
def test_distances_are_the_shortest(edges, start, direction, depth):
    digraph = nx.DiGraph([(edge.source, edge.target) for edge in edges])
    digraph.add_node(start)
    along = digraph if direction == "downstream" else digraph.reverse()
    found = walk(Memory(edges), [start], direction, depth, EVERYTHING)
    assert {node: abs(hops) for node, hops in found.distance.items()} == dict(
        nx.single_source_shortest_path_length(along, start, cutoff=depth)
    )


@slowly
@given(graphs, st.integers(0, 12), st.none() | st.integers(0, 5))
def test_both_is_upstream_and_downstream_together(edges, start, depth):
    sides = [walk(Memory(edges), [start], side, depth, EVERYTHING).distance for side in ("upstream", "downstream")]
    both = walk(Memory(edges), [start], "both", depth, EVERYTHING).distance
    assert set(both) == set(sides[0]) | set(sides[1])
    assert all(abs(hops) == min(abs(side[node]) for side in sides if node in side) for node, hops in both.items())


def test_a_cap_is_noticed_where_only_the_other_side_of_a_circle_goes_on():
    found = walk(flow("0 2", "1 3", "2 1", "3 2"), ["3"], "both", depth=3, cap=3)
    assert (set(found.distance), found.capped, found.reached) == ({"1", "2", "3"}, True, 4)


@slowly
@given(graphs, st.integers(0, 12), st.integers(1, 4), st.integers(1, 8))
def test_a_capped_walk_is_honest(edges, start, depth, cap):
    whole = walk(Memory(edges), [start], "both", depth, EVERYTHING)
    part = walk(Memory(edges), [start], "both", depth, cap)
    assert set(part.distance) <= set(whole.distance)
    assert len(part.distance) == min(cap, len(whole.distance))
    assert part.capped == (len(part.distance) < len(whole.distance))
    assert len(part.distance) <= part.reached <= len(whole.distance)


@slowly
@given(graphs, st.integers(0, 12), st.integers(1, 3), st.integers(1, 8))
def test_drawn_and_folded_neighbours_are_all_neighbours(edges, start, depth, cap):
    found = walk(Memory(edges), [start], "both", depth, cap)
    for node in found.distance:
        neighbours = {edge.target for edge in edges if edge.source == node}
        drawn = {edge.target for edge in found.edges if edge.source == node}
        assert len(neighbours) == len(drawn) + found.folded.get(node, (0, 0))[1]


def test_a_side_is_opened_by_one_hop_wherever_it_lies() -> None:
    graph = flow("a b", "b c", "c d", "x c", "x y", "w x")
    found = walk(graph, ["b"], depth=1, opened=[("c", -1), ("x", 1), ("nowhere", 1)])
    assert found.distance == {"b": 0, "a": -1, "c": 1, "x": 0, "y": 1}
    assert found.folded == {"c": (0, 1), "x": (1, 0)}
    assert not found.capped


def test_a_side_that_is_shut_is_not_gone_beyond_but_what_another_leads_to_stays() -> None:
    graph = flow("a b", "b c", "b d", "c e", "d e", "c f")
    found = walk(graph, ["a"], depth=3, shut=[("c", 1)])
    assert set(found.distance) == {"a", "b", "c", "d", "e"}
    assert found.folded == {"c": (0, 1)}
    assert not found.capped  # it is left out because somebody wished so
    assert set(walk(graph, ["a"], depth=3, shut=[("a", 1)]).distance) == {"a"}


def test_what_a_cap_leaves_out_of_an_opened_side_is_counted() -> None:
    found = walk(flow("a b", *(f"b t{number}" for number in range(9))), ["a"], cap=5, opened=[("b", 1)])
    assert (found.capped, found.reached) == (True, 11)
    assert found.folded == {"b": (0, 6)}
