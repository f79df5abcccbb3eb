"""How the distinct keys of a table are counted, exactly, and in the cheapest way that its dialect has. Pure.

Everywhere, NULL is a value like others:

    COUNT(*) - COUNT(DISTINCT "id") - CASE WHEN COUNT("id") < COUNT(*) THEN 1 ELSE 0 END

DuckDB remembers the least and the most of each column, and reads rows in one order at next to no cost. So it is asked
three things first, over tables and not over views:

- whether a column of the key rises from each row to the next, in whatever order they are read. Then no key is there
  twice, and nothing is left to count;
- else, whether one column of several is another in every row, which makes the key so too. Whole numbers, days, and
  moments by their second, are given seats in a row of bits: as many seats taken as there are rows is a proof, although
  two moments of one second share a seat;
- else, where the key's columns are whole numbers or days that lie close together, each possible key has a seat in a
  row of bits, and the bits that are set are counted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import islice

from sqlglot import exp

from audits.checks import kinds
from audits.checks.place import Place, counted

FIRST = 100_000  # rows that a first look takes; keys in another order than the table's show there
FIRST_ASKED = "-- First, of the first rows and then of all: a key that rises with every row is there once."
THEN_ASKED = (
    "-- Otherwise, in one scan, unless one column alone is another in every row.\n"
    "-- Whole numbers and days that lie close together are counted in a row of bits."
)
_QUICK = ("duckdb",)
_COUNTS_STRUCTS = ("duckdb", "postgres")  # count(DISTINCT (a, b)) is there, and takes NULL for a value like others
_MOST_BITS = 2**28  # 32 MB for each thread
_BEYOND = (dt.date.min, dt.date.max, dt.datetime.min, dt.datetime.max)  # how DuckDB's client writes infinity
_SECOND = 1_000_000  # microseconds


def has_quick_ways(dialect: str, kind: str) -> bool:
    """Whether `ranges` and `rising` are worth asking of a table of that kind; a view may cost its whole query twice."""
    return dialect in _QUICK and kind != "view"


def ranges(place: Place, columns: Sequence[str]) -> str:
    """One row: the least and the most value of each column, which DuckDB need not read the table for."""
    sides = [kind(this=place.column(name)) for name in columns for kind in (exp.Min, exp.Max)]
    return place.written(place.narrowed(exp.select(*sides), ""))


def rising(place: Place, keys: Sequence[kinds.UniqueKey], most: int | None = None) -> str:
    """One row, for `rise_always`: the number of rows, then how often each part of each key rose in the first `most`.

    The keys share their `where`.
    """
    steps = [exp.alias_(_rises(part), f"rises_{n}") for n, part in enumerate(_parts(place, keys), 1)]
    rows = exp.select("*").limit(most) if most else exp.select("*")
    read = exp.select(*steps).from_(place.narrowed(rows, keys[0].where).subquery("read"))
    return place.written(exp.select(counted(), *(_times(step.alias) for step in steps)).from_(read.subquery("steps")))


def rise_always(keys: Sequence[kinds.UniqueKey], row: Sequence[int]) -> list[bool]:
    """Of each key, whether some part of it rose with every row but the first, by an answer to `rising`."""
    rows, times = row[0], iter(row[1:])
    return [max(islice(times, _number_of_parts(key))) >= rows - 1 for key in keys]


def telling(place: Place, key: kinds.UniqueKey) -> list[str]:
    """Columns that may show alone, by their seats, that a key is there once; none where the key itself has seats."""
    if _bits(place, key) is not None:
        return []
    return [name for name in map(place.spelled, key.columns) if _seat(place, name, by_second=True) is not None]


def first_values(place: Place, columns: Sequence[str], where: str) -> str:
    """One row: the number of the first rows, then how many values each column holds in them."""
    read = place.narrowed(exp.select("*").limit(FIRST), where).subquery("read")
    values = (exp.Count(this=exp.Distinct(expressions=[place.column(name)]), big_int=True) for name in columns)
    return place.written(exp.select(counted(), *values).from_(read))


def seats_taken(place: Place, columns: Sequence[str], where: str) -> str:
    """One row: the number of rows, then how many seats the values of each column take; `telling` named them."""
    seats = (_taken(*seat) for name in columns if (seat := _seat(place, name, by_second=True)))
    return place.written(place.narrowed(exp.select(counted(), *seats), where))


def repetitions(place: Place, key: kinds.UniqueKey) -> exp.Expression:
    """Rows beyond the first of each key, as an expression over the rows that the check is of."""
    columns = [place.column(name) for name in key.columns]
    bits = _bits(place, key)
    if bits is not None:
        return exp.Sub(this=counted(), expression=bits)
    if len(columns) == 1:
        distinct = exp.Count(this=exp.Distinct(expressions=columns), big_int=True)
        has_null = exp.LT(this=exp.Count(this=columns[0].copy(), big_int=True), expression=counted())
        one_for_null = exp.Case().when(has_null, _number(1)).else_(_number(0))
        return exp.Sub(this=exp.Sub(this=counted(), expression=distinct), expression=one_for_null)
    if place.dialect in _COUNTS_STRUCTS:
        struct = exp.Distinct(expressions=[exp.Tuple(expressions=columns)])
        return exp.Sub(this=counted(), expression=exp.Count(this=struct, big_int=True))
    once = place.narrowed(exp.select(*columns).distinct(), key.where).subquery("once")
    return exp.Sub(this=counted(), expression=exp.select(counted()).from_(once).subquery())


def _number(value: int) -> exp.Literal:
    return exp.Literal.number(value)


# Keys in the order of the table


def _parts(place: Place, keys: Sequence[kinds.UniqueKey]) -> Iterator[exp.Expression]:
    """What may rise: each column of each key, then all its columns one after the other."""
    for key in keys:
        columns = [place.column(name) for name in key.columns]
        yield from columns
        if len(columns) > 1:
            yield exp.Tuple(expressions=[each.copy() for each in columns])


def _number_of_parts(key: kinds.UniqueKey) -> int:
    return len(key.columns) + (len(key.columns) > 1)


def _rises(part: exp.Expression) -> exp.Expression:
    """It lies above that of the row before; beside a NULL nobody knows."""
    return exp.GT(this=part, expression=exp.Window(this=exp.Lag(this=part.copy())))


def _times(name: str) -> exp.Expression:
    return exp.Count(this=exp.Case().when(exp.column(name), _number(1)), big_int=True)


# Keys as seats in a row of bits


def _bits(place: Place, key: kinds.UniqueKey) -> exp.Expression | None:
    """How many keys there are, by the bits that they set; None where their columns do not lie close enough together."""
    seat: exp.Expression = _number(0)
    size = 1  # of the seats so far
    for name in key.columns:
        found = _seat(place, name)
        if found is None:
            return None
        own, width = found
        before = exp.Mul(this=exp.paren(seat), expression=_number(width))
        seat = own if size == 1 else exp.Add(this=before, expression=own)
        size *= width
    return _taken(seat, size) if size <= _MOST_BITS else None


def _taken(seat: exp.Expression, size: int) -> exp.Expression:
    """How many of the seats are taken."""
    bits = exp.func("BITSTRING_AGG", seat, _number(0), _number(size - 1))
    return exp.func("COALESCE", exp.func("BIT_COUNT", bits), _number(0))


def _seat(place: Place, name: str, by_second: bool = False) -> tuple[exp.Expression, int] | None:
    """The seat of a column's value, from 0 for NULL on, and how many seats there are; None where they are too many, or
    its values are of no such kind. Moments share one `by_second`, and have none else."""
    least, most = place.ranges.get(place.spelled(name), (None, None))
    kinds_with_seats = (int, dt.date, dt.datetime) if by_second else (int, dt.date)
    is_known = type(least) is type(most) and type(least) in kinds_with_seats and not {least, most} & set(_BEYOND)
    is_known = is_known and getattr(least, "tzinfo", None) is None
    width = _whole(most) - _whole(least) + 2 if is_known else _MOST_BITS + 1
    own = exp.func("COALESCE", _above(place.column(name), least), _number(0)) if width <= _MOST_BITS else None
    return None if own is None else (own, width)


def _whole(value: int | dt.date) -> int:
    if isinstance(value, dt.datetime):
        return (value - dt.datetime(1970, 1, 1)) // dt.timedelta(seconds=1)
    return value.toordinal() if isinstance(value, dt.date) else value


def _above(column: exp.Column, least: int | dt.date) -> exp.Expression:
    """From 1 for the least value on."""
    if isinstance(least, dt.datetime):
        seconds = exp.func("FLOOR", exp.Div(this=exp.func("EPOCH_US", column), expression=_number(_SECOND)))
        return exp.Sub(this=exp.cast(seconds, "bigint"), expression=exp.convert(_whole(least) - 1))
    if isinstance(least, dt.date):
        first = exp.cast(exp.Literal.string((least - dt.timedelta(days=1)).isoformat()), "date")
        return exp.cast(exp.Sub(this=column, expression=first), "bigint")
    return exp.Sub(this=exp.cast(column, "bigint"), expression=exp.convert(least - 1))
