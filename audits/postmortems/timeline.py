"""What happened by itself during an incident, as entries of its timeline: runs that fail and succeed again, checks that
fail and pass again, SQL that changed. Each event is noted once, however often it is looked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import islice

from django.db.models import Q
from django.utils import timezone

from audits.checks.models import CheckResult, State
from audits.postmortems.models import Hit, Incident, TimelineEntry
from catalog.models import Run
from lineage.models import SqlVersion
from lineage.queries import builders_of

BEFORE = dt.timedelta(hours=24)  # what happened so long before the start may have been the cause
MOST = 50  # entries of a kind
_BAD = (State.FAIL, State.ERROR)


def note_events(incident: Incident) -> int:
    """Note what happened to what is hit, and to what builds it; how many entries are new. Six queries."""
    since, until = incident.started_at - BEFORE, incident.resolved_at or timezone.now()
    hits = list(incident.hits.filter(is_out=False).exclude(kind=Hit.Kind.OWNER))
    tables = {hit.table_id for hit in hits if hit.table_id}
    began = [hit.table_id for hit in hits if hit.table_id and hit.distance == 0]
    pipelines = {hit.pipeline_id for hit in hits if hit.pipeline_id}
    pipelines |= {builder.pk for group in builders_of(began).values() for builder in group}
    known = set(incident.timeline.exclude(event="").values_list("event", flat=True))
    found = [
        *islice(_turned_runs(pipelines, since, until), MOST),
        *_changed_sql(pipelines, since, until),
        *islice(_turned_checks(tables, pipelines, since, until), MOST),
    ]
    new = [entry for entry in found if entry.event not in known]
    for entry in new:
        entry.incident, entry.by_name = incident, "pipekeeper"
    TimelineEntry.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)


def _turned_runs(pipelines: Iterable[int], since: dt.datetime, until: dt.datetime) -> Iterator[TimelineEntry]:
    """Of each pipeline the first run that fails, and the first that succeeds after it; those between say nothing."""
    over = Run.objects.filter(pipeline__in=pipelines, started_at__range=(since, until)).exclude(state=Run.State.RUNNING)
    failing: set[int] = set()
    for run in over.select_related("pipeline").order_by("started_at", "id").iterator():
        if (run.state != Run.State.SUCCEEDED) != (run.pipeline_id in failing):
            failing ^= {run.pipeline_id}
            yield entry_of_run(run)


def entry_of_run(run: Run) -> TimelineEntry:
    """How a run ended, at the time it did; of its error the first line."""
    error = next(iter(run.error.strip().splitlines()), "")
    text = f"{run.pipeline.name}: run {run.external_id} {run.get_state_display().lower()}"
    return TimelineEntry(
        at=run.ended_at or run.started_at,
        text=f"{text}: {error[:300]}" if error else text,
        source=TimelineEntry.Source.RUN,
        link=run.pipeline.get_absolute_url(),
        event=f"run:{run.pk}",
    )


def _changed_sql(pipelines: Iterable[int], since: dt.datetime, until: dt.datetime) -> Iterator[TimelineEntry]:
    """New texts of pipelines that had another before."""
    versions = SqlVersion.objects.filter(pipeline__in=pipelines, valid_from__range=(since, until))
    earlier = dict(
        SqlVersion.objects.filter(pipeline__in=pipelines, valid_to__isnull=False)
        .order_by("-valid_from")
        .values_list("pipeline_id", "valid_from")
    )
    for version in versions.select_related("pipeline").defer("sql")[:MOST]:
        if version.pipeline_id in earlier and earlier[version.pipeline_id] < version.valid_from:
            yield TimelineEntry(
                at=version.valid_from,
                text=f"The SQL of {version.pipeline.name} changed",
                source=TimelineEntry.Source.SQL,
                link=version.pipeline.get_absolute_url(),
                event=f"sql:{version.pk}",
            )


def _turned_checks(
    tables: Iterable[int], pipelines: Iterable[int], since: dt.datetime, until: dt.datetime
) -> Iterator[TimelineEntry]:
    """Of each check the first failure, and the first pass after it."""
    results = CheckResult.objects.filter(
        Q(check_of__table__in=tables) | Q(check_of__pipeline__in=pipelines), at__range=(since, until)
    )
    failing: set[int] = set()
    for result in results.select_related("check_of").defer("sample").order_by("at", "id").iterator():
        is_bad = result.state in _BAD
        if is_bad == (result.check_of_id in failing) or (not is_bad and result.state != State.PASS):
            continue
        failing ^= {result.check_of_id}
        yield entry_of_result(result)


def entry_of_result(result: CheckResult) -> TimelineEntry:
    """How a check came out, at the time it was measured."""
    words = f": {result.words[:500]}" if result.words else ""
    return TimelineEntry(
        at=result.at,
        text=f"Check {result.check_of.name} {result.get_state_display().lower()}{words}",
        source=TimelineEntry.Source.CHECK,
        link=result.check_of.get_absolute_url(),
        event=f"check:{result.pk}",
    )
