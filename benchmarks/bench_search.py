"""How long search takes while one types, beside the bare full-text query of the same words.

    python -m benchmarks.bench_search [--tables 1000000] [--file /tmp/search.sqlite3] [--rounds 200]

Makes a catalog's search documents (each table with a dozen columns, names and words as frequent as in real warehouses:
few words everywhere, many words seldom) in an SQLite file, or takes the file if it is there, and asks for what a person
types, letter by letter. `bare` is one FTS5 query for the same words whose hits are ordered by its own rank; `ids` the
same without any order. With DATABASE_URL it asks that database instead, and PostgreSQL's ts_rank. Every question goes
all ways in turn; milliseconds of the processor, those of PostgreSQL's backend (on the same machine) among them.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

LAYERS = ("raw", "staging", "core", "marts", "analytics", "sandbox", "ml", "reporting")
STEMS = [
    "order",
    "customer",
    "product",
    "payment",
    "invoice",
    "session",
    "event",
    "click",
    "shipment",
    "return",
    "refund",
    "stock",
    "price",
    "campaign",
    "channel",
    "account",
    "contract",
    "ticket",
    "review",
    "supplier",
    "store",
    "visit",
    "search",
    "cart",
    "coupon",
    "budget",
    "forecast",
    "ledger",
    "churn",
    "cohort",
]
SHAPES = [
    "daily",
    "hourly",
    "weekly",
    "snapshot",
    "history",
    "summary",
    "facts",
    "dim",
    "v2",
    "latest",
    "by_country",
    "by_channel",
    "agg",
    "delta",
    "backup",
]
COLUMNS = [
    "id",
    "date",
    "created_at",
    "updated_at",
    "amount",
    "amount_eur",
    "country",
    "status",
    "type",
    "name",
    "count",
    "total",
    "email",
    "url",
    "score",
]


def names(tables: int, seed: int) -> Iterator[tuple[str, list[str]]]:
    """Tables by name, with their columns."""
    dice = random.Random(seed)
    rare = [
        f"{a}{b}{c}"
        for a in ("zor", "mek", "lun", "tav", "bri")
        for b in "aeiou"
        for c in ("dal", "nix", "pro", "sten")
    ]
    for number in range(tables):
        stem = dice.choice(STEMS) if dice.random() < 0.8 else f"{dice.choice(rare)}{dice.randrange(200)}"
        shape = f"{dice.choice(STEMS)}_{dice.choice(SHAPES)}" if dice.random() < 0.6 else dice.choice(SHAPES)
        columns = [
            f"{stem}_id",
            *(dice.choice(COLUMNS) for _ in range(6)),
            *(f"{dice.choice(STEMS)}_{dice.choice(COLUMNS)}" for _ in range(5)),
        ]
        yield f"wh{number % 40}.{dice.choice(LAYERS)}.{stem}_{shape}_{number % 5000}", list(dict.fromkeys(columns))


def fill(tables: int) -> None:
    """Write the documents, some thousands at a time, as the index writes them."""
    from catalog.bulk import chunks
    from catalog.search_index import Draft, write_documents

    dice = random.Random(7)
    done = 0
    for part in chunks(names(tables, 7), 5000):
        drafts = {
            done + place + 1: Draft(
                name, "warehouse", columns=columns, use=int(dice.paretovariate(0.6)),
                facets={"source": ["warehouse"], "status": ["active"], "owner": [f"owner-{(done + place) % 300}"]},
            )
            for place, (name, columns) in enumerate(part)
        }  # fmt: skip
        write_documents("table", drafts)
        if done % 50_000 == 0:
            print(f"{done:,} of {tables:,}", file=sys.stderr, flush=True)
        done += len(part)


def typed(rounds: int, tables: int) -> list[str]:
    """What stands in the field at each stroke: beginnings of words, whole words, two words, a misspelt one."""
    dice = random.Random(11)
    sample = [name for name, _ in names(min(tables, 5000), 7)]
    found = []
    while len(found) < rounds:
        last = dice.choice(sample).rpartition(".")[2]
        found += [last[:length] for length in range(2, min(len(last), 14), 3)]
        found.append(" ".join(last.split("_")[:2]))
        found.append(last[:3] + last[4:8])
    return found[:rounds]


def bare(q: str, *, is_ordered: bool) -> int:
    """The words of `q`, the last begun, in whatever place, by one query."""
    from django.db import connection

    from catalog.words import words_of

    words = words_of(q)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            asked = " AND ".join(f'("n{word}" * OR "t{word}" *)' for word in words)
            order = "ORDER BY rank LIMIT 20" if is_ordered else "LIMIT 500"
            sql = f"SELECT rowid FROM catalog_search_words WHERE catalog_search_words MATCH %s {order}"
            cursor.execute(sql, [asked])
        else:
            asked = " & ".join(f"('n{word}':* | 't{word}':*)" for word in words)
            ranked = "ts_rank(array_to_tsvector(string_to_array(words, ' ')), %s::tsquery)"
            order = f"ORDER BY {ranked} DESC LIMIT 20" if is_ordered else "LIMIT 500"
            indexed = "array_to_tsvector(catalog_search_tokens(words))"
            sql = f"SELECT id FROM catalog_searchdocument WHERE {indexed} @@ %s::tsquery {order}"
            cursor.execute(sql, [asked] * (2 if is_ordered else 1))
        return len(cursor.fetchall())


def measured(ways: dict[str, Callable[[str], object]], questions: list[str]) -> dict[str, list[float]]:
    """Milliseconds of the processor of each question, asked in all ways in turn."""
    clock = processor()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for q in questions:
        for name, ask in ways.items():
            start = clock()
            ask(q)
            times[name].append((clock() - start) * 1000)
    return times


def processor() -> Callable[[], float]:
    """Seconds that this process, and the database's own for it, have had of the processor."""
    from django.db import connection

    if connection.vendor == "sqlite":
        return time.process_time
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        spent = Path(f"/proc/{cursor.fetchone()[0]}/schedstat")
    return lambda: time.process_time() + int(spent.read_text().split()[0]) / 1e9


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tables", type=int, default=1_000_000)
    options.add_argument("--file", type=Path, default=Path("/tmp/bench-search.sqlite3"))
    options.add_argument("--rounds", type=int, default=200)
    asked = options.parse_args()
    os.environ.setdefault("DATABASE_URL", f"sqlite:///{asked.file}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from catalog.models import SearchDocument
    from catalog.search import search

    if not SearchDocument.objects.exists():
        fill(asked.tables)
    questions = typed(asked.rounds, asked.tables)
    ways: dict[str, Callable[[str], object]] = {
        "ids": lambda q: bare(q, is_ordered=False),
        "bare": lambda q: bare(q, is_ordered=True),
        "search": lambda q: search(q, limit=8),
    }
    measured(ways, questions[:20])  # warm
    gc.freeze()  # as the server does
    times = measured(ways, questions)
    print(f"{SearchDocument.objects.count():,} documents, {len(questions)} questions, milliseconds of the processor")
    print(f"{'':<10}{'median':>9}{'p95':>9}{'mean':>9}")
    for name, spent in times.items():
        p95 = statistics.quantiles(spent, n=20)[-1]
        print(f"{name:<10}{statistics.median(spent):>9.1f}{p95:>9.1f}{statistics.mean(spent):>9.1f}")
    ratio = statistics.mean(times["search"]) / statistics.mean(times["bare"])
    print(f"search / bare, mean: {ratio:.2f}")


if __name__ == "__main__":
    main()
