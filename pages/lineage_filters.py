"""A lineage narrowed by source, owner, tag and kind: what does not fit is left out of it, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from catalog.models import SearchDocument, Table
from lineage.queries import GraphNode, Lineage

FILTERS = ("source", "owner", "tag", "kind")


@dataclass(frozen=True)
class Choice:
    """One filter of the page: its values with the number of tables that have each, and the one chosen."""

    name: str
    chosen: str
    values: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Narrowed:
    """What fits, the filters there are, and how many tables or columns are hidden."""

    lineage: Lineage
    choices: Sequence[Choice]
    hidden: int


def narrowed(lineage: Lineage, asked: Mapping[str, str]) -> Narrowed:
    """The lineage of what fits all filters; its start stays, and pipelines as long as they lead to any of it.

    One query: owners and tags are those that search knows.
    """
    facets = _facets_of(lineage)
    counts: dict[str, Counter[str]] = {name: Counter() for name in FILTERS}
    for its in facets.values():
        for name in FILTERS:
            counts[name].update(its[name])
    choices = [
        Choice(name, asked.get(name, ""), sorted(counts[name].items(), key=lambda item: (-item[1], item[0])))
        for name in FILTERS
    ]
    wanted = {name: value for name, value in asked.items() if value}
    if not wanted:
        return Narrowed(lineage, choices, 0)
    fitting = {
        node.id
        for node in lineage.nodes
        if node.kind != "pipeline"
        and (node.id == lineage.start or all(value in facets[node.thing_key][name] for name, value in wanted.items()))
    }
    hidden = sum(node.kind != "pipeline" and node.id not in fitting for node in lineage.nodes)
    return Narrowed(_only(lineage, fitting), choices, hidden)


def _only(lineage: Lineage, fitting: set[str]) -> Lineage:
    """Pipelines stay where on every side that they have, something stays."""
    pipelines = {node.id for node in lineage.nodes if node.kind == "pipeline"}
    sides: dict[tuple[str, str], bool] = {}
    for edge in lineage.edges:
        for pipeline, side, other in ((edge.source, "to", edge.target), (edge.target, "from", edge.source)):
            if pipeline in pipelines:
                sides[pipeline, side] = sides.get((pipeline, side), False) or other in fitting
    cut_off = {pipeline for (pipeline, _), stays in sides.items() if not stays}
    kept = fitting | (pipelines - cut_off) | {lineage.start}
    nodes = [node for node in lineage.nodes if node.id in kept]
    edges = [edge for edge in lineage.edges if edge.source in kept and edge.target in kept]
    return replace(lineage, nodes=nodes, edges=edges)


def _facets_of(lineage: Lineage) -> dict[str, dict[str, Sequence[str]]]:
    """Filters' values by the key of each table that is in the lineage, itself or by a column."""
    nodes: dict[str, GraphNode] = {node.thing_key: node for node in lineage.nodes if node.kind != "pipeline"}
    ids = [int(key[1:]) for key in nodes]
    known = dict(
        SearchDocument.objects.filter(kind=Table._meta.model_name, object_id__in=ids).values_list("object_id", "facets")
    )
    return {
        key: {"source": [node.source], "kind": [node.thing_kind]}
        | {name: known.get(int(key[1:]), {}).get(name, []) for name in ("owner", "tag")}
        for key, node in nodes.items()
    }
