"""Offending keys as they are kept: plain values, those of sensitive columns masked before they are stored."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any

from catalog.models import Table

MASK = "•••"
SENSITIVE_TAGS = ("sensitive", "pii", "personal-data")  # on a table: all its columns
MOST = 10  # offending keys that are kept
_LONGEST = 200  # characters of one value

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")

Sample = Sequence[dict[str, Any]]


def sensitive_columns(table: Table) -> Collection[str]:
    """The columns of a table whose values nobody is shown, in lower case. Two queries."""
    columns = table.columns.all()
    if not table.tags.filter(name__in=SENSITIVE_TAGS).exists():
        columns = columns.filter(is_sensitive=True)
    return {name.lower() for name in columns.values_list("name", flat=True)}


def kept(columns: Sequence[str], rows: Iterable[Sequence[Any]], sensitive: Collection[str]) -> Sample:
    """Rows as they are stored."""
    return [
        {
            name: MASK if name.lower() in sensitive and value is not None else _plain(value)
            for name, value in zip(columns, row, strict=True)
        }
        for row in list(rows)[:MOST]
    ]


def without_values(text: str, sensitive: Collection[str]) -> str:
    """A text without what stands in quotes, if there is anything sensitive."""
    return _QUOTED.sub(MASK, text) if sensitive else text


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    text = str(value).replace("\0", "\ufffd")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
