"""What a deletion would save: rows, bytes, runs, compute, and money where the settings give a price."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Sum
from django.utils import timezone

from audits.deletion.models import Verdict
from catalog.models import Pipeline, Run, Table

MONTH = dt.timedelta(days=30)
_GIGABYTE = 10**9


@dataclass(frozen=True)
class Savings:
    """Per month where it is a rate. Bytes and rows are those that are known; `unsized` and `uncounted` count the tables
    of which they are not.

    `money_per_month` is None where no price is set.
    """

    tables: int
    pipelines: int
    rows: int
    bytes: int
    unsized: int
    uncounted: int
    runs_per_month: int
    compute_seconds_per_month: int
    money_per_month: float | None
    currency: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def savings_of(tables: Iterable[Table], pipelines: Iterable[Pipeline]) -> Savings:
    """From the tables' sizes and the pipelines' runs of the last thirty days. One query."""
    tables, pipelines = list(tables), list(pipelines)
    runs, seconds = _runs(pipelines)
    size = sum(table.size_bytes or 0 for table in tables)
    return Savings(
        tables=len(tables),
        pipelines=len(pipelines),
        rows=sum(table.row_count or 0 for table in tables),
        bytes=size,
        unsized=sum(table.size_bytes is None for table in tables),
        uncounted=sum(table.row_count is None for table in tables),
        runs_per_month=runs,
        compute_seconds_per_month=seconds,
        money_per_month=_money(size, seconds),
        currency=settings.PRICE_CURRENCY,
    )


def _runs(pipelines: list[Pipeline]) -> tuple[int, int]:
    """How many runs, and how many seconds they took; a run that has not ended takes as long as the others."""
    recent = Run.objects.filter(pipeline__in=pipelines, started_at__gte=timezone.now() - MONTH)
    length = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    found = recent.order_by().aggregate(runs=Count("pk"), mean=Avg(length))
    mean = found["mean"] or dt.timedelta()
    return found["runs"], round(found["runs"] * mean.total_seconds())


def _money(size: int, seconds: int) -> float | None:
    if not settings.PRICE_GB_MONTH and not settings.PRICE_COMPUTE_HOUR:
        return None
    return round(size / _GIGABYTE * settings.PRICE_GB_MONTH + seconds / 3600 * settings.PRICE_COMPUTE_HOUR, 2)


def totals(going: Iterable[int]) -> dict[str, int]:
    """What all proposed tables hold together, and the runs a month of the pipelines (by id) that go. Two queries."""
    proposed = Verdict.objects.filter(is_proposed=True).order_by()
    sums = proposed.aggregate(tables=Count("pk"), rows=Sum("table__row_count"), bytes=Sum("table__size_bytes"))
    recent = Run.objects.filter(started_at__gte=timezone.now() - MONTH).order_by()
    runs = dict(recent.values_list("pipeline_id").annotate(n=Count("pk")))
    month = sum(runs.get(pipeline, 0) for pipeline in going) if runs else 0
    return {name: number or 0 for name, number in sums.items()} | {"runs_per_month": month}
