"""Has this happened before? Among 10,000 post-mortems, beside one bare full-text query.

    python -m benchmarks.bench_similar [--reports 10000] [--rounds 5]

Makes an SQLite file with incidents of five years over 2,000 tables, each with a report of six sections in words drawn
by their frequency, a root cause and two action items. The bare query is the one full-text query that is part of the
answer: the best 200 sections for 24 words. Milliseconds of CPU (SQLite runs in the process), medians over rounds; each
round asks about twenty incidents.
"""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
from pathlib import Path

from benchmarks.bench_graph import insert_like, timed  # sets Django up

# isort: split
import numpy as np
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from audits.postmortems import similar
from audits.postmortems.models import ActionItem, Cause, Hit, Incident, PostMortem, Section
from catalog.bulk import as_stored
from catalog.models import Source, Table

TABLES, WORDS, SECTIONS, LENGTH = 2_000, 8_000, 6, 80
ASKED = 20  # incidents a round


@transaction.atomic
def fill(reports: int) -> None:
    """Incidents that hit three to fifteen tables that lie beside each other, as those downstream of a start do."""
    random = np.random.default_rng(3)
    source = Source.objects.create(slug="warehouse", name="Warehouse", platform="duckdb")
    insert_like(Table(source=source), ["id", "name"], ([n + 1, f"shop.table_{n:05}"] for n in range(TABLES)))
    now = timezone.now()
    moments = [as_stored(now - dt.timedelta(hours=int(hours))) for hours in random.integers(1, 5 * 8_760, reports)]
    incident = Incident(detected_at=now, opened_by_name="x", links=[], decisions="")
    words = [f"w{n:05}" for n in range(WORDS)]
    drawn = (random.zipf(1.3, (reports, SECTIONS * LENGTH)) - 1) % WORDS
    titles = [" ".join(words[n] for n in row[:6]) for row in drawn]
    insert_like(incident, ["id", "title", "started_at"], ([n + 1, titles[n], moments[n]] for n in range(reports)))
    insert_like(PostMortem(author_name="x"), ["id", "incident"], ([n + 1, n + 1] for n in range(reports)))
    sections = (
        [n + 1, name, place, " ".join(words[key] for key in drawn[n, place * LENGTH : (place + 1) * LENGTH])]
        for n in range(reports)
        for place, name in enumerate(Section.Name.values[:SECTIONS])
    )
    insert_like(Section(), ["post_mortem", "name", "position", "text"], sections)
    codes = random.choice(Cause.Code.values, reports)
    insert_like(Cause(is_root=True), ["post_mortem", "code"], ([n + 1, str(codes[n])] for n in range(reports)))
    starts, widths = random.integers(0, TABLES - 16, reports), random.integers(3, 16, reports)
    hits = (
        [n + 1, f"table:warehouse:shop.table_{key:05}", f"shop.table_{key:05}", key + 1, key - int(starts[n])]
        for n in range(reports)
        for key in range(int(starts[n]), int(starts[n] + widths[n]))
    )
    insert_like(Hit(kind="table", source="warehouse"), ["incident", "node", "name", "table", "distance"], hits)
    item = ActionItem(type="prevent", owner_name="x", created_by_name="x", title="Check it", due=now.date())
    insert_like(item, ["incident"], ([n + 1] for n in range(reports) for _ in range(2)))


def measure(reports: int, rounds: int) -> None:
    incidents = list(Incident.objects.order_by("-started_at")[:ASKED])
    facts = similar._facts_of(incidents)
    asked = [similar._words_of(incident, facts[incident.pk]) for incident in incidents]

    def bare() -> None:
        with connection.cursor() as cursor:
            for words in asked:
                cursor.execute(*similar._full_text(words))
                cursor.fetchall()

    floor, _ = timed(rounds, bare)
    taken, found = timed(rounds, lambda: [similar.similar_to(incident) for incident in incidents])
    print(f"{reports:,} post-mortems of {SECTIONS} sections; each incident has {len(found[0])} like it shown")
    print(f"  {'bare full-text query':<50}{floor / ASKED:>9.1f} ms")
    print(f"  {'similar incidents':<50}{taken / ASKED:>9.1f} ms{taken / floor:>8.2f} x the bare query")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        connection.close()
        connection.settings_dict["NAME"] = str(Path(folder) / "reports.sqlite3")
        call_command("migrate", verbosity=0)
        fill(asked.reports)
        measure(asked.reports, asked.rounds)
        connection.close()


if __name__ == "__main__":
    main()
