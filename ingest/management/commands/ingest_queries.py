"""`manage.py ingest_queries FILE… --format FORMAT`: who reads which table, out of a warehouse's query history."""

from __future__ import annotations

import datetime as dt
import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from catalog.models import Source
from ingest.log_files import BadLog
from ingest.log_formats import FORMATS
from ingest.models import IngestRun
from ingest.query_logs import Imported, LogImport, import_log
from ingest.settings import SettingsError, check_dialect
from ingest.workers import cores

WRONG_USE, READ_WITH_ERRORS = 2, 3


class Command(BaseCommand):
    help = (
        "Read query logs (CSV, JSON lines or Parquet, plain or gzip) into reads per table, day and reader. Files may "
        "overlap: nothing counts twice. Ends with 0 when all was read, 3 when rows were left out, 2 on wrong use."
    )
    requires_system_checks: list[str] = []  # they load every page of the site, which costs a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--format", required=True, choices=sorted(FORMATS), help="whose query history it is")
        parser.add_argument(
            "--source", help="the source that was asked; may be left out where there is one of the kind"
        )
        parser.add_argument("--dialect", help="of the SQL, for --format generic; the source's unless given")
        parser.add_argument(
            "--covers-from", metavar="TIME", help="begin of the period the files cover (ISO 8601, with zone)"
        )
        parser.add_argument("--covers-to", metavar="TIME", help="its end; of a snapshot, when it was taken")
        parser.add_argument(
            "--channel",
            action="append",
            default=[],
            help="project, region, workspace or share the files cover; repeatable",
        )
        parser.add_argument("--jobs", type=int, default=None, help="worker processes (one for each core); 0 uses none")
        parser.add_argument("--json", action="store_true", help="print one object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asked = _asked(options)
            imported = import_with_run(asked)
        except (BadLog, SettingsError) as error:
            raise CommandError(str(error), returncode=WRONG_USE) from error
        for note in imported.notes:
            self.stderr.write(note)
        self.stdout.write(json.dumps(imported.to_json()) if options["json"] else in_words(imported))
        if imported.left_out:
            sys.exit(READ_WITH_ERRORS)


def import_with_run(asked: LogImport, actor_name: str = "command line") -> Imported:
    """Import a log, and keep a record that it was. Raises BadLog."""
    run = IngestRun.objects.create(kind="query_log", scope=asked.source.slug, actor_name=actor_name)
    try:
        imported = import_log(asked)
    except BaseException as error:
        run.state, run.error = IngestRun.State.FAILED, str(error)[:2000] or type(error).__name__
        raise
    else:
        run.state, run.summary = IngestRun.State.DONE, imported.to_json() | {"notes": imported.notes}
        return imported
    finally:
        run.ended_at = timezone.now()
        run.save()


def in_words(imported: Imported) -> str:
    """An import as a person reads it."""
    known = imported.entries - imported.new_entries
    return "\n".join(
        [
            f"{imported.entries:,} entries in {imported.seconds:.1f} s"
            + (f", {known:,} counted before" if known else ""),
            f"{imported.fingerprints:,} different queries; {imported.unparsed:,} entries could not be read",
            f"{imported.reads:,} reads of tables; {imported.unmatched_names:,} names match no table here",
        ]
    )


def _asked(options: dict[str, Any]) -> LogImport:
    form = FORMATS[options["format"]]
    source = _source(options["source"], form.dialect)
    dialect = form.dialect or options["dialect"] or source.dialect
    check_dialect(dialect)
    if not dialect:
        raise BadLog(f"Say which SQL it is with --dialect: neither the format nor the source {source.slug} does.")
    covers_from, covers_to = (_moment(options[key], key) for key in ("covers_from", "covers_to"))
    if covers_from and covers_to and covers_from > covers_to:
        raise BadLog("--covers-from is later than --covers-to.")
    jobs = options["jobs"] if options["jobs"] is not None else cores()
    paths = [Path(name) for name in options["files"]]
    return LogImport(paths, form, source, dialect, covers_from, covers_to, tuple(options["channel"]), jobs)


def _source(slug: str | None, dialect: str) -> Source:
    if slug:
        source = Source.objects.filter(slug=slug).first()
        if source is None:
            raise BadLog(
                f"There is no source {slug!r}. There are: {', '.join(_slugs()) or 'none; register one first'}."
            )
        return source
    fitting = list(Source.objects.filter(dialect=dialect)[:2] if dialect else [])
    if len(fitting) != 1:
        raise BadLog(
            f"Say whose log it is with --source. There are: {', '.join(_slugs()) or 'none; register one first'}."
        )
    return fitting[0]


def _slugs() -> list[str]:
    return list(Source.objects.order_by("slug").values_list("slug", flat=True)[:50])


def _moment(text: str | None, option: str) -> dt.datetime | None:
    if text is None:
        return None
    option = "--" + option.replace("_", "-")
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise BadLog(f"{option} {text!r} is no time. Write it as 2026-03-01T00:00:00Z or 2026-03-01.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
