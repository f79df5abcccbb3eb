"""What to import and whose it is, out of options as a command line or an ingest run gives them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalog.models import Source
from ingest.log_files import BadLog
from ingest.log_formats import FORMATS
from ingest.query_logs import LogImport
from ingest.settings import check_dialect


def asked_for(options: Mapping[str, Any]) -> LogImport:
    """The import that `ingest_queries`' options, or those of a run, ask for. Raises BadLog, SettingsError."""
    form = FORMATS[options["format"]]
    source = _source(options.get("source"), form.dialect)
    dialect = form.dialect or options.get("dialect") or source.dialect
    check_dialect(dialect)
    if not dialect:
        raise BadLog(f"Say which SQL it is with --dialect: neither the format nor the source {source.slug} does.")
    covers_from, covers_to = (_moment(options.get(key), key) for key in ("covers_from", "covers_to"))
    if covers_from and covers_to and covers_from > covers_to:
        raise BadLog("--covers-from is later than --covers-to.")
    paths = [Path(name) for name in options["files"]]
    return LogImport(
        paths, form, source, dialect, covers_from, covers_to, tuple(options.get("channel") or ()), options["jobs"]
    )


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
