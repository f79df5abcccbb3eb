"""When the next run is due, and what it means when it has not come."""

from __future__ import annotations

import datetime as dt

import pytest

from catalog.schedules import Punctuality, next_start, timing

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def at(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> dt.datetime:
    return dt.datetime(2026, 3, day, hour, minute, second, tzinfo=dt.UTC)


@pytest.mark.parametrize(("schedule", "after", "due"), [
    ("0 3 * * *", at(2, 3, 0, 5), at(3, 3)),
    ("@daily", at(2, 12), at(3)),
    ("*/15 * * * *", at(2, 12, 1), at(2, 12, 15)),
    ("0 6 * * 1", at(2, 12), at(9, 6)),
    ("0 3 * * *", dt.datetime(2026, 3, 2, 5, tzinfo=dt.timezone(dt.timedelta(hours=5))), at(2, 3)),
    ("every morning", at(2), None),
    ("", at(2), None),
    ("61 3 * * *", at(2), None),
    ("0 0 30 2 *", at(2), None),
])  # fmt: skip
def test_the_next_start_of_a_schedule(schedule, after, due) -> None:
    assert next_start(schedule, after) == due


@pytest.mark.parametrize(("last_start", "now", "expected"), [
    (at(2, 3, 0, 30), at(3, 2, 59), Punctuality.ON_TIME),
    (at(2, 3, 0, 30), at(3, 3, 9), Punctuality.ON_TIME),  # within the grace
    (at(2, 3, 0, 30), at(3, 3, 11), Punctuality.LATE),
    (at(2, 3, 0, 30), at(4, 3, 11), Punctuality.MISSING),
    (at(2, 2, 59, 45), at(2, 4), Punctuality.ON_TIME),  # a little early is that day's start
    (at(2, 9), at(3, 2), Punctuality.ON_TIME),  # a late start is that day's too
])  # fmt: skip
def test_late_and_missing(last_start, now, expected) -> None:
    assert timing("0 3 * * *", last_start, now).punctuality is expected


def test_nothing_is_said_without_a_run_or_a_cron_schedule() -> None:
    assert timing("0 3 * * *", None, NOON) is None
    assert timing("daily", NOON, NOON) is None
