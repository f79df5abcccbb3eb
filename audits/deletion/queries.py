"""Reads of verdicts and reviews: what pages, REST and scripts ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Max, QuerySet

from audits.deletion.evidence import Around, words
from audits.deletion.facts import reads_that_are_use
from audits.deletion.models import DeletionReview, Protection, ReviewedTable, Verdict, VerdictRun
from audits.deletion.plan import Plan, plan_for
from catalog.models import Table

_MOST_HOPS = 12  # of the chain from a table to the use that keeps it


@dataclass(frozen=True)
class Explained:
    """A verdict with its evidence in sentences."""

    verdict: Verdict
    sentences: list[str]


def latest_run() -> VerdictRun | None:
    """The last pass over all tables. One query."""
    return VerdictRun.objects.first()


def verdicts() -> QuerySet[Verdict]:
    """Verdicts with their tables, the tables' sources, and the tables they come from."""
    return Verdict.objects.select_related("table__source", "because")


def explained(found: Iterable[Verdict], run: VerdictRun | None = None) -> list[Explained]:
    """Verdicts of `verdicts()` in words. A query for them all, and one for the latest run unless it is given."""
    found, run = list(found), run or latest_run()
    reads = reads_that_are_use().filter(table__in=[verdict.table_id for verdict in found]).order_by()
    last = dict(reads.values_list("table_id").annotate(last=Max("day")))
    return [Explained(verdict, _sentences(verdict, run, last.get(verdict.table_id))) for verdict in found]


def verdict_of(table: Table, run: VerdictRun | None) -> Explained | None:
    """The verdict of one table in words, None before the first run. Two queries."""
    return next(iter(explained(verdicts().filter(table=table), run)), None) if run else None


def _sentences(verdict: Verdict, run: VerdictRun | None, last_read: object) -> list[str]:
    source = verdict.table.source
    around = Around(
        as_of=run.as_of.isoformat() if run else "",
        source=source.slug,
        log=run.logs.get(source.slug) if run else None,
        because=verdict.because.name if verdict.because else "",
        last_read=str(last_read) if last_read else None,
    )
    return words(verdict.verdict, verdict.evidence, around)


def chain_of(verdict: Verdict) -> list[Table]:
    """The tables through which the verdict came, next to the table first, up to the one with its own ground.

    One query a hop, at most twelve.
    """
    hops: list[Table] = []
    while verdict.because_id and len(hops) < _MOST_HOPS:
        onward = verdicts().filter(table=verdict.because_id).first()
        if onward is None or onward.table in hops:
            break
        hops.append(onward.table)
        verdict = onward
    return hops


def evidence_by_table(review: DeletionReview) -> dict[int, list[str]]:
    """The sentences on each table of a review, by the table's id. Three queries."""
    found = verdicts().filter(table__reviewed_in__review=review)
    return {each.verdict.table_id: each.sentences for each in explained(found)}


def protections_of(table: Table) -> list[Protection]:
    """Protections that people stated and nobody lifted, the newest first. One query."""
    return list(Protection.objects.filter(table=table, lifted_at__isnull=True))


def plan_of(review: DeletionReview) -> Plan:
    """The plan of a review as lineage has it now."""
    return plan_for(Table.objects.filter(reviewed_in__review=review))


def reviews_of(table: Table) -> list[DeletionReview]:
    """Reviews that hold a table, the newest first, at most five. One query."""
    return list(DeletionReview.objects.filter(tables__table=table)[:5])


def saved_so_far() -> dict[str, int]:
    """What reviews that are confirmed have saved: tables, rows, runs_per_month. One query."""
    saved = list(DeletionReview.objects.filter(state=DeletionReview.State.CONFIRMED).values_list("savings", flat=True))
    return {name: sum(each.get(name, 0) for each in saved) for name in ("tables", "rows", "runs_per_month")}


def open_reviews_by_table(table_ids: Iterable[int]) -> dict[int, DeletionReview]:
    """The open review of each table that is in one. One query."""
    held = ReviewedTable.objects.filter(table__in=list(table_ids)).exclude(review__state__in=DeletionReview.ENDED)
    return {each.table_id: each.review for each in held.select_related("review")}
