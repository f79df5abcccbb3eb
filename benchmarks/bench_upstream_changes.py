"""What changed upstream of a table with 5,000 tables above it, beside a bare query of the events alone.

    python -m benchmarks.bench_upstream_changes [--tables 100000] [--events 1000000] [--directory DIR] [--rounds 5]

Takes a catalog of bench_graph.py (made where it is missing), spreads the events of a year over it (seven in ten are
runs, of which one in thirty failed) and asks for the last fourteen days. The bare query knows which tables and
pipelines are upstream and reads their events' numbers and times, nothing else. Milliseconds of CPU (SQLite runs in the
process), medians.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.bench_graph import insert_like, open_catalog, timed  # sets Django up

# isort: split
import numpy as np
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from audits.checks.models import Check, CheckResult
from audits.postmortems.changes import upstream_changes
from catalog.bulk import as_stored
from catalog.models import HistoryEntry, Pipeline, Run, SchemaChange, Table
from lineage.models import SqlVersion
from lineage.snapshot import build_snapshot, current_snapshot
from lineage.upstream import Upstream, upstream_of

UPSTREAM = 5_000
DAYS = 14
SHARES = {"runs": 0.7, "sql": 0.1, "checks": 0.1, "schema": 0.05, "history": 0.05}
SQL = "CREATE OR REPLACE TABLE mart.t AS SELECT a, b, SUM(c) AS c FROM core.s WHERE day >= '2026-01-0{}' GROUP BY 1, 2"


@transaction.atomic
def add_events(events: int, now: dt.datetime) -> None:
    """Events of a year, evenly over time and over the things they happen to."""
    random = np.random.default_rng(5)
    tables = np.array(Table.objects.values_list("pk", flat=True))
    pipelines = np.array(Pipeline.objects.values_list("pk", flat=True))

    def moments(share: str) -> list[Any]:
        seconds = random.integers(0, 365 * 86_400, int(events * SHARES[share]))
        return [as_stored(now - dt.timedelta(seconds=int(each))) for each in seconds]

    def of(things: np.ndarray, number: int) -> list[int]:
        return random.choice(things, number).tolist()

    at = moments("runs")
    failed, rows = random.random(len(at)) < 1 / 30, random.integers(1_000, 1_700, len(at)).tolist()
    states, numbers = np.where(failed, "failed", "succeeded").tolist(), map(str, range(len(at)))
    runs = zip(of(pipelines, len(at)), numbers, states, at, rows, strict=True)
    insert_like(Run(), ["pipeline", "external_id", "state", "started_at", "rows_out"], map(list, runs))
    insert_like(
        SqlVersion(dialect="duckdb"), ["pipeline", "digest", "key", "sql", "valid_from", "valid_to"],
        _versions(of(pipelines, int(events * SHARES["sql"])), moments("sql")),
    )  # fmt: skip
    checked = of(tables, 10_000)
    insert_like(
        Check(kind="unique_key"), ["id", "table", "name"], ([n + 1, key, str(n)] for n, key in enumerate(checked))
    )
    at = moments("checks")
    states = np.where(random.random(len(at)) < 1 / 20, "fail", "pass").tolist()
    results = zip((random.integers(1, 10_001, len(at))).tolist(), map(str, range(len(at))), at, states, strict=True)
    insert_like(CheckResult(reported_by="x"), ["check_of", "key", "at", "state"], map(list, results))
    at = moments("schema")
    insert_like(
        SchemaChange(change="added", column="c"), ["table", "at"], map(list, zip(of(tables, len(at)), at, strict=True))
    )
    at = moments("history")
    edits = zip(of(tables, len(at)), at, strict=True)
    edit = HistoryEntry(actor_name="ada", action="changed", noun="table", object_name="t", after={"description": "x"})
    insert_like(edit, ["object_id", "at"], map(list, edits))


def _versions(pipelines: list[int], moments: list[Any]) -> Iterator[list[Any]]:
    """Texts that end as the pipeline's next begins."""
    by_pipeline: dict[int, list[Any]] = {}
    for pipeline, at in zip(pipelines, moments, strict=True):
        by_pipeline.setdefault(pipeline, []).append(at)
    for pipeline, times in by_pipeline.items():
        times.sort()
        for number, (at, end) in enumerate(zip(times, [*times[1:], None], strict=True)):
            yield [pipeline, str(number), str(number), SQL.format(number % 9 + 1), at, end]


CHECKED = "checks_checkresult JOIN checks_check c ON c.id = check_of_id"


def bare(upstream: Upstream, since: dt.datetime, until: dt.datetime) -> int:
    """Numbers and times of the events, by index, of what is known to be upstream."""
    span, found = [as_stored(since), as_stored(until)], 0
    failed = "state IN ('failed', 'aborted')"
    queries = (
        ("catalog_run", "pipeline_id", "started_at", failed, upstream.writers),
        ("catalog_run", "pipeline_id", "started_at", "rows_out IS NOT NULL", upstream.writers),
        ("lineage_sqlversion", "pipeline_id", "valid_from", "1 = 1", upstream.writers),
        ("catalog_schemachange", "table_id", "at", "1 = 1", upstream.hops),
        ("catalog_historyentry", "object_id", "at", "noun = 'table'", upstream.hops),
        ("catalog_historyentry", "object_id", "at", "noun = 'pipeline'", upstream.writers),
        (CHECKED, "c.table_id", "at", "checks_checkresult.state = 'fail'", upstream.hops),
    )
    with connection.cursor() as cursor:
        for table, link, at, where, ids in queries:
            what = f"{table.split()[0]}.id, {link}, {at} FROM {table}"
            within = f"{link} IN (SELECT value FROM json_each(%s)) AND {at} BETWEEN %s AND %s AND {where}"
            cursor.execute(f"SELECT {what} WHERE {within}", [json.dumps(list(ids)), *span])
            found += len(cursor.fetchall())
    return found


def widest(wanted: int) -> Table:
    """Of some tables the one with nearest to `wanted` tables upstream."""
    build_snapshot()
    snapshot = current_snapshot()
    assert snapshot is not None
    some = np.random.default_rng(1).choice(snapshot.keys[snapshot.keys % 2 == 0] // 2, 3_000)
    best = min(some.tolist(), key=lambda key: abs(len(snapshot.reach([key], "upstream").keys) - wanted))
    return Table.objects.select_related("source").get(pk=best)


def measure(tables: int, events: int, rounds: int) -> None:
    now = timezone.now()
    call_command("migrate", verbosity=0)
    if not Run.objects.exists():
        add_events(events, now)
    table = widest(UPSTREAM)
    since = now - dt.timedelta(days=DAYS)
    upstream = upstream_of(table, since, now)
    print(f"{tables:,} tables, {events:,} events of a year; upstream of the table asked about:")
    print(f"{len(upstream.hops) - 1:,} tables, {len(upstream.writers):,} pipelines")
    floor, read = timed(rounds, lambda: bare(upstream, since, now))
    lines: list[tuple[str, Callable[[], Any]]] = [
        ("where: upstream tables and pipelines, with the ways", lambda: upstream_of(table, since, now)),
        ("in all: found, ordered, the nearest 100 told", lambda: upstream_changes(table, since, now)),
    ]
    print(f"  {f'bare query of the events ({read:,} rows)':<60}{floor:>9.1f} ms")
    for words, work in lines:
        taken, answer = timed(rounds, work)
        total = f" ({answer.total:,} changes)" if hasattr(answer, "total") else ""
        print(f"  {words + total:<60}{taken:>9.1f} ms{taken / floor:>8.2f} x the bare query")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where catalogs are kept (a folder that is gone afterwards)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        open_catalog(asked.directory or Path(temporary), asked.tables)
        measure(asked.tables, asked.events, asked.rounds)
        connection.close()


if __name__ == "__main__":
    main()
