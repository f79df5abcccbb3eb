"""A query log from file to stored reads, beside what DuckDB needs to count the same file's rows.

    python -m benchmarks.bench_query_logs [--entries 1000000] [--templates 2000] [--literals after-where|everywhere]
                                          [--directory DIR] [--workers 2]

Makes a log of JSON lines in DIR (a temporary folder unless given; a million entries are 1 GB and take a minute) and a
catalog of 600 tables with 30 columns each, in SQLite. Every entry has literals of its own: two dates, a list of
numbers, an e-mail address and two numbers after WHERE; with `--literals everywhere` also the numbers in the SELECT list
vary, which costs more. A fifth of the templates has a comment. The second import is the second half of the file with as
many new entries: it must count the new ones alone.

Prints seconds on the clock and of CPU (worker processes included); on a busy machine only the latter can be compared.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

if multiprocessing.parent_process() is None:  # worker processes read this file too, but not that of `manage.py`
    import django

    django.setup()

    import duckdb
    from django.core.management import call_command
    from django.db import connection
    from django.db.models import Sum

    from audits.usage.models import ColumnRead, Read
    from catalog.models import Column, Source, Table
    from ingest.log_formats import GENERIC
    from ingest.query_logs import Imported, LogImport, import_log
    from ingest.workers import cores

TABLES, COLUMNS, DAYS = 600, 30, 30
FIRST_SECOND = 1_767_225_600  # 2026-01-01 in UTC
LINE = "{:<44}{:>10}{:>10}{:>12}"


@dataclass(frozen=True)
class Seconds:
    clock: float
    cpu: float


def template(number: int, literals: str) -> list[str]:
    """The pieces of one query's text; `{n}` and `{s}` are the literals that vary."""
    chosen = random.Random(number)
    tables = [f"wh.mart.t{chosen.randrange(TABLES):03}" for _ in range(chosen.choice([1, 2, 2, 3]))]
    items = []
    for place in range(chosen.randrange(8, 32)):
        column = f"a.col_{chosen.randrange(COLUMNS)}"
        bound = "{n}" if literals == "everywhere" else chosen.randrange(100)
        case = f"SUM(CASE WHEN {column} > {bound} THEN {column} ELSE 0 END) AS s_{place}"
        items.append(column if chosen.random() < 0.6 else case)
    joins = [
        f"\n  LEFT JOIN {table} AS j{n} ON a.id = j{n}.id AND j{n}.kind = 'k{n}'" for n, table in enumerate(tables[1:])
    ]
    comment = f"-- report {number}, don't touch\n" if chosen.random() < 0.2 else ""
    text = (
        f"{comment}SELECT\n  {(',' + chr(10) + '  ').join(items)}\nFROM {tables[0]} AS a{''.join(joins)}\n"
        "WHERE a.day BETWEEN {s} AND {s}\n  AND a.account_id IN ({n}, {n}, {n})\n"
        "  AND a.email = {s} AND a.price > {n}.5\nGROUP BY 1, 2, 3\nORDER BY 1\nLIMIT {n}"
    )
    return re.split(r"(\{n\}|\{s\})", text)


def entries(count: int, templates: int, literals: str, first: int = 0) -> Iterator[str]:
    """Lines of the log. A template is asked by one to five of 170 users, the first ones far more often."""
    pieces = [template(number, literals) for number in range(templates)]
    users = [f"person{n}@shop.example" for n in range(150)] + [f"svc-{n}@shop.example" for n in range(20)]
    draw = random.Random(first + 1)
    asked_by = [draw.sample(users, draw.choice([1, 1, 2, 3, 5])) for _ in pieces]
    weights = [1 / (number + 5) for number in range(templates)]
    for n, number in enumerate(draw.choices(range(templates), weights, k=count), start=first):
        query = "".join(_literal(draw, piece) for piece in pieces[number])
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(FIRST_SECOND + n * DAYS * 86_400 // 1_000_000))
        user = draw.choice(asked_by[number])
        yield json.dumps({"query": query, "user": user, "start_time": at, "status": "success"}) + "\n"


def _literal(draw: random.Random, piece: str) -> str:
    if piece == "{n}":
        return str(int(draw.random() * 1_000_000))
    return f"'name {int(draw.random() * 1e9)}'" if piece == "{s}" else piece


def make_logs(folder: Path, arguments: argparse.Namespace) -> tuple[Path, Path]:
    """The log, and the one that overlaps with it."""
    one, other = (folder / f"{name}-{arguments.entries}-{arguments.literals}.jsonl" for name in ("log", "overlap"))
    if not one.exists():
        half = arguments.entries // 2
        settings = (arguments.templates, arguments.literals)
        with one.open("w") as file, other.open("w") as second:
            for place, line in enumerate(entries(arguments.entries, *settings)):
                file.write(line)
                if place >= half:
                    second.write(line)
            second.writelines(entries(half, *settings, first=arguments.entries))
    return one, other


def make_catalog(folder: Path) -> Source:
    connection.close()
    connection.settings_dict["NAME"] = str(folder / "catalog.sqlite3")
    (folder / "catalog.sqlite3").unlink(missing_ok=True)
    call_command("migrate", verbosity=0)
    source = Source.objects.create(slug="wh", name="Warehouse", platform="duckdb", dialect="duckdb")
    tables = Table.objects.bulk_create(Table(source=source, name=f"wh.mart.t{n:03}") for n in range(TABLES))
    Column.objects.bulk_create(Column(table=table, name=f"col_{n}") for table in tables for n in range(COLUMNS))
    return source


def timed(work: Callable[[], Any]) -> tuple[Any, Seconds]:
    clock, cpu = time.perf_counter(), _cpu()
    answer = work()
    return answer, Seconds(time.perf_counter() - clock, _cpu() - cpu)


def _cpu() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def count_rows(path: Path) -> int:
    with duckdb.connect() as database:
        database.execute("SET enable_progress_bar = false")
        row = database.execute(f"SELECT count(*) FROM read_json('{path}')").fetchone()
    return row[0] if row else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--templates", type=int, default=2_000)
    parser.add_argument("--literals", choices=["after-where", "everywhere"], default="after-where")
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--workers", type=int, default=cores())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.directory or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        run(folder, arguments)


def run(folder: Path, arguments: argparse.Namespace) -> None:
    log, overlap = make_logs(folder, arguments)
    source = make_catalog(folder)
    floors = [timed(lambda: count_rows(log))[1] for _ in range(3)]
    floor = sorted(floors, key=lambda seconds: seconds.cpu)[1]
    print(f"{arguments.entries:,} entries, {log.stat().st_size / 1e9:.2f} GB, {arguments.templates:,} templates")
    print(LINE.format("", "clock s", "CPU s", "entries/s"))
    show("DuckDB counts the rows", floor, arguments.entries)

    def load(path: Path) -> Imported:
        return import_log(LogImport([path], GENERIC, source, "duckdb", workers=arguments.workers))

    first, seconds = timed(lambda: load(log))
    show("file to stored reads, nothing known", seconds, first.entries)
    print(f"{'times the floor':<44}{seconds.clock / floor.clock:>10.1f}{seconds.cpu / floor.cpu:>10.1f}")
    second, again = timed(lambda: load(overlap))
    show("overlapping file, texts known", again, second.entries)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory at most {memory:.0f} MB; rows stored: {Read.objects.count():,} of reads, ", end="")
    print(f"{ColumnRead.objects.count():,} of columns' reads")
    check(first, second)


def check(first: Imported, second: Imported) -> None:
    """Stop when something was counted twice or not at all."""
    assert first.new_entries == first.entries, first
    assert second.new_entries == second.entries - first.entries // 2, second
    counted = Read.objects.aggregate(n=Sum("count"))["n"]
    assert counted == first.reads + second.reads, counted
    print(f"counted once each: {first.new_entries + second.new_entries:,} entries, {counted:,} reads of tables")


def show(what: str, seconds: Seconds, number: int) -> None:
    print(LINE.format(what, f"{seconds.clock:.2f}", f"{seconds.cpu:.2f}", f"{number / seconds.clock:,.0f}"))


if __name__ == "__main__":
    main()
