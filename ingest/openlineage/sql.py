"""The SQL that a job ran: analysed, its names matched with the datasets of the job, stored as its SQL version.

SQL names tables as its session does (`mart.orders`), datasets carry the whole name (`shop.mart.orders`). A name that no
dataset of the job ends in makes a table only where it is as complete as theirs; else it is a problem.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlglot.dialects.dialect import Dialect

from catalog import ingested
from catalog.ingested import REPORTED
from catalog.models import Column, Table
from ingest.analyze_file import SqlText, analyze_file
from ingest.digests import digest
from ingest.fingerprints import fingerprint, lexis
from ingest.models import ReportedJob
from ingest.openlineage.facets import sql_of
from ingest.redact import redact
from lineage.facts import ERROR, WARNING, FileProblem, SqlLineage
from lineage.models import SqlVersion
from lineage.services import ColumnEdgeIds, PipelineLineage, end_lineage, replace_problems, store_lineage
from lineage.sql import ENGINE_VERSION

LONGEST = 100_000  # characters of SQL that are analysed while the sender waits
_SHAPE = 32  # characters of a version's key that stand for the SQL without its literals


def store_sql(job: ReportedJob, inputs: Collection[Table], outputs: Collection[Table], at: dt.datetime) -> None:
    """Bring the SQL version of a job's pipeline up to date, unless another ingest states its SQL.

    SQL that differs in literals alone (the date of the run) stays the same version, with the newest text.
    """
    if "sql" not in job.stamps or job.pipeline.stated_in not in ("", REPORTED):
        return
    query, dialect = sql_of(job.facets.get("sql"), "job.facets.sql")
    if not query.strip():
        end_lineage([job.pipeline_id], at)
        return
    tables = {table.pk: table for table in (*inputs, *outputs)}
    text = _text(job, query, _dialect(dialect, tables.values()), tables)
    key = _key(text, tables.values())
    current = SqlVersion.objects.filter(pipeline=job.pipeline_id, valid_to=None).defer("practices").first()
    if current is not None and current.key[:_SHAPE] == key[:_SHAPE] and current.sql != query:
        sql = redact(query)
        current.digest = hashlib.sha256(sql.encode("utf-8", "surrogatepass")).hexdigest()
        SqlVersion.objects.filter(pk=current.pk).update(sql=sql, digest=current.digest)
    if current is None or current.key != key:
        lineage = _analysed(text)
        names = _Names(tables.values(), at).of(lineage)
        store_lineage([_resolved(job, key, text.dialect, lineage, names)], at)
        problems = [(problem, job.pipeline_id) for problem in (*lineage.problems, *_unknown(text, lineage, names))]
        replace_problems(REPORTED, [text.path], problems, at)


def _text(job: ReportedJob, query: str, dialect: str, tables: Mapping[int, Table]) -> SqlText:
    columns: dict[str, dict[str, str]] = defaultdict(dict)
    listed = Column.objects.filter(table__in=tables, position__isnull=False).order_by("table", "position")
    for table, name, type_ in listed.values_list("table_id", "name", "type"):
        columns[tables[table].name][name] = type_
    return SqlText(
        path=f"{job.namespace}/{job.name}"[:1000],
        sql=query,
        dialect=dialect,
        database=_shared_database(tables.values()),
        schema="",
        columns=columns,
    )


def _dialect(stated: str, tables: Iterable[Table]) -> str:
    """The dialect that the job states, or that of the source of most of its tables."""
    if stated and Dialect.get(stated):
        return stated
    spoken = Counter(table.source.dialect for table in tables if table.source.dialect)
    return min(spoken, key=lambda name: (-spoken[name], name), default="")


def _shared_database(tables: Iterable[Table]) -> str:
    """The database of a job's tables, if it is one: where its SQL looks for names that say none."""
    parts = [table.name.split(".") for table in tables if "://" not in table.name]
    databases = {each[0] for each in parts if len(each) == 3}
    return databases.pop() if len(databases) == 1 else ""


def _key(text: SqlText, tables: Iterable[Table]) -> str:
    """What a version was read from: first the SQL's shape, then all else that its reading depends on."""
    shape = digest(fingerprint(lexis(text.dialect), text.sql))
    around = digest(
        str(ENGINE_VERSION), text.dialect, repr(sorted(table.pk for table in tables)), repr(dict(text.columns))
    )
    return (shape[:_SHAPE] + around)[:64]


def _analysed(text: SqlText) -> SqlLineage:
    if len(text.sql) <= LONGEST:
        return analyze_file(text)
    message = f"The SQL holds {len(text.sql):,} characters; {LONGEST:,} are analysed as it is reported."
    problem = FileProblem(text.path, "too_large", ERROR, f"{message} Ingest it from its repository instead.")
    return replace(analyze_file(replace(text, sql="")), sql=redact(text.sql), statements=1, problems=(problem,))


class _Names:
    """Which table a name in the SQL means."""

    def __init__(self, tables: Collection[Table], at: dt.datetime) -> None:
        self._tables = [(table.name.casefold().split("."), table) for table in tables if "://" not in table.name]
        self._files = {table.name: table.pk for table in tables if "://" in table.name}
        self._sources = {table.source_id: table.source for _, table in self._tables}
        self._parts = {len(parts) for parts, _ in self._tables}

    def of(self, lineage: SqlLineage) -> dict[str, int]:
        """{name: id of its table}, for the names that mean one."""
        names = {name for edge in lineage.table_edges for name in edge if name}
        names |= {edge[at] for edge in lineage.column_edges for at in (0, 2)}
        found = {name: table for name in names if (table := self._matching(name)) is not None}
        complete = [name for name in sorted(names - found.keys()) if self._is_complete(name)]
        if complete:
            source = next(iter(self._sources.values()))
            keys = {(source.slug, name) for name in complete}
            made = ingested.ensure_tables(keys, {source.slug: source.pk}, REPORTED)
            found |= {name: made[source.slug, name] for name in complete}
        return found

    def _matching(self, name: str) -> int | None:
        if name in self._files:
            return self._files[name]
        parts = name.casefold().split(".")
        near = [(known, table.pk) for known, table in self._tables if _ends_alike(known, parts)]
        same = [pk for known, pk in near if known == parts]
        return same[0] if same else near[0][1] if len(near) == 1 else None

    def _is_complete(self, name: str) -> bool:
        return "://" not in name and len(self._sources) == 1 and self._parts == {len(name.split("."))}


def _ends_alike(one: list[str], other: list[str]) -> bool:
    shared = min(len(one), len(other))
    return one[-shared:] == other[-shared:]


def _unknown(text: SqlText, lineage: SqlLineage, names: Mapping[str, int]) -> list[FileProblem]:
    named = {name for edge in lineage.table_edges for name in edge if name}
    message = "The SQL names {}, but no dataset of the job is called so, and where it lies is not known."
    return [
        FileProblem(text.path, "unknown_table", WARNING, message.format(name)) for name in sorted(named - names.keys())
    ]


def _resolved(
    job: ReportedJob, key: str, dialect: str, lineage: SqlLineage, names: Mapping[str, int]
) -> PipelineLineage:
    ends: dict[str, int | None] = {**names, "": None}
    table_edges = {(ends[a], ends[b]): None for a, b in lineage.table_edges if a in ends and b in ends}
    return PipelineLineage(
        pipeline=job.pipeline_id,
        key=key,
        dialect=dialect,
        read=lineage,
        table_edges=list(table_edges),
        column_edges=_column_edges(lineage, names),
    )


def _column_edges(lineage: SqlLineage, names: Mapping[str, int]) -> list[ColumnEdgeIds]:
    edges = [edge for edge in lineage.column_edges if edge[0] in names and edge[2] in names]
    wanted: dict[int, set[str]] = defaultdict(set)
    for source, column, target, target_column, *_ in edges:
        wanted[names[source]].add(column)
        wanted[names[target]].add(target_column)
    for columns in wanted.values():
        columns.discard("*")
    ids = ingested.ensure_columns(wanted)
    rows: dict[Any, None] = {}
    for source, column, target, target_column, *rest in edges:
        ends = (names[source], ids[names[source]].get(column), names[target], ids[names[target]].get(target_column))
        rows[(*ends, *rest)] = None
    return list(rows)
