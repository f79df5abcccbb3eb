"""Problems: what could not be read or resolved."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from lineage.filters import ProblemFilter
from lineage.models import Problem
from lineage.problems import problem_counts
from pages.lists import list_page, listing, options_of


def problem_list(request: HttpRequest) -> HttpResponse:
    """Every problem, errors first, narrowed by the filters in the address; the counts by code are of all."""
    counts = problem_counts()
    codes = sorted({count.code for count in counts})
    found = listing(
        request,
        ProblemFilter,
        Problem.objects.select_related("pipeline"),
        order=("severity", "id"),
        controls={"q": "Message", "severity": "Severity", "code": "Code"},
        options={"code": options_of((code, code.replace("_", " ")) for code in codes)},
    )
    return list_page(request, "problems/list.html", "Problems", found, counts=counts)
