"""What an incident hits: where it began, all that lineage led to from there at that time, and who answers for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Min, Q

from audits.postmortems.models import Hit
from catalog.models import Column, Owner, Pipeline, Table
from catalog.queries import ownerships_in_force
from lineage.models import TableEdge
from lineage.nodes import NodeId
from lineage.queries import GraphNode, Lineage, builders_of, lineage_of

MOST = 500  # tables or columns downstream; an incident that hits more is known by how many more there are

Thing = Table | Pipeline | Column


@dataclass(frozen=True)
class HitList:
    """Hits not stored yet, the moment whose lineage they follow, and how many tables did not fit."""

    hits: list[Hit]
    lineage_at: dt.datetime
    beyond: int


def hit_list(things: Sequence[Thing], at: dt.datetime) -> HitList:
    """All that lies downstream of `things` by the lineage of `at`, with the owners in force now.

    Where the lineage is younger than `at`, the oldest that is known of these things counts.
    """
    at = max([at, *_first_known(things)])
    walks = [lineage_of(thing, "downstream", None, MOST, at=at) for thing in things]
    hits = {hit.node: hit for hit in map(hit_on, things)}
    for node in sorted((node for walk in walks for node in walk.nodes), key=lambda node: node.distance):
        hits.setdefault(_key(node), _hit_of(node))
    _tie(hits.values())
    owners = _owners_of(hits.values(), builders_of(hit.table_id for hit in hits.values() if _is_start(hit)))
    return HitList([*hits.values(), *owners], at, sum(map(_left_out, walks)))


def hit_on(thing: Thing | Owner) -> Hit:
    """A thing as a hit where it all began, tied to it."""
    if isinstance(thing, Owner):
        return Hit(kind=Hit.Kind.OWNER, node=f"owner:{thing.slug}", name=thing.name, owner=thing)
    if isinstance(thing, Column):
        name = f"{thing.table.name}.{thing.name}"
        return Hit(
            kind=Hit.Kind.COLUMN,
            node=thing.node,
            source=thing.table.source.slug,
            name=name,
            column=thing,
            table=thing.table,
        )
    if isinstance(thing, Pipeline):
        return Hit(kind=Hit.Kind.PIPELINE, node=thing.node, name=thing.name, pipeline=thing)
    return Hit(kind=_kind_of_table(thing.kind), node=thing.node, source=thing.source.slug, name=thing.name, table=thing)


def _first_known(things: Iterable[Thing]) -> list[dt.datetime]:
    """When the first edge out of any of them was seen. One query."""
    tables = [thing.table_id if isinstance(thing, Column) else thing.pk for thing in things if _has_rows(thing)]
    pipelines = [thing.pk for thing in things if isinstance(thing, Pipeline)]
    out = TableEdge.objects.filter(Q(source_table__in=tables) | Q(pipeline__in=pipelines))
    first = out.aggregate(first=Min("valid_from"))["first"]
    return [first] if first else []


def _has_rows(thing: Thing) -> bool:
    return isinstance(thing, Table | Column)


def _is_start(hit: Hit) -> bool:
    return hit.distance == 0 and hit.table_id is not None


def _kind_of_table(kind: str) -> str:
    return Hit.Kind.DASHBOARD if kind == Table.Kind.DASHBOARD else Hit.Kind.TABLE


def _key(node: GraphNode) -> str:
    return node.table if node.kind == "rows" else node.id


def _hit_of(node: GraphNode) -> Hit:
    kind, name = node.kind, node.label
    if node.kind in ("table", "rows"):
        kind, name = _kind_of_table(node.thing_kind), node.table_label or node.label
    elif node.kind == "column":
        name = f"{node.table_label}.{node.label}"
    return Hit(kind=kind, node=_key(node), source=node.source, name=name, distance=node.distance)


def _left_out(walk: Lineage) -> int:
    return walk.reached - walk.drawn if walk.capped else 0


def _tie(hits: Iterable[Hit]) -> None:
    """Give each hit that is only named yet the key of its table, column or pipeline. Three queries."""
    loose = [(hit, NodeId.parse(hit.node)) for hit in hits if not (hit.table_id or hit.column_id or hit.pipeline_id)]
    named = {node.name for _, node in loose if node.kind != "pipeline"}
    tables = Table.objects.filter(name__in=named).values_list("source__slug", "name", "pk")
    table_ids = {(source, name): pk for source, name, pk in tables}
    columns = {node.column for _, node in loose if node.kind == "column"}
    found = Column.objects.filter(table__in=table_ids.values(), name__in=columns).values_list("table", "name", "pk")
    column_ids = {(table, name): pk for table, name, pk in found}
    pipelines = Pipeline.objects.filter(name__in={node.name for _, node in loose if node.kind == "pipeline"})
    pipeline_ids = dict(pipelines.values_list("name", "pk"))
    for hit, node in loose:
        if node.kind == "pipeline":
            hit.pipeline_id = pipeline_ids[node.name]
            continue
        hit.table_id = table_ids[node.source, node.name]
        if node.kind == "column":
            hit.column_id = column_ids[hit.table_id, node.column]


def _owners_of(hits: Iterable[Hit], builders: dict[int, list[Pipeline]]) -> list[Hit]:
    """Who answers for what is hit, or builds where it began; each once, with the nearest reason. Two queries."""
    reasons: dict[tuple[str, int], Hit] = {}
    for hit in hits:
        if hit.table_id:
            reasons.setdefault(("table", hit.table_id), hit)
            for builder in builders.get(hit.table_id, ()):
                reasons.setdefault(("pipeline", builder.pk), hit)
        elif hit.pipeline_id:
            reasons.setdefault(("pipeline", hit.pipeline_id), hit)
    found: dict[int, Hit] = {}
    for noun in ("table", "pipeline"):
        ids = [key for kind, key in reasons if kind == noun]
        for ownership in ownerships_in_force(noun, **{f"{noun}__in": ids}).select_related("owner", noun):
            reason = reasons[noun, getattr(ownership, f"{noun}_id")]
            hit = hit_on(ownership.owner)
            hit.distance = reason.distance
            hit.note = f"{ownership.get_role_display()} of {getattr(ownership, noun)}"[:500]
            if hit.owner_id not in found or found[hit.owner_id].distance > hit.distance:
                found[hit.owner_id] = hit
    return list(found.values())
