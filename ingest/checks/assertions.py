"""A `checks.sql` of bigquery-etl, read as its own tool renders it: assertions under `#fail` or `#warn`. No database.

    #warn
    {{ not_null(["day", "client_id"], where="day = @submission_date") }}

Its macros become checks of our kinds; what is written out as SQL stays SQL. Its templates run in Jinja's sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from jinja2 import TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment

from audits.checks.kinds import BadParameters, read_parameters

_MARKER = re.compile(r"^[ \t]*#(fail|warn)\b.*$", re.MULTILINE)
_CALL = re.compile(r"\x01(\d+)\x01")
_COMMENT = re.compile(r"^\s*--\s?(.*)$", re.MULTILINE)
_MESSAGE = re.compile(r"(?:\bERROR\(\s*(?:CONCAT\(\s*)?|^ASSERT\b.*\bAS\s+)([\"'])(.+?)\1", re.DOTALL)

Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StatedCheck:
    """A check as the file states it; `name` is empty where its kind and parameters say enough."""

    kind: str
    parameters: Mapping[str, Any]
    severity: str
    name: str = ""
    description: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """By the names that a check has."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass
class Stated:
    """What a file states, and what of it could not be understood, in words."""

    checks: list[StatedCheck] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def read_assertions(text: str, table: Mapping[str, str]) -> Stated:
    """The checks of a file beside a table, whose `database`, `schema` and `table` its templates may name."""
    stated = Stated()
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
    try:
        rendered = _render(text, table, calls)
    except (TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        stated.faults.append(f"Its templates cannot be rendered: {error}")
        return stated
    before, *rest = _MARKER.split(rendered)
    if _CALL.search(before):
        stated.faults.append("An assertion stands before the first #fail or #warn: put one of them above it.")
    for severity, body in zip(rest[::2], rest[1::2], strict=True):
        for found in _checks(body, severity, calls):
            if isinstance(found, StatedCheck):
                stated.checks.append(found)
            else:
                stated.faults.append(found)
    return stated


def _render(text: str, table: Mapping[str, str], calls: list[Any]) -> str:
    """The text, with a number in the place of each call of a macro, which `calls` keeps."""

    def kept(name: str) -> Callable[..., str]:
        def macro(*args: Any, **kwargs: Any) -> str:
            calls.append((name, args, kwargs))
            return f"\x01{len(calls) - 1}\x01"

        return macro

    environment = SandboxedEnvironment()
    names = {"project_id": "database", "dataset_id": "schema", "table_name": "table"}
    told: dict[str, Any] = {name: table.get(part, "") for name, part in names.items()}
    unknown = meta.find_undeclared_variables(environment.parse(text)) - told.keys() - environment.globals.keys()
    return environment.from_string(text).render(told | {name: _Named(name, kept(name)) for name in unknown})


class _Named:
    """A name that a template uses: kept as written where it is shown, and noted where it is called."""

    def __init__(self, name: str, call: Callable[..., str]) -> None:
        self.name, self.call = name, call

    def __str__(self) -> str:
        return f"{{{{ {self.name} }}}}"

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        return self.call(*args, **kwargs)


def _checks(body: str, severity: str, calls: list[Any]) -> Iterator[StatedCheck | str]:
    """What stands under one marker: macros, or SQL that is written out."""
    description = " ".join(_COMMENT.findall(_CALL.sub("", body))).strip()
    numbers = [int(number) for number in _CALL.findall(body)]
    sql = _COMMENT.sub("", _CALL.sub("", body)).strip(" \t\r\n;")
    for number in numbers:
        yield from _of_call(*calls[number], severity=severity, description=description)
    if sql and not numbers:
        message = _MESSAGE.search(sql)
        name = " ".join((message[2] if message else description).split())
        yield from _checked("custom_sql", {"sql": sql}, severity, name, description)
    elif not numbers:
        yield f"Nothing stands under a #{severity}."


def _of_call(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], severity: str, description: str
) -> Iterator[StatedCheck | str]:
    macro = _MACROS.get(name)
    if macro is None:
        yield f"No macro {name} is known. Known are: {', '.join(_MACROS)}."
        return
    try:
        given = signature(macro).bind(*args, **kwargs).arguments
    except TypeError as error:
        yield f"{name}: {error}."
        return
    for kind, parameters in macro(**given):
        yield from _checked(kind, parameters, severity, "", description)


def _checked(
    kind: str, parameters: Parameters, severity: str, name: str, description: str
) -> Iterator[StatedCheck | str]:
    try:
        typed = read_parameters(kind, parameters)
    except BadParameters as error:
        yield f"{kind}: {error}"
        return
    yield StatedCheck(kind, typed.to_dict(), severity, (name or typed.title())[:300], description)


# Its macros (tests/checks/*.jinja there), with the same parameters


def _is_unique(columns: Any, where: str = "") -> Iterator[tuple[str, Parameters]]:
    yield "unique_key", {"columns": _listed(columns), "where": where}


def _not_null(columns: Any, where: str = "") -> Iterator[tuple[str, Parameters]]:
    for column in _listed(columns):
        yield "not_null", {"column": column, "where": where}


def _min_row_count(threshold: Any = 1, where: str = "") -> Iterator[tuple[str, Parameters]]:
    yield "row_count", {"min": threshold, "where": where}


def _accepted_values(column: str, values: Any, where: str = "") -> Iterator[tuple[str, Parameters]]:
    yield "accepted_values", {"column": column, "values": _listed(values), "where": where}


def _row_count_within_past_partitions_avg(
    number_of_days: Any, threshold_percentage: Any, partition_field: str = "submission_date"
) -> Iterator[tuple[str, Parameters]]:
    where = f"{partition_field} = @{partition_field}"
    yield "row_count_change", {"percent": threshold_percentage, "runs": number_of_days, "where": where}


def _in_range(columns: Any, min: Any = None, max: Any = None, where: str = "") -> Iterator[tuple[str, Parameters]]:
    for column in _listed(columns):
        yield _elsewhere(f"{column} lies between {_or_open(min)} and {_or_open(max)}", where)


def _value_length(column: str, expected_length: Any, where: str = "") -> Iterator[tuple[str, Parameters]]:
    yield _elsewhere(f"{column} is {expected_length} characters long", where)


def _matches_pattern(
    column: str, pattern: str, where: str = "", threshold_fail_percentage: Any = 0, message: str = ""
) -> Iterator[tuple[str, Parameters]]:
    most = f" in all but {threshold_fail_percentage} %" if threshold_fail_percentage else ""
    yield _elsewhere(f"{column} matches {pattern}{most}", where)


def _revenue_period_over_period_change(
    columns: Any,
    period_column: str,
    threshold: Any,
    dimensions: Any = None,
    date_where: str = "",
    field_where: str = "",
) -> Iterator[tuple[str, Parameters]]:
    by = f" by {', '.join(_listed(dimensions))}" if dimensions else ""
    for column in _listed(columns):
        yield _elsewhere(
            f"{column} changes by at most {threshold} from one {period_column} to the next{by}", field_where
        )


def _elsewhere(what: str, where: str) -> tuple[str, Parameters]:
    """A check that we have no kind for."""
    return "external", {"what": f"{what}, where {where}" if where else what}


def _or_open(bound: Any) -> str:
    return "anything" if bound is None else str(bound)


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


_MACROS: dict[str, Callable[..., Iterator[tuple[str, Parameters]]]] = {
    "accepted_values": _accepted_values,
    "in_range": _in_range,
    "is_unique": _is_unique,
    "matches_pattern": _matches_pattern,
    "min_row_count": _min_row_count,
    "not_null": _not_null,
    "revenue_period_over_period_change": _revenue_period_over_period_change,
    "row_count_within_past_partitions_avg": _row_count_within_past_partitions_avg,
    "value_length": _value_length,
}
