"""`manage.py crawl SOURCE`: tables, views, columns, sizes and scans as the source's live database has them."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.addresses import ConnectionProblem
from catalog.models import Source
from ingest.crawl import Crawled, scope_of
from ingest.jobs import perform
from ingest.locks import AlreadyRunning
from ingest.management.commands.ingest_repo import ACTOR, GATE_SAID_NO, READ_WITH_ERRORS, WRONG_USE, jobs_of
from ingest.models import IngestRun
from ingest.progress import shown_progress
from ingest.runs import Cancelled


class Command(BaseCommand):
    help = (
        "Read a source's live database, through the connection that it names, into tables, columns, views with their "
        "lineage, sizes and row counts. Ends with 0 when all was read, 3 when errors are recorded, 1 when so many "
        "tables are no longer seen that nothing was retired, 2 when the database cannot be read, and on wrong use."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", metavar="SOURCE", help="slug of the source")
        parser.add_argument("--jobs", type=int, default=None, help="worker processes (one for each core); 0 uses none")
        parser.add_argument("--allow-retire", action="store_true", help="retire what is gone, however much it is")
        parser.add_argument("--json", action="store_true", help="print one object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        source = Source.objects.filter(slug=options["source"]).first()
        if source is None:
            slugs = ", ".join(Source.objects.order_by("slug").values_list("slug", flat=True)[:20])
            raise CommandError(f"No source has the slug {options['source']}. There are: {slugs}.", returncode=WRONG_USE)
        told = {"source": source.slug, "jobs": jobs_of(options), "allow_retire": options["allow_retire"]}
        run = IngestRun(kind="crawl", scope=scope_of(source), actor_name=ACTOR, options=told)
        try:
            with shown_progress(quiet=options["json"]) as progress:
                crawled = perform(run, progress)
        except (AlreadyRunning, Cancelled, ConnectionProblem) as error:
            raise CommandError(str(error), returncode=WRONG_USE) from error
        self._tell(crawled, as_json=options["json"])
        if crawled.held_back:
            sys.exit(GATE_SAID_NO)
        if crawled.has_errors:
            sys.exit(READ_WITH_ERRORS)

    def _tell(self, crawled: Crawled, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(crawled.to_dict(), ensure_ascii=False))
            return
        self.stdout.write(in_words(crawled))
        if crawled.held_back:
            self.stderr.write(
                f"{crawled.held_back} tables that were known are no longer seen. Nothing was retired: perhaps the user "
                "lost rights, or the address leads elsewhere. If the tables are meant to be gone, run again with "
                "--allow-retire."
            )


def in_words(crawled: Crawled) -> str:
    """What a crawl found, as a person reads it."""
    lines = [
        f"{crawled.tables:,} tables, {crawled.views:,} of them views, {crawled.columns:,} columns in "
        f"{crawled.seconds:.1f} s",
        f"{crawled.counted:,} with their rows, {crawled.sized:,} with their size; "
        f"{crawled.schema_changes:,} changes of columns; {crawled.reads:,} tables scanned since the last crawl",
    ]
    lines += [f"  {count:>6,}  {code}" for code, count in sorted(crawled.problems.items())]
    if crawled.confirmed_reviews:
        lines.append(f"{crawled.confirmed_reviews:,} deletion reviews are confirmed: their tables are gone")
    return "\n".join(lines)
