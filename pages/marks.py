"""What is amiss with tables and pipelines, for pictures and lists of many: one query for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import CharField, Value

from audits.checks.models import Check, State
from audits.deletion.models import DeletionReview, ReviewedPipeline, ReviewedTable
from audits.postmortems.models import Hit, Incident
from lineage.breaks import Level
from lineage.models import Problem, TableEdge
from lineage.standing import Standing


@dataclass(frozen=True)
class Mark:
    """One thing amiss, in words; `level` is bad or warn."""

    code: str
    words: str
    level: str


def standing_marks(standing: Standing) -> dict[str, list[Mark]]:
    """Marks of what is stale or wrong now, by the same keys."""
    marked = [("t", standing.tables), ("p", standing.pipelines)]
    return {
        f"{letter}{pk}": [
            Mark(badge.word, f"{badge.word}: {badge.words}", "bad" if badge.level == Level.WRONG else "warn")
        ]
        for letter, badges in marked
        for pk, badge in badges.items()
    }


_MARKS = {
    mark.code: mark
    for mark in (
        Mark("incident", "in an open incident", "bad"),
        Mark("check", "a check fails", "bad"),
        Mark("problem", "not all of its SQL was read", "warn"),
        Mark("deletion", "up for deletion", "warn"),
    )
}


def marks_of(tables: Collection[int], pipelines: Collection[int]) -> dict[str, list[Mark]]:
    """Marks by the key of the table ("t12") or pipeline ("p7"), the worst first. One query."""
    ended = DeletionReview.ENDED
    hits = Hit.objects.filter(is_out=False).exclude(incident__status=Incident.Status.RESOLVED)
    failing = Check.objects.filter(is_active=True, state__in=(State.FAIL, State.ERROR))
    with_problems = Problem.objects.filter(pipeline__isnull=False).values("pipeline")
    builders = TableEdge.objects.filter(target_table__in=tables, valid_to=None, pipeline__in=with_problems)
    legs = [
        _leg(hits.filter(table__in=tables), "table", "t", "incident"),
        _leg(hits.filter(pipeline__in=pipelines), "pipeline", "p", "incident"),
        _leg(failing.filter(table__in=tables), "table", "t", "check"),
        _leg(failing.filter(pipeline__in=pipelines), "pipeline", "p", "check"),
        _leg(builders, "target_table", "t", "problem"),
        _leg(Problem.objects.filter(pipeline__in=pipelines), "pipeline", "p", "problem"),
        _leg(ReviewedTable.objects.filter(table__in=tables).exclude(review__state__in=ended), "table", "t", "deletion"),
        _leg(
            ReviewedPipeline.objects.filter(pipeline__in=pipelines).exclude(review__state__in=ended),
            "pipeline",
            "p",
            "deletion",
        ),
    ]
    found: dict[str, set[str]] = defaultdict(set)
    for letter, pk, code in legs[0].union(*legs[1:]):
        found[f"{letter}{pk}"].add(code)
    return {key: [mark for code, mark in _MARKS.items() if code in codes] for key, codes in found.items()}


def _leg(rows, end: str, letter: str, code: str):
    return (
        rows.order_by()
        .annotate(its_letter=Value(letter, CharField()), its_code=Value(code, CharField()))
        .values_list("its_letter", end, "its_code")
        .distinct()
    )
