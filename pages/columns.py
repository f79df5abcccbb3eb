"""A column: what it is, how each pipeline makes it, and what stands on it."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from audits.usage.queries import last_days_of_columns
from catalog import policy
from catalog.models import Column, Table
from catalog.policy import Action
from lineage.explanations import Explanation, explanations_of, table_read
from lineage.models import ColumnEdge
from lineage.queries import GraphNode, Lineage, lineage_of
from lineage.sql import Step
from lineage.sql.model import DIRECT_KINDS
from pages.code import CodeListing, listing_of
from pages.find import table_or_404
from pages.picture import lineage_url


@dataclass(frozen=True)
class Neighbour:
    """A column one hop away, its lineage page, and in words what the SQL does with it."""

    node: GraphNode
    url: str
    kinds: list[str]


@dataclass(frozen=True)
class ShownStep:
    """One expression and what it reads: (relation, column, the column's page or "" for a CTE or sub-query)."""

    step: Step
    reads: list[tuple[str, str, str]]


@dataclass(frozen=True)
class ShownExplanation:
    """A pipeline's chain beside its SQL, with the fragments that make the column marked."""

    explanation: Explanation
    anchor: str
    steps: list[ShownStep]
    code: CodeListing


def detail(request: HttpRequest, source: str, name: str, pk: int) -> HttpResponse:
    """One column of a table."""
    table = table_or_404(source, name)
    column = column_or_404(table, pk)
    around = lineage_of(column, "both", 1, grain="column", direct_only=False)
    context = {
        "title": f"{column.name} of {table.name}",
        "table": table,
        "column": column,
        "explanations": [_shown(each, f"P{number}L") for number, each in enumerate(explanations_of(column), 1)],
        "upstream": _neighbours(around, -1),
        "downstream": _neighbours(around, 1),
        "last_read": last_days_of_columns([column.pk]).get(column.pk),
        "may_edit": policy.may(request.user, Action.EDIT, table),
    }
    return render(request, "columns/detail.html", context)


def _neighbours(around: Lineage, distance: int) -> list[Neighbour]:
    """The columns one hop away on one side, those that give data before those that only decide."""
    here = {node.id for node in around.nodes if not node.distance}
    kinds: dict[str, set[str]] = {}
    for edge in around.edges:
        end, other = (edge.target, edge.source) if distance < 0 else (edge.source, edge.target)
        if end in here:
            kinds.setdefault(other, set()).add(edge.kind)
    found = [
        Neighbour(node, lineage_url(node), [kind.label for kind in ColumnEdge.Kind if kind in kinds.get(node.id, ())])
        for node in around.nodes
        if node.distance == distance
    ]
    return sorted(found, key=lambda each: kinds.get(each.node.id, set()).isdisjoint(DIRECT_KINDS))


def column_or_404(table: Table, pk: int) -> Column:
    """One query; `column.table` is the table given."""
    column = Column.objects.filter(table=table, pk=pk).first()
    if column is None:
        raise Http404(f"{table.name} has no such column.")
    column.table = table
    return column


def _shown(explanation: Explanation, anchor: str) -> ShownExplanation:
    steps = [
        ShownStep(step, [(name, column, _page_of(name, column, explanation.tables)) for name, column in step.reads])
        for step in explanation.steps
    ]
    marks = [(step.start, step.end) for step in explanation.steps]
    return ShownExplanation(explanation, anchor, steps, listing_of(explanation.version, (), marks, anchor))


def _page_of(name: str, column: str, tables: dict[str, Table]) -> str:
    table = table_read(name, tables)
    found = next((known for known in table.columns.all() if known.name == column), None) if table else None
    thing = found or table
    return thing.get_absolute_url() if thing else ""
