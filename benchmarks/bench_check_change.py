"""A change of a repository checked, beside one reading of it.

    python -m benchmarks.bench_check_change --repo DIR [--layout bigquery-etl]

The newer version is a copy of DIR without the file that builds the most read of its tables. All in this process, in
seconds of the processor.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from ingest.changes import Version, compare, read_version  # noqa: E402
from ingest.settings import prepared  # noqa: E402

ROW = "| {:46} | {:5.2f} | {:4.2f} |"


def read(folder: Path, layout: str, before: Version | None = None) -> Version:
    given = dict.fromkeys(("layout", "dialect", "source", "default_database", "default_schema")) | {"layout": layout}
    settings, known = prepared(folder, given)
    return read_version(folder, known, settings, 0, before)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    answer = work()
    return time.process_time() - start, answer


def without_its_hub(folder: Path, base: Version, copy: Path) -> None:
    """A copy of the folder without the files of the pipeline whose table most others read."""
    built = [table for table in base.readers if base.builders.get(table) and table not in base.listed]
    hub = max(built, key=lambda table: len(base.readers[table]))
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".git"))
    for pipeline in base.builders[hub]:
        (copy / base.pipelines[pipeline].path).unlink()
    print(f"without {hub}, which {len(base.readers[hub])} pipelines read")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", type=Path, required=True)
    parser.add_argument("--layout", default="")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows: dict[str, list[float]] = {"one reading": [], "another, of what changed": [], "the comparison": []}
    with tempfile.TemporaryDirectory() as scratch:
        new = Path(scratch) / "new"
        for number in range(options.rounds):
            taken, base = timed(lambda: read(options.repo, options.layout))
            if not number:
                without_its_hub(options.repo, base, new)
            again, version = timed(lambda older=base: read(new, options.layout, older))
            compared, report = timed(lambda older=base, newer=version: compare(older, newer))
            for name, seconds in zip(rows, (taken, again, compared), strict=True):
                rows[name].append(seconds)
    print({kind: len(hits) for kind, hits in report.to_dict().items()})
    floor = statistics.median(rows["one reading"])
    for name, seconds in rows.items():
        print(ROW.format(name, statistics.median(seconds), statistics.median(seconds) / floor))
    total = sum(map(statistics.median, rows.values()))
    print(ROW.format("in all", total, total / floor))


if __name__ == "__main__":
    main()
