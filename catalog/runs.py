"""Reads of runs: the last of a pipeline, how long it usually takes, and which pipelines are behind their schedules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Avg, DurationField, ExpressionWrapper, F, OuterRef, QuerySet, Subquery
from django.utils import timezone

from catalog.models import Pipeline, Run
from catalog.schedules import Punctuality, Timing, timing

USUAL_DAYS = 30  # over which it is measured how long a pipeline usually takes
SLOW = 2.0  # a run that takes so many times as long as usual
_LAST_RUN = ("pk", "started_at", "ended_at", "nominal_at", "rows_in", "rows_out")


@dataclass(frozen=True)
class ExpectedRun:
    """A pipeline with a cron schedule, when its next run was or is due, and when the last one started."""

    pipeline: Pipeline
    last_start: dt.datetime
    timing: Timing


def with_last_runs(pipelines: QuerySet[Pipeline]) -> QuerySet[Pipeline]:
    """Pipelines with `last_start` and `last_state` of their newest run, and `good_…` of the newest that succeeded."""
    runs = Run.objects.filter(pipeline=OuterRef("pk")).order_by("-started_at", "-id")
    good = runs.filter(state=Run.State.SUCCEEDED)
    return pipelines.annotate(
        last_start=Subquery(runs.values("started_at")[:1]),
        last_state=Subquery(runs.values("state")[:1]),
        **{f"good_{field}": Subquery(good.values(field)[:1]) for field in _LAST_RUN},
    )


def timing_of(pipeline: Pipeline) -> Timing | None:
    """How a pipeline of `with_last_runs` stands to its schedule; None where that is not known, or it is not active."""
    if pipeline.status != Pipeline.Status.ACTIVE:
        return None
    return timing(pipeline.schedule, pipeline.last_start, timezone.now())


def usual_spans(pipelines: Collection[int]) -> dict[int, dt.timedelta]:
    """How long runs of these pipelines (ids) that succeeded lately took, on average. One query."""
    since = timezone.now() - dt.timedelta(days=USUAL_DAYS)
    span = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    recent = Run.objects.filter(
        pipeline__in=pipelines, state=Run.State.SUCCEEDED, started_at__gte=since, ended_at__isnull=False
    )
    return dict(recent.order_by().values_list("pipeline_id").annotate(usual=Avg(span)))


def behind_schedule() -> list[ExpectedRun]:
    """Active pipelines whose next run is late or missing, the longest overdue first. One query over those with a
    schedule."""
    scheduled = Pipeline.objects.filter(status=Pipeline.Status.ACTIVE).exclude(schedule="").order_by()
    starts = Run.objects.filter(pipeline=OuterRef("pk")).order_by("-started_at", "-id").values("started_at")[:1]
    now = timezone.now()
    behind = []
    for pipeline in scheduled.annotate(last_start=Subquery(starts)).exclude(last_start=None).iterator():
        found = timing(pipeline.schedule, pipeline.last_start, now)
        if found and found.punctuality is not Punctuality.ON_TIME:
            behind.append(ExpectedRun(pipeline, pipeline.last_start, found))
    return sorted(behind, key=lambda one: (one.timing.due_at, one.pipeline.name))
