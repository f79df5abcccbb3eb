"""Scans that a database counts for itself, as reads by nobody named: a sign of use, never a sign that there is none.

The statistics say neither who scanned nor why, and are lost now and then. So they add reads, and cover no period: a
table without scans stays as unknown as it was. A source with a query log needs none of it: the log says who, and leaves
out tools, whose scans count here as everybody's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from audits.usage.models import Counter, LogCoverage
from audits.usage.services import StatedRead, note_counters, record_reads
from catalog.models import Source
from ingest.digests import digest
from ingest.live_catalogs import Scans


def record_scans(source: Source, scans: Mapping[str, Scans], at: dt.datetime) -> int:
    """Record what was scanned since the crawl before, and how many tables that were.

    Where the database says when the last scan was, that moment counts; else the difference of two crawls' counts does,
    so that the first crawl only takes them down.
    """
    if LogCoverage.objects.filter(source=source).exists():
        return 0
    keys = {name: digest("scans", name) for name in scans}
    before = dict(Counter.objects.filter(source=source).values_list("key", "value"))
    reads = []
    for name, now in scans.items():
        new = now.count - before.get(keys[name], now.count)
        if now.last_at is not None:
            reads.append(StatedRead(name, now.last_at, "", count=max(new, 1), id=now.last_at.isoformat()))
        elif new:
            reads.append(StatedRead(name, at, "", count=new if new > 0 else now.count, id=at.isoformat()))
    changed = [name for name, now in scans.items() if before.get(keys[name]) != now.count]
    note_counters(source, ((keys[name], scans[name].count) for name in changed), at)
    return record_reads(actor=None, source=source, reads=[read for read in reads if read.count > 0]).counted
