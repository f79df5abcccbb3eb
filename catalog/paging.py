"""Keyset paging, for pages and REST alike: a page costs the same anywhere in a list, and inserts never shift it.

A cursor says "after (or before) this row" by the row's values in the order of the list, so no row is counted, skipped
over or shown twice. `page_of(tables, ("name", "id"), cursor)` asks one query for one row more than it shows.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

PAGE_SIZE = 50
_LONGEST_CURSOR = 4000


class BadCursor(ValueError):
    """A `cursor` that this product did not hand out, or that belongs to another list."""


@dataclass(frozen=True)
class Page:
    """Rows of one page, and the cursors of its neighbours where there are any."""

    items: list[Any]
    next: str | None = None
    previous: str | None = None


def page_of(rows: QuerySet, order: Sequence[str], cursor: str = "", size: int = PAGE_SIZE) -> Page:
    """The page of `rows` at `cursor` (the first one without), sorted by `order`.

    `order` names columns of the model itself that are never null and end in a unique one, all ascending or all
    descending: `("name", "id")`, `("-started_at", "-id")`. Raises BadCursor.
    """
    backwards, values = _read(cursor, rows.model, order) if cursor else (False, None)
    direction = _reversed(order) if backwards else tuple(order)
    wanted = rows.order_by(*direction)
    if values is not None:
        wanted = wanted.filter(_beyond(direction, values))
    found = list(wanted[: size + 1])
    more, items = len(found) > size, found[:size]
    if backwards:
        items.reverse()
    if not items:
        return Page([])
    has_next = more if not backwards else True
    has_previous = more if backwards else values is not None
    return Page(
        items,
        next=_write(False, items[-1], order) if has_next else None,
        previous=_write(True, items[0], order) if has_previous else None,
    )


def _beyond(order: Sequence[str], values: Sequence[Any]) -> Q:
    """Rows after `values`: a >= 1 AND (a > 1 OR (a = 1 AND b > 2)); the first condition lets an index seek."""
    compare = "lt" if order[0].startswith("-") else "gt"
    fields = [field.lstrip("-") for field in order]
    beyond = Q()
    for place, field in enumerate(fields):
        same = Q(**dict(zip(fields[:place], values[:place], strict=True)))
        beyond |= same & Q(**{f"{field}__{compare}": values[place]})
    return Q(**{f"{fields[0]}__{compare}e": values[0]}) & beyond


def _reversed(order: Sequence[str]) -> tuple[str, ...]:
    return tuple(field[1:] if field.startswith("-") else f"-{field}" for field in order)


def _write(backwards: bool, row: Any, order: Sequence[str]) -> str:
    names = [field.lstrip("-") for field in order]
    values = [row[name] if isinstance(row, dict) else getattr(row, name) for name in names]
    plain = [value.isoformat() if isinstance(value, dt.date) else value for value in values]
    text = json.dumps(["before" if backwards else "after", *plain], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str, model: type[Model], order: Sequence[str]) -> tuple[bool, list[Any]]:
    """Whether to go backwards, and the values of the row to start from, each checked by its model field."""
    try:
        if len(cursor) > _LONGEST_CURSOR:
            raise ValueError("too long")
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        word, *plain = json.loads(text)
        if word not in ("before", "after") or len(plain) != len(order):
            raise ValueError("not of this list")
        fields = [model._meta.get_field(name.lstrip("-")) for name in order]
        return word == "before", [_checked(field, value) for field, value in zip(fields, plain, strict=True)]
    except (ValueError, TypeError, ValidationError, binascii.Error, RecursionError) as error:
        raise BadCursor(
            "This cursor is not one of this list. Leave it out to start over, or follow the `next` of an answer."
        ) from error


def _checked(field: Any, value: Any) -> Any:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError("not a plain value")
    if isinstance(value, str) and b"\0" in value.encode():  # half a surrogate pair raises UnicodeEncodeError here
        raise ValueError("not text")
    return getattr(field, "target_field", field).to_python(value)
