"""`send_notices`: send the mails and webhook posts that are due; run it every minute."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from catalog.outbox import send_due


class Command(BaseCommand):
    """Send what is due. Exits with 0 also where some could not be sent: they are tried again later."""

    help = "Send the mails and webhook posts that are due; what fails is tried again, later each time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one object: sent, failed, given_up")

    def handle(self, *args: Any, **options: Any) -> None:
        done = send_due()
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
            return
        self.stdout.write(f"{done.sent} sent, {done.failed} to be tried again, {done.given_up} given up.")
