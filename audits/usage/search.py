"""What use adds to the search index: how often a table was read of late."""

from __future__ import annotations

import datetime as dt

from django.db.models import Sum
from django.utils import timezone

from audits.usage.models import Read
from audits.usage.queries import outside_reads
from catalog.bulk import among
from catalog.search_index import Drafts, adds_to

LATELY = dt.timedelta(days=30)


@adds_to("table")
def add_reads(drafts: Drafts) -> None:
    """One query."""
    lately = Read.objects.filter(table__in=among(drafts), day__gt=timezone.now().date() - LATELY).order_by()
    for table, reads in outside_reads(lately).values_list("table").annotate(reads=Sum("count")):
        drafts[table].use = reads
