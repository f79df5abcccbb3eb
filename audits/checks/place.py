"""A table that is to be measured, and the pieces that every statement about it is made of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from audits.checks.guard import checked_condition, printed
from catalog.table_names import identifier


@dataclass(frozen=True)
class Place:
    """A table to be measured; `columns`, where known, as the source spells them; `ranges`: their least and most."""

    name: str
    dialect: str
    columns: tuple[str, ...] | None = None
    ranges: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def has(self, column: str) -> bool:
        """Whether it has a column of that name, as far as is known."""
        return self.columns is None or bool(self._alike(column))

    def spelled(self, column: str) -> str:
        """A column as the source spells it, whose case may differ from ours."""
        return next(iter(self._alike(column)), column)

    def _alike(self, column: str) -> list[str]:
        columns = self.columns or ()
        return [column] if column in columns else [name for name in columns if name.lower() == column.lower()]

    def column(self, name: str) -> exp.Column:
        return exp.column(exp.to_identifier(self.spelled(name), quoted=True))

    def narrowed(self, query: exp.Select, where: str) -> exp.Select:
        """The query over this table, or over those of its rows."""
        query = query.from_(identifier(self.dialect, self.name))
        return query.where(checked_condition(where, self.dialect)) if where else query

    def written(self, query: exp.Expression) -> str:
        """A query as text, to be run and to be read."""
        return printed(query, self.dialect)


def counted() -> exp.Expression:
    """COUNT(*)."""
    return exp.Count(this=exp.Star(), big_int=True)
