"""`flag_unused`: judge every table's use from the query logs and the lineage, and keep the verdicts."""

from __future__ import annotations

import datetime as dt
import json
from argparse import ArgumentTypeError
from collections.abc import Iterator
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from audits.deletion.evidence import LOG_CODES, Around, log_doubt, words
from audits.deletion.facts import DEFAULT_WINDOW, Hole, gather
from audits.deletion.judgement import Verdict
from audits.deletion.store import store_verdicts
from audits.deletion.verdicts import WORDS, Judged, Proposals, evidence_of, judge, proposals
from audits.deletion.watch import stop_reviews_that_must
from catalog.models import Pipeline, Source, Table


class Command(BaseCommand):
    """Find the tables that nobody needs, and the pipelines that can go with them.

    Writes verdicts (nothing with --dry-run), and stops deletion reviews whose tables somebody needs after all. Drops
    nothing. Exits with 0; with 2 where an option cannot be read.
    """

    help = "Judge which tables nobody needs, and keep the verdicts with their evidence. Drops nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="print, and write nothing")
        parser.add_argument(
            "--window", type=_days, metavar="DAYS", help=f"days without a read (as stated, else {DEFAULT_WINDOW})"
        )
        parser.add_argument(
            "--as-of", type=_day, metavar="DATE", help="the last day whose reads count, YYYY-MM-DD (today)"
        )
        parser.add_argument("--json", action="store_true", help="every table with its verdict and evidence, as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        started_at = timezone.now()
        judged = judge(gather(options["as_of"] or started_at.date(), options["window"]))
        written, stopped = 0, []
        if not options["dry_run"]:
            written = store_verdicts(judged, started_at).written
            stopped = stop_reviews_that_must()
        if options["json"]:
            self._print_json(judged)
            return
        self._print(judged, written, options["dry_run"])
        for review in stopped:
            self.stdout.write(f"Deletion review {review.pk} stopped: {review.stop_reason}")

    def _print_json(self, judged: Judged) -> None:
        self.stdout.write("[", ending="")
        for number, entry in enumerate(entries(judged)):
            self.stdout.write((",\n " if number else "") + json.dumps(entry, ensure_ascii=False), ending="")
        self.stdout.write("]")

    def _print(self, judged: Judged, written: int, dry_run: bool) -> None:
        flagged = [entry for entry in entries(judged) if entry["verdict"] in ("unread", "feeds_unread")]
        for entry in flagged:
            self.stdout.write(f"{entry['source']}:{entry['table']}  {entry['verdict']}")
            for sentence in entry["evidence"]:
                self.stdout.write(f"    {sentence}")
            if entry["pipelines"]:
                self.stdout.write(f"    Goes with it: {', '.join(entry['pipelines'])}")
        for sentence in doubts_about_logs(judged):
            self.stdout.write(sentence)
        counts = ", ".join(f"{number:,} {name}" for name, number in judged.counts().items())
        self.stdout.write(f"As of {judged.facts.as_of}: {counts}.")
        self.stdout.write("Dry run: nothing written." if dry_run else f"{written:,} verdicts written.")


def doubts_about_logs(judged: Judged) -> Iterator[str]:
    """What is amiss with the logs of sources in which something is unknown, in sentences."""
    facts = judged.facts
    unknown = judged.places[judged.verdict[judged.places] == Verdict.UNKNOWN]
    for pk in np.unique(facts.sources[unknown]).tolist():
        log = facts.logs[pk]
        amiss = int(np.bitwise_or.reduce(facts.hole[unknown[facts.sources[unknown] == pk]]))
        for code in (str(hole.name).lower() for hole in Hole if amiss & hole):
            if code in LOG_CODES:
                yield log_doubt(code, Around(facts.as_of.isoformat(), log.slug, log.to_dict()))


def entries(judged: Judged) -> Iterator[dict[str, Any]]:
    """`{"table", "source", "verdict", "evidence", "pipelines"}` per table, by source and name.

    `evidence` is a list of sentences; `pipelines` names those proposed for deletion along with the table.
    """
    facts, plan = judged.facts, proposals(judged)
    tables = {table.pk: table for table in Table.objects.only("name").iterator()}
    slugs = dict(Source.objects.values_list("pk", "slug"))
    logs = {pk: log.to_dict() for pk, log in facts.logs.items()}
    pipelines = dict(Pipeline.objects.filter(pk__in=[*plan.delete, *plan.trim]).values_list("pk", "name"))
    keys = [(slugs[int(facts.sources[place])], tables[int(facts.ids[place])].name, place) for place in judged.places]
    for source, name, place in sorted(keys):
        came_from = int(judged.because[place])
        read = int(facts.last_read[place])
        around = Around(
            as_of=facts.as_of.isoformat(),
            source=source,
            log=logs[int(facts.sources[place])],
            because=tables[int(facts.ids[came_from])].name if came_from >= 0 else "",
            last_read=dt.date.fromordinal(read).isoformat() if read else None,
        )
        word = WORDS[judged.verdict[place]]
        builders = plan.by_table.get(int(place), [])
        yield {
            "table": name,
            "source": source,
            "verdict": word,
            "evidence": [
                *words(word, evidence_of(judged, int(place)), around),
                *_trims(plan, builders, pipelines, tables),
            ],
            "pipelines": sorted(pipelines[pipeline] for pipeline in builders if pipeline in plan.delete),
        }


def _trims(plan: Proposals, builders: list[int], pipelines: dict[int, str], tables: dict[int, Table]) -> Iterator[str]:
    for pipeline in builders:
        if pipeline in plan.trim:
            stop = ", ".join(sorted(tables[table].name for table in plan.trim[pipeline]))
            yield f"{pipelines[pipeline]} does more than build what goes: it is to be trimmed of {stop}."


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no day: write it as 2026-03-31") from error


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 3650):
        raise ArgumentTypeError(f"{text!r} is no number of days from 1 to 3650")
    return int(text)
