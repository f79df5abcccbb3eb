"""What a deletion takes along: tables in a safe order, pipelines, what stays, and what stands against it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import networkx as nx
from django.db.models import Q, QuerySet

from audits.deletion.facts import unread_sql
from audits.deletion.models import Verdict
from catalog.models import Pipeline, Table
from lineage.models import TableEdge
from lineage.queries import builders_of

MOST_TABLES = 500  # in one plan: nobody could look through more

Edge = tuple[int | None, int, int | None]  # source table, pipeline, target table


@dataclass(frozen=True)
class Trim:
    """A pipeline that stays, and the tables it should no longer write."""

    pipeline: Pipeline
    outputs: tuple[Table, ...]


@dataclass(frozen=True)
class Plan:
    """`tables` in the order in which they go: what is built from a table goes before it.

    `added` are those that nobody chose, but that could not be built any more. With `obstacles` there is no plan.
    """

    tables: tuple[Table, ...]
    added: tuple[Table, ...]
    delete: tuple[Pipeline, ...]
    trim: tuple[Trim, ...]
    stays: tuple[Table, ...]
    edges: tuple[Edge, ...]
    obstacles: tuple[str, ...] = ()


def plan_for(chosen: Iterable[Table]) -> Plan:
    """The plan that begins with these tables. A fixed number of queries, and one per hop downstream."""
    chosen_ids = {table.pk for table in chosen}
    ids = _with_downstream(chosen_ids)
    tables = {table.pk: table for table in Table.objects.select_related("source", "verdict").filter(pk__in=ids)}
    edges = _edges_at(ids)
    delete, trim = _pipelines(ids, tables)
    going = set(delete)
    around = {source for source, pipeline, _ in edges if source and source not in ids and pipeline in going}
    stays = Table.objects.select_related("source").filter(pk__in=around).order_by("name", "id")
    order = _order(ids, edges)
    return Plan(
        tables=tuple(tables[pk] for pk in order if pk in tables),
        added=tuple(tables[pk] for pk in order if pk in tables and pk not in chosen_ids),
        delete=tuple(sorted(delete.values(), key=lambda pipeline: pipeline.name)),
        trim=tuple(sorted(trim, key=lambda each: each.pipeline.name)),
        stays=tuple(stays),
        edges=tuple(sorted(edges, key=str)),
        obstacles=tuple(_obstacles([tables[pk] for pk in order if pk in tables], chosen_ids, len(ids))),
    )


def current_edges() -> QuerySet[TableEdge]:
    """Edges that hold now, without those of retired pipelines."""
    return TableEdge.objects.filter(valid_to__isnull=True).exclude(pipeline__status=Pipeline.Status.RETIRED).order_by()


def _with_downstream(ids: Collection[int]) -> set[int]:
    """The tables and all that is built from them, as far as a plan can grow."""
    found, frontier = set(ids), set(ids)
    while frontier and len(found) <= MOST_TABLES:
        targets = current_edges().filter(source_table__in=frontier, target_table__isnull=False)
        targets = targets.exclude(target_table__status=Table.Status.RETIRED)
        frontier = set(targets.values_list("target_table", flat=True)) - found
        found |= frontier
    return found


def _edges_at(ids: Collection[int]) -> set[Edge]:
    at = current_edges().filter(Q(source_table__in=ids) | Q(target_table__in=ids))
    return set(at.values_list("source_table_id", "pipeline_id", "target_table_id"))


def _order(ids: Collection[int], edges: Iterable[Edge]) -> list[int]:
    """Downstream first; the members of a cycle together."""
    graph = nx.DiGraph()
    graph.add_nodes_from(sorted(ids))
    graph.add_edges_from(sorted((a, b) for a, _, b in edges if a in graph and b in graph and a != b))
    groups = nx.condensation(graph)
    return [
        pk for group in reversed(list(nx.topological_sort(groups))) for pk in sorted(groups.nodes[group]["members"])
    ]


def _pipelines(ids: Collection[int], tables: dict[int, Table]) -> tuple[dict[int, Pipeline], list[Trim]]:
    """Builders that go, and builders that only lose outputs: they also feed others, or were not read whole."""
    builders = {pipeline.pk: pipeline for group in builders_of(ids).values() for pipeline in group}
    builders = {pk: each for pk, each in builders.items() if each.status != Pipeline.Status.RETIRED}
    outputs: dict[int, set[int | None]] = {pk: set() for pk in builders}
    for pipeline, target in current_edges().filter(pipeline__in=builders).values_list("pipeline_id", "target_table_id"):
        outputs[pipeline].add(target)
    half_read = set(unread_sql().filter(pipeline__in=builders).values_list("pipeline_id", flat=True))
    delete = {pk: each for pk, each in builders.items() if outputs[pk] <= set(ids) and pk not in half_read}
    trim = [
        Trim(pipeline, tuple(tables[out] for out in sorted(outputs[pk] & set(ids)) if out in tables))  # type: ignore[type-var]
        for pk, pipeline in builders.items()
        if pk not in delete
    ]
    return delete, trim


def _obstacles(tables: list[Table], chosen: Collection[int], reached: int) -> Iterable[str]:
    if reached > MOST_TABLES:
        yield f"Over {MOST_TABLES} tables would go: choose fewer."
    for table in tables:
        if (why := not_proposed(table)) is not None:
            yield why if table.pk in chosen else f"{why} It is built from what you chose."


def not_proposed(table: Table) -> str | None:
    """Why the last verdict does not propose to drop this table, in a sentence; None where it does. Reads `verdict`."""
    verdict = getattr(table, "verdict", None)
    if verdict is None:
        return f"{table.name} has no verdict yet."
    if verdict.is_proposed:
        return None
    if verdict.verdict in (Verdict.Word.UNREAD, Verdict.Word.FEEDS_UNREAD):
        return f"{table.name} could not be built again."
    return f"{table.name} is {verdict.get_verdict_display().lower()}."
