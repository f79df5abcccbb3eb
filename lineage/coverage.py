"""How much of the SQL was read, and how many of the columns it names were found: in all, by source, by pipeline."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum

from lineage.models import Problem, SqlVersion

_COUNTS = ("statements", "statements_read", "columns_named", "columns_found")


@dataclass(frozen=True)
class Coverage:
    """Statements that can carry lineage, and those read without an error; columns named, and those found for sure."""

    statements: int = 0
    statements_read: int = 0
    columns_named: int = 0
    columns_found: int = 0

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(*(getattr(self, name) + getattr(other, name) for name in _COUNTS))

    @property
    def share(self) -> float | None:
        """Of the statements, 0 to 1; None where there is no SQL."""
        return self.statements_read / self.statements if self.statements else None

    @property
    def column_share(self) -> float | None:
        """Of the columns, 0 to 1; None where none is named."""
        return self.columns_found / self.columns_named if self.columns_named else None


def current_versions() -> QuerySet[SqlVersion]:
    """The SQL of each pipeline as last seen."""
    return SqlVersion.objects.filter(valid_to__isnull=True)


def coverage() -> Coverage:
    """Of all current SQL. One query."""
    sums = current_versions().order_by().aggregate(**{name: Sum(name, default=0) for name in _COUNTS})
    return Coverage(**sums)


def coverage_by_source() -> dict[str, Coverage]:
    """The same per source (slug) that the SQL writes to; SQL that writes to two counts in both. One query."""
    slug = "table_edges__target_table__source__slug"
    rows = current_versions().filter(**{f"{slug}__isnull": False})
    sums: dict[str, Coverage] = defaultdict(Coverage)
    for source, _, *counts in rows.order_by().values_list(slug, "pk", *_COUNTS).distinct():
        sums[source] += Coverage(*counts)
    return dict(sorted(sums.items()))


def coverage_of(version: SqlVersion) -> Coverage:
    return Coverage(*(getattr(version, name) for name in _COUNTS))


def with_first_problem(versions: QuerySet[SqlVersion]) -> QuerySet[SqlVersion]:
    """SQL versions with their pipeline, without their text, and with the code, words and line of its worst problem."""
    worst = Problem.objects.filter(pipeline=OuterRef("pipeline")).order_by("severity", "line", "pk")
    first = {f"first_{name}": Subquery(worst.values(name)[:1]) for name in ("code", "severity", "message", "line")}
    return versions.select_related("pipeline").defer("sql", "practices").annotate(**first)


IN_PART = Q(statements_read__lt=F("statements")) | Q(columns_found__lt=F("columns_named"))
"""A condition on SQL versions: not wholly read, or not every column found."""


def that_write_to(source: str) -> Q:
    """A condition on SQL versions: they write to a source, by its slug."""
    writes = current_versions().filter(table_edges__target_table__source__slug=source)
    return Q(pk__in=writes.values("pk"))


def least_read(versions: QuerySet[SqlVersion], most: int) -> list[SqlVersion]:
    """Of these versions the ones read in part, most statements not read first, then columns not found. One query."""
    unread, unfound = F("statements") - F("statements_read"), F("columns_named") - F("columns_found")
    return list(with_first_problem(versions.filter(IN_PART)).order_by(unread.desc(), unfound.desc(), "pk")[:most])
