"""`run_checks`: measure checks on their live sources, and say what fails."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audits.checks import queries
from audits.checks.models import Check, State
from audits.checks.run import TIMEOUT, Measured, run
from audits.checks.services import record_measured
from catalog.models import Source, Table
from catalog.touched import told_together


class Command(BaseCommand):
    """Run checks and store their results.

    Exits with 0 where none of severity fail fails, with 1 where one does, and with 3 where none does and some could not
    be run.
    """

    help = "Run the checks of tables and pipelines on their live sources. Reads them only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--source", default="", metavar="SLUG", help="only of this source")
        parser.add_argument("--table", default="", metavar="NAME", help="only of tables of this dotted name")
        parser.add_argument("--check", type=int, metavar="NUMBER", help="only this one")
        parser.add_argument("--due", action="store_true", help="only those whose schedule says so")
        parser.add_argument("--timeout", type=float, default=TIMEOUT, metavar="SECONDS", help="of one statement")
        parser.add_argument("--json", action="store_true", help="one object a check, as a JSON list")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 < options["timeout"] <= 3600:
            raise CommandError("A statement may take up to 3600 seconds.", returncode=2)
        measured = []
        with told_together():
            for each in run(_chosen(options), options["timeout"]):
                record_measured(each)
                measured.append(each)
                if not options["json"]:
                    self.stdout.write(in_words(each))
        if options["json"]:
            self.stdout.write(json.dumps([as_json(each) for each in measured], ensure_ascii=False, indent=1))
        else:
            self._sum_up(measured)
        states = {each.state for each in measured}
        if State.FAIL in states or State.ERROR in states:
            raise SystemExit(1 if State.FAIL in states else 3)

    def _sum_up(self, measured: list[Measured]) -> None:
        counts = {state: sum(each.state == state for each in measured) for state in State}
        said = ", ".join(f"{number:,} {state.label.lower()}" for state, number in counts.items() if number)
        self.stdout.write(f"{len(measured):,} checks: {said}." if measured else "No check is to be run.")


def _chosen(options: dict[str, Any]) -> list[Check]:
    """The checks that were asked for. CommandError where a name is of nothing."""
    source, table = options["source"], options["table"]
    if source and not Source.objects.filter(slug=source).exists():
        raise CommandError(f"There is no source with the slug {source}.", returncode=2)
    if table and not Table.objects.filter(name=table).exists():
        raise CommandError(f"There is no table called {table}.", returncode=2)
    found = queries.runnable(source, table, timezone.now() if options["due"] else None)
    if options["check"] is None:
        return found
    chosen = [check for check in found if check.pk == options["check"]]
    if not chosen:
        raise CommandError(f"There is no check {options['check']} that Pipekeeper can run.", returncode=2)
    return chosen


def in_words(measured: Measured) -> str:
    """One line of a result."""
    check = measured.check
    return f"{State(measured.state).label:<14}{check.thing}  {check.name}: {measured.words}"


def as_json(measured: Measured) -> dict[str, Any]:
    """One result for programs."""
    check = measured.check
    facts = {name: getattr(measured, name) for name in ("state", "value", "low", "high", "words", "sample")}
    return {
        "check": check.pk,
        "name": check.name,
        "kind": check.kind,
        "severity": check.severity,
        "of": check.thing.node,
        "at": measured.at.isoformat(),
        **facts,
    }
