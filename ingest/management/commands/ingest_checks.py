"""`ingest_checks FILE|DIR…`: checks that YAML files state, and results that Soda and Great Expectations wrote."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest.checks.services import Summary, files_in, ingest_file
from ingest.management.commands.ingest_repo import GATE_SAID_NO, READ_WITH_ERRORS, WRONG_USE


class Command(BaseCommand):
    help = (
        "Read checks out of YAML files (of a folder: every checks.yaml and *.checks.yaml), and results out of JSON "
        "files of Soda and Great Expectations. Ends with 0 when all was read, 3 when something could not be, 1 when so "
        "many checks are gone that none was switched off, 2 on wrong use."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="FILE|DIR")
        parser.add_argument("--source", default="", metavar="SLUG", help="of tables, where a file names none")
        parser.add_argument("--scope", default="", help="what states the checks; the file's path unless given")
        parser.add_argument("--allow-retire", action="store_true", help="switch off what is gone, however much it is")
        parser.add_argument("--json", action="store_true", help="print one object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        summary = Summary()
        for given in options["paths"]:
            files = list(files_in(given)) if given.exists() else []
            if not files:
                raise CommandError(f"{given} is no file, and no folder with a checks.yaml.", returncode=WRONG_USE)
            for file in files:
                name = str(file.relative_to(given)) if given.is_dir() else file.name
                scope = f"{options['scope']}/{name}" if options["scope"] else str(file.resolve())
                allow_retire = options["allow_retire"]
                ingest_file(file, source=options["source"], scope=scope, allow_retire=allow_retire, into=summary)
        self._tell(summary, options["json"])
        if summary.held_back:
            sys.exit(GATE_SAID_NO)
        if summary.faults:
            sys.exit(READ_WITH_ERRORS)

    def _tell(self, summary: Summary, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(summary.to_dict(), ensure_ascii=False))
            return
        words = {
            "made": "new checks",
            "changed": "changed",
            "unchanged": "unchanged",
            "switched_off": "switched off",
            "results": "results",
            "known_results": "results known before",
        }
        counts = [f"{number:,} {said}" for name, said in words.items() if (number := getattr(summary, name))]
        self.stdout.write(", ".join(counts) or "Nothing new.")
        if summary.held_back:
            self.stderr.write(
                f"{summary.held_back} checks that were known are gone. None was switched off. If they are meant to be "
                "gone, run again with --allow-retire."
            )
        for fault in summary.faults:
            self.stderr.write(fault)
