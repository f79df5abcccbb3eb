"""Ten checks on a DuckDB table of 10,000,000 rows: ours beside one hand-written query, Great Expectations and Soda.

    python -m benchmarks.bench_checks [--rows 10000000] [--rounds 5] [--shuffled] [--no-peers] [--directory DIR]

The table's rows lie in the order in which they were made, or shuffled. The hand-written query computes the same figures
in one scan. Ours is everything: the probe of the columns, the SQL, the
scan, judging, and storing the results. The tools run in environments made on first use. Medians of `--rounds`, all
in one run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["DATABASE_URL"] = "sqlite://:memory:"
django.setup()

import duckdb  # noqa: E402
from django.core.management import call_command  # noqa: E402

from audits.checks.queries import runnable  # noqa: E402
from audits.checks.run import Measured, run  # noqa: E402
from audits.checks.services import create_check, record_measured  # noqa: E402
from benchmarks.peer_checks import COUNTRIES, STATUSES, Clock  # noqa: E402
from catalog.models import Source, Table  # noqa: E402

ROWS = """
CREATE TABLE orders AS SELECT
  i AS id,
  (hash(i) % 500000)::INTEGER AS customer_id,
  {countries}[(1 + hash(i + 1) % 5)::INTEGER] AS country,
  {statuses}[(1 + hash(i + 2) % 4)::INTEGER] AS status,
  ((hash(i + 3) % 100000) / 100)::DECIMAL(10, 2) AS amount,
  DATE '2025-01-01' + (i // 20000)::INTEGER AS day,
  TIMESTAMP '2025-01-01' + INTERVAL (i) SECOND AS made_at,
  CASE WHEN hash(i + 4) % 100 > 0 THEN 'user' || (hash(i) % 500000) || '@x.example' END AS email
FROM range({rows}) AS numbers(i) {order}
"""
CHECKS: list[tuple[str, dict[str, Any]]] = [
    ("row_count", {"min": 1}),
    ("row_count", {"min": 1, "max": 10**9}),
    ("unique_key", {"columns": ["id"]}),
    ("unique_key", {"columns": ["day", "customer_id", "made_at"]}),
    ("not_null", {"column": "id"}),
    ("not_null", {"column": "email", "max": 10**8}),
    ("not_null", {"column": "amount"}),
    ("accepted_values", {"column": "country", "values": COUNTRIES}),
    ("accepted_values", {"column": "status", "values": STATUSES}),
    ("freshness", {"column": "made_at", "hours": 10**6}),
]
BY_HAND = f"""
SELECT
  count(*),
  count(*),
  count(*) - count(DISTINCT id) - (count(id) < count(*))::INTEGER,
  count(*) - count(DISTINCT (day, customer_id, made_at)),
  count(*) - count(id),
  count(*) - count(email),
  count(*) - count(amount),
  count(*) FILTER (country NOT IN {tuple(COUNTRIES)}),
  count(*) FILTER (status NOT IN {tuple(STATUSES)}),
  max(made_at)
FROM orders
"""
PEERS = {
    "great_expectations": ["great_expectations==1.24.1", "duckdb==1.1.3", "duckdb-engine==0.15.0", "sqlalchemy<2.1"],
    "soda": ["soda-core-duckdb==3.5.6"],
}


def made(directory: Path, rows: int, is_shuffled: bool) -> Path:
    """The table's file, made where it is not there."""
    path = directory / f"{'shuffled' if is_shuffled else 'orders'}_{rows}.duckdb"
    order = "ORDER BY hash(i)" if is_shuffled else ""
    if not path.exists():
        with duckdb.connect(str(path)) as connection:
            connection.execute(ROWS.format(countries=COUNTRIES, statuses=STATUSES, rows=rows, order=order))
    return path


def make_checks(path: Path) -> None:
    """The source, its table and the ten checks, in a catalog in memory."""
    call_command("migrate", verbosity=0)
    address = path.with_suffix(".address")
    address.write_text(f"duckdb:///{path}")
    source = Source.objects.create(slug="shop", name="Shop", dialect="duckdb", connection=str(address))
    table = Table.objects.create(source=source, name=f"{path.stem}.main.orders")
    for number, (kind, parameters) in enumerate(CHECKS):
        create_check(actor=None, of=table, kind=kind, parameters=parameters, name=f"{number}")


def run_by_hand(path: Path) -> tuple[Any, ...]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(BY_HAND).fetchall()[0]


def run_ours() -> list[Measured]:
    found = list(run(runnable()))
    for measured in found:
        record_measured(measured)
    return sorted(found, key=lambda measured: measured.check.pk)


def run_peer(tool: str, path: Path, directory: Path) -> tuple[Clock, int]:
    """How long the tool took, by its own clock, and how many of the ten it answered.

    Both bring an older DuckDB, which reads no file of ours: they get the same rows in one of their own.
    """
    home = directory / f"env_{tool}"
    python = str(home / "bin" / "python")
    if not home.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEERS[tool]], check=True)
    copy, parquet = directory / f"{path.stem}_for_{tool}.duckdb", directory / f"{path.stem}.parquet"
    if not copy.exists():
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute(f"COPY orders TO '{parquet}' (FORMAT parquet)")
        make = f"import duckdb; duckdb.connect('{copy}').execute(\"CREATE TABLE orders AS FROM '{parquet}'\")"
        subprocess.run([python, "-c", make], check=True, capture_output=True)
    script = str(Path(__file__).parent / "peer_checks.py")
    done = subprocess.run([python, script, tool, str(copy)], check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    clock = Clock()
    clock.wall, clock.cpu = answer["wall"], answer["cpu"]
    return clock, answer["answered"]


def timed(work: Callable[[], Any]) -> Clock:
    clock = Clock()
    work()
    clock.stop()
    return clock


def report(words: str, clocks: list[Clock], base: list[Clock] | None = None, beside: str = "") -> None:
    """A line: median seconds on the wall and of the processor, each beside the base's."""
    wall, cpu = (statistics.median(getattr(clock, name) for clock in clocks) for name in ("wall", "cpu"))
    line = f"  {words:<38}{wall:>8.2f}{cpu:>8.2f}"
    if base:
        of = [statistics.median(getattr(clock, name) for clock in base) for name in ("wall", "cpu")]
        line += f"   {wall / of[0]:.2f} and {cpu / of[1]:.2f} times {beside}"
    print(line)


def measure(directory: Path, path: Path, rounds: int, with_peers: bool) -> None:
    make_checks(path)
    by_hand, figures = run_by_hand(path), [measured.value for measured in run_ours()]  # warms both up
    assert [float(figure) for figure in by_hand[:9]] == figures[:9], (by_hand, figures)
    hand, mine, peers = [], [], {tool: [] for tool in PEERS if with_peers}
    for _ in range(rounds):  # side by side, so that the machine's other work falls on all alike
        hand.append(timed(lambda: run_by_hand(path)))
        mine.append(timed(run_ours))
        for tool, answers in peers.items():
            answers.append(run_peer(tool, path, directory))
    print(f"{path.stem}, ten checks, median of {rounds}, {os.cpu_count()} cores, DuckDB {duckdb.__version__}")
    print(f"  {'':<38}{'wall s':>8}{'CPU s':>8}")
    report("one query by hand, one scan", hand)
    report("run_checks, results stored", mine, hand, "by hand")
    for tool, answers in peers.items():
        report(f"{tool}, {answers[0][1]} answered", [clock for clock, _ in answers], mine, "ours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--shuffled", action="store_true", help="rows in another order than they were made in")
    parser.add_argument("--no-peers", action="store_true", help="ours and the query by hand alone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where the table and the tools' environments are kept")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = asked.directory or Path(temporary)
        path = made(directory, asked.rows, asked.shuffled)
        measure(directory, path, asked.rounds, not asked.no_peers)


if __name__ == "__main__":
    sys.exit(main())
