"""`watch_incidents`: note on the timelines of open incidents what happened by itself; run it every few minutes."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audits.postmortems.models import Incident
from audits.postmortems.services import look_for_events


class Command(BaseCommand):
    """Look for failed runs, checks that turned, and changed SQL. Exits with 0."""

    help = "Note failed runs, checks that failed or passed again, and changed SQL on the timelines of open incidents."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one object: incidents, entries")

    def handle(self, *args: Any, **options: Any) -> None:
        incidents = list(Incident.objects.exclude(status=Incident.Status.RESOLVED))
        entries = sum(look_for_events(actor=None, incident=incident) for incident in incidents)
        if options["json"]:
            self.stdout.write(json.dumps({"incidents": len(incidents), "entries": entries}))
            return
        self.stdout.write(f"{len(incidents)} open, {entries} new on their timelines.")
