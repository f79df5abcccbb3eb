"""`catalog.json` as small values: the tables as the warehouse itself describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any

from ingest.dbt.json_files import check_nesting, entries

_KINDS = {"materialized view": "materialized_view", "view": "view", "external": "external_table", "table": "table"}
_ROWS, _BYTES = ("row_count", "num_rows", "rows"), ("bytes", "num_bytes")


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A table as the warehouse has it; `columns` in their order, as (name, type, comment)."""

    kind: str
    columns: tuple[tuple[str, str, str], ...]
    rows: int | None
    size: int | None


def read_catalog(path: Path) -> dict[str, CatalogTable]:
    """Tables by the id of their node. Raises BadArtifact."""
    check_nesting(path)
    return {key: _table(data) for section in ("nodes", "sources") for key, data in entries(path, section)}


def _table(data: Mapping[str, Any]) -> CatalogTable:
    columns = [column for column in (data.get("columns") or {}).values() if isinstance(column, dict)]
    columns.sort(key=lambda column: column.get("index") or 0)
    stats = data.get("stats") or {}
    return CatalogTable(
        kind=_kind(str((data.get("metadata") or {}).get("type") or "").lower().replace("_", " ")),
        columns=tuple(
            (
                intern(str(column.get("name") or "")),
                intern(str(column.get("type") or "")),
                str(column.get("comment") or ""),
            )
            for column in columns
        ),
        rows=_number(stats, _ROWS),
        size=_number(stats, _BYTES),
    )


def _kind(type_: str) -> str:
    return next((kind for word, kind in _KINDS.items() if word in type_), "")


def _number(stats: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = (stats.get(name) or {}).get("value")
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return int(value)
    return None
