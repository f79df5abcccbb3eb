"""`prune_events`: drop lineage events, as they came, that are old; run it nightly."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ingest.openlineage.prune import prune_events


class Command(BaseCommand):
    """Drop old events. Exits with 0, or with 2 on wrong use."""

    help = "Drop OpenLineage events that came in long ago; what was derived from them stays. Run it nightly."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=float, default=settings.LINEAGE_EVENTS_DAYS, help="keep those of so many days"
        )
        parser.add_argument("--json", action="store_true", help="print one object: events")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["days"]
        if not 0 <= days <= 36_500:
            raise CommandError(f"--days {days:g} should lie between 0, which keeps all, and 36500.", returncode=2)
        dropped = prune_events(days) if days else 0
        if options["json"]:
            self.stdout.write(json.dumps({"events": dropped}))
            return
        told = f"{dropped:,} events dropped that came more than {days:g} days ago."
        self.stdout.write(told if days else "All are kept.")
