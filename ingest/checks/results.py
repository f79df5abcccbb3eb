"""Result files of Soda (`soda scan -srf FILE`) and Great Expectations (a validation or checkpoint result), as typed
values. What they measured keeps its own name; what Pipekeeper knows too becomes a check of that kind. No database."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ingest.yaml_files import YamlError, load_yaml

SODA, GREAT_EXPECTATIONS = "soda", "great_expectations"
_SODA_STATES = {"pass": "pass", "warn": "warn", "fail": "fail"}
_COLUMNS = ("column", "column_list", "table")
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
    detail: str = ""  # what tells it from another of the same name


def read_results(document: Any) -> list[ToolResult]:
    """The results in a file, whichever of the two tools wrote it. Raises NoResults."""
    return list(_told_apart(_read(document)))


def _told_apart(results: list[ToolResult]) -> Iterator[ToolResult]:
    """Each by a name of its own: two expectations of one kind and column differ in more than their name says."""
    times = Counter((result.table, result.name) for result in results)
    for result in results:
        is_alone = times[result.table, result.name] == 1 or not result.detail
        yield result if is_alone else replace(result, name=f"{result.name}: {result.detail}")


def _read(document: Any) -> list[ToolResult]:
    if isinstance(document, Mapping):
        if isinstance(document.get("checks"), list) and "dataTimestamp" in document:
            return list(_soda(document))
        if isinstance(document.get("run_results"), Mapping):
            return [each for part in document["run_results"].values() for each in _of_checkpoint(part)]
        if isinstance(document.get("results"), list) and "success" in document:
            return list(_great_expectations(document))
        if isinstance(document.get("validation_results"), list):
            raise NoResults(
                "It is what CheckpointResult.describe() writes, which says neither when nor of which table. Give each "
                "validation result's to_json_dict(), or the files of the store of validation results."
            )
    raise NoResults(
        "It is neither Soda's scan result (`soda scan -srf FILE`) nor a result of Great Expectations' validation or "
        "checkpoint."
    )


# Soda


def _soda(document: Mapping[str, Any]) -> Iterator[ToolResult]:
    at = _moment(document.get("scanEndTimestamp") or document.get("dataTimestamp"))
    if document.get("hasErrors") and not document["checks"]:
        raise NoResults("Soda's scan ended in an error before it had any result. Its log says why.")
    for check in document["checks"]:
        if not isinstance(check, Mapping) or not check.get("table"):
            continue
        said = _soda_definition(check)
        name, column = str(check.get("name") or said.text or "check"), str(check.get("column") or "")
        diagnostics = check.get("diagnostics")
        diagnostics = diagnostics if isinstance(diagnostics, Mapping) else {}
        kind, parameters = _soda_kind(said, column, diagnostics)
        yield ToolResult(
            tool=SODA,
            table=str(check["table"]),
            name=f"{name} ({column})" if column and column not in name else name,
            kind=kind,
            parameters=parameters,
            state=_SODA_STATES.get(str(check.get("outcome")), "error"),
            at=at,
            key=f"soda {at.isoformat()}",
            value=_soda_value(kind, diagnostics),
            words=_soda_words(check, diagnostics),
            detail=str(check.get("identity") or ""),
        )


@dataclass(frozen=True)
class _SodaDefinition:
    """`duplicate_count(a, b) < 5` and what stands below it; of a named check this is not its name."""

    text: str
    more: Mapping[str, Any]

    @property
    def metric(self) -> str:
        return (re.match(r"\w*", self.text) or [""])[0]

    @property
    def columns(self) -> list[str]:
        asked = re.match(r"\w+\(([^)]*)\)", self.text)
        return [part.strip() for part in asked[1].split(",") if part.strip()] if asked else []


def _soda_definition(check: Mapping[str, Any]) -> _SodaDefinition:
    """Out of `checks for orders:` and the one check in SodaCL, which Soda writes with and without a dash."""
    below = str(check.get("definition") or "").partition("\n")[2].strip() or str(check.get("name") or "")
    try:
        content = load_yaml(below)
    except YamlError:
        content = None
    first = content[0] if isinstance(content, list) and content else content
    if isinstance(first, Mapping) and len(first) == 1:
        text, more = next(iter(first.items()))
        return _SodaDefinition(str(text).strip(), more if isinstance(more, Mapping) else {})
    return _SodaDefinition(first.strip() if isinstance(first, str) else below, {})


def _soda_kind(said: _SodaDefinition, column: str, diagnostics: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """What a check in SodaCL is among our kinds."""
    columns = said.columns or ([column] if column else [])
    bounds = _soda_bounds(diagnostics.get("fail"))
    values = said.more.get("valid values")
    hours = _hours(said.text.partition("<")[2]) if said.metric == "freshness" else None
    if said.metric == "row_count" and bounds:
        return "row_count", bounds
    if said.metric == "duplicate_count" and columns and not bounds.get("max"):
        return "unique_key", {"columns": columns}
    if said.metric == "missing_count" and len(columns) == 1:
        return "not_null", {"column": columns[0], **{name: most for name, most in bounds.items() if name == "max"}}
    if said.metric == "invalid_count" and len(columns) == 1 and isinstance(values, list):
        return "accepted_values", {"column": columns[0], "values": values}
    if hours and len(columns) == 1:
        return "freshness", {"column": columns[0], "hours": hours}
    return "external", {"what": str(said.text or "check")[:1000]}


def _soda_bounds(fail: Any) -> dict[str, int]:
    """Between which counts a check does not fail: `{"lessThan": 1, "greaterThan": 5}` is min 1 and max 5."""
    if not isinstance(fail, Mapping):
        return {}
    steps = {
        "lessThan": ("min", 0),
        "lessThanOrEqual": ("min", 1),
        "greaterThan": ("max", 0),
        "greaterThanOrEqual": ("max", -1),
    }
    found = {}
    for key, (name, step) in steps.items():
        bound = _number(fail.get(key))
        if bound is not None and bound == int(bound) and bound + step >= 0:
            found[name] = int(bound) + step
    return found


def _hours(text: str) -> float | None:
    """`1d12h` as 36; None where it is written otherwise."""
    parts = re.findall(r"(\d+)([dhm])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(int(number) * {"d": 24, "h": 1, "m": 1 / 60}[unit] for number, unit in parts)


def _soda_value(kind: str, diagnostics: Mapping[str, Any]) -> float | None:
    """As Soda measured it; an age comes in milliseconds, and we keep hours."""
    value = _number(diagnostics.get("value"))
    return round(value / 3_600_000, 4) if value is not None and kind == "freshness" else value


def _soda_words(check: Mapping[str, Any], diagnostics: Mapping[str, Any]) -> str:
    reasons = [each.get("message") for each in check.get("outcomeReasons") or [] if isinstance(each, Mapping)]
    if said := " ".join(str(reason) for reason in reasons if reason):
        return said[:500]
    if check.get("outcome") is None:
        return "Soda did not evaluate it."
    value = diagnostics.get("freshness", diagnostics.get("value"))
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
        detail=", ".join(f"{name} = {value}" for name, value in sorted(kwargs.items()) if name not in _COLUMNS),
    )


def _expected(what: str, kwargs: Mapping[str, Any], columns: list[str]) -> tuple[str, Mapping[str, Any]]:
    if kwargs.get("row_condition") or kwargs.get("mostly") not in (None, 1):
        return "external", {"what": f"{what} {kwargs}"[:1000]}
    if what in ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique") and columns:
        return "unique_key", {"columns": columns}
    if what == "expect_column_values_to_not_be_null" and columns:
        return "not_null", {"column": columns[0]}
    if what == "expect_table_row_count_to_equal" and kwargs.get("value") is not None:
        return "row_count", {"min": kwargs["value"], "max": kwargs["value"]}
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
