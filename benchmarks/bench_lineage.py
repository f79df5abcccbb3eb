"""SQL to lineage beside the peers: statements per second, time over a plain parse, failures, peak memory.

    python -m benchmarks.bench_lineage [--repo DIR] [--engines pipekeeper datahub …] [--seconds 20] [--rounds 2]

Statements: TPC-DS and TPC-H as CREATE TABLE … AS with their schema, and every .sql file under DIR/sql of a
bigquery-etl checkout that holds no template (the peers render none). Times are processor seconds of one process, so
that a busy machine changes them less; each statement's best of the rounds counts. An engine stops after `--seconds`
and is then judged by what it reached, in the same shuffled order for all.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import CACHE, ENVIRONMENTS, run_engine, tpc_statements

FLOOR = "parse"
COLUMNS = "{:<24}{:>9}{:>8}{:>14}{:>14}{:>10}{:>10}"
HEADINGS = ("engine", "read", "of", "statements/s", "time / parse", "failures", "peak MB")


def repository_statements(repo: Path, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` of a bigquery-etl checkout's files, evenly over all of them in path order."""
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted((repo / "sql").rglob("*.sql"))]
    plain = [text for text in texts if "{{" not in text and "{%" not in text]
    step = max(1, len(plain) // limit)
    return [{"sql": text, "dialect": "bigquery"} for text in plain[::step]][:limit]


def shuffled(statements: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same order each time, so that an engine that is stopped early has read a fair sample."""
    return random.Random(7).sample(list(statements), len(statements))


def best_of(rounds: Sequence[dict[str, Any]]) -> tuple[list[float], list[str], int]:
    """Each statement's best seconds over the rounds, the errors of the first, the highest peak in MB."""
    seconds = [
        min(times) for times in zip(*([each["seconds"] for each in one["results"]] for one in rounds), strict=False)
    ]
    errors = [each["error"] for each in rounds[0]["results"][: len(seconds)] if each["error"]]
    return seconds, errors, max(one["peak_mb"] for one in rounds)


def row(engine: str, total: int, rounds: Sequence[dict[str, Any]], floor: Sequence[float]) -> str:
    seconds, errors, peak = best_of(rounds)
    read = len(seconds)
    ratio = sum(seconds) / sum(floor[:read])
    return COLUMNS.format(engine, read, total, f"{read / sum(seconds):,.1f}", f"{ratio:.2f}", len(errors), peak)


def table(title: str, statements: Sequence[dict[str, Any]], chosen: argparse.Namespace) -> None:
    """Print one table: the floor first, then each engine over the same statements."""
    ordered = shuffled(statements)
    print(f"\n{title}: {len(ordered)} statements, {sum(len(each['sql']) for each in ordered):,} characters")
    print(COLUMNS.format(*HEADINGS))
    floor: list[float] = []
    for engine in [FLOOR, *(name for name in chosen.engines if name != FLOOR)]:
        cap = chosen.seconds if engine != FLOOR else 600
        try:
            rounds = [run_engine(engine, ordered, cap, chosen.cache) for _ in range(chosen.rounds)]
        except RuntimeError as error:
            print(f"{engine:<24}{error}")
            continue
        floor = floor or best_of(rounds)[0]
        print(row(engine, len(ordered), rounds, floor), flush=True)
        if chosen.errors:
            print("".join(f"    {error}\n" for error in best_of(rounds)[1]), end="")


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
