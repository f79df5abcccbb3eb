"""Reads of verdicts and reviews: what pages, REST and scripts ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Exists, Max, OuterRef, QuerySet, Sum
from django.utils import timezone

from audits.deletion.evidence import Around, words
from audits.deletion.facts import outside_reads
from audits.deletion.models import DeletionReview, Protection, ReviewedTable, Verdict, VerdictRun
from audits.deletion.plan import Plan, current_edges, plan_for
from audits.deletion.savings import MONTH
from catalog.models import Pipeline, Run, Table

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


def explained(found: Iterable[Verdict]) -> list[Explained]:
    """Verdicts of `verdicts()` in words. Two queries for them all."""
    found, run = list(found), latest_run()
    reads = outside_reads().filter(table__in=[verdict.table_id for verdict in found]).order_by()
    last = dict(reads.values_list("table_id").annotate(last=Max("day")))
    return [Explained(verdict, _sentences(verdict, run, last.get(verdict.table_id))) for verdict in found]


def verdict_of(table: Table) -> Explained | None:
    """The verdict of one table in words, None before the first run. Three queries."""
    return next(iter(explained(verdicts().filter(table=table))), None)


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


def reviews_of(thing: Table | Pipeline) -> list[DeletionReview]:
    """Reviews that hold a table or pipeline, the newest first. One query."""
    noun = "tables__table" if isinstance(thing, Table) else "pipelines__pipeline"
    return list(DeletionReview.objects.filter(**{noun: thing})[:5])


def proposal_for(pipeline: Pipeline) -> tuple[list[Verdict], int]:
    """The proposed tables that a pipeline builds, and how many it builds in all. Two queries."""
    outputs = Table.objects.filter(edges_in__pipeline=pipeline, edges_in__valid_to__isnull=True).distinct()
    flagged = verdicts().filter(is_proposed=True, table__in=outputs)
    return list(flagged.order_by("table__name")), outputs.count()


@dataclass(frozen=True)
class BoardTotals:
    """What all proposed tables weigh together, and what was saved by reviews that are confirmed."""

    tables: int
    rows: int
    bytes: int
    runs_per_month: int
    saved_tables: int
    saved_rows: int
    saved_runs_per_month: int


def board_totals() -> BoardTotals:
    """Four queries."""
    proposed = Verdict.objects.filter(is_proposed=True).order_by()
    sums = proposed.aggregate(n=Count("pk"), rows=Sum("table__row_count"), size=Sum("table__size_bytes"))
    recent = Run.objects.filter(started_at__gte=timezone.now() - MONTH, pipeline__in=_going_pipelines())
    saved = list(DeletionReview.objects.filter(state=DeletionReview.State.CONFIRMED).values_list("savings", flat=True))
    return BoardTotals(
        tables=sums["n"],
        rows=sums["rows"] or 0,
        bytes=sums["size"] or 0,
        runs_per_month=recent.count(),
        saved_tables=sum(each.get("tables", 0) for each in saved),
        saved_rows=sum(each.get("rows", 0) for each in saved),
        saved_runs_per_month=sum(each.get("runs_per_month", 0) for each in saved),
    )


def _going_pipelines() -> QuerySet[Pipeline]:
    """Pipelines that build proposed tables and nothing else."""
    edges = current_edges().filter(pipeline=OuterRef("pk"))
    proposed = Verdict.objects.filter(table=OuterRef("target_table"), is_proposed=True)
    return Pipeline.objects.filter(Exists(edges.filter(Exists(proposed)))).exclude(
        Exists(edges.exclude(Exists(proposed)))
    )


def open_reviews_by_table(table_ids: Iterable[int]) -> dict[int, DeletionReview]:
    """The open review of each table that is in one. One query."""
    held = ReviewedTable.objects.filter(table__in=list(table_ids)).exclude(review__state__in=DeletionReview.ENDED)
    return {each.table_id: each.review for each in held.select_related("review")}
