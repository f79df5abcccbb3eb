"""How long `ingest_repo` takes, against what the machine needs for less: parsing alone, and reading the files alone.

    python benchmarks/bench_ingest.py FOLDER --layout bigquery-etl [--repeat 3]

Every round measures all rows in turn, so that a busy moment hits them alike; the best of the rounds counts. Parsing
runs on as many processes as the ingest, started and warmed up before. The ingest is the whole command, on an empty
SQLite file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from ingest.layout import Layout, read_layout  # noqa: E402
from ingest.reading import Reading  # noqa: E402
from ingest.settings import Settings  # noqa: E402
from ingest.workers import Workers  # noqa: E402


def parse(job: tuple[str, list[str]]) -> int:
    """In a worker: how many statements sqlglot reads in the texts."""
    import sqlglot

    dialect, texts = job
    statements = 0
    for text in texts:
        try:
            statements += len(sqlglot.parse(text, dialect=dialect))
        except (sqlglot.errors.SqlglotError, RecursionError):
            statements += 1
    return statements


def seconds(what: Callable[[], object]) -> float:
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def parse_alone(folder: Path, layout: Layout, jobs: int) -> float:
    """Seconds to parse every SQL text, on warm processes."""
    reading = Reading(folder, layout, Settings())
    reading.walk()
    texts = [file.data.decode("utf-8", "replace") for path, file in reading.files.items() if path.endswith(".sql")]
    batches = {number: (layout.dialect, texts[number::200]) for number in range(200)}
    with Workers(jobs) as workers:
        warm = {number: set() for number in range(jobs * 4)}
        list(workers.run(parse, warm, lambda _: (layout.dialect, ["SELECT 1"]), 60))
        return seconds(lambda: list(workers.run(parse, {key: set() for key in batches}, batches.__getitem__, 600)))


def read_without_database(folder: Path, layout: Layout, jobs: int) -> float:
    """Seconds from the folder to every fact and edge as values, worker start included."""

    def read() -> None:
        reading = Reading(folder, layout, Settings())
        reading.walk()
        with Workers(jobs) as workers:
            reading.read(workers)
            for _ in reading.lineages(workers, {}):
                pass

    return seconds(read)


def walk_read_hash(folder: Path, layout: Layout) -> float:
    """Seconds to find, read and hash the same files, with nothing else done."""
    reading = Reading(folder, layout, Settings())
    reading.walk()
    wanted = set(reading.files)

    def bare() -> None:
        for path in _files(str(folder)):
            if os.path.relpath(path, folder) in wanted:
                with open(path, "rb") as file:
                    hashlib.blake2b(file.read()).digest()

    return seconds(bare)


def _files(folder: str) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(root, name) for name in names)


def command(folder: Path, layout: str, database: Path, jobs: int) -> tuple[float, dict[str, object]]:
    """Seconds of the whole command, and the summary it prints."""
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
    start = time.perf_counter()
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr)
    return time.perf_counter() - start, json.loads(done.stdout)


def new_database(folder: Path) -> Path:
    database = folder / f"{time.monotonic_ns()}.sqlite3"
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{database}"}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    return database


def one_round(folder: Path, layout: Layout, jobs: int, scratch: Path) -> dict[str, float]:
    """Seconds of each row."""
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
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rounds = [
            one_round(options.folder, read_layout(options.layout), options.jobs, Path(scratch))
            for _ in range(options.repeat)
        ]
    best = {row: min(times[row] for times in rounds) for row in rounds[0]}
    print_table(best)


def print_table(best: dict[str, float]) -> None:
    again = best["second run"] - best["start-up"]
    ratios = {
        "read, no database": (best["read, no database"] / best["parse alone"], "x parse alone", 2),
        "whole ingest": (best["whole ingest"] / best["parse alone"], "x parse alone", 6),
        "second run": (again / best["walk, read, hash"], "x walk, read, hash, after start-up", 3),
    }
    print(f"{'':20} {'seconds':>8} {'ratio':>7}  bound")
    for row, took in best.items():
        ratio, of, bound = ratios.get(row, (None, "", 0))
        print(f"{row:20} {took:8.2f} " + (f"{ratio:7.2f}  {bound} {of}" if ratio is not None else ""))


if __name__ == "__main__":
    main()
