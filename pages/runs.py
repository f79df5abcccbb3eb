"""Runs: executions of pipelines, newest first; each of them; and what is behind its schedule."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from catalog import policy
from catalog.filters import RunFilter
from catalog.models import Pipeline, Run
from catalog.policy import Action
from catalog.runs import behind_schedule, timing_of, usual_spans
from catalog.schedules import Punctuality
from ingest.models import LineageEvent
from pages.lists import list_page, listing

_PARTS_SHOWN = 100
_EVENTS_SHOWN = 50


def run_list(request: HttpRequest) -> HttpResponse:
    """Every run, narrowed by the filters in the address."""
    found = listing(
        request,
        RunFilter,
        Run.objects.select_related("pipeline"),
        order=("-started_at", "-id"),
        controls={"pipeline": "Pipeline", "state": "State", "q": "Id"},
    )
    usual = usual_spans({run.pipeline_id for run in found.page.items})
    return list_page(request, "runs/list.html", "Runs", found, usual=usual)


def late_list(request: HttpRequest) -> HttpResponse:
    """Pipelines whose next run is late or missing."""
    return render(request, "runs/late.html", {"title": "Late runs", "behind": behind_schedule()})


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One run: how it went, what it is a part of, its own parts, and the events that told of it."""
    run = Run.objects.select_related("pipeline").filter(pk=pk).first()
    if run is None:
        raise Http404(f"There is no run {pk}.")
    related = Run.objects.select_related("pipeline").exclude(pk=run.pk)
    context = {
        "title": f"Run of {run.pipeline.name}",
        "run": run,
        "usual": usual_spans([run.pipeline_id]),
        "parent": related.filter(external_id=run.parent_id).first() if run.parent_id else None,
        "parts": related.filter(parent_id=run.external_id).order_by("started_at", "id")[:_PARTS_SHOWN],
        "events": LineageEvent.objects.filter(run_id=run.external_id).select_related("job")[:_EVENTS_SHOWN],
        "may_edit": policy.may(request.user, Action.EDIT, run),
    }
    return render(request, "runs/detail.html", context)


def last_good(pipelines: Iterable[Pipeline]) -> Pipeline | None:
    """Of pipelines with their last runs, the one whose good run is the newest: it wrote their table last."""
    ran = [pipeline for pipeline in pipelines if pipeline.good_started_at]
    return max(ran, key=lambda pipeline: pipeline.good_started_at, default=None)


def behind(pipelines: Iterable[Pipeline]) -> list[Pipeline]:
    """Of pipelines with their last runs those that are behind their schedules, with `timing`."""
    found = []
    for pipeline in pipelines:
        pipeline.timing = timing_of(pipeline)
        if pipeline.timing and pipeline.timing.punctuality is not Punctuality.ON_TIME:
            found.append(pipeline)
    return found
