"""Ingest runs: when facts arrived, and what came of it."""

from __future__ import annotations

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from catalog.paging import BadCursor, page_of
from ingest.models import IngestRun


def ingest_run_list(request: HttpRequest) -> HttpResponse:
    """Every ingest run, newest first."""
    try:
        page = page_of(IngestRun.objects.all(), ("-started_at", "-id"), request.GET.get("cursor", ""))
    except BadCursor as error:
        raise BadRequest(str(error)) from error
    return render(request, "ingest_runs/list.html", {"title": "Ingests", "page": page})
