"""A pytest plug-in that writes down what sqllineage's tests assert, instead of asserting it.

Loaded by benchmarks/peer_suites.py inside sqllineage's own environment, over a checkout of its tests: each asserted
statement becomes one JSON line of the file that PEER_RECORD names.
"""

import json
import os
from typing import Any


def write(sql: str, dialect: str, **expected: Any) -> None:
    from sqllineage.config import SQLLineageConfig

    line = {"sql": sql, "dialect": dialect, "default_schema": SQLLineageConfig.DEFAULT_SCHEMA or None, **expected}
    line["lateral_aliases"] = bool(SQLLineageConfig.LATERAL_COLUMN_ALIAS_REFERENCE)
    line["test"] = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
    with open(os.environ["PEER_RECORD"], "a", encoding="utf-8") as record:
        record.write(json.dumps(line) + "\n")


def record_tables(
    sql: str, source_tables: Any = None, target_tables: Any = None, dialect: str = "ansi", **_: Any
) -> None:
    from sqllineage.core.models import Table

    names = [
        sorted(str(Table(t) if isinstance(t, str) else t) for t in found or ())
        for found in (source_tables, target_tables)
    ]
    write(sql, dialect, inputs=names[0], outputs=names[1])


def record_columns(
    sql: str, column_lineages: Any = None, dialect: str = "ansi", metadata_provider: Any = None, **_: Any
) -> None:
    if type(metadata_provider).__name__ not in ("NoneType", "DummyMetaDataProvider"):
        return  # the same statement comes with a provider of plain dictionaries too
    schema = getattr(metadata_provider, "metadata", None) or {}
    edges = [[src.qualifier, src.column, tgt.qualifier, tgt.column] for src, tgt in column_lineages or ()]
    write(sql, dialect, edges=edges, schema={table: dict.fromkeys(columns) for table, columns in schema.items()})


def pytest_configure(config: Any) -> None:
    import tests.helpers

    tests.helpers.assert_table_lineage_equal = record_tables
    tests.helpers.assert_column_lineage_equal = record_columns
