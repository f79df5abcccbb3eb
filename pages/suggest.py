"""What a field that takes names offers while one types: owners and tables as the forms read them."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from catalog.models import Owner, Table
from pages.forms import table_names
from pages.search import LONGEST_QUERY, SHOWN, best


def owners(request: HttpRequest) -> HttpResponse:
    """Owners in office whose name, slug or e-mail address is like the query."""
    active = Owner.objects.filter(status=Owner.Status.ACTIVE)
    found = best(active, q, "name", "email", "slug") if (q := _query(request)) else []
    return _offered(request, ((owner.slug, f"{owner.name} {owner.email}") for owner in found))


def tables(request: HttpRequest) -> HttpResponse:
    """Tables called like the query, as source:name."""
    q = _query(request).rpartition(":")[2]
    found = best(Table.objects.select_related("source"), q) if q else []
    return _offered(request, ((name, "") for name in table_names(found)))


def _query(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_QUERY]


def _offered(request: HttpRequest, offers: Iterable[tuple[str, str]]) -> HttpResponse:
    return render(request, "shared/suggestions.html", {"offers": list(offers)[:SHOWN]})
