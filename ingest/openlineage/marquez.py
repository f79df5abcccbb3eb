"""The catalog in Marquez's shapes, for its clients: nodes, graphs, jobs, datasets and runs.

Names are those of OpenLineage. A table that no event has named lies in the namespace of its source's slug, a pipeline
that none has named in the namespace `pipekeeper`.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.db.models import OuterRef, Q, Subquery

from catalog.models import Column, Pipeline, Run, Table
from catalog.queries import tag_names_of
from ingest.models import ReportedDataset, ReportedJob
from ingest.openlineage.events import Name, moment_of
from lineage.models import TableEdge
from lineage.nodes import NodeId
from lineage.queries import DEEPEST, Lineage, lineage_of

OURS = "pipekeeper"
_STATES = {
    Run.State.RUNNING: "RUNNING",
    Run.State.SUCCEEDED: "COMPLETED",
    Run.State.FAILED: "FAILED",
    Run.State.ABORTED: "ABORTED",
}
_STREAMS = ("topic",)


def find(node: str) -> Table | Pipeline | Column:
    """What a node id of Marquez names. LookupError says what is not there, ValueError what is no node id.

    Colons part it, but names hold colons too (`dataset:postgres://db:5432:shop.orders`): of all ways to split it, the
    one that names something is meant.
    """
    kind, _, rest = node.partition(":")
    finders = {"dataset": _find_dataset, "job": _find_job, "datasetField": _find_field}
    if kind not in finders or ":" not in rest:
        raise ValueError(
            f"{node!r} is no node id: write dataset:<namespace>:<name>, job:<namespace>:<name> or "
            "datasetField:<namespace>:<name>:<field>."
        )
    found = finders[kind](rest)
    if found is None:
        raise LookupError(f"There is no {node}.")
    return found


def find_dataset(namespace: str, name: str) -> Table | None:
    return _dataset(Q(namespace=namespace, name=name), namespace, name)


def find_job(namespace: str, name: str) -> Pipeline | None:
    return _job(Q(namespace=namespace, name=name), namespace, name)


def _find_dataset(rest: str) -> Table | None:
    source, _, name = rest.partition(":")
    return _dataset(_any_split(rest), source, name)


def _find_job(rest: str) -> Pipeline | None:
    namespace, _, name = rest.partition(":")
    return _job(_any_split(rest), namespace, name)


def _dataset(named: Q, source: str, name: str) -> Table | None:
    dataset = ReportedDataset.objects.filter(named).select_related("table__source").first()
    if dataset is not None:
        return dataset.table
    return Table.objects.select_related("source").filter(source__slug=source, name=name).first()


def _job(named: Q, namespace: str, name: str) -> Pipeline | None:
    job = ReportedJob.objects.filter(named).select_related("pipeline").first()
    if job is not None:
        return job.pipeline
    return Pipeline.objects.filter(name=name).first() if namespace == OURS else None


def _find_field(rest: str) -> Column | None:
    for before, field in _splits(rest):
        if ":" in before and (table := _find_dataset(before)):
            column = Column.objects.filter(table=table, name=field).first()
            if column is not None:
                column.table = table
                return column
    return None


def _any_split(rest: str) -> Q:
    wanted = Q(pk=None)
    for namespace, name in _splits(rest):
        wanted |= Q(namespace=namespace, name=name)
    return wanted


def _splits(text: str) -> Iterator[tuple[str, str]]:
    """Every way to part a text at a colon; so many colons that it cannot be a name are passed over."""
    places = [place for place, letter in enumerate(text) if letter == ":"]
    yield from ((text[:place], text[place + 1 :]) for place in places[-20:])


class Names:
    """What Marquez calls some tables and pipelines. Two queries."""

    def __init__(self, tables: Iterable[Table], pipelines: Iterable[Pipeline]) -> None:
        tables, pipelines = list(tables), list(pipelines)
        self._tables: dict[int, Name] = {table.pk: (table.source.slug, table.name) for table in tables}
        self._pipelines: dict[int, Name] = {pipeline.pk: (OURS, pipeline.name) for pipeline in pipelines}
        self.seen_at: dict[int, dt.datetime] = {}
        datasets = ReportedDataset.objects.filter(table__in=self._tables).order_by("-namespace", "-name")
        for table, namespace, name, seen_at, stamps in datasets.values_list(
            "table_id", "namespace", "name", "seen_at", "stamps"
        ):
            if "@alias" not in stamps or table not in self.seen_at:
                self._tables[table] = (namespace, name)
                self.seen_at[table] = moment_of(seen_at)
        jobs = ReportedJob.objects.filter(pipeline__in=self._pipelines).order_by("-namespace", "-name")
        self._pipelines |= {
            pipeline: (namespace, name)
            for pipeline, namespace, name in jobs.values_list("pipeline_id", "namespace", "name")
        }

    def of(self, thing: Table | Pipeline) -> Name:
        return self._tables[thing.pk] if isinstance(thing, Table) else self._pipelines[thing.pk]

    def node(self, thing: Table | Pipeline) -> str:
        return ":".join(["dataset" if isinstance(thing, Table) else "job", *self.of(thing)])

    def field(self, column: Column) -> str:
        return ":".join(["datasetField", *self.of(column.table), column.name])


def lineage_graph(thing: Table | Pipeline, depth: int) -> list[dict[str, Any]]:
    """Jobs and datasets around a thing, sorted by their ids, each with the edges that come in and go out."""
    found = lineage_of(thing, depth=min(max(depth, 1), DEEPEST))
    things = _things(found)
    tables = [one for one in things.values() if isinstance(one, Table)]
    pipelines = [one for one in things.values() if isinstance(one, Pipeline)]
    names = Names(tables, pipelines)
    data = {**datasets_json(tables, names), **jobs_json(pipelines, names)}
    ids = {node: names.node(one) for node, one in things.items()}
    arriving, leaving = defaultdict(list), defaultdict(list)
    for edge in found.edges:
        step = {"origin": ids[edge.source], "destination": ids[edge.target]}
        leaving[step["origin"]].append(step)
        arriving[step["destination"]].append(step)
    nodes = [
        {
            "id": ids[node],
            "type": "DATASET" if isinstance(one, Table) else "JOB",
            "data": data[ids[node]],
            "inEdges": arriving[ids[node]],
            "outEdges": leaving[ids[node]],
        }
        for node, one in things.items()
    ]
    return sorted(nodes, key=lambda node: node["id"])


def _things(found: Lineage) -> dict[str, Table | Pipeline]:
    """The tables and pipelines of a walk by node id. Two queries."""
    nodes = [NodeId.parse(node.id) for node in found.nodes]
    names = [node.name for node in nodes if node.kind == "table"]
    jobs = [node.name for node in nodes if node.kind == "pipeline"]
    wanted = {node.id for node in found.nodes}
    tables = Table.objects.select_related("source").filter(name__in=names)
    things = [*tables, *Pipeline.objects.filter(name__in=jobs)]
    return {thing.node: thing for thing in things if thing.node in wanted}


def column_graph(thing: Table | Pipeline | Column, depth: int, downstream: bool) -> list[dict[str, Any]]:
    """Columns that a thing's columns are made from, and with `downstream` those made from them.

    As in Marquez, an edge of `inEdges` begins at the node itself and leads to the column it is made from.
    """
    direction = "both" if downstream else "upstream"
    found = lineage_of(thing, direction, min(max(depth, 1), DEEPEST), grain="column", direct_only=True)
    columns = _columns(node.id for node in found.nodes if node.kind == "column")
    names = Names({column.table_id: column.table for column in columns.values()}.values(), ())
    made: dict[str, list[tuple[str, str]]] = defaultdict(list)
    used: dict[str, list[str]] = defaultdict(list)
    for edge in found.edges:
        if edge.source in columns and edge.target in columns:
            made[edge.target].append((edge.source, edge.kind))
            used[edge.source].append(edge.target)
    nodes = []
    for node, column in columns.items():
        ends = {other: names.field(columns[other]) for other in (*(one for one, _ in made[node]), *used[node])}
        here = names.field(column)
        nodes.append(
            {
                "id": here,
                "type": "DATASET_FIELD",
                "data": _field_json(column, names) | {"inputFields": _inputs(made[node], columns, names)},
                "inEdges": _steps(here, [ends[other] for other, _ in made[node]]),
                "outEdges": _steps(here, [ends[other] for other in used[node]]),
            }
        )
    return sorted(nodes, key=lambda node: node["id"])


def _steps(here: str, others: Iterable[str]) -> list[dict[str, str]]:
    return [{"origin": here, "destination": other} for other in sorted(set(others))]


def _columns(nodes: Iterable[str]) -> dict[str, Column]:
    """Columns by node id. One query."""
    wanted = {node: NodeId.parse(node) for node in nodes}
    named = Column.objects.filter(
        name__in={node.column for node in wanted.values()}, table__name__in={node.name for node in wanted.values()}
    )
    return {column.node: column for column in named.select_related("table__source") if column.node in wanted}


def _field_json(column: Column, names: Names) -> dict[str, Any]:
    namespace, dataset = names.of(column.table)
    return {
        "namespace": namespace,
        "dataset": dataset,
        "datasetVersion": None,
        "field": column.name,
        "fieldType": column.type or None,
        "transformationDescription": None,
        "transformationType": None,
    }


def _inputs(made: Iterable[tuple[str, str]], columns: Mapping[str, Column], names: Names) -> list[dict[str, Any]]:
    fields = [_field_json(columns[node], names) | {"transformationType": kind} for node, kind in made]
    return [{name: field[name] for name in field if name != "fieldType"} for field in fields]


def datasets_json(tables: Collection[Table], names: Names) -> dict[str, dict[str, Any]]:
    """Datasets by node id. Two queries."""
    tags = tag_names_of("table", [table.pk for table in tables])
    fields: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for column in Column.objects.filter(table__in=tables):
        known = {"name": column.name, "type": column.type or None, "tags": [], "description": column.description}
        fields[column.table_id].append(known)
    return {names.node(table): _dataset_json(table, names, fields[table.pk], tags[table.pk]) for table in tables}


def _dataset_json(table: Table, names: Names, fields: list[dict[str, Any]], tags: list[str]) -> dict[str, Any]:
    namespace, name = names.of(table)
    seen_at = names.seen_at.get(table.pk, table.created_at)
    return {
        "id": {"namespace": namespace, "name": name},
        "type": "STREAM" if table.kind in _STREAMS else "DB_TABLE",
        "name": name,
        "physicalName": table.name,
        "createdAt": table.created_at,
        "updatedAt": seen_at,
        "namespace": namespace,
        "sourceName": table.source.slug,
        "fields": fields,
        "tags": tags,
        "lastModifiedAt": seen_at,
        "description": table.description or None,
        "lastLifecycleState": None,
        "deleted": table.status == Table.Status.RETIRED,
    }


def jobs_json(pipelines: Collection[Pipeline], names: Names) -> dict[str, dict[str, Any]]:
    """Jobs by node id, with what they read and write, and their latest runs. Five queries."""
    flows = TableEdge.objects.filter(pipeline__in=pipelines, valid_to=None).select_related(
        "source_table__source", "target_table__source"
    )
    inputs: dict[int, dict[int, Table]] = defaultdict(dict)
    outputs: dict[int, dict[int, Table]] = defaultdict(dict)
    for flow in flows:
        if flow.source_table:
            inputs[flow.pipeline_id][flow.source_table_id] = flow.source_table
        if flow.target_table:
            outputs[flow.pipeline_id][flow.target_table_id] = flow.target_table
    ends = [table for side in (inputs, outputs) for tables in side.values() for table in tables.values()]
    of_ends = Names({table.pk: table for table in ends}.values(), ())
    latest = _latest_runs(pipelines)
    tags = tag_names_of("pipeline", [pipeline.pk for pipeline in pipelines])
    return {
        names.node(pipeline): _job_json(
            pipeline,
            names,
            {
                "inputs": _ids(inputs[pipeline.pk].values(), of_ends),
                "outputs": _ids(outputs[pipeline.pk].values(), of_ends),
                "tags": tags[pipeline.pk],
                "latestRun": latest.get(pipeline.pk),
            },
        )
        for pipeline in pipelines
    }


def _ids(tables: Iterable[Table], names: Names) -> list[dict[str, str]]:
    found = sorted({names.of(table) for table in tables})
    return [{"namespace": namespace, "name": name} for namespace, name in found]


def _latest_runs(pipelines: Collection[Pipeline]) -> dict[int, dict[str, Any]]:
    """The newest run of each. Two queries."""
    newest = Run.objects.filter(pipeline=OuterRef("pk")).order_by("-started_at", "-id").values("pk")[:1]
    ids = (
        Pipeline.objects.filter(pk__in=[one.pk for one in pipelines])
        .annotate(newest=Subquery(newest))
        .values_list("newest", flat=True)
    )
    return {run.pipeline_id: run_json(run) for run in Run.objects.filter(pk__in=list(ids))}


def _job_json(pipeline: Pipeline, names: Names, flow: Mapping[str, Any]) -> dict[str, Any]:
    namespace, name = names.of(pipeline)
    run = flow["latestRun"]
    return {
        "id": {"namespace": namespace, "name": name},
        "type": "BATCH",
        "name": name,
        "simpleName": name.rpartition(".")[2],
        "parentJobName": pipeline.dag if pipeline.dag and pipeline.dag != name else None,
        "parentJobUuid": None,
        "createdAt": pipeline.created_at,
        "updatedAt": run["updatedAt"] if run else pipeline.created_at,
        "namespace": namespace,
        "location": pipeline.repository_path or None,
        "description": pipeline.description or None,
        "latestRuns": [run] if run else [],
        **flow,
    }


def run_json(run: Run) -> dict[str, Any]:
    """A run; `durationMs` is None while it lasts."""
    span = run.ended_at - run.started_at if run.ended_at else None
    return {
        "id": run.external_id,
        "createdAt": run.started_at,
        "updatedAt": run.ended_at or run.started_at,
        "nominalStartTime": run.nominal_at,
        "nominalEndTime": None,
        "state": _STATES[run.state],
        "startedAt": run.started_at,
        "endedAt": run.ended_at,
        "durationMs": span // dt.timedelta(milliseconds=1) if span is not None else None,
        "args": {},
        "facets": {},
    }
