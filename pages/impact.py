"""What a change would do: choose changes, see what breaks, is then stale or wrong, is affected, or cannot be told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST
from rest_framework.exceptions import ValidationError as AskedWrongly

from audits.usage.impact import impact_of
from audits.usage.impact_api import impact_url, read_changes
from catalog import policy
from catalog.models import Column, Owner, Pipeline, Table
from catalog.policy import Action
from ingest.redact import redact
from lineage.impact import Hit, Impact, message_to
from lineage.mishaps import MISHAPS, declare_mishap, end_mishap, open_mishaps
from lineage.models import Mishap
from lineage.nodes import NodeId
from lineage.planned import VERBS, PlannedChange
from lineage.questions import keep_question
from lineage.standing import Badge, planned, standing
from pages.csv_rows import csv_response
from pages.forms import find_tables

SHOWN = 50  # rows of each list at first, and as many of its dashboards and exports, which stand at the end
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
class Amiss:
    """A mishap or a failed run, and how many things are stale or wrong by it: none, once all is built again."""

    change: str
    words: str
    since: dt.datetime
    badge: Badge | None
    tables: int
    pipelines: int
    mishap: Mishap | None = None
    may_end: bool = False


@dataclass(frozen=True)
class Letter:
    """What to write to an owner."""

    owner: Owner
    hits: int
    text: str


def impact(request: HttpRequest) -> HttpResponseBase:
    """The impact of the changes in the address, or kept under the key in it. A POST adds `verb`, `thing` and
    `argument`, or leaves out the change of the number `without`, and leads to the new address."""
    asked = request.POST if request.method == "POST" else request.GET
    try:
        changes = read_changes(asked) if asked.get("change") or asked.get("saved") else []
    except AskedWrongly as error:
        return _page(request, [], faults=[str(fault) for fault in error.detail["change"]], status=400)
    if request.method == "POST":
        return _changed(request, changes)
    if request.GET.get("format") == "csv" and changes:
        return csv_response("impact.csv", _HEADER, map(_csv_row, impact_of(changes)[0].hits))
    return _page(request, changes)


def _changed(request: HttpRequest, changes: list[PlannedChange]) -> HttpResponse:
    """On to the address with one change more or fewer, or back to the form with what is wrong."""
    without = request.POST.get("without", "")
    if without.isdecimal():
        return redirect(_address([change for number, change in enumerate(changes) if number != int(without)]))
    verb, thing = request.POST.get("verb", ""), request.POST.get("thing", "").strip()
    try:
        if verb not in VERBS:
            raise ValueError("Choose what happens.")
        change = PlannedChange.parse(f"{verb} {_node_of(verb, thing)} {request.POST.get('argument', '')}")
    except (ValueError, LookupError, ValidationError) as error:
        faults = error.messages if isinstance(error, ValidationError) else [str(error)]
        return _page(request, changes, faults=faults, status=422)
    return redirect(_address(list({str(each): each for each in [*changes, change]}.values())))


def _address(changes: list[PlannedChange]) -> str:
    """Where the impact of these stands; a question too long for an address is kept, without the secrets in its SQL."""
    if url := impact_url(changes) if changes else reverse("impact"):
        return url
    return f"{reverse('impact')}?saved={keep_question([redact(str(change)) for change in changes])}"


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
    found, reads = impact_of(changes) if changes else (None, [])
    saved = (request.POST or request.GET).get("saved", "")
    url = impact_url(changes) or (f"{reverse('impact')}?saved={saved}" if saved else request.get_full_path())
    link = request.build_absolute_uri(url)
    context = {
        "title": "Impact",
        "verbs": [(name, verb) for name, verb in VERBS.items() if verb.is_offered],
        "asked": {name: request.POST.get(name, "") for name in ("verb", "thing", "argument")},
        "changes": changes,
        "saved": saved,
        "faults": faults or [],
        "amiss": list(_amiss(request, {str(change) for change in changes})),
        "impact": found,
        "reads": reads,
        "lists": list(_listed(found, is_whole=request.GET.get("rows") == "all")) if found else [],
        "whole": f"{url}&rows=all",
        "letters": list(_letters(found, link)) if found else [],
        "may_declare": bool(changes) and all(_may_declare(request, change) for change in changes),
        "opening": _opening(request, changes),
        "csv": f"{url}&format=csv",
        "rest": f"{reverse('api:impact')}?{url.partition('?')[2]}",
    }
    return render(request, "impact/impact.html", context, status=status)


def _amiss(request: HttpRequest, asked: Collection[str]) -> Iterator[Amiss]:
    """Open mishaps and failed runs with what they make stale or wrong; only those `asked` about, if any are."""
    reach = {badge.change: (badge, tables, pipelines) for badge, tables, pipelines in standing().by_change()}
    for mishap in open_mishaps():
        change = planned(mishap)
        badge, tables, pipelines = reach.pop(str(change), (None, 0, 0))
        if not asked or str(change) in asked:
            may_end = _may_edit(request, mishap.thing)
            yield Amiss(str(change), change.words, mishap.declared_at, badge, tables, pipelines, mishap, may_end)
    for badge, tables, pipelines in reach.values():
        if not asked or badge.change in asked:
            yield Amiss(badge.change, badge.words, badge.since, badge, tables, pipelines)


def _may_declare(request: HttpRequest, change: PlannedChange) -> bool:
    return change.verb in MISHAPS and _may_edit(request, change.thing)


def _opening(request: HttpRequest, changes: list[PlannedChange]) -> str:
    """Where an incident is opened on account of the one thing asked about."""
    if len(changes) != 1 or not _may_edit(request, changes[0].thing):
        return ""
    thing, node = changes[0].thing, changes[0].node
    named = {"table": f"{node.source}:{node.name}", "pipeline": node.name, "column": thing.pk}[node.kind]
    return f"{reverse('incident-create')}?{urlencode({node.kind: named})}"


def _may_edit(request: HttpRequest, thing: Table | Column | Pipeline) -> bool:
    return policy.may(request.user, Action.EDIT, thing)


@require_POST
def declare(request: HttpRequest) -> HttpResponse:
    """Declare the mishaps asked about: what is downstream has a badge until it is right again."""
    try:
        changes = read_changes(request.POST)
        with transaction.atomic():
            for change in changes:
                declare_mishap(actor=request.user, change=change)
    except AskedWrongly as error:
        raise BadRequest(" ".join(str(fault) for fault in error.detail["change"])) from error
    except ValidationError as error:
        return _page(request, changes, faults=error.messages, status=422)
    messages.success(request, "Declared. What is downstream has a badge until it is built again, in order.")
    return redirect(_address(changes))


@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that what a mishap broke is right again."""
    mishap = open_mishaps().filter(pk=pk).first()
    if mishap is None:
        raise Http404("No such mishap is open.")
    end_mishap(actor=request.user, mishap=mishap)
    messages.success(request, "Ended: its badges are gone.")
    return redirect("impact")


def _letters(found: Impact, link: str) -> Iterator[Letter]:
    for owner, hits in found.by_owner().items():
        yield Letter(owner, len(hits), message_to(owner, hits, found, link))


def _listed(found: Impact, is_whole: bool) -> Iterator[Listed]:
    for name, heading, lead, tone in _LISTS:
        hits = getattr(found, name)
        shown = hits if is_whole else [*hits[:SHOWN], *[hit for hit in hits[SHOWN:] if hit.is_end][-SHOWN:]]
        yield Listed(name, heading, lead, tone, shown, len(hits))


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
