"""All that lay upstream of a table within a window of time, with the way from each thing there to the table.

Where `graph.walk` draws a neighbourhood, this goes to the end: a cause may sit ten hops away. It follows every edge
that held at any moment of the window, so that an input which the change itself took away is upstream as well.

It is no walk of `graph.walk`, which asks for each node by itself, so that a hub yields no more rows than are drawn, and
counts what it leaves out. Here no hub is cut short and nothing is counted: one query for a whole hop of thousands of
tables, with the pipelines that `graph.walk` learns only at its end. What both share is a queue of four lines.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from django.db.models import Min, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from catalog.bulk import among
from catalog.models import Pipeline, Table
from lineage.models import TableEdge

_NOW = dt.timedelta(minutes=5)  # a window that ends within it ends now
MOST_TABLES = 20_000  # upstream tables that are looked at; the nearest ones, should there be more


@dataclass(frozen=True)
class Step:
    """A table on the way, and the pipeline by which its data goes on to the next; none at the end of the way."""

    table: Table
    by: Pipeline | None = None


@dataclass
class Upstream:
    """`hops` from each table, by id, to the one asked about, which has 0; `writers` gives of each pipeline the nearest
    table that it writes. `is_capped` says that tables farther away are left out."""

    hops: dict[int, int]
    writers: dict[int, int] = field(default_factory=dict)
    onward: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Of each table the next one on the shortest way, and the pipeline that leads there."""
    is_capped: bool = False

    def way_of(self, table: int) -> Iterator[tuple[int, int | None]]:
        """Table and pipeline ids from a table to the one asked about."""
        while table in self.onward:
            target, pipeline = self.onward[table]
            yield table, pipeline
            table = target
        yield table, None


def upstream_of(table: Table, since: dt.datetime, until: dt.datetime) -> Upstream:
    """Everything upstream of a table over edges that held between both moments. One query a hop.

    Of a window before any lineage of the table was known, the first that was counts.
    """
    first_known = TableEdge.objects.filter(target_table=table).aggregate(at=Min("valid_from"))["at"]
    until = max(until, first_known or until)
    found = Upstream({table.pk: 0})
    frontier = [table.pk]
    while frontier and not found.is_capped:
        met: list[int] = []
        for target, source, pipeline in _edges_into(frontier, since, until):
            found.writers.setdefault(pipeline, target)
            if source and source not in found.hops:
                found.hops[source] = found.hops[target] + 1
                found.onward[source] = (target, pipeline)
                met.append(source)
        frontier = met
        found.is_capped = len(found.hops) > MOST_TABLES
    return found


def ways(upstream: Upstream, tables: Collection[int]) -> dict[int, list[Step]]:
    """The shortest way from each of some tables to the one asked about, both included. Two queries for them all."""
    routes = {table: list(upstream.way_of(table)) for table in tables}
    steps = [step for route in routes.values() for step in route]
    named = _by_id(
        Table.objects.select_related("source").only("name", "kind", "source__slug"), (key for key, _ in steps)
    )
    jobs = _by_id(Pipeline.objects.only("name"), (by for _, by in steps if by))
    return {
        table: [Step(named[key], jobs.get(by) if by else None) for key, by in route if key in named]
        for table, route in routes.items()
    }


def _edges_into(targets: Iterable[int], since: dt.datetime, until: dt.datetime) -> list[tuple[int, int, int]]:
    """(target, source or 0, pipeline) of edges into tables, ordered so that the answer is always the same.

    Current ones come from their index alone where the window reaches up to now, since `valid_from` is not in it.
    """
    begun = Q() if until >= timezone.now() - _NOW else Q(valid_from__lte=until)
    ends = "target_table_id", Coalesce("source_table_id", 0), "pipeline_id"
    into = TableEdge.objects.filter(target_table__in=among(targets)).order_by()
    current = into.filter(begun, valid_to__isnull=True).values_list(*ends)
    former = into.filter(valid_to__gt=since, valid_from__lte=until).values_list(*ends)
    return sorted(current.union(former))


def _by_id(things: object, ids: Iterable[int]) -> dict[int, object]:
    return {thing.pk: thing for thing in things.filter(pk__in=among(set(ids)))}  # type: ignore[attr-defined]
