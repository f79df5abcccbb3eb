"""A crawl of 5,000 PostgreSQL tables beside the bare queries over its catalog; both in one run."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

TABLES, COLUMNS, VIEWS = 5_000, 10, 250
SERVER = os.environ.get("BENCH_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432")
NAME = "pipekeeper_bench_crawl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=TABLES)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--catalog", choices=("sqlite", "postgresql"), default="sqlite", help="where it is stored")
    options = parser.parse_args()
    is_sqlite = options.catalog == "sqlite"
    os.environ["DATABASE_URL"] = "sqlite://:memory:" if is_sqlite else f"{SERVER}/{NAME}_catalog"
    os.environ["BENCH_CRAWL_URL"] = f"{SERVER}/{NAME}"
    with _database(NAME), nullcontext() if is_sqlite else _database(f"{NAME}_catalog"):
        _fill(options.tables)
        _measure(options.runs)


@contextmanager
def _database(name: str) -> Iterator[None]:
    import psycopg

    with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield
    finally:
        with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _fill(tables: int) -> None:
    """That many tables, and a view for each twentieth."""
    import psycopg

    with psycopg.connect(f"{SERVER}/{NAME}") as connection:
        columns = ", ".join(f"c{n} numeric(12, 2)" for n in range(COLUMNS - 2))
        for number in range(tables):
            connection.execute(f"CREATE TABLE t_{number} (id integer PRIMARY KEY, day date, {columns})")
            if number % 50 == 49:
                connection.commit()
        for number in range(0, tables, tables // VIEWS or 1):
            query = f"SELECT day, sum(c0) AS total, max(c1) AS most FROM t_{number} GROUP BY day"
            connection.execute(f"CREATE VIEW v_{number} AS {query}")


def _measure(runs: int) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from catalog.models import Source
    from ingest.jobs import perform
    from ingest.models import IngestRun

    def crawl() -> None:
        told = {"source": "bench", "jobs": 0, "allow_retire": False}
        perform(IngestRun(kind="crawl", scope="crawl:bench", actor_name="bench", options=told))

    took: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(runs):  # the bare queries beside every crawl: others may use the machine
        call_command("flush", interactive=False, verbosity=0)
        Source.objects.create(slug="bench", name="Bench", platform="postgres", connection="BENCH_CRAWL_URL")
        for name in ("first crawl", "crawl, nothing new"):
            took["bare catalog queries"].append(_seconds(_bare_queries))
            took[name].append(_seconds(crawl))
        rows = _stored()
        call_command("flush", interactive=False, verbosity=0)
        took["inserting its rows, no more"].append(_seconds(lambda rows=rows: _insert(rows)))
    bare = statistics.median(seconds for seconds, _ in took["bare catalog queries"])
    print(f"{'':28}{'seconds':>9}{'of bare':>9}{'CPU s here':>12}")
    for name, all_of_it in took.items():
        seconds, cpu = (statistics.median(each) for each in zip(*all_of_it, strict=True))
        print(f"{name:28}{seconds:9.2f}{seconds / bare:9.2f}{cpu:12.2f}")


def _stored() -> dict[str, tuple[list[str], list[tuple[object, ...]]]]:
    """{table: (columns, rows)} of everything that a crawl stored, values as the database gives them as text."""
    from django.db import connection

    from catalog import models as catalog
    from ingest.models import IngestedFile
    from lineage.models import ColumnEdge, SqlVersion, TableEdge

    found = {}
    with connection.cursor() as cursor:
        for model in (
            *(catalog.Source, catalog.Table, catalog.Column, catalog.Pipeline, SqlVersion, TableEdge, ColumnEdge),
            *(catalog.SearchDocument, catalog.SearchVariant, IngestedFile),
        ):
            columns = [field.column for field in model._meta.concrete_fields]
            cast = "" if connection.vendor == "sqlite" else "::text"
            wanted = ", ".join(f'"{column}"{cast}' for column in columns)
            cursor.execute(f"SELECT {wanted} FROM {model._meta.db_table}")  # noqa: S608
            found[model._meta.label] = columns, cursor.fetchall()
    return found


def _insert(found: dict[str, tuple[list[str], list[tuple[object, ...]]]]) -> None:
    """The floor: the same rows, ready made, in one transaction."""
    from django.apps import apps
    from django.db import transaction

    from catalog.bulk import insert_rows

    with transaction.atomic():
        for label, (columns, rows) in found.items():
            model = apps.get_model(label)
            names = {field.column: field.name for field in model._meta.concrete_fields}
            insert_rows(model, [names[column] for column in columns], rows)


def _bare_queries() -> None:
    """The crawl's own queries by psycopg alone, every row fetched."""
    import psycopg

    from ingest.live_catalogs import SYSTEMS

    system = SYSTEMS["postgres"]
    with psycopg.connect(f"{SERVER}/{NAME}") as connection:
        for sql in (system.tables, system.columns, system.scans):
            connection.execute(sql).fetchall()


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """On the clock, and of this process's CPU."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu


if __name__ == "__main__":
    main()
