"""Runs: executions of pipelines, newest first."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from catalog import policy
from catalog.filters import RunFilter
from catalog.models import Run
from catalog.policy import Action
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
    context = {"title": "Runs", "listing": found, "may_edit": policy.may(request.user, Action.EDIT)}
    return render(request, "runs/list.html", context)
