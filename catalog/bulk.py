"""Many rows at once, past the ORM: where an ingest writes 100,000 rows, making statements of objects is most of the
cost.

Values must be as the database takes them (JSON as text, moments by `as_stored`); constraints hold as always, but
nothing is validated.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, groupby, islice
from typing import Any, TypeVar

from django.db import connection, models, transaction
from django.db.models.expressions import RawSQL

CHUNK = 900  # values in one IN (…): under SQLite's oldest bound of 999 variables
Item = TypeVar("Item")
Row = Sequence[Any]

_ROWS = 100  # of one INSERT: half the time of executemany on SQLite, a tenth of it where triggers index the rows
_COPIED = 10_000  # rows that PostgreSQL merges at once
_MERGED = {
    "set": "excluded.{c}",
    "new": "coalesce(excluded.{c}, {t}.{c})",
    "sum": "{t}.{c} + excluded.{c}",
    "bits": "{t}.{c} | excluded.{c}",
    "latest": "greatest({t}.{c}, excluded.{c})",
    "earliest": "least({t}.{c}, excluded.{c})",
}
_MERGED_BY_SQLITE = {"latest": "max({t}.{c}, excluded.{c})", "earliest": "min({t}.{c}, excluded.{c})"}


def insert_rows(model: type[models.Model], fields: Sequence[str], rows: Iterable[Row]) -> None:
    """Insert `rows`, whose values stand in the order of `fields` (names of model fields)."""
    table, columns = _names(model, fields)
    if connection.vendor == "postgresql":
        _copy(table, columns, rows)
    else:
        _insert(table, columns, rows)


def merge_rows(model: type[models.Model], keys: Sequence[str], rows: Iterable[Row], how: Mapping[str, str]) -> None:
    """Insert rows of `keys` and the fields of `how`, or merge them into the row that has the same keys.

    `how` says for each field which value is left: the one that is "set", the "new" one unless it is NULL, their "sum",
    their "bits" together, the "latest" or the "earliest". Without any, the row that is there stays as it is. On
    PostgreSQL rows of one call must differ in their keys.
    """
    table, columns = _names(model, (*keys, *how))
    constraint, conflict = columns[: len(keys)], "NOTHING"
    if how:
        ways = _MERGED if connection.vendor == "postgresql" else {**_MERGED, **_MERGED_BY_SQLITE}
        kept = zip(columns[len(keys) :], how.values(), strict=True)
        conflict = "UPDATE SET " + ", ".join(f"{c} = {ways[way].format(t=table, c=c)}" for c, way in kept)
    conflict = f" ON CONFLICT ({', '.join(constraint)}) DO {conflict}"
    for batch in chunks(rows, _COPIED):
        if connection.vendor == "postgresql" and len(batch) > _ROWS:
            listed = ", ".join(columns)
            with _new_rows(table, columns, batch) as cursor:
                cursor.execute(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM new_rows{conflict}")
        else:
            _insert(table, columns, batch, conflict)


def insert_new(model: type[models.Model], fields: Sequence[str], rows: Sequence[Row]) -> list[int]:
    """Insert `rows` and give their ids, in the same order; fields that are not among `fields` have their defaults."""
    if not rows:
        return []
    given = {model._meta.get_field(field) for field in fields}
    others = [one for one in model._meta.concrete_fields if one not in given and not one.primary_key]
    defaults = [_plain(one.get_default()) for one in others]
    with transaction.atomic():  # on SQLite it holds the lock, so that nobody else takes these ids
        ids = _new_ids(model, len(rows))
        whole = ((pk, *row, *defaults) for pk, row in zip(ids, rows, strict=True))
        insert_rows(model, ("pk", *fields, *(one.name for one in others)), whole)
    return ids


def update_rows(model: type[models.Model], fields: Sequence[str], rows: Collection[Row]) -> None:
    """Set `fields` of rows, each given as (key, value, value, …).

    `bulk_update` builds one CASE for each field, which takes thirty times as long.
    """
    table, (key, *columns) = _names(model, ("pk", *fields))
    if connection.vendor == "postgresql" and len(rows) > _ROWS:
        changes = ", ".join(f"{column} = new_rows.{column}" for column in columns)
        with _new_rows(table, [key, *columns], rows) as cursor:
            cursor.execute(f"UPDATE {table} SET {changes} FROM new_rows WHERE {table}.{key} = new_rows.{key}")
    elif rows:
        changes = ", ".join(f"{column} = %s" for column in columns)
        with connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {table} SET {changes} WHERE {key} = %s", [(*values, pk) for pk, *values in rows]
            )


def as_stored(moment: dt.datetime) -> Any:
    """A moment in the form that the database takes."""
    return connection.ops.adapt_datetimefield_value(moment)


def chunks(items: Iterable[Item], size: int = CHUNK) -> Iterator[list[Item]]:
    """`items` in lists of at most `size`."""
    items = iter(items)
    while chunk := list(islice(items, size)):
        yield chunk


def among(ids: Iterable[int]) -> RawSQL:
    """Thousands of ids as the right side of `__in`: one value for the database to unpack, one query for them all.

    A list would be checked, prepared and sent value by value, which takes longer than finding the rows.
    """
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::bigint[])", [list(ids)])
    return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(list(ids))])


def _names(model: type[models.Model], fields: Sequence[str]) -> tuple[str, list[str]]:
    """A table and its columns, quoted."""
    quote, meta = connection.ops.quote_name, model._meta
    found = [meta.pk if field == "pk" else meta.get_field(field) for field in fields]
    return quote(meta.db_table), [quote(field.column) for field in found]


def _insert(table: str, columns: Sequence[str], rows: Iterable[Row], conflict: str = "") -> None:
    mark = f"({', '.join(['%s'] * len(columns))})"
    with connection.cursor() as cursor:
        for size, batches in groupby(chunks(rows, _ROWS), len):
            values = ", ".join([mark] * size)
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}{conflict}"
            cursor.executemany(statement, [list(chain.from_iterable(batch)) for batch in batches])


def _copy(table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    # Django makes the driver's errors its own in all but this
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def _new_rows(table: str, columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Any]:
    """A cursor of PostgreSQL's where the table new_rows holds `rows`: with it many take a tenth of the time."""
    listed = ", ".join(columns)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE new_rows AS SELECT {listed} FROM {table} WITH NO DATA")
        _copy("new_rows", columns, rows)
        yield cursor
        cursor.execute("DROP TABLE new_rows")


def _new_ids(model: type[models.Model], count: int) -> list[int]:
    """Ids that nobody has had."""
    table, (key,) = model._meta.db_table, [model._meta.pk.column]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # looked up once: beside nextval it would be looked up for each id, which takes longer than all the rest
            named = "WITH named AS MATERIALIZED (SELECT pg_get_serial_sequence(%s, %s)::regclass AS sequence) "
            ids = "SELECT nextval(sequence) FROM named, generate_series(1, %s)"
            cursor.execute(named + ids, [f'"{table}"', key, count])
            return [pk for (pk,) in cursor.fetchall()]
        cursor.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = %s", [table])
        ((last,),) = cursor.fetchall()
        return list(range((last or 0) + 1, (last or 0) + 1 + count))


def _plain(value: Any) -> Any:
    """A value of a model's field as the database takes it."""
    kind = type(value)
    if kind is dict or kind is list:
        return json.dumps(value) if value else repr(value)  # most are empty, and said alike in both
    return as_stored(value) if kind is dt.datetime else value
