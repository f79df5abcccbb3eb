"""Reads of findings and scorecards: what pages, REST and commands ask."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Max

from audits.practices import scores
from audits.practices.models import Finding, FindingQuerySet, Score, Waiver, today
from audits.practices.rules import RULES, Rule
from audits.practices.scores import Tally
from audits.practices.steps import Step, next_steps
from catalog.models import Owner, Pipeline, Source

TREND_DAYS = 180
Scope = Score.Scope


@dataclass(frozen=True)
class Point:
    """A score from a day on."""

    day: dt.date
    score: float | None


@dataclass(frozen=True)
class Scorecard:
    """How something stands now: weighed, by practice in numbers, over time, and what to do next.

    `thing` is the pipeline, team or source; None is the whole company.
    """

    scope: str
    thing: Any
    tally: Tally
    practices: list[tuple[Rule, Tally]]
    trend: list[Point]
    steps: list[Step]

    @property
    def name(self) -> str:
        return str(self.thing) if self.thing else "Whole company"


def findings() -> FindingQuerySet:
    """Findings with `standing` and their pipelines."""
    return Finding.objects.with_standing().select_related("pipeline")


def scorecard(thing: Pipeline | Owner | Source | None = None) -> Scorecard:
    """The scorecard of a pipeline, a team, a source, or the whole company. Four queries."""
    scope, found = _SCOPES[type(thing)], findings_in(thing)
    by_practice = scores.tallies_by_practice(found)
    tally = sum((weights for weights, _ in by_practice.values()), Tally())
    return Scorecard(
        scope=scope,
        thing=thing,
        tally=tally,
        practices=[(rule, by_practice[code][1] if code in by_practice else Tally()) for code, rule in RULES.items()],
        trend=trend(scope, thing.pk if thing else 0, tally.score),
        steps=next_steps(found, tally),
    )


_SCOPES = {Pipeline: Scope.PIPELINE, Owner: Scope.TEAM, Source: Scope.SOURCE, type(None): Scope.COMPANY}


def findings_in(thing: Pipeline | Owner | Source | None) -> FindingQuerySet:
    """The findings that count for a pipeline, a team, a source, or the whole company."""
    every = Finding.objects.all()
    if isinstance(thing, Pipeline):
        return every.filter(pipeline=thing)
    if isinstance(thing, Owner):
        return every.filter(scores.pipelines_of_team(thing))
    if isinstance(thing, Source):
        return every.filter(scores.pipelines_of_source(thing))
    return every


def trend(scope: str, key: int, now: float | None) -> list[Point]:
    """The scores of the last half year as steps, ending today with `now`. One query."""
    first = today() - dt.timedelta(days=TREND_DAYS)
    kept = Score.objects.filter(scope=scope, key=key).order_by("day").values_list("day", "score")
    steps = {max(day, first): score for day, score in kept}  # of those before the half year the last counts
    return [Point(day, score) for day, score in (steps | {today(): now}).items()]


def findings_of(pipeline: Pipeline) -> list[Finding]:
    """In the order of the rules, with the SQL of the version that each speaks of. One query."""
    found = Finding.objects.with_standing().filter(pipeline=pipeline).select_related("sql_version")
    by_practice = {finding.practice: finding for finding in found}
    return [by_practice[code] for code in RULES if code in by_practice]


def waivers_of(pipeline: Pipeline) -> list[Waiver]:
    """Those in force, and the last that are over, the newest first. One query."""
    return list(Waiver.objects.filter(pipeline=pipeline).select_related("owner")[:20])


def judged_at() -> dt.datetime | None:
    """When a finding last changed. One query."""
    return Finding.objects.order_by().aggregate(last=Max("changed_at"))["last"]


def teams() -> list[tuple[Owner, int]]:
    """Teams with the number of pipelines that they or their members keep running, by name. Two queries."""
    numbers = {key: len(pipelines) for key, pipelines in scores.teams().items()}
    return _numbered(Owner.objects.filter(pk__in=numbers), numbers)


def sources() -> list[tuple[Source, int]]:
    """Sources with the number of pipelines that write to them, by name. Two queries."""
    numbers = {key: len(pipelines) for key, pipelines in scores.sources().items()}
    return _numbered(Source.objects.filter(pk__in=numbers), numbers)


def _numbered(things: Iterable[Any], numbers: dict[int, int]) -> list[tuple[Any, int]]:
    return [(thing, numbers[thing.pk]) for thing in things]
