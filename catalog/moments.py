"""Moments in words, in the zone of whoever asked: that of a page's reader, UTC over REST and in commands."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone


def in_words(at: dt.datetime) -> str:
    """A moment as "2026-03-02 14:00 Europe/Berlin"."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M} {timezone.get_current_timezone_name()}"


def start_of(day: dt.date) -> dt.datetime:
    """Midnight in UTC, whatever the reader's zone: days of evidence are the same for all."""
    return dt.datetime.combine(day, dt.time.min, dt.UTC)
