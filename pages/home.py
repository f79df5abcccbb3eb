"""The first page: how much there is, how well it is read, and what needs attention."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audits.postmortems import queries as incident_queries
from catalog import queries
from ingest.models import IngestRun
from lineage import queries as lineage_queries
from lineage.models import Problem
from lineage.problems import problem_counts

_INGESTS_SHOWN = 5


def home(request: HttpRequest) -> HttpResponse:
    """Counts, parse coverage, what needs attention and the latest ingests."""
    counts, problems = queries.catalog_counts(), problem_counts()
    context = {
        "title": "Home",
        "counts": counts,
        "is_empty": not counts.pipelines and not counts.tables,
        "coverage": lineage_queries.coverage(),
        "problems": problems,
        "warnings": sum(count.number for count in problems if count.severity == Problem.Severity.WARNING),
        "lacking": queries.lacking_owners(),
        "left": queries.left_owners_with_things(),
        "waiting": incident_queries.waiting(),
        "ingests": IngestRun.objects.all()[:_INGESTS_SHOWN],
    }
    return render(request, "home/home.html", context)
