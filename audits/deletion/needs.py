"""Why somebody needs a table of a review after all, out of what logs and lineage say since it was flagged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db.models import Q

from audits.deletion.facts import reads_that_are_use
from audits.deletion.models import DeletionReview, ReviewedTable, Verdict
from audits.deletion.plan import current_edges
from audits.usage.models import FailedRead, LoggedEdge, Read, Reader, SeenRead
from catalog.models import Table
from catalog.moments import start_of

State = DeletionReview.State


def reason_to_stop(review: DeletionReview) -> str | None:
    """Why somebody needs a table of this review after all, in a sentence."""
    tables = list(review.tables.select_related("table__source", "table__verdict"))
    for look in (_missed, _read_since, _copied_since, _depended_on, _judged_needed):
        if words := look(review, tables):
            return words
    return None


def missed_in_quarantine(review: DeletionReview) -> str | None:
    """A query that failed on a table in quarantine, or read it under its new name."""
    return _missed(review, list(review.tables.select_related("table__source")))


def doubts_about(review: DeletionReview) -> str | None:
    """Why nobody can say just now: the evidence has a hole that it had not when the review began."""
    unknown = Verdict.objects.filter(table__reviewed_in__review=review, verdict=Verdict.Word.UNKNOWN)
    first = unknown.select_related("table").first()
    return f"Whether {first.table.name} is read is not known now: see its verdict." if first else None


def _missed(review: DeletionReview, tables: list[ReviewedTable]) -> str | None:
    since = _quarantined_at(review)
    if since is None:
        return None
    failed = FailedRead.objects.filter(last_at__gte=since).filter(_named(tables))
    if first := failed.select_related("reader").order_by("last_at").first():
        return f"A query by {_who(first.reader)} that names {first.name} failed on {first.day}: somebody misses it."
    hidden = Q()
    for each in tables:
        hidden |= Q(name__source=each.table.source, name__name=each.quarantine_name)
    read = SeenRead.objects.filter(hidden, last_at__gte=since).select_related("reader", "name").first()
    if read:
        return f"{read.name.name} was read in quarantine on {read.day} by {_who(read.reader)}."
    names = [each.quarantine_name for each in tables]
    known = Read.objects.filter(table__name__in=names, last_at__gte=since).select_related("reader", "table").first()
    return f"{known.table.name} was read in quarantine on {known.day} by {_who(known.reader)}." if known else None


def _named(tables: Iterable[ReviewedTable]) -> Q:
    """Failed reads of a table, under its own name or the one it has in quarantine."""
    named = Q()
    for each in tables:
        named |= Q(table=each.table)
        named |= Q(source=each.table.source, name__in=[each.table.name, each.quarantine_name])
    return named


def _quarantined_at(review: DeletionReview) -> dt.datetime | None:
    entered = review.events.filter(to_state=State.QUARANTINED).exclude(from_state=State.QUARANTINED).last()
    return entered.at if entered else None


def _read_since(review: DeletionReview, tables: list[ReviewedTable]) -> str | None:
    """When it was flagged no read lay in the window, so any that lies there now is new, also in a late log."""
    windows = [each.table.verdict.evidence["window"] for each in tables if hasattr(each.table, "verdict")]
    first = review.evidence_until - dt.timedelta(days=min(windows, default=1) - 1)
    reads = reads_that_are_use().filter(table__in=[each.table for each in tables], day__gte=first)
    read = reads.select_related("reader", "table").order_by("-day").first()
    return f"{read.table.name} was read on {read.day} by {_who(read.reader)}." if read else None


def _copied_since(review: DeletionReview, tables: list[ReviewedTable]) -> str | None:
    ids = [each.table_id for each in tables]
    edges = LoggedEdge.objects.filter(
        source_table__in=ids, last_at__gte=start_of(review.evidence_until + dt.timedelta(days=1))
    )
    edge = edges.exclude(target_table__in=ids).select_related("source_table", "reader").first()
    if edge is None or edge.reader.builds_id in ids:
        return None
    return f"A query by {_who(edge.reader)} carried {edge.source_table.name} to {edge.target_name}."


def _depended_on(review: DeletionReview, tables: list[ReviewedTable]) -> str | None:
    ids = [each.table_id for each in tables]
    edges = current_edges().filter(source_table__in=ids).exclude(target_table__in=ids)
    edges = edges.exclude(target_table__status=Table.Status.RETIRED)
    edge = edges.select_related("pipeline", "source_table").first()
    return f"{edge.pipeline.name} depends on {edge.source_table.name} now." if edge else None


def _judged_needed(review: DeletionReview, tables: list[ReviewedTable]) -> str | None:
    for each in tables:
        verdict = getattr(each.table, "verdict", None)
        if verdict and verdict.verdict in (Verdict.Word.PROTECTED, Verdict.Word.IN_USE):
            return f"{each.table.name} is {verdict.get_verdict_display().lower()} now."
    return None


def _who(reader: Reader) -> str:
    """A reader as everybody may know it: the kind, not the name."""
    return f"a {reader.get_kind_display().lower()}" if reader.kind else "somebody"
