"""`manage.py ingest_run ID`: do the work of an ingest run that waits; the web site starts it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest.jobs import perform
from ingest.models import IngestRun
from ingest.progress import shown_progress
from ingest.runs import NotWaiting


class Command(BaseCommand):
    help = "Do the work of an ingest run that waits; how it ends is in its row, and on its page. Ends with 2 otherwise."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:
        run = IngestRun.objects.filter(pk=options["run"], state=IngestRun.State.WAITING).first()
        if run is None:
            raise CommandError(f"No ingest run {options['run']} waits to be done.", returncode=2)
        try:
            with shown_progress() as progress:
                perform(run, progress)
        except NotWaiting as error:
            raise CommandError(str(error), returncode=2) from error
