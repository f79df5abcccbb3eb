"""What helps to understand an incident: earlier ones like it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from audits.postmortems.similar import similar_to
from pages.incidents import incident_or_404


@require_GET
def similar(request: HttpRequest, pk: int) -> HttpResponse:
    """Earlier incidents like one; its page, and that of its report, bring the list in from here."""
    incident = incident_or_404(pk)
    context = {"title": f"Like {incident.title}", "incident": incident, "found": similar_to(incident)}
    return render(request, "incidents/similar_page.html", context)
