"""What helps to understand an incident and to put it right: earlier ones like it, and what to run again."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from audits.postmortems.backfill import backfill_plan
from audits.postmortems.similar import similar_to
from catalog import policy
from catalog.policy import Action
from pages.incidents import incident_or_404


@require_GET
def similar(request: HttpRequest, pk: int) -> HttpResponse:
    """Earlier incidents like one; its page, and that of its report, bring the list in from here."""
    incident = incident_or_404(pk)
    context = {"title": f"Like {incident.title}", "incident": incident, "found": similar_to(incident)}
    return render(request, "incidents/similar_page.html", context)


@require_GET
def backfill(request: HttpRequest, pk: int) -> HttpResponse:
    """What to run again for the tables that an incident hit, and how far that is."""
    incident = incident_or_404(pk)
    context = {
        "title": f"Backfill plan: {incident.title}",
        "incident": incident,
        "plan": backfill_plan(incident, timezone.now().date()),
        "may_edit": policy.may(request.user, Action.EDIT, incident),
    }
    return render(request, "incidents/backfill.html", context)
