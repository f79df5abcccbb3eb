"""Reads of problems: how many there are, by what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Count, Q

from lineage.models import Problem


@dataclass(frozen=True)
class ProblemCount:
    """How many problems of one code and severity there are."""

    code: str
    severity: str
    number: int


@dataclass(frozen=True)
class ProblemNumbers:
    """How many problems a pipeline has."""

    errors: int
    warnings: int


def problem_counts() -> list[ProblemCount]:
    """Problems by severity and code, errors first, most frequent first. One query."""
    rows = Problem.objects.order_by().values_list("code", "severity").annotate(n=Count("pk"))
    return [ProblemCount(*row) for row in rows.order_by("severity", "-n", "code")]


def problem_counts_of(pipeline_ids: Collection[int]) -> dict[int, ProblemNumbers]:
    """How many problems those of these pipelines have that have any. One query."""
    rows = (
        Problem.objects.filter(pipeline__in=pipeline_ids)
        .order_by()
        .values_list("pipeline")
        .annotate(
            errors=Count("pk", filter=Q(severity=Problem.Severity.ERROR)),
            warnings=Count("pk", filter=Q(severity=Problem.Severity.WARNING)),
        )
    )
    return {pipeline: ProblemNumbers(errors, warnings) for pipeline, errors, warnings in rows}
