"""Judging anew what a change touched: the pipelines that it is about, and those that read or write its tables.

More of them than `MOST` are left to the nightly `score`: a change to a table that everybody reads is no reason to wait.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q

from audits.checks.models import Check
from audits.postmortems.models import ActionItem, Hit, Incident, PostMortem
from audits.practices.models import Finding
from audits.practices.services import judge_pipelines
from catalog.models import Owner, Ownership, Pipeline, Table
from catalog.touched import Touched, listens
from lineage.models import TableEdge

MOST = 200


@listens
def judge_touched(touched: Touched) -> int:
    """Judge anew what was touched, where anything was judged before; how many pipelines. Constant queries."""
    if not Finding.objects.exists():
        return 0  # the first judgement is `score`'s
    ids = _pipelines(touched)
    if not ids or len(ids) > MOST:
        return 0
    return judge_pipelines(ids).pipelines


def _pipelines(touched: Touched) -> Collection[int]:
    """Ids of the pipelines whose findings may be others now; `MOST` and one more at most of those of tables."""
    owned = Ownership.objects.filter(owner__in=touched.get(Owner, ()), pipeline__isnull=False)
    pipelines = {*touched.get(Pipeline, ()), *owned.values_list("pipeline_id", flat=True)}
    tables = set(touched.get(Table, ()))
    if checks := touched.get(Check):
        _add(Check.objects.filter(pk__in=checks), pipelines, tables)
    if incidents := _incidents(touched):
        _add(Hit.objects.filter(incident__in=incidents, distance=0), pipelines, tables)
    if tables:
        at = Q(source_table__in=tables) | Q(target_table__in=tables)
        edges = TableEdge.objects.filter(at, valid_to=None, pipeline__isnull=False)
        pipelines.update(edges.order_by().values_list("pipeline_id", flat=True).distinct()[: MOST + 1])
    return pipelines


def _add(things: object, pipelines: set[int], tables: set[int]) -> None:
    for pipeline, table in things.values_list("pipeline_id", "table_id"):  # type: ignore[attr-defined]
        pipelines |= {pipeline} - {None}
        tables |= {table} - {None}


def _incidents(touched: Touched) -> set[int]:
    found = set(touched.get(Incident, ()))
    for model in (PostMortem, ActionItem):
        if ids := touched.get(model):
            found |= set(model.objects.filter(pk__in=ids).values_list("incident_id", flat=True))
    return found
