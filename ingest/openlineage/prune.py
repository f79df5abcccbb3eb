"""Old events, as they came, out of the database; what was derived from them stays."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from ingest.models import LineageEvent

_AT_ONCE = 1_000  # deleted in one transaction, so that those who send events need not wait for all


def prune_events(days: float) -> int:
    """Drop events that came in more than `days` days ago; how many.

    It reads little more than it drops, since ids grow as events come in.
    """
    before, dropped = timezone.now() - dt.timedelta(days=days), 0
    while old := _oldest(before):
        LineageEvent.objects.filter(pk__in=old).delete()
        dropped += len(old)
    return dropped


def _oldest(before: dt.datetime) -> list[int]:
    rows = LineageEvent.objects.order_by("id").values_list("pk", "received_at")[:_AT_ONCE]
    return [pk for pk, received_at in rows if received_at < before]
