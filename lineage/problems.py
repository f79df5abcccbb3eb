"""Reads of problems: how many there are, by what."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from catalog.models import Pipeline
from lineage.models import Problem


@dataclass(frozen=True)
class ProblemCount:
    """How many problems of one code and severity there are."""

    code: str
    severity: str
    number: int


def problem_counts() -> list[ProblemCount]:
    """Problems by severity and code, errors first, most frequent first. One query."""
    rows = Problem.objects.order_by().values_list("code", "severity").annotate(n=Count("pk"))
    return [ProblemCount(*row) for row in rows.order_by("severity", "-n", "code")]


def with_problem_counts(pipelines: QuerySet[Pipeline]) -> QuerySet[Pipeline]:
    """Pipelines with `error_count` and `warning_count`, counted by sub-query."""
    return pipelines.annotate(
        error_count=_count(Problem.Severity.ERROR), warning_count=_count(Problem.Severity.WARNING)
    )


def _count(severity: str) -> Coalesce:
    found = Problem.objects.filter(pipeline=OuterRef("pk"), severity=severity).order_by().values("pipeline")
    return Coalesce(Subquery(found.annotate(n=Count("pk")).values("n")), 0)
