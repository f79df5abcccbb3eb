"""The lineage page of a table, pipeline or column: a picture and a list of the same walk, all of it in the address."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from catalog import policy
from catalog.models import Column, Pipeline, Table
from catalog.policy import Action
from lineage.graph import Side
from lineage.queries import DEEPEST, GraphNode, Lineage, impact_of, lineage_of, side_of
from lineage.snapshot import graph_state
from lineage.standing import Standing, standing
from pages.exports import FORMATS, exported
from pages.find import pipeline_or_404, table_or_404
from pages.lineage_filters import FILTERS, narrowed
from pages.logged_edges import with_logged_edges
from pages.marks import Mark, marks_of, standing_marks
from pages.picture import FOLD, Handle, draw, grouped_by_schema, lineage_url, with_pipelines_folded

MOST_SIDES = 50  # opened or shut in one address
SORTS = {"name": "label", "kind": "kind", "source": "source"} | {"up": "folded_upstream", "down": "folded_downstream"}


class SidesField(forms.CharField):
    """Sides of nodes, opened or shut by hand: `t12d,t15u`."""

    def to_python(self, value: Any) -> tuple[str, ...]:
        sides = tuple(filter(None, (super().to_python(value) or "").split(",")))
        if len(sides) > MOST_SIDES:
            raise ValidationError(f"At most {MOST_SIDES} sides.")
        try:
            for side in sides:
                side_of(side)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return sides


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
    open = SidesField(required=False, label="Opened")
    shut = SidesField(required=False, label="Folded")
    group = forms.ChoiceField(choices=[("schema", "By schema")], required=False)
    sort = forms.ChoiceField(choices=[(name, name) for name in SORTS], required=False)
    source = forms.CharField(required=False)
    owner = forms.CharField(required=False)
    tag = forms.CharField(required=False)
    kind = forms.CharField(required=False)


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
    opened: tuple[str, ...]
    shut: tuple[str, ...]
    by_schema: bool
    sort: str
    filters: Mapping[str, str]

    @classmethod
    def by(cls, form: LineageForm) -> Asked:
        form.is_valid()
        clean = form.cleaned_data
        day = clean.get("at")
        column = clean.get("column") or ""
        grain = "column" if column else clean.get("grain") or "table"
        return cls(
            direction=clean.get("direction") or "both",
            depth=clean.get("depth") or (3 if column else 1),
            grain=grain,
            column=column,
            with_conditions=clean.get("edges") == "all",
            folds_pipelines=clean.get("pipelines") == "folded",
            at=dt.datetime.combine(day, dt.time.max, dt.UTC) if day else None,
            opened=clean.get("open") or (),
            shut=clean.get("shut") or (),
            by_schema=clean.get("group") == "schema" and grain == "table",
            sort=clean.get("sort") or "",
            filters={name: clean.get(name) or "" for name in FILTERS},
        )


def of_table(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """Around a table, or around one of its columns with `?column=`."""
    table = table_or_404(source, name)
    form = LineageForm(request.GET)
    asked = Asked.by(form)
    thing = _column_or_404(table, asked.column) if asked.column else table
    context = {"table": table, "head": "tables/head.html"}
    return _page(request, thing, form, asked, context)


def of_pipeline(request: HttpRequest, name: str) -> HttpResponse:
    """Around a pipeline."""
    pipeline = pipeline_or_404(name)
    form = LineageForm(request.GET)
    return _page(request, pipeline, form, Asked.by(form), {"pipeline": pipeline, "head": "pipelines/head.html"})


def _page(
    request: HttpRequest, thing: Table | Pipeline | Column, form: LineageForm, asked: Asked, context: dict
) -> HttpResponse:
    state = graph_state()
    whole = lineage_of(
        thing,
        asked.direction,
        asked.depth,
        grain=asked.grain,
        at=asked.at,
        direct_only=not asked.with_conditions,
        opened=_sides(asked.opened),
        shut=_sides(asked.shut),
        state=state,
    )
    logged = with_logged_edges(whole) if asked.at is None and asked.grain == "table" else whole
    shown = narrowed(logged, asked.filters)
    now = standing() if asked.at is None else Standing()
    marks = _marks(shown.lineage, now)
    picture = draw(_as_drawn(shown.lineage, asked, request.GET), _Handles(shown.lineage, asked, request.GET), marks)
    if (form_of_export := request.GET.get("as", "")) in FORMATS:
        return exported(form_of_export, thing, shown.lineage, picture, request)
    page_thing = context.get("table") or thing
    context |= {
        "title": f"Lineage of {thing}",
        "form": form,
        "asked": asked,
        "lineage": shown.lineage,
        "has_logged": len(logged.edges) > len(whole.edges),
        "choices": [choice for choice in shown.choices if len(choice.values) > 1 or choice.chosen],
        "hidden": shown.hidden,
        "picture": picture,
        "marks": marks,
        "unsound": now,
        "hops": _listed(shown.lineage, asked.sort),
        "formats": FORMATS,
        "kept": [(name, value) for name, values in request.GET.lists() for value in values if name not in FILTERS],
        "shallower": asked.depth - 1 if asked.depth > 1 else None,
        "deeper": asked.depth + 1 if asked.depth < DEEPEST else None,
        "tags": page_thing.tags.all(),
        "may_edit": policy.may(request.user, Action.EDIT, page_thing),
        "impact": impact_of(page_thing, state) if isinstance(page_thing, Table) else None,
    }
    return render(request, "lineage/lineage.html", context)


def _sides(texts: Sequence[str]) -> list[Side]:
    return [side_of(text) for text in texts]


def _marks(lineage: Lineage, now: Standing) -> dict[str, list[Mark]]:
    keys = {node.thing_key for node in lineage.nodes}
    tables, pipelines = ([int(key[1:]) for key in sorted(keys) if key.startswith(letter)] for letter in "tp")
    found, unsound = marks_of(tables, pipelines), standing_marks(now)
    return {key: unsound.get(key, []) + found.get(key, []) for key in keys if key in unsound or key in found}


def _as_drawn(lineage: Lineage, asked: Asked, query: QueryDict) -> Lineage:
    """The lineage as the picture shows it: grouped, or with pipelines folded into lines."""
    if asked.by_schema:
        apart = query.getlist("apart")
        return grouped_by_schema(lineage, apart, lambda schema: _changed(query, apart=[*apart, schema]))
    return with_pipelines_folded(lineage) if asked.folds_pipelines and asked.grain == "table" else lineage


class _Handles:
    """What folds and unfolds beside the boxes of one page."""

    def __init__(self, lineage: Lineage, asked: Asked, query: QueryDict) -> None:
        self._start, self._asked, self._query = lineage.start, asked, query
        self._with_more = {"u": {edge.target for edge in lineage.edges}, "d": {edge.source for edge in lineage.edges}}

    def __call__(self, node: GraphNode, side: str) -> list[Handle]:
        if node.kind in ("pipeline", "group") or not node.key:
            return []
        here, words = f"{node.key}{side}", {"u": "upstream", "d": "downstream"}[side]
        more = node.folded_upstream if side == "u" else node.folded_downstream
        handles = []
        if more:
            words_of_more = f"{more} more {words} of {node.label}"
            handles.append(Handle(f"+{more}", words_of_more, self._with(opened=here, shut_no_more=here)))
        if here in self._asked.opened:
            handles.append(
                Handle(FOLD, f"Fold what was opened {words} of {node.label}", self._with(opened_no_more=here))
            )
        elif self._leads_on(node, side):
            handles.append(Handle(FOLD, f"Fold what is {words} of {node.label}", self._with(shut=here)))
        return handles

    def _leads_on(self, node: GraphNode, side: str) -> bool:
        """Whether more is drawn on this side, away from the start."""
        is_outward = node.distance < 0 if side == "u" else node.distance > 0
        return is_outward and node.id != self._start and node.id in self._with_more[side]

    def _with(self, *, opened: str = "", opened_no_more: str = "", shut: str = "", shut_no_more: str = "") -> str:
        open_now = [side for side in self._asked.opened if side != opened_no_more]
        shut_now = [side for side in self._asked.shut if side != shut_no_more]
        if opened and opened not in open_now and opened not in self._asked.shut:
            open_now.append(opened)
        if shut:
            shut_now.append(shut)
        return _changed(self._query, open=[",".join(open_now)], shut=[",".join(shut_now)])


def _changed(query: QueryDict, **values: Sequence[str]) -> str:
    """The address with these parameters instead; empty ones are left out."""
    changed = query.copy()
    for name, new in values.items():
        changed.setlist(name, [value for value in new if value])
    return f"?{changed.urlencode()}"


def _column_or_404(table: Table, name: str) -> Column:
    column = Column.objects.select_related("table__source").filter(table=table, name=name).first()
    if column is None:
        raise Http404(f"{table.name} has no column {name}.")
    return column


def _listed(lineage: Lineage, sort: str) -> list[tuple[str, list[tuple[GraphNode, str]]]]:
    """The walk as a list: farthest upstream first, then the start, then downstream; or all of it by one fact."""
    if sort:
        is_number = sort in ("up", "down")
        nodes = sorted(lineage.nodes, key=lambda node: (getattr(node, SORTS[sort]), node.label), reverse=is_number)
        return [("", [(node, lineage_url(node)) for node in nodes])]
    groups = groupby(sorted(lineage.nodes, key=lambda node: node.distance), key=lambda node: node.distance)
    return [(_hop_in_words(distance), [(node, lineage_url(node)) for node in nodes]) for distance, nodes in groups]


def _hop_in_words(distance: int) -> str:
    if not distance:
        return "Here"
    hops = "1 hop" if abs(distance) == 1 else f"{abs(distance)} hops"
    return f"{hops} {'upstream' if distance < 0 else 'downstream'}"
