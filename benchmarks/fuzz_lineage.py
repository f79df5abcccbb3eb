"""Mutated SQL through the engine in killable workers: no text may crash it, hang it, or raise.

    python -m benchmarks.fuzz_lineage [--minutes 10] [--seed 1] [--repo DIR] [--keep var/fuzz]

Texts are those of the engine's own cases and, with `--repo`, every .sql file below DIR. Each is mutated a few times:
words dropped, doubled, swapped, taken from another text, put into brackets, cut off. What is found is written to
`--keep`, one file each, the shortest form that still fails; such a text belongs among the cases. Exit status 1 when
anything is found.
"""

import argparse
import random
import re
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from ingest.workers import Died, Workers, cores
from lineage.sql import analyze, explain
from lineage.sql.dialects import RULES

CASES = Path(__file__).parent.parent / "tests" / "lineage" / "sql" / "cases"
WORD = re.compile(r"\w+|\s+|'[^']*'|\"[^\"]*\"|[^\w\s]")
SECONDS = 10  # the bound that a text of any kind must keep
BATCH = 40
LONGEST = 20_000  # characters: longer texts of a repository are left out, so that many are tried


@dataclass(frozen=True)
class Text:
    sql: str
    dialect: str


def corpus(repo: Path | None) -> list[Text]:
    """Every case's SQL, and every file of the repository."""
    cases = [case for path in sorted(CASES.glob("*.yaml")) for case in yaml.safe_load(path.read_text("utf-8"))]
    texts = [Text(case["sql"], case.get("dialect") or "") for case in cases]
    files = sorted(repo.rglob("*.sql")) if repo else []
    texts += [Text(path.read_text("utf-8", "replace"), "bigquery") for path in files]
    return [text for text in texts if len(text.sql) <= LONGEST]


def mutated(text: Text, texts: list[Text], chance: random.Random) -> Text:
    """One to six changes of one text; once in a while in another dialect."""
    words = WORD.findall(text.sql)
    for _ in range(chance.randint(1, 6)):
        if not words:
            break
        at = chance.randrange(len(words))
        to = min(len(words), at + chance.randint(1, 12))
        match chance.randrange(8):
            case 0:
                del words[at:to]
            case 1:
                words[at:at] = words[at:to]
            case 2:
                other = chance.randrange(len(words))
                words[at], words[other] = words[other], words[at]
            case 3:
                donor = WORD.findall(chance.choice(texts).sql)
                start = chance.randrange(len(donor) or 1)
                words[at:at] = donor[start : start + chance.randint(1, 40)]
            case 4:
                depth = chance.choice((1, 2, 30, 300))
                words[at:to] = ["(" * depth, *words[at:to], ")" * depth]
            case 5:
                del words[at:]
            case 6:
                words[at:to] = words[at:to] * chance.choice((2, 20, 200))
            case 7:
                words[at] = chance.choice(("", "*", "`", "'", "$$", "{{", "\0", "\ud800", "é", ";", "--", "/*", "NULL"))
    dialect = chance.choice(sorted(RULES)) if chance.random() < 0.1 else text.dialect
    return Text("".join(words)[:LONGEST], dialect)


def read_all(texts: list[Text]) -> list[tuple[int, str]]:
    """In a worker: the place and trace of each text that raised."""
    found = []
    for place, text in enumerate(texts):
        try:
            analysis = analyze(text.sql, text.dialect)
            for table, known in list(analysis.columns.items())[:2]:
                for column, _ in known.columns[:2]:
                    explain(text.sql, table, column, text.dialect)
        except Exception:  # noqa: BLE001 - any at all is what is looked for
            found.append((place, traceback.format_exc()))
    return found


def faults(workers: Workers, batches: dict[int, list[Text]]) -> Iterator[tuple[Text, str]]:
    """(text, what it does) over all batches; of one that took its worker along, text by text."""
    for number, answer in workers.run(read_all, dict.fromkeys(batches, set()), batches.__getitem__, SECONDS * 3):
        batch = batches[number]
        if not isinstance(answer, Died):
            yield from ((batch[place], trace) for place, trace in answer)
            continue
        singles = {place: [text] for place, text in enumerate(batch)}
        for place, alone in workers.run(read_all, dict.fromkeys(singles, set()), singles.__getitem__, SECONDS):
            if isinstance(alone, Died):
                yield batch[place], alone.how
            elif alone:
                yield batch[place], alone[0][1]


def kind_of(fault: str) -> str:
    """The last line of a trace, or how the worker ended: what tells one fault from another."""
    lines = fault.strip().splitlines()
    place = next((line.strip() for line in reversed(lines) if line.startswith("  File")), "")
    return f"{lines[-1][:100]} {place}"


def keep(folder: Path, text: Text, fault: str, number: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number:03}.sql"
    path.write_text(f"-- dialect: {text.dialect}\n-- {kind_of(fault)}\n{text.sql}", "utf-8", "surrogatepass")
    path.with_suffix(".trace").write_text(fault, "utf-8")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repo", type=Path)
    parser.add_argument("--keep", type=Path, default=Path("var/fuzz"))
    chosen = parser.parse_args()
    chance, texts = random.Random(chosen.seed), corpus(chosen.repo)
    end, tried, started = time.monotonic() + chosen.minutes * 60, 0, time.monotonic()
    found: dict[str, Text] = {}
    counts: Counter[str] = Counter()
    with Workers(cores(), ("lineage.sql",)) as workers:
        while time.monotonic() < end:
            batches = {
                number: [mutated(chance.choice(texts), texts, chance) for _ in range(BATCH)]
                for number in range(cores() * 4)
            }
            tried += sum(map(len, batches.values()))
            for text, fault in faults(workers, batches):
                kind = kind_of(fault)
                counts[kind] += 1
                if kind not in found or len(text.sql) < len(found[kind].sql):
                    is_new = kind not in found
                    found[kind] = text
                    path = keep(chosen.keep, text, fault, list(found).index(kind))
                    if is_new:
                        print(f"{path}: {kind}", flush=True)
    print(f"\n{'texts':>9} {'minutes':>8} {'seed':>5} {'faults':>7} {'kinds':>6}")
    minutes = (time.monotonic() - started) / 60
    print(f"{tried:>9,} {minutes:>8.1f} {chosen.seed:>5} {counts.total():>7} {len(found):>6}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
