"""A lineage to take away: as shown on the page, in eight forms."""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import networkx as nx
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone

from lineage import layout
from lineage.graph_api import as_json
from lineage.nodes import NodeId
from lineage.queries import GraphNode, Lineage
from lineage.sql.model import DIRECT_KINDS
from pages.csv_rows import csv_response
from pages.picture import Picture

FORMATS = {
    "svg": "SVG picture",
    "png": "PNG picture",
    "csv": "CSV list",
    "json": "JSON",
    "mermaid": "Mermaid",
    "dot": "DOT (Graphviz)",
    "graphml": "GraphML",
    "openlineage": "OpenLineage",
}
_FILES = {  # extension and content type of what is not named like its form
    "svg": ("svg", "image/svg+xml"),
    "png": ("png", "image/png"),
    "json": ("json", "application/json"),
    "mermaid": ("mmd", "text/plain; charset=utf-8"),
    "dot": ("dot", "text/vnd.graphviz; charset=utf-8"),
    "graphml": ("graphml", "application/xml"),
    "openlineage": ("openlineage.json", "application/json"),
}
_PRODUCER = "https://pipekeeper"
_SPEC = "https://openlineage.io/spec"


def exported(form: str, thing: Any, lineage: Lineage, picture: Picture, request: HttpRequest) -> HttpResponse:
    """The download in that form of `FORMATS`."""
    name = "lineage-" + (re.sub(r"[^\w.-]+", "-", str(thing)).strip("-")[:100] or "export")
    if form == "csv":
        return csv_response(f"{name}.csv", _HEAD, _rows(lineage))
    content: str | bytes
    if form == "svg":
        content = render_to_string("lineage/export.svg", {"picture": picture})
    elif form == "png":
        content = layout.as_png([drawn.box for drawn in picture.boxes], [line.arrow for line in picture.lines])
    elif form == "json":
        content = json.dumps(as_json(lineage, request), default=str, indent=1)
    elif form == "openlineage":
        content = json.dumps(job_events(lineage), indent=1)
    else:
        content = {"mermaid": as_mermaid, "dot": as_dot, "graphml": as_graphml}[form](lineage)
    extension, content_type = _FILES[form]
    response = HttpResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{extension}"'
    return response


_HEAD = (
    "name",
    "kind",
    "of table",
    "source",
    "status",
    "hops",
    "directly from",
    "more upstream",
    "more downstream",
    "id",
)


def _rows(lineage: Lineage) -> list[tuple[Any, ...]]:
    """The nodes as the page lists them, each with the nodes that an edge leads from."""
    labels = {node.id: node.label for node in lineage.nodes}
    sources: dict[str, list[str]] = defaultdict(list)
    for edge in lineage.edges:
        sources[edge.target].append(labels[edge.source])
    return [
        (
            *(node.label, node.kind, node.table_label, node.source, node.status, node.distance),
            *(" ".join(sorted(set(sources[node.id]))), node.folded_upstream, node.folded_downstream, node.id),
        )
        for node in sorted(lineage.nodes, key=lambda node: (node.distance, node.label))
    ]


def as_networkx(lineage: Lineage) -> nx.MultiDiGraph:
    """The lineage as networkx has it, facts as attributes."""
    graph = nx.MultiDiGraph()
    for node in lineage.nodes:
        facts = {"label": node.label, "kind": node.kind, "source": node.source, "status": node.status}
        graph.add_node(node.id, **facts, table=node.table_label, distance=node.distance)
    for edge in lineage.edges:
        graph.add_edge(edge.source, edge.target, via=edge.via, kind=edge.kind)
    return graph


def as_graphml(lineage: Lineage) -> bytes:
    """GraphML, as networkx writes it."""
    file = io.BytesIO()
    nx.write_graphml(as_networkx(lineage), file)
    return file.getvalue()


def as_mermaid(lineage: Lineage) -> str:
    """A flowchart; what only decides is dotted."""
    lines = ["flowchart LR"]
    names = {node.id: f"n{number}" for number, node in enumerate(lineage.nodes)}
    for node in lineage.nodes:
        text = _label(node).translate(_MERMAID)
        lines.append(f"  {names[node.id]}" + (f'(["{text}"])' if node.kind == "pipeline" else f'["{text}"]'))
    for edge in lineage.edges:
        arrow = "-->" if _is_direct(edge.kind) else "-.->"
        lines.append(f"  {names[edge.source]} {arrow} {names[edge.target]}")
    return "\n".join(lines) + "\n"


_MERMAID = str.maketrans({'"': "#quot;", "#": "#35;", "\n": " ", "<": "#lt;", ">": "#gt;"})


def as_dot(lineage: Lineage) -> str:
    """The graph in Graphviz' language."""
    names = {node.id: f"n{number}" for number, node in enumerate(lineage.nodes)}
    lines = ["digraph lineage {", "  rankdir=LR; node [shape=box];"]
    for node in lineage.nodes:
        shape = ", style=rounded" if node.kind == "pipeline" else ""
        lines.append(f"  {names[node.id]} [label={_quoted(_label(node))}{shape}];")
    for edge in lineage.edges:
        style = "" if _is_direct(edge.kind) else ", style=dashed"
        lines.append(f"  {names[edge.source]} -> {names[edge.target]} [tooltip={_quoted(edge.via)}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def _label(node: GraphNode) -> str:
    return f"{node.table_label}.{node.label}" if node.table_label else node.label


def _is_direct(kind: str) -> bool:
    return kind in ("reads", "writes") or kind in DIRECT_KINDS


def job_events(lineage: Lineage) -> list[dict[str, Any]]:
    """OpenLineage job events, one for each pipeline, with a facet of column lineage where columns are known."""
    at = (lineage.at or timezone.now()).isoformat()
    nodes = {node.id: node for node in lineage.nodes}
    jobs: dict[str, dict[str, Any]] = defaultdict(lambda: {"inputs": {}, "outputs": {}})
    for edge in lineage.edges:
        job = jobs[edge.via]
        if edge.kind in ("reads", "writes"):
            end = nodes[edge.source if edge.kind == "reads" else edge.target]
            if end.kind == "table":
                job["inputs" if edge.kind == "reads" else "outputs"][end.id] = _dataset(end)
        elif edge.via:
            _add_column_edge(job, nodes[edge.source], nodes[edge.target], edge.kind)
    return [
        {
            "eventTime": at,
            "producer": _PRODUCER,
            "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/JobEvent",
            "job": {"namespace": "pipekeeper", "name": name},
            **{side: [dataset for _, dataset in sorted(job[side].items())] for side in ("inputs", "outputs")},
        }
        for name, job in sorted(jobs.items())
        if job["inputs"] or job["outputs"]
    ]


def _dataset(node: GraphNode) -> dict[str, Any]:
    """Of a table, or of the table of a column."""
    table = NodeId.parse(node.table or node.id)
    return {"namespace": table.source, "name": table.name}


def _add_column_edge(job: Mapping[str, dict[str, Any]], source: GraphNode, target: GraphNode, kind: str) -> None:
    job["inputs"].setdefault(source.table, _dataset(source))
    output = job["outputs"].setdefault(target.table, _dataset(target))
    facet = output.setdefault("facets", {}).setdefault(
        "columnLineage",
        {
            "_producer": _PRODUCER,
            "_schemaURL": f"{_SPEC}/facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet",
            "fields": {},
        },
    )
    how = {"type": "DIRECT" if kind in DIRECT_KINDS else "INDIRECT", "subtype": kind}
    if source.kind != "column":
        return  # a star that could not be expanded names no field
    field = {**_dataset(source), "field": source.label, "transformations": [how]}
    if target.kind == "column":
        facet["fields"].setdefault(target.label, {"inputFields": []})["inputFields"].append(field)
    else:
        facet.setdefault("dataset", []).append(field)
