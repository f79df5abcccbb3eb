"""Edges that only query logs know, added to a lineage: what people and programs write by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from django.db.models import Q

from audits.usage.queries import edges_only_in_log
from catalog.links import link
from catalog.models import node_id
from lineage.queries import GraphEdge, GraphNode, Lineage

LOGGED = "logged"  # kind of such an edge
MOST = 40


def with_logged_edges(lineage: Lineage) -> Lineage:
    """The lineage with what logs add between its tables, and next to its start. One query.

    Who wrote it is not named here: people are not watched.
    """
    nodes = {node.key: node for node in lineage.nodes if node.kind == "table"}
    ids = [int(key[1:]) for key in nodes]
    start = [int(node.key[1:]) for node in nodes.values() if node.id == lineage.start]
    both = Q(source_table__in=ids, target_table__in=ids)
    found = edges_only_in_log().filter(both | _one_of(start, lineage.direction)).order_by("pk")
    ends = [
        f"{end}_table__{fact}"
        for end in ("source", "target")
        for fact in ("id", "name", "source__slug", "kind", "status")
    ]
    new: dict[str, GraphNode] = {}
    edges: set[GraphEdge] = set()
    for row in found.values_list(*ends)[:MOST]:
        source, target = _node(row[:5], -1), _node(row[5:], 1)
        if source.id != target.id:
            edges.add(GraphEdge(source.id, target.id, "", LOGGED))
            new |= {node.key: node for node in (source, target) if node.key not in nodes}
    known = {(edge.source, edge.target) for edge in lineage.edges}
    edges = {edge for edge in edges if (edge.source, edge.target) not in known}
    return replace(lineage, nodes=[*lineage.nodes, *new.values()], edges=[*lineage.edges, *sorted(edges)])


def _one_of(start: Iterable[int], direction: str) -> Q:
    condition = Q()
    if direction != "upstream":
        condition |= Q(source_table__in=start, target_table__isnull=False)
    if direction != "downstream":
        condition |= Q(target_table__in=start, source_table__isnull=False)
    return condition


def _node(facts: tuple, distance: int) -> GraphNode:
    pk, name, source, kind, status = facts
    return GraphNode(
        node_id("table", source, name),
        "table",
        name,
        link("table-detail", source, name),
        distance,
        source,
        kind,
        status,
        key=f"t{pk}",
        thing_key=f"t{pk}",
    )
