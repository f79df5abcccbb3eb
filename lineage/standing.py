"""What is stale or wrong now, of mishaps that people declared and of runs that failed, until it is right again.

A source is right again when a run of what builds it, begun after the mishap, has succeeded; each thing down the line
when it was built after all that it is made of was right. Nothing of this is stored: how far a mishap reaches is worked
out once for each version of the graph, and what was built since is read when it is asked.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

import networkx as nx
from django.db.models import Max, Value
from django.utils import timezone

from catalog.bulk import among
from catalog.models import Pipeline, Run, Table
from lineage.breaks import Level, Spread
from lineage.impact import CatalogGraph, begin
from lineage.models import Mishap, SqlVersion
from lineage.nodes import NodeId
from lineage.planned import PlannedChange
from lineage.snapshot import graph_state

FAILED_DAYS = 7  # how long a failed run counts
MOST_MISHAPS = 50  # open at once
MOST_RUNS = 100_000  # that are looked at
MOST_DAYS = 366  # of wrong rows
_FOLLOWING = (Table.Kind.VIEW, Table.Kind.DASHBOARD)  # show what is beneath as it is


@dataclass(frozen=True)
class Badge:
    """That a thing is stale or wrong, by what (`change` as `lineage.planned` spells it, and in words), since when."""

    level: Level
    change: str
    words: str
    since: dt.datetime

    @property
    def word(self) -> str:
        return self.level.name.lower()


@dataclass(frozen=True)
class Standing:
    """Tables and pipelines (ids) that are not right now."""

    tables: Mapping[int, Badge] = field(default_factory=dict)
    pipelines: Mapping[int, Badge] = field(default_factory=dict)

    def by_change(self) -> list[tuple[Badge, int, int]]:
        """Each change with how many tables and pipelines it makes stale or wrong, the most tables first."""
        tables, pipelines = (Counter(badge.change for badge in of.values()) for of in (self.tables, self.pipelines))
        badges = {badge.change: badge for of in (self.pipelines, self.tables) for badge in of.values()}
        told = [(badge, tables[change], pipelines[change]) for change, badge in badges.items()]
        return sorted(told, key=lambda each: (-each[1], -each[2], each[0].change))

    def of(self, thing: Any) -> Badge | None:
        return (self.pipelines if isinstance(thing, Pipeline) else self.tables).get(thing.pk)


@dataclass(frozen=True)
class _Seed:
    """A mishap at its source, which `change` spells: what of it must be built after `since`, and for which days."""

    change: str
    words: str
    since: dt.datetime
    tables: tuple[int, ...]
    builders: tuple[int, ...]
    days: tuple[dt.date, ...] | None = None  # None: any success will do
    pipeline: int | None = None


@dataclass(frozen=True)
class _Reach:
    """How far seeds reach: levels of tables in the order of the data, what each is made of, and the pipelines hit."""

    levels: Mapping[int, Level]
    changes: Mapping[int, str]
    made_of: Mapping[int, Collection[tuple[int, int]]]  # of a table, (pipeline, table that it reads)
    following: frozenset[int]
    pipelines: Mapping[int, tuple[Level, int, str]]  # level, the table it reads, the change
    seeds: tuple[_Seed, ...]


def standing() -> Standing:
    """What is stale or wrong now. One query where nothing is; else about ten, and a few a hop where the graph or what
    failed has changed since it was last asked."""
    since = timezone.now() - dt.timedelta(days=FAILED_DAYS)
    failed = Run.objects.filter(state=Run.State.FAILED, started_at__gte=since, pipeline__status=Pipeline.Status.ACTIVE)
    last = failed.order_by().values("pipeline").annotate(last=Max("started_at"))
    open_ones = Mishap.objects.filter(ended_at=None).order_by()
    rows = list(
        open_ones.values_list(Value("mishap"), "pk", "declared_at").union(
            last.values_list(Value("run"), "pipeline", "last")
        )
    )
    if not rows:
        return Standing()
    mishaps = sorted(key for kind, key, _ in rows if kind == "mishap")[-MOST_MISHAPS:]
    return _standing(tuple(mishaps), tuple(sorted((key, at) for kind, key, at in rows if kind == "run")))


def standing_by(mishap: Mishap) -> Standing:
    """What is stale or wrong by one mishap alone."""
    return _standing((mishap.pk,), ())


def _standing(mishaps: tuple[int, ...], failed: tuple[tuple[int, dt.datetime], ...]) -> Standing:
    state = graph_state()
    return _now(_reach_of(state.graph, state.number, mishaps, failed))


@lru_cache(maxsize=64)
def _reach_of(
    graph: UUID, number: int, mishaps: tuple[int, ...], failed: tuple[tuple[int, dt.datetime], ...]
) -> _Reach:
    spread, seeds = Spread(CatalogGraph()), []
    related = ("table__source", "column__table__source", "pipeline")
    for mishap in Mishap.objects.filter(pk__in=mishaps).select_related(*related):
        change = planned(mishap)
        begin(spread, change)
        seeds.append(_seed_of(spread, change, mishap.declared_at))
    pipelines = Pipeline.objects.in_bulk([pipeline for pipeline, _ in failed])
    for key, at in failed:
        change = PlannedChange("run_failed", NodeId("pipeline", pipelines[key].name), "", pipelines[key])
        begin(spread, change)
        seeds.append(_seed_of(spread, change, at))
    spread.run()
    return _reach(spread, tuple(seeds))


def planned(mishap: Mishap) -> PlannedChange:
    """A mishap as the impact page spells it."""
    return PlannedChange(mishap.verb, NodeId.parse(mishap.thing.node), mishap.argument, mishap.thing)


def _seed_of(spread: Spread, change: PlannedChange, since: dt.datetime) -> _Seed:
    if isinstance(change.thing, Pipeline):
        key = change.thing.pk
        tables = tuple(spread.graph.outputs_of([key]).get(key, ()))
        return _Seed(str(change), change.words, since, tables, (key,), pipeline=key)
    assert change.table_id is not None
    builders = tuple(spread.graph.writers_of(change.table_id))
    days = None
    if change.verb == "wrong_rows" and not _build_it_whole(builders):
        days = _days(change.argument)
    return _Seed(str(change), change.words, since, (change.table_id,), builders, days)


def _build_it_whole(builders: Collection[int]) -> bool:
    """Whether each run of these makes all rows anew."""
    loads = {
        pipeline: stated or (practices or {}).get("load_strategy", "")
        for pipeline, stated, practices in SqlVersion.objects.filter(pipeline__in=builders, valid_to=None).values_list(
            "pipeline", "pipeline__load_strategy", "practices"
        )
    }
    return bool(builders) and all(loads.get(pipeline) == "full_refresh" for pipeline in builders)


def _days(argument: str) -> tuple[dt.date, ...]:
    """The days of wrong rows; none stated, or too many: no run tells that they are right."""
    if not argument:
        return ()
    first, _, last = argument.partition("..")
    start = dt.date.fromisoformat(first)
    count = (dt.date.fromisoformat(last or first) - start).days + 1
    return tuple(start + dt.timedelta(days=number) for number in range(count)) if count <= MOST_DAYS else ()


def _reach(spread: Spread, seeds: tuple[_Seed, ...]) -> _Reach:
    hit = {table: state.worst for table, state in spread.tables.items() if state.worst >= Level.STALE}
    made_of: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for source, edges in spread.edges.items():
        for pipeline, target in edges:
            if source in hit and target in hit and source != target:
                made_of[target].add((pipeline, source))
    following = Table.objects.filter(pk__in=among(hit), kind__in=_FOLLOWING).values_list("pk", flat=True)
    return _Reach(
        levels={table: hit[table] for table in _in_order(hit, made_of, {key for seed in seeds for key in seed.tables})},
        changes={table: spread.causes[table].change for table in hit},
        made_of={table: sorted(pairs) for table, pairs in made_of.items()},
        following=frozenset(following),
        pipelines={
            pipeline: (level, cause.table, cause.change)
            for pipeline, (level, cause) in spread.pipelines.items()
            if level >= Level.STALE and cause.table in hit
        },
        seeds=seeds,
    )


def _in_order(
    tables: Iterable[int], made_of: Mapping[int, Iterable[tuple[int, int]]], first: Collection[int]
) -> list[int]:
    """Tables after what they are made of; of those in a circle the `first` ones first, then those fed from outside."""
    graph = nx.DiGraph((source, table) for table, pairs in made_of.items() for _, source in pairs)
    graph.add_nodes_from(tables)
    circles = nx.condensation(graph)
    ordered: list[int] = []
    for circle in nx.topological_sort(circles):
        members = circles.nodes[circle]["members"]
        fed = {table for table in members if any(source not in members for _, source in made_of.get(table, ()))}
        ordered += sorted(members, key=lambda table: (table not in first, table not in fed, table))
    return ordered


class _Runs:
    """Runs that succeeded since a moment. Two queries."""

    def __init__(self, pipelines: Collection[int], since: dt.datetime) -> None:
        runs = Run.objects.filter(pipeline__in=among(pipelines)).order_by()
        self.recorded = set(runs.values_list("pipeline", flat=True).distinct())
        good = runs.filter(state=Run.State.SUCCEEDED, started_at__gte=since).order_by("started_at", "pk")
        self._starts: dict[int, list[dt.datetime]] = defaultdict(list)
        self._runs: dict[int, list[tuple[dt.datetime, dt.date | None]]] = defaultdict(list)
        fields = ("pipeline", "started_at", "ended_at", "nominal_at")
        for pipeline, start, end, nominal in good.values_list(*fields)[:MOST_RUNS]:
            self._starts[pipeline].append(start)
            self._runs[pipeline].append((end or start, nominal.date() if nominal else None))

    def first(self, pipeline: int, after: dt.datetime, day: dt.date | None = None) -> dt.datetime | None:
        """When the first run that began after a moment, and ran for that day if one is given, was done."""
        for end, nominal in self._runs[pipeline][bisect_left(self._starts[pipeline], after) :]:
            if day is None or nominal == day:
                return end
        return None

    def repaired(self, seed: _Seed) -> dt.datetime | None:
        """When what a mishap is about was right again."""
        days = (None,) if seed.days is None else seed.days
        return _all_of(
            min(filter(None, (self.first(key, seed.since, day) for key in seed.builders)), default=None) for day in days
        )


def _all_of(moments: Iterable[dt.datetime | None]) -> dt.datetime | None:
    """When the last of them had come; None while one has not, or there is none."""
    known = list(moments)
    return None if None in known else max(known, default=None)  # type: ignore[type-var]


def _now(reach: _Reach) -> Standing:
    """What of a reach is not right yet."""
    pipelines = {pipeline for pairs in reach.made_of.values() for pipeline, _ in pairs}
    pipelines.update(builder for seed in reach.seeds for builder in seed.builders)
    runs = _Runs(pipelines, min((seed.since for seed in reach.seeds), default=timezone.now()))
    repaired = {seed: runs.repaired(seed) for seed in reach.seeds}
    of_table: dict[int, list[_Seed]] = defaultdict(list)
    for seed in reach.seeds:
        for table in seed.tables:
            of_table[table].append(seed)
    right: dict[int, dt.datetime | None] = {}
    for table in reach.levels:
        moments = [repaired[seed] for seed in of_table[table]]
        moments += _rebuilt(table, reach, right, runs)
        right[table] = _all_of(moments)
    seeds = {seed.change: seed for seed in reach.seeds}
    tables = {
        table: _badge(level, seeds[reach.changes[table]])
        for table, level in reach.levels.items()
        if right[table] is None
    }
    hit = {
        pipeline: _badge(level, seeds[change])
        for pipeline, (level, table, change) in reach.pipelines.items()
        if table in tables
    }
    broken = {
        seed.pipeline: _badge(Level.STALE, seed) for seed in reach.seeds if seed.pipeline and repaired[seed] is None
    }
    return Standing(tables, hit | broken)


_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)  # for a table of a circle that waits for nothing outside it


def _rebuilt(
    table: int, reach: _Reach, right: Mapping[int, dt.datetime | None], runs: _Runs
) -> list[dt.datetime | None]:
    """When each pipeline that fills a table had built it of what was right; None if it has not yet."""
    moments: list[dt.datetime | None] = []
    inputs: dict[int, list[dt.datetime | None]] = defaultdict(list)
    for pipeline, source in reach.made_of.get(table, ()):
        if source in right:  # else it stands behind in a circle
            inputs[pipeline].append(right[source])
    for pipeline, ready in inputs.items():
        moment = _all_of(ready)
        if moment is not None and table not in reach.following and pipeline in runs.recorded:
            moment = runs.first(pipeline, moment)
        moments.append(moment)
    return moments


def _badge(level: Level, seed: _Seed) -> Badge:
    return Badge(level, seed.change, seed.words, seed.since)
