"""Events for tests: the recorded ones, and a maker of small ones."""

from __future__ import annotations

import copy
import json
import uuid
from pathlib import Path
from typing import Any

RECORDED = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "samples").glob("*.json")}
SHOP = "postgres://db:5432"
NEVER = object()


def recorded(name: str) -> dict[str, Any]:
    """A recorded event of its own, to change as one likes."""
    return copy.deepcopy(RECORDED[name])


def run_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def dataset(name: str, namespace: str = SHOP, **facets: Any) -> dict[str, Any]:
    return {"namespace": namespace, "name": name, "facets": facets}


def event(
    at: str = "03:00:00",
    type_: str = "COMPLETE",
    *,
    job: str = "orders.daily",
    namespace: str = "warehouse",
    run: int = 1,
    inputs: list[dict[str, Any]] | None = None,
    outputs: list[dict[str, Any]] | None = None,
    run_facets: dict[str, Any] | None = None,
    **job_facets: Any,
) -> dict[str, Any]:
    """A RunEvent on 2026-03-02, or at a whole moment if `at` is one."""
    return {
        **_head(at),
        "eventType": type_,
        "run": {"runId": run_id(run), "facets": run_facets or {}},
        "job": {"namespace": namespace, "name": job, "facets": job_facets},
        "inputs": inputs or [],
        "outputs": outputs or [],
    }


def job_event(at: str = "03:00:00", job: str = "orders.daily", **parts: Any) -> dict[str, Any]:
    facets = parts.pop("facets", {})
    return {**_head(at), "job": {"namespace": "warehouse", "name": job, "facets": facets}, **parts}


def dataset_event(at: str, named: dict[str, Any]) -> dict[str, Any]:
    return {**_head(at), "dataset": named}


def schema(**columns: str) -> dict[str, Any]:
    return {"fields": [{"name": name, "type": type_} for name, type_ in columns.items()]}


def made_from(column: str, source: str, source_column: str, subtype: str = "IDENTITY") -> dict[str, Any]:
    """A column lineage facet of one column."""
    step = {"type": "DIRECT", "subtype": subtype}
    field = {"namespace": SHOP, "name": source, "field": source_column, "transformations": [step]}
    return {"fields": {column: {"inputFields": [field]}}}


def _head(at: str) -> dict[str, Any]:
    moment = at if "T" in at else f"2026-03-02T{at}Z"
    return {"eventTime": moment, "producer": "https://example.com/test", "schemaURL": "https://openlineage.io/x"}
