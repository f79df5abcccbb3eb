"""How old sources were, out of the `sources.json` of `dbt source freshness`: results of checks, made where new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from audits.checks.kinds import BadParameters, read_parameters
from audits.checks.models import Check, State
from audits.checks.services import Reported, record_results
from catalog.models import Table
from ingest.dbt.json_files import check_nesting, items, part
from ingest.dbt.manifest import Node
from ingest.dbt.project import Project
from ingest.dbt.results import moment
from ingest.names import TableKey

FILE = "sources.json"
_STATES = {"pass": State.PASS, "warn": State.WARN, "error": State.FAIL, "runtime error": State.ERROR}
_HOURS = {"minute": 1 / 60, "hour": 1.0, "day": 24.0}


def read_freshness(path: Path) -> list[dict[str, Any]]:
    """The results of an invocation, each with the invocation's id. Raises BadArtifact."""
    check_nesting(path)
    metadata = part(path, "metadata")
    named = {"invocation_id": metadata.get("invocation_id"), "generated_at": metadata.get("generated_at")}
    return [{**named, **result} for result in items(path, "results")]


def store_freshness(results: list[dict[str, Any]], project: Project) -> int:
    """Results of sources that the project knows, each once however often it is read; how many there are."""
    nodes = {node.id: node for node in project.nodes.values()}
    reported = list(_reported(results, nodes, project.keys))
    record_results(actor=None, origin=Check.Origin.DBT, results=reported)
    return len(reported)


def _reported(
    results: list[dict[str, Any]], nodes: Mapping[str, Node], keys: Mapping[str, TableKey]
) -> Iterator[Reported]:
    wanted = {keys[result["unique_id"]] for result in results if result.get("unique_id") in keys}
    rows = Table.objects.filter(name__in=[name for _, name in wanted]).select_related("source") if wanted else ()
    tables = {(table.source.slug, table.name): table for table in rows}
    for result in results:
        node, state = str(result.get("unique_id")), _STATES.get(str(result.get("status")).lower())
        at = moment(result.get("snapshotted_at")) or moment(result.get("generated_at"))
        table = tables.get(keys.get(node, ("", "")))
        if table is None or state is None or at is None:
            continue
        hours, severity = _bound(result.get("criteria"))
        age = result.get("max_loaded_at_time_ago_in_s")
        kind, parameters = _kind(nodes[node], hours)
        yield Reported(
            of=table,
            kind=kind,
            parameters=parameters,
            at=at,
            key=f"dbt {result['invocation_id'] or at.isoformat()}",
            state=state,
            value=age / 3600 if isinstance(age, int | float) else None,
            high=hours,
            words=str(result.get("error") or f"dbt: the newest row is of {result.get('max_loaded_at')}.")[:1000],
            name="source freshness",
            severity=severity,
            facts={"stated_in": table.stated_in},
        )


def _bound(criteria: Any) -> tuple[float | None, str]:
    """The age in hours from which dbt errs, or else warns, and our severity for that."""
    stated = criteria if isinstance(criteria, dict) else {}
    for name, severity in (("error_after", Check.Severity.FAIL), ("warn_after", Check.Severity.WARN)):
        bound = stated.get(name) or {}
        if isinstance(bound.get("count"), int | float) and bound.get("period") in _HOURS:
            return bound["count"] * _HOURS[bound["period"]], severity
    return None, Check.Severity.FAIL


def _kind(node: Node, hours: float | None) -> tuple[str, dict[str, Any]]:
    """A check that Pipekeeper could run itself where dbt names a column; an external one else."""
    try:
        column = str(node.freshness.get("loaded_at_field") or "")
        return "freshness", read_parameters("freshness", {"column": column, "hours": hours}).to_dict()
    except BadParameters:
        return "external", {"what": "How old the source is, measured by dbt source freshness"}
