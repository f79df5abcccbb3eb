"""What a field that takes names offers while one types: owners and tables as the forms read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from catalog.models import Owner
from catalog.search import Hit, search

OFFERED = 8


def owners(request: HttpRequest) -> HttpResponse:
    """Owners in office whose name, slug or e-mail address is like the query."""
    found = _found(request.GET.get("q", ""), kind="owner", status=Owner.Status.ACTIVE)
    return _offered(request, ((hit.slug, f"{hit.name} {hit.snippet.text if hit.snippet else ''}") for hit in found))


def tables(request: HttpRequest) -> HttpResponse:
    """Tables called like the query, as source:name."""
    found = _found(request.GET.get("q", "").rpartition(":")[2], kind="table")
    return _offered(request, ((f"{hit.slug}:{hit.name}", "") for hit in found))


def _found(q: str, **facets: str) -> Sequence[Hit]:
    """Nothing typed finds nothing, where facets alone would find all."""
    return search(q, {name: [value] for name, value in facets.items()}, limit=OFFERED).hits if q.strip("\0 ") else ()


def _offered(request: HttpRequest, offers: Iterable[tuple[str, str]]) -> HttpResponse:
    return render(request, "shared/suggestions.html", {"offers": list(offers)})
