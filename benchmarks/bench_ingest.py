"""How long `ingest_repo` takes, against what the machine needs for less: parsing alone, and reading the files alone.

    python -m benchmarks.bench_ingest FOLDER --layout bigquery-etl [--repeat 3]

Every round measures all rows in turn, so that a busy moment hits them alike; the best of the rounds counts. Parsing
runs on as many processes as the ingest, started and warmed up before. The ingest is the whole command, on an empty
SQLite file. CPU seconds are those of all processes together: on a machine that others use they say more.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from ingest import reading  # noqa: E402
from ingest.layout import Layout, read_layout  # noqa: E402
from ingest.settings import Settings  # noqa: E402
from ingest.workers import Workers, cores  # noqa: E402


class Took(NamedTuple):
    """Seconds on the clock, and of CPU time in all processes."""

    wall: float
    cpu: float


def parse(job: tuple[str, list[str]]) -> float:
    """In a worker: CPU seconds that sqlglot takes to read the texts."""
    import logging

    import sqlglot
    from sqlglot.parsers.bigquery import BigQueryParser

    BigQueryParser.SUPPORTS_IMPLICIT_UNNEST = True  # as sqlglot comes: the engine, imported along, turns it off
    logging.disable(logging.WARNING)
    start = time.process_time()
    dialect, texts = job
    for text in texts:
        try:
            sqlglot.parse(text, dialect=dialect)
        except (sqlglot.errors.SqlglotError, ValueError, RecursionError):  # ValueError: a name taken for empty
            continue
    return time.process_time() - start


def measured(what: Callable[[], Any]) -> tuple[Took, Any]:
    start, used = time.perf_counter(), _cpu()
    result = what()
    return Took(time.perf_counter() - start, _cpu() - used), result


def _cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    both = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def parse_alone(folder: Path, layout: Layout, jobs: int) -> Took:
    """Parsing every SQL text that is a pipeline, on warm processes."""
    read = reading.Reading(folder, layout, Settings())
    read.walk()
    with Workers(0) as here:
        sql = [path for path, fact in read.read(here).pipelines.items() if fact.language == "sql"]
    texts = [read.files[path].data.decode("utf-8", "replace") for path in sql]
    batches = {number: (layout.dialect, texts[number::200]) for number in range(200)}
    with Workers(jobs, ["sqlglot"]) as workers:
        warm: dict[int, set[int]] = {number: set() for number in range(jobs * 4)}
        list(workers.run(parse, warm, lambda _: (layout.dialect, ["SELECT 1"]), 60))
        start = time.perf_counter()
        answers = list(workers.run(parse, {key: set() for key in batches}, batches.__getitem__, 600))
        return Took(time.perf_counter() - start, sum(cpu for _, cpu in answers))


def read_without_database(folder: Path, layout: Layout, jobs: int) -> Took:
    """From the folder to every fact and edge as values, worker start included."""

    def read() -> None:
        one = reading.Reading(folder, layout, Settings())
        with Workers(jobs, [reading.__name__]) as workers:
            workers.start()
            one.walk()
            one.read(workers)
            for _ in one.lineages(workers, {}):
                pass

    return measured(read)[0]


def walk_read_hash(folder: Path, layout: Layout) -> Took:
    """Finding, reading and hashing the same files, with nothing else done."""
    read = reading.Reading(folder, layout, Settings())
    read.walk()
    wanted = set(read.files)

    def bare() -> None:
        for path in _files(str(folder)):
            if os.path.relpath(path, folder) in wanted:
                with open(path, "rb") as file:
                    hashlib.blake2b(file.read()).digest()

    return measured(bare)[0]


def _files(folder: str) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(root, name) for name in names)


def command(folder: Path, layout: str, database: Path, jobs: int) -> tuple[Took, dict[str, Any]]:
    """The whole command, and the summary it prints."""
    arguments = [
        sys.executable,
        "manage.py",
        "ingest_repo",
        str(folder),
        "--layout",
        layout,
        "--json",
        f"--jobs={jobs}",
    ]
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{database}"}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    took, done = measured(run)
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr)
    return took, json.loads(done.stdout)


def new_database(folder: Path) -> Path:
    database = folder / f"{time.monotonic_ns()}.sqlite3"
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{database}"}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    return database


def one_round(folder: Path, layout: Layout, jobs: int, scratch: Path) -> dict[str, Took]:
    """Each row once."""
    times = {"parse alone": parse_alone(folder, layout, jobs)}
    times["read, no database"] = read_without_database(folder, layout, jobs)
    database = new_database(scratch)
    times["whole ingest"], first = command(folder, layout.name, database, jobs)
    times["second run"], second = command(folder, layout.name, database, jobs)
    if {**first, "seconds": 0} != {**second, "seconds": 0}:
        raise SystemExit(f"The second run counts otherwise:\n{first}\n{second}")
    empty = scratch / "empty"
    empty.mkdir(exist_ok=True)
    times["start-up"], _ = command(empty, layout.name, database, jobs)
    times["walk, read, hash"] = walk_read_hash(folder, layout)
    database.unlink()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layout", default="plain")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=cores())
    options = parser.parse_args()
    layout = read_layout(options.layout)
    with tempfile.TemporaryDirectory() as scratch:
        rounds = [one_round(options.folder, layout, options.jobs, Path(scratch)) for _ in range(options.repeat)]
    print_table({row: Took(*map(min, zip(*(times[row] for times in rounds), strict=True))) for row in rounds[0]})


def print_table(best: dict[str, Took]) -> None:
    again = Took(*(a - b for a, b in zip(best["second run"], best["start-up"], strict=True)))
    ratios = {
        "read, no database": (best["read, no database"], best["parse alone"], "2 x parse alone"),
        "whole ingest": (best["whole ingest"], best["parse alone"], "6 x parse alone"),
        "second run": (again, best["walk, read, hash"], "3 x walk, read, hash, after start-up"),
    }
    print(f"{'':20} {'wall s':>8} {'ratio':>6}  {'CPU s':>8} {'ratio':>6}  bound")
    for row, took in best.items():
        if row in ratios:
            part, floor, bound = ratios[row]
            wall, cpu = f"{part.wall / floor.wall:6.2f}", f"{part.cpu / floor.cpu:6.2f}"
        else:
            wall, cpu, bound = " " * 6, " " * 6, ""
        print(f"{row:20} {took.wall:8.2f} {wall}  {took.cpu:8.2f} {cpu}  {bound}")


if __name__ == "__main__":
    main()
