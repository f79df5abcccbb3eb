"""What runs counted, as results of checks that are there; no check is made of it.

A run tells how many rows it read and wrote, and a data quality facet what a table held when somebody looked. Counted
are whole tables: a check of a part of one (`where`) takes none of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Q

from audits.checks.kinds import COUNTS_ROWS, BadParameters, InOutRatio, NotNull, Parameters, UniqueKey
from audits.checks.models import Check, State
from audits.checks.services import record_result
from catalog.models import Pipeline
from ingest.models import ReportedDataset
from ingest.openlineage import facets as read
from ingest.openlineage.events import Event, Name, at_last_now, moment_of
from ingest.openlineage.facets import Metrics
from ingest.openlineage.merge import RunState
from lineage.models import SqlVersion

METRICS = "dataQualityMetrics"
REPORTED_BY = "openlineage"
FULL_REFRESH = Pipeline.LoadStrategy.FULL_REFRESH
_ROWS = [kind.kind for kind in COUNTS_ROWS]
OF_TABLES = (*_ROWS, NotNull.kind, UniqueKey.kind)  # kinds of check that can take a result from events
OF_PIPELINES = (InOutRatio.kind,)

Typed = tuple[Check, Parameters]


def store_metrics(event: Event, datasets: Mapping[Name, ReportedDataset]) -> None:
    """Give the checks of tables what the event says that they hold. No query where none has such a check."""
    for _, dataset in event.datasets():
        row = datasets[dataset.name]
        if METRICS not in dataset.facets or not row.is_checked:
            continue
        found = read.metrics(dataset.facets[METRICS], f"{dataset.place}.facets.{METRICS}")
        at = at_last_now(event.at)
        for check, typed in _typed(Q(table=row.table_id, kind__in=OF_TABLES)):
            value = _measured(typed, found)
            if value is not None:
                key = f"{REPORTED_BY} {event.run} {event.at.isoformat()}"
                record_result(actor=None, check=check, at=at, key=key, value=value, reported_by=REPORTED_BY)


def _measured(parameters: Parameters, found: Metrics) -> int | None:
    """What metrics say of what a check measures; None where they do not say it for certain."""
    match parameters:
        case NotNull():
            return found.column(parameters.column).nulls
        case UniqueKey(columns=(name,)):
            column = found.column(name)
            if found.rows is None or column.distinct is None:
                return None
            if column.nulls is None:  # whether one of the repeated keys is NULL, which distinct values leave out
                return 0 if column.distinct == found.rows else None
            return found.rows - column.distinct - (column.nulls > 0)
        case UniqueKey():
            return None
    return found.rows


def store_run(pipeline: int, run: str, state: RunState) -> None:
    """Give checks what a run that succeeded counted: the rows of tables that it wrote whole, and rows out for rows in.

    What is known of a run changes with each event that comes, in any order: its results are those of all together.
    """
    assert state.end is not None  # it succeeded
    at = at_last_now(moment_of(state.end[1]))
    tables = ReportedDataset.objects.select_related("table__source").in_bulk(map(int, {*state.inputs, *state.outputs}))
    read_rows, written = (_by_table(side, tables) for side in (state.inputs, state.outputs))
    whole = _written_whole(pipeline, state, tables)
    of_tables = Q(table__in=whole, kind__in=_ROWS)
    for check, typed in _typed(of_tables | Q(pipeline=pipeline, kind__in=OF_PIPELINES)):
        if isinstance(typed, InOutRatio):
            facts = _ratio(typed, read_rows, written)
        else:
            facts = {"value": written.get(_name(check.thing))}
        if facts.get("value") is not None or facts.get("state"):
            known_by = {"key": f"{REPORTED_BY} {run}", "reported_by": REPORTED_BY, "replaces": True}
            record_result(actor=None, check=check, at=at, **known_by, **facts)


def _typed(wanted: Q) -> Iterator[Typed]:
    """Checks of whole things with their parameters; of one that cannot be read nothing can be said."""
    for check in Check.objects.filter(wanted, is_active=True).select_related("table__source", "pipeline", "owner"):
        try:
            typed = check.typed
        except BadParameters:
            continue
        if not getattr(typed, "where", ""):
            yield check, typed


def _by_table(counted: Mapping[str, list[Any]], datasets: Mapping[int, ReportedDataset]) -> dict[str, int]:
    """The newest count of each table, whatever the number of its names."""
    newest = sorted((count, int(pk)) for pk, count in counted.items() if count)
    return {_name(datasets[pk].table): rows for (_, rows), pk in newest}


def _name(table: Any) -> str:
    """A table as parameters of checks name it."""
    return f"{table.source.slug}:{table.name}"


def _written_whole(pipeline: int, state: RunState, datasets: Mapping[int, ReportedDataset]) -> set[int]:
    """Tables of which the run wrote all rows: it made or overwrote them, or its pipeline always does."""
    outputs = {int(pk) for pk in state.outputs}
    if not _refreshes(pipeline):
        outputs = {pk for pk in outputs if state.fact(overwritten(pk))}
    return {datasets[pk].table_id for pk in outputs}


def overwritten(dataset: int) -> str:
    """The fact of a run that it wrote this dataset anew."""
    return f"overwrites {dataset}"


def _refreshes(pipeline: int) -> bool:
    """Whether a pipeline's SQL, or else what is declared of it, says that it builds its tables anew."""
    version = SqlVersion.objects.filter(pipeline=pipeline, valid_to=None).order_by("-pk").first()
    shown = (version.practices or {}).get("load_strategy", "unknown") if version else "unknown"
    if shown != "unknown":
        return shown == FULL_REFRESH
    return Pipeline.objects.filter(pk=pipeline, load_strategy=FULL_REFRESH).exists()


def _ratio(typed: InOutRatio, rows_in: Mapping[str, int], rows_out: Mapping[str, int]) -> dict[str, Any]:
    into, out_of = rows_in.get(typed.input), rows_out.get(typed.output)
    if into is None or out_of is None:
        return {}
    if into == 0:
        return {"state": State.ERROR, "words": f"The run read no rows of {typed.input}, so there is no ratio."}
    return {"value": out_of / into}
