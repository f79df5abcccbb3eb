"""What a change would do: choose changes, see what breaks, is then stale or wrong, is affected, or cannot be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from rest_framework.exceptions import ValidationError as AskedWrongly

from catalog.models import Column, Owner, Pipeline
from lineage.impact import Hit, Impact, impact_of_changes, message_to
from lineage.impact_api import impact_url, read_changes
from lineage.nodes import NodeId
from lineage.planned import VERBS, PlannedChange
from pages.csv_rows import csv_response
from pages.forms import find_tables

SHOWN = 200  # rows of each list; the CSV has them all
_HEADER = ("level", "kind", "name", "source", "columns", "why", "change", "owners", "path")
_LISTS = (
    ("breaks", "Breaks", "Pipelines in the order in which they would fail.", "bad"),
    ("stale", "Stale or wrong", "Without new data, or with wrong rows, until it is built again.", "warn"),
    ("affected", "Affected", "Not wrong, but no longer quite the same.", "accent"),
    ("unknown", "Cannot be told", "It reads something that changes; which columns, its SQL does not say.", ""),
)


@dataclass(frozen=True)
class Listed:
    """One list of hits as the page shows it."""

    name: str
    heading: str
    lead: str
    tone: str
    hits: list[Hit]
    total: int


@dataclass(frozen=True)
class Letter:
    """What to write to an owner."""

    owner: Owner
    hits: int
    text: str


def impact(request: HttpRequest) -> HttpResponseBase:
    """The impact of the changes in the address; `verb`, `thing` and `argument` add one, and lead to the new address."""
    if request.GET.get("thing"):
        return _added(request)
    try:
        changes = read_changes(request.GET) if request.GET.get("change") else []
    except AskedWrongly as error:
        return _page(request, [], faults=[str(fault) for fault in error.detail["change"]], status=400)
    if request.GET.get("format") == "csv" and changes:
        return csv_response("impact.csv", _HEADER, map(_csv_row, impact_of_changes(changes).hits))
    return _page(request, changes)


def _added(request: HttpRequest) -> HttpResponse:
    """On to the address with one change more, or back to the form with what is wrong."""
    verb, thing = request.GET.get("verb", ""), request.GET["thing"].strip()
    texts = [text for text in request.GET.getlist("change") if text]
    try:
        if verb not in VERBS:
            raise ValueError("Choose what happens.")
        change = PlannedChange.parse(f"{verb} {_node_of(verb, thing)} {request.GET.get('argument', '')}")
    except (ValueError, ValidationError) as error:
        faults = error.messages if isinstance(error, ValidationError) else [str(error)]
        return _page(request, _readable(texts), faults=faults, status=422)
    query = QueryDict(mutable=True)
    query.setlist("change", list(dict.fromkeys([*texts, str(change)])))
    return redirect(f"{reverse('impact')}?{query.urlencode(safe=':')}")


def _readable(texts: list[str]) -> list[PlannedChange]:
    query = QueryDict(mutable=True)
    query.setlist("change", texts)
    try:
        return read_changes(query)
    except AskedWrongly:
        return []


def _node_of(verb: str, thing: str) -> str:
    """The node id of what a person typed: one already, a pipeline's name, a table's, or a table's with its column."""
    if thing.split(":")[0] in ("table", "column", "pipeline") and thing.count(":") >= 1:
        return thing
    kind = VERBS[verb].kind
    if kind == "pipeline":
        return str(NodeId("pipeline", thing))
    if "column" in kind and (column := _column_called(thing)):
        return column.node
    if kind == "column":
        raise ValueError(f"No column is called {thing}: write table.column, or source:table.column.")
    return find_tables([thing])[0].node


def _column_called(name: str) -> Column | None:
    """The column of that name with its table's before it; None unless one alone has it."""
    source, colon, rest = name.partition(":")
    table, _, column = (rest if colon else name).rpartition(".")
    columns = Column.objects.select_related("table__source").filter(table__name=table, name=column)
    found = list(columns.filter(table__source__slug=source) if colon else columns)[:2]
    return found[0] if len(found) == 1 else None


def _page(
    request: HttpRequest, changes: list[PlannedChange], faults: list[str] | None = None, status: int = 200
) -> HttpResponse:
    found = impact_of_changes(changes) if changes else None
    link = request.build_absolute_uri(impact_url(changes))
    context = {
        "title": "Impact",
        "verbs": VERBS.items(),
        "asked": {name: request.GET.get(name, "") for name in ("verb", "thing", "argument")},
        "changes": [(change, impact_url([other for other in changes if other is not change])) for change in changes],
        "texts": [str(change) for change in changes],
        "faults": faults or [],
        "impact": found,
        "lists": list(_listed(found)) if found else [],
        "letters": list(_letters(found, link)) if found else [],
        "csv": f"{impact_url(changes)}&format=csv",
        "rest": f"{reverse('api:impact')}?{impact_url(changes).partition('?')[2]}",
    }
    return render(request, "impact/impact.html", context, status=status)


def _letters(found: Impact, link: str) -> Iterator[Letter]:
    for owner, hits in found.by_owner().items():
        yield Letter(owner, len(hits), message_to(owner, hits, found, link))


def _listed(found: Impact) -> Iterator[Listed]:
    for name, heading, lead, tone in _LISTS:
        hits = getattr(found, name)
        yield Listed(name, heading, lead, tone, hits[:SHOWN], len(hits))


def _csv_row(hit: Hit) -> tuple[str, ...]:
    is_pipeline = isinstance(hit.thing, Pipeline)
    return (
        hit.word,
        "pipeline" if is_pipeline else hit.thing.kind,
        hit.thing.name,
        "" if is_pipeline else hit.thing.source.slug,
        ", ".join(name for name, _ in hit.columns),
        hit.why,
        hit.change,
        ", ".join(owner.slug for owner in hit.owners),
        " > ".join(hit.path),
    )
