"""What one logged query reads and writes, read off its SQL by the engine. No Django: worker processes import this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lineage.sql import Analysis, analyze


@dataclass(frozen=True)
class Reading:
    """What a query does to tables, under the names it uses.

    `reads` are tables that it only reads, with the columns it names; `edges` are (source, target) of what it writes,
    the source empty for a write that reads nothing. `problem` says what could not be read. `behind` are those of the
    reads that the query does not name itself, because they lie behind a view; `maybe` are names that count only if the
    catalog has them.
    """

    reads: dict[str, list[str]] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    problem: str = ""
    behind: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        return {"reads": self.reads, "edges": [list(edge) for edge in self.edges]}

    @classmethod
    def from_json(cls, stored: dict[str, Any], problem: str = "") -> Reading:
        return cls(stored["reads"], [(source, target) for source, target in stored["edges"]], problem)


def read_queries(payload: tuple[str, list[str]]) -> list[Reading]:
    """The readings of a batch of (dialect, texts): one job of a worker process."""
    dialect, texts = payload
    return [read_query(text, dialect) for text in texts]


def read_query(sql: str, dialect: str) -> Reading:
    """One query. Schemas are not asked, because the answer is remembered longer than schemas hold."""
    return reading_of(analyze(sql, dialect))


def reading_of(analysis: Analysis) -> Reading:
    """Reads, edges and problem of an analysis; what could be read counts even where the rest could not.

    A script that writes has its temporary tables collapsed into its edges, so that only plain queries in it are reads.
    """
    edges = [
        (source, target)
        for statement in analysis.statements
        for target in statement.outputs
        for source in (*(name for name in statement.inputs if name != target),) or ("",)
    ]
    if analysis.outputs:
        plain = [each for each in analysis.statements if not each.outputs and each.kind != "CREATE"]
        reads = sorted({name for statement in plain for name in statement.inputs})
    else:
        reads = list(analysis.inputs)
    columns = _named_columns(analysis)
    errors = [problem.message for problem in analysis.problems if problem.severity == "error"]
    return Reading({name: columns.get(name, []) for name in reads}, sorted(set(edges)), "; ".join(errors[:3]))


def is_system_table(name: str) -> bool:
    """information_schema.columns, pg_class, db.sys.tables, SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY, …"""
    parts = name.lower().split(".")
    if any(part in _SYSTEM_SCHEMAS for part in parts[:-1]):
        return True
    return len(parts) <= 2 and parts[-1].startswith(_SYSTEM_PREFIXES) or parts[0] in ("snowflake", "system")


_SYSTEM_SCHEMAS = frozenset(
    {"information_schema", "pg_catalog", "account_usage", "performance_schema", "sys", "pg_internal"}
)
_SYSTEM_PREFIXES = ("pg_", "svv_", "svl_", "stl_", "stv_", "sys_query", "duckdb_", "sqlite_")


def _named_columns(analysis: Analysis) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for edge in analysis.column_edges:
        table, column = edge.source
        if edge.target[0] == "" and column != "*":
            found.setdefault(table, set()).add(column)
    return {table: sorted(columns) for table, columns in found.items()}
