"""Moments in words, in the zone of whoever asked: that of a page's reader, UTC over REST and in commands."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

_UNITS = (("days", 86_400, 172_800), ("h", 3600, 3600), ("min", 60, 60), ("s", 1, 0))  # of so many seconds, used from


def in_words(at: dt.datetime) -> str:
    """A moment as "2026-03-02 14:00 Europe/Berlin"."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M} {timezone.get_current_timezone_name()}"


def start_of(day: dt.date) -> dt.datetime:
    """Midnight in UTC, whatever the reader's zone: days of evidence are the same for all."""
    return dt.datetime.combine(day, dt.time.min, dt.UTC)


def lasting(span: dt.timedelta) -> str:
    """A span of time in its two largest units: "40 ms", "14 min", "2 h 5 min", "24 h", "6 days 22 h"; never below 0."""
    if dt.timedelta() < span < dt.timedelta(seconds=1):
        return f"{max(1, span.microseconds // 1000)} ms"
    seconds = max(0, int(span.total_seconds()))
    place = next(place for place, (_, _, least) in enumerate(_UNITS) if seconds >= least)
    said = []
    for unit, size, _ in _UNITS[place : place + 2]:
        number, seconds = divmod(seconds, size)
        if number or not said:
            said.append(f"{number} {unit}")
    return " ".join(said)
