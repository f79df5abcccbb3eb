"""A crawl of 5,000 PostgreSQL tables beside the bare queries over its catalog; both in one run."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TABLES, COLUMNS, VIEWS = 5_000, 10, 250
SERVER = os.environ.get("BENCH_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432")
NAME = "pipekeeper_bench_crawl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=TABLES)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    os.environ["DATABASE_URL"] = "sqlite://:memory:"
    os.environ["BENCH_CRAWL_URL"] = f"{SERVER}/{NAME}"
    with _database(options.tables):
        _measure(options.runs)


@contextmanager
def _database(tables: int) -> Iterator[None]:
    """A database of that many tables, and a view for each twentieth."""
    import psycopg

    with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {NAME}")
    try:
        with psycopg.connect(f"{SERVER}/{NAME}") as connection:
            columns = ", ".join(f"c{n} numeric(12, 2)" for n in range(COLUMNS - 2))
            for number in range(tables):
                connection.execute(f"CREATE TABLE t_{number} (id integer PRIMARY KEY, day date, {columns})")
                if number % 50 == 49:
                    connection.commit()
            for number in range(0, tables, tables // VIEWS or 1):
                query = f"SELECT day, sum(c0) AS total, max(c1) AS most FROM t_{number} GROUP BY day"
                connection.execute(f"CREATE VIEW v_{number} AS {query}")
        yield
    finally:
        with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def _measure(runs: int) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from catalog.models import Source
    from ingest.crawl import scope_of
    from ingest.jobs import perform
    from ingest.models import IngestRun

    source = Source.objects.create(slug="bench", name="Bench", platform="postgres", connection="BENCH_CRAWL_URL")

    def crawl() -> None:
        told = {"source": source.slug, "jobs": 0, "allow_retire": False}
        perform(IngestRun(kind="crawl", scope=scope_of(source), actor_name="bench", options=told))

    bare = _seconds(_bare_queries, runs)
    first = _seconds(crawl, 1)
    again = _seconds(crawl, runs)
    print(f"{'':28}{'seconds':>9}{'of bare':>9}")
    for name, seconds in (("bare catalog queries", bare), ("first crawl", first), ("crawl, nothing new", again)):
        print(f"{name:28}{seconds:9.2f}{seconds / bare:9.2f}")


def _bare_queries() -> None:
    """The crawl's own queries by psycopg alone, every row fetched."""
    import psycopg

    from ingest.live_catalogs import SYSTEMS

    system = SYSTEMS["postgres"]
    with psycopg.connect(f"{SERVER}/{NAME}") as connection:
        for sql in (system.tables, system.columns, system.scans):
            connection.execute(sql).fetchall()


def _seconds(work: Callable[[], object], runs: int) -> float:
    """The median of some runs."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
