"""Which table a name means: qualified with the defaults, cased as the dialect cases it, and given to its source."""

from __future__ import annotations

import re
from collections.abc import Iterable

from catalog.facts import SourceFact
from ingest.redact import redact
from lineage.sql.dialects import dotted, language

MAX_NAME = 500  # characters the catalog keeps of a table's name

TableKey = tuple[str, str]  # (slug of the source, name of the table)

_PART = re.compile(r'"([^"]*)"|`([^`]*)`|([^.]+)')
_SCHEMES = {
    "s3": SourceFact("s3", "Amazon S3", "s3", "lake"),
    "gs": SourceFact("gcs", "Google Cloud Storage", "gcs", "lake"),
    "gcs": SourceFact("gcs", "Google Cloud Storage", "gcs", "lake"),
    "abfs": SourceFact("adls", "Azure Data Lake", "adls", "lake"),
    "azure": SourceFact("adls", "Azure Data Lake", "adls", "lake"),
    "wasb": SourceFact("adls", "Azure Data Lake", "adls", "lake"),
    "hdfs": SourceFact("hdfs", "HDFS", "hdfs", "lake"),
    "dbfs": SourceFact("dbfs", "Databricks File System", "dbfs", "lake"),
    "@": SourceFact("stages", "Stages", "stage", "lake"),
    "file": SourceFact("files", "Files", "file", "files"),
    "": SourceFact("urls", "Other addresses", "url", "files"),
}
_ALIASES = {"s3a": "s3", "s3n": "s3", "abfss": "abfs", "wasbs": "wasb", "az": "azure"}


def source_of_scheme(scheme: str) -> SourceFact | None:
    """The source of addresses that begin so (`s3`, `file`), if it is one for files; None for any other."""
    return _SCHEMES.get(_ALIASES.get(scheme, scheme)) if scheme else None


class Names:
    """The one place that turns a name in SQL or metadata into (source, table)."""

    def __init__(
        self, source: SourceFact, sources: Iterable[SourceFact], dialect: str, database: str = "", schema: str = ""
    ) -> None:
        self.source, self.dialect, self.database, self.schema = source, dialect, database, schema
        self.sources = {known.slug: known for known in (*sources, source)}
        self._by_name = {known.name.lower(): known for known in self.sources.values()}
        self._by_database = {database.lower(): known for known in self.sources.values() for database in known.databases}
        self._language = language(dialect)
        self._defaults = [self.fold(part) for part in (database, schema) if part]

    def fold(self, part: str) -> str:
        """One part of a table's name as the dialect cases it when it is not quoted."""
        return part if self._language.rules.tables_keep_case else self._language.fold(part)

    def fold_quoted(self, part: str) -> str:
        """The same of one in quotes, which some dialects case as well."""
        return part if self._language.rules.tables_keep_case else self._language.fold_quoted(part)

    def fold_column(self, name: str, *, is_exact: bool = False) -> str:
        """A column's name in the normal form that the engine gives it; `is_exact` where it stands as if in quotes."""
        return self._language.fold_quoted(name) if is_exact else self._language.fold(name)

    def of_sql(self, name: str) -> TableKey:
        """The table of a name as the engine gives it: qualified and cased, or an address kept whole."""
        if "://" in name or name.startswith("@"):
            return self._of_address(name)
        first = name.split(".", 1)[0].strip('"').lower()
        return self._by_database.get(first, self.source).slug, name[:MAX_NAME]

    def of_text(self, name: str, source: str = "") -> TableKey:
        """The table of a name as a person writes it: `raw.orders`, `clickstream:shop.events`, `s3://bucket/key`."""
        prefix, colon, rest = name.partition(":")
        named = self.find_source(source or prefix) if source or colon else None
        if named and named.slug != self.source.slug:
            return named.slug, (name if source else rest).strip()[:MAX_NAME]
        if named and not source:
            name = rest
        return self.of_sql(name.strip() if "://" in name or name.startswith("@") else self.qualified(name.strip()))

    def qualified(self, name: str) -> str:
        """`Raw.Orders` with the defaults in front where it has fewer than three parts, cased by the dialect."""
        parts = [
            self.fold(found[3]) if found[3] else self.fold_quoted(found[1] or found[2] or "")
            for found in _PART.finditer(name)
        ]
        parts = [part for part in parts if part]
        missing = (
            self._defaults[: max(0, 3 - len(parts))] if len(parts) == 1 else self._defaults[:1] * (len(parts) == 2)
        )
        return dotted([*missing, *parts])

    def find_source(self, text: str) -> SourceFact | None:
        """The source of that slug or name."""
        return self.sources.get(text) or self._by_name.get(text.lower())

    def _of_address(self, name: str) -> TableKey:
        scheme = "@" if name.startswith("@") else name.split("://", 1)[0].lower()
        known = _SCHEMES.get(_ALIASES.get(scheme, scheme), _SCHEMES[""])
        self.sources.setdefault(known.slug, known)
        return known.slug, redact(name)[:MAX_NAME]
