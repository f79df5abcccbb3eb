"""`manage.py ingest_openlineage FILE`: OpenLineage events out of a file of JSON lines."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest.jobs import perform
from ingest.management.commands.ingest_repo import ACTOR, READ_WITH_ERRORS, WRONG_USE
from ingest.models import IngestRun
from ingest.progress import shown_progress
from ingest.runs import Cancelled


class Command(BaseCommand):
    help = (
        "Read OpenLineage events, one a line, plain or gzip. Events that are known change nothing. Ends with 0 when "
        "all were read, 3 when lines were refused, 2 on wrong use."
    )
    requires_system_checks: list[str] = []  # they load every page of the site, which costs a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--json", action="store_true", help="print one object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["file"])
        told = {"files": [str(path.resolve())]}
        run = IngestRun(kind="openlineage", scope=path.name[:1000], actor_name=ACTOR, options=told)
        try:
            with shown_progress(quiet=options["json"]) as progress:
                taken = perform(run, progress)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.", returncode=WRONG_USE) from error
        except Cancelled as error:
            raise CommandError(str(error), returncode=WRONG_USE) from error
        if options["json"]:
            self.stdout.write(json.dumps(taken.to_dict(), ensure_ascii=False))
        else:
            self.stdout.write(f"{taken.events:,} events, {taken.new:,} of them new; {taken.refused:,} lines refused")
            for note in taken.notes:
                self.stderr.write(note)
        if taken.refused:
            sys.exit(READ_WITH_ERRORS)
