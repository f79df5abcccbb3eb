"""The impact of changes with what query logs add: tables that only logs know to be filled, and who really reads what
goes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from audits.usage.models import ColumnRead, Read, Reader
from audits.usage.queries import WINDOW_DAYS, edges_only_in_log, outside_reads
from catalog.bulk import among
from catalog.models import Column, Table
from lineage.breaks import Cause, Spread
from lineage.impact import Impact, RepositoryPipelines, spread_of, told
from lineage.planned import PlannedChange


@dataclass(frozen=True)
class LostReads:
    """Queries of the last 90 days, not of pipelines, that name a column, or read a table, which goes. `change` is the
    one that takes it away, and `start` the node id of what that is about."""

    thing: Table | Column
    change: str
    start: str
    reads: int
    people: int
    readers: int

    @property
    def node(self) -> str:
        return self.thing.node

    @property
    def in_words(self) -> str:
        """Who reads it: "12 queries by 2 people and 1 other account"."""
        others = self.readers - self.people
        people = f"{self.people:,} {'person' if self.people == 1 else 'people'}" if self.people else ""
        accounts = f"{others:,} other account{'' if others == 1 else 's'}" if others else ""
        readers = " and ".join(filter(None, [people, accounts]))
        return f"{self.reads:,} quer{'y' if self.reads == 1 else 'ies'} by {readers}"


def impact_of(
    changes: Collection[PlannedChange], repository: RepositoryPipelines | None = None
) -> tuple[Impact, list[LostReads]]:
    """What changes do downstream, and whose queries they take something from, the most read first."""
    spread = spread_of(changes, repository, _filled_by_hand)
    return told(spread, list(changes)), sorted(_lost_reads(spread), key=lambda lost: -lost.reads)


def _filled_by_hand(tables: Collection[int]) -> Iterable[tuple[int, int]]:
    edges = edges_only_in_log().filter(source_table__in=among(tables), target_table__isnull=False)
    return edges.order_by("source_table", "target_table").values_list("source_table", "target_table").distinct()


def _lost_reads(spread: Spread) -> Iterator[LostReads]:
    since = timezone.now().date() - dt.timedelta(days=WINDOW_DAYS)
    columns = {column: cause for (_, column), cause in spread.gone.items() if isinstance(column, int)}
    named = ColumnRead.objects.filter(column__in=among(columns), month__gte=since.replace(day=1))
    yield from _told(named, "column", Column.objects.select_related("table__source"), columns)
    read = outside_reads(Read.objects.filter(table__in=among(spread.gone_tables), day__gte=since))
    yield from _told(read, "table", Table.objects.select_related("source"), spread.gone_tables)


def _told(reads: QuerySet, noun: str, things: QuerySet[Any], causes: dict[int, Cause]) -> Iterator[LostReads]:
    """Two queries."""
    others = reads.exclude(reader__kind=Reader.Kind.PIPELINE).order_by().values(noun)
    people = Count("reader", distinct=True, filter=Q(reader__kind=Reader.Kind.HUMAN))
    rows = {
        row[noun]: row
        for row in others.annotate(reads=Sum("count"), readers=Count("reader", distinct=True), people=people)
    }
    for thing in things.filter(pk__in=among(rows)):
        cause, row = causes[thing.pk], rows[thing.pk]
        start = next((key for kind, key in cause.steps() if kind == "node"), "")
        yield LostReads(thing, cause.change, start, row["reads"], row["people"], row["readers"])
