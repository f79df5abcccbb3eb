"""What an ingest reads off SQL, as small typed values: made in worker processes without Django, then stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What is wrong with a file; `line` counts from 1, `statement` from 0, as the engine counts them."""

    path: str
    code: str
    severity: str
    message: str
    line: int | None = None
    statement: int | None = None


# source table, source column, target table, target column, kind, basis, statement, path
ColumnEdgeRow = tuple[str, str, str, str, str, str, int, str | None]


@dataclass(frozen=True, slots=True)
class SqlLineage:
    """What a worker answers. Names are the engine's; "" as an end of a table edge says that there is none.

    `columns_named` counts the columns that the SQL names, `columns_found` those whose table is known for sure; a star
    that could not be expanded is one that was not. `columns` are those of each output: (complete, ((name, type), …)).
    """

    path: str
    sql: str
    digest: str
    statements: int
    statements_read: int
    columns_named: int
    columns_found: int
    table_edges: tuple[tuple[str, str], ...]
    column_edges: tuple[ColumnEdgeRow, ...]
    columns: Mapping[str, tuple[bool, tuple[tuple[str, str], ...]]]
    table_kinds: Mapping[str, str]
    practices: Mapping[str, Any]
    problems: tuple[FileProblem, ...]
