"""The zone in which a reader sees and writes times. REST, CSV files and mails are in UTC, whoever reads them."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from functools import cache
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

COOKIE = "zone"  # what the browser says of itself, set by site.js


@cache
def zone_names() -> frozenset[str]:
    """Every zone there is, as Europe/Berlin; reads the machine's database of zones once."""
    return frozenset(zoneinfo.available_timezones()) - {"UTC", "localtime", "posixrules", "Factory"}


def zone_of(request: HttpRequest) -> dt.tzinfo:
    """The reader's own choice, else what their browser says, else UTC."""
    name = getattr(request.user, "time_zone", "") or request.COOKIES.get(COOKIE, "")
    return zoneinfo.ZoneInfo(name) if name in zone_names() else dt.UTC


class MomentInput(forms.DateTimeInput):
    """A date and time to pick, to the second, so that a time left alone does not change."""

    def __init__(self) -> None:
        super().__init__({"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")


class MomentField(forms.DateTimeField):
    """A date and time that the reader picks in their zone, as a moment in UTC.

    An hour that comes twice, when clocks go back, is the first one unless the time was left as it stood.
    """

    widget = MomentInput
    has_zone = True  # templates name it beside the label

    def to_python(self, value: Any) -> dt.datetime | None:
        """ValidationError for what is no time, also one that clocks skip."""
        if value in self.empty_values:
            return None
        try:
            written = parse_datetime(str(value).strip())
            moment = written and _placed(written).astimezone(dt.UTC)
        except (ValueError, OverflowError):
            moment = None
        if moment is None:
            raise ValidationError("Write a day and a time, such as 2026-03-02 14:00.", "invalid")
        if timezone.is_naive(written) and timezone.make_naive(moment) != written:
            raise ValidationError(
                f"There was no {written:%H:%M} on {written:%Y-%m-%d} in {timezone.get_current_timezone_name()}: clocks "
                "went forward over it. Write a time before or after.",
                "skipped",
            )
        return moment

    def has_changed(self, initial: Any, data: Any) -> bool:
        written = self.widget.format_value(self.prepare_value(initial))
        return written != data and super().has_changed(initial, data)


def _placed(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.get_current_timezone())
