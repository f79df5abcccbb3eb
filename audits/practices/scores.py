"""Scores out of findings: what passes, by weight, of what passes or fails; unknown and waived are left out of both.

A score is of a pipeline, a team (what it or its members keep running), a source (what writes to it), or the company.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Count, Max, Q, Sum

from audits.practices.models import Finding, FindingQuerySet, Outcome, Score
from catalog.models import Owner, Ownership, Source
from catalog.queries import ownerships_in_force
from lineage.models import TableEdge

Key = tuple[str, int]  # scope and key of a Score
Scope = Score.Scope


@dataclass(frozen=True, slots=True)
class Tally:
    """Weights of findings by standing, and how many there are of each."""

    passed: int = 0
    failed: int = 0
    waived: int = 0
    unknown: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def to_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def score(self) -> float | None:
        """0 to 1; None where nothing could be judged."""
        judged = self.passed + self.failed
        return self.passed / judged if judged else None

    @property
    def known(self) -> float:
        """The share of findings that are not unknown, 0 to 1."""
        total = self.passed + self.failed + self.waived + self.unknown
        return 1 - self.unknown / total if total else 0.0


_STANDINGS = {"passed": Outcome.PASS, "failed": Outcome.FAIL, "waived": Outcome.WAIVED, "unknown": Outcome.UNKNOWN}
_WEIGHED = {name: Sum("weight", filter=Q(standing=standing), default=0) for name, standing in _STANDINGS.items()}
_COUNTED = {name: Count("pk", filter=Q(standing=standing)) for name, standing in _STANDINGS.items()}


def tally_of(findings: FindingQuerySet) -> Tally:
    """One query."""
    return Tally(**findings.with_standing().order_by().aggregate(**_WEIGHED))


def tallies_by_pipeline(findings: FindingQuerySet) -> dict[int, Tally]:
    """One query."""
    rows = findings.with_standing().order_by().values("pipeline_id").annotate(**_WEIGHED)
    return {row.pop("pipeline_id"): Tally(**row) for row in rows}


def tallies_by_practice(findings: FindingQuerySet) -> dict[str, tuple[Tally, Tally]]:
    """Per practice the weights, and the numbers, of findings by standing. One query."""
    both = {f"weight_{name}": sum_ for name, sum_ in _WEIGHED.items()} | _COUNTED
    rows = findings.with_standing().order_by().values("practice").annotate(**both)
    return {
        row["practice"]: (
            Tally(**{name: row[f"weight_{name}"] for name in _STANDINGS}),
            Tally(**{name: row[name] for name in _STANDINGS}),
        )
        for row in rows
    }


def pipelines_of_team(team: Owner) -> Q:
    """A condition on findings: of pipelines that a team, or a member of it, keeps running."""
    held = ownerships_in_force("pipeline", role=Ownership.Role.TECHNICAL)
    return Q(pipeline__in=held.filter(Q(owner=team) | Q(owner__team=team)).values("pipeline"))


def pipelines_of_source(source: Source) -> Q:
    """A condition on findings: of pipelines that write to a source."""
    edges = TableEdge.objects.filter(valid_to__isnull=True, target_table__source=source)
    return Q(pipeline__in=edges.values("pipeline"))


def store_all(day: dt.date) -> None:
    """Keep the day's scores of every pipeline, source and team and of the company, where they changed. Six queries
    and the writes."""
    by_pipeline = tallies_by_pipeline(Finding.objects.all())
    tallies: dict[Key, Tally] = {(Scope.PIPELINE, pk): tally for pk, tally in by_pipeline.items()}
    tallies[Scope.COMPANY, 0] = sum(by_pipeline.values(), Tally())
    for scope, groups in ((Scope.SOURCE, sources()), (Scope.TEAM, teams())):
        for key, pipelines in groups.items():
            tallies[scope, key] = sum((by_pipeline[pk] for pk in pipelines if pk in by_pipeline), Tally())
    _store(tallies, day, Score.objects.all())


def store_pipelines(pipelines: Collection[int], day: dt.date) -> None:
    """Keep the day's scores of some pipelines, where they changed. Two queries and a write."""
    found = tallies_by_pipeline(Finding.objects.filter(pipeline__in=pipelines))
    known = Score.objects.filter(scope=Scope.PIPELINE, key__in=pipelines)
    _store({(Scope.PIPELINE, pk): tally for pk, tally in found.items()}, day, known)


def _store(tallies: Mapping[Key, Tally], day: dt.date, known: Iterable[Score]) -> None:
    latest = _latest(known)
    rows = [
        Score(scope=scope, key=key, day=day, score=tally.score, known=tally.known)
        for (scope, key), tally in tallies.items()
        if latest.get((scope, key)) != (tally.score, tally.known)
    ]
    Score.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["scope", "key", "day"],
        update_fields=["score", "known"],
        batch_size=1000,
    )


def _latest(known) -> dict[Key, tuple[float | None, float]]:  # noqa: ANN001
    """The last score that was kept of each."""
    newest = known.order_by().values("scope", "key").annotate(last=Max("pk")).values("last")
    rows = Score.objects.filter(pk__in=newest).values_list("scope", "key", "score", "known")
    return {(scope, key): (score, share) for scope, key, score, share in rows}


def sources() -> dict[int, set[int]]:
    """The pipelines that write to each source."""
    edges = TableEdge.objects.filter(valid_to__isnull=True, target_table__isnull=False).order_by()
    return _grouped(edges.values_list("target_table__source_id", "pipeline_id").distinct())


def teams() -> dict[int, set[int]]:
    """The pipelines that each team, or a member of it, keeps running."""
    held = ownerships_in_force("pipeline", role=Ownership.Role.TECHNICAL).order_by()
    pairs = held.values_list("owner_id", "owner__kind", "owner__team_id", "pipeline_id")
    return _grouped(
        (key, pipeline)
        for owner, kind, team, pipeline in pairs
        for key in ([owner] if kind == Owner.Kind.TEAM else []) + ([team] if team else [])
    )


def _grouped(pairs: Iterable[tuple[int, int]]) -> dict[int, set[int]]:
    groups: dict[int, set[int]] = defaultdict(set)
    for key, pipeline in pairs:
        groups[key].add(pipeline)
    return groups
