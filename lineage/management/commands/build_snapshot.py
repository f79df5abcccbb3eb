"""`manage.py build_snapshot`: write the files that answer whole-graph questions on a large graph."""

from __future__ import annotations

import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from lineage import snapshot


class Command(BaseCommand):
    help = "Build the snapshot of a large lineage graph's current version. Ingests do it themselves."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object: version (null: none needed), seconds")

    def handle(self, *_: Any, **options: Any) -> None:
        started = time.monotonic()
        built = snapshot.build_snapshot()
        seconds = round(time.monotonic() - started, 1)
        if options["json"]:
            self.stdout.write(json.dumps({"version": built and int(built.name), "seconds": seconds}))
        elif built is None:
            self.stdout.write(
                f"Nothing to build: the graph has fewer than {snapshot.SMALL:,} edges and is read from its rows."
            )
        else:
            self.stdout.write(f"Version {built.name} of the graph is in {built} ({seconds} s).")
