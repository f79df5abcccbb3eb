"""Scorecards at scale: all pipelines judged beside `analyze()` of their SQL, one that changed beside them all.

    python -m benchmarks.bench_practices [--pipelines 10000]

Makes a SQLite catalog on the spot: a pipeline per output, two inputs each, owners, a month of daily runs, verdicts,
checks and incidents. CPU seconds (SQLite runs in the process); the one that changed is the median of twenty.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import bench_graph  # isort: skip  sets Django up

from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audits.checks.models import Check
from audits.deletion.models import Verdict
from audits.postmortems.models import Hit, Incident
from audits.practices import queries, services
from catalog.bulk import as_stored, insert_rows
from catalog.models import Owner, Ownership, Pipeline, Run, Source, Table
from lineage.models import SqlVersion, TableEdge
from lineage.sql import analyze

RUNS = 30
TEAMS, PEOPLE = 40, 400
SQL = """
BEGIN;
DELETE FROM mart.table_{n} WHERE day = '{{{{ ds }}}}';
INSERT INTO mart.table_{n}
WITH paid AS (
  SELECT order_id, SUM(amount) AS amount, MAX(paid_at) AS paid_at
  FROM mart.table_{a}
  WHERE day = '{{{{ ds }}}}' AND status <> 'cancelled'
  GROUP BY order_id
)
SELECT
  o.day,
  o.country,
  o.channel,
  CASE WHEN o.amount >= 400 THEN 'large' WHEN o.amount >= 100 THEN 'middle' ELSE 'small' END AS size,
  COUNT(*) AS orders,
  COUNT(DISTINCT o.customer_id) AS customers,
  SUM(paid.amount) AS paid,
  SUM(o.amount - COALESCE(o.discount, 0)) AS net,
  AVG(o.amount) AS average_basket,
  MAX(paid.paid_at) AS last_paid_at
FROM mart.table_{b} AS o
LEFT JOIN paid ON paid.order_id = o.order_id
WHERE o.day = '{{{{ ds }}}}' AND o.status IN ('paid', 'sent', 'delivered')
GROUP BY o.day, o.country, o.channel, size;
{end}
"""


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    answer = work()
    return time.process_time() - started, answer


def sql_of(n: int, pipelines: int) -> str:
    """One in ten has no transaction."""
    return SQL.format(n=n, a=n * 7 % pipelines + 1, b=n * 13 % pipelines + 1, end="" if n % 10 == 0 else "COMMIT;")


@transaction.atomic
def fill(texts: list[str], read: list[dict[str, Any]]) -> None:
    """Everything that a rule asks for."""
    number, now = len(texts), timezone.now()
    moment, ids = as_stored(now), range(1, len(texts) + 1)
    source = Source.objects.create(slug="warehouse", name="Warehouse", platform="postgres", dialect="postgres")
    teams = [Owner.objects.create(slug=f"team-{n}", name=f"Team {n}", kind="team") for n in range(TEAMS)]
    Owner.objects.bulk_create(
        Owner(slug=f"p-{n}", name=f"Person {n}", team=teams[n % TEAMS], status="left" if n % 20 == 0 else "active")
        for n in range(PEOPLE)
    )
    Table.objects.bulk_create(
        [Table(pk=n, source=source, name=f"mart.table_{n}", description="x" * (n % 9), row_count=n * 100) for n in ids],
        batch_size=2000,
    )
    Pipeline.objects.bulk_create(
        [
            Pipeline(pk=n, name=f"mart.table_{n}", tier=n % 4 + 1, schedule="10 3 * * *", load_strategy="incremental")
            for n in ids
        ],
        batch_size=2000,
    )
    versions = [(n, n, str(n), str(n), texts[n - 1], "postgres", 2, 2, json.dumps(read[n - 1]), moment) for n in ids]
    columns = ("id", "pipeline", "digest", "key", "sql", "dialect", "statements", "statements_read", "practices")
    insert_rows(SqlVersion, (*columns, "valid_from"), versions)
    edges = [(n, n, other, n, "sql", moment) for n in ids for other in (n * 7 % number + 1, n * 13 % number + 1)]
    insert_rows(TableEdge, ("pipeline", "sql_version", "source_table", "target_table", "origin", "valid_from"), edges)
    first = Owner.objects.get(slug="p-0").pk
    owned = [
        (first + (n + shift) % PEOPLE, role, n, "ingest")
        for n in ids
        for shift, role in ((0, "business"), (7, "technical"))
    ]
    insert_rows(Ownership, ("owner", "role", "pipeline", "origin"), owned)
    verdicts = [(n, "unread" if n % 11 == 0 else "in_use", 0, 0, "{}", n, moment, moment) for n in ids]
    fields = ("table", "verdict", "is_proposed", "weight", "evidence", "digest", "since", "changed_at")
    insert_rows(Verdict, fields, verdicts)
    Check.objects.bulk_create(
        [
            Check(table_id=n, kind=kind, name=kind, state="pass")
            for n in ids[::3]
            for kind in ("unique_key", "row_count")
        ],
        batch_size=2000,
    )
    Incident.objects.bulk_create(
        Incident(title=f"Incident {n}", started_at=now, detected_at=now, opened_by_name="x") for n in range(100)
    )
    Hit.objects.bulk_create(
        Hit(incident=incident, kind="table", node=f"t{n}", name="x", table_id=n * 31 % number + 1)
        for n, incident in enumerate(Incident.objects.all())
    )
    days = [now - dt.timedelta(days=ago) for ago in range(1, RUNS + 1)]
    moments = [(as_stored(day), as_stored(day + dt.timedelta(minutes=4))) for day in days]
    rows = [
        (n, f"{n}-{ago}", "succeeded", start, start, end, n * 10, "", "")
        for n in ids
        for ago, (start, end) in enumerate(moments)
    ]
    fields = (
        "pipeline",
        "external_id",
        "state",
        "nominal_at",
        "started_at",
        "ended_at",
        "rows_out",
        "error",
        "parent_id",
    )
    insert_rows(Run, fields, rows)


def measure(pipelines: int) -> None:
    texts = [sql_of(n, pipelines) for n in range(1, pipelines + 1)]
    analysing, read = seconds(lambda: [analyze(text, "postgres").to_dict()["practices"] for text in texts])
    fill(texts, read)
    print(f"{pipelines:,} pipelines, {pipelines * RUNS:,} runs, {pipelines * 2:,} edges")
    report("analyze() of their SQL (floor)", analysing)
    first, judged = seconds(services.judge_all)
    report(f"all judged for the first time ({judged.written:,} findings written)", first, "analyze()", analysing)
    again, judged = seconds(services.judge_all)
    report(f"all judged again ({judged.written:,} written)", again, "analyze()", analysing)
    taken = []
    for n in range(1, 21):
        SqlVersion.objects.filter(pipeline=n).update(practices={"load_strategy": "append", "idempotent": False})
        with CaptureQueriesContext(connection) as asked:
            one, judged = seconds(lambda pk=n: services.judge_pipelines([pk]))
        taken.append(one)
    one = statistics.median(taken)
    report(f"one that changed ({judged.written} written, {len(asked)} queries)", one, "all", again)
    with CaptureQueriesContext(connection) as asked:
        card, _ = seconds(queries.scorecard)
    report(f"card of the whole company ({len(asked)} queries)", card)


def report(words: str, taken: float, beside: str = "", base: float | None = None) -> None:
    ratio = f"{taken / base:>9.4f} x {beside}" if base else ""
    print(f"  {words:<62}{taken:>9.3f} s{ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipelines", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        connection.close()
        connection.settings_dict["NAME"] = str(Path(temporary) / "practices.sqlite3")
        bench_graph.settings.VAR_DIR = Path(temporary)
        call_command("migrate", verbosity=0)
        measure(asked.pipelines)
        connection.close()


if __name__ == "__main__":
    main()
