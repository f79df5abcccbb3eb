"""Jobs onto pipelines: their facts, what they read and write now, and the edges that follow."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from catalog import ingested
from catalog.facts import Owned, PipelineFact
from catalog.ingested import REPORTED
from catalog.models import Run, Table
from ingest.kinds import inferred_kind
from ingest.models import ReportedDataset, ReportedJob
from ingest.openlineage import facets as read
from ingest.openlineage.events import Name, column_lineage_of
from ingest.openlineage.facets import InputField
from ingest.openlineage.known import the_datasets
from ingest.openlineage.merge import Data
from ingest.openlineage.rows import newest_runs
from ingest.openlineage.sql import store_sql
from ingest.owners import OwnerBook
from lineage.models import ColumnEdge
from lineage.services import ColumnEdgeIds, TableEdgeIds, pairs, store_reported

_RUNS_LOOKED_AT = 100  # of a job that never succeeds


def store_job(job: ReportedJob, at: dt.datetime) -> None:
    """Bring a job's pipeline, its SQL and its edges up to date with all that is known of it."""
    data = current_data(job)
    if data.listed() != job.data:
        job.data = data.listed()
        job.save(update_fields=["data"])
    flow = _Flow.of(data)
    _store_facts(job, flow)
    store_sql(job, flow.tables("inputs"), flow.tables("outputs"), at)
    column_edges = _column_edges(job, flow)
    store_reported(job.pipeline_id, _table_edges(flow, column_edges), column_edges, at)


def jobs_on(tables: Collection[int]) -> list[ReportedJob]:
    """The jobs whose reported edges touch these tables now, held. Two queries."""
    touching = Q(pipeline__table_edges__source_table__in=tables) | Q(pipeline__table_edges__target_table__in=tables)
    jobs = ReportedJob.objects.filter(touching, pipeline__table_edges__valid_to=None).order_by()
    ids = set(jobs.values_list("pk", flat=True))
    return list(ReportedJob.objects.select_for_update().filter(pk__in=ids).order_by("id"))


def current_data(job: ReportedJob) -> Data:
    """What a job reads and writes: by the newest run that succeeded or the newest JobEvent, and all runs since.

    A run under way has perhaps not told all yet, so what its forerunner told still holds. One query.
    """
    stated = job.facets.get("@data") if "@data" in job.stamps else None  # facets are seldom read yet
    stated_at = job.stamps["@data"][0] if stated else 0
    found = Data()
    for outcome, state in newest_runs(job.pipeline_id, _RUNS_LOOKED_AT):
        if stated and state.started_at < stated_at:
            break
        data = state.data()
        found |= data
        if data and outcome == Run.State.SUCCEEDED:
            return found
    return found | _stated_data(stated) if stated else found


def _stated_data(stated: dict[str, list[list[str]]]) -> Data:
    names: dict[str, list[Name]] = {side: [(name[0], name[1]) for name in listed] for side, listed in stated.items()}
    known = the_datasets({name for listed in names.values() for name in listed})
    return Data.of(*([known[name].pk for name in names[side]] for side in ("inputs", "outputs")))


@dataclass(frozen=True)
class _Flow:
    """The datasets that a job reads and writes, with their tables."""

    inputs: list[ReportedDataset]
    outputs: list[ReportedDataset]

    @classmethod
    def of(cls, data: Data) -> _Flow:
        rows = ReportedDataset.objects.filter(pk__in=data.inputs | data.outputs).select_related("table__source")
        listed = list(rows.order_by("namespace", "name"))
        return cls([row for row in listed if row.pk in data.inputs], [row for row in listed if row.pk in data.outputs])

    def tables(self, side: str) -> list[Table]:
        """Each table once, whatever the number of its names."""
        return list({dataset.table_id: dataset.table for dataset in getattr(self, side)}.values())


def _store_facts(job: ReportedJob, flow: _Flow) -> None:
    pipeline, facets = job.pipeline, job.facets
    book = OwnerBook()
    business, technical = read.owners(facets.get("ownership"), "job.facets.ownership")
    fact = PipelineFact(
        name=pipeline.name,
        path="",
        facts=_facts(job, flow),
        owners=Owned(book.slugs(business), book.slugs(technical)),
        tags=read.tags(facets.get("tags"), "job.facets.tags"),
    )
    ingested.store_pipelines([fact], ingested.store_owners(book.owners()), REPORTED)


def _facts(job: ReportedJob, flow: _Flow) -> dict[str, Any]:
    facets = job.facets
    integration, sort = read.job_type(facets.get("jobType"), "job.facets.jobType")
    airflow, parent = facets.get("@airflow", {}), facets.get("@parent")
    kind = _kind(flow)
    said = {
        "description": read.documentation(facets.get("documentation"), "job.facets.documentation"),
        "orchestrator": integration.lower()[:50],
        "dag": airflow.get("dag") or (parent[1] if parent else job.name if sort == "DAG" else ""),
        "schedule": airflow.get("schedule", ""),
        "repository_path": read.code_location(facets.get("sourceCodeLocation"), "job.facets.sourceCodeLocation"),
        "kind": kind,
        "kind_is_inferred": bool(kind),
    }
    return {name: value for name, value in said.items() if value}


def _kind(flow: _Flow) -> str:
    """The pipeline's kind by where its data lies; what stays within one system is made of the system's own.

    Files on a disk tell nothing: they are a step on the way of any kind.
    """
    inputs, outputs = ([table.source for table in flow.tables(side)] for side in ("inputs", "outputs"))
    if any(source.storage == "files" for source in outputs):
        return ""
    if inputs and outputs and len({source.pk for source in (*inputs, *outputs)}) == 1 and inputs[0].dialect:
        return "summary"
    return inferred_kind([source.storage for source in inputs], [source.storage for source in outputs])


def _table_edges(flow: _Flow, column_edges: Collection[ColumnEdgeIds]) -> set[TableEdgeIds]:
    """Every input to every output, and what column lineage alone tells of."""
    ends = pairs(*([table.pk for table in flow.tables(side)] for side in ("inputs", "outputs")))
    return {*ends, *((edge[0], edge[2]) for edge in column_edges)}


def _column_edges(job: ReportedJob, flow: _Flow) -> set[ColumnEdgeIds]:
    """The column lineage of each output: the job's own word, or else what is said of the dataset alone."""
    made: list[tuple[int, str, InputField]] = []
    for dataset in flow.outputs:
        own = job.facets.get(column_lineage_of((dataset.namespace, dataset.name)))
        facet = own if own is not None else dataset.facets.get("columnLineage")
        for column, fields in read.column_lineage(facet, "columnLineage").items():
            made += [(dataset.table_id, column, field) for field in fields]
    sources = the_datasets({field.dataset for _, _, field in made}) if made else {}
    wanted: dict[int, set[str]] = defaultdict(set)
    for table, column, field in made:
        wanted[sources[field.dataset].table_id].add(field.column)
        wanted[table].add(column)
    for columns in wanted.values():
        columns.discard("*")
    ids = ingested.ensure_columns(wanted)
    basis = ColumnEdge.Basis.REPORTED.value
    return {
        (source, ids[source].get(field.column), table, ids[table].get(column), field.kind, basis, 0, None)
        for table, column, field in made
        for source in [sources[field.dataset].table_id]
    }
