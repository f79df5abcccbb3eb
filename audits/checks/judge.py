"""What a figure means: the bounds that hold for it, said in words, and whether it lies within. Pure.

>>> judge(read_parameters("not_null", {"column": "email"}), 3, Past(), NOW).words
'3 rows without a value; none are expected.'
"""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audits.checks import kinds
from audits.checks.kinds import Parameters

FEWEST = 4  # earlier counts that a usual count is read off
_DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_LEAST_SPREAD = 0.01  # of the median: where every count was the same, one row more is no anomaly
_MOST_AHEAD = dt.timedelta(days=1)  # of the newest moment: a zone apart, and no more


@dataclass(frozen=True)
class Bounds:
    """Between which figures a check passes, and where they come from; without `is_known`, nobody can tell yet."""

    low: float | None = None
    high: float | None = None
    words: str = ""
    is_known: bool = True


@dataclass(frozen=True)
class Judgement:
    """Whether a figure is as it should be: None where nobody can tell (`words` say why)."""

    passes: bool | None
    value: float | None
    low: float | None = None
    high: float | None = None
    words: str = ""
    is_error: bool = False  # nothing was measured


Past = Sequence[tuple[dt.datetime, float]]
"""Earlier figures of the same check with the moments they were measured at, in any order."""


def judge(parameters: Parameters, measured: Any, past: Past, at: dt.datetime) -> Judgement:
    """Whether what the database answered at `at` is as the check wants it."""
    try:
        value = _age_in_hours(measured, at) if isinstance(parameters, kinds.Freshness) else _figure(measured)
    except ValueError as error:
        return Judgement(None, None, words=str(error), is_error=True)
    bounds = bounds_of(parameters, past, at)
    said = f"{written(value)} {parameters.unit}".rstrip()
    if not bounds.is_known:
        return Judgement(None, value, words=f"{said}. {bounds.words}")
    is_low = bounds.low is not None and value < bounds.low
    is_high = bounds.high is not None and value > bounds.high
    return Judgement(not (is_low or is_high), value, bounds.low, bounds.high, f"{said}; {bounds.words}.")


def bounds_of(parameters: Parameters, past: Past, at: dt.datetime) -> Bounds:
    """The bounds that a figure measured at `at` must keep."""
    match parameters:
        case kinds.RowCountChange():
            return _around_the_last(parameters, past, at)
        case kinds.UsualRowCount():
            return usual(past, at, parameters.weeks, parameters.deviations)
        case kinds.RowCount() | kinds.InOutRatio():
            return _stated(parameters.min, parameters.max)
        case kinds.CustomSql():
            is_open = parameters.min is None and parameters.max is None
            return _stated(0, 0) if is_open else _stated(parameters.min, parameters.max)
        case kinds.DuplicateRows() | kinds.NotNull():
            return _stated(None, parameters.max)
        case kinds.Freshness():
            return _stated(None, parameters.hours)
    return _stated(None, 0)


def usual(past: Past, at: dt.datetime, weeks: int, deviations: float) -> Bounds:
    """The median of earlier counts on this weekday, give or take so many median deviations; one count a day counts.

    Where too few of this weekday are known, Monday to Friday count together, or Saturday and Sunday.
    """
    by_day = {
        moment.date(): value
        for moment, value in sorted(past)
        if dt.timedelta(0) < at.date() - moment.date() <= dt.timedelta(weeks=weeks)
    }
    values, on = [value for day, value in by_day.items() if day.weekday() == at.weekday()], _DAYS[at.weekday()]
    unit = "weeks"
    if len(values) < FEWEST:
        values = [value for day, value in by_day.items() if (day.weekday() < 5) == (at.weekday() < 5)]
        on, unit = "weekdays" if at.weekday() < 5 else "weekends", "days"
    if len(values) < FEWEST:
        words = f"It takes {FEWEST} earlier days to know what is usual on {on}; {len(values)} are known."
        return Bounds(words=words, is_known=False)
    middle = statistics.median(values)
    deviation = statistics.median(abs(value - middle) for value in values)
    width = max(deviations * deviation, _LEAST_SPREAD * abs(middle))
    words = f"usually {written(middle)} ± {written(round(width))} on {on}, from {len(values)} {unit}"
    return Bounds(max(0.0, middle - width), middle + width, words)


def _around_the_last(parameters: kinds.RowCountChange, past: Past, at: dt.datetime) -> Bounds:
    before = [value for moment, value in sorted(past) if moment < at][-parameters.runs :]
    if not before:
        return Bounds(words="There is no earlier result to compare with.", is_known=False)
    middle = statistics.median(before)
    width = abs(middle) * parameters.percent / 100
    against = "the last result" if len(before) == 1 else f"the median of the last {len(before)} results"
    words = f"at most {written(parameters.percent)} % from {against}, {written(middle)}, is expected"
    return Bounds(middle - width, middle + width, words)


def _stated(low: float | None, high: float | None) -> Bounds:
    if low is None:
        return Bounds(None, high, f"at most {written(high)} are expected" if high else "none are expected")
    if high is None:
        return Bounds(low, None, f"at least {written(low)} are expected")
    exactly = f"exactly {written(low)}" if low == high else f"{written(low)} to {written(high)}"
    return Bounds(low, high, f"{exactly} are expected")


def _figure(measured: Any) -> float:
    """A finite number. ValueError says what it is instead."""
    if measured is None:
        raise ValueError("The query gave NULL, which is no figure.")
    try:
        value = float(measured)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"The query gave {str(measured)[:80]!r}, which is no figure.") from error
    if not math.isfinite(value):
        raise ValueError(f"The query gave {value}, which is no figure that can be compared.")
    return value


def _age_in_hours(measured: Any, at: dt.datetime) -> float:
    """How old a moment is; a day counts from its start, and what has no zone is in UTC."""
    if measured is None:
        raise ValueError("No row has a moment in this column, so nobody can say how fresh the table is.")
    if isinstance(measured, str):
        try:
            measured = dt.datetime.fromisoformat(measured)
        except ValueError as error:
            raise ValueError(f"The newest value is {measured[:80]!r}, which is no moment.") from error
    if not isinstance(measured, dt.date):
        raise ValueError(f"The newest value is {str(measured)[:80]!r}, which is no moment.")
    if not isinstance(measured, dt.datetime):
        measured = dt.datetime.combine(measured, dt.time())
    moment = measured if measured.tzinfo else measured.replace(tzinfo=dt.UTC)
    if moment - at > _MOST_AHEAD:
        raise ValueError(f"The newest moment is {moment:%Y-%m-%d}, in the future, so nobody can say how fresh it is.")
    return max(0.0, round((at - moment).total_seconds() / 3600, 2))


def written(value: float | None) -> str:
    """A figure for people: 10120.0 as 10,120 and 0.98765 as 0.9877."""
    if value is None:
        return "–"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
