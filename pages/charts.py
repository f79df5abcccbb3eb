"""Plots drawn on the server: bars stacked by month and lines of points, each a link to what it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 520, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 10, 24
_LABELS = 6  # months that are written below, at most


@dataclass(frozen=True)
class Scale:
    """From figures between `low` and `high` to places between `start` and `end`, in units of a picture.

    Where low and high are one figure it is at the start. `end` may lie before `start`, as the top of a picture does.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, figure: float) -> float:
        return round(self.start + (self.end - self.start) * (figure - self.low) / ((self.high - self.low) or 1), 1)

    def length(self, span: float) -> float:
        """How long something of so many figures is drawn."""
        return round(abs(self.end - self.start) * span / ((self.high - self.low) or 1), 1)


@dataclass(frozen=True)
class Value:
    """One figure: None where there is nothing to show."""

    number: float | None
    url: str
    title: str


@dataclass(frozen=True)
class Series:
    """Figures by month, drawn in one tone (a class of the stylesheet)."""

    label: str
    tone: str
    values: Sequence[Value]
    is_dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """A bar, or the dot of a point; both are links."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    url: str
    title: str


@dataclass(frozen=True)
class Stroke:
    """A line through points, broken where one has no figure."""

    points: str
    tone: str
    is_dashed: bool


@dataclass(frozen=True)
class Chart:
    """Everything the template draws."""

    title: str
    series: Sequence[Series]
    ticks: Sequence[tuple[float, str]]
    labels: Sequence[tuple[float, str]]
    bars: Sequence[Mark] = ()
    strokes: Sequence[Stroke] = ()
    dots: Sequence[Mark] = ()

    @property
    def is_empty(self) -> bool:
        return not any(value.number for each in self.series for value in each.values)


def bars(title: str, months: Sequence[str], series: Sequence[Series]) -> Chart:
    """Figures of each month on top of each other."""
    totals = [sum(each.values[n].number or 0 for each in series) for n in range(len(months))]
    x, y = _across(months), _up(max(totals, default=0))
    marks = []
    for n in range(len(months)):
        base = 0.0
        for each in series:
            value = each.values[n]
            if value.number:
                base += value.number
                size = x.length(0.7), y.length(value.number)
                marks.append(Mark(x(n + 0.15), y(base), *size, each.tone, value.url, value.title))
    return Chart(title, series, _ticks(y), _labels(months, x), bars=marks)


def lines(title: str, months: Sequence[str], series: Sequence[Series]) -> Chart:
    """Figures of each month as points on lines."""
    x = _across(months)
    y = _up(max((value.number or 0 for each in series for value in each.values), default=0))
    dots, strokes = [], []
    for each in series:
        run: list[str] = []
        for n, value in enumerate([*each.values, Value(None, "", "")]):
            if value.number is None:
                strokes += [Stroke(" ".join(run), each.tone, each.is_dashed)] if len(run) > 1 else []
                run = []
                continue
            at = x(n + 0.5), y(value.number)
            run.append("{},{}".format(*at))
            dots.append(Mark(*at, 4, 4, each.tone, value.url, value.title))
    return Chart(title, series, _ticks(y), _labels(months, x), strokes=strokes, dots=dots)


def _across(months: Sequence[str]) -> Scale:
    return Scale(0, len(months), _LEFT, WIDTH - _RIGHT)


def _up(most: float) -> Scale:
    return Scale(0, _round_up(most), HEIGHT - _BOTTOM, _TOP)


def _ticks(y: Scale) -> list[tuple[float, str]]:
    return [(y(number), f"{number:,g}") for number in (0, y.high / 2, y.high)]


def _labels(months: Sequence[str], x: Scale) -> list[tuple[float, str]]:
    every = max(1, -(-len(months) // _LABELS))
    return [(x(n + 0.5), month) for n, month in enumerate(months) if n % every == 0]


def _round_up(number: float) -> float:
    """The next of 2, 4, 10, 20, 40, 100 and so on: halves of it are short numbers."""
    top = 2.0
    for factor in [2, 2.5, 2] * 8:
        if top >= number:
            break
        top *= factor
    return top
