"""`manage.py load_demo`: a shop's warehouse to look around in. Builds its DuckDB file, ingests its repository, and adds
what a running warehouse would tell: columns with types, row counts and sizes, runs, and its query log, from which the
verdicts on unread tables follow. Doing it twice changes nothing."""

from __future__ import annotations

import datetime as dt
import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from audits.checks.models import Check, CheckResult, State
from audits.checks.queries import counts_by_state, runnable
from audits.checks.run import run as run_checks
from audits.checks.services import record_measured
from catalog import search_index
from catalog.models import Pipeline, Run, Source
from catalog.services import change_source
from demo import build
from demo.queries import run_queries
from ingest.crawl import Crawled, scope_of
from ingest.demo_incidents import store_incidents
from ingest.jobs import perform
from ingest.layout import read_layout
from ingest.locks import AlreadyRunning
from ingest.management.commands.ingest_repo import in_words
from ingest.models import IngestRun
from ingest.progress import shown_progress
from ingest.services import Outcome, Progress, ingest_repo
from ingest.settings import read_settings
from ingest.workers import cores

SCOPE = "demo shop"


class Command(BaseCommand):
    help = "Load the demo: build the shop's DuckDB file under var/, ingest its repository, crawl it, add runs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rebuild", action="store_true", help="build the DuckDB file again, up to today")

    def handle(self, *args: Any, **options: Any) -> None:
        file = settings.VAR_DIR / "demo" / "warehouse.duckdb"
        with shown_progress() as progress:
            try:
                outcome = _ingest(progress)
            except AlreadyRunning as error:
                raise CommandError(str(error)) from error
        call_command("ingest_checks", str(build.REPO), "--scope", SCOPE, stdout=self.stdout)
        is_built = file.exists() and _runs_file(file).exists() and CheckResult.objects.exists()
        if options["rebuild"] or not is_built:
            with shown_progress() as progress:
                _build(file, progress)
        crawled = _crawl(file)
        runs = store_runs(_runs_file(file))
        self.stdout.write(in_words(outcome.summary))
        self.stdout.write(f"{crawled.counted} tables with rows and sizes from {file.name}, {runs:,} runs")
        self.stdout.write("The demo's people ask their questions; who reads what follows from the query log …")
        log = ["--format", "generic", "--source", "warehouse"]
        call_command("ingest_queries", str(_query_log(file)), *log, stdout=self.stdout)
        call_command("flag_unused", stdout=self.stdout)
        self.stdout.write(run_new_checks())
        self.stdout.write(f"{store_incidents()} incidents with their post-mortems")
        call_command("score", stdout=self.stdout)
        search_index.rebuild()


def run_new_checks() -> str:
    """Run the checks that have not run yet, on the file itself; how they all stand, in words."""
    _measure([check for check in runnable() if check.checked_at is None])
    counts = counts_by_state()
    return "Checks: " + ", ".join(f"{counts[state]} {state.label.lower()}" for state in State if state in counts)


@transaction.atomic  # one write to the disk, and not one for each result
def _measure(checks: list[Check], at: dt.datetime | None = None) -> None:
    for measured in run_checks(checks, at=at):
        record_measured(measured)


def _check_morning(file: Path, at: dt.datetime) -> None:
    """Run all checks on the warehouse as a night left it."""
    _connect(file)
    _measure(runnable(), at)


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
    """The DuckDB file, checked each morning. The record of runs comes last, so that a build cut short is done again."""
    for derived in (_runs_file(file), file.with_suffix(".queries.jsonl")):
        derived.unlink(missing_ok=True)
    print(
        "Building the demo warehouse: fifteen nights on DuckDB with their checks, about half a minute.", file=sys.stderr
    )
    nights = len(build.Story(dt.date.today()).days)
    done = iter(range(1, nights + 1))
    step = "Playing nights"
    built = build.build(
        file,
        lambda line: progress(step, next(done, nights), nights) if line.startswith("night") else None,
        each_morning=_check_morning,
    )
    build.write_runs(built.runs, _runs_file(file))


def _crawl(file: Path) -> Crawled:
    """Columns, types, sizes and row counts as the DuckDB file has them, through a connection as any source has it."""
    source = _connect(file)
    told = {"source": source.slug, "jobs": 0, "allow_retire": False}
    return perform(IngestRun(kind="crawl", scope=scope_of(source), actor_name="demo", options=told))


def _connect(file: Path) -> Source:
    """The warehouse, reached at this file from now on."""
    secret = settings.VAR_DIR / "demo" / "warehouse.address"
    secret.parent.mkdir(exist_ok=True)
    secret.write_text(f"duckdb:///{file}")
    source = Source.objects.get(slug="warehouse")
    if source.connection != str(secret):
        change_source(actor=None, source=source, connection=str(secret))
    return source


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
