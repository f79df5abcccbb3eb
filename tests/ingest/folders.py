"""Small repositories made on the spot, and the ingest of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog.models import Pipeline, Table
from ingest.layout import read_layout
from ingest.services import Outcome, ingest_repo
from ingest.settings import overridden, read_settings
from lineage.models import ColumnEdge, Problem, TableEdge


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Files by path; a text is written as UTF-8."""
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def ingest(folder: Path, layout: str = "", **options: Any) -> Outcome:
    """`ingest_repo` in this process, with the folder's own settings."""
    given = {
        key: options.pop(key) for key in ("dialect", "source", "default_database", "default_schema") if key in options
    }
    settings = overridden(read_settings(folder), layout=layout, **given)
    options = {"jobs": 0, "scope": "shop", **options}
    return ingest_repo(folder=folder, layout=read_layout(settings.layout or "plain"), settings=settings, **options)


def edges(**where: Any) -> set[tuple[str, str]]:
    """Names at both ends of the current table edges; "" where there is no end."""
    rows = TableEdge.objects.filter(valid_to=None, **where).values_list("source_table__name", "target_table__name")
    return {(source or "", target or "") for source, target in rows}


def column_edges(kind: str = "", **where: Any) -> set[tuple[str, str]]:
    """`table.column` at both ends of the current column edges; `table.*` for all rows."""
    if kind:
        where["kind"] = kind
    rows = ColumnEdge.objects.filter(valid_to=None, **where).values_list(
        "source_table__name", "source_column__name", "target_table__name", "target_column__name"
    )
    return {(f"{a}.{b or '*'}", f"{c}.{d or '*'}") for a, b, c, d in rows}


def problems(**where: Any) -> list[tuple[str, str, int | None]]:
    """(path, code, line) of the problems, in order of path."""
    return list(Problem.objects.filter(**where).order_by("path", "line", "code").values_list("path", "code", "line"))


def pipeline(name: str) -> Pipeline:
    return Pipeline.objects.get(name=name)


def table(name: str) -> Table:
    return Table.objects.get(name=name)


def columns(name: str) -> list[tuple[str, str, int | None]]:
    """(name, type, position) of a table's columns in order of position, those without one last."""
    found = table(name).columns.values_list("name", "type", "position")
    return sorted(found, key=lambda column: (column[2] is None, column[2] or 0, column[0]))
