"""Checks worth having, read off what is known of a table: its keys, how its builders load and group it, its history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from audits.checks.dbt_tests import as_check, name_of
from audits.checks.keys import keys_in_sql
from audits.checks.kinds import read_parameters
from audits.checks.models import Check
from catalog.models import Table
from lineage.models import SqlVersion, TableEdge

_MOST_BUILDERS = 5  # whose SQL is read for one table
_MOST_SQL = 100_000  # characters of it


@dataclass(frozen=True)
class Proposal:
    """A check that could be made, and why."""

    kind: str
    parameters: Mapping[str, Any]
    because: str

    @property
    def title(self) -> str:
        """What it would be called."""
        return read_parameters(self.kind, self.parameters).title()


def proposals_of(table: Table, checks: Iterable[Check]) -> list[Proposal]:
    """What is proposed for a table that its checks do not do yet. Two queries."""
    done = {(check.kind, _key(check.parameters)) for check in checks}
    found: dict[tuple[str, Any], Proposal] = {}
    for proposal in _proposed(table):
        key = proposal.kind, _key(proposal.parameters)
        if key not in done:
            found.setdefault(key, proposal)
    return list(found.values())


def _key(parameters: Mapping[str, Any]) -> Any:
    """What two checks of one kind have in common where they do the same: their columns."""
    columns = parameters.get("columns") or [parameters.get("column")]
    return frozenset(str(name).lower() for name in columns if name)


def _proposed(table: Table) -> Iterator[Proposal]:
    columns = list(table.columns.all())
    known = {column.name.lower(): column.name for column in columns}
    primary = [column.name for column in columns if column.is_primary_key]
    if primary:
        yield Proposal("unique_key", {"columns": primary}, "They are the table's primary key.")
        for name in primary:
            yield Proposal("not_null", {"column": name}, "It is part of the primary key.")
    for test in table.ingested.get("tests", ()):
        kind, parameters = as_check(test)
        if kind != Check.Kind.EXTERNAL:
            yield Proposal(kind, parameters, f"dbt tests it: {name_of(test)}.")
    for version, pipeline in _builders(table):
        for key in keys_in_sql(version.sql, version.dialect, table.name):
            names = [known.get(name.lower(), "") for name in key.columns]
            if names and all(names):
                yield Proposal("unique_key", {"columns": names}, f"{pipeline} {key.words}.")
    if not primary and columns:
        yield Proposal("duplicate_rows", {"max": 0}, "No row should be there twice.")
    yield Proposal("usual_row_count", {"deviations": 5, "weeks": 8}, "Learns from its own history what is usual.")


def _builders(table: Table) -> list[tuple[SqlVersion, str]]:
    """The current SQL of what writes the table, with the pipelines' names. One query."""
    edges = TableEdge.objects.filter(target_table=table, valid_to__isnull=True)
    versions = SqlVersion.objects.filter(pipeline__in=edges.values("pipeline"), valid_to__isnull=True)
    found = versions.select_related("pipeline").order_by("pipeline__name")[:_MOST_BUILDERS]
    return [(version, version.pipeline.name) for version in found if len(version.sql) <= _MOST_SQL]
