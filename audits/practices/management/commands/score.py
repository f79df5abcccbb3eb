"""`score`: judge every pipeline by the practices, keep the findings and the day's scores, and gate a build by them."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audits.practices import queries, services
from audits.practices.queries import Scorecard
from audits.practices.serializers import as_dict
from catalog.models import Owner, Pipeline, Source


class Command(BaseCommand):
    """Exits with 0; with 1 under --threshold or after a drop from --baseline; with 2 where an option cannot be read."""

    help = "Judge all pipelines by the practices and print the scorecard. Run it nightly, after flag_unused."

    def add_arguments(self, parser: CommandParser) -> None:
        of = parser.add_mutually_exclusive_group()
        of.add_argument("--pipeline", metavar="NAME", help="the card of one pipeline, which alone is judged anew")
        of.add_argument("--team", metavar="SLUG", help="the card of what a team keeps running")
        of.add_argument("--source", metavar="SLUG", help="the card of what writes to a source")
        parser.add_argument("--json", action="store_true", help="the card as JSON; keep it as a later --baseline")
        parser.add_argument("--threshold", type=_percent, metavar="PERCENT", help="fail under this score")
        parser.add_argument("--baseline", type=_card, metavar="FILE", help="fail where the score is under that card's")
        parser.add_argument("--drop", type=_percent, default=0.0, metavar="POINTS", help="how far under is fine (0)")

    def handle(self, *args: Any, **options: Any) -> None:
        thing = _thing(options)
        judged = services.judge_pipelines([thing.pk]) if isinstance(thing, Pipeline) else services.judge_all()
        card = queries.scorecard(thing)
        if options["json"]:
            self.stdout.write(json.dumps(as_dict(card), indent=2, ensure_ascii=False))
        else:
            self._print(card)
            self.stdout.write(f"{judged.pipelines:,} pipelines judged, {judged.written:,} findings written.")
        if fault := _fault(card, options):
            raise CommandError(fault, returncode=1)

    def _print(self, card: Scorecard) -> None:
        self.stdout.write(f"{card.name}: {_shown(card.tally.score)}, {_shown(card.tally.known)} of the findings known")
        for rule, tally in card.practices:
            numbers = ", ".join(f"{number:,} {standing}" for standing, number in tally.to_dict().items() if number)
            self.stdout.write(f"  {rule.name:<38} {numbers or 'not judged'}")
        for step in card.steps:
            about = step.node or f"{step.spread:,} pipelines"
            self.stdout.write(f"  +{_shown(step.gain)}  {step.words} ({about})")


def _thing(options: dict[str, Any]) -> Pipeline | Owner | Source | None:
    """What the card is of; CommandError where it is not there."""
    named: dict[str, Any] = {
        "pipeline": lambda name: Pipeline.objects.filter(name=name).first(),
        "team": lambda slug: Owner.objects.filter(slug=slug, kind=Owner.Kind.TEAM).first(),
        "source": lambda slug: Source.objects.filter(slug=slug).first(),
    }
    for noun, find in named.items():
        if options[noun] is not None:
            thing = find(options[noun])
            if thing is None:
                raise CommandError(f"There is no {noun} called {options[noun]}.", returncode=2)
            return thing
    return None


def _fault(card: Scorecard, options: dict[str, Any]) -> str:
    """Why a gate says no, "" where it does not. What could not be judged is no score, and passes no gate."""
    score, baseline = card.tally.score, options["baseline"]
    if options["threshold"] is None and baseline is None:
        return ""
    if score is None:
        return f"{card.name} has no score: nothing could be judged."
    if options["threshold"] is not None and score < options["threshold"]:
        return f"{card.name} scores {_shown(score)}, under {_shown(options['threshold'])}."
    if baseline is not None:
        if (baseline["scope"], baseline["name"]) != (card.scope, card.name):
            raise CommandError(f"--baseline is of {baseline['name']}, not of {card.name}.", returncode=2)
        if baseline["score"] is not None and score < baseline["score"] - options["drop"]:
            return f"{card.name} fell from {_shown(baseline['score'])} to {_shown(score)}."
    return ""


def _shown(share: float | None) -> str:
    return "no score" if share is None else f"{100 * share:.1f} %"


def _percent(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise ArgumentTypeError(f"{text!r} is no number from 0 to 100")
    return number / 100


def _card(text: str) -> dict[str, Any]:
    """A card that `score --json` wrote."""
    try:
        card = json.loads(Path(text).read_text(encoding="utf-8"))
        score = card["score"]
        if not (score is None or (isinstance(score, int | float) and 0 <= score <= 1)):
            raise ValueError("its score is no number from 0 to 1")
        return {"scope": card["scope"], "name": card["name"], "score": score}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArgumentTypeError(f"{text} is no card that score --json wrote: {error}") from error
