"""The stored edges as a graph to walk: one SQL query per hop, current or as of a date.

Table grain: nodes are ("table", id); an edge without a target or a source ends at ("pipeline", id), where walks end
too, unless they start there. Column grain: ("column", id), and ("rows", table id) for every row of a table at once
(filters, joins, stars that could not be expanded).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from lineage.graph import Edge, Node
from lineage.models import ColumnEdge, TableEdge


def in_force(at: datetime | None) -> Q:
    """Edges and SQL versions that hold now (None), or held at that moment."""
    if at is None:
        return Q(valid_to__isnull=True)
    return Q(valid_from__lte=at) & (Q(valid_to__isnull=True) | Q(valid_to__gt=at))


def ids(kind: str, nodes: Iterable[Node]) -> list[int]:
    """The keys of the nodes of one kind, sorted."""
    return sorted(key for node_kind, key in nodes if node_kind == kind)  # type: ignore[misc]


class TableRows:
    """Edges between tables. `roots` are pipelines that a walk starts from: it goes on from them by all their edges."""

    def __init__(self, at: datetime | None = None, roots: Collection[int] = ()) -> None:
        self._rows = TableEdge.objects.filter(in_force(at)).order_by()
        self._roots = frozenset(roots)

    def edges(self, upstream_of: Collection[Node], downstream_of: Collection[Node], limit: int) -> Iterator[Edge]:
        wanted = Q(target_table__in=ids("table", upstream_of)) | Q(source_table__in=ids("table", downstream_of))
        if self._roots_in(upstream_of) or self._roots_in(downstream_of):
            wanted |= Q(pipeline__in=self._roots_in(upstream_of) | self._roots_in(downstream_of))
        return self._as_edges(self._rows.filter(wanted))

    def between(self, nodes: Collection[Node]) -> Iterator[Edge]:
        tables, pipelines = ids("table", nodes), ids("pipeline", nodes)
        wanted = Q(source_table__in=tables, target_table__in=tables)
        if pipelines:
            wanted |= Q(source_table__in=tables, pipeline__in=pipelines)
            wanted |= Q(target_table__in=tables, pipeline__in=pipelines)
        known = set(nodes)
        return (e for e in self._as_edges(self._rows.filter(wanted)) if e.source in known and e.target in known)

    def degrees(self, nodes: Collection[Node]) -> Mapping[Node, tuple[int, int]]:
        counts: dict[Node, list[int]] = {}
        for side, (near, far) in enumerate([("target_table", "source_table"), ("source_table", "target_table")]):
            at_pipeline = Q(**{f"{far}__isnull": True}) | Q(pipeline__in=self._roots)
            rows = self._rows.filter(**{f"{near}__in": ids("table", nodes)}).values_list(near)
            for table, tables, pipelines in rows.annotate(
                Count(far, distinct=True, filter=~at_pipeline), Count("pipeline", distinct=True, filter=at_pipeline)
            ):
                counts.setdefault(("table", table), [0, 0])[side] = tables + pipelines
        if roots := self._roots_in(nodes):
            ends = Count("source_table", distinct=True), Count("target_table", distinct=True)
            for pipeline, sources, targets in (
                self._rows.filter(pipeline__in=roots).values_list("pipeline").annotate(*ends)
            ):
                counts[("pipeline", pipeline)] = [sources, targets]
        return {node: (up, down) for node, (up, down) in counts.items()}

    def _roots_in(self, nodes: Collection[Node]) -> set[int]:
        return self._roots.intersection(ids("pipeline", nodes)) if self._roots else set()

    def _as_edges(self, rows: QuerySet) -> Iterator[Edge]:
        fields = rows.order_by("source_table", "target_table", "pipeline").distinct()
        for source, target, pipeline in fields.values_list("source_table_id", "target_table_id", "pipeline_id"):
            here = ("pipeline", pipeline)
            if source and target and pipeline not in self._roots:
                yield Edge(("table", source), ("table", target), pipeline)
                continue
            if source:
                yield Edge(("table", source), here, pipeline)
            if target:
                yield Edge(here, ("table", target), pipeline)


class ColumnRows:
    """Edges between columns, and between every row of a table (an empty end of the edge) and them."""

    def __init__(self, at: datetime | None = None) -> None:
        self._rows = ColumnEdge.objects.filter(in_force(at)).order_by()

    def edges(self, upstream_of: Collection[Node], downstream_of: Collection[Node], limit: int) -> Iterator[Edge]:
        return self._as_edges(self._rows.filter(_at_end("target", upstream_of) | _at_end("source", downstream_of)))

    def between(self, nodes: Collection[Node]) -> Iterator[Edge]:
        return self._as_edges(self._rows.filter(_at_end("source", nodes) & _at_end("target", nodes)))

    def degrees(self, nodes: Collection[Node]) -> Mapping[Node, tuple[int, int]]:
        counts: dict[Node, list[int]] = {}
        for side, end in enumerate(["target", "source"]):
            other = "source" if side == 0 else "target"
            rows = self._rows.filter(_at_end(end, nodes)).values_list(f"{end}_table_id", f"{end}_column_id")
            for table, column, columns, tables in rows.annotate(
                Count(f"{other}_column", distinct=True),
                Count(f"{other}_table", distinct=True, filter=Q(**{f"{other}_column__isnull": True})),
            ):
                counts.setdefault(_column_node(table, column), [0, 0])[side] = columns + tables
        return {node: (up, down) for node, (up, down) in counts.items()}

    def _as_edges(self, rows: QuerySet) -> Iterator[Edge]:
        fields = "source_table_id", "source_column_id", "target_table_id", "target_column_id", "pipeline_id", "kind"
        for source_table, source, target_table, target, pipeline, kind in (
            rows.order_by(*fields).distinct().values_list(*fields)
        ):
            yield Edge(_column_node(source_table, source), _column_node(target_table, target), pipeline, kind)


def _at_end(end: str, nodes: Iterable[Node]) -> Q:
    columns, tables = ids("column", nodes), ids("rows", nodes)
    return Q(**{f"{end}_column__in": columns}) | Q(**{f"{end}_table__in": tables, f"{end}_column__isnull": True})


def _column_node(table: int, column: int | None) -> Node:
    return ("column", column) if column else ("rows", table)
