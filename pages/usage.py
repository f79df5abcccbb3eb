"""What is used and what is not: the lists at /usage/, and the card on a table's page."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audits.usage import queries
from audits.usage.models import LogCoverage
from audits.usage.queries import Usage
from catalog import policy
from catalog.models import Source
from catalog.policy import Action
from lineage.queries import owner_slugs_of_tables
from pages.charts import Scale
from pages.find import table_or_404

SHOWN = 20  # rows of each list
WIDTH, HEIGHT, LOWEST = 360, 48, 2  # of a sparkline, in its own units; a day with one read still shows


@dataclass(frozen=True)
class Bar:
    """A day in a sparkline."""

    x: float
    y: float
    width: float
    height: float
    title: str


def usage_lists(request: HttpRequest) -> HttpResponse:
    """The most and the least used tables, and names that logs read and nobody registered; by source where asked."""
    source = request.GET.get("source", "")
    context = {
        "title": "Usage",
        "days": queries.WINDOW_DAYS,
        "source": source,
        "sources": Source.objects.filter(log_coverage__isnull=False).distinct(),
        "most": queries.most_used(limit=SHOWN, source=source),
        "least": queries.least_used(limit=SHOWN, source=source),
        "unknown": queries.unknown_names(SHOWN, source),
        "has_logs": LogCoverage.objects.exists(),
    }
    return render(request, "usage/lists.html", context)


def table_usage(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """Who reads a table and how often; its overview brings the card in from here."""
    table = table_or_404(source, name)
    owners = owner_slugs_of_tables([table.pk])[table.pk]
    usage = queries.usage_of(table, viewer=request.user, owners=owners)
    context = {
        "title": f"Use of {table.name}",
        "table": table,
        "tags": table.tags.all(),
        "may_edit": policy.may(request.user, Action.EDIT, table),
        "usage": usage,
        "bars": sparkline(usage),
        "width": WIDTH,
        "height": HEIGHT,
    }
    return render(request, "usage/of_table.html", context)


def sparkline(usage: Usage) -> list[Bar]:
    """A bar for each day with reads, as high as it has reads; days without leave a gap."""
    x = Scale(0, usage.days, 0, WIDTH)
    y = Scale(0, max((day.reads for day in usage.by_day), default=1), HEIGHT, 0)
    return [
        Bar(
            x=x((day.day - usage.since).days),
            y=min(HEIGHT - LOWEST, y(day.reads)),
            width=x.length(0.8),
            height=max(LOWEST, y.length(day.reads)),
            title=f"{_written(day.day)}: {_counted(day.reads, 'read')} by {_counted(day.readers, 'reader')}",
        )
        for day in usage.by_day
    ]


def _written(day: dt.date) -> str:
    return f"{day:%Y-%m-%d}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
