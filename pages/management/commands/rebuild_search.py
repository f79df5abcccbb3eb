"""`manage.py rebuild_search`: bring the search index up to date with everything that it is made from."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from catalog import search_index
from catalog.models import SearchDocument
from ingest.progress import shown_progress


class Command(BaseCommand):
    help = (
        "Bring the search index up to date: services keep it so, but use and freshness change by themselves, "
        "and rows written past the services are not seen. Run it nightly."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--afresh", action="store_true", help="write every document anew, the most used first")
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        with shown_progress(quiet=options["json"]) as progress:
            changed = search_index.rebuild(
                afresh=options["afresh"], progress=lambda kind, done, of: progress(f"Indexing {kind}s", done, of)
            )
        documents, seconds = SearchDocument.objects.count(), round(time.monotonic() - started, 3)
        if options["json"]:
            self.stdout.write(json.dumps({"documents": documents, "changed": changed, "seconds": seconds}))
        else:
            self.stdout.write(f"{documents:,} documents, {changed:,} of them changed, in {seconds:.1f} s")
