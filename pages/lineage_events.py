"""OpenLineage events as they came in, and what those of one pipeline say of it together."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from catalog import policy
from catalog.models import Run
from catalog.policy import Action
from ingest.models import LineageEvent, ReportedJob
from ingest.openlineage.api import LineageEventFilter
from ingest.openlineage.events import moment_of
from ingest.openlineage.facets import UNDERSTOOD
from pages.find import pipeline_or_404
from pages.lists import Listing, list_page, listing


def event_list(request: HttpRequest) -> HttpResponse:
    """Every event, the newest first."""
    controls = {"pipeline": "Pipeline", "kind": "Kind", "event_type": "Type", "run_id": "Run"}
    found = _listing(request, controls)
    return list_page(request, "lineage_events/list.html", "Lineage events", found, site_url=settings.SITE_URL)


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One event."""
    event = LineageEvent.objects.select_related("job__pipeline", "dataset__table__source").filter(pk=pk).first()
    if event is None:
        raise Http404(f"There is no lineage event {pk}.")
    context = {
        "title": f"{(event.event_type or event.kind).capitalize()} event",
        "event": event,
        "run": Run.objects.filter(external_id=event.run_id, pipeline=event.job.pipeline).first() if event.job else None,
        "body": _indented(json.loads(event.body)),
    }
    return render(request, "lineage_events/detail.html", context)


def of_pipeline(request: HttpRequest, name: str) -> HttpResponse:
    """What events say of a pipeline: each facet's newest word, then the events."""
    pipeline = pipeline_or_404(name)
    jobs = list(ReportedJob.objects.filter(pipeline=pipeline))
    context = {
        "title": f"Events of {pipeline.name}",
        "pipeline": pipeline,
        "tags": pipeline.tags.all(),
        "facets": [facet for job in jobs for facet in _facets(job)],
        "listing": _listing(request, {}, job__in=jobs),
        "may_edit": policy.may(request.user, Action.EDIT, pipeline),
    }
    return render(request, "pipelines/events.html", context)


def _listing(request: HttpRequest, controls: dict[str, str], **narrowed: Any) -> Listing:
    events = LineageEvent.objects.filter(**narrowed).select_related("job", "dataset").defer("body")
    return listing(request, LineageEventFilter, events, order=("-id",), controls=controls)


def _facets(job: ReportedJob) -> list[dict[str, Any]]:
    """A job's facets that no other page tells of, by name; code as code, all else as JSON."""
    return [
        {"name": name, "at": moment_of(job.stamps[name][0]), "text": _facet_text(facet)}
        for name, facet in sorted(job.facets.items())
        if not (name.startswith("@") or name in UNDERSTOOD)
    ]


def _facet_text(facet: Any) -> str:
    if isinstance(facet, dict):
        facet = {name: value for name, value in facet.items() if name not in ("_producer", "_schemaURL")}
        if isinstance(code := facet.get("sourceCode"), str):
            return code.strip("\n")
    return _indented(facet)


def _indented(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
