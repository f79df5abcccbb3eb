"""The facts of many pipelines out of rows: a constant number of queries, for one pipeline as for ten thousand."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

from django.db.models import (
    Avg,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from audits.checks.models import Check, State
from audits.postmortems.models import ActionItem, Hit, Incident, PostMortem
from audits.practices.facts import Facts, IncidentFact, Person, Reason, Runs, Sql, TableFact
from catalog.models import Ownership, Pipeline, Run, Table, node_id
from catalog.queries import ownerships_in_force
from catalog.schedules import next_start
from lineage.models import SqlVersion, TableEdge

RUNS_OF = dt.timedelta(days=35)
ENOUGH_DATES = 7  # to tell how often a pipeline runs
_STARTS = 60  # of a schedule, looked at for its rhythm

Ids = Collection[int] | None  # None: every pipeline that is not retired
Tables = tuple[TableFact, ...]
Sides = dict[int, tuple[set[int], set[int]]]  # ids of the tables that each pipeline reads, and of those it writes
MEASURED = (State.PASS, State.WARN, State.FAIL)  # a check that could not be run, or never was, checks nothing


@dataclass
class Checks:
    """Kinds of the checks on one table or pipeline that were measured, whether one fails, and the kind of each that
    another tool is said to run and of which no result has ever arrived."""

    kinds: set[str] = field(default_factory=set)
    is_failing: bool = False
    unheard: list[str] = field(default_factory=list)


def gather(ids: Ids = None) -> dict[int, Facts]:
    """Facts by the pipeline's id; retired pipelines have none."""
    pipelines = Pipeline.objects.exclude(status=Pipeline.Status.RETIRED).order_by()
    if ids is not None:
        pipelines = pipelines.filter(pk__in=ids)
    edges = of(TableEdge.objects.filter(valid_to__isnull=True), ids).order_by()
    sides, checks = _sides(edges), _checks(edges, ids)
    tables = _tables(edges, ids, checks)
    sqls, runs, owners, incidents = _sqls(ids), _runs(ids), _owners(ids), _incidents(edges, ids, sides)
    any_incident = Incident.objects.exists()
    of_its_dag = Pipeline.objects.filter(name=OuterRef("dag")).values("catchup")
    catchup = Coalesce("catchup", Subquery(of_its_dag))  # stated of a DAG, it holds for each of its tasks
    fields = ("pk", "name", "tier", "load_strategy", "backfill", catchup, "orchestrator", "schedule")
    found = {}
    for pk, name, tier, load_strategy, backfill, is_on, orchestrator, schedule in pipelines.values_list(*fields):
        reads, writes = sides.get(pk, ((), ()))
        own = checks.get(("pipeline", pk), Checks())
        found[pk] = Facts(
            name=name,
            tier=tier,
            load_strategy=load_strategy,
            backfill=backfill.strip(),
            catchup=is_on,
            orchestrator=orchestrator,
            scheduled=rhythm(schedule),
            sql=sqls.get(pk),
            runs=runs.get(pk),
            business=tuple(owners.get((pk, Ownership.Role.BUSINESS), ())),
            technical=tuple(owners.get((pk, Ownership.Role.TECHNICAL), ())),
            inputs=_sorted(reads, tables),
            outputs=_sorted(writes, tables),
            incidents=tuple(incidents.get(pk, ())),
            records_incidents=any_incident,
            checks=frozenset(own.kinds),
            is_failing=own.is_failing,
        )
    return found


def of(rows: QuerySet, ids: Ids) -> QuerySet:
    """Rows of these pipelines."""
    return rows if ids is None else rows.filter(pipeline__in=ids)


def _sqls(ids: Ids) -> dict[int, Sql]:
    current = of(SqlVersion.objects.filter(valid_to__isnull=True), ids).order_by()
    return {pk: sql_facts(version, read) for pk, version, read in current.values_list("pipeline_id", "pk", "practices")}


def sql_facts(version: int, read: Mapping[str, Any]) -> Sql:
    """What the engine read, `analysis.practices` as stored, as a rule wants it."""
    strategy = read.get("load_strategy", "unknown")
    return Sql(
        version=version,
        load_strategy="" if strategy == "unknown" else strategy,
        idempotent=read.get("idempotent"),
        atomic=read.get("atomic"),
        backfill_safe=read.get("backfill_safe"),
        reasons=tuple(Reason(one["practice"], one["message"], one["line"]) for one in read.get("reasons", ())),
    )


def _runs(ids: Ids) -> dict[int, Runs]:
    """By pipeline. What failed tells how often it runs, not how long that takes."""
    since = timezone.now() - RUNS_OF
    length = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    through = Q(state=Run.State.SUCCEEDED, ended_at__isnull=False)
    dated = Q(nominal_at__gte=since)
    rows = of(Run.objects.filter(started_at__gte=since), ids).order_by().values_list("pipeline_id")
    rows = rows.annotate(
        number=Count("pk", filter=through),
        longest=Max(length, filter=through),
        rows=Avg("rows_out", filter=through),
        dates=Count("nominal_at", filter=dated, distinct=True),
        first=Min("nominal_at", filter=dated),
        last=Max("nominal_at", filter=dated),
    )
    return {
        pk: Runs(number, longest, written, (last - first) / (dates - 1) if dates >= ENOUGH_DATES else None)
        for pk, number, longest, written, dates, first, last in rows
        if number
    }


@lru_cache(maxsize=10_000)
def rhythm(schedule: str) -> tuple[dt.timedelta, dt.timedelta] | None:
    """The shortest and the usual time between two starts of a cron schedule; None for one in other words."""
    starts = [next_start(schedule, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))]
    while starts[-1] and len(starts) <= _STARTS:
        starts.append(next_start(schedule, starts[-1]))
    if starts[-1] is None:
        return None
    gaps = [later - start for start, later in pairwise(starts)]
    return min(gaps), (starts[-1] - starts[0]) / len(gaps)


def _owners(ids: Ids) -> dict[tuple[int, str], list[Person]]:
    held = of(ownerships_in_force("pipeline"), ids).order_by("owner__name", "owner_id")
    found: dict[tuple[int, str], list[Person]] = defaultdict(list)
    for pk, role, name, status in held.values_list("pipeline_id", "role", "owner__name", "owner__status"):
        found[pk, role].append(Person(name, has_left=status == "left"))
    return found


def _sides(edges: QuerySet) -> Sides:
    sides: Sides = defaultdict(lambda: (set(), set()))
    for pk, source, target in edges.values_list("pipeline_id", "source_table_id", "target_table_id"):
        sides[pk][0].add(source)
        sides[pk][1].add(target)
    return sides


def _sorted(ids: Collection[int], tables: Mapping[int, TableFact]) -> Tables:
    return tuple(sorted((tables[pk] for pk in ids if pk in tables), key=lambda table: (table.name, table.node)))


def _at(edges: QuerySet, table: str) -> Q:
    """Rows whose `table` is at one of the edges."""
    return Q(**{f"{table}__in": edges.values("source_table")}) | Q(**{f"{table}__in": edges.values("target_table")})


def _tables(edges: QuerySet, ids: Ids, checks: Mapping[tuple[str, int], Checks]) -> dict[int, TableFact]:
    tables = Table.objects.order_by()
    if ids is not None:
        tables = tables.filter(_at(edges, "pk"))
    rows = tables.annotate(described=~Q(description="")).values_list(
        "pk", "source__slug", "name", "described", "provenance", "row_count", "retention_days", "verdict__verdict"
    )
    found = {}
    for pk, source, name, described, provenance, number, days, verdict in rows:
        own = checks.get(("table", pk), Checks())
        found[pk] = TableFact(
            node=node_id("table", source, name),
            name=name,
            is_described=described,
            is_original=provenance == Table.Provenance.ORIGINAL,
            rows=number,
            keeps=days,
            verdict=verdict or "",
            checks=frozenset(own.kinds),
            is_failing=own.is_failing,
            unheard=tuple(sorted(own.unheard)),
        )
    return found


def _checks(edges: QuerySet, ids: Ids) -> dict[tuple[str, int], Checks]:
    """The checks of each table and each pipeline, by its kind of thing and id."""
    unheard = Q(origin__in=Check.MEASURED_ELSEWHERE, checked_at=None)
    told = Check.objects.filter(Q(state__in=MEASURED) | unheard, is_active=True).order_by()
    if ids is not None:
        told = told.filter(_at(edges, "table") | Q(pipeline__in=ids))
    found: dict[tuple[str, int], Checks] = defaultdict(Checks)
    for table, pipeline, kind, state in told.values_list("table_id", "pipeline_id", "kind", "state"):
        own = found[("table", table) if table else ("pipeline", pipeline)]
        if state in MEASURED:
            own.kinds.add(kind)
            own.is_failing |= state == State.FAIL
        else:
            own.unheard.append(kind)
    return found


def _incidents(edges: QuerySet, ids: Ids, sides: Sides) -> dict[int, list[IncidentFact]]:
    """Incidents by the pipeline in which they began, or which writes a table in which they did."""
    origins = Hit.objects.filter(distance=0, is_out=False).order_by()
    if ids is not None:
        origins = origins.filter(Q(table__in=edges.values("target_table")) | Q(pipeline__in=ids))
    by_table, by_pipeline = defaultdict(set), defaultdict(set)
    for incident, table, pipeline in origins.values_list("incident_id", "table_id", "pipeline_id"):
        by_table[table].add(incident)
        by_pipeline[pipeline].add(incident)
    facts = _incident_facts(origins)
    found = {}
    for pk in {*sides, *by_pipeline} - {None}:
        began = by_pipeline.get(pk, set()).union(*(by_table.get(table, ()) for table in sides[pk][1] if table))
        if began:
            found[pk] = [facts[incident] for incident in sorted(began)]
    return found


def _incident_facts(origins: QuerySet) -> dict[int, IncidentFact]:
    today = timezone.now().date()
    overdue: dict[int, list[str]] = defaultdict(list)
    items = ActionItem.objects.exclude(status__in=ActionItem.ENDED).filter(due__lt=today)
    for incident, title in items.order_by("due", "pk").values_list("incident_id", "title"):
        overdue[incident].append(title)
    incidents = Incident.objects.filter(pk__in=origins.values("incident")).order_by()
    rows = incidents.values_list("pk", "title", "status", "resolved_at", "post_mortem__state")
    return {
        pk: IncidentFact(
            title=title,
            is_over=status == Incident.Status.RESOLVED,
            has_report=state == PostMortem.State.PUBLISHED,
            days_over=(today - resolved_at.date()).days if resolved_at else 0,
            overdue=tuple(overdue.get(pk, ())),
        )
        for pk, title, status, resolved_at, state in rows
    }
