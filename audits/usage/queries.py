"""Reads of usage: who uses what, since when, how much; which edges and names only the logs know.

Use is a read from outside: `outside_reads` leaves out what a builder reads of its own table. Failed queries and tools'
are not stored as reads in the first place.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone

from audits.usage.models import ColumnRead, FailedRead, LogCoverage, LoggedEdge, Read, Reader, SeenName
from catalog import policy
from catalog.models import Role, Table, User
from catalog.queries import Owners
from lineage.models import TableEdge

WINDOW_DAYS = 90
TOP = 8


@dataclass(frozen=True)
class DayOfUse:
    """One day: how many reads, by how many readers."""

    day: dt.date
    reads: int
    readers: int


@dataclass(frozen=True)
class TopReader:
    """A reader and how often it read; for those who may not see names, a team and kind and how many they are."""

    label: str
    reader_kind: str
    readers: int
    reads: int
    last_day: dt.date


@dataclass(frozen=True)
class ColumnUse:
    """A column that queries name: how often within the window's months, by how many, and the last day."""

    column_id: int
    name: str
    reads: int
    readers: int
    last_day: dt.date


@dataclass(frozen=True)
class Usage:
    """The use of one table within `days` until `until`; `last_at` is the last ever, empty when none is known."""

    until: dt.date
    days: int
    reads: int
    readers: int
    last_at: dt.datetime | None
    by_day: tuple[DayOfUse, ...]  # days without reads are left out
    top_readers: tuple[TopReader, ...]
    names_shown: bool
    columns: tuple[ColumnUse, ...]
    failed: int
    is_covered: bool  # whether any log of the table's source is known

    @property
    def since(self) -> dt.date:
        """The first day of the window."""
        return self.until - dt.timedelta(days=self.days - 1)


def outside_reads(reads: QuerySet[Read] | None = None) -> QuerySet[Read]:
    """Reads but those of a table by what builds it: its pipelines, or the account that writes it and nothing else."""
    builds = TableEdge.objects.filter(
        target_table=OuterRef("table"), pipeline=OuterRef("reader__pipeline"), valid_to__isnull=True
    )
    writes = LoggedEdge.objects.filter(target_table=OuterRef("table"), reader=OuterRef("reader"))
    reads = Read.objects.all() if reads is None else reads
    reads = reads.exclude(reader__builds__isnull=False, reader__builds=F("table"))
    is_pipeline = Q(reader__kind=Reader.Kind.PIPELINE)
    return reads.exclude(Exists(builds), reader__pipeline__isnull=False).exclude(is_pipeline & Exists(writes))


def usage_of(
    table: Table,
    *,
    viewer: Any,
    owners: Owners,
    days: int = WINDOW_DAYS,
    until: dt.date | None = None,
    top: int = TOP,
) -> Usage:
    """The use of one table as `viewer` may see it; `owners` are the table's, inherited ones included. Five queries.

    `top` bounds the readers and columns.
    """
    until = until or timezone.now().date()
    since = until - dt.timedelta(days=days - 1)
    own = outside_reads(Read.objects.filter(table=table).order_by())
    window = own.filter(day__range=(since, until))
    by_day = [DayOfUse(**row) for row in window.values("day").annotate(reads=Sum("count"), readers=Count("reader"))]
    by_reader = list(_by_reader(window).order_by("-reads", "reader__name")) if by_day else []
    last_at = max((row["last_at"] for row in by_reader), default=None)
    if last_at is None:
        last_at = own.filter(day__lt=since).aggregate(last=Max("last_at"))["last"]
    shown = may_see_readers(viewer, owners)
    return Usage(
        until=until,
        days=days,
        reads=sum(day.reads for day in by_day),
        readers=len(by_reader),
        last_at=last_at,
        by_day=tuple(sorted(by_day, key=lambda day: day.day)),
        top_readers=tuple((_named if shown else _counted)(by_reader)[:top]),
        names_shown=shown,
        columns=tuple(columns_used(table, since, until, top)),
        failed=FailedRead.objects.filter(table=table, day__range=(since, until)).aggregate(n=Sum("count"))["n"] or 0,
        is_covered=bool(by_reader) or LogCoverage.objects.filter(source=table.source_id).exists(),
    )


@dataclass(frozen=True)
class LastReaders:
    """Who ever read a table, the latest first, as the viewer may see them."""

    readers: tuple[TopReader, ...]
    names_shown: bool


def last_readers(table: Table, *, viewer: Any, owners: Owners, top: int = 3) -> LastReaders:
    """As `usage_of`, without a window. One query."""
    found = list(_by_reader(outside_reads(Read.objects.filter(table=table).order_by())).order_by("reader__name"))
    shown = may_see_readers(viewer, owners)
    readers = sorted((_named if shown else _counted)(found), key=lambda each: each.last_day, reverse=True)
    return LastReaders(tuple(readers[:top]), shown)


def _by_reader(reads: QuerySet[Read]) -> QuerySet[Read, dict[str, Any]]:
    names = reads.values("reader__name", "reader__kind", "reader__owner__name", "reader__owner__team__name")
    return names.annotate(reads=Sum("count"), last_day=Max("day"), last_at=Max("last_at"))


def columns_used(table: Table, since: dt.date, until: dt.date, limit: int) -> list[ColumnUse]:
    """The columns of a table that queries name most, by whole months: a month counts whole if the window touches it."""
    months = ColumnRead.objects.filter(column__table=table, month__range=(since.replace(day=1), until)).order_by()
    found = list(
        months.values("column", "column__name")
        .annotate(reads=Sum("count"), readers=Count("reader", distinct=True))
        .order_by("-reads", "column__name")[:limit]
    )
    last = last_days_of_columns(row["column"] for row in found)
    return [
        ColumnUse(row["column"], row["column__name"], row["reads"], row["readers"], last[row["column"]])
        for row in found
    ]


def last_days_of_columns(column_ids: Iterable[int]) -> dict[int, dt.date]:
    """The last day on which a query named each column, for those that any did. One query."""
    last: dict[int, dt.date] = {}
    rows = (
        ColumnRead.objects.filter(column__in=list(column_ids)).order_by("month").values_list("column", "month", "days")
    )
    for column, month, bits in rows:
        day = month + dt.timedelta(days=bits.bit_length() - 1)
        last[column] = max(day, last.get(column, day))
    return last


def may_see_readers(viewer: Any, owners: Owners) -> bool:
    """Who read what is shown by name to a table's owners and to stewards; people are not watched by anybody else."""
    if policy.role_of(viewer) in (Role.STEWARD, Role.ADMIN):
        return True
    mine = owners_that_are(viewer)
    return any(owner in mine or getattr(owner, "slug", "") in mine for owner in (*owners.business, *owners.technical))


def owners_that_are(viewer: Any) -> set[str]:
    """Slugs of the owner that a person is and of their team; none for who has no role."""
    if not policy.role_of(viewer) or not isinstance(viewer, User) or viewer.owner is None:
        return set()
    return {viewer.owner.slug} | ({viewer.owner.team.slug} if viewer.owner.team else set())


def with_use(tables: QuerySet[Table], days: int = WINDOW_DAYS, until: dt.date | None = None) -> QuerySet[Table]:
    """Tables with `last_read_at`, and `reads_in_window` and `readers_in_window`, each by a sub-query on its index."""
    until = until or timezone.now().date()
    own = outside_reads(Read.objects.filter(table=OuterRef("pk")).order_by())
    window = own.filter(day__range=(until - dt.timedelta(days=days - 1), until)).values("table")
    return tables.annotate(
        last_read_at=Subquery(own.values("table").annotate(last=Max("last_at")).values("last")),
        reads_in_window=Subquery(window.annotate(n=Sum("count")).values("n")),
        readers_in_window=Subquery(window.annotate(n=Count("reader", distinct=True)).values("n")),
    )


def most_used(days: int = WINDOW_DAYS, limit: int = 50, source: str = "") -> list[Table]:
    """Tables by reads within the window, the most read first, with the same annotations as `with_use`."""
    until = timezone.now().date()
    reads = outside_reads(Read.objects.filter(day__range=(until - dt.timedelta(days=days - 1), until)).order_by())
    if source:
        reads = reads.filter(table__source__slug=source)
    counted = reads.values("table").annotate(n=Sum("count"), by=Count("reader", distinct=True), last=Max("last_at"))
    top = {row["table"]: row for row in counted.order_by("-n", "table")[:limit]}
    tables = Table.objects.select_related("source").in_bulk(top)
    return [_with_counts(tables[pk], row) for pk, row in top.items()]


def least_used(limit: int = 50, source: str = "") -> list[Table]:
    """Active tables of sources with a log by their last read, the longest ago first and the never read before them.

    Only what a log covers is here: of the others nobody can say that they are not read.
    """
    covered = LogCoverage.objects.order_by().values("source")
    tables = Table.objects.filter(source__in=covered, status=Table.Status.ACTIVE).select_related("source")
    if source:
        tables = tables.filter(source__slug=source)
    return list(with_use(tables).order_by(F("last_read_at").asc(nulls_first=True), "name", "pk")[:limit])


def edges_only_in_log() -> QuerySet[LoggedEdge]:
    """Edges that no stored lineage has: what people and programs write by hand."""
    stored = TableEdge.objects.filter(
        source_table=OuterRef("source_table"), target_table=OuterRef("target_table"), valid_to__isnull=True
    )
    return LoggedEdge.objects.exclude(source_name="").exclude(Exists(stored))


def unknown_names(limit: int = 50, source: str = "") -> QuerySet[SeenName]:
    """Names that logs read and the catalog does not know, the most read first, with `count` and `last`."""
    names = SeenName.objects.select_related("source")
    if source:
        names = names.filter(source__slug=source)
    return names.annotate(count=Sum("reads__count"), last=Max("reads__last_at")).order_by("-count", "name")[:limit]


def _with_counts(table: Table, row: Mapping[str, Any]) -> Table:
    table.reads_in_window, table.readers_in_window = row["n"], row["by"]  # type: ignore[attr-defined]
    table.last_read_at = row["last"]  # type: ignore[attr-defined]
    return table


def _named(rows: Iterable[Mapping[str, Any]]) -> list[TopReader]:
    return [
        TopReader(
            row["reader__owner__name"] or row["reader__name"] or "Nobody named",
            row["reader__kind"],
            1,
            row["reads"],
            row["last_day"],
        )
        for row in rows
    ]


def _counted(rows: Iterable[Mapping[str, Any]]) -> list[TopReader]:
    """Readers by team and kind, without names."""
    reads: Tally[tuple[str, str]] = Tally()
    readers: Tally[tuple[str, str]] = Tally()
    last: dict[tuple[str, str], dt.date] = {}
    for row in rows:
        group = (row["reader__owner__team__name"] or "", row["reader__kind"])
        reads[group] += row["reads"]
        readers[group] += 1
        last[group] = max(row["last_day"], last.get(group, row["last_day"]))
    return [TopReader(*group, readers[group], count, last[group]) for group, count in reads.most_common()]
