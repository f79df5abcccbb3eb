"""Result files of Soda (`soda scan -srf FILE`) and Great Expectations (a validation or checkpoint result), as typed
values. What they measured keeps its own name; what Pipekeeper knows too becomes a check of that kind. No database."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SODA, GREAT_EXPECTATIONS = "soda", "great_expectations"
_SODA_STATES = {"pass": "pass", "warn": "warn", "fail": "fail"}
_BETWEEN = "expect_table_row_count_to_be_between"


class NoResults(ValueError):
    """Why a file holds no results, in words."""


@dataclass(frozen=True)
class ToolResult:
    """A result as a tool wrote it: of a table by the name that the tool uses."""

    tool: str
    table: str
    name: str
    kind: str
    parameters: Mapping[str, Any]
    state: str
    at: dt.datetime
    key: str
    value: float | None = None
    words: str = ""
    severity: str = "fail"


def read_results(document: Any) -> list[ToolResult]:
    """The results in a file, whichever of the two tools wrote it. Raises NoResults."""
    if isinstance(document, Mapping):
        if isinstance(document.get("checks"), list) and "dataTimestamp" in document:
            return list(_soda(document))
        if isinstance(document.get("run_results"), Mapping):
            return [each for part in document["run_results"].values() for each in _of_checkpoint(part)]
        if isinstance(document.get("results"), list) and "success" in document:
            return list(_great_expectations(document))
    raise NoResults(
        "It is neither Soda's scan result (`soda scan -srf FILE`) nor a result of Great Expectations' validation or "
        "checkpoint."
    )


# Soda


def _soda(document: Mapping[str, Any]) -> Iterator[ToolResult]:
    at = _moment(document.get("scanEndTimestamp") or document.get("dataTimestamp"))
    for check in document["checks"]:
        if not isinstance(check, Mapping) or not check.get("table"):
            continue
        name = str(check.get("name") or check.get("definition") or "check")
        kind, parameters = _soda_kind(name, check.get("column"))
        diagnostics = check.get("diagnostics") or {}
        yield ToolResult(
            tool=SODA,
            table=str(check["table"]),
            name=f"{name} ({check['column']})" if check.get("column") and str(check["column"]) not in name else name,
            kind=kind,
            parameters=parameters,
            state=_SODA_STATES.get(str(check.get("outcome")), "error"),
            at=at,
            key=f"soda {at.isoformat()}",
            value=_number(diagnostics.get("value")) if isinstance(diagnostics, Mapping) else None,
            words=_said(diagnostics),
        )


def _soda_kind(name: str, column: Any) -> tuple[str, Mapping[str, Any]]:
    """What SodaCL's `duplicate_count(a, b) = 0` is among our kinds."""
    asked = re.match(r"(\w+)(?:\(([^)]*)\))?", name.strip())
    metric = asked[1] if asked else ""
    columns = [part.strip() for part in (asked[2] or "").split(",") if part.strip()] if asked else []
    columns = columns or ([str(column)] if column else [])
    if metric == "duplicate_count" and columns:
        return "unique_key", {"columns": columns}
    if metric == "missing_count" and len(columns) == 1:
        return "not_null", {"column": columns[0]}
    return "external", {"what": name[:1000]}


def _said(diagnostics: Any) -> str:
    value = diagnostics.get("value") if isinstance(diagnostics, Mapping) else None
    return "" if value is None else f"Soda measured {value}."


# Great Expectations


def _of_checkpoint(part: Any) -> list[ToolResult]:
    result = part.get("validation_result", part) if isinstance(part, Mapping) else None
    return list(_great_expectations(result)) if isinstance(result, Mapping) and "results" in result else []


def _great_expectations(document: Mapping[str, Any]) -> Iterator[ToolResult]:
    meta = document.get("meta") or {}
    run, markers = meta.get("run_id") or {}, meta.get("batch_markers") or {}
    at = _moment(run.get("run_time") or markers.get("ge_load_time") or meta.get("validation_time"))
    asset = meta.get("active_batch_definition") or meta.get("batch_spec") or {}
    table = str(asset.get("data_asset_name") or asset.get("table_name") or meta.get("data_asset_name") or "")
    for entry in document["results"]:
        if isinstance(entry, Mapping) and isinstance(entry.get("expectation_config"), Mapping):
            yield _expectation(entry, entry["expectation_config"], table, at)


def _expectation(entry: Mapping[str, Any], config: Mapping[str, Any], table: str, at: dt.datetime) -> ToolResult:
    what = str(config.get("type") or config.get("expectation_type") or "expectation")
    kwargs = {name: value for name, value in (config.get("kwargs") or {}).items() if name != "batch_id"}
    columns = kwargs.get("column_list") or ([kwargs["column"]] if kwargs.get("column") else [])
    result = entry.get("result") or {}
    found = result.get("unexpected_count", result.get("observed_value"))
    raised = _exception(entry.get("exception_info"))
    kind, parameters = _expected(what, kwargs, [str(column) for column in columns])
    return ToolResult(
        tool=GREAT_EXPECTATIONS,
        table=str(kwargs.get("table") or table),
        name=f"{what}({', '.join(map(str, columns))})" if columns else what,
        kind=kind,
        parameters=parameters,
        state="error" if raised else "pass" if entry.get("success") else "fail",
        at=at,
        key=f"great_expectations {at.isoformat()}",
        value=_number(found),
        words=raised or ("" if found is None else f"Great Expectations found {found}."),
        severity="warn" if str(config.get("severity")) in ("info", "warning") else "fail",
    )


def _expected(what: str, kwargs: Mapping[str, Any], columns: list[str]) -> tuple[str, Mapping[str, Any]]:
    if what in ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique") and columns:
        return "unique_key", {"columns": columns}
    if what == "expect_column_values_to_not_be_null" and columns:
        return "not_null", {"column": columns[0]}
    bounds = {name: kwargs[f"{name}_value"] for name in ("min", "max") if kwargs.get(f"{name}_value") is not None}
    if what == _BETWEEN and bounds:
        return "row_count", bounds
    if what == "expect_column_values_to_be_in_set" and columns and kwargs.get("value_set"):
        return "accepted_values", {"column": columns[0], "values": kwargs["value_set"]}
    return "external", {"what": f"{what} {kwargs}"[:1000]}


def _exception(info: Any) -> str:
    """The message of an exception; newer versions keep one for each metric."""
    if not isinstance(info, Mapping):
        return ""
    parts = [info, *(each for each in info.values() if isinstance(each, Mapping))]
    raised = next((part for part in parts if part.get("raised_exception")), None)
    return str(raised.get("exception_message") or "It raised an exception.")[:500] if raised else ""


# Values


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _moment(value: Any) -> dt.datetime:
    """A moment of the file; without a zone it is in UTC. Raises NoResults."""
    try:
        moment = dt.datetime.fromisoformat(str(value))
    except ValueError as error:
        raise NoResults(f"Its time, {str(value)[:60]!r}, cannot be read.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
