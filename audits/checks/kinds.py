"""What a check can be of, as typed values: one frozen class per kind, read from plain JSON. Imports no Django.

>>> read_parameters("unique_key", {"columns": ["day", "country"]}).title()
'unique key: day, country'
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

MOST_COLUMNS = 32
MOST_VALUES = 500
_LONGEST_NAME = 300
_LONGEST_SQL = 20_000


class BadParameters(ValueError):
    """Which parameters are wrong, and what would be right: `faults` maps a name to sentences."""

    def __init__(self, faults: Mapping[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(words)}" for name, words in faults.items()))
        self.faults = dict(faults)


class _Wrong(ValueError):
    """What is wrong with one value."""


# How one value is read


def _number(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _Wrong("Write a number.")
    return value


def _count(value: Any) -> int:
    number = _number(value)
    if number != int(number) or not 0 <= number < 2**53:
        raise _Wrong("Write a whole number, 0 or more.")
    return int(number)


def _at_least_one(value: Any) -> int:
    number = _count(value)
    if not 1 <= number <= 10_000:
        raise _Wrong("Write a whole number from 1 to 10,000.")
    return number


def _above_zero(value: Any) -> float | int:
    number = _number(value)
    if number <= 0:
        raise _Wrong("Write a number above 0.")
    return number


def _text(value: Any, longest: int = _LONGEST_NAME) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Wrong("Write some text.")
    if len(value) > longest or "\0" in value:
        raise _Wrong(f"At most {longest:,} characters, none of them NUL.")
    return value.strip()


def _sql(value: Any) -> str:
    return _text(value, _LONGEST_SQL).rstrip("; \n")


def _table(value: Any) -> str:
    name = _text(value, 700)
    if ":" not in name:
        raise _Wrong("Write it as source:name, for example warehouse:shop.orders.")
    return name


def _columns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_COLUMNS:
        raise _Wrong(f"Name from 1 to {MOST_COLUMNS} columns, as a list.")
    names = tuple(_text(name) for name in value)
    if len(set(names)) < len(names):
        raise _Wrong("A column is named twice.")
    return names


def _values(value: Any) -> tuple[str | int | float | bool, ...]:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_VALUES:
        raise _Wrong(f"Name from 1 to {MOST_VALUES} values, as a list.")
    for each in value:
        if not isinstance(each, str | int | float) or (isinstance(each, float) and not math.isfinite(each)):
            raise _Wrong(
                "Values are texts, numbers, true or false. NULL is always accepted: not_null is its own check."
            )
        if isinstance(each, str) and "\0" in each:
            raise _Wrong("A text cannot hold the character NUL.")
    return tuple(value)


def _given(read: Callable[[Any], Any], default: Any = dataclasses.MISSING) -> Any:
    """A parameter that `read` reads; without a default it must be there."""
    return dataclasses.field(default=default, metadata={"read": read})


# The kinds


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What every kind has; `where` narrows the rows, such as to the newest partitions."""

    kind: ClassVar[str]
    unit: ClassVar[str] = "rows"
    reads_columns: ClassVar[bool] = True

    def title(self) -> str:
        """What the check is called unless somebody names it."""
        raise NotImplementedError

    def faults(self) -> dict[str, list[str]]:
        """What is wrong with the values together."""
        return {}

    def columns_read(self) -> tuple[str, ...]:
        """The columns of its table that it names."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it: without what is not stated."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return {name: value for name, value in values.items() if value is not None and value != ""}


@dataclass(frozen=True, kw_only=True)
class _OfRows(Parameters):
    where: str = _given(_sql, "")

    def _narrowed(self, title: str) -> str:
        return f"{title}, where {self.where}" if self.where else title


@dataclass(frozen=True, kw_only=True)
class RowCount(_OfRows):
    """The number of rows lies between two bounds."""

    kind: ClassVar[str] = "row_count"
    min: int | None = _given(_count, None)
    max: int | None = _given(_count, None)

    def title(self) -> str:
        return self._narrowed("row count")

    def faults(self) -> dict[str, list[str]]:
        return _faults_of_bounds(self.min, self.max)


@dataclass(frozen=True, kw_only=True)
class RowCountChange(_OfRows):
    """The number of rows differs by at most so many percent from the median of the last results."""

    kind: ClassVar[str] = "row_count_change"
    percent: float = _given(_above_zero)
    runs: int = _given(_at_least_one, 1)

    def title(self) -> str:
        return self._narrowed("change of the row count")


@dataclass(frozen=True, kw_only=True)
class UsualRowCount(_OfRows):
    """The number of rows is as usual on this weekday: the median, give or take some median deviations."""

    kind: ClassVar[str] = "usual_row_count"
    deviations: float = _given(_above_zero, 5)
    weeks: int = _given(_at_least_one, 8)

    def title(self) -> str:
        return self._narrowed("usual row count")


@dataclass(frozen=True, kw_only=True)
class InOutRatio(Parameters):
    """Rows of a pipeline's output for each row of its input."""

    kind: ClassVar[str] = "in_out_ratio"
    unit: ClassVar[str] = "out for each row in"
    input: str = _given(_table)
    output: str = _given(_table)
    min: float | None = _given(_number, None)
    max: float | None = _given(_number, None)

    def title(self) -> str:
        return f"rows out for each row in: {_bare(self.output)} of {_bare(self.input)}"

    def faults(self) -> dict[str, list[str]]:
        return _faults_of_bounds(self.min, self.max)


@dataclass(frozen=True, kw_only=True)
class UniqueKey(_OfRows):
    """No two rows have the same values in these columns; NULL counts as a value like others."""

    kind: ClassVar[str] = "unique_key"
    unit: ClassVar[str] = "rows with a key that is there already"
    columns: tuple[str, ...] = _given(_columns)

    def title(self) -> str:
        return self._narrowed(f"unique key: {', '.join(self.columns)}")

    def columns_read(self) -> tuple[str, ...]:
        return self.columns


@dataclass(frozen=True, kw_only=True)
class DuplicateRows(_OfRows):
    """No row is there more often than once, all its columns taken together."""

    kind: ClassVar[str] = "duplicate_rows"
    unit: ClassVar[str] = "rows that are there already"
    max: int = _given(_count, 0)

    def title(self) -> str:
        return self._narrowed("duplicate rows")


@dataclass(frozen=True, kw_only=True)
class NotNull(_OfRows):
    """A column holds a value in every row, but for at most so many."""

    kind: ClassVar[str] = "not_null"
    unit: ClassVar[str] = "rows without a value"
    column: str = _given(_text)
    max: int = _given(_count, 0)

    def title(self) -> str:
        return self._narrowed(f"not null: {self.column}")

    def columns_read(self) -> tuple[str, ...]:
        return (self.column,)


@dataclass(frozen=True, kw_only=True)
class AcceptedValues(_OfRows):
    """A column holds one of some values, or NULL."""

    kind: ClassVar[str] = "accepted_values"
    unit: ClassVar[str] = "rows with another value"
    column: str = _given(_text)
    values: tuple[str | int | float | bool, ...] = _given(_values)

    def title(self) -> str:
        return self._narrowed(f"accepted values: {self.column}")

    def columns_read(self) -> tuple[str, ...]:
        return (self.column,)


@dataclass(frozen=True, kw_only=True)
class Referential(_OfRows):
    """What these columns hold is there in the other table; rows with a NULL among them refer to nothing."""

    kind: ClassVar[str] = "referential"
    unit: ClassVar[str] = "rows that refer to nothing there is"
    columns: tuple[str, ...] = _given(_columns)
    to_table: str = _given(_table)
    to_columns: tuple[str, ...] = _given(_columns)

    def title(self) -> str:
        return self._narrowed(f"{', '.join(self.columns)} refers to {_bare(self.to_table)}")

    def faults(self) -> dict[str, list[str]]:
        if len(self.columns) == len(self.to_columns):
            return {}
        return {"to_columns": [f"There are {len(self.columns)} columns here and {len(self.to_columns)} there."]}

    def columns_read(self) -> tuple[str, ...]:
        return self.columns


@dataclass(frozen=True, kw_only=True)
class Freshness(_OfRows):
    """The newest moment in a column is at most so many hours old."""

    kind: ClassVar[str] = "freshness"
    unit: ClassVar[str] = "hours old"
    column: str = _given(_text)
    hours: float = _given(_above_zero)

    def title(self) -> str:
        return self._narrowed(f"freshness: {self.column}")

    def columns_read(self) -> tuple[str, ...]:
        return (self.column,)


@dataclass(frozen=True, kw_only=True)
class CustomSql(Parameters):
    """One query whose only value lies between two bounds; without bounds it must be 0."""

    kind: ClassVar[str] = "custom_sql"
    unit: ClassVar[str] = ""
    sql: str = _given(_sql)
    min: float | None = _given(_number, None)
    max: float | None = _given(_number, None)

    def title(self) -> str:
        return f"own query: {' '.join(self.sql.split())[:80]}"

    def faults(self) -> dict[str, list[str]]:
        return {} if self.min is self.max is None else _faults_of_bounds(self.min, self.max)


@dataclass(frozen=True, kw_only=True)
class External(Parameters):
    """Measured elsewhere, in a way that Pipekeeper does not know: only the results arrive."""

    kind: ClassVar[str] = "external"
    unit: ClassVar[str] = ""
    what: str = _given(lambda value: _text(value, 1000))

    def title(self) -> str:
        return self.what


KINDS: dict[str, type[Parameters]] = {
    each.kind: each
    for each in (
        *(RowCount, RowCountChange, UsualRowCount, InOutRatio, UniqueKey, DuplicateRows, NotNull, AcceptedValues),
        *(Referential, Freshness, CustomSql, External),
    )
}

COUNTS_ROWS = (RowCount, RowCountChange, UsualRowCount)  # what is measured is the number of rows


def read_parameters(kind: str, given: Any) -> Parameters:
    """The parameters of a kind as a typed value; BadParameters names every fault."""
    shape = KINDS.get(kind)
    if shape is None:
        raise BadParameters({"kind": [f"There is no check {kind!r}. There are: {', '.join(KINDS)}."]})
    if not isinstance(given, Mapping):
        raise BadParameters({"parameters": ["Write them as names and values."]})
    fields = {field.name: field for field in dataclasses.fields(shape)}
    known = ", ".join(fields)
    faults = {str(name): [f"{kind} has no such parameter. It has: {known}."] for name in given if name not in fields}
    values = {}
    for name, field in fields.items():
        value = given.get(name)
        if value is None or value == "":
            if field.default is dataclasses.MISSING:
                faults[name] = [f"{kind} needs it."]
            continue
        try:
            values[name] = field.metadata["read"](value)
        except _Wrong as error:
            faults[name] = [str(error)]
    if not faults:
        parameters = shape(**values)
        faults = parameters.faults()
        if not faults:
            return parameters
    raise BadParameters(faults)


def _faults_of_bounds(low: float | None, high: float | None) -> dict[str, list[str]]:
    if low is None and high is None:
        return {"min": ["State min, max or both."]}
    if low is not None and high is not None and low > high:
        return {"max": [f"It lies below min, which is {low:,}."]}
    return {}


def _bare(name: str) -> str:
    return name.partition(":")[2]
