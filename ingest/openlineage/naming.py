"""Which source a namespace means, which table a dataset, which pipeline a job.

postgres://db:5432  shop.mart.orders   ->  source postgres-db-5432, table shop.mart.orders
s3://lake           raw/orders         ->  source s3, table s3://lake/raw/orders
bigquery            proj.mart.orders   ->  source bigquery, table proj.mart.orders
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from catalog.facts import SourceFact
from catalog.models import Source
from ingest.digests import digest
from ingest.names import MAX_NAME, source_of_scheme
from ingest.owners import slug_of

# What a namespace's scheme tells: the platform's name, its kind of storage, its SQL dialect.
_PLATFORMS = {
    "athena": ("athena", "warehouse", "athena"),
    "awsathena": ("athena", "warehouse", "athena"),
    "bigquery": ("bigquery", "warehouse", "bigquery"),
    "cassandra": ("cassandra", "wide_column", ""),
    "clickhouse": ("clickhouse", "warehouse", "clickhouse"),
    "databricks": ("databricks", "warehouse", "databricks"),
    "unitycatalog": ("databricks", "warehouse", "databricks"),
    "duckdb": ("duckdb", "warehouse", "duckdb"),
    "elasticsearch": ("elasticsearch", "search_index", ""),
    "hive": ("hive", "warehouse", "hive"),
    "kafka": ("kafka", "stream", ""),
    "pubsub": ("pubsub", "stream", ""),
    "mongodb": ("mongodb", "operational_database", ""),
    "mssql": ("sqlserver", "operational_database", "tsql"),
    "sqlserver": ("sqlserver", "operational_database", "tsql"),
    "mysql": ("mysql", "operational_database", "mysql"),
    "mariadb": ("mariadb", "operational_database", "mysql"),
    "oracle": ("oracle", "operational_database", "oracle"),
    "postgres": ("postgres", "operational_database", "postgres"),
    "postgresql": ("postgres", "operational_database", "postgres"),
    "redis": ("redis", "key_value_store", ""),
    "redshift": ("redshift", "warehouse", "redshift"),
    "snowflake": ("snowflake", "warehouse", "snowflake"),
    "spark": ("spark", "warehouse", "spark"),
    "sqlite": ("sqlite", "operational_database", "sqlite"),
    "teradata": ("teradata", "warehouse", "teradata"),
    "trino": ("trino", "warehouse", "trino"),
    "presto": ("presto", "warehouse", "presto"),
}
_KIND_OF = {"stream": "topic", "files": "files", "lake": "files", "search_index": "index", "dashboard": "dashboard"}
_GLOBAL = ("bigquery", "pubsub")  # one namespace for the whole world


def source_of(namespace: str, known: Iterable[Source]) -> SourceFact:
    """The source of a namespace: the one a person gave it to, or one that is called after it."""
    known = list(known)
    for source in known:
        if namespace in source.namespaces:
            return _fact(source)
    scheme = _scheme(namespace)
    if place := source_of_scheme(scheme):
        return place
    platform, storage, dialect = _PLATFORMS.get(scheme, (scheme[:50] or "unknown", "warehouse", ""))
    if scheme in _GLOBAL:
        there = [source for source in known if source.platform == platform]
        return _fact(there[0]) if len(there) == 1 else SourceFact(scheme, namespace, platform, storage, dialect)
    return SourceFact(_free_slug(namespace, known), namespace[:150], platform, storage, dialect)


def table_of(namespace: str, name: str) -> str:
    """The table's name in its source: files and buckets are addresses, all else is called as the dataset."""
    if not is_address(namespace):
        return fitted(name)
    root = namespace.rstrip("/") if "://" in namespace else f"{namespace}://"
    return fitted(f"{root}/{name.lstrip('/')}")


def is_address(namespace: str) -> bool:
    """Whether datasets of the namespace are files, known by their addresses."""
    return source_of_scheme(_scheme(namespace)) is not None


def _scheme(namespace: str) -> str:
    return namespace.partition(":")[0].lower()


def kind_of(source: SourceFact) -> str:
    """What the tables of a source are, unless an event says otherwise."""
    return _KIND_OF.get(source.storage, "table")


def fitted(name: str) -> str:
    """A name as long as the catalog keeps one; of a longer one the end is a digest, so that two stay two."""
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 13]}~{digest(name)[:12]}"


def _free_slug(namespace: str, known: Iterable[Source]) -> str:
    slug = slug_of(namespace)[:90]
    taken = any(source.slug == slug and source.namespaces for source in known)
    return f"{slug}-{digest(namespace)[:6]}" if taken else slug


def _fact(source: Source) -> SourceFact:
    return replace(
        SourceFact(source.slug, source.name, source.platform), storage=source.storage, dialect=source.dialect
    )
