"""The names that logged queries use, as tables and columns of the catalog."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from audits.usage.names import match_columns, match_names
from catalog.models import Source
from ingest.log_formats import LogFormat
from ingest.logged_query import Reading, is_system_table
from lineage.sql.dialects import dotted, language

_PARTS = re.compile(r'"[^"]*"|[^.]+')


@dataclass
class Touched:
    """Rows of what texts do: (combo, number of a name, …)."""

    combo: list[tuple] = field(default_factory=list)
    touch: list[tuple] = field(default_factory=list)
    edge: list[tuple] = field(default_factory=list)
    named: list[tuple] = field(default_factory=list)


class Names:
    """The names that texts use, each with the table it means, if the catalog has it."""

    def __init__(self, form: LogFormat, dialect: str, source: Source) -> None:
        self._language = language(dialect)
        self._default_schema = form.default_schema
        self._source = source
        self._full: dict[tuple[str, str, str], str] = {}  # (as written, database, schema) -> in full
        self._candidates: dict[str, list[str]] = {}
        self._numbers: dict[str, int] = {}
        self._tables: dict[str, int] = {}
        self._columns: dict[tuple[int, str], int] = {}

    def add(self, reading: Reading, db: str, schema: str) -> None:
        """Note the names of a reading that was asked in this database and schema."""
        for name in {*reading.reads, *(end for edge in reading.edges for end in edge)}:
            if name and (name, db, schema) not in self._full and not is_system_table(name):
                candidates = self._in_full(name, db, schema)
                full = candidates[0]
                self._full[name, db, schema] = full
                self._candidates[full] = [*dict.fromkeys([*self._candidates.get(full, ()), *candidates])]
                self._numbers.setdefault(full, len(self._numbers))

    def match(self) -> None:
        """Find the tables and their columns: once, for all names."""
        self._tables = match_names(self._source, self._candidates)
        self._columns = match_columns(self._tables.values())

    def rows(self) -> list[tuple[int, str, int | None]]:
        return [(number, name, self._tables.get(name)) for name, number in self._numbers.items()]

    def write(self, rows: Touched, combo: int, reading: Reading, db: str, schema: str) -> None:
        """Rows of what a reading does, by number of name."""
        for name, columns in reading.reads.items():
            full = self._full.get((name, db, schema))
            if full is None or (name in reading.maybe and full not in self._tables):
                continue
            behind = name in reading.behind
            rows.touch.append((combo, self._numbers[full], behind))
            table = self._tables.get(full)
            ids = {self._columns.get((table, column.lower())) for column in columns} if table else set()
            rows.named += [(combo, column, behind) for column in ids - {None}]
        for source, target in reading.edges:
            end = self._full.get((source, db, schema))
            if source in reading.maybe and end not in self._tables:
                continue
            if (target, db, schema) in self._full:
                rows.edge.append(
                    (combo, self._numbers[end] if end else None, self._numbers[self._full[target, db, schema]])
                )

    def _in_full(self, name: str, db: str, schema: str) -> list[str]:
        """The full names that a written one may stand for, the likeliest first."""
        if "://" in name:
            return [name]
        keep = self._language.rules.tables_keep_case
        place = [part if keep else self._language.fold(part) for part in (db, schema or self._default_schema)]
        if self._language.rules.parts == 2:
            place = [place[1] if schema else place[0] or place[1]]
        parts = [part.strip('"') for part in _PARTS.findall(name)]
        missing = max(0, len(place) + 1 - len(parts))
        front = place[:missing] if all(place[:missing]) else [part for part in place[:missing][::-1][:1] if part]
        full = [*front, *parts]
        return [dotted(full[cut:]) for cut in range(max(1, len(full) - 1))]
