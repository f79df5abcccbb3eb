"""Many rows at once, past the ORM: where an ingest writes 100,000 rows, making objects of them is most of the cost."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.expressions import RawSQL

CHUNK = 900  # values in one IN (…): under SQLite's oldest bound of 999 variables
Item = TypeVar("Item")


def insert_rows(model: type[models.Model], fields: Sequence[str], rows: Collection[Sequence[Any]]) -> None:
    """Insert `rows`, whose values stand in the order of `fields` (names of model fields), in one statement's run.

    Values must be as the database takes them (JSON as text, moments by `as_stored`); constraints hold as always, but
    nothing is validated. On PostgreSQL the rows go by COPY.
    """
    if not rows:
        return
    table, quote = model._meta.db_table, connection.ops.quote_name
    columns = ", ".join(quote(model._meta.get_field(field).column) for field in fields)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {quote(table)} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(fields))
            cursor.executemany(f"INSERT INTO {quote(table)} ({columns}) VALUES ({marks})", rows)


def update_rows(model: type[models.Model], fields: Sequence[str], rows: Collection[Sequence[Any]]) -> None:
    """Set `fields` of rows, each given as (key, value, value, …), as `insert_rows` takes them.

    `bulk_update` builds one CASE for each field, which takes thirty times as long.
    """
    if not rows:
        return
    table, quote = model._meta.db_table, connection.ops.quote_name
    changes = ", ".join(f"{quote(model._meta.get_field(field).column)} = %s" for field in fields)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {quote(table)} SET {changes} WHERE {quote(model._meta.pk.column)} = %s",
            [(*values, pk) for pk, *values in rows],
        )


def as_stored(moment: dt.datetime) -> Any:
    """A moment in the form that `insert_rows` wants."""
    return connection.ops.adapt_datetimefield_value(moment)


def chunks(items: Iterable[Item], size: int = CHUNK) -> Iterator[list[Item]]:
    """`items` in lists of at most `size`."""
    items = list(items)
    for start in range(0, len(items), size):
        yield items[start : start + size]


def among(ids: Iterable[int]) -> RawSQL:
    """Thousands of ids as the right side of `__in`: one value for the database to unpack, one query for them all.

    A list would be checked, prepared and sent value by value, which takes longer than finding the rows.
    """
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::bigint[])", [list(ids)])
    return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(list(ids))])
