"""Verdicts at scale: judging beside the bare closure of the graph, storing beside a plain bulk insert, the next day.

    python -m benchmarks.bench_verdicts [--tables 100000 1000000] [--directory DIR]

Takes the catalogs of bench_graph.py (made where they are missing), gives them a query log in which a third of the
tables is read, and judges. CPU seconds (SQLite runs in the process), single runs; the closure is the median of five.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import bench_graph  # sets Django up

# isort: split
import numpy as np
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from audits.deletion import judgement
from audits.deletion.facts import gather
from audits.deletion.models import Verdict, VerdictRun
from audits.deletion.store import store_verdicts
from audits.deletion.verdicts import Judged, going_pipelines, judge
from audits.usage.models import LogCoverage, LoggedDay, Read, Reader
from catalog.bulk import as_stored, insert_rows
from catalog.models import Source, Table
from lineage.snapshot import build_snapshot

TODAY = dt.datetime.now(dt.UTC).date()
CHANGED = 1000  # tables that are read for the first time on the next day


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    answer = work()
    return time.process_time() - started, answer


@transaction.atomic
def add_log(tables: int) -> None:
    """A log of 120 days; a third of the tables is read in the last 60 of them, another tenth before the window."""
    Verdict.objects.all()._raw_delete("default")
    VerdictRun.objects.all().delete()
    for model in (Read, Reader, LogCoverage, LoggedDay):
        model.objects.all()._raw_delete("default")
    source, random = Source.objects.get(), np.random.default_rng(11)
    reader = Reader.objects.create(source=source, name="analyst", kind="human")
    now = timezone.now()
    LogCoverage.objects.create(
        source=source, covers_from=now - dt.timedelta(days=120), covers_to=now, format="generic", entries=tables
    )
    LoggedDay.objects.create(source=source, day=TODAY, entries=tables)
    chosen = random.permutation(tables)[: tables * 13 // 30] + 1
    ago = np.where(np.arange(len(chosen)) < tables // 3, random.integers(0, 60, len(chosen)), 100)
    days = [str(TODAY - dt.timedelta(days=n)) for n in range(101)]
    moment = as_stored(now)
    rows = [(table, days[n], reader.pk, 1, moment) for table, n in zip(chosen.tolist(), ago.tolist(), strict=True)]
    insert_rows(Read, ["table", "day", "reader", "count", "last_at"], rows)


def plain_insert(tables: int) -> None:
    """As many rows of the same table with the same indexes, without anything to work out; taken back again."""
    moment, evidence = as_stored(timezone.now()), '{"window": 90, "reasons": [{"code": "read"}]}'
    fields = ["table", "verdict", "is_proposed", "weight", "evidence", "digest", "since", "changed_at"]
    rows = [(table + 1, "in_use", False, 0, evidence, table, moment, moment) for table in range(tables)]
    with transaction.atomic():
        insert_rows(Verdict, fields, rows)


def read_more() -> None:
    """On the next day, people read tables that nobody had read."""
    reader, moment = Reader.objects.get(), as_stored(timezone.now())
    unread = Table.objects.filter(verdict__verdict__in=["unread", "feeds_unread"]).values_list("pk", flat=True)[
        :CHANGED
    ]
    rows = [(table, str(TODAY), reader.pk, 1, moment) for table in unread]
    Read.objects.filter(table__in=[row[0] for row in rows], day=TODAY).delete()
    insert_rows(Read, ["table", "day", "reader", "count", "last_at"], rows)


def report(words: str, taken: float, beside: str = "", base: float | None = None) -> None:
    ratio = f"{taken / base:>8.1f} x {beside}" if base else ""
    print(f"  {words:<58}{taken:>9.2f} s{ratio}")


def measure(directory: Path, tables: int) -> None:
    bench_graph.open_catalog(directory, tables)
    call_command("migrate", verbosity=0)
    add_log(tables)
    build_snapshot()  # as an ingest does at its end
    gathering, facts = seconds(lambda: gather(TODAY))
    print(f"{tables:,} tables, {facts.upstream.nnz:,} edges")
    arrays = facts.to_judge()
    closure = statistics.median(
        seconds(lambda: judgement._everything_upstream(arrays.upstream, arrays.read))[0] for _ in range(5)
    )
    report("bare closure upstream of what is read", closure)
    judging, judged = seconds(lambda: judge(facts))
    report("verdicts of all tables", judging, "the closure", closure)
    report("pipelines that go along", seconds(lambda: going_pipelines(judged))[0])
    report("reading the facts from rows and the snapshot", gathering, "the closure", closure)
    plain, _ = seconds(lambda: plain_insert(tables))
    Verdict.objects.all()._raw_delete("default")
    report("plain bulk insert of as many rows", plain)
    store_and_print(judged, "storing them with their evidence", plain)
    read_more()
    next_day, later = seconds(lambda: judge(gather(TODAY + dt.timedelta(days=1))))
    report("next day: reading and judging again", next_day)
    store_and_print(later, "next day: storing", plain)


def store_and_print(judged: Judged, words: str, plain: float) -> None:
    taken, run = seconds(lambda: store_verdicts(judged, timezone.now()))
    report(f"{words} ({run.written:,} written)", taken, "the plain insert", plain)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--directory", type=Path, help="where catalogs are kept (a folder that is gone afterwards)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for tables in asked.tables:
            measure(asked.directory or Path(temporary), tables)
        connection.close()


if __name__ == "__main__":
    main()
