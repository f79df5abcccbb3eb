"""A window of time as an address states it: days or moments, the last fourteen days where it says nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from catalog.moments import in_words

DAYS = 14
LONGEST = 366  # days


@dataclass(frozen=True)
class Window:
    """From one moment up to another, both included."""

    since: dt.datetime
    until: dt.datetime

    @classmethod
    def before(cls, until: dt.datetime) -> Window:
        return cls(until - dt.timedelta(days=DAYS), until)

    @classmethod
    def around(cls, noticed: dt.datetime) -> Window:
        """Where the cause of what was noticed may lie, and its first signs: up to a day after."""
        return cls(noticed - dt.timedelta(days=DAYS), noticed + dt.timedelta(days=1))


def read_window(asked: Mapping[str, str]) -> Window:
    """The window between `from` and `to`; a day counts whole. ValidationError says by field what is wrong."""
    faults: dict[str, str] = {}
    ends: dict[str, dt.datetime | None] = {}
    for name, time in (("from", dt.time.min), ("to", dt.time.max)):
        try:
            ends[name] = _moment(asked.get(name, ""), time)
        except ValueError:
            faults[name] = "Write a day (2026-03-02) or a moment (2026-03-02T14:00:00Z)."
    if faults:
        raise ValidationError(faults)
    until = ends["to"] or timezone.now()
    since = ends["from"] or until - dt.timedelta(days=DAYS)
    if since > until:
        raise ValidationError({"from": f"It lies after the end of the window, {in_words(until)}."})
    if until - since > dt.timedelta(days=LONGEST + 1):
        raise ValidationError({"from": f"A window spans {LONGEST} days at most."})
    return Window(since, until)


def _moment(text: str, time_of_day: dt.time) -> dt.datetime | None:
    """None for nothing; ValueError for what is neither a day nor a moment."""
    text = text.strip().replace(" ", "+")  # a plus in an address reads as a blank
    if not text:
        return None
    if day := parse_date(text):
        return dt.datetime.combine(day, time_of_day, dt.UTC)
    moment = parse_datetime(text)
    if moment is None:
        raise ValueError(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
