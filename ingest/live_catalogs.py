"""What a live database says of itself: its tables, views, columns, sizes and scans, by a few queries over its catalog.

One entry of SYSTEMS for each system. Its queries are set-based: as many for 5,000 tables as for five. Every query
answers with the columns that its reader below names, in that order.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlglot import exp

from catalog.addresses import ConnectionProblem
from catalog.bulk import chunks
from catalog.connections import OpenSource
from catalog.facts import ColumnFact
from lineage.sql.dialects import dotted, language

MOST_ROWS = 5_000_000  # of one answer
SECONDS = 300.0  # for one query
Row = tuple[Any, ...]
_TABLE = itemgetter(0, 1, 2)  # of a row: database, schema, table


@dataclass(frozen=True, slots=True)
class LiveTable:
    """A table or view as the database has it; None where it does not say. `rows` may be its estimate."""

    name: str
    kind: str
    description: str = ""
    rows: int | None = None
    size_bytes: int | None = None
    created_at: dt.datetime | None = None
    view_sql: str = ""
    columns: tuple[ColumnFact, ...] = ()


@dataclass(frozen=True, slots=True)
class Scans:
    """How often a table was scanned since the statistics began, and when last, where the database keeps that."""

    count: int
    last_at: dt.datetime | None


@dataclass(frozen=True)
class LiveCatalog:
    """All of a database. `rights` stands for what the user may see, where the catalog shows no more than that."""

    database: str
    schema: str
    tables: Mapping[str, LiveTable]
    scans: Mapping[str, Scans] = field(default_factory=dict)
    rights: str = ""


@dataclass(frozen=True)
class System:
    """How one system is asked.

    `here` answers one row (database, default schema). `tables`: database, schema, table, kind, comment, rows, bytes,
    created at, view's SQL. `columns`: database, schema, table, column, type, comment, in primary key; a table's one
    after another, in order of place. `scans`: database, schema, table, count, last at. `rights`: any rows that change
    with what one may see.
    """

    here: str
    tables: str
    columns: str
    scans: str = ""
    rights: str = ""
    sizes: Callable[[OpenSource, list[Row]], list[Row]] = lambda connection, rows: rows


def read_live_catalog(
    connection: OpenSource, progress: Callable[[str, int, int], None] = lambda *_: None
) -> LiveCatalog:
    """Everything at once, before anything is stored: a database that goes away leaves nothing half-written."""
    system = SYSTEMS.get(connection.dialect)
    if system is None:
        raise ConnectionProblem(f"Crawling {connection.dialect} is not known; {', '.join(SYSTEMS)} are.")
    steps = iter(range(4))

    def ask(sql: str) -> list[Row]:
        progress("Asking the database", next(steps), 4)
        return _all_rows(connection, sql) if sql else []

    tables = system.sizes(connection, ask(system.tables))
    columns, scans, rights = ask(system.columns), ask(system.scans), ask(system.rights)
    ((database, schema),) = connection.run(system.here).rows
    namer = _Namer(connection.dialect)
    listed = {names: tuple(namer.column(row[3:]) for row in rows) for names, rows in groupby(columns, _TABLE)}
    made = (_live_table(row, listed.get(row[:3], ()), namer) for row in tables)
    return LiveCatalog(
        database=namer.part(database or ""),
        schema=namer.part(schema or ""),
        tables={table.name: table for table in made},
        scans={namer.table(row[:3]): Scans(int(row[3] or 0), row[4]) for row in scans},
        rights=hashlib.sha256(repr(sorted(map(repr, rights))).encode()).hexdigest() if rights else "",
    )


def _all_rows(connection: OpenSource, sql: str) -> list[Row]:
    answer = connection.run(f"/* pipekeeper crawl */ {sql}", timeout=SECONDS, max_rows=MOST_ROWS)
    if answer.truncated:
        raise ConnectionProblem(f"The database has over {MOST_ROWS:,} columns: give Pipekeeper a user who sees fewer.")
    return answer.rows


def _live_table(row: Row, columns: tuple[ColumnFact, ...], namer: _Namer) -> LiveTable:
    *names, kind, comment, rows, size, created_at, sql = row
    return LiveTable(
        name=namer.table(tuple(names)),
        kind=kind,
        description=comment or "",
        rows=None if rows is None or rows < 0 else int(rows),
        size_bytes=None if size is None else int(size),
        created_at=created_at.replace(tzinfo=created_at.tzinfo or dt.UTC) if created_at else None,
        view_sql=sql or "",
        columns=columns,
    )


class _Namer:
    """Names of the database in the normal form that the engine gives them when it reads them quoted."""

    def __init__(self, dialect: str) -> None:
        self.language = language(dialect)
        # the same come again and again: schemas, and columns like id
        self.part = cache(self._part)
        self.column = cache(self._column)

    def _part(self, name: str) -> str:
        return self.language.part(exp.to_identifier(name, quoted=True)) if name else ""

    def _column(self, row: Row) -> ColumnFact:
        name, type_, comment, is_key = row
        name = self.language.column(exp.to_identifier(name, quoted=True))
        return ColumnFact(name, type_ or "", comment or "", bool(is_key))

    def table(self, names: tuple[Any, ...]) -> str:
        return dotted([self.part(name) for name in names if name])


# PostgreSQL. pg_class shows every table, whatever the user may read of it. Partitions are part of their table; what
# belongs to an extension is nobody's table.
_PG_TABLES = """
WITH plain AS MATERIALIZED (
    SELECT set_config('search_path', 'pg_catalog', true) AS path,  -- so that views name their tables in full
        set_config('lock_timeout', '30s', true) AS patience
), locked AS MATERIALIZED (  -- rewritten at this moment: to ask for their size would wait until that is done
    SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), own AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples, c.relispartition,
        CASE WHEN c.relkind IN ('r', 'm') AND c.oid NOT IN (SELECT relation FROM locked)
            THEN pg_total_relation_size(c.oid) END AS bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), parts AS (
    SELECT pg_partition_root(oid) AS root, sum(nullif(reltuples, -1)) AS rows,
        CASE WHEN bool_and(bytes IS NOT NULL) THEN sum(bytes) END AS bytes
    FROM own WHERE relispartition AND relkind = 'r' GROUP BY 1
)
SELECT current_database()::text, own.nspname::text, own.relname::text,
    CASE own.relkind
        WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized_view' WHEN 'f' THEN 'external_table' ELSE 'table' END,
    about.description,
    CASE own.relkind WHEN 'v' THEN NULL WHEN 'p' THEN parts.rows::bigint ELSE nullif(own.reltuples, -1)::bigint END,
    CASE own.relkind WHEN 'p' THEN parts.bytes ELSE own.bytes END,
    NULL::timestamptz,
    CASE WHEN own.relkind IN ('v', 'm') THEN pg_get_viewdef(own.oid) END
FROM plain CROSS JOIN own
LEFT JOIN parts ON parts.root = own.oid
LEFT JOIN pg_description about
    ON about.objoid = own.oid AND about.classoid = 'pg_class'::regclass AND about.objsubid = 0
WHERE NOT own.relispartition
"""
_PG_COLUMNS = """
SELECT current_database()::text, n.nspname::text, c.relname::text, a.attname::text,
    format_type(a.atttypid, a.atttypmod), about.description, coalesce(a.attnum = ANY (key.indkey), false)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_index key ON key.indrelid = c.oid AND key.indisprimary
LEFT JOIN pg_description about
    ON about.objoid = c.oid AND about.classoid = 'pg_class'::regclass AND about.objsubid = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY c.oid, a.attnum
"""
# The times of the last scans are there from version 16 on; as JSON they may also be missing.
_PG_SCANS = """
SELECT current_database()::text, n.nspname::text, c.relname::text,
    sum(coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0))::bigint,
    max(greatest((to_jsonb(s) ->> 'last_seq_scan')::timestamptz, (to_jsonb(s) ->> 'last_idx_scan')::timestamptz))
FROM pg_stat_user_tables s
JOIN pg_class c ON c.oid = coalesce(pg_partition_root(s.relid)::oid, s.relid)
JOIN pg_namespace n ON n.oid = c.relnamespace
GROUP BY 1, 2, 3
"""

# MySQL and MariaDB. information_schema shows what the user may touch, and nothing else: hence `rights`.
_MYSQL_OWN = "NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys')"
_MYSQL_TABLES = f"""
SELECT '', t.table_schema, t.table_name,
    CASE WHEN t.table_type IN ('VIEW', 'SYSTEM VIEW') THEN 'view' ELSE 'table' END,
    CASE WHEN t.table_type = 'VIEW' THEN '' ELSE t.table_comment END,
    CASE WHEN t.table_type = 'VIEW' THEN NULL ELSE t.table_rows END,
    CASE WHEN t.table_type = 'VIEW' THEN NULL ELSE t.data_length + t.index_length END,
    CASE WHEN t.table_type = 'VIEW' THEN NULL ELSE t.create_time END,
    v.view_definition
FROM information_schema.tables t
LEFT JOIN information_schema.views v ON v.table_schema = t.table_schema AND v.table_name = t.table_name
WHERE t.table_schema {_MYSQL_OWN} AND t.table_type <> 'SEQUENCE'
"""  # noqa: S608
_MYSQL_COLUMNS = f"""
SELECT '', table_schema, table_name, column_name, column_type, column_comment, column_key = 'PRI'
FROM information_schema.columns WHERE table_schema {_MYSQL_OWN}
ORDER BY table_schema, table_name, ordinal_position
"""  # noqa: S608
_MYSQL_RIGHTS = """
SELECT grantee, '*', '*', privilege_type FROM information_schema.user_privileges
UNION ALL SELECT grantee, table_schema, '*', privilege_type FROM information_schema.schema_privileges
UNION ALL SELECT grantee, table_schema, table_name, privilege_type FROM information_schema.table_privileges
"""

_DUCKDB_TABLES = """
SELECT database_name, schema_name, table_name, 'table', comment, estimated_size, NULL, NULL, NULL
FROM duckdb_tables() WHERE NOT internal AND NOT temporary
UNION ALL
SELECT database_name, schema_name, view_name, 'view', comment, NULL, NULL, NULL, sql
FROM duckdb_views() WHERE NOT internal AND NOT temporary
"""
_DUCKDB_COLUMNS = """
SELECT c.database_name, c.schema_name, c.table_name, c.column_name, c.data_type, c.comment,
    coalesce(list_contains(key.columns, c.column_name), false)
FROM duckdb_columns() c
LEFT JOIN (
    SELECT table_oid, flatten(list(constraint_column_names)) AS columns
    FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY' GROUP BY table_oid
) key ON key.table_oid = c.table_oid
WHERE NOT c.internal
ORDER BY c.database_name, c.schema_name, c.table_name, c.column_index
"""


def _duckdb_sizes(connection: OpenSource, tables: list[Row]) -> list[Row]:
    """The tables with the bytes of the blocks that they lie in; one that has not been written out yet has none."""
    ((block,),) = connection.run("SELECT block_size FROM pragma_database_size() LIMIT 1").rows
    stored = [row[:3] for row in tables if row[3] == "table"]
    blocks: dict[tuple[Any, ...], int] = {}
    for part in chunks(stored, 500):
        asked = " UNION ALL ".join(_duckdb_blocks(number, names) for number, names in enumerate(part))
        blocks |= {part[number]: count for number, count in _all_rows(connection, asked)}
    return [(*row[:6], blocks[row[:3]] * int(block) if row[:3] in blocks else None, *row[7:]) for row in tables]


def _duckdb_blocks(number: int, names: tuple[str, ...]) -> str:
    path = ".".join(exp.to_identifier(name, quoted=True).sql("duckdb") for name in names)
    table = exp.Literal.string(path).sql("duckdb")
    return f"SELECT {number}, count(DISTINCT block_id) FROM pragma_storage_info({table})"  # noqa: S608


_SQLITE_TABLES = """
SELECT '', '', name, type, '', NULL, NULL, NULL, CASE WHEN type = 'view' THEN sql END
FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
"""
_SQLITE_COLUMNS = """
SELECT '', '', t.name, c.name, c.type, '', c.pk > 0
FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c WHERE t.type IN ('table', 'view') ORDER BY t.name, c.cid
"""

SYSTEMS = {
    "postgres": System(
        here="SELECT current_database()::text, coalesce(current_schema(), 'public')::text",
        tables=_PG_TABLES,
        columns=_PG_COLUMNS,
        scans=_PG_SCANS,
    ),
    "mysql": System(
        here="SELECT '', coalesce(database(), '')", tables=_MYSQL_TABLES, columns=_MYSQL_COLUMNS, rights=_MYSQL_RIGHTS
    ),
    "duckdb": System(
        here="SELECT current_database(), current_schema()",
        tables=_DUCKDB_TABLES,
        columns=_DUCKDB_COLUMNS,
        sizes=_duckdb_sizes,
    ),
    "sqlite": System(here="SELECT '', ''", tables=_SQLITE_TABLES, columns=_SQLITE_COLUMNS),
}
