"""Runs: executions of pipelines, newest first."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from catalog.filters import RunFilter
from catalog.models import Run
from pages.lists import listing


def run_list(request: HttpRequest) -> HttpResponse:
    """Every run, narrowed by the filters in the address."""
    found = listing(
        request,
        RunFilter,
        Run.objects.select_related("pipeline"),
        order=("-started_at", "-id"),
        controls={"pipeline": "Pipeline", "state": "State", "q": "Id"},
    )
    return render(request, "runs/list.html", {"title": "Runs", "listing": found})
