"""Reads of checks and results: what pages, REST and commands ask, with the number of SQL queries each costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Count, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When

from audits.checks import distinct, kinds, sql
from audits.checks.models import WORST_FIRST, Check, CheckResult, State
from audits.checks.place import Place
from catalog.models import Pipeline, Table
from catalog.schedules import next_start
from lineage.models import TableEdge
from lineage.queries import inputs_and_outputs

SHOWN = 60  # results of a plot


@dataclass(frozen=True)
class Standing:
    """How the checks of one thing stand: the worst state, and how many there are of each."""

    worst: str
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def label(self) -> str:
        return State(self.worst).label


def checks() -> QuerySet[Check]:
    """Checks with all that a row says of them."""
    return Check.objects.select_related("table__source", "pipeline", "owner")


def runnable(source: str = "", table: str = "", due_at: dt.datetime | None = None) -> list[Check]:
    """Checks that Pipekeeper measures itself, of a source and table where named. One query.

    With `due_at`, those whose schedule says so: by their cron, or a day after their last result.
    """
    found = checks().filter(is_active=True).exclude(kind=Check.Kind.EXTERNAL)
    found = found.exclude(origin__in=Check.MEASURED_ELSEWHERE)
    if source:
        found = found.filter(table__source__slug=source)
    if table:
        found = found.filter(table__name=table)
    found = found.order_by("table__source__slug", "table__name", "name", "id")
    return [check for check in found if due_at is None or is_due(check, due_at)]


def is_due(check: Check, at: dt.datetime) -> bool:
    """Whether its time has come since its last result."""
    if check.checked_at is None:
        return True
    next_time = next_start(check.schedule, check.checked_at) if check.schedule else None
    return at >= (next_time or check.checked_at + dt.timedelta(days=1))


def by_badness() -> Case:
    """An expression that is 0 for the worst state."""
    return Case(
        *(When(state=state, then=Value(rank)) for rank, state in enumerate(WORST_FIRST)), output_field=IntegerField()
    )


def worst_state(table: OuterRef) -> Subquery:
    """The state of a table: that of its worst check. None without checks."""
    return Subquery(Check.objects.filter(table=table, is_active=True).order_by(by_badness()).values("state")[:1])


def alarms_of(table_ids: Collection[int]) -> dict[int, str]:
    """The worst state of those tables of which a check fails, warns or could not be run. One query."""
    bad = Check.objects.filter(table__in=table_ids, is_active=True, state__in=(State.FAIL, State.ERROR, State.WARN))
    states = bad.order_by().values_list("table", "state").distinct()
    return dict(sorted(states, key=lambda row: WORST_FIRST.index(row[1]), reverse=True))  # the worst is last and stays


def worst_state_of_pipeline() -> Subquery:
    """The same of the pipelines of a query: of their own checks, and those of the tables that they write now."""
    edges = TableEdge.objects.filter(pipeline=OuterRef(OuterRef("pk")), target_table__isnull=False, valid_to=None)
    mine = Q(pipeline=OuterRef("pk")) | Q(table__in=edges.values("target_table"))
    return Subquery(Check.objects.filter(mine, is_active=True).order_by(by_badness()).values("state")[:1])


def standing_of(found: Iterable[Check]) -> Standing | None:
    """How some checks stand together; None where there are none."""
    counts: dict[str, int] = {}
    for check in found:
        if check.is_active:
            counts[check.state] = counts.get(check.state, 0) + 1
    return Standing(min(counts, key=lambda state: WORST_FIRST.index(State(state))), counts) if counts else None


def checks_of_table(table: Table) -> list[Check]:
    """A table's checks, the worst first. One query."""
    return list(checks().filter(table=table).order_by("-is_active", by_badness(), "name"))


def checks_of_pipeline(pipeline: Pipeline) -> list[Check]:
    """A pipeline's own checks, and those of the tables it writes, the worst first. Two queries."""
    _, outputs = inputs_and_outputs(pipeline)
    found = checks().filter(pipeline=pipeline) | checks().filter(table__in=outputs)
    return list(found.order_by("-is_active", by_badness(), "name"))


def counts_by_state() -> dict[str, int]:
    """How many active checks are in each state. One query."""
    rows = Check.objects.filter(is_active=True).order_by().values_list("state").annotate(number=Count("pk"))
    return dict(rows)


def latest_results(found: Iterable[Check]) -> dict[int, CheckResult]:
    """The latest result of each check by the check's id. One query."""
    newest = CheckResult.objects.filter(check_of=OuterRef("check_of")).order_by("-at", "-id").values("pk")[:1]
    results = CheckResult.objects.filter(check_of__in=[check.pk for check in found], pk=Subquery(newest))
    return {result.check_of_id: result for result in results}


def results_of(check: Check, most: int = SHOWN) -> list[CheckResult]:
    """Its newest results, the newest first. One query."""
    return list(check.results.all()[:most])


def statement_of(check: Check) -> str:
    """The SQL that measures a check by itself; of what is measured elsewhere only its own. Runs none."""
    if check.kind == Check.Kind.CUSTOM_SQL:
        return str(check.parameters["sql"])
    if not check.is_run_here or check.table is None:
        return ""
    typed: Any = check.typed
    table = check.table
    place = Place(table.name, table.source.dialect)
    statement = sql.scan(place, [typed]) if sql.shares_a_scan(typed) else sql.apart(place, typed)
    if isinstance(typed, kinds.UniqueKey) and distinct.has_quick_ways(place.dialect, table.kind):
        return f"{distinct.FIRST_ASKED}\n{distinct.rising(place, [typed])};\n\n{distinct.THEN_ASKED}\n{statement}"
    return statement
