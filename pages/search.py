"""Search: the whole page with its facets, and what the field at the top of every page offers while one types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from catalog.models import Owner, Source
from catalog.search import FACETS, Results, search

OFFERED = 8  # while one types
PER_PAGE = 25
VALUES_SHOWN = 10  # of a facet
KINDS = {"tag": ("Tag", "Tags"), "source": ("Source", "Sources"), "owner": ("Owner", "Owners")} | {
    "table": ("Table", "Tables"),
    "column": ("Column", "Columns"),
    "pipeline": ("Pipeline", "Pipelines"),
    "incident": ("Incident", "Incidents"),
}
_TITLES = {"kind": "What", "source": "Source", "owner": "Owner", "tag": "Tag", "tier": "Tier", "status": "Status"} | {
    "has_problems": "Problems"
}


@dataclass(frozen=True)
class Value:
    """One value of a facet; `query` is the address with it chosen, or with it no longer chosen."""

    label: str
    count: int
    is_chosen: bool
    query: str


@dataclass(frozen=True)
class Facet:
    """A facet with the values that the hits have."""

    name: str
    title: str
    values: Sequence[Value]


def search_page(request: HttpRequest) -> HttpResponse:
    """What has the words of the query, best first, beside the facets to narrow it by. At most 12 queries."""
    chosen = {name: set(filter(None, request.GET.getlist(name))) for name in FACETS}
    number = _page_asked_for(request)
    found = search(request.GET.get("q", ""), chosen, limit=PER_PAGE, offset=(number - 1) * PER_PAGE)
    context = {
        "title": f"Search: {found.q}" if found.q else "Search",
        "q": found.q,
        "found": found,
        "facets": _facets(request.GET, found, chosen),
        "is_narrowed": any(chosen.values()),
        "previous": _query(request.GET, page=number - 1) if number > 1 else "",
        "next": _query(request.GET, page=number + 1) if number * PER_PAGE < found.total else "",
        "first": (number - 1) * PER_PAGE + 1,
    }
    return render(request, "search/search.html", context)


def offers(request: HttpRequest) -> HttpResponse:
    """The best hits, as options of the field at the top."""
    found = search(request.GET.get("q", ""), limit=OFFERED)
    return render(request, "search/offers.html", {"found": found, "q": found.q})


def _page_asked_for(request: HttpRequest) -> int:
    text = request.GET.get("page", "1")
    return min(max(int(text), 1), 100) if text.isdecimal() and len(text) < 5 else 1


def _facets(asked: QueryDict, found: Results, chosen: Mapping[str, set[str]]) -> list[Facet]:
    facets = []
    for name in FACETS:
        counts = dict(found.facets.get(name, ()))
        shown = [*dict.fromkeys([*sorted(chosen[name]), *list(counts)[:VALUES_SHOWN]])]
        if shown:
            labels = _labels(name, shown)
            values = [
                Value(
                    labels.get(value, value), counts.get(value, 0), value in chosen[name], _toggled(asked, name, value)
                )
                for value in shown
            ]
            facets.append(Facet(name, _TITLES[name], values))
    return facets


def _labels(facet: str, values: Iterable[str]) -> dict[str, str]:
    """What people call the values. A query for owners, and for sources."""
    if facet in ("owner", "source"):
        model = Owner if facet == "owner" else Source
        return dict(model.objects.filter(slug__in=values).order_by().values_list("slug", "name"))
    if facet == "kind":
        return {
            value: KINDS[value][1] if value in KINDS else f"{value.replace('-', ' ').capitalize()}s" for value in values
        }
    if facet == "has_problems":
        return {"true": "Has problems"}
    return {value: value.capitalize() for value in values} if facet == "status" else {}


def _toggled(asked: QueryDict, name: str, value: str) -> str:
    query = asked.copy()
    values = query.getlist(name)
    query.setlist(name, [each for each in values if each != value] if value in values else [*values, value])
    query.pop("page", None)
    return query.urlencode()


def _query(asked: QueryDict, page: int) -> str:
    query = asked.copy()
    query["page"] = str(page)
    return query.urlencode()
