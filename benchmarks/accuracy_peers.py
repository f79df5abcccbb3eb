"""Accuracy beside the peers: every engine over the peers' own public test suites and over ours.

    python -m benchmarks.accuracy_peers DIR… [--engines pipekeeper datahub …] [--failures pipekeeper]

DIR: checkouts of reata/sqllineage, OpenLineage/OpenLineage, datahub-project/datahub and mozilla/bigquery-etl, kept
outside this repository. A case counts when its tables, or its column edges, are exactly those its suite states, without
regard to case and quotes. Cases that state a peer's own convention are left out, and counted, by reason.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peer_suites import CONVENTIONS, Case, own_cases, plain, suite_of
from benchmarks.peers import CACHE, ENVIRONMENTS, run_engine

ENGINES = [name for name in ENVIRONMENTS if name not in ("parse", "parse, gc at rest", "sqllineage")]
COLUMNS = "{:<28}{:<24}{:>16}{:>16}"


def same_table(stated: str, found: str) -> bool:
    """Whether two names are one table: a name may have more parts than the other states."""
    return stated == found or found.endswith(f".{stated}") or stated.endswith(f".{found}")


def same_tables(stated: Iterable[str], found: Iterable[str]) -> bool:
    left, right = sorted({plain(name) for name in stated}), sorted({plain(name) for name in found})
    return len(left) == len(right) and all(map(same_table, left, right))


def same_edges(case: Case, answer: dict[str, Any]) -> bool:
    """Every stated edge found and none besides; what shapes a value (CASE, OVER) may be stated as its source or not."""
    named = {edge[3] for edge in case["edges"] if is_name(edge[3])}
    stated = {edge_key(edge, named) for edge in case["edges"]}
    direct = {edge_key(edge, named) for edge in answer["edges"]}
    return direct <= stated <= direct | {edge_key(edge, named) for edge in answer["shaping"]}


def is_name(column: str) -> bool:
    return column == "*" or re.fullmatch(r"(?!_\d+$)\w[\w$]*", column) is not None


def edge_key(edge: Sequence[str], named: set[str]) -> tuple[str, ...]:
    """An edge to compare: the last part of each table's name, and "?" for an expression that was given no name."""
    source, column, target, name = (plain(part) for part in edge)
    return source.rpartition(".")[2], column, target.rpartition(".")[2], name if name in named else "?"


def judge(case: Case, answer: dict[str, Any]) -> dict[str, bool]:
    """Whether the tables and the columns are right, of those that the case states."""
    judged = {}
    if case["inputs"] is not None:
        judged["tables"] = same_tables(case["inputs"], answer["inputs"]) and (
            case["outputs"] is None or same_tables(case["outputs"], answer["outputs"])
        )
    if case["edges"] is not None:
        judged["columns"] = same_edges(case, answer)
    return judged


def share(right: int, total: int) -> str:
    return f"{right}/{total} {right / total:.0%}" if total else "-"


def print_suite(suite: str, cases: Sequence[Case], chosen: argparse.Namespace) -> None:
    kept = [case for case in cases if not case["left_out"]]
    for reason, count in Counter(case["left_out"] for case in cases if case["left_out"]).items():
        print(f"{suite}: {count} left out: {CONVENTIONS[reason]}")
    for engine in chosen.engines:
        try:
            answers = run_engine(engine, kept, chosen.seconds, chosen.cache)["results"]
        except RuntimeError as error:
            print(f"{suite:<28}{error}")
            continue
        judged = [judge(case, answer) for case, answer in zip(kept, answers, strict=False)]
        counts = {
            part: share(sum(each.get(part, False) for each in judged), sum(part in each for each in judged))
            for part in ("tables", "columns")
        }
        print(
            COLUMNS.format(f"{suite} ({len(judged)} of {len(kept)})", engine, counts["tables"], counts["columns"]),
            flush=True,
        )
        if engine == chosen.failures:
            print_failures(kept, answers, judged)


def print_failures(cases: Sequence[Case], answers: Sequence[dict[str, Any]], judged: Sequence[dict[str, bool]]) -> None:
    for case, answer, found in zip(cases, answers, judged, strict=False):
        if not all(found.values()):
            print(
                f"--- {case['name']} ({case['dialect'] or 'no dialect'}) {found} {answer['error'] or ''}\n{case['sql']}"
            )
            for part in ("inputs", "outputs", "edges"):
                if case[part] is not None:
                    print(f"    stated {part}: {sorted(case[part])}\n    found  {part}: {answer[part]}")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", type=Path, metavar="DIR")
    parser.add_argument("--engines", nargs="+", default=ENGINES, choices=list(ENVIRONMENTS))
    parser.add_argument("--seconds", type=float, default=120, help="processor seconds each engine may take per suite")
    parser.add_argument("--failures", metavar="ENGINE", help="print what this engine answered otherwise")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the peers' environments are made and kept")
    return parser.parse_args()


def main() -> None:
    chosen = read_arguments()
    print(COLUMNS.format("suite (cases read)", "engine", "tables", "columns"))
    print_suite("own cases", list(own_cases()), chosen)
    for checkout in chosen.checkouts:
        print_suite(checkout.name, suite_of(checkout, chosen.cache), chosen)


if __name__ == "__main__":
    main()
