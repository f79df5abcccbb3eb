"""`watch_action_items`: close action items that are proven done, and remind of those that are due; run it nightly."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audits.postmortems.actions import close_what_is_proven, remind


class Command(BaseCommand):
    """Close what is proven, remind of what is due. Exits with 0; `send_notices` sends the reminders."""

    help = "Close action items whose proof shows green, and remind of those that are due or overdue."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one object: closed, reminded (ids)")

    def handle(self, *args: Any, **options: Any) -> None:
        closed, reminded = close_what_is_proven(), remind()
        if options["json"]:
            ids = {"closed": [item.pk for item in closed], "reminded": [item.pk for item in reminded]}
            self.stdout.write(json.dumps(ids))
            return
        for item in closed:
            self.stdout.write(f"Done: {item.title}. {item.proof_words}")
        for item in reminded:
            self.stdout.write(f"Reminded {item.owner_name}: {item.title}, due {item.due}.")
        if not (closed or reminded):
            self.stdout.write("Nothing is proven done, and nothing is due.")
