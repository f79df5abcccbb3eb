"""Artifacts of a small dbt project, written as dbt writes them, and the ingest of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ingest.dbt.services import Ingested, ingest_dbt, scope_of
from ingest.models import IngestRun
from ingest.runs import recorded

VERSION = "https://schemas.getdbt.com/dbt/manifest/v12.json"


def model(name: str, sql: str, *depends_on: str, **facts: Any) -> dict[str, Any]:
    """A model of the project `shop`, compiled, in the schema `mart`."""
    config = {"materialized": "table", **facts.pop("config", {})}
    return {
        "resource_type": "model",
        "package_name": "shop",
        "original_file_path": f"models/{name}.sql",
        "name": name,
        "database": "wh",
        "schema": "mart",
        "relation_name": f'"wh"."mart"."{name}"',
        "compiled_code": sql,
        "language": "sql",
        "config": config,
        "depends_on": {"macros": [], "nodes": list(depends_on)},
        "columns": {},
        "created_at": 1.5,
        **facts,
    }


def source(schema: str, name: str, **facts: Any) -> dict[str, Any]:
    return {
        "resource_type": "source",
        "package_name": "shop",
        "original_file_path": "models/sources.yml",
        "source_name": schema,
        "name": name,
        "relation_name": f'"wh"."{schema}"."{name}"',
        "columns": {},
        **facts,
    }


def data_test(name: str, node: str, test: str, column: str = "", **arguments: Any) -> dict[str, Any]:
    return {
        "resource_type": "test",
        "name": name,
        "attached_node": node,
        "column_name": column or None,
        "test_metadata": {"name": test, "kwargs": {"column_name": column, "model": "{{ … }}", **arguments}},
        "config": {"severity": "WARN"},
        "depends_on": {"nodes": [node]},
    }


def shop(**nodes: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a shop: one source, two models, a test, an exposure and a group; `nodes` go beside the models."""
    return {
        "metadata": {
            "dbt_schema_version": VERSION,
            "project_name": "shop",
            "adapter_type": "duckdb",
            "generated_at": "2026-03-01T02:00:00Z",
        },
        "nodes": {
            "model.shop.orders": model(
                "orders",
                'select id as order_id, amount from "wh"."raw"."orders"',
                "source.shop.raw.orders",
                group="finance",
                description="One row an order",
                columns={"order_id": {"name": "order_id", "description": "Its number", "data_type": "integer"}},
                primary_key=["order_id"],
                tags=["Core Data"],
            ),
            "model.shop.daily": model(
                "daily",
                'select amount, count(*) as n from "wh"."mart"."orders" group by amount',
                "model.shop.orders",
                meta={"owner": ["ann@example.com", "Data Platform"]},
            ),
            "test.shop.unique_orders": data_test("unique_orders", "model.shop.orders", "unique", "order_id"),
            **{f"model.shop.{name}": node for name, node in nodes.items()},
        },
        "sources": {"source.shop.raw.orders": source("raw", "orders", description="As the shop sends them")},
        "macros": {"macro.dbt.x": {"macro_sql": '{% macro x() %} "{{[" {% endmacro %}'}},
        "exposures": {
            "exposure.shop.takings": {
                "resource_type": "exposure",
                "package_name": "shop",
                "original_file_path": "models/exposures.yml",
                "name": "takings",
                "type": "dashboard",
                "label": "Takings",
                "url": "https://bi.example.com/1",
                "owner": {"name": "Ann", "email": "ann@example.com"},
                "depends_on": {"nodes": ["model.shop.daily"]},
            }
        },
        "groups": {
            "group.shop.finance": {"name": "finance", "owner": {"name": "Finance Data", "email": "fin@example.com"}}
        },
    }


def catalog(**tables: dict[str, str]) -> dict[str, Any]:
    """What the warehouse says of models: `catalog(orders={"order_id": "INTEGER"})`."""
    return {
        "nodes": {
            f"model.shop.{name}": {
                "metadata": {"type": "BASE TABLE"},
                "columns": {
                    column: {"name": column, "type": type_, "index": place}
                    for place, (column, type_) in enumerate(columns.items(), 1)
                },
                "stats": {"row_count": {"id": "row_count", "value": 42.0}, "has_stats": {"value": True}},
            }
            for name, columns in tables.items()
        },
        "sources": {},
    }


def results(which: str = "build", **states: str) -> dict[str, Any]:
    """The results of one invocation, model by model: `results(orders="success")`."""
    timing = [{"name": "execute", "started_at": "2026-03-01T01:00:00Z", "completed_at": "2026-03-01T01:00:09Z"}]
    return {
        "metadata": {"invocation_id": "0b1c", "generated_at": "2026-03-01T02:00:00Z"},
        "results": [
            {
                "unique_id": f"model.shop.{name}",
                "status": state,
                "timing": timing if state != "skipped" else [],
                "message": "no such table: x" if state == "error" else "OK",
                "adapter_response": {"rows_affected": 7},
            }
            for name, state in states.items()
        ],
        "args": {"which": which},
    }


def write_target(folder: Path, **artifacts: dict[str, Any]) -> Path:
    """`write_target(folder, manifest=…, run_results=…)`"""
    for name, content in artifacts.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def ingest(target: Path, **options: Any) -> Ingested:
    """`ingest_dbt` on record, in this process."""
    with recorded(IngestRun(kind="dbt", scope=scope_of(target), actor_name="ada")) as recorder:
        return ingest_dbt(target=target, recorder=recorder, **options)
