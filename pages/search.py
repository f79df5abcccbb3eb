"""Search by name over pipelines, tables, columns, owners, sources and tags: whole and leading matches first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Length
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from catalog.models import Column, Owner, Pipeline, Source, Table, Tag

SHOWN = 8  # of each noun; the noun's list has the rest
LONGEST_QUERY = 200


@dataclass(frozen=True)
class Hit:
    """One thing found: its name, its address, and what tells it from others of that name."""

    name: str
    url: str
    note: str = ""


@dataclass(frozen=True)
class Group:
    """The hits of one noun; `more_url` is the list of all where there are more."""

    noun: str
    icon: str
    hits: list[Hit]
    more_url: str = ""


def search(request: HttpRequest) -> HttpResponse:
    """What is called like the query, by noun."""
    q = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_QUERY]
    groups = [group for group in _groups(q) if group.hits] if q else []
    return render(request, "search/search.html", {"title": f"Search: {q}" if q else "Search", "q": q, "groups": groups})


def _groups(q: str) -> list[Group]:
    """Six queries, each bounded."""
    pipelines = best(Pipeline.objects.all(), q)
    tables = best(Table.objects.select_related("source"), q)
    columns = best(Column.objects.select_related("table__source"), q)
    owners = best(Owner.objects.all(), q, "name", "email", "slug")
    sources = best(Source.objects.all(), q, "name", "slug")
    tags = best(Tag.objects.all(), q)
    return [
        _group("Tables", "table", tables, "table-list", q, [_hit(each, each.source.name) for each in tables]),
        _group("Pipelines", "pipeline", pipelines, "pipeline-list", q, [_hit(each, each.dag) for each in pipelines]),
        _group("Columns", "table", columns, "", q, [_column_hit(column) for column in columns]),
        _group("Owners", "owner", owners, "owner-list", q, [_hit(each, each.email) for each in owners]),
        _group("Sources", "source", sources, "source-list", q, [_hit(each, each.platform) for each in sources]),
        _group(
            "Tags", "tag", tags, "tag-list", q, [Hit(tag.name, reverse("tag-detail", args=[tag.name])) for tag in tags]
        ),
    ]


def best(things: QuerySet, q: str, *fields: str) -> list:
    """What is called like `q` (in `fields`, else by name), one more than is shown. One query.

    The whole name first, then its last part, a leading match, the beginning of a part, any match.
    """
    names = fields or ("name",)
    rank = Case(
        When(name__iexact=q, then=0),
        When(name__iendswith=f".{q}", then=1),
        When(name__istartswith=q, then=2),
        When(Q(name__icontains=f".{q}") | Q(name__icontains=f"/{q}"), then=3),
        default=Value(4),
        output_field=IntegerField(),
    )
    found = Q()
    for name in names:
        found |= Q(**{f"{name}__icontains": q})
    return list(things.filter(found).order_by(rank, Length("name"), "name", "pk")[: SHOWN + 1])


def _group(noun: str, icon: str, found: Sequence, route: str, q: str, hits: list[Hit]) -> Group:
    more = f"{reverse(route)}?{urlencode({'q': q})}" if route and len(found) > SHOWN else ""
    return Group(noun, icon, hits[:SHOWN], more)


def _hit(thing: Pipeline | Table | Owner | Source, note: str) -> Hit:
    return Hit(thing.name, thing.get_absolute_url(), note)


def _column_hit(column: Column) -> Hit:
    table = column.table
    return Hit(column.name, f"{table.get_absolute_url()}?columns=all#column-{column.name}", f"of {table.name}")
