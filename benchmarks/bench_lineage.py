"""SQL to lineage beside the peers: statements per second, time over a plain parse, failures, peak memory.

    python -m benchmarks.bench_lineage [--repo DIR] [--engines pipekeeper datahub …] [--seconds 20] [--rounds 2]

Statements: TPC-DS and TPC-H as CREATE TABLE … AS with their schema, and every .sql file under DIR/sql of a
bigquery-etl checkout that holds no template (the peers render none). Times are processor seconds of one process, so
that a busy machine changes them less; each statement's best of the rounds counts. An engine stops after `--seconds`
and is then judged by what it reached, in the same shuffled order for all. `time / ours` is over the statements that
both could read.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import CACHE, ENVIRONMENTS, run_engine, tpc_statements

FLOOR, OURS = "parse", "pipekeeper"
COLUMNS = "{:<24}{:>9}{:>8}{:>14}{:>14}{:>13}{:>10}{:>10}"
HEADINGS = ("engine", "read", "of", "statements/s", "time / parse", "time / ours", "failures", "peak MB")


def repository_statements(repo: Path, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` of a bigquery-etl checkout's files, evenly over all of them in path order."""
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted((repo / "sql").rglob("*.sql"))]
    plain = [text for text in texts if "{{" not in text and "{%" not in text]
    step = max(1, len(plain) // limit)
    return [{"sql": text, "dialect": "bigquery"} for text in plain[::step]][:limit]


def shuffled(statements: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same order each time, so that an engine that is stopped early has read a fair sample."""
    return random.Random(7).sample(list(statements), len(statements))


@dataclass(frozen=True)
class Measured:
    """One engine: the best seconds and the error, if any, of each statement that it reached; its peak memory."""

    seconds: list[float]
    errors: list[str | None]
    peak_mb: int


def measured(engine: str, statements: Sequence[dict[str, Any]], cap: float, chosen: argparse.Namespace) -> Measured:
    """Run an engine as often as asked, for `cap` seconds each. Raises RuntimeError when it does not run."""
    rounds = [run_engine(engine, statements, cap, chosen.cache) for _ in range(chosen.rounds)]
    results = list(zip(*(one["results"] for one in rounds), strict=False))
    return Measured(
        [min(each["seconds"] for each in tries) for tries in results],
        [tries[0]["error"] for tries in results],
        max(one["peak_mb"] for one in rounds),
    )


def over(one: Measured, other: Measured, read_by_both: bool) -> float:
    """How many times the time of the other, over what both reached or, if asked, what both read without an error."""
    pairs = zip(one.seconds, other.seconds, one.errors, other.errors, strict=False)
    kept = [(mine, yours) for mine, yours, *errors in pairs if not (read_by_both and any(errors))]
    return sum(mine for mine, _ in kept) / sum(yours for _, yours in kept)


def row(engine: str, total: int, found: Measured, floor: Measured, ours: Measured | None) -> str:
    read, failures = len(found.seconds), sum(error is not None for error in found.errors)
    beside = f"{over(found, ours, read_by_both=True):.2f}" if ours and engine != FLOOR else ""
    ratios = f"{over(found, floor, read_by_both=False):.2f}", beside
    speed = f"{read / sum(found.seconds):,.1f}"
    return COLUMNS.format(engine, read, total, speed, *ratios, failures, found.peak_mb)


def table(title: str, statements: Sequence[dict[str, Any]], chosen: argparse.Namespace) -> None:
    """Print one table: the floor first, then ours, then each engine over the same statements."""
    ordered = shuffled(statements)
    print(f"\n{title}: {len(ordered)} statements, {sum(len(each['sql']) for each in ordered):,} characters")
    print(COLUMNS.format(*HEADINGS))
    done: dict[str, Measured] = {}
    for engine in sorted({FLOOR, *chosen.engines}, key=list(ENVIRONMENTS).index):
        try:
            done[engine] = measured(engine, ordered, 600 if engine == FLOOR else chosen.seconds, chosen)
        except RuntimeError as error:
            print(f"{engine:<24}{error}")
            continue
        print(row(engine, len(ordered), done[engine], done[FLOOR], done.get(OURS)), flush=True)
        if chosen.errors:
            print("".join(f"    {error}\n" for error in done[engine].errors if error), end="")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", type=Path, help="a checkout of mozilla/bigquery-etl")
    parser.add_argument("--limit", type=int, default=600, help="how many of its files")
    parser.add_argument("--engines", nargs="+", default=list(ENVIRONMENTS), choices=list(ENVIRONMENTS))
    parser.add_argument("--seconds", type=float, default=20, help="processor seconds each engine may take, per round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the peers' environments are made and kept")
    parser.add_argument("--errors", action="store_true", help="print each failure")
    return parser.parse_args()


def main() -> None:
    chosen = read_arguments()
    table("TPC-DS and TPC-H", tpc_statements(chosen.cache), chosen)
    if chosen.repo:
        table("bigquery-etl", repository_statements(chosen.repo, chosen.limit), chosen)


if __name__ == "__main__":
    main()
