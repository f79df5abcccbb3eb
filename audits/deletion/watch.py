"""What happens to open reviews by themselves: they stop when somebody needs a table, remind, and are confirmed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import F, Q
from django.utils import timezone

from audits.deletion import services
from audits.deletion.models import DeletionReview
from audits.deletion.needs import missed_in_quarantine, reason_to_stop
from catalog.models import Table

State = DeletionReview.State


@dataclass(frozen=True)
class Watched:
    """What one look at all open reviews did."""

    stopped: list[DeletionReview]
    reminded: list[DeletionReview]
    confirmed: list[DeletionReview]


def look_after_reviews() -> Watched:
    """Stop reviews whose tables are needed, remind owners halfway through their notice, confirm what is gone."""
    stopped = stop_reviews_that_must()
    reminded = [services.remind(actor=None, review=review) for review in _in(State.NOTIFIED) if _is_halfway(review)]
    return Watched(stopped, reminded, confirm_what_is_gone())


def confirm_what_is_gone() -> list[DeletionReview]:
    """Confirm every deletion whose tables are gone from their sources."""
    return [services.confirm(review=review) for review in _in(State.DELETED) if _is_gone(review)]


def stop_reviews_that_must() -> list[DeletionReview]:
    """Stop every open review for which there is a reason; the reviews, each with its reason."""
    stopped = []
    for review in DeletionReview.objects.exclude(state__in=DeletionReview.ENDED):
        missed = missed_in_quarantine(review)
        if missed:
            stopped.append(services.stop_and_pin(review=review, reason=missed))
        elif reason := reason_to_stop(review):
            stopped.append(services.stop(actor=None, review=review, reason=reason))
    return stopped


def _in(state: str) -> list[DeletionReview]:
    return list(DeletionReview.objects.filter(state=state))


def _is_halfway(review: DeletionReview) -> bool:
    halfway = review.state_since + dt.timedelta(days=services.NOTICE_DAYS / 2)
    return timezone.now() >= halfway


def _is_gone(review: DeletionReview) -> bool:
    """No ingest of the whole source states any of the tables any more, or the last crawl of it saw none of them."""
    is_retired = Q(table__status=Table.Status.RETIRED)
    is_unseen = Q(table__crawled_at__lt=F("table__source__crawled_at"))
    return not review.tables.exclude(is_retired | is_unseen).exists()
