"""Tags: list, and page with what carries one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from catalog import queries
from catalog.filters import TagFilter
from pages.find import tag_or_404
from pages.lists import list_page, listing

_SHOWN = 50


def tag_list(request: HttpRequest) -> HttpResponse:
    """Every tag with the number of pipelines and tables that carry it."""
    found = listing(request, TagFilter, queries.tags_with_counts(), order=("name", "id"), controls={"q": "Name"})
    return list_page(request, "tags/list.html", "Tags", found)


def detail(request: HttpRequest, name: str) -> HttpResponse:
    """What carries one tag."""
    tag = tag_or_404(name)
    context = {
        "title": tag.name,
        "tag": tag,
        "pipelines": tag.pipelines.all()[:_SHOWN],
        "tables": tag.tables.select_related("source")[:_SHOWN],
        "shown": _SHOWN,
    }
    return render(request, "tags/detail.html", context)
