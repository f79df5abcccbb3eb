"""`manage.py check_change DIR --base DIR | --git REF`: what a change of a SQL repository would break downstream."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest.changes import Hit, Report, Version, compare, read_version
from ingest.company_catalog import CatalogError, with_catalog
from ingest.layout import LayoutError
from ingest.management.commands.ingest_repo import add_reading_arguments
from ingest.settings import SettingsError, prepared
from ingest.workers import cores

BREAKS, WRONG_USE, NOT_ALL_READ = 1, 2, 3
_TITLES = {"breaks": "Breaks", "affected": "Built from what breaks, or uses it", "unknown": "Cannot be told"}


class Command(BaseCommand):
    help = (
        "Compare two versions of a SQL repository: what would the newer one break downstream? Needs no database. Ends "
        "with 0 when nothing breaks, 1 when something does, 3 when something could not be read, 2 on wrong use."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR", help="the newer version")
        older = parser.add_mutually_exclusive_group(required=True)
        older.add_argument("--base", metavar="DIR", help="the older version")
        older.add_argument("--git", metavar="REF", help="the older version: a commit of the repository DIR is in")
        add_reading_arguments(parser)
        parser.add_argument(
            "--catalog",
            metavar="URL",
            help="also ask the company's catalog there, with the token in the environment variable PIPEKEEPER_TOKEN",
        )
        parser.add_argument("--format", choices=["text", "json", "markdown"], default="text")
        parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as json")

    def handle(self, *args: Any, **options: Any) -> None:
        folder, token = Path(options["folder"]), os.environ.get("PIPEKEEPER_TOKEN", "")
        if options["catalog"] and not token:
            raise CommandError("Put a token of the catalog into PIPEKEEPER_TOKEN.", returncode=WRONG_USE)
        try:
            with _older(folder, options) as base:
                older = _read(base, options)
                newer = _read(folder, options, older)
        except (SettingsError, LayoutError) as error:
            raise CommandError(str(error), returncode=WRONG_USE) from error
        report = compare(older, newer)
        if options["catalog"]:
            report = self._with_catalog(report, older, newer, options["catalog"], token)
        self.stdout.write(_FORMATS[options["format"]](report))
        if report.breaks:
            sys.exit(BREAKS)
        if report.unknown:
            sys.exit(NOT_ALL_READ)

    def _with_catalog(self, report: Report, older: Version, newer: Version, url: str, token: str) -> Report:
        """A catalog that does not answer leaves in doubt what it would have said."""
        try:
            return with_catalog(report, older, newer, url, token)
        except CatalogError as error:
            self.stderr.write(str(error))
            return replace(report, unknown=[*report.unknown, Hit(str(error), "", "", [], [])])


def _read(folder: Path, options: dict[str, Any], before: Version | None = None) -> Version:
    settings, layout = prepared(folder, options)
    jobs = options["jobs"] if options["jobs"] is not None else cores()
    return read_version(folder, layout, settings, jobs, before)


@contextmanager
def _older(folder: Path, options: dict[str, Any]) -> Iterator[Path]:
    if options["base"]:
        yield Path(options["base"])
        return
    with tempfile.TemporaryDirectory() as scratch:
        top, inside = _git(folder, "rev-parse", "--show-toplevel", "--show-prefix").decode().splitlines()
        archive = _git(Path(top), "archive", "--format=tar", f"{options['git']}:{inside}")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11 has it from 3.11.4 on
            tar.extractall(scratch)  # noqa: S202 as git packed it
        yield Path(scratch)


def _git(folder: Path, *words: str) -> bytes:
    if not folder.is_dir():
        raise SettingsError(f"{folder} is not a folder.")
    try:
        return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True).stdout
    except FileNotFoundError as error:
        raise SettingsError("git is not installed here: give the older version with --base DIR.") from error
    except subprocess.CalledProcessError as error:
        raise SettingsError(f"git has no such version of {folder}: {error.stderr.decode().strip()}") from error


def as_text(report: Report) -> str:
    """For a terminal."""
    lines = []
    for kind, title in _TITLES.items():
        hits = getattr(report, kind)
        if hits:
            lines += [f"{title}:", *(f"  {_sentence(hit)}" for hit in hits)]
    return "\n".join(lines or ["Nothing breaks."])


def as_markdown(report: Report) -> str:
    """For a comment on a pull request."""
    if not (report.breaks or report.affected or report.unknown):
        return "**Pipekeeper**: nothing downstream breaks."
    lines = [f"**Pipekeeper**: {len(report.breaks)} downstream break{'' if len(report.breaks) == 1 else 's'}"]
    for kind, title in _TITLES.items():
        hits = getattr(report, kind)
        if hits:
            lines += ["", f"### {title}", "", "| change | pipeline | owners |", "|---|---|---|"]
            lines += map(_row, hits)
    return "\n".join(lines)


def as_json(report: Report) -> str:
    """For programs."""
    return json.dumps(report.to_dict(), ensure_ascii=False, indent=1)


_FORMATS = {"text": as_text, "json": as_json, "markdown": as_markdown}


def _sentence(hit: Hit) -> str:
    if not hit.pipeline:
        return f"{hit.node}: {hit.change}" if hit.node else hit.change
    owners = f" ({', '.join(hit.owners)})" if hit.owners else " (nobody owns it)"
    return f"{hit.pipeline}{owners}: {hit.change}"


def _row(hit: Hit) -> str:
    cells = (hit.change, hit.pipeline or hit.node, ", ".join(hit.owners))
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") or "nobody"
