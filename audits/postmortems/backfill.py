"""What to run again after an incident, in which order, for which days, and how one sees that each table is right again.

Nothing is run from here: the plan says what, warns of what a second run would spoil, and follows the runs that arrive.
"""

from __future__ import annotations

import datetime as dt
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
from django.db.models import QuerySet

from audits.checks.models import Check
from audits.checks.models import State as CheckState
from audits.postmortems.models import Hit, Incident
from catalog.models import Pipeline, Run, Table
from lineage.models import SqlVersion, TableEdge

_ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Proof:
    """A check of a table, and whether it has passed since the table was built again (or since the incident)."""

    check: Check
    is_given: bool


@dataclass(frozen=True)
class BuiltTable:
    """A hit table that a step builds again, with what proves it right."""

    table: Table
    proofs: tuple[Proof, ...]

    @property
    def is_right(self) -> bool:
        """All its checks have passed since; a table without any has no proof."""
        return bool(self.proofs) and all(proof.is_given for proof in self.proofs)


@dataclass(frozen=True)
class BackfillStep:
    """A pipeline to run again. `is_safe` is None where its SQL does not tell; `warnings` say what to mind first."""

    number: int
    pipeline: Pipeline
    tables: tuple[BuiltTable, ...]
    is_whole: bool
    is_safe: bool | None
    warnings: tuple[str, ...]
    commands: tuple[str, ...]
    days: int
    done: int
    last_run: Run | None

    @property
    def is_done(self) -> bool:
        """All days were run again with success; of a full refresh one run does."""
        return self.done >= (1 if self.is_whole else self.days)

    @property
    def progress(self) -> str:
        if self.is_whole:
            return "run again" if self.done else "not run again yet"
        return f"{self.done} of {self.days} day{'s' * (self.days != 1)} run again"


@dataclass(frozen=True)
class BackfillPlan:
    """The steps in the order of the data. `is_dated` is False where nobody stated the days of wrong data and those
    since the incident's start stand in for them."""

    incident: Incident
    first: dt.date
    last: dt.date
    is_dated: bool
    steps: list[BackfillStep]
    unbuilt: list[Table]

    @property
    def script(self) -> str:
        """The commands of all steps, each once; what is not known to be safe is commented out with why."""
        lines: list[str] = []
        given: dict[str, int] = {}
        for step in self.steps:
            lines.append(f"# {step.number}. {step.pipeline.name}")
            lines += [f"#    mind: {warning}" for warning in step.warnings]
            for command in step.commands:
                same = given.setdefault(command, step.number)
                lines.append(f"#    by the command of step {same}" if same != step.number else _marked(command, step))
        return "\n".join(lines)


def _marked(command: str, step: BackfillStep) -> str:
    return command if step.is_safe else f"# {command}"


def backfill_plan(incident: Incident, today: dt.date) -> BackfillPlan:
    """What to run again for the tables that an incident hit and for its days of wrong data. Seven queries."""
    is_dated = incident.data_from is not None
    first = incident.data_from or incident.started_at.date()
    last = max(first, incident.data_to or (incident.resolved_at.date() if incident.resolved_at else today))
    tables = _hit_tables(incident)
    edges = _edges_within(tables)
    writers = _in_order(edges)
    texts = {version.pipeline_id: version for version in _current(SqlVersion).filter(pipeline__in=writers).defer("sql")}
    runs = _runs_since(writers, incident.detected_at)
    proofs = _proofs(tables, incident.detected_at, _built_at(edges, runs))
    pipelines = Pipeline.objects.in_bulk(writers)
    steps = []
    for number, key in enumerate(writers, 1):
        built = sorted({target for pipeline, _, target in edges if pipeline == key}, key=lambda pk: tables[pk].name)
        steps.append(
            _step(
                number,
                pipelines[key],
                tuple(BuiltTable(tables[pk], tuple(proofs[pk])) for pk in built),
                texts.get(key),
                runs[key],
                (first, last),
            )
        )
    written = {target for _, _, target in edges}
    unbuilt = sorted((table for pk, table in tables.items() if pk not in written), key=lambda table: table.name)
    return BackfillPlan(incident, first, last, is_dated, steps, unbuilt)


def _hit_tables(incident: Incident) -> dict[int, Table]:
    """Tables that were hit and are there still; dashboards show what they are given."""
    hits = incident.hits.filter(kind=Hit.Kind.TABLE, is_out=False, table__isnull=False)
    return {hit.table_id: hit.table for hit in hits.select_related("table__source")}  # type: ignore[misc]


def _edges_within(tables: Mapping[int, Table]) -> list[tuple[int, int | None, int]]:
    """(pipeline, source, target) of what writes the hit tables now; a source outside of them is None."""
    edges = _current(TableEdge).filter(target_table__in=list(tables)).order_by("pipeline", "target_table")
    rows = edges.values_list("pipeline", "source_table", "target_table")
    return [(pipeline, source if source in tables else None, target) for pipeline, source, target in rows]


def _in_order(edges: Iterable[tuple[int, int | None, int]]) -> list[int]:
    """The pipelines, each after those that write what it reads; those in a circle by their number."""
    graph = nx.DiGraph()
    for pipeline, source, target in edges:
        graph.add_edge(("pipeline", pipeline), ("table", target))
        if source is not None:
            graph.add_edge(("table", source), ("pipeline", pipeline))
    circles = nx.condensation(graph)
    generations = nx.topological_generations(circles)
    nodes = (
        node
        for generation in generations
        for node in sorted(node for circle in generation for node in circles.nodes[circle]["members"])
    )
    return [key for kind, key in nodes if kind == "pipeline"]


def _step(
    number: int,
    pipeline: Pipeline,
    tables: tuple[BuiltTable, ...],
    text: SqlVersion | None,
    runs: list[Run],
    days: tuple[dt.date, dt.date],
) -> BackfillStep:
    practices = text.practices if text else {}
    strategy = pipeline.load_strategy or practices.get("load_strategy") or ""
    is_whole = strategy == Pipeline.LoadStrategy.FULL_REFRESH
    is_safe = _is_safe(practices, is_whole)
    succeeded = [run for run in runs if run.state == Run.State.SUCCEEDED]
    return BackfillStep(
        number=number,
        pipeline=pipeline,
        tables=tables,
        is_whole=is_whole,
        is_safe=is_safe,
        warnings=tuple(dict.fromkeys(_warnings(pipeline, practices, is_safe, has_text=text is not None))),
        commands=tuple(_commands(pipeline, is_whole, *days)),
        days=(days[1] - days[0]).days + 1,
        done=len(succeeded) if is_whole else len(_days_of(succeeded, *days)),
        last_run=runs[-1] if runs else None,
    )


def _is_safe(practices: Mapping[str, Any], is_whole: bool) -> bool | None:
    """Whether a second run leaves what the first should have; a full refresh has no past days to fill."""
    answers = [practices.get("idempotent")] + ([] if is_whole else [practices.get("backfill_safe")])
    if False in answers:
        return False
    return None if None in answers else True


def _warnings(
    pipeline: Pipeline, practices: Mapping[str, Any], is_safe: bool | None, *, has_text: bool
) -> Iterable[str]:
    if pipeline.status != Pipeline.Status.ACTIVE:
        yield f"the pipeline is {pipeline.get_status_display().lower()}"
    if is_safe is False:
        reasons = practices.get("reasons", [])
        told = [each["message"] for each in reasons if each["practice"] in ("idempotent", "backfill_safe")]
        yield from told or ["a second run does not leave the same as one"]
    elif is_safe is None:
        yield "its SQL does not tell whether a second run is safe" if has_text else "no SQL is known that would tell"
    if is_safe is not True and pipeline.backfill:
        yield f"its owners say: {' '.join(pipeline.backfill.split())[:500]}"


def _commands(pipeline: Pipeline, is_whole: bool, first: dt.date, last: dt.date) -> Iterable[str]:
    """What to copy, as far as the orchestrator is known."""
    tool = pipeline.orchestrator.lower()
    if "dbt" in tool:
        how = "" if is_whole else " --full-refresh"
        if pipeline.ingested.get("dbt", {}).get("incremental_strategy") == "microbatch":  # alone takes a window of days
            how = f" --event-time-start {first} --event-time-end {last + _ONE_DAY}"
        yield f"dbt run --select {shlex.quote(pipeline.name.rpartition('.')[2])}{how}"
    elif pipeline.dag or "airflow" in tool:
        dag, _, task = (pipeline.dag or pipeline.name).partition(".")
        part = f" --task-regex {shlex.quote(f'^{task}$')}" if task else ""
        yield f"airflow dags backfill --reset-dagruns --start-date {first} --end-date {last}{part} {shlex.quote(dag)}"


def _runs_since(pipelines: Iterable[int], at: dt.datetime) -> dict[int, list[Run]]:
    """Runs that began since the incident was noticed, oldest first."""
    found: dict[int, list[Run]] = defaultdict(list)
    for run in Run.objects.filter(pipeline__in=list(pipelines), started_at__gte=at).order_by("started_at", "pk"):
        found[run.pipeline_id].append(run)
    return found


def _days_of(runs: Iterable[Run], first: dt.date, last: dt.date) -> set[dt.date]:
    """The days that runs were for; a run that does not say is for the day on which it began."""
    days = {(run.nominal_at or run.started_at).date() for run in runs}
    return {day for day in days if first <= day <= last}


def _built_at(edges: Iterable[tuple[int, int | None, int]], runs: Mapping[int, list[Run]]) -> dict[int, dt.datetime]:
    """When each table was last built since."""
    built: dict[int, dt.datetime] = {}
    for pipeline, _, target in edges:
        for run in runs.get(pipeline, []):
            if run.state == Run.State.SUCCEEDED:
                built[target] = max(run.ended_at or run.started_at, built.get(target, run.started_at))
    return built


def _proofs(
    tables: Mapping[int, Table], noticed: dt.datetime, built: Mapping[int, dt.datetime]
) -> dict[int, list[Proof]]:
    found: dict[int, list[Proof]] = defaultdict(list)
    for check in Check.objects.filter(table__in=list(tables), is_active=True):
        since = built.get(check.table_id, noticed)  # type: ignore[arg-type]
        passed = check.state == CheckState.PASS and check.checked_at is not None and check.checked_at >= since
        found[check.table_id].append(Proof(check, passed))  # type: ignore[index]
    return found


def _current(model: Any) -> QuerySet:
    return model.objects.filter(valid_to__isnull=True)
