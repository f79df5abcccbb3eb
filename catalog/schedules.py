"""When a pipeline should run next, by its cron schedule and its last start: on time, late, or missing. Pure; in UTC."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from functools import lru_cache

from cronsim import CronSim, CronSimError

GRACE = dt.timedelta(minutes=10)  # orchestrators take a while to start what is due
_EARLY = dt.timedelta(minutes=1)  # a start so little before its time is that time's
_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class Punctuality(enum.Enum):
    """How a pipeline stands to its schedule."""

    ON_TIME = "on_time"
    LATE = "late"  # its next run has not started
    MISSING = "missing"  # not even the one after that has

    @property
    def label(self) -> str:
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Timing:
    """When the next run was or is due, and what that means now."""

    due_at: dt.datetime
    punctuality: Punctuality


def timing(schedule: str, last_start: dt.datetime | None, now: dt.datetime) -> Timing | None:
    """How a pipeline stands; None where its schedule is no cron, or no run tells when it last started.

    Where no run is on record nobody may report any: that is a gap in evidence, not a missing run.
    """
    if last_start is None:
        return None
    due_at = due_after(schedule, last_start)
    if due_at is None:
        return None
    return Timing(due_at, _punctuality(schedule, due_at, now))


def due_after(schedule: str, start: dt.datetime) -> dt.datetime | None:
    """When the run after one that began at `start` is due; None where the schedule is no cron."""
    return next_start(schedule, start + _EARLY)


def _punctuality(schedule: str, due_at: dt.datetime, now: dt.datetime) -> Punctuality:
    if now < due_at + GRACE:
        return Punctuality.ON_TIME
    then = next_start(schedule, due_at)
    return Punctuality.LATE if then is None or now < then + GRACE else Punctuality.MISSING


def next_start(schedule: str, after: dt.datetime) -> dt.datetime | None:
    """The first moment of a cron schedule after another; None for one in other words.

    >>> next_start("@daily", dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC))
    datetime.datetime(2026, 3, 3, 0, 0, tzinfo=datetime.timezone.utc)
    """
    cron = _cron(schedule)
    if cron is None:
        return None
    return next(CronSim(cron, after.astimezone(dt.UTC)), None)


@lru_cache(maxsize=10_000)
def _cron(schedule: str) -> str | None:
    """The five fields of a schedule, if it is one that cron knows."""
    cron = _PRESETS.get(schedule.strip().lower(), schedule.strip())
    try:
        CronSim(cron, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    except CronSimError:
        return None
    return cron
