"""Plots drawn on the server: bars stacked by month and lines of points, each a link to what it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 520, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 10, 24
_LABELS = 6  # months that are written below, at most


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
    top = _round_up(max(totals, default=0))
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(months))
    marks = []
    for n in range(len(months)):
        base = 0.0
        for each in series:
            value = each.values[n]
            if value.number:
                y, height = _height(base + value.number, top), value.number / top * _inner()
                x = round(_LEFT + n * step + step * 0.15, 1)
                marks.append(Mark(x, y, round(step * 0.7, 1), round(height, 1), each.tone, value.url, value.title))
                base += value.number
    return Chart(title, series, _ticks(top), _labels(months, step), bars=marks)


def lines(title: str, months: Sequence[str], series: Sequence[Series]) -> Chart:
    """Figures of each month as points on lines."""
    top = _round_up(max((value.number or 0 for each in series for value in each.values), default=0))
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(months))
    dots, strokes = [], []
    for each in series:
        run: list[str] = []
        for n, value in enumerate([*each.values, Value(None, "", "")]):
            if value.number is None:
                strokes += [Stroke(" ".join(run), each.tone, each.is_dashed)] if len(run) > 1 else []
                run = []
                continue
            x, y = round(_LEFT + (n + 0.5) * step, 1), _height(value.number, top)
            run.append(f"{x},{y}")
            dots.append(Mark(x, y, 4, 4, each.tone, value.url, value.title))
    return Chart(title, series, _ticks(top), _labels(months, step), strokes=strokes, dots=dots)


def _inner() -> float:
    return HEIGHT - _TOP - _BOTTOM


def _height(number: float, top: float) -> float:
    return round(_TOP + _inner() * (1 - number / top), 1)


def _ticks(top: float) -> list[tuple[float, str]]:
    return [(_height(number, top), f"{number:,g}") for number in (0, top / 2, top)]


def _labels(months: Sequence[str], step: float) -> list[tuple[float, str]]:
    every = max(1, -(-len(months) // _LABELS))
    return [(round(_LEFT + (n + 0.5) * step, 1), month) for n, month in enumerate(months) if n % every == 0]


def _round_up(number: float) -> float:
    """The next of 2, 4, 10, 20, 40, 100 and so on: halves of it are short numbers."""
    top = 2.0
    for factor in [2, 2.5, 2] * 8:
        if top >= number:
            break
        top *= factor
    return top
