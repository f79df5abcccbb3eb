"""`manage.py ingest_dbt TARGET_DIR`: pipelines, tables, owners, lineage and runs out of a dbt project's artifacts."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest.dbt.json_files import BadArtifact
from ingest.dbt.services import Ingested, scope_of
from ingest.jobs import perform
from ingest.locks import AlreadyRunning
from ingest.management.commands.ingest_repo import (
    ACTOR,
    GATE_SAID_NO,
    READ_WITH_ERRORS,
    WRONG_USE,
    in_words,
    jobs_of,
)
from ingest.models import IngestRun
from ingest.progress import shown_progress
from ingest.runs import Cancelled


class Command(BaseCommand):
    help = (
        "Read a dbt project out of its target folder: manifest.json, and catalog.json and run_results.json where they "
        "lie beside it. Ends with 0 when all was read, 3 when errors are recorded, 1 when so many nodes are gone that "
        "nothing was retired, 2 on wrong use."
    )
    requires_system_checks: list[str] = []  # they load every page of the site, which costs a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", metavar="TARGET_DIR")
        parser.add_argument(
            "--source", help="slug of the source dbt builds in; the only one of its dialect unless given"
        )
        parser.add_argument("--run-results", metavar="FILE", help="kept from before `dbt docs generate` wrote its own")
        parser.add_argument("--jobs", type=int, default=None, help="worker processes (one for each core); 0 uses none")
        parser.add_argument("--allow-retire", action="store_true", help="retire what is gone, however much it is")
        parser.add_argument("--again", action="store_true", help="read unchanged nodes again too")
        parser.add_argument("--json", action="store_true", help="print one object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        told = {key: options[key] for key in ("source", "allow_retire", "again")} | {"jobs": jobs_of(options)}
        for key in ("target", "run_results"):
            told[key] = str(Path(options[key]).resolve()) if options[key] else ""
        try:
            run = IngestRun(kind="dbt", scope=scope_of(Path(told["target"])), actor_name=ACTOR, options=told)
            with shown_progress(quiet=options["json"]) as progress:
                ingested = perform(run, progress)
        except (BadArtifact, AlreadyRunning, Cancelled) as error:
            raise CommandError(str(error), returncode=WRONG_USE) from error
        self._tell(ingested, as_json=options["json"])
        if ingested.outcome.held_back:
            sys.exit(GATE_SAID_NO)
        if ingested.outcome.has_errors:
            sys.exit(READ_WITH_ERRORS)

    def _tell(self, ingested: Ingested, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(ingested.to_dict(), ensure_ascii=False))
            return
        outcome = ingested.outcome
        self.stdout.write(in_words(outcome.summary, "nodes"))
        self.stdout.write(f"{ingested.runs:,} runs, {ingested.test_results:,} results of tests")
        if outcome.unchanged:
            self.stdout.write("Nothing has changed since the last time.")
        if outcome.held_back:
            self.stderr.write(
                f"{outcome.held_back} nodes that were known are gone. Nothing was retired. If they are meant to be "
                "gone, run again with --allow-retire."
            )
