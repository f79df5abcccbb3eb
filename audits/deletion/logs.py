"""What the query logs of each source cover, and how well they were read: gaps there are holes in all evidence."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Sum

from audits.usage.models import LogCoverage, LoggedDay, Read, SeenRead
from catalog.models import Source

GRACE_DAYS = 3  # a log that came last night ends before today; the window then ends with the log
MOST_UNPARSED = 0.01  # of a source's entries
MOST_UNMATCHED = 0.02  # of the names that are read

Span = tuple[dt.date, dt.date]


@dataclass(frozen=True)
class SourceLog:
    """A source's log in the window: the last stretch of days that every channel covers, and what could not be read.

    `covered_from` and `covered_to` are empty where no log was ever ingested, or no day is covered by all channels.
    """

    slug: str
    storage: str
    channels: int = 0
    covered_from: dt.date | None = None
    covered_to: dt.date | None = None
    entries: int = 0
    unparsed: int = 0
    names_read: int = 0
    names_unmatched: int = 0

    @property
    def ever(self) -> bool:
        return self.channels > 0

    @property
    def unparsed_share(self) -> float:
        return self.unparsed / self.entries if self.entries else 0.0

    @property
    def unmatched_share(self) -> float:
        return self.names_unmatched / self.names_read if self.names_read else 0.0

    def window_end(self, as_of: dt.date) -> dt.date:
        """The last day that is both covered and asked for."""
        return min(as_of, self.covered_to) if self.covered_to else as_of

    def ends_in_time(self, as_of: dt.date) -> bool:
        return self.covered_to is not None and self.covered_to >= as_of - dt.timedelta(days=GRACE_DAYS)

    def to_dict(self) -> dict[str, Any]:
        """As kept with a run, for words."""
        return {
            "covered_from": self.covered_from and self.covered_from.isoformat(),
            "covered_to": self.covered_to and self.covered_to.isoformat(),
            "channels": self.channels,
            "entries": self.entries,
            "unparsed": self.unparsed,
            "names_read": self.names_read,
            "names_unmatched": self.names_unmatched,
        }


def source_logs(as_of: dt.date, window: int) -> dict[int, SourceLog]:
    """Every source's log by the source's id, as of a day. Five queries."""
    first = as_of - dt.timedelta(days=window)
    coverage: dict[int, dict[str, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for source, channel, start, end in LogCoverage.objects.order_by().values_list(
        "source_id", "channel", "covers_from", "covers_to"
    ):
        if start.date() <= as_of:
            coverage[source][channel].append((start.date(), min(end.date(), as_of)))
    days = LoggedDay.objects.filter(day__range=(first, as_of)).order_by().values_list("source_id")
    entries = {source: (n, bad) for source, n, bad in days.annotate(n=Sum("entries"), bad=Sum("unparsed"))}
    matched = _names(Read, "table", first, as_of)
    unmatched = _names(SeenRead, "name", first, as_of)
    return {
        pk: SourceLog(
            slug,
            storage,
            len(coverage[pk]),
            *covered_by_all(coverage[pk].values()),
            *entries.get(pk, (0, 0)),
            matched.get(pk, 0) + unmatched.get(pk, 0),
            unmatched.get(pk, 0),
        )
        for pk, slug, storage in Source.objects.order_by().values_list("pk", "slug", "storage")
    }


def covered_by_all(channels: Iterable[Iterable[Span]]) -> tuple[dt.date | None, dt.date | None]:
    """The last stretch of days that all channels cover without a gap of a day, or (None, None)."""
    channels = [_joined(spans) for spans in channels]
    if not channels or not all(channels):
        return None, None
    end = min(spans[-1][1] for spans in channels)
    around = [next((span for span in spans if span[0] <= end <= span[1]), None) for spans in channels]
    if None in around:
        return None, None
    return max(span[0] for span in around if span), end


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Spans that meet or overlap made one, in order of time."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1] + dt.timedelta(days=1):
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _names(reads: type[Read] | type[SeenRead], name: str, first: dt.date, last: dt.date) -> dict[int, int]:
    rows = reads.objects.filter(day__range=(first, last)).order_by().values_list("reader__source_id")
    return dict(rows.annotate(n=Count(name, distinct=True)))
