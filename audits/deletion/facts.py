"""What the rows say of every table, as arrays: protections, reads by outsiders, holes in the evidence, the graph.

One pass over the catalog in about twenty queries, however many tables there are. Each array has one place per table,
in the order of `ids`; days are ordinals (`datetime.date.toordinal`), 0 where there is none.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import (
    BigIntegerField,
    Count,
    Exists,
    F,
    Func,
    IntegerField,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
)
from django.db.models.functions import Coalesce
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from audits.deletion import judgement
from audits.deletion.logs import MOST_UNMATCHED, MOST_UNPARSED, SourceLog, source_logs
from audits.deletion.models import Protection, UnreadWindow
from audits.usage.models import LoggedEdge, Read, Reader, SeenRead, UnparsedQuery
from audits.usage.queries import outside_reads
from catalog.bulk import among, as_stored
from catalog.models import Pipeline, Run, Source, Table
from catalog.moments import start_of
from lineage.models import Problem, SqlVersion, TableEdge
from lineage.snapshot import Edges, current_edges, pairs_once, pairs_without

DEFAULT_WINDOW = 90  # days
SEASON_DAYS = 365
BYTES_A_ROW = 100  # a guess, to put tables of unknown size in order
INSIDE = {Source.Storage.WAREHOUSE, Source.Storage.LAKE}  # elsewhere reads are seen only where a log is ingested
_MOST_NAMED = 5  # reasons kept per table, and pipelines named in one

Ints = NDArray[np.int64]
Reason = dict[str, Any]


class Keep(enum.IntFlag):
    """Why a table is protected."""

    PINNED = 1
    LEGAL_HOLD = 2
    RETENTION = 4
    EXPORTED = 8
    YOUNG = 16
    SEASONAL = 32


class Hole(enum.IntFlag):
    """What is missing in the evidence on a table."""

    NO_LOG = 1
    LOG_ENDS_EARLY = 2
    LOG_TOO_SHORT = 4
    LOG_UNPARSED = 8
    LOG_UNMATCHED = 16
    NAMED_IN_PIPELINE = 32
    NAMED_IN_LOG = 64
    FEEDS_UNKNOWN_NAME = 128


class State(enum.IntFlag):
    """What a table's own row says; NEW is made in its source not long ago."""

    RETIRED = 1
    ORIGINAL = 2
    REBUILDABLE = 4
    KEPT_ORIGINAL = 8
    NEW = 16


@dataclass(frozen=True)
class Gathered:
    """Everything that a verdict rests on. `reasons` holds values behind `keep` and `hole` by the table's place."""

    as_of: dt.date
    default_window: int
    ids: Ints
    sources: Ints
    is_retired: NDArray[np.bool_]
    is_original: NDArray[np.bool_]
    is_rebuildable: NDArray[np.bool_]
    window: Ints
    window_end: Ints
    keep: Ints
    hole: Ints
    last_read: Ints
    readers_ever: Ints
    dependants: Ints
    reading_pipelines: Ints
    builds: Ints  # pairs (place of a table, pipeline id), as rows
    half_exports: frozenset[int]
    unread_sql: frozenset[int]
    upstream: csr_matrix
    logs: dict[int, SourceLog]
    reasons: dict[int, list[Reason]] = field(default_factory=dict)

    @property
    def window_start(self) -> Ints:
        """The first day of each table's window."""
        return self.window_end - self.window

    @property
    def is_read(self) -> NDArray[np.bool_]:
        """Read by an outsider within the window."""
        return self.last_read >= self.window_start

    @property
    def has_builder(self) -> NDArray[np.bool_]:
        built = np.zeros(len(self.ids), dtype=bool)
        built[self.builds[:, 0]] = True
        return built

    def to_judge(self) -> judgement.Facts:
        """The same as `judgement.judge` takes it."""
        return judgement.Facts(
            protected=self.keep > 0,
            read=self.is_read,
            hole=self.hole > 0,
            other_readers=self.reading_pipelines > 0,
            upstream=self.upstream,
        )


def gather(as_of: dt.date, window: int | None = None) -> Gathered:
    """The facts as of a day: reads up to it, graph and tables of now. `window` overrides every stated window."""
    rules = [] if window else list(UnreadWindow.objects.select_related("source", "tag"))
    draft = _Draft(as_of, window or DEFAULT_WINDOW, rules)
    draft.read_tables()
    draft.read_graph()
    draft.set_windows()
    draft.read_reads()
    draft.find_protections()
    draft.find_holes()
    return draft.finished()


def reads_that_are_use() -> QuerySet[Read]:
    """Reads by others than what builds the table, without those of pipelines whose edge from the table is known.

    Such a pipeline's reading counts through what it builds: it is use only if that is used.
    """
    edges = TableEdge.objects.filter(
        valid_to__isnull=True, pipeline=OuterRef("reader__pipeline"), source_table=OuterRef("table")
    )
    return outside_reads().exclude(Exists(edges), reader__pipeline__isnull=False)


def _use_by_readers() -> list[QuerySet[Read]]:
    """The reads that are use, in parts of different readers, so that of most no question need be asked of each read."""
    may_build = Q(pipeline__isnull=False) | Q(builds__isnull=False) | Q(kind=Reader.Kind.PIPELINE)
    builders = list(Reader.objects.filter(may_build).order_by().values_list("pk", flat=True))
    if not builders:
        return [Read.objects.all()]
    by_builders = reads_that_are_use().filter(reader__in=among(builders))
    return [Read.objects.exclude(reader__in=among(builders)), by_builders]


class _Draft:
    """The facts while they are put together, one kind after the other."""

    def __init__(self, as_of: dt.date, default_window: int, rules: list[UnreadWindow]) -> None:
        self.as_of, self.default_window, self.rules = as_of, default_window, rules
        self.today = min(as_of, dt.date.today())
        self.logs = source_logs(as_of, default_window)
        longest = max([default_window, *(rule.days for rule in rules)])
        ends = [log.window_end(as_of) for log in self.logs.values()]
        self.first_day = min(ends, default=as_of) - dt.timedelta(days=longest)  # no window begins before
        self.reasons: dict[int, list[Reason]] = defaultdict(list)

    def read_tables(self) -> None:
        self.ids, self.sources, self.state = table_states(start_of(self.first_day))
        self._place_of = _places_by_id(self.ids)
        self.keep, self.hole = np.zeros_like(self.ids), np.zeros_like(self.ids)

    def places(self, ids: Iterable[int] | Ints) -> Ints:
        """Where these tables stand in the arrays."""
        ids = np.asarray(ids, dtype=np.int64)
        return np.searchsorted(self.ids, ids) if self._place_of is None else self._place_of[ids]

    def protect(self, table: int, why: Keep, **values: Any) -> None:
        place = int(self.places([table])[0])
        self.keep[place] |= why
        if len(self.reasons[place]) < _MOST_NAMED:
            self.reasons[place].append({"code": str(why.name).lower(), **values})

    def doubt(self, place: int, why: Hole, **values: Any) -> None:
        self.hole[place] |= why
        if len(self.reasons[place]) < _MOST_NAMED:
            self.reasons[place].append({"code": str(why.name).lower(), **values})

    # The graph

    def read_graph(self) -> None:
        edges, n = self._edges_that_run(), len(self.ids)
        sources, targets, _ = edges.ends
        into_tables = np.searchsorted(targets, 1)
        self.half = edges.ends[::2, :into_tables].T
        self.half_exports = frozenset(self.half[:, 1].tolist())
        self.builds = np.stack([self.places(edges.builds[0]), edges.builds[1]]).T
        self.upstream = self._upstream(sources[into_tables:], targets[into_tables:])
        readers = self.places(edges.reads[0])
        self.logged = list(_logged_edges())
        if self.logged:
            self.upstream += self._edges_in_log()
            known = np.stack([readers, edges.reads[1]])
            only_logged = pairs_without(pairs_without(self._reads_in_log(), self.builds.T), known)
            readers = np.concatenate([readers, only_logged[0]])
        self.reading_pipelines = np.bincount(readers, minlength=n)
        self.dependants = np.bincount(self.upstream.indices, minlength=n) - self.upstream.diagonal()

    def _edges_that_run(self) -> Edges:
        """All edges, but those of retired pipelines and of tables made just now."""
        retired = Pipeline.objects.filter(status=Pipeline.Status.RETIRED).order_by().values_list("pk", flat=True)
        return current_edges().up_to(self.ids.max(initial=0)).without_pipelines(list(retired))

    def _upstream(self, sources: Ints, targets: Ints) -> csr_matrix:
        """The matrix of edges that stand in order of target and source; several pipelines may give the same one."""
        once = (sources > 0) & ((np.diff(sources, prepend=0) != 0) | (np.diff(targets, prepend=0) != 0))
        n, sources = len(self.ids), self.places(sources[once])
        starts = np.cumsum(np.bincount(self.places(targets[once]) + 1, minlength=n + 1))
        return csr_matrix((np.ones(len(sources), dtype=bool), sources, starts), shape=(n, n))

    def _edges_in_log(self) -> csr_matrix:
        ends = [(row["source_table_id"], row["target_table_id"]) for row in self.logged if row["target_table_id"]]
        sources, targets = self.places(np.array(ends, dtype=np.int64).ravel()).reshape(-1, 2).T
        shape = (len(self.ids), len(self.ids))
        return csr_matrix((np.ones(len(sources), dtype=bool), (targets, sources)), shape=shape)

    def _reads_in_log(self) -> Ints:
        """Who reads by the log to write elsewhere, as pairs; an account that is no pipeline goes by its negated id."""
        pairs = [
            (row["source_table_id"], row["reader__pipeline_id"] or -row["reader_id"])
            for row in self.logged
            if row["source_table_id"] not in (row["target_table_id"], row["reader__builds_id"])
        ]
        tables, readers = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return pairs_once(self.places(tables), readers)

    # How long is unread

    def set_windows(self) -> None:
        self.window = np.zeros(len(self.ids), dtype=np.int64)
        for rule in self.rules:
            places = self._places_of(rule)
            self.window[places] = np.maximum(self.window[places], rule.days)
        self.window[self.window == 0] = self.default_window
        ends = {pk: log.window_end(self.as_of).toordinal() for pk, log in self.logs.items()}
        self.window_end = _by_source(self.sources, ends)
        self.window_start = self.window_end - self.window

    def _places_of(self, rule: UnreadWindow) -> Ints:
        if rule.source_id:
            return np.flatnonzero(self.sources == rule.source_id)
        if rule.tag_id:
            tables = Table.tags.through.objects.filter(tag_id=rule.tag_id).values_list("table_id", flat=True)
            return self.places(list(tables))
        tier = list(Pipeline.objects.filter(tier=rule.tier).values_list("pk", flat=True))
        return self.builds[np.isin(self.builds[:, 1], tier), 0]

    # Reads

    def read_reads(self) -> None:
        n = len(self.ids)
        self.last_read, self.readers_ever = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self.use = [reads.filter(day__lte=self.as_of) for reads in _use_by_readers()]
        for reads in self.use:
            by_table = reads.order_by().values_list("table_id")
            rows = by_table.annotate(last=Ordinal(Max("day")), readers=Count("reader", distinct=True))
            tables, days, readers = _rows(rows, 3).T
            places = self.places(tables)
            self.last_read[places] = np.maximum(self.last_read[places], days)
            self.readers_ever[places] += readers
        for row in self.logged:  # what is written to a name that the catalog does not know is use, as far as it goes
            if not row["target_table_id"] and row["reader__builds_id"] != row["source_table_id"]:
                day, place = row["last_at"].date(), self.places([row["source_table_id"]])[0]
                if day <= self.as_of:
                    self.last_read[place] = max(self.last_read[place], day.toordinal())

    # Protections

    def find_protections(self) -> None:
        self._protect_by_word()
        self._protect_originals()
        self._protect_exports()
        self._protect_young()
        self._protect_seasonal()

    def _protect_by_word(self) -> None:
        in_force = Protection.objects.filter(lifted_at__isnull=True).exclude(until__lt=self.today)
        for each in in_force:
            why = Keep.PINNED if each.kind == Protection.Kind.PINNED else Keep.LEGAL_HOLD
            until = each.until.isoformat() if each.until else None
            self.protect(each.table_id, why, reason=each.reason, until=until, by=each.stated_by_name)

    def _protect_originals(self) -> None:
        """An original is kept for its retention period after the last time that anything was written to it."""
        originals = self._tables_that(State.KEPT_ORIGINAL)
        if originals is None:
            return
        written = self._last_written(originals)
        for pk, days in originals.values_list("pk", "retention_days"):
            last = written.get(pk)
            if days is None:
                self.protect(pk, Keep.RETENTION, days=None)
            elif last is None or last + dt.timedelta(days=days) >= self.as_of:
                self.protect(pk, Keep.RETENTION, days=days, written=last and last.isoformat())

    def _tables_that(self, are: State) -> QuerySet[Table] | None:
        """The tables in that state, None where there is none."""
        ids = self.ids[self.state & are > 0]
        return Table.objects.filter(pk__in=among(ids.tolist())).order_by() if len(ids) else None

    def _last_written(self, tables: QuerySet[Table]) -> dict[int, dt.date]:
        """When a builder last succeeded or the log last saw a write; nothing is known of tables left out."""
        runs = Run.objects.filter(state=Run.State.SUCCEEDED, pipeline__table_edges__target_table__in=tables)
        runs = runs.filter(pipeline__table_edges__valid_to__isnull=True).order_by()
        logged = LoggedEdge.objects.filter(target_table__in=tables).order_by()
        found = chain(
            runs.values_list("pipeline__table_edges__target_table").annotate(at=Max("started_at")),
            logged.values_list("target_table").annotate(at=Max("last_at")),
        )
        last: dict[int, dt.date] = {}
        for table, at in found:
            last[table] = max(last.get(table, at.date()), at.date())
        return last

    def _protect_exports(self) -> None:
        names = dict(Pipeline.objects.filter(pk__in=list(self.half_exports)).values_list("pk", "name"))
        for table, pipeline in self.half.tolist():
            self.protect(table, Keep.EXPORTED, pipeline=names[pipeline])
        unseen = {pk for pk, log in self.logs.items() if not log.ever and log.storage not in INSIDE}
        out_of_sight = np.isin(self.sources, list(unseen))
        for place in np.unique(self.builds[out_of_sight[self.builds[:, 0]], 0]).tolist():
            self.keep[place] |= Keep.EXPORTED
            self.reasons[place].append({"code": "exported", "storage": self.logs[int(self.sources[place])].storage})

    def _protect_young(self) -> None:
        young = self._tables_that(State.NEW)
        for pk, made in [] if young is None else young.values_list("pk", "source_created_at"):
            if made.date().toordinal() >= self.window_start[self.places([pk])[0]]:
                self.protect(pk, Keep.YOUNG, created=made.date().isoformat())

    def _protect_seasonal(self) -> None:
        """Of tables unread in the window: those whose reads ever lay far apart, or that were read in this season."""
        lapsed = self.ids[(self.last_read > 0) & (self.last_read < self.window_start)]
        found = [reads.filter(table__in=among(lapsed.tolist())).order_by() for reads in self.use]
        days = [_rows(reads.values_list("table_id", Ordinal("day")), 2).T for reads in found]
        tables, read_on = pairs_once(*np.concatenate(days, axis=1))
        window = self.window[self.places(tables)]
        last_year = np.abs(read_on - (self.as_of.toordinal() - SEASON_DAYS)) <= window
        gaps = np.diff(read_on, prepend=0) * (np.diff(tables, prepend=0) == 0)
        for table in np.unique(tables[last_year | (gaps > window / 2)]).tolist():
            own = slice(*np.searchsorted(tables, [table, table + 1]))
            widest, near = int(gaps[own].max()), read_on[own][last_year[own]]
            season = {"gap": widest} if widest > window[own][0] / 2 else {"last_year": _day(near[-1])}
            self.protect(table, Keep.SEASONAL, **season)

    # Holes

    def find_holes(self) -> None:
        for pk, log in self.logs.items():
            self._doubt_source(pk, log)
        self._doubt_named(_unread_sql_texts(), Hole.NAMED_IN_PIPELINE, "pipelines")
        self._doubt_named(_unread_log_texts(self.first_day, self.as_of), Hole.NAMED_IN_LOG, "sources")
        self._doubt_feeding_names()

    def _doubt_source(self, pk: int, log: SourceLog) -> None:
        tables = self.sources == pk
        if log.covered_from is None:
            self.hole[tables] |= Hole.NO_LOG
            return
        if not log.ends_in_time(self.as_of):
            self.hole[tables] |= Hole.LOG_ENDS_EARLY
        elif not log.entries:
            self.hole[tables] |= Hole.NO_LOG
        too_short = tables & (self.window_start + 1 < log.covered_from.toordinal())
        self.hole[too_short] |= Hole.LOG_TOO_SHORT
        if log.unparsed_share > MOST_UNPARSED:
            self.hole[tables] |= Hole.LOG_UNPARSED
        if log.unmatched_share > MOST_UNMATCHED:
            self.hole[tables] |= Hole.LOG_UNMATCHED

    def _doubt_named(self, texts: Iterable[tuple[str, str]], why: Hole, noun: str) -> None:
        """Doubt every table whose name stands in one of the texts, each given with what it belongs to."""
        said_in: dict[str, list[str]] = defaultdict(list)
        for owner, text in texts:
            for word in words_of(text):
                if len(said_in[word]) < _MOST_NAMED:
                    said_in[word].append(owner)
        if not said_in:
            return
        names = Table.objects.order_by("pk").values_list("name", flat=True).iterator(chunk_size=20_000)
        for place, name in enumerate(names):
            words = list(words_of(last_part(name))) or [name.casefold()]
            if all(word in said_in for word in words):
                self.doubt(place, why, **{noun: sorted(set(said_in[words[0]]))})

    def _doubt_feeding_names(self) -> None:
        """A query wrote from a table to a name that the catalog does not know, and that name is read."""
        unknown = [row for row in self.logged if not row["target_table_id"]]
        if not unknown:
            return
        reads = SeenRead.objects.filter(day__range=(self.first_day, self.as_of))
        read = set(reads.values_list("name__source_id", "name__name").distinct())
        for row in unknown:
            if (row["source_id"], row["target_name"]) in read:
                place = int(self.places([row["source_table_id"]])[0])
                self.doubt(place, Hole.FEEDS_UNKNOWN_NAME, name=row["target_name"])

    def finished(self) -> Gathered:
        return Gathered(
            as_of=self.as_of,
            default_window=self.default_window,
            ids=self.ids,
            sources=self.sources,
            is_retired=self.state & State.RETIRED > 0,
            is_original=self.state & State.ORIGINAL > 0,
            is_rebuildable=self.state & State.REBUILDABLE > 0,
            window=self.window,
            window_end=self.window_end,
            keep=self.keep,
            hole=self.hole,
            last_read=self.last_read,
            readers_ever=self.readers_ever,
            dependants=self.dependants,
            reading_pipelines=self.reading_pipelines,
            builds=self.builds,
            half_exports=self.half_exports,
            unread_sql=frozenset(unread_sql().values_list("pipeline_id", flat=True)),
            upstream=self.upstream,
            logs=self.logs,
            reasons=dict(self.reasons),
        )


_WORD = re.compile(r"\w+")
_SHARD = re.compile(r"_?\d+$")


def words_of(text: str) -> set[str]:
    """Words of a text in small letters, and those with a date at their end also without it: events_20260102, events."""
    words = {word.casefold() for word in _WORD.findall(text)}
    return words | {short for word in words if word[-1].isdigit() and (short := _SHARD.sub("", word))}


def last_part(name: str) -> str:
    """The table's own name in a dotted one; a part in double quotes may hold dots."""
    if name.endswith('"'):
        return name[:-1].rpartition('"')[2]
    return name.rpartition(".")[2]


def _day(ordinal: Any) -> str:
    return dt.date.fromordinal(int(ordinal)).isoformat()


def table_states(new_since: dt.datetime) -> tuple[Ints, Ints, Ints]:
    """Of every table in order its id, its source's id and its `State`. Four queries.

    A row costs more to fetch than to look at. So a row of the answer holds, as bits of one number, the sources and
    states of as many tables of neighbouring ids as it has room for; where ids lie too far apart for that, of one.
    """
    low, high = Source.objects.aggregate(low=Min("pk"), high=Max("pk")).values()
    if low is None:
        return (np.zeros(0, dtype=np.int64),) * 3
    width = (high - low + 1).bit_length() + len(State)
    count, last = Table.objects.count(), Table.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    step = 1 if _is_sparse(count, last) else _BITS // width
    table = connection.ops.quote_name(Table._meta.db_table)
    bits = " + ".join(f"CASE WHEN {said} THEN {int(state)} ELSE 0 END" for state, said in _SAID.items())
    code = f"((source_id - {low - 1}) * {1 << len(State)} + {bits})"
    new_since = as_stored(new_since)
    if step == 1:
        ids, codes = _numbers(f"SELECT id, {code} FROM {table} ORDER BY id", [new_since], 2).T
    else:
        codes = f"CAST(SUM({code} << CAST((id - n) * {width} AS integer)) AS bigint)"
        packed = f"SELECT COALESCE((SELECT {codes} FROM {table} WHERE id >= n AND id < n + {step}), 0) FROM firsts"
        firsts = f"SELECT CAST(0 AS bigint) UNION ALL SELECT n + {step} FROM firsts WHERE n + {step} <= {last}"
        rows = _numbers(f"WITH RECURSIVE firsts (n) AS ({firsts}) {packed}", [new_since], 1)
        codes = (rows >> np.arange(step) * width & (1 << width) - 1).ravel()
        ids = np.flatnonzero(codes)
        codes = codes[ids]
    return ids, (codes >> len(State)) + low - 1, codes & (1 << len(State)) - 1


_BITS = 62  # of a whole number that may be used for sums of positive ones


_ORIGINAL = f"provenance = '{Table.Provenance.ORIGINAL}'"
_SAID = {
    State.RETIRED: f"status = '{Table.Status.RETIRED}'",
    State.ORIGINAL: _ORIGINAL,
    State.REBUILDABLE: f"provenance = '{Table.Provenance.REBUILDABLE}'",
    State.KEPT_ORIGINAL: f"{_ORIGINAL} AND (keep_forever OR retention_days IS NOT NULL)",
    State.NEW: "source_created_at >= %s",
}


def table_weights() -> tuple[Ints, Ints]:
    """Ids of the tables of known size in order, and their bytes, counted or guessed from their rows."""
    weight = Coalesce(F("size_bytes"), F("row_count") * BYTES_A_ROW, output_field=BigIntegerField())
    known = Table.objects.filter(Q(size_bytes__isnull=False) | Q(row_count__isnull=False)).order_by("pk")
    ids, weights = _rows(known.values_list("pk", weight), 2).T
    return ids, weights


class Ordinal(Func):
    """A day as its number, as `datetime.date.toordinal` counts."""

    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="CAST(julianday(%(expressions)s) - 1721424.5 AS INTEGER)")

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s - DATE '0001-01-01' + 1)")


def _logged_edges() -> Iterable[dict[str, Any]]:
    fields = ("source_id", "source_table_id", "target_table_id", "target_name", "reader_id")
    rows = LoggedEdge.objects.filter(source_table__isnull=False).order_by()
    return rows.values(*fields, "reader__pipeline_id", "reader__builds_id", "last_at").iterator(chunk_size=20_000)


def unread_sql() -> QuerySet[SqlVersion]:
    """Current SQL of which a statement could not be read."""
    errors = Problem.objects.filter(pipeline=OuterRef("pipeline"), severity=Problem.Severity.ERROR)
    current = SqlVersion.objects.filter(valid_to__isnull=True).exclude(pipeline__status=Pipeline.Status.RETIRED)
    return current.filter(Q(statements_read__lt=F("statements")) | Exists(errors)).order_by()


def _unread_sql_texts() -> Iterable[tuple[str, str]]:
    return unread_sql().values_list("pipeline__name", "sql").iterator(chunk_size=200)


def _unread_log_texts(first: dt.date, last: dt.date) -> Iterable[tuple[str, str]]:
    unread = UnparsedQuery.objects.filter(day__range=(first, last)).order_by()
    return unread.values_list("source__slug", "fingerprint__text").distinct().iterator(chunk_size=200)


def _rows(values: QuerySet, width: int) -> Ints:
    """Rows of whole numbers as an array, past Django's converters, which cost more than the query."""
    return _numbers(*values.query.sql_with_params(), width)


def _numbers(sql: str, parameters: Sequence[Any], width: int) -> Ints:
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, parameters)
        parts = iter(lambda: cursor.fetchmany(20_000), [])
        flat = np.fromiter(chain.from_iterable(chain.from_iterable(parts)), dtype=np.int64)
    return flat.reshape(-1, width)


def _is_sparse(count: int, last: int) -> bool:
    """Whether so many ids up to the last are not in use that an array by ids would be a waste."""
    return last > 8 * count + 1000


def _places_by_id(ids: Ints) -> Ints | None:
    """The place of each id, to look up at once what a search takes twenty steps for; None where ids are too sparse."""
    if not len(ids) or _is_sparse(len(ids), ids[-1]):
        return None
    places = np.zeros(ids[-1] + 1, dtype=np.int32)
    places[ids] = np.arange(len(ids))
    return places


def _by_source(sources: Ints, values: dict[int, int]) -> Ints:
    """A value per table from one per source."""
    known = np.array(sorted(values), dtype=np.int64)
    if not known.size:
        return np.zeros(len(sources), dtype=np.int64)
    return np.array([values[pk] for pk in known.tolist()], dtype=np.int64)[np.searchsorted(known, sources)]
