"""How a column comes about: for each pipeline that makes it, the chain of expressions in its SQL, sources first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from catalog.models import Column, Table
from lineage.models import Problem, SqlVersion, TableEdge
from lineage.sql import Step, explain

LONGEST = 200_000  # characters: about a second of reading, the most that a page may wait for
MOST_BUILDERS = 10
GIVEN_UP = "worker_died"  # the problem of a text that no worker could read in time; a request must not try again


@dataclass(frozen=True)
class Explanation:
    """The chain in one pipeline's current SQL; `tables` finds the catalog's table behind a name that a step reads.

    Without steps, `why_not` says in words why there are none.
    """

    version: SqlVersion
    steps: tuple[Step, ...]
    tables: dict[str, Table]
    why_not: str


def explanations_of(column: Column) -> list[Explanation]:
    """One for each pipeline whose current SQL fills the column's table, by name, at most `MOST_BUILDERS`.

    Four queries, and a parse of each text; reads `column.table`.
    """
    edges = TableEdge.objects.filter(target_table=column.table_id, valid_to__isnull=True, sql_version__isnull=False)
    given_up = Problem.objects.filter(pipeline=OuterRef("pipeline"), code=GIVEN_UP)
    versions = list(
        SqlVersion.objects.filter(pk__in=edges.values("sql_version"))
        .select_related("pipeline")
        .annotate(is_given_up=Exists(given_up))
        .order_by("pipeline__name")[:MOST_BUILDERS]
    )
    tables = _tables_of(versions)
    return [_explanation(column, version, tables) for version in versions]


def _tables_of(versions: Iterable[SqlVersion]) -> list[tuple[int, Table]]:
    """(pipeline, table) for each table that those texts read or fill, columns along."""
    pipelines = [version.pipeline_id for version in versions]
    edges = TableEdge.objects.filter(pipeline__in=pipelines, valid_to__isnull=True)
    pairs = {
        (pipeline, table)
        for pipeline, *ends in edges.values_list("pipeline", "source_table", "target_table")
        for table in ends
        if table
    }
    found = Table.objects.select_related("source").prefetch_related("columns").in_bulk({table for _, table in pairs})
    return sorted(((pipeline, found[table]) for pipeline, table in pairs), key=lambda pair: pair[1].name)


def _explanation(column: Column, version: SqlVersion, pairs: list[tuple[int, Table]]) -> Explanation:
    tables = {table.name: table for pipeline, table in pairs if pipeline == version.pipeline_id}
    if version.is_given_up or len(version.sql) > LONGEST:
        why = (
            "Its SQL took too long to read" if version.is_given_up else f"Its SQL is longer than {LONGEST:,} characters"
        )
        return Explanation(version, (), tables, f"{why}; the lineage shows where the column comes from.")
    schema = {
        table.name: {known.name: known.type or None for known in table.columns.all()} for table in tables.values()
    }
    steps = explain(version.sql, column.table.name, column.name, version.dialect, schema)
    return Explanation(version, steps, tables, "" if steps else "No expression in its SQL makes this column by name.")


def table_read(name: str, tables: dict[str, Table]) -> Table | None:
    """The table that a step's `name` means: by its full name, else the only one that the name is the end of."""
    ends = [table for full, table in tables.items() if full == name or full.endswith(f".{name}")]
    return ends[0] if len(ends) == 1 else None
