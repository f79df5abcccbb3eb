"""`manage.py ingest_queries FILE… --format FORMAT`: who reads which table, out of a warehouse's query history."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest.jobs import perform
from ingest.log_files import BadLog
from ingest.log_formats import FORMATS
from ingest.log_options import asked_for
from ingest.management.commands.ingest_repo import ACTOR, READ_WITH_ERRORS, WRONG_USE, jobs_of
from ingest.models import IngestRun
from ingest.query_logs import Imported
from ingest.runs import Cancelled
from ingest.settings import SettingsError

_TOLD = ("format", "source", "dialect", "covers_from", "covers_to", "channel")


class Command(BaseCommand):
    help = (
        "Read query logs (CSV, JSON lines or Parquet, plain or gzip) into reads per table, day and reader. Files may "
        "overlap: nothing counts twice. Ends with 0 when all was read, 3 when rows were left out, 2 on wrong use."
    )
    requires_system_checks: list[str] = []  # they load every page of the site, which costs a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--format", required=True, choices=sorted(FORMATS), help="whose query history it is")
        parser.add_argument(
            "--source", help="the source that was asked; may be left out where there is one of the kind"
        )
        parser.add_argument("--dialect", help="of the SQL, for --format generic; the source's unless given")
        parser.add_argument(
            "--covers-from", metavar="TIME", help="begin of the period the files cover (ISO 8601, with zone)"
        )
        parser.add_argument("--covers-to", metavar="TIME", help="its end; of a snapshot, when it was taken")
        parser.add_argument(
            "--channel",
            action="append",
            default=[],
            help="project, region, workspace or share the files cover; repeatable",
        )
        parser.add_argument("--jobs", type=int, default=None, help="worker processes (one for each core); 0 uses none")
        parser.add_argument("--json", action="store_true", help="print one object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        told = {key: options[key] for key in _TOLD} | {"jobs": jobs_of(options)}
        told["files"] = [str(Path(name).resolve()) for name in options["files"]]
        try:
            source = asked_for(told).source
            run = IngestRun(kind="query_log", scope=source.slug, actor_name=ACTOR, options=told)
            imported = perform(run)
        except (BadLog, SettingsError, Cancelled) as error:
            raise CommandError(str(error), returncode=WRONG_USE) from error
        for note in imported.notes:
            self.stderr.write(note)
        self.stdout.write(json.dumps(imported.to_json()) if options["json"] else in_words(imported))
        if imported.left_out:
            sys.exit(READ_WITH_ERRORS)


def in_words(imported: Imported) -> str:
    """An import as a person reads it."""
    known = imported.entries - imported.new_entries
    return "\n".join(
        [
            f"{imported.entries:,} entries in {imported.seconds:.1f} s"
            + (f", {known:,} counted before" if known else ""),
            f"{imported.fingerprints:,} different queries; {imported.unparsed:,} entries could not be read",
            f"{imported.reads:,} reads of tables; {imported.unmatched_names:,} names match no table here",
        ]
    )
