"""The lineage page of a table, pipeline or column: a picture and a list of the same walk."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import groupby

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from catalog import policy
from catalog.models import Column, Pipeline, Table
from catalog.policy import Action
from lineage.queries import DEEPEST, GraphNode, Lineage, impact_of, lineage_of
from pages.find import pipeline_or_404, table_or_404
from pages.picture import draw, lineage_url, with_pipelines_folded


class LineageForm(forms.Form):
    """What part of the lineage is asked for, as the address says it."""

    direction = forms.ChoiceField(
        choices=[("both", "Both ways"), ("upstream", "Upstream"), ("downstream", "Downstream")], required=False
    )
    depth = forms.IntegerField(min_value=1, max_value=DEEPEST, required=False)
    grain = forms.ChoiceField(choices=[("table", "Tables"), ("column", "Columns")], required=False)
    column = forms.CharField(required=False)
    edges = forms.ChoiceField(choices=[("data", "Data"), ("all", "Data and conditions")], required=False)
    pipelines = forms.ChoiceField(choices=[("shown", "Shown"), ("folded", "Folded")], required=False)
    at = forms.DateField(required=False, label="As of", widget=forms.DateInput({"type": "date"}))


@dataclass(frozen=True)
class Asked:
    """The same, with defaults where the address says nothing or what cannot be read."""

    direction: str
    depth: int
    grain: str
    column: str
    with_conditions: bool
    folds_pipelines: bool
    at: dt.datetime | None

    @classmethod
    def by(cls, form: LineageForm) -> Asked:
        form.is_valid()
        clean = form.cleaned_data
        day = clean.get("at")
        column = clean.get("column") or ""
        return cls(
            direction=clean.get("direction") or "both",
            depth=clean.get("depth") or (3 if column else 1),
            grain="column" if column else clean.get("grain") or "table",
            column=column,
            with_conditions=clean.get("edges") == "all",
            folds_pipelines=clean.get("pipelines") == "folded",
            at=dt.datetime.combine(day, dt.time.max, timezone.get_current_timezone()) if day else None,
        )


def of_table(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """Around a table, or around one of its columns with `?column=`."""
    table = table_or_404(source, name)
    form = LineageForm(request.GET)
    asked = Asked.by(form)
    thing = _column_or_404(table, asked.column) if asked.column else table
    context = {"table": table, "tags": table.tags.all(), "head": "tables/head.html", "impact": impact_of(table)}
    return _page(request, thing, form, asked, context | {"may_edit": policy.may(request.user, Action.EDIT, table)})


def of_pipeline(request: HttpRequest, name: str) -> HttpResponse:
    """Around a pipeline."""
    pipeline = pipeline_or_404(name)
    form = LineageForm(request.GET)
    context = {"pipeline": pipeline, "tags": pipeline.tags.all(), "head": "pipelines/head.html"}
    may_edit = policy.may(request.user, Action.EDIT, pipeline)
    return _page(request, pipeline, form, Asked.by(form), context | {"may_edit": may_edit})


def _page(
    request: HttpRequest, thing: Table | Pipeline | Column, form: LineageForm, asked: Asked, context: dict
) -> HttpResponse:
    lineage = lineage_of(
        thing,
        asked.direction,
        asked.depth,
        grain=asked.grain,
        at=asked.at,
        direct_only=not asked.with_conditions,
    )
    context |= {
        "title": f"Lineage of {thing}",
        "form": form,
        "asked": asked,
        "lineage": lineage,
        "picture": draw(with_pipelines_folded(lineage) if asked.folds_pipelines else lineage),
        "hops": _by_hop(lineage),
        "shallower": asked.depth - 1 if asked.depth > 1 else None,
        "deeper": asked.depth + 1 if asked.depth < DEEPEST else None,
    }
    return render(request, "lineage/lineage.html", context)


def _column_or_404(table: Table, name: str) -> Column:
    column = Column.objects.select_related("table__source").filter(table=table, name=name).first()
    if column is None:
        raise Http404(f"{table.name} has no column {name}.")
    return column


def _by_hop(lineage: Lineage) -> list[tuple[str, list[tuple[GraphNode, str]]]]:
    """The walk as a list: farthest upstream first, then the start, then downstream."""
    groups = groupby(sorted(lineage.nodes, key=lambda node: node.distance), key=lambda node: node.distance)
    return [(_hop_in_words(distance), [(node, lineage_url(node)) for node in nodes]) for distance, nodes in groups]


def _hop_in_words(distance: int) -> str:
    if not distance:
        return "Here"
    hops = "1 hop" if abs(distance) == 1 else f"{abs(distance)} hops"
    return f"{hops} {'upstream' if distance < 0 else 'downstream'}"
