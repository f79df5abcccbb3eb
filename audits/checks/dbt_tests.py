"""dbt's tests among our kinds of checks, as `ingest_dbt` keeps them beside their table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audits.checks.kinds import BadParameters, read_parameters

_COMBINATIONS = ("dbt_utils.unique_combination_of_columns", "dbt_expectations.expect_compound_columns_to_be_unique")


def as_check(test: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Kind and parameters of a test; one that Pipekeeper does not measure itself is `external`."""
    kind, parameters = _same(str(test.get("test")), str(test.get("column") or ""), test.get("arguments") or {})
    try:
        return kind, read_parameters(kind, parameters).to_dict()
    except BadParameters:
        return "external", {"what": name_of(test)}


def _same(test: str, column: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    where = {"where": arguments["where"]} if arguments.get("where") else {}
    if test == "unique":
        return "unique_key", {"columns": [column], **where}
    if test == "not_null":
        return "not_null", {"column": column, **where}
    if test == "accepted_values":
        return "accepted_values", {"column": column, "values": arguments.get("values"), **where}
    if test in _COMBINATIONS:
        columns = arguments.get("combination_of_columns") or arguments.get("column_list")
        return "unique_key", {"columns": columns, **where}
    return "external", {}


def name_of(test: Mapping[str, Any]) -> str:
    """dbt's own name of a test: `unique_orders_id` of `test.shop.unique_orders_id.f0ad`."""
    parts = str(test.get("id") or "").split(".")
    return parts[2] if len(parts) > 2 else ".".join(parts)


def severity_of(test: Mapping[str, Any]) -> str:
    """Ours of dbt's: its `error` fails."""
    return "warn" if test.get("severity") == "warn" else "fail"
