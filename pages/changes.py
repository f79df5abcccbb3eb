"""What changed upstream of a table, and what one change of a pipeline's SQL was."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from audits.postmortems.changes import KINDS, Change, compared, sql_changes, upstream_changes
from audits.postmortems.models import Incident
from audits.postmortems.windows import Window, read_window
from catalog import policy
from catalog.policy import Action
from lineage.models import SqlVersion
from pages.find import pipeline_or_404, table_or_404

SHOWN = 50
FEW = 6  # on the page of an incident
MOST = 500
SPANS = ((1, "24 hours"), (3, "3 days"), (14, "14 days"), (90, "90 days"))
_CONTEXT = 3  # unchanged lines around a change
_MOST_LINES = 3_000  # of a text: comparing takes time by the product of both


@dataclass(frozen=True)
class DiffLine:
    """A line of a text comparison with its numbers in both texts; `kind` is same, added, removed or gap."""

    kind: str
    text: str = ""
    before: int | None = None
    after: int | None = None


def of_table(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """What changed upstream of a table between two days; pages of incidents bring a few in from here."""
    table = table_or_404(source, name)
    faults: dict[str, list[str]] = {}
    try:
        window = read_window(request.GET)
    except ValidationError as error:
        faults, window = error.message_dict, Window.before(timezone.now())
    kinds = [kind for kind in request.GET.getlist("kind") if kind in KINDS]
    show = request.GET.get("show", "")
    limit = {"all": MOST, "few": FEW}.get(show, SHOWN)
    asked = {"kinds": kinds, "limit": limit, "besides": _incident(request.GET.get("besides", ""))}
    found = None if faults else upstream_changes(table, window.since, window.until, **asked)
    context = {
        "title": f"Upstream changes of {table.name}",
        "table": table,
        "tags": table.tags.all(),
        "may_edit": policy.may(request.user, Action.EDIT, table),
        "window": window,
        "asked": {
            name: request.GET.get(name) or f"{end:%Y-%m-%d}"
            for name, end in zip(("from", "to"), (window.since, window.until), strict=True)
        },
        "faults": faults,
        "kinds": [
            (name, kind.label, found.counts.get(name, 0) if found else 0, name in kinds) for name, kind in KINDS.items()
        ],
        "found": found,
        "groups": _by_hops(found.items) if found else [],
        "spans": [(label, _address(days)) for days, label in SPANS],
    }
    page = "changes/few.html" if show == "few" and found else "changes/of_table.html"
    return render(request, page, context, status=400 if faults else 200)


def _incident(number: str) -> Incident | None:
    """The incident that asks, which is no cause of itself."""
    return Incident(pk=int(number)) if number.isascii() and number.isdigit() and len(number) < 18 else None


def sql_change(request: HttpRequest, name: str, pk: int) -> HttpResponse:
    """One change of a pipeline's SQL: in words, and line by line."""
    pipeline = pipeline_or_404(name)
    pair = sql_changes([pk]).get(pk)
    if pair is None or pair[1].pipeline_id != pipeline.pk:
        raise Http404(f"{name} has no such change of its SQL.")
    before, after = pair
    context = {
        "title": f"SQL change of {pipeline.name}",
        "pipeline": pipeline,
        "tags": pipeline.tags.all(),
        "before": before,
        "after": after,
        "sentences": compared(before, after),
        "lines": list(compare_lines(before.sql, after.sql)),
        "left_out": max(0, max(text.count("\n") for text in (before.sql, after.sql)) - _MOST_LINES),
        "changes": _changes_of(pipeline.pk),
        "may_edit": policy.may(request.user, Action.EDIT, pipeline),
    }
    return render(request, "changes/sql_change.html", context)


def compare_lines(before: str, after: str) -> Iterator[DiffLine]:
    """The lines that differ, with three unchanged ones around them."""
    old, new = (text.splitlines()[:_MOST_LINES] for text in (before, after))
    for number, group in enumerate(SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(_CONTEXT)):
        if number:
            yield DiffLine("gap")
        for tag, start, end, new_start, new_end in group:
            if tag == "equal":
                for offset, text in enumerate(old[start:end]):
                    yield DiffLine("same", text, start + offset + 1, new_start + offset + 1)
                continue
            yield from (DiffLine("removed", text, before=start + n + 1) for n, text in enumerate(old[start:end]))
            yield from (
                DiffLine("added", text, after=new_start + n + 1) for n, text in enumerate(new[new_start:new_end])
            )


def _changes_of(pipeline: int) -> list[SqlVersion]:
    """The versions of a pipeline's SQL that followed another, the newest first, at most twenty."""
    versions = list(SqlVersion.objects.filter(pipeline=pipeline).only("pk", "valid_from")[:21])
    return versions[:-1] if len(versions) <= 20 else versions[:20]


def _by_hops(changes: list[Change]) -> list[tuple[str, list[Change]]]:
    return [(_in_words(hops), list(group)) for hops, group in groupby(changes, key=lambda change: change.hops)]


def _in_words(hops: int) -> str:
    return {0: "The table itself", 1: "1 hop upstream"}.get(hops, f"{hops} hops upstream")


def _address(days: int) -> str:
    today = timezone.now().date()
    return f"?from={today - dt.timedelta(days=days)}&to={today}"
