"""How each warehouse writes its query history: one frozen table of formats, views and columns.

A view is one kind of export of a format. Its expressions are DuckDB SQL over its columns, all of them text; a column
that a file lacks is NULL. An expression that a view does not give is NULL too. What they mean:

    id        of the entry, unique for ever; empty where the history has none
    query     the SQL text
    at        when it began
    user, kind      who asked: a name, and human, service or pipeline where the history knows
    failed          whether it failed or was cancelled
    database, schema    for names in the SQL that have neither
    tag       what tools leave behind: labels, query tags, application names
    pipeline  the pipeline that asked, where the history names it
    channel   the part of the source that this history is of: a project, region or workspace
    refs      tables that the history itself says were read and written, as JSON for `read_refs`
    cut       whether the history cut the text
    skip      rows of the export that are no entries
    twin      the id of the same query in another view, which may have been counted
    whole     whether nothing is to be added then; otherwise what lies behind views is
    both_views    whether the entry counts for its twin as well
    counter   for histories without times: how often it ran since the counter began

To add a format: add it here, and a case to tests/ingest/test_query_logs.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lineage.sql.dialects import dotted


@dataclass(frozen=True)
class Refs:
    """Tables that an entry names itself: read, with the columns it names, and written; `behind` lie behind a view."""

    reads: dict[str, list[str]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    behind: frozenset[str] = frozenset()


# Tools that look at every table for the sake of looking. Matched with tags whole or from their beginning, and with the
# JSON that such tools write into a comment or a tag; never with words anywhere, or a dashboard called "dbt costs" would
# not count as use.
_TOOLS = "dbt|datahub|openmetadata|amundsen|atlan|collibra|alation|marquez|pipekeeper"
TOOL_TAG = rf"(?i)^\s*(?:{_TOOLS})\b|\"app\"\s*:\s*\"(?:{_TOOLS})\b|\"(?:dbt_invocation_id|dbt_version)\""
# By what opens the comment: an expression that begins with it is looked for from there on, which is ten times as fast.
TOOL_COMMENTS = {
    "/*": rf"/\*(?i:[^*]*\"app\"\s*:\s*\"(?:{_TOOLS})\b|\s*(?:{_TOOLS})\b)",
    "--": r"--(?i:\s*pipekeeper\b)",
}


@dataclass(frozen=True)
class View:
    """One kind of export: the columns a file must have, those it may have, and what they mean."""

    name: str
    needs: tuple[str, ...]
    entry: dict[str, str]
    may_have: tuple[str, ...] = ()
    completes: str = ""  # the view whose rows it completes, by `joined_on`
    joined_on: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return self.needs + self.may_have


@dataclass(frozen=True)
class LogFormat:
    """A warehouse's query history."""

    name: str
    dialect: str
    views: tuple[View, ...]
    read_refs: Callable[[str], Refs] = lambda text: Refs()
    default_schema: str = ""  # where names without a schema are looked for
    services: str = ""  # expression over users' names that are service accounts


def _tables(rows: Any, *keys: str) -> list[str]:
    """[{"project_id": "p", "dataset_id": "d", "table_id": "t"}] -> ["p.d.t"]

    BigQuery's Parquet writes lists as {"list": [{"element": …}]}.
    """
    if isinstance(rows, dict) and "list" in rows:
        rows = [row.get("element", row) for row in rows["list"]]
    rows = rows if isinstance(rows, list) else [rows] if rows else []
    return [dotted([str(row[key]) for key in keys if row.get(key)]) for row in rows if isinstance(row, dict)]


def _bigquery_refs(text: str) -> Refs:
    """The columns of JOBS, or the same in camel case as the REST interface writes them."""
    refs = json.loads(text)
    forms = (("project_id", "dataset_id", "table_id"), ("projectId", "datasetId", "tableId"))
    reads = [name for keys in forms for name in _tables(refs["reads"], *keys) if name]
    writes = [name for keys in forms for name in _tables(refs["writes"], *keys) if name]
    return Refs({_unsharded(name): [] for name in reads}, [_unsharded(name) for name in writes])


def _unsharded(name: str) -> str:
    """p.d.events_20240101 -> p.d.events, as the engine folds shards in SQL."""
    stem, _, digits = name.rpartition("_")
    return stem if stem and len(digits) == 8 and digits.isdigit() else name


def _snowflake_refs(text: str) -> Refs:
    """Base objects as well as direct ones: with direct ones alone every table behind a view would look unread."""
    refs = json.loads(text)
    reads: dict[str, list[str]] = {}
    for row in [*_list(refs.get("direct")), *_list(refs.get("base"))]:
        if str(row.get("objectDomain", "Table")).lower() in _SNOWFLAKE_TABLES and row.get("objectName"):
            columns = [column["columnName"] for column in row.get("columns") or [] if column.get("columnName")]
            known = reads.setdefault(row["objectName"], [])
            known += [column for column in columns if column not in known]
    direct = {row.get("objectName") for row in _list(refs.get("direct"))}
    modified = [row["objectName"] for row in _list(refs.get("modified")) if row.get("objectName")]
    return Refs(reads, modified, frozenset(reads.keys() - direct))


_SNOWFLAKE_TABLES = frozenset(
    {"table", "view", "materialized view", "external table", "dynamic table", "event table", "iceberg table", "stream"}
)


def _list(rows: Any) -> list[dict[str, Any]]:
    rows = json.loads(rows) if isinstance(rows, str) and rows else rows
    return [row for row in rows or [] if isinstance(row, dict)]


def _trino_refs(text: str) -> Refs:
    """{"catalogs": ["lake"], "schemas": ["raw"], "tables": ["orders"], "columns": [["amount"]], "output": […]}"""
    refs = json.loads(text)
    places = zip(refs["catalogs"], refs["schemas"], refs["tables"], strict=True)
    columns = refs["columns"] + [[]] * (len(refs["tables"]) - len(refs["columns"]))
    reads = {dotted(list(place)): _column_names(named) for place, named in zip(places, columns, strict=False)}
    output = [part for part in refs["output"] if part]
    return Refs(reads, [dotted(output)] if output else [])


def _column_names(columns: Any) -> list[str]:
    named = [
        column.get("columnName") or column.get("name") if isinstance(column, dict) else column
        for column in columns or []
    ]
    return [str(name) for name in named if name]


def _plain_refs(text: str) -> Refs:
    return Refs({name: [] for name in json.loads(text)["reads"]})


_FAILED = (
    "('failed', 'fail', 'failure', 'error', 'incident', 'cancelled', 'canceled', 'killed', 'aborted', "
    "'failed_with_error', 'failed_with_incident')"
)
# Airflow's operators label their jobs; dbt and others write JSON into the tag.
_DAG_TASK = (
    "CASE WHEN contains({0}, 'airflow') OR contains({0}, 'dag_id') THEN nullif(concat_ws('.', "
    "nullif(regexp_extract({0}, '(?:airflow[-_]dag|dag_id)\\W+(?:value\\W+)?([\\w.-]+)', 1), ''), "
    "nullif(regexp_extract({0}, '(?:airflow[-_]task|task_id)\\W+(?:value\\W+)?([\\w.-]+)', 1), '')), '') END"
)

_JSON = "'\"{1}\":', coalesce(nullif({0}, ''), 'null')"

GENERIC = LogFormat(
    "generic",
    dialect="",
    views=(
        View(
            "generic",
            needs=("query", "user", "start_time"),
            may_have=("status", "reader_kind", "database", "schema", "id", "channel"),
            entry={
                "id": "id",
                "query": "query",
                "at": "start_time",
                "user": '"user"',
                "kind": "lower(reader_kind)",
                "failed": f"lower(status) IN {_FAILED}",
                "database": '"database"',
                "schema": '"schema"',
                "channel": "channel",
            },
        ),
    ),
)

_BIGQUERY_TARGET = "CASE WHEN NOT regexp_matches(destination_table, 'dataset_?[iI]d\\W+_') THEN destination_table END"

BIGQUERY = LogFormat(
    "bigquery",
    dialect="bigquery",
    views=(
        View(
            "INFORMATION_SCHEMA.JOBS",
            needs=("job_id", "creation_time", "user_email", "query", "referenced_tables"),
            may_have=(
                "start_time",
                "end_time",
                "project_id",
                "job_type",
                "statement_type",
                "state",
                "error_result",
                "destination_table",
                "total_bytes_processed",
                "cache_hit",
                "labels",
                "parent_job_id",
                "region",
            ),
            entry={
                "id": "concat_ws(':', project_id, job_id)",
                "query": "query",
                # A script's children are entries of their own, so its parent would count everything twice.
                "skip": "statement_type = 'SCRIPT' OR coalesce(job_type, 'QUERY') <> 'QUERY'",
                "at": "coalesce(nullif(start_time, ''), creation_time)",
                "user": "user_email",
                # Parquet has an empty structure where nothing went wrong.
                "failed": "coalesce(error_result, '') NOT IN ('', 'null', '{}') "
                "AND NOT regexp_matches(error_result, '\"reason\" *: *null')",
                "database": "project_id",
                "tag": "labels",
                "pipeline": _DAG_TASK.format("labels"),
                "channel": "concat_ws('/', project_id, region)",
                # Empty for answers out of the cache: then the SQL says what was read. The result of a plain query goes
                # to a table in a dataset whose name begins with an underscore, another one for every query.
                "refs": f"CASE WHEN length(referenced_tables) > 4 THEN concat('{{', "
                f"{_JSON.format('referenced_tables', 'reads')}, ',', "
                f"{_JSON.format(_BIGQUERY_TARGET, 'writes')}, '}}') END",
            },
        ),
    ),
    read_refs=_bigquery_refs,
    services=r"gserviceaccount\.com$",
)

SNOWFLAKE = LogFormat(
    "snowflake",
    dialect="snowflake",
    views=(
        View(
            "QUERY_HISTORY",
            needs=("query_id", "query_text", "user_name", "start_time", "execution_status"),
            may_have=(
                "database_name",
                "schema_name",
                "query_type",
                "role_name",
                "warehouse_name",
                "end_time",
                "query_tag",
            ),
            entry={
                "id": "query_id",
                "twin": "'access:' || query_id",
                "whole": "true",
                "query": "query_text",
                "at": "start_time",
                "user": "user_name",
                "failed": f"lower(execution_status) IN {_FAILED}",
                "database": "database_name",
                "schema": "schema_name",
                "tag": "query_tag",
                "pipeline": _DAG_TASK.format("query_tag"),
            },
        ),
        View(
            "ACCESS_HISTORY",
            needs=("query_id", "query_start_time", "user_name", "direct_objects_accessed", "base_objects_accessed"),
            may_have=("objects_modified",),
            completes="QUERY_HISTORY",
            joined_on="query_id",
            entry={
                "id": "'access:' || query_id",
                "twin": "query_id",
                "both_views": "direct_objects_accessed IS NOT NULL",
                "query": "''",
                "at": "query_start_time",
                "user": "user_name",
                "refs": f"concat('{{', {_JSON.format('direct_objects_accessed', 'direct')}, ',', "
                f"{_JSON.format('base_objects_accessed', 'base')}, ',', "
                f"{_JSON.format('objects_modified', 'modified')}, '}}')",
            },
        ),
    ),
    read_refs=_snowflake_refs,
    default_schema="PUBLIC",
    services=r"(?i)^(svc|service|sa|etl|airflow|dbt|looker|tableau|fivetran|system)([_\-.]|$)|[_\-.](svc|service|sa|etl|bot)$",
)

REDSHIFT = LogFormat(
    "redshift",
    dialect="redshift",
    views=(
        View(
            "SYS_QUERY_HISTORY",
            needs=("user_id", "query_id", "status", "start_time", "query_text"),
            may_have=(
                "transaction_id",
                "session_id",
                "database_name",
                "query_type",
                "end_time",
                "username",
                "query_label",
                "whole_text",
            ),
            entry={
                "id": "query_id",
                "query": "coalesce(whole_text, query_text)",
                "cut": "whole_text IS NULL AND length(query_text) >= 4000",
                "at": "start_time",
                "user": "coalesce(nullif(trim(username), ''), 'user ' || user_id)",
                "failed": f"lower(trim(status)) IN {_FAILED}",
                "database": "trim(database_name)",
                "tag": "query_label",
            },
        ),
        View(
            "SYS_QUERY_TEXT",
            needs=("query_id", "sequence", "text"),
            completes="SYS_QUERY_HISTORY",
            joined_on="query_id",
            entry={},
        ),
    ),
    default_schema="public",
)

DATABRICKS = LogFormat(
    "databricks",
    dialect="databricks",
    views=(
        View(
            "system.query.history",
            needs=("statement_id", "executed_by", "statement_text", "execution_status", "start_time"),
            may_have=("statement_type", "end_time", "client_application", "read_rows", "produced_rows", "workspace_id"),
            entry={
                "id": "statement_id",
                "query": "statement_text",
                "at": "start_time",
                "user": "executed_by",
                "failed": f"lower(execution_status) IN {_FAILED}",
                "tag": "client_application",
                "channel": "workspace_id",
            },
        ),
    ),
    default_schema="default",
    services=r"(?i)^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
)

_POSTGRES_STATEMENT = (
    "CASE WHEN error_severity IN ('ERROR', 'FATAL') THEN statement ELSE "
    "regexp_extract(message, '^(?:duration: [0-9.]+ ms +)?(?:statement|execute [^:]*): (.*)$', 1, 's') END"
)

POSTGRES = LogFormat(
    "postgres",
    dialect="postgres",
    views=(
        View(
            "pg_stat_statements",
            needs=("queryid", "query", "calls"),
            may_have=("userid", "dbid", "rows", "usename", "rolname", "datname", "captured_at"),
            entry={
                "id": "concat_ws('/', coalesce(userid, rolname, usename), coalesce(dbid, datname), queryid)",
                "query": "query",
                "at": "captured_at",
                "user": "coalesce(rolname, usename, 'user ' || userid)",
                "database": "datname",
                "counter": "calls",
            },
        ),
        View(
            "pg_stat_user_tables",
            needs=("schemaname", "relname", "seq_scan", "idx_scan"),
            may_have=("last_seq_scan", "last_idx_scan", "datname", "captured_at"),
            entry={
                "id": "concat_ws('/', 'table', datname, schemaname, relname)",
                "query": "''",
                "at": "coalesce(greatest(nullif(last_seq_scan, ''), nullif(last_idx_scan, '')), captured_at)",
                "database": "datname",
                "refs": "json_object('reads', json_array(concat_ws('.', schemaname, relname)))",
                "counter": "coalesce(try_cast(seq_scan AS BIGINT), 0) + coalesce(try_cast(idx_scan AS BIGINT), 0)",
            },
        ),
        View(
            "jsonlog",
            needs=("timestamp", "user", "dbname", "message"),
            may_have=("session_id", "line_num", "error_severity", "statement", "application_name", "pid"),
            entry={
                "id": "concat_ws('/', session_id, line_num)",
                "query": _POSTGRES_STATEMENT,
                "skip": f"coalesce({_POSTGRES_STATEMENT}, '') = ''",
                "at": '"timestamp"',
                "user": '"user"',
                "failed": "error_severity IN ('ERROR', 'FATAL')",
                "database": "dbname",
                "tag": "application_name",
            },
        ),
    ),
    read_refs=_plain_refs,
    default_schema="public",
)

TRINO = LogFormat(
    "trino",
    dialect="trino",
    views=(
        View(
            "event listener",
            needs=("metadata", "context", "createTime"),
            may_have=("endTime", "ioMetadata", "failureInfo"),
            entry={
                "id": "metadata->>'$.queryId'",
                "query": "metadata->>'$.query'",
                "at": "createTime",
                "user": "context->>'$.user'",
                "failed": f"lower(metadata->>'$.queryState') IN {_FAILED}",
                "database": "context->>'$.catalog'",
                "schema": "context->>'$.schema'",
                "tag": "context->>'$.source'",
                "channel": "context->>'$.environment'",
                # Names alone: each query's figures are in there too, and would make every entry a kind of its own.
                "refs": "CASE WHEN json_array_length(ioMetadata, '$.inputs') > 0 THEN json_object("
                "'catalogs', ioMetadata->'$.inputs[*].catalogName', 'schemas', ioMetadata->'$.inputs[*].schema', "
                "'tables', ioMetadata->'$.inputs[*].table', 'columns', ioMetadata->'$.inputs[*].columns', "
                "'output', json_array(ioMetadata->'$.output.catalogName', ioMetadata->'$.output.schema', "
                "ioMetadata->'$.output.table')) END",
            },
        ),
    ),
    read_refs=_trino_refs,
    services=r"(?i)^(svc|service|etl|airflow|dbt)([_\-.]|$)",
)

DUCKDB = LogFormat(
    "duckdb",
    dialect="duckdb",
    views=(
        View(
            "duckdb_logs",
            needs=("timestamp", "message"),
            may_have=(
                "type",
                "connection_id",
                "query_id",
                "context_id",
                "transaction_id",
                "log_level",
                "thread_id",
                "scope",
            ),
            entry={
                "query": "message",
                "skip": "type IS NOT NULL AND type <> 'QueryLog'",
                "at": '"timestamp"',
                "user": "'connection ' || connection_id",
            },
        ),
    ),
    default_schema="main",
)

FORMATS = {each.name: each for each in (BIGQUERY, SNOWFLAKE, REDSHIFT, DATABRICKS, POSTGRES, TRINO, DUCKDB, GENERIC)}
