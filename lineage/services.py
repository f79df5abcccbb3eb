"""Writes of lineage: what an ingest read off SQL, many rows at once, and edges that people or files declare.

An edge is never changed but for `valid_to`. The same SQL read again writes nothing; the same SQL with another answer
(a schema became known) ends the edges that no longer hold and adds the new ones; another SQL ends them all.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from catalog import search_index, services
from catalog.bulk import among, as_stored, chunks, insert_new, insert_rows
from catalog.models import Pipeline, Table, User
from catalog.policy import Action
from catalog.undo import Undo, puts_back
from lineage.facts import FileProblem, SqlLineage
from lineage.models import ColumnEdge, EdgeOrigin, Problem, SqlVersion, TableEdge
from lineage.snapshot import bump_graph_version

_TABLE_EDGE = ("source_table_id", "target_table_id")
_COLUMN_EDGE = (
    *(
        "source_table_id",
        "source_column_id",
        "target_table_id",
        "target_column_id",
        "kind",
        "basis",
        "statement",
        "path",
    ),
)
_COUNTED = ("statements", "statements_read", "columns_named", "columns_found")
_DESCRIBED = ("key", "dialect", *_COUNTED, "practices")  # of a SQL version, what another reading of it may change
TableEdgeIds = tuple[int | None, int | None]
ColumnEdgeIds = tuple[int, int | None, int, int | None, str, str, int, str | None]


@dataclass(frozen=True, slots=True)
class PipelineLineage:
    """What was read off one pipeline's SQL, its names already turned into ids of tables and columns."""

    pipeline: int
    key: str
    dialect: str
    read: SqlLineage
    table_edges: Collection[TableEdgeIds]
    column_edges: Collection[ColumnEdgeIds]


@transaction.atomic
def store_lineage(lineages: Sequence[PipelineLineage], at: dt.datetime) -> None:
    """Store SQL versions and edges of pipelines as of `at`. Few queries, whatever the number of edges."""
    by_pipeline = {lineage.pipeline: lineage for lineage in lineages}
    versions = _current_versions(by_pipeline)
    same = {pk for pk, version in versions.items() if version.digest == by_pipeline[pk].read.digest}
    if ended := [version.pk for pk, version in versions.items() if pk not in same]:
        SqlVersion.objects.filter(pk__in=among(ended)).update(valid_to=at)
    for pk in same:
        _describe(versions[pk], by_pipeline[pk])
    SqlVersion.objects.bulk_update([versions[pk] for pk in same], _DESCRIBED, 200)
    new = [pk for pk in by_pipeline if pk not in same]
    rows = [_version_row(by_pipeline[pk], as_stored(at)) for pk in new]
    added = insert_new(SqlVersion, ("pipeline", "digest", "sql", "valid_from", *_DESCRIBED), rows)
    version_ids = {pk: version.pk for pk, version in versions.items()} | dict(zip(new, added, strict=True))
    table_edges = {pk: one.table_edges for pk, one in by_pipeline.items()}
    column_edges = {pk: one.column_edges for pk, one in by_pipeline.items()}
    _replace_edges(TableEdge, _TABLE_EDGE, table_edges, EdgeOrigin.SQL, set(versions), at, version_ids)
    _replace_edges(ColumnEdge, _COLUMN_EDGE, column_edges, EdgeOrigin.SQL, set(versions), at, version_ids)
    if by_pipeline:
        bump_graph_version()


@transaction.atomic
def end_lineage(pipelines: Collection[int], at: dt.datetime) -> None:
    """What was read off SQL holds no more from `at`: the pipelines' SQL is gone."""
    current = {"pipeline__in": among(pipelines), "valid_to": None}
    SqlVersion.objects.filter(**current).update(valid_to=at)
    if sum(model._default_manager.filter(**current).update(valid_to=at) for model in (TableEdge, ColumnEdge)):
        bump_graph_version()


@transaction.atomic
def store_declared(edges: Mapping[int, Collection[TableEdgeIds]], at: dt.datetime) -> None:
    """Edges that files declare for pipelines (by id), unless a person declared that pipeline's."""
    stated = _stated_by_people(edges)
    wanted = {pipeline: ends for pipeline, ends in edges.items() if pipeline not in stated}
    if _replace_edges(TableEdge, _TABLE_EDGE, wanted, EdgeOrigin.DECLARED, set(wanted), at):
        bump_graph_version()


@transaction.atomic
def store_reported(
    pipeline: int, table_edges: Collection[TableEdgeIds], column_edges: Collection[ColumnEdgeIds], at: dt.datetime
) -> None:
    """The edges that a pipeline's own runs report by OpenLineage are now these."""
    known, origin = {pipeline}, EdgeOrigin.OPENLINEAGE
    changed = _replace_edges(TableEdge, _TABLE_EDGE, {pipeline: table_edges}, origin, known, at)
    changed |= _replace_edges(ColumnEdge, _COLUMN_EDGE, {pipeline: column_edges}, origin, known, at)
    if changed:
        bump_graph_version()


@transaction.atomic
def declare_edges(*, actor: User | None, pipeline: Pipeline, inputs: Iterable[Table], outputs: Iterable[Table]) -> None:
    """A person states what a pipeline reads and fills; from then on files declare nothing for it.

    With neither inputs nor outputs the statement is taken back. Raises PermissionDenied.
    """
    services.policy_checked(actor, Action.EDIT, pipeline)
    ends = pairs([table.pk for table in inputs], [table.pk for table in outputs])
    before, exact = _declared_names(pipeline), _declared_now(pipeline)
    wanted, known = {pipeline.pk: ends}, {pipeline.pk}
    if not _replace_edges(TableEdge, _TABLE_EDGE, wanted, EdgeOrigin.DECLARED, known, timezone.now()):
        return
    stated = {*pipeline.stated_fields, _DECLARED} if ends else {*pipeline.stated_fields} - {_DECLARED}
    pipeline.stated_fields = sorted(stated)
    pipeline.save(update_fields=["stated_fields"])
    undo = Undo("declared lineage", exact, _declared_now(pipeline))
    services.record_history(actor, "changed", pipeline, before, _declared_names(pipeline), undo)
    bump_graph_version()
    ended = TableEdge.objects.filter(pipeline=pipeline, target_table__isnull=False, valid_to__isnull=False)
    search_index.index("table", ended.values_list("target_table", flat=True).distinct())
    search_index.index("pipeline", [pipeline.pk])


_DECLARED = "declared_edges"  # in a pipeline's stated_fields: a person said what it reads and fills


def pairs(inputs: Collection[int], outputs: Collection[int]) -> list[TableEdgeIds]:
    """Every input to every output; edges without a target, or without a source, where one side is not known."""
    if not outputs:
        return [(source, None) for source in dict.fromkeys(inputs)]
    return [(source, target) for source in dict.fromkeys(inputs or [None]) for target in dict.fromkeys(outputs)]


@transaction.atomic
def replace_problems(
    scope: str, paths: Iterable[str], problems: Iterable[tuple[FileProblem, int | None]], at: dt.datetime
) -> None:
    """The problems of these files are now `problems`, each with the id of its pipeline if it has one."""
    for part in chunks(set(paths)):
        Problem.objects.filter(scope=scope, path__in=part).delete()
    add_problems(scope, problems, at)


def add_problems(scope: str, problems: Iterable[tuple[FileProblem, int | None]], at: dt.datetime) -> None:
    """Store problems beside those there are."""
    found_at = as_stored(at)
    rows = [
        (
            pipeline,
            scope,
            one.path[:1000],
            one.code,
            one.severity,
            one.message[:5000],
            one.statement,
            one.line,
            found_at,
        )
        for one, pipeline in problems
    ]
    fields = ("pipeline", "scope", "path", "code", "severity", "message", "statement", "line", "found_at")
    insert_rows(Problem, fields, rows)


def _current_versions(pipelines: Iterable[int]) -> dict[int, SqlVersion]:
    return {
        version.pipeline_id: version
        for version in SqlVersion.objects.filter(pipeline__in=among(pipelines), valid_to=None).defer("sql", "practices")
    }


def _version_row(lineage: PipelineLineage, at: Any) -> tuple[Any, ...]:
    read = lineage.read
    *described, practices = _described(lineage)
    return (lineage.pipeline, read.digest, read.sql, at, *described, json.dumps(practices))


def _described(lineage: PipelineLineage) -> tuple[Any, ...]:
    """What another reading of the same SQL may change, in the order of `_DESCRIBED`."""
    counts = (getattr(lineage.read, name) for name in _COUNTED)
    return lineage.key, lineage.dialect, *counts, dict(lineage.read.practices)


def _describe(version: SqlVersion, lineage: PipelineLineage) -> None:
    for name, value in zip(_DESCRIBED, _described(lineage), strict=True):
        setattr(version, name, value)


def _replace_edges(
    model: type[models.Model],
    fields: Sequence[str],
    wanted: Mapping[int, Collection[tuple[Any, ...]]],
    origin: EdgeOrigin,
    known: Collection[int],
    at: dt.datetime,
    versions: Mapping[int, int] = MappingProxyType({}),
) -> bool:
    """Make `wanted` the current edges of that origin of its pipelines; whether anything changed.

    `versions` gives the SQL version on which a pipeline's edges hang, if they were read off SQL. Only pipelines in
    `known` can have edges already.
    """
    kept: dict[int, set[tuple[Any, ...]]] = defaultdict(set)
    wanted = {pipeline: set(edges) if pipeline in known else edges for pipeline, edges in wanted.items()}
    ended: list[int] = []
    stored = model._default_manager
    current = stored.filter(pipeline__in=among(known), valid_to=None, origin=origin) if known else stored.none()
    for pk, pipeline, version, *edge in current.values_list("id", "pipeline_id", "sql_version_id", *fields):
        if version == versions.get(pipeline) and tuple(edge) in wanted[pipeline]:
            kept[pipeline].add(tuple(edge))
        else:
            ended.append(pk)
    if ended:
        stored.filter(pk__in=among(ended)).update(valid_to=Greatest(F("valid_from"), Value(at)))
    since, origin_value = as_stored(at), origin.value
    rows = [
        (pipeline, versions.get(pipeline), origin_value, since, *edge)
        for pipeline, edges in wanted.items()
        for edge in edges
        if edge not in kept.get(pipeline, ())
    ]
    names = ("pipeline", "sql_version", "origin", "valid_from", *(field.removesuffix("_id") for field in fields))
    insert_rows(model, names, rows)
    return bool(rows or ended)


def _stated_by_people(pipelines: Iterable[int]) -> set[int]:
    spoken_of = Pipeline.objects.filter(pk__in=among(pipelines)).exclude(stated_fields=[])
    return {pk for pk, stated in spoken_of.values_list("id", "stated_fields") if _DECLARED in stated}


def _declared_names(pipeline: Pipeline) -> dict[str, list[str]]:
    return _declared(pipeline, "__name")


def _declared(pipeline: Pipeline, by: str) -> dict[str, list[Any]]:
    """The ends of a pipeline's declared edges, the tables by that field of theirs."""
    current = TableEdge.objects.filter(pipeline=pipeline, valid_to=None, origin=EdgeOrigin.DECLARED)
    rows = list(current.values_list(f"source_table{by}", f"target_table{by}"))
    return {
        "inputs": sorted({source for source, _ in rows if source}),
        "outputs": sorted({target for _, target in rows if target}),
    }


def _declared_now(pipeline: Pipeline, names: Iterable[str] = ()) -> dict[str, list[int]]:
    return _declared(pipeline, "")


@puts_back("declared lineage", Pipeline, _declared_now)
def _put_back(actor: User | None, pipeline: Pipeline, had: dict[str, list[int]]) -> None:
    inputs, outputs = (list(Table.objects.filter(pk__in=had[side])) for side in ("inputs", "outputs"))
    declare_edges(actor=actor, pipeline=pipeline, inputs=inputs, outputs=outputs)
