"""A check's results over time as SVG: the figures, and the bounds that they had to keep as a band behind them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from audits.checks.judge import written
from audits.checks.models import CheckResult, State
from catalog.moments import in_words

WIDTH, HEIGHT, MARGIN = 720.0, 180.0, 8.0


@dataclass(frozen=True)
class Dot:
    """A result: where it is drawn, its state, and what it says on hover."""

    x: float
    y: float
    state: str
    title: str


@dataclass(frozen=True)
class Plot:
    """Coordinates in units of a WIDTH x HEIGHT picture; `top` and `bottom` are the figures at its edges."""

    dots: list[Dot]
    line: str
    band: str
    top: str
    bottom: str
    first: dt.datetime
    last: dt.datetime
    width: float = WIDTH
    height: float = HEIGHT


def plot(results: Sequence[CheckResult]) -> Plot | None:
    """The results, the newest first, drawn from left to right; None where fewer than two have a figure."""
    drawn = sorted(results, key=lambda result: (result.at, result.pk))
    figures = [result.value for result in drawn if result.value is not None]
    if len(figures) < 2:
        return None
    bounds = [bound for result in drawn for bound in (result.low, result.high) if bound is not None]
    low, high = min(figures + bounds), max(figures + bounds)
    high += (abs(low) or 1) if high == low else 0  # one figure all along is no scale
    scale = _Scale(drawn[0].at, drawn[-1].at, low, high)
    points = [(scale.x(result.at), scale.y(result.value)) for result in drawn if result.value is not None]
    return Plot(
        dots=[_dot(result, scale) for result in drawn],
        line=" ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        band=_band(drawn, scale),
        top=written(high),
        bottom=written(low),
        first=drawn[0].at,
        last=drawn[-1].at,
    )


@dataclass(frozen=True)
class _Scale:
    first: dt.datetime
    last: dt.datetime
    low: float
    high: float

    def x(self, at: dt.datetime) -> float:
        span = (self.last - self.first).total_seconds() or 1
        return round(MARGIN + (WIDTH - 2 * MARGIN) * (at - self.first).total_seconds() / span, 1)

    def y(self, value: float | None) -> float:
        """Where a figure is; what could not be measured stands on the lower edge."""
        if value is None:
            return HEIGHT - MARGIN
        return round(MARGIN + (HEIGHT - 2 * MARGIN) * (self.high - value) / (self.high - self.low), 1)


def _band(drawn: Sequence[CheckResult], scale: _Scale) -> str:
    """The outline of what was allowed: along the upper bounds, back along the lower ones; an open side is the edge."""
    bounded = [result for result in drawn if result.low is not None or result.high is not None]
    if not bounded:
        return ""
    upper = [(scale.x(each.at), 0.0 if each.high is None else scale.y(each.high)) for each in bounded]
    lower = [(scale.x(each.at), HEIGHT if each.low is None else scale.y(each.low)) for each in reversed(bounded)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in upper + lower)


def _dot(result: CheckResult, scale: _Scale) -> Dot:
    figure = written(result.value) if result.value is not None else State(result.state).label
    title = f"{in_words(result.at)}: {figure}. {result.words}"
    return Dot(scale.x(result.at), scale.y(result.value), result.state, title[:300])
