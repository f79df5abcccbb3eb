"""`watch_deletions`: look after open deletion reviews; run it after each ingest of query logs, once a day at least."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audits.deletion.watch import look_after_reviews


class Command(BaseCommand):
    """Stop reviews whose tables somebody needs, remind owners, confirm what is gone. Exits with 0."""

    help = "Stop deletion reviews whose tables somebody needs, remind owners, and confirm what is gone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one object: stopped, reminded, confirmed")

    def handle(self, *args: Any, **options: Any) -> None:
        done = look_after_reviews()
        if options["json"]:
            stopped = [{"review": review.pk, "reason": review.stop_reason} for review in done.stopped]
            ids = {name: [review.pk for review in getattr(done, name)] for name in ("reminded", "confirmed")}
            self.stdout.write(json.dumps({"stopped": stopped, **ids}, ensure_ascii=False))
            return
        for review in done.stopped:
            self.stdout.write(f"Deletion review {review.pk} stopped: {review.stop_reason}")
        for review in done.reminded:
            self.stdout.write(f"Deletion review {review.pk}: owners reminded.")
        for review in done.confirmed:
            self.stdout.write(f"Deletion review {review.pk}: confirmed gone.")
        if not (done.stopped or done.reminded or done.confirmed):
            self.stdout.write("Nothing has changed for any deletion review.")
