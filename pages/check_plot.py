"""A check's results over time as SVG: the figures, and the bounds that they had to keep as a band behind them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audits.checks.judge import written
from audits.checks.models import CheckResult, State
from catalog.moments import in_words
from pages.charts import Scale

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
    x = Scale(drawn[0].at.timestamp(), drawn[-1].at.timestamp(), MARGIN, WIDTH - MARGIN)
    y = Scale(low, high, HEIGHT - MARGIN, MARGIN)
    return Plot(
        dots=[_dot(result, x, y) for result in drawn],
        line=_points((x(each.at.timestamp()), y(each.value)) for each in drawn if each.value is not None),
        band=_band(drawn, x, y),
        top=written(high),
        bottom=written(low),
        first=drawn[0].at,
        last=drawn[-1].at,
    )


def _band(drawn: Sequence[CheckResult], x: Scale, y: Scale) -> str:
    """The outline of what was allowed: along the upper bounds, back along the lower ones; an open side is the edge."""
    bounded = [result for result in drawn if result.low is not None or result.high is not None]
    upper = [(x(each.at.timestamp()), 0 if each.high is None else y(each.high)) for each in bounded]
    lower = [(x(each.at.timestamp()), HEIGHT if each.low is None else y(each.low)) for each in reversed(bounded)]
    return _points(upper + lower)


def _points(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _dot(result: CheckResult, x: Scale, y: Scale) -> Dot:
    """What could not be measured stands on the lower edge."""
    figure = written(result.value) if result.value is not None else State(result.state).label
    title = f"{in_words(result.at)}: {figure}. {result.words}"
    height = y(y.low if result.value is None else result.value)
    return Dot(x(result.at.timestamp()), height, result.state, title[:300])
