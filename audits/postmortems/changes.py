"""What changed upstream of a table within a window of time: one list of everything, nearest in hops first, then newest.

Functions that find are as cheap as they come, since a wide table has thousands of changes above it; functions that tell
put those which are shown in words, with what to read next.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import Lag
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from audits.checks.models import CheckResult
from audits.checks.models import State as CheckState
from audits.deletion.models import DeletionReview, ReviewEvent
from audits.postmortems.models import Hit, Incident
from catalog.bulk import among
from catalog.models import HistoryEntry, Ownership, Pipeline, Run, SchemaChange, Table
from catalog.moments import in_words
from catalog.schedules import GRACE, due_after
from lineage.models import SqlVersion
from lineage.sql.differences import differences
from lineage.upstream import Step, Upstream, upstream_of, ways

MOST_SHOWN = 1000
MOST_COMPARED = 20  # SQL texts of one answer that are compared; the page of each change compares its own
JUMP = 2  # as many rows as the run before, or a half of them
FEWEST_ROWS = 10  # a difference below this is no jump
_MOST_TIMED = 200  # pipelines, the nearest, whose starts are held against their schedules
_LONGEST = 300  # characters of an error or a fact
_RUNS_BEFORE = dt.timedelta(days=8)  # how far back the run before may lie: a week and a day


@dataclass(frozen=True, slots=True)
class Found:
    """A change as found: `table` is the nearest one that it reaches, `key` its row.

    What happens over and over to one `subject` (a pipeline fails, a check fails) becomes one: `at` is then the first
    time, `last_at` the last, and the row is that of the last.
    """

    kind: str
    at: dt.datetime
    table: int
    key: int
    pipeline: int | None = None
    subject: int | None = None
    count: int = 1
    last_at: dt.datetime | None = None


@dataclass(frozen=True)
class Told:
    """A change in words, the details beneath, and the address of its page."""

    words: str
    details: tuple[str, ...] = ()
    url: str = ""


Tell = Callable[[Sequence[int]], Mapping[int, Told]]


@dataclass(frozen=True)
class Change:
    """Something that changed: how many hops upstream, when, what, and the way by which it reaches the table."""

    kind: str
    at: dt.datetime
    last_at: dt.datetime | None
    count: int
    hops: int
    told: Told
    pipeline: Pipeline | None
    way: list[Step]

    @property
    def label(self) -> str:
        return KINDS[self.kind].label

    @property
    def is_failure(self) -> bool:
        """Rather than a change that may lead to one."""
        return self.kind in ("run_failed", "run_late", "check", "incident")


@dataclass(frozen=True)
class UpstreamChanges:
    """The changes shown, and how many there are of each kind; `tables` were looked at, `is_capped` says not all."""

    table: Table
    since: dt.datetime
    until: dt.datetime
    items: list[Change]
    counts: dict[str, int]
    total: int
    tables: int
    is_capped: bool


@dataclass(frozen=True)
class Span:
    """Where and when to look."""

    upstream: Upstream
    since: dt.datetime
    until: dt.datetime
    besides: int | None = None
    """An incident that is not its own cause."""

    def rows(self, things: QuerySet, link: str, ids: Iterable[int], *fields: str, at: str = "at") -> QuerySet:
        """`fields` of the things within the window that `link` ties to one of `ids`."""
        within = things.filter(**{f"{at}__range": (self.since, self.until), f"{link}__in": among(ids)})
        return within.order_by().values_list(*fields)


@dataclass(frozen=True)
class Kind:
    """A kind of change: its label, and what tells its rows by key."""

    label: str
    tell: Tell


def upstream_changes(
    table: Table,
    since: dt.datetime,
    until: dt.datetime,
    *,
    kinds: Collection[str] = (),
    limit: int = 100,
    besides: Incident | None = None,
) -> UpstreamChanges:
    """Everything that changed upstream of a table between two moments, of some `kinds` or of all.

    A fixed number of queries for what changed, and one a hop for where.
    """
    upstream = upstream_of(table, since, until)
    span = Span(upstream, since, until, besides.pk if besides else None)
    found = [each for find in _FINDERS for each in _once_per_subject(find(span))]
    asked = [each for each in found if not kinds or each.kind in kinds]
    nearest = sorted(asked, key=lambda each: (upstream.hops[each.table], -each.at.timestamp(), each.kind, each.key))
    return UpstreamChanges(
        table=table,
        since=since,
        until=until,
        items=_told(nearest[:limit], upstream),
        counts=dict(Counter(each.kind for each in found)),
        total=len(asked),
        tables=len(upstream.hops) - 1,
        is_capped=upstream.is_capped,
    )


def _once_per_subject(found: Iterable[Found]) -> Iterator[Found]:
    by_subject: dict[int, list[Found]] = defaultdict(list)
    for each in found:
        if each.subject is None:
            yield each
        else:
            by_subject[each.subject].append(each)
    for group in by_subject.values():
        first, last = (pick(group, key=lambda each: (each.at, each.key)) for pick in (min, max))
        yield replace(last, at=first.at, last_at=last.at, count=len(group))


def _told(found: Sequence[Found], upstream: Upstream) -> list[Change]:
    keys: dict[Tell, list[int]] = defaultdict(list)  # owners and other edits are told by one query
    for each in found:
        keys[KINDS[each.kind].tell].append(each.key)
    told = {tell: tell(of_kind) for tell, of_kind in keys.items()}
    routes = ways(upstream, {each.table for each in found})
    pipelines = Pipeline.objects.only("name").in_bulk({each.pipeline for each in found if each.pipeline})
    return [
        Change(
            kind=each.kind,
            at=each.at,
            last_at=each.last_at,
            count=each.count,
            hops=upstream.hops[each.table],
            told=told[KINDS[each.kind].tell][each.key],
            pipeline=pipelines[each.pipeline] if each.pipeline else None,
            way=routes[each.table],
        )
        for each in found
        if each.key in told[KINDS[each.kind].tell]
    ]


# --- SQL


def _find_sql(span: Span) -> Iterator[Found]:
    """Texts that followed another. A pipeline's first text is no change of it."""
    earlier = SqlVersion.objects.filter(pipeline=OuterRef("pipeline"), valid_from__lt=OuterRef("valid_from"))
    versions = SqlVersion.objects.filter(Exists(earlier))
    writers = span.upstream.writers
    for pk, pipeline, at in span.rows(
        versions, "pipeline", writers, "pk", "pipeline_id", "valid_from", at="valid_from"
    ):
        yield Found("sql", at, writers[pipeline], pk, pipeline)


def _tell_sql(keys: Sequence[int]) -> dict[int, Told]:
    pairs = sql_changes(keys)
    return {
        key: Told(
            "The SQL changed",
            compared(*pairs[key]) if place < MOST_COMPARED else (),
            reverse("sql-change", args=[pairs[key][1].pipeline.name, key]),
        )
        for place, key in enumerate(keys)
        if key in pairs
    }


def sql_changes(keys: Iterable[int]) -> dict[int, tuple[SqlVersion, SqlVersion]]:
    """SQL versions, by id, with the one before each; those without one are left out. Two queries."""
    earlier = SqlVersion.objects.filter(pipeline=OuterRef("pipeline"), valid_from__lt=OuterRef("valid_from"))
    before = Subquery(earlier.order_by("-valid_from", "-pk").values("pk")[:1])
    after = SqlVersion.objects.select_related("pipeline").filter(pk__in=list(keys)).annotate(before=before)
    versions = {version.pk: version for version in after}
    olds = SqlVersion.objects.in_bulk([version.before for version in versions.values() if version.before])  # type: ignore[attr-defined]
    return {
        pk: (olds[version.before], version)  # type: ignore[attr-defined]
        for pk, version in versions.items()
        if version.before in olds  # type: ignore[attr-defined]
    }


def compared(before: SqlVersion, after: SqlVersion) -> tuple[str, ...]:
    """What a SQL version does otherwise than the one before, in words: its statements, then its practices."""
    practices = tuple(_of_practices(before.practices, after.practices))
    return (*_differences(before.sql, after.sql, after.dialect), *practices) or ("Layout or comments only",)


_differences = lru_cache(maxsize=256)(differences)
_PRACTICES = {
    "idempotent": ("is idempotent now", "is no longer idempotent: a re-run may leave duplicates"),
    "atomic": ("writes all or nothing now", "no longer writes all or nothing: a failure may leave half of it"),
    "backfill_safe": ("can be run again for the past now", "can no longer be run again for the past safely"),
}


def _of_practices(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = before.get("load_strategy"), after.get("load_strategy")
    if old != new and old and new:
        yield f"load strategy: {new.replace('_', ' ')} instead of {old.replace('_', ' ')}"
    for name, (better, worse) in _PRACTICES.items():
        if before.get(name) is not after.get(name) and after.get(name) is not None:
            yield better if after[name] else worse


# --- schemas


def _find_schema_changes(span: Span) -> Iterator[Found]:
    for pk, at, table in span.rows(SchemaChange.objects.all(), "table", span.upstream.hops, "pk", "at", "table"):
        yield Found("schema", at, table, pk)


def _tell_schema_changes(keys: Sequence[int]) -> dict[int, Told]:
    return {pk: Told(_column_change(change)) for pk, change in SchemaChange.objects.in_bulk(keys).items()}


def _column_change(change: SchemaChange) -> str:
    match change.change:
        case SchemaChange.Change.RENAMED:
            return f"Column {change.before} is called {change.after} now"
        case SchemaChange.Change.RETYPED:
            return f"Column {change.column} is {change.after or 'untyped'} instead of {change.before or 'untyped'}"
        case _:
            return f"Column {change.column} {change.change}"


# --- runs


def _find_failed_runs(span: Span) -> Iterator[Found]:
    writers = span.upstream.writers
    failed = Run.objects.filter(state__in=[Run.State.FAILED, Run.State.ABORTED])
    for pk, pipeline, at in span.rows(failed, "pipeline", writers, "pk", "pipeline_id", "started_at", at="started_at"):
        yield Found("run_failed", at, writers[pipeline], pk, pipeline, subject=pipeline)


def _tell_failed_runs(keys: Sequence[int]) -> dict[int, Told]:
    runs = Run.objects.select_related("pipeline").in_bulk(keys)
    return {pk: Told(f"A run {run.state}", _gist(run.error), _runs_of(run)) for pk, run in runs.items()}


def _gist(error: str) -> tuple[str, ...]:
    """Of an error the line that names it: the first, or the last of a traceback."""
    lines = error.strip().splitlines() or [""]
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return (line[:_LONGEST],) if line else ()


def _find_late_runs(span: Span) -> Iterator[Found]:
    """Starts that the nearest pipelines' schedules asked for and that came late, or not within the window at all.

    The row is the run before, by whose start the next was due.
    """
    nearest = dict(islice(span.upstream.writers.items(), _MOST_TIMED))
    timed = Run.objects.exclude(pipeline__schedule="")
    rows = span.rows(timed, "pipeline", nearest, "pipeline", "pipeline__schedule", "pk", "started_at", at="started_at")
    rows = rows.order_by("pipeline", "started_at", "pk")
    for (pipeline, schedule), group in groupby(rows, key=itemgetter(0, 1)):
        starts = [(pk, at) for *_, pk, at in group]
        for (pk, before), (_, at) in zip(starts, [*starts[1:], (0, min(span.until, timezone.now()))], strict=True):
            due = due_after(schedule, before)
            if due is not None and at > due + GRACE:
                yield Found("run_late", due, nearest[pipeline], pk, pipeline, subject=pipeline)


def _tell_late_runs(keys: Sequence[int]) -> dict[int, Told]:
    later = Run.objects.filter(pipeline=OuterRef("pipeline"), started_at__gt=OuterRef("started_at"))
    next_start = Subquery(later.order_by("started_at").values("started_at")[:1])
    runs = Run.objects.select_related("pipeline").filter(pk__in=keys).annotate(next_start=next_start)
    return {run.pk: Told(_lateness(run, run.next_start), url=_runs_of(run)) for run in runs}  # type: ignore[attr-defined]


def _lateness(run: Run, at: dt.datetime | None) -> str:
    due = due_after(run.pipeline.schedule, run.started_at)
    began = f"began {in_words(at)}" if at else "has not begun since"
    return f"A run due {in_words(due)} {began}"


def _find_jumps(span: Span) -> Iterator[Found]:
    """Runs that wrote far more or fewer rows than the one before; the database compares them."""
    writers, since = span.upstream.writers, span.since
    counted = Run.objects.filter(rows_out__isnull=False, state=Run.State.SUCCEEDED).order_by()
    counted = counted.filter(started_at__range=(since - _RUNS_BEFORE, span.until))
    before = Window(Lag("rows_out"), partition_by="pipeline", order_by=["started_at", "pk"])
    runs = counted.filter(pipeline__in=among(writers)).annotate(before=before)
    far = runs.filter(Q(before__gte=F("rows_out") * JUMP) | Q(rows_out__gte=F("before") * JUMP))
    for pk, pipeline, at, rows, was in far.values_list("pk", "pipeline_id", "started_at", "rows_out", "before"):
        if at >= since and abs(rows - was) >= FEWEST_ROWS:
            yield Found("rows", at, writers[pipeline], pk, pipeline)


def _tell_jumps(keys: Sequence[int]) -> dict[int, Told]:
    counted = Run.objects.filter(rows_out__isnull=False, state=Run.State.SUCCEEDED)
    earlier = counted.filter(pipeline=OuterRef("pipeline"), started_at__lt=OuterRef("started_at"))
    before = Subquery(earlier.order_by("-started_at", "-pk").values("rows_out")[:1])
    runs = Run.objects.select_related("pipeline").filter(pk__in=keys).annotate(before=before)
    return {run.pk: Told(_jump(run.rows_out, run.before), url=_runs_of(run)) for run in runs}  # type: ignore[attr-defined]


def _jump(rows: int, before: int) -> str:
    return f"Wrote {rows:,} row{'s' * (rows != 1)}, the run before {before:,}"


def _runs_of(run: Run) -> str:
    return f"{reverse('run-list')}?{urlencode({'pipeline': run.pipeline.name})}"


# --- checks


def _find_failed_checks(span: Span) -> Iterator[Found]:
    """Checks of tables upstream and of pipelines that write them."""
    failed = CheckResult.objects.filter(state__in=[CheckState.FAIL, CheckState.ERROR])
    fields = "pk", "at", "check_of", "check_of__table", "check_of__pipeline"
    writers = span.upstream.writers
    of_tables = span.rows(failed, "check_of__table", span.upstream.hops, *fields)
    of_pipelines = span.rows(failed, "check_of__pipeline", writers, *fields)
    for pk, at, check, table, pipeline in of_tables.union(of_pipelines, all=True):
        yield Found("check", at, table or writers[pipeline], pk, pipeline, subject=check)


def _tell_failed_checks(keys: Sequence[int]) -> dict[int, Told]:
    results = CheckResult.objects.select_related("check_of").in_bulk(keys)
    return {pk: _told_result(result) for pk, result in results.items()}


def _told_result(result: CheckResult) -> Told:
    verb = "failed" if result.state == CheckState.FAIL else "could not run"
    details = (result.words,) if result.words else ()
    return Told(f"The check {result.check_of} {verb}", details, result.check_of.get_absolute_url())


# --- what people did

_OWNERS = [f"{role}_owners" for role in Ownership.Role.values]


def _find_entries(span: Span) -> Iterator[Found]:
    """Changes of owners, and of anything else."""
    fields, writers = ("pk", "at", "noun", "object_id", "after"), span.upstream.writers
    of_tables, of_pipelines = (
        span.rows(HistoryEntry.objects.filter(noun=noun), "object_id", ids, *fields)
        for noun, ids in (("table", span.upstream.hops), ("pipeline", writers))
    )
    for pk, at, noun, key, after in of_tables.union(of_pipelines, all=True):
        table, pipeline = (key, None) if noun == "table" else (writers[key], key)
        yield Found(_kind_of(after), at, table, pk, pipeline)


def _kind_of(after: Mapping[str, Any]) -> str:
    return "owners" if any(role in after for role in _OWNERS) else "edit"


def _tell_entries(keys: Sequence[int]) -> dict[int, Told]:
    entries = HistoryEntry.objects.in_bulk(keys)
    return {
        pk: Told(f"{entry.actor_name} {entry.action} the {entry.noun}", tuple(_fields_changed(entry)))
        for pk, entry in entries.items()
    }


def _fields_changed(entry: HistoryEntry) -> Iterator[str]:
    for field, after in entry.after.items():
        before = f"{_as_text(entry.before[field])} → " if field in entry.before else ""
        yield f"{field.replace('_', ' ')}: {before}{_as_text(after)}"


def _as_text(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value if value is not None else "")
    return text[:_LONGEST] or "none"


def _find_deletions(span: Span) -> Iterator[Found]:
    """Steps of deletion reviews by which tables went or came back, each at the nearest of them."""
    state = DeletionReview.State
    went = Q(to_state__in=[state.QUARANTINED, state.DELETED])
    steps = ReviewEvent.objects.filter(went | Q(to_state=state.STOPPED, from_state=state.QUARANTINED))
    hops = span.upstream.hops
    found: dict[int, Found] = {}
    for pk, at, table in span.rows(steps, "review__tables__table", hops, "pk", "at", "review__tables__table"):
        if pk not in found or hops[table] < hops[found[pk].table]:
            found[pk] = Found("deletion", at, table, pk)
    yield from found.values()


def _tell_deletions(keys: Sequence[int]) -> dict[int, Told]:
    steps = ReviewEvent.objects.select_related("review").in_bulk(keys)
    return {
        pk: Told(
            f"{step.review}: {DeletionReview.State(step.to_state).label.lower()}",
            (step.words,),
            step.review.get_absolute_url(),
        )
        for pk, step in steps.items()
    }


def _find_incidents(span: Span) -> Iterator[Found]:
    """Incidents that lasted into the window, each where it began if that is upstream, else where it came nearest."""
    hits = Hit.objects.filter(incident__started_at__lte=span.until, is_out=False).order_by("distance", "pk")
    hits = hits.filter(Q(incident__resolved_at=None) | Q(incident__resolved_at__gte=span.since))
    found: dict[int, tuple[int, int, Found]] = {}
    rows = hits.filter(table__in=among(span.upstream.hops)).exclude(incident=span.besides)
    for pk, at, table, distance in rows.values_list("incident", "incident__started_at", "table", "distance"):
        nearest = (distance, span.upstream.hops[table], Found("incident", at, table, pk))
        found[pk] = min(found.get(pk, nearest), nearest, key=lambda each: each[:2])
    yield from (each for _, _, each in found.values())


def _tell_incidents(keys: Sequence[int]) -> dict[int, Told]:
    incidents = Incident.objects.in_bulk(keys)
    return {
        pk: Told(
            f"Incident: {incident}",
            (f"{incident.get_severity_display()}, {incident.get_status_display().lower()}",),
            incident.get_absolute_url(),
        )
        for pk, incident in incidents.items()
    }


_FINDERS = (
    _find_sql,
    _find_schema_changes,
    _find_failed_runs,
    _find_late_runs,
    _find_jumps,
    _find_failed_checks,
    _find_entries,
    _find_deletions,
    _find_incidents,
)
KINDS = {
    "sql": Kind("SQL", _tell_sql),
    "schema": Kind("Schema", _tell_schema_changes),
    "run_failed": Kind("Failed run", _tell_failed_runs),
    "run_late": Kind("Late run", _tell_late_runs),
    "rows": Kind("Row count", _tell_jumps),
    "check": Kind("Check", _tell_failed_checks),
    "owners": Kind("Owners", _tell_entries),
    "edit": Kind("By hand", _tell_entries),
    "deletion": Kind("Deletion", _tell_deletions),
    "incident": Kind("Incident", _tell_incidents),
}
