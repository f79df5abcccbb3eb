"""How much of the SQL was read: in all, by source, and the pipelines read least, each with the statement to look at."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from catalog.models import Source
from lineage.coverage import coverage, coverage_by_source, coverage_of, current_versions, least_read, that_write_to

SHOWN, FEW = 50, 5


@require_GET
def coverage_page(request: HttpRequest) -> HttpResponse:
    """The whole, the sources that SQL writes to, and the pipelines read in part; of one source where asked.

    The home page brings both lists in from here, the second cut to a few (`?show=few`).
    """
    most = FEW if request.GET.get("show") == "few" else SHOWN
    chosen = request.GET.get("source", "")
    by_source = coverage_by_source()
    names = dict(Source.objects.filter(slug__in=by_source).values_list("slug", "name"))
    versions = current_versions().filter(that_write_to(chosen)) if chosen else current_versions()
    context = {
        "title": "How much was read",
        "coverage": coverage(),
        "sources": sorted((names[slug], slug, each) for slug, each in by_source.items()),
        "chosen": chosen,
        "rows": [(version, coverage_of(version)) for version in least_read(versions, most)],
        "most": most,
    }
    return render(request, "coverage/few.html" if most == FEW else "coverage/coverage.html", context)
