"""Reads of runs."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from catalog.models import Pipeline
from catalog.runs import behind_schedule, usual_spans, with_last_runs
from catalog.schedules import Punctuality
from tests.factories import make_pipeline, make_run

pytestmark = pytest.mark.django_db
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def test_the_last_run_and_the_last_good_one_are_two_things() -> None:
    pipeline, now = make_pipeline(), timezone.now()
    make_run(pipeline, started_at=now - DAY, ended_at=now - DAY + HOUR, rows_in=7, rows_out=5)
    make_run(pipeline, started_at=now - HOUR, state="failed")
    found = with_last_runs(Pipeline.objects.all()).get()
    assert (found.last_start, found.last_state) == (now - HOUR, "failed")
    assert (found.good_started_at, found.good_rows_in, found.good_rows_out) == (now - DAY, 7, 5)


def test_how_long_a_pipeline_usually_takes_is_measured_on_good_runs_of_late() -> None:
    pipeline, now = make_pipeline(), timezone.now()
    for hours, days, state in [(1, 1, "succeeded"), (3, 2, "succeeded"), (9, 3, "failed"), (9, 60, "succeeded")]:
        start = now - days * DAY
        make_run(pipeline, started_at=start, ended_at=start + hours * HOUR, state=state)
    assert usual_spans([pipeline.pk]) == {pipeline.pk: 2 * HOUR}


def test_only_active_pipelines_that_have_run_are_behind() -> None:
    now = timezone.now()
    late = make_pipeline("late", schedule="@daily")
    make_run(late, started_at=now - 5 * DAY)
    make_run(make_pipeline("paused", schedule="@daily", status="paused"), started_at=now - 5 * DAY)
    make_run(make_pipeline("in time", schedule="@hourly"), started_at=now)
    make_run(make_pipeline("in words", schedule="each day"), started_at=now - 5 * DAY)
    make_pipeline("never ran", schedule="@daily")
    assert [(one.pipeline, one.timing.punctuality) for one in behind_schedule()] == [(late, Punctuality.MISSING)]
