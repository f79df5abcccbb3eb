"""`manage.py load_demo`: a shop's warehouse to look around in. Builds its DuckDB file, ingests its repository, and adds
what a running warehouse would tell: columns with types, row counts, runs, and its query log, from which the verdicts on
unread tables follow. Doing it twice changes nothing."""

from __future__ import annotations

import datetime as dt
import json
import sys
from argparse import ArgumentParser
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from catalog.facts import ColumnFact
from catalog.ingested import store_columns
from catalog.models import Pipeline, Run, Source, Table
from demo import build
from demo.queries import run_queries
from ingest.layout import read_layout
from ingest.locks import AlreadyRunning
from ingest.management.commands.ingest_repo import in_words
from ingest.progress import shown_progress
from ingest.services import Outcome, Progress, ingest_repo
from ingest.settings import read_settings
from ingest.workers import cores

SCOPE = "demo shop"


class Command(BaseCommand):
    help = "Load the demo: build the shop's DuckDB file under var/, ingest its repository, add row counts and runs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rebuild", action="store_true", help="build the DuckDB file again, up to today")

    def handle(self, *args: Any, **options: Any) -> None:
        file = settings.VAR_DIR / "demo" / "warehouse.duckdb"
        with shown_progress() as progress:
            if options["rebuild"] or not file.exists() or not _runs_file(file).exists():
                _build(file, progress)
            try:
                outcome = _ingest(progress)
            except AlreadyRunning as error:
                raise CommandError(str(error)) from error
        with transaction.atomic():
            tables = store_warehouse(file)
            runs = store_runs(_runs_file(file))
        self.stdout.write(in_words(outcome.summary))
        self.stdout.write(f"{tables} tables with their row counts from {file.name}, {runs:,} runs")
        self.stdout.write("The demo's people ask their questions; who reads what follows from the query log …")
        log = ["--format", "generic", "--source", "warehouse"]
        call_command("ingest_queries", str(_query_log(file)), *log, stdout=self.stdout)
        call_command("flag_unused", stdout=self.stdout)
        call_command("score", stdout=self.stdout)


def _ingest(progress: Progress) -> Outcome:
    return ingest_repo(
        folder=build.REPO,
        layout=read_layout("plain"),
        settings=read_settings(build.REPO),
        scope=SCOPE,
        jobs=cores(),
        progress=progress,
    )


def _runs_file(file: Path) -> Path:
    return file.with_suffix(".runs.jsonl")


def _query_log(file: Path) -> Path:
    """The log of the demo's queries, which are really run on the file the first time."""
    log = file.with_suffix(".queries.jsonl")
    if not log.exists():
        run_queries(file, log)
    return log


def _build(file: Path, progress: Progress) -> None:
    """The DuckDB file and its record of runs; the runs come last, so that a build cut short is done again."""
    for derived in (_runs_file(file), file.with_suffix(".queries.jsonl")):
        derived.unlink(missing_ok=True)
    print("Building the demo warehouse: a few weeks of nightly runs on DuckDB, under a minute.", file=sys.stderr)
    nights = len(build.Story(dt.date.today()).days)
    done = iter(range(1, nights + 1))
    step = "Playing nights"
    built = build.build(
        file, lambda line: progress(step, next(done, nights), nights) if line.startswith("night") else None
    )
    build.write_runs(built.runs, _runs_file(file))


def store_warehouse(file: Path) -> int:
    """Columns, types and row counts as the DuckDB file has them; how many tables it holds."""
    source = Source.objects.get(slug="warehouse")
    tables = {table.name: table for table in Table.objects.filter(source=source)}
    with duckdb.connect(str(file), read_only=True) as connection:
        columns = _columns_in(connection)
        known = {name: tables[name] for name in columns if name in tables}
        for name, table in known.items():
            if "row_count" not in table.stated_fields:
                path = ".".join(f'"{part}"' for part in name.split("."))
                table.row_count = (connection.execute(f"SELECT count(*) FROM {path}").fetchone() or (None,))[0]  # noqa: S608
    Table.objects.bulk_update(known.values(), ["row_count"])
    store_columns({table.pk: columns[name] for name, table in known.items()})
    return len(known)


def _columns_in(connection: duckdb.DuckDBPyConnection) -> dict[str, list[ColumnFact]]:
    rows = connection.execute(
        "SELECT table_catalog || '.' || table_schema || '.' || table_name, column_name, data_type "
        "FROM information_schema.columns ORDER BY 1, ordinal_position"
    )
    columns: dict[str, list[ColumnFact]] = defaultdict(list)
    for table, name, type_ in rows.fetchall():
        columns[table].append(ColumnFact(name.lower(), type_))
    return columns


def store_runs(file: Path) -> int:
    """The runs in a file of JSON lines, each once however often it is read; how many there are."""
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
    pipelines = Pipeline.objects.in_bulk({record["pipeline"] for record in records}, field_name="name")
    runs = [_run(record, pipelines[record["pipeline"]]) for record in records if record["pipeline"] in pipelines]
    Run.objects.bulk_create(
        runs,
        update_conflicts=True,
        unique_fields=["pipeline", "external_id"],
        update_fields=["state", "nominal_at", "started_at", "ended_at", "rows_out", "error"],
        batch_size=500,
    )
    return len(runs)


def _run(record: dict[str, Any], pipeline: Pipeline) -> Run:
    return Run(
        pipeline=pipeline,
        external_id=f"{record['logical_date']}, attempt {record['attempt']}",
        state=record["state"],
        nominal_at=_moment(record["logical_date"]),
        started_at=_moment(record["started_at"]),
        ended_at=_moment(record["ended_at"]),
        rows_out=record["rows_out"],
        error=record["error"],
    )


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
