"""`manage.py ingest_repo DIR`: pipelines, tables, owners and lineage from a folder of SQL and metadata files."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest.jobs import perform
from ingest.layout import LayoutError, known_layouts
from ingest.locks import AlreadyRunning
from ingest.models import IngestRun
from ingest.progress import shown_progress
from ingest.runs import Cancelled
from ingest.services import Outcome, Summary
from ingest.settings import SettingsError, prepared
from ingest.workers import cores

GATE_SAID_NO, WRONG_USE, READ_WITH_ERRORS = 1, 2, 3
ACTOR = "command line"
_TOLD = ("layout", "dialect", "source", "default_database", "default_schema", "name", "allow_retire", "again")


class Command(BaseCommand):
    help = (
        "Read a folder of SQL and metadata files into pipelines, tables, columns, owners and lineage. Ends with 0 when "
        "all was read, 3 when errors are recorded, 1 when so many files are gone that nothing was retired, 2 on wrong "
        "use."
    )
    requires_system_checks: list[str] = []  # they load every page of the site, which costs a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR")
        add_reading_arguments(parser)
        parser.add_argument("--name", help="of the repository; the folder's name unless given")
        parser.add_argument("--allow-retire", action="store_true", help="retire what is gone, however much it is")
        parser.add_argument("--again", action="store_true", help="read unchanged files again too")
        parser.add_argument("--json", action="store_true", help="print one object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(options["folder"])
        try:
            settings, _ = prepared(folder, options)
        except (SettingsError, LayoutError) as error:
            raise CommandError(str(error), returncode=WRONG_USE) from error
        told = {key: options[key] for key in _TOLD} | {"folder": str(folder.resolve()), "jobs": jobs_of(options)}
        run = IngestRun(kind="repo", scope=settings.name or folder.resolve().name, actor_name=ACTOR, options=told)
        try:
            with shown_progress(quiet=options["json"]) as progress:
                outcome = perform(run, progress)
        except (AlreadyRunning, Cancelled) as error:
            raise CommandError(str(error), returncode=WRONG_USE) from error
        self._tell(outcome, as_json=options["json"])
        if outcome.held_back:
            sys.exit(GATE_SAID_NO)
        if outcome.has_errors:
            sys.exit(READ_WITH_ERRORS)

    def _tell(self, outcome: Outcome, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(outcome.summary.to_dict(), ensure_ascii=False))
            return
        self.stdout.write(in_words(outcome.summary))
        if outcome.unchanged:
            self.stdout.write("No file has changed since the last time.")
        if outcome.held_back:
            self.stderr.write(
                f"{outcome.held_back} files that were known are gone. Nothing was retired. If they are meant to be "
                "gone, run again with --allow-retire; if this is another repository, give it a --name."
            )


def add_reading_arguments(parser: ArgumentParser) -> None:
    """The options that say how a folder is to be read."""
    parser.add_argument("--layout", help=f"{', '.join(known_layouts())}, or the path of a layout file (plain)")
    parser.add_argument("--dialect", help="of the SQL: bigquery, snowflake, redshift, postgres, spark, …")
    parser.add_argument("--source", help="the source whose tables the SQL builds")
    parser.add_argument("--default-database", help="goes before names in SQL that have none")
    parser.add_argument("--default-schema", help="goes before names in SQL that have none")
    parser.add_argument("--jobs", type=int, default=None, help="worker processes (one for each core); 0 uses none")


def jobs_of(options: dict[str, Any]) -> int:
    """How many worker processes are asked for; one for each core unless told."""
    jobs = options["jobs"] if options["jobs"] is not None else cores()
    if not 0 <= jobs <= 256:
        raise CommandError("--jobs must be from 0 to 256.", returncode=WRONG_USE)
    return jobs


def in_words(summary: Summary, noun: str = "files") -> str:
    """A summary as a person reads it."""
    lines = [
        f"{summary.files:,} {noun} in {summary.seconds:.1f} s",
        f"{summary.pipelines:,} pipelines, {summary.unowned:,} of them without an owner; {summary.owners:,} owners",
        f"{summary.tables:,} tables, {summary.columns:,} columns, {summary.edges:,} table edges",
        f"{summary.parse_coverage:.2%} of statements read without an error",
    ]
    worst = sorted(summary.problems.items(), key=lambda item: (-item[1], item[0]))
    lines += [f"  {count:>6,}  {code}" for code, count in worst]
    return "\n".join(lines)
