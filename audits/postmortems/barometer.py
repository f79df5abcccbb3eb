"""The barometer of technical debt: month by month, what there is to keep, what went wrong, how long it took, and what
was decided and not done yet. Of everything, a team, a source or a pipeline; never of a person.

Incidents and action items are counted by the filters of their lists, so that a figure and the list behind it agree.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from django.db.models import Count, F, Q, QuerySet

from audits.postmortems.filters import ActionItemFilter, IncidentFilter
from audits.postmortems.models import ActionItem, Cause, Hit, Incident
from audits.postmortems.similar import recurrences
from catalog.models import Owner, Pipeline, Table
from catalog.queries import ownerships_in_force
from lineage.models import TableEdge

MONTHS = 12
MOST_MONTHS = 36
SPANS = {  # what is timed, and from when to when
    "detect": ("started_at", "detected_at"),
    "acknowledge": ("detected_at", "acknowledged_at"),
    "mitigate": ("detected_at", "mitigated_at"),
    "resolve": ("detected_at", "resolved_at"),
}


@dataclass(frozen=True)
class Scope:
    """Whose barometer: by slugs of a team and a source and the name of a pipeline; empty for everything."""

    team: str = ""
    source: str = ""
    pipeline: str = ""

    @property
    def asked(self) -> dict[str, str]:
        """What is narrowed, as filters and addresses say it."""
        return {name: value for name, value in vars(self).items() if value}


@dataclass(frozen=True)
class Took:
    """How long something took in hours: the median and the 90th percentile of so many incidents."""

    median: float
    p90: float
    number: int


@dataclass
class Month:
    """The incidents that began in a month, and how things stood at its end (or now). `took` lacks what nobody timed."""

    start: dt.datetime
    end: dt.datetime
    incidents: int = 0
    by_severity: dict[int, int] = field(default_factory=dict)
    by_cause: dict[str, int] = field(default_factory=dict)
    recurrences: int = 0
    took: dict[str, Took] = field(default_factory=dict)
    open_items: int = 0
    overdue_items: int = 0
    item_age: float | None = None
    pipelines: int = 0
    tables: int = 0
    dependencies: int = 0
    in_debt: int = 0

    @property
    def debt_share(self) -> float | None:
        """The share of pipelines that an incident hit whose action items are still open."""
        return min(1.0, self.in_debt / self.pipelines) if self.pipelines else None


def barometer(scope: Scope, now: dt.datetime, months: int = MONTHS) -> list[Month]:
    """The last months, this one included, the oldest first. Eleven queries, whatever their number."""
    found = [Month(start, min(end, now)) for start, end in _months(now, months)]
    _count_incidents(found, scope)
    _count_items(found, scope)
    _count_things(found, scope)
    return found


def _months(now: dt.datetime, number: int) -> list[tuple[dt.datetime, dt.datetime]]:
    """(first moment, first moment of the next) of the last months in UTC."""
    last = now.year * 12 + now.month - 1
    starts = [dt.datetime(n // 12, n % 12 + 1, 1, tzinfo=dt.UTC) for n in range(last - number + 1, last + 2)]
    return list(zip(starts, starts[1:], strict=False))


def _count_incidents(months: Sequence[Month], scope: Scope) -> None:
    asked = {**scope.asked, "since": months[0].start.isoformat(), "until": months[-1].end.isoformat()}
    incidents = list(IncidentFilter(asked, Incident.objects.order_by("started_at")).qs)
    keys = [incident.pk for incident in incidents]
    roots = Cause.objects.filter(is_root=True, post_mortem__incident__in=keys)
    causes = dict(roots.values_list("post_mortem__incident", "code"))
    came_back = recurrences(since=months[0].start)
    for month in months:
        own = [incident for incident in incidents if month.start <= incident.started_at < month.end]
        month.incidents = len(own)
        month.by_severity = dict(Counter(incident.severity for incident in own))
        month.by_cause = dict(Counter(causes[incident.pk] for incident in own if incident.pk in causes))
        month.recurrences = sum(incident.pk in came_back for incident in own)
        month.took = {name: took for name, ends in SPANS.items() if (took := _took(own, *ends))}


def _took(incidents: Iterable[Incident], start: str, end: str) -> Took | None:
    ends = [(getattr(incident, start), getattr(incident, end)) for incident in incidents]
    hours = sorted(max(0.0, (last - first).total_seconds() / 3600) for first, last in ends if first and last)
    if not hours:
        return None
    return Took(round(median(hours), 2), round(hours[math.ceil(0.9 * len(hours)) - 1], 2), len(hours))


def _count_items(months: Sequence[Month], scope: Scope) -> None:
    items = list(ActionItemFilter(scope.asked, ActionItem.objects.order_by("pk")).qs)
    hit: dict[int, set[int]] = defaultdict(set)
    hits = Hit.objects.filter(incident__in={item.incident_id for item in items}, is_out=False)
    for incident, pipeline in hits.filter(pipeline__in=_pipelines(scope).values("pk")).values_list(
        "incident", "pipeline"
    ):
        hit[incident].add(pipeline)
    for month in months:
        waiting = [item for item in items if _is_open(item, month.end)]
        month.open_items = len(waiting)
        month.overdue_items = sum(item.due < month.end.date() for item in waiting)
        if waiting:
            month.item_age = round(
                median((month.end - item.created_at).total_seconds() / 86_400 for item in waiting), 1
            )
        month.in_debt = len(set().union(*(hit[item.incident_id] for item in waiting)))


def _is_open(item: ActionItem, at: dt.datetime) -> bool:
    return item.created_at < at and (item.ended_at is None or item.ended_at >= at)


# --- what there is


def _count_things(months: Sequence[Month], scope: Scope) -> None:
    pipelines, tables, edges = _pipelines(scope), _tables(scope), _dependencies(scope)
    known = {f"m{n}": Count("pk", filter=Q(created_at__lt=month.end)) for n, month in enumerate(months)}
    held = {
        f"m{n}": Count("pk", filter=Q(valid_from__lt=month.end) & (Q(valid_to=None) | Q(valid_to__gte=month.end)))
        for n, month in enumerate(months)
    }
    counts = [
        things.order_by().aggregate(**wanted) for things, wanted in ((pipelines, known), (tables, known), (edges, held))
    ]
    for n, month in enumerate(months):
        month.pipelines, month.tables, month.dependencies = (count[f"m{n}"] for count in counts)


def _pipelines(scope: Scope) -> QuerySet[Pipeline]:
    """Pipelines not retired: owned by the team, writing to the source, or the one."""
    found = Pipeline.objects.exclude(status=Pipeline.Status.RETIRED)
    if scope.team:
        found = found.filter(pk__in=_owned("pipeline", scope.team))
    if scope.source:
        writes = TableEdge.objects.filter(target_table__source__slug=scope.source, valid_to=None)
        found = found.filter(pk__in=writes.values("pipeline"))
    return found.filter(name=scope.pipeline) if scope.pipeline else found


def _tables(scope: Scope) -> QuerySet[Table]:
    """Tables not retired: owned by the team, in the source, or read or written by the pipeline."""
    found = Table.objects.exclude(status=Table.Status.RETIRED)
    if scope.team:
        found = found.filter(pk__in=_owned("table", scope.team))
    if scope.source:
        found = found.filter(source__slug=scope.source)
    if scope.pipeline:
        edges = TableEdge.objects.filter(pipeline__name=scope.pipeline, valid_to=None)
        found = found.filter(Q(pk__in=edges.values("source_table")) | Q(pk__in=edges.values("target_table")))
    return found


def _dependencies(scope: Scope) -> QuerySet[TableEdge]:
    """Edges from a table of one source to a table of another."""
    found = TableEdge.objects.exclude(source_table__source=F("target_table__source"))
    found = found.filter(source_table__isnull=False, target_table__isnull=False)
    if scope.source:
        ends = Q(source_table__source__slug=scope.source) | Q(target_table__source__slug=scope.source)
        found = found.filter(ends)
    return found.filter(pipeline__in=_pipelines(scope).values("pk")) if scope.team or scope.pipeline else found


def _owned(noun: str, team: str) -> QuerySet:
    """What a team answers for, itself or by its people."""
    owners = Owner.objects.filter(Q(slug=team) | Q(team__slug=team))
    return ownerships_in_force(noun, owner__in=owners.values("pk")).order_by().values(noun)
