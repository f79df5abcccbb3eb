"""Writes of usage: what a log, or a program over REST, says of who read what. Each verb is one of few statements.

Counts are added to what is there. That nothing is added twice is the caller's care: ask `counted_digests` what was
counted, `note_days` what is now, inside one transaction with `lock` first.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection, models, transaction
from django.db.models import Count, Exists, Max, OuterRef
from numpy.typing import NDArray

from audits.usage.models import (
    ColumnRead,
    Counter,
    FailedRead,
    LogCoverage,
    LoggedDay,
    LoggedEdge,
    QueryFingerprint,
    Read,
    Reader,
    SeenName,
    SeenRead,
    UnparsedQuery,
)
from audits.usage.names import match_columns, match_names
from catalog.bulk import as_stored, chunks, merge_rows
from catalog.models import Owner, Pipeline, Source, User
from catalog.policy import Action
from catalog.services import policy_checked

_ROWS = 500  # of one statement that the ORM makes
_ADAPTED = 10_000  # rows whose values are made those of the database at once


@dataclass(frozen=True)
class NamedReader:
    """A reader as a log names it: `kind` of Reader.Kind; a pipeline's name where the log tells which one asked."""

    name: str
    kind: str = ""


@dataclass(frozen=True)
class StatedRead:
    """One read as a program reports it. `id` names the query; without it, time, reader and columns tell it apart."""

    table: str
    at: dt.datetime
    reader: str
    reader_kind: str = ""
    columns: tuple[str, ...] = ()
    failed: bool = False
    count: int = 1
    id: str = ""

    @property
    def digest(self) -> int:
        """64 bits that tell this read from every other."""
        own = self.id or "\x1f".join([self.reader, self.at.isoformat(), str(self.failed), *self.columns])
        return int.from_bytes(
            hashlib.md5(f"{self.table}\x1f{own}".encode(), usedforsecurity=False).digest()[:8], "little"
        )


@dataclass(frozen=True)
class Recorded:
    """What came of a batch: `known` were counted before, `unmatched` are names that the catalog does not know."""

    counted: int
    known: int
    unmatched: tuple[str, ...]


@transaction.atomic
def record_reads(
    *, actor: User | None, source: Source, reads: Collection[StatedRead], coverage: LogCoverage | None = None
) -> Recorded:
    """Count reads that a program reports; the same read sent twice counts once. Needs the right to edit."""
    policy_checked(actor, Action.EDIT)
    lock(source)
    attach_seen_names(source)
    new = _not_counted(source, reads)
    tables = match_names(source, {read.table: [read.table] for read in new})
    readers = find_or_add_readers(source, {NamedReader(read.reader, read.reader_kind) for read in new})
    names = find_or_add_names(source, {read.table for read in new if read.table not in tables and not read.failed})
    columns = match_columns(tables.values())
    rows = _CountedRows()
    for read in new:
        rows.add(source, read, readers[read.reader[:300]], tables.get(read.table), names, columns)
    add_reads(rows.of(rows.reads))
    add_seen_reads(rows.of(rows.seen))
    add_failed_reads(rows.of(rows.failed))
    add_column_reads((*key, count, bits) for key, (count, bits) in rows.columns.items())
    if coverage is not None:
        coverage.entries = len(new)
        note_coverage(source, [coverage])
    return Recorded(len(new), len(reads) - len(new), tuple(sorted({read.table for read in new} - tables.keys())))


def _not_counted(source: Source, reads: Collection[StatedRead]) -> list[StatedRead]:
    """Of some reads those that were not counted before, each once; from now on they are."""
    by_day: dict[dt.date, dict[int, StatedRead]] = {}
    for read in reads:
        by_day.setdefault(read.at.astimezone(dt.UTC).date(), {}).setdefault(read.digest, read)
    for day, digests in counted_digests(source, by_day).items():
        for digest in set(digests.tolist()) & by_day[day].keys():
            del by_day[day][digest]
    fresh = {day: new for day, new in by_day.items() if new}
    digests = {day: np.array(sorted(new), dtype="<u8") for day, new in fresh.items()}
    note_days(
        source, {day: (digests[day], sum(not read.failed for read in new.values()), 0) for day, new in fresh.items()}
    )
    return [read for new in fresh.values() for read in new.values()]


class _CountedRows:
    """Stated reads as rows, those of the same keys made one."""

    def __init__(self) -> None:
        self.reads: dict[tuple, tuple[int, dt.datetime]] = {}
        self.seen: dict[tuple, tuple[int, dt.datetime]] = {}
        self.failed: dict[tuple, tuple[int, dt.datetime]] = {}
        self.columns: dict[tuple, tuple[int, int]] = {}

    def add(
        self,
        source: Source,
        read: StatedRead,
        reader: int,
        table: int | None,
        names: Mapping[str, int],
        columns: Mapping[tuple[int, str], int],
    ) -> None:
        moment = _naive(read.at)
        day = moment.date()
        if read.failed:
            self._count(self.failed, (source.pk, read.table[:500], day, reader, table), read.count, moment)
        elif table is None:
            self._count(self.seen, (names[read.table[:500]], day, reader), read.count, moment)
        else:
            self._count(self.reads, (table, day, reader), read.count, moment)
            for column in read.columns:
                if (table, column.lower()) in columns:
                    key = (columns[table, column.lower()], day.replace(day=1), reader)
                    before, bits = self.columns.get(key, (0, 0))
                    self.columns[key] = before + read.count, bits | 1 << (day.day - 1)

    @staticmethod
    def _count(rows: dict[tuple, tuple[int, dt.datetime]], key: tuple, count: int, moment: dt.datetime) -> None:
        before, last = rows.get(key, (0, moment))
        rows[key] = before + count, max(last, moment)

    @staticmethod
    def of(rows: dict[tuple, tuple[int, dt.datetime]]) -> Iterable[tuple]:
        return ((*key, count, last) for key, (count, last) in rows.items())


def lock(source: Source) -> None:
    """Let one import of this source write at a time; the others wait until this transaction ends."""
    Source.objects.select_for_update().get(pk=source.pk)


def counted_digests(source: Source, days: Collection[dt.date]) -> dict[dt.date, NDArray[np.uint64]]:
    """The identities of the entries counted before, of these days."""
    rows = LoggedDay.objects.filter(source=source, day__in=days).values_list("day", "counted")
    return {day: np.frombuffer(bytes(counted), dtype="<u8") for day, counted in rows}


def note_days(source: Source, days: Mapping[dt.date, tuple[NDArray[np.uint64], int, int]]) -> None:
    """Remember, for each day, the identities of the new entries; how many of them may be use, and were unparsed."""
    known = {row.day: row for row in LoggedDay.objects.filter(source=source, day__in=days)}
    for day, (digests, entries, unparsed) in days.items():
        row = known.get(day) or LoggedDay(source=source, day=day)
        before = np.frombuffer(bytes(row.counted), dtype="<u8")
        row.counted = np.union1d(before, digests).astype("<u8").tobytes()
        row.entries += entries
        row.unparsed += unparsed
        row.save()


def note_also(source: Source, days: Mapping[dt.date, NDArray[np.uint64]]) -> None:
    """Remember more identities of entries that are noted already: those which another view gives them."""
    for row in LoggedDay.objects.filter(source=source, day__in=days):
        row.counted = np.union1d(np.frombuffer(bytes(row.counted), dtype="<u8"), days[row.day]).astype("<u8").tobytes()
        row.save(update_fields=["counted"])


def note_coverage(source: Source, coverage: Iterable[LogCoverage]) -> None:
    """Remember which periods and channels an import covered."""
    rows = list(coverage)
    for row in rows:
        row.source = source
    LogCoverage.objects.bulk_create(rows)


def find_or_add_readers(source: Source, wanted: Iterable[NamedReader]) -> dict[str, int]:
    """Reader ids by name. A person is tied to the owner with that e-mail, a pipeline to the one of that name."""
    by_name = {reader.name[:300]: reader for reader in wanted}
    known = dict(_in_batches(Reader.objects.filter(source=source), "name", by_name, ("name", "pk")))
    _learn_kinds(source, [reader for name, reader in by_name.items() if name in known and reader.kind])
    new = [reader for name, reader in by_name.items() if name not in known]
    owners = dict(
        _in_batches(Owner.objects.all(), "email", [each.name for each in new if "@" in each.name], ("email", "pk"))
    )
    pipelines = dict(_in_batches(Pipeline.objects.all(), "name", [each.name for each in new], ("name", "pk")))
    made = Reader.objects.bulk_create(
        Reader(
            source=source,
            name=each.name[:300],
            kind=Reader.Kind.PIPELINE if each.name in pipelines and each.kind != Reader.Kind.HUMAN else each.kind,
            owner_id=owners.get(each.name),
            pipeline_id=pipelines.get(each.name) if each.kind != Reader.Kind.HUMAN else None,
        )
        for each in new
    )
    return known | {reader.name: reader.pk for reader in made}


def _learn_kinds(source: Source, readers: Iterable[NamedReader]) -> None:
    """Note the kind of readers of whom no log said it before; what a person or a log stated stays."""
    kinds = {reader.name[:300]: reader.kind for reader in readers}
    unknown = Reader.objects.filter(source=source, kind=Reader.Kind.UNKNOWN)
    for name, pk in list(_in_batches(unknown, "name", kinds, ("name", "pk"))):
        Reader.objects.filter(pk=pk).update(kind=kinds[name])


def attach_all_seen_names() -> int:
    """`attach_seen_names` of every source that has any."""
    sources = Source.objects.filter(Exists(SeenName.objects.filter(source=OuterRef("pk"))))
    return sum(attach_seen_names(source) for source in sources)


def find_or_add_names(source: Source, names: Iterable[str]) -> dict[str, int]:
    """Ids of names that the catalog does not know."""
    wanted = {name[:500] for name in names}
    seen = SeenName.objects.filter(source=source)
    SeenName.objects.bulk_create(
        [SeenName(source=source, name=name) for name in sorted(wanted)], ignore_conflicts=True, batch_size=_ROWS
    )
    return dict(_in_batches(seen, "name", wanted, ("name", "pk")))


def remember_fingerprints(new: Iterable[QueryFingerprint]) -> None:
    """Keep what was read off queries; another import may have been first."""
    QueryFingerprint.objects.bulk_create(new, ignore_conflicts=True, batch_size=_ROWS)


def add_reads(rows: Iterable[tuple]) -> None:
    """(table id, day, reader id, count, last at)"""
    _add(Read, ("table_id", "day", "reader_id"), rows, {"count": "sum", "last_at": "latest"})


def add_column_reads(rows: Iterable[tuple]) -> None:
    """(column id, month, reader id, count, days as bits)"""
    _add(ColumnRead, ("column_id", "month", "reader_id"), rows, {"count": "sum", "days": "bits"})


def add_seen_reads(rows: Iterable[tuple]) -> None:
    """(seen name id, day, reader id, count, last at)"""
    _add(SeenRead, ("name_id", "day", "reader_id"), rows, {"count": "sum", "last_at": "latest"})


def add_failed_reads(rows: Iterable[tuple]) -> None:
    """(source id, name, day, reader id, table id or None, count, last at)"""
    how = {"table_id": "new", "count": "sum", "last_at": "latest"}
    _add(FailedRead, ("source_id", "name", "day", "reader_id"), rows, how)


def add_edges(rows: Iterable[tuple]) -> None:
    """(source id, target name, source name, reader id, target table id, source table id, count, first at, last at)"""
    keys = ("source_id", "target_name", "source_name", "reader_id")
    how = {
        "target_table_id": "new",
        "source_table_id": "new",
        "count": "sum",
        "first_at": "earliest",
        "last_at": "latest",
    }
    _add(LoggedEdge, keys, rows, how)


def add_unparsed(rows: Iterable[tuple]) -> None:
    """(source id, fingerprint id, day, count)"""
    _add(UnparsedQuery, ("source_id", "fingerprint_id", "day"), rows, {"count": "sum"})


def note_counters(source: Source, counters: Iterable[tuple[str, int]], taken_at: dt.datetime) -> None:
    """Remember a snapshot of counters: (key, value) of each."""
    taken = as_stored(taken_at)
    rows = ((source.pk, key, value, taken) for key, value in counters)
    merge_rows(Counter, ("source", "key"), rows, {"value": "set", "taken_at": "set"})


def note_sole_builders(source: Source) -> None:
    """Note on each account that is no person the table it writes, if the log shows just one.

    One that writes several is left alone: what it reads of one of them may be for another, or for the world outside.
    """
    written = LoggedEdge.objects.filter(source=source).exclude(reader__kind=Reader.Kind.HUMAN).order_by()
    sole = written.values("reader").annotate(tables=Count("target_name", distinct=True), table=Max("target_table"))
    builds = {row["reader"]: row["table"] for row in sole if row["tables"] == 1}
    changed = []
    for reader in Reader.objects.filter(source=source).exclude(kind=Reader.Kind.HUMAN):
        if reader.builds_id != builds.get(reader.pk):
            reader.builds_id = builds.get(reader.pk)
            changed.append(reader)
    Reader.objects.bulk_update(changed, ["builds"], batch_size=_ROWS)


@transaction.atomic
def attach_seen_names(source: Source) -> int:
    """Move the reads of names that the catalog has learned since to their tables, and say how many names that were.

    Call it after an ingest that brought new tables; importing a log does so too.
    """
    names = dict(SeenName.objects.filter(source=source).values_list("name", "pk"))
    found = match_names(source, {name: [name] for name in names}) if names else {}
    for batch in chunks(found.items()):
        table_of = {names[name]: table for name, table in batch}
        moved = SeenRead.objects.filter(name__in=table_of).values_list("name", "day", "reader", "count", "last_at")
        merged: dict[tuple, tuple[int, dt.datetime]] = {}
        for name, day, reader, count, last_at in moved:
            before, latest = merged.get((table_of[name], day, reader), (0, last_at))
            merged[table_of[name], day, reader] = before + count, max(latest, last_at)
        add_reads((*key, count, _naive(last_at)) for key, (count, last_at) in merged.items())
        SeenName.objects.filter(pk__in=table_of).delete()
    _attach_edges(source, found)
    return len(found)


def _attach_edges(source: Source, known: Mapping[str, int]) -> None:
    """Edges and failed reads keep their names; note the tables that these mean now."""
    for name_field, table_field in (("source_name", "source_table"), ("target_name", "target_table")):
        loose = LoggedEdge.objects.filter(source=source, **{f"{table_field}__isnull": True}).exclude(**{name_field: ""})
        names = set(loose.values_list(name_field, flat=True))
        for name, table in match_names(source, {name: [name] for name in names}).items() if names else ():
            loose.filter(**{name_field: name}).update(**{table_field: table})
    for name, table in known.items():
        FailedRead.objects.filter(source=source, name=name, table__isnull=True).update(table=table)


def _naive(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(tzinfo=None)


def _add(model: type[models.Model], keys: tuple[str, ...], rows: Iterable[tuple], how: dict[str, str]) -> None:
    """Insert rows, or merge them into the row of the same keys. The rows of one call must differ in their keys."""
    merge_rows(model, keys, _adapted(rows), how)


def _adapted(rows: Iterable[tuple]) -> Iterator[tuple]:
    """Rows with their days and times (naive, in UTC) as the database has them; by columns, which is quicker."""
    stored = str if connection.vendor == "sqlite" else _with_zone
    for batch in chunks(rows, _ADAPTED):
        columns = zip(*batch, strict=True)
        yield from zip(*(map(stored, own) if isinstance(own[0], dt.date) else own for own in columns), strict=True)


def _with_zone(value: Any) -> Any:
    return value.replace(tzinfo=dt.UTC) if isinstance(value, dt.datetime) else value


def _in_batches(rows: models.QuerySet, field: str, values: Iterable[str], wanted: tuple[str, ...]) -> Iterator[tuple]:
    """`wanted` fields of the rows whose `field` is one of `values`."""
    for batch in chunks(values):
        yield from rows.filter(**{f"{field}__in": batch}).values_list(*wanted)
