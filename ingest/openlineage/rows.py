"""The statements that every group of events costs, written out.

Composing them by the ORM takes several times as long as the database takes to answer; all else in this package, which
runs only where something is new, is left to the ORM.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model

from audits.checks.models import Check
from catalog.bulk import as_stored, chunks, update_rows
from catalog.models import Run
from ingest.models import LineageEvent, ReportedDataset, ReportedJob, ReportedRun
from ingest.openlineage.counts import OF_PIPELINES, OF_TABLES
from ingest.openlineage.merge import RunState

Name = tuple[str, str]
RunKey = tuple[int, str]  # pipeline and id of the run
NamedRow = TypeVar("NamedRow", ReportedJob, ReportedDataset)


def _table(model: type[Model]) -> str:
    return f'"{model._meta.db_table}"'


_HELD = {"postgresql": " FOR UPDATE OF r"}  # SQLite has one writer at a time anyway


def _has_checks(of: str, kinds: Sequence[str]) -> str:
    """Whether somebody made a check that wants what events count, asked with the rest."""
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    return f"EXISTS (SELECT 1 FROM {_table(Check)} c WHERE c.{of} = r.{of} AND c.is_active AND c.kind IN ({listed}))"


_JOBS = (
    f"SELECT id, namespace, name, pipeline_id, stamps, data, {_has_checks('pipeline_id', OF_PIPELINES)} AS is_checked"
    f" FROM {_table(ReportedJob)} r"
)
_DATASETS = (
    f"SELECT id, namespace, name, table_id, seen_at, stamps, {_has_checks('table_id', OF_TABLES)} AS is_checked"
    f" FROM {_table(ReportedDataset)} r"
)
_EVENT_FIELDS = (
    *("digest", "kind", "event_type", "event_time", "received_at", "producer", "job_id", "dataset_id", "run_id"),
    "body",
)
_RUNS = (
    f"SELECT r.pipeline_id, r.external_id, r.state, s.state FROM {_table(Run)} r LEFT JOIN {_table(ReportedRun)} s"
    " ON s.run_id = r.id WHERE "
)
_NEWEST_RUNS = (
    f"SELECT r.state, s.state FROM {_table(Run)} r JOIN {_table(ReportedRun)} s ON s.run_id = r.id"
    " WHERE r.pipeline_id = %s ORDER BY r.started_at DESC, r.external_id DESC LIMIT %s"
)
_RUN_FIELDS = (
    *("pipeline_id", "external_id", "state", "nominal_at", "started_at", "ended_at", "rows_in", "rows_out", "error"),
    "parent_id",
)
_AS_NEW = ", ".join(f"{name} = excluded.{name}" for name in _RUN_FIELDS[2:])
_AT_ONCE = 90  # rows in one statement, so that it holds fewer than 1,000 values


def find_jobs(names: Iterable[Name]) -> dict[Name, ReportedJob]:
    """The jobs of those names that are known, held until the transaction ends, and by all in the same order; their
    `facets` stay unread, and `is_checked` says whether a check of theirs takes what their runs count."""
    return _named(ReportedJob, _JOBS, names)


def find_datasets(names: Iterable[Name]) -> dict[Name, ReportedDataset]:
    """The same for datasets."""
    return _named(ReportedDataset, _DATASETS, names)


def _named(model: type[NamedRow], select: str, names: Iterable[Name]) -> dict[Name, NamedRow]:
    found: dict[Name, NamedRow] = {}
    for part in chunks(sorted(names), 400):
        wanted = " OR ".join(["(namespace = %s AND name = %s)"] * len(part))
        sql = f"{select} WHERE {wanted} ORDER BY id{_HELD.get(connection.vendor, '')}"
        rows = model._default_manager.raw(sql, [word for name in part for word in name])
        found |= {(row.namespace, row.name): row for row in rows}
    return found


def tables_of(datasets: Iterable[ReportedDataset]) -> dict[int, int]:
    """The table that each dataset is now, by ids."""
    ids = [dataset.pk for dataset in datasets]
    return dict(ReportedDataset.objects.filter(pk__in=ids).order_by().values_list("pk", "table"))


def insert_events(rows: Iterable[Sequence[Any]]) -> set[str]:
    """Keep events, given as values of `_EVENT_FIELDS`; digests of those of which no equal one was kept already."""
    end = "ON CONFLICT (digest) DO NOTHING RETURNING digest"
    return {digest for (digest,) in _insert(LineageEvent, _EVENT_FIELDS, rows, end)}


def _insert(
    model: type[Model], fields: Sequence[str], rows: Iterable[Sequence[Any]], end: str
) -> Iterator[tuple[Any, ...]]:
    """Insert rows, many in a statement that ends so; what it returns."""
    marks = f"({', '.join(['%s'] * len(fields))})"
    for part in chunks(rows, _AT_ONCE):
        values = ", ".join([marks] * len(part))
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {_table(model)} ({', '.join(fields)}) VALUES {values} {end}",
                [value for row in part for value in row],
            )
            yield from cursor.fetchall()


def update_job_stamps(jobs: Iterable[ReportedJob]) -> None:
    update_rows(ReportedJob, ["stamps"], [(job.pk, json.dumps(job.stamps)) for job in jobs])


def update_dataset_stamps(datasets: Iterable[ReportedDataset]) -> None:
    rows = [(dataset.pk, json.dumps(dataset.stamps), dataset.seen_at) for dataset in datasets]
    update_rows(ReportedDataset, ["stamps", "seen_at"], rows)


def find_runs(keys: Iterable[RunKey]) -> dict[RunKey, tuple[str, RunState]]:
    """Of runs that are known, their state in the catalog, and all that events have said of them."""
    found: dict[RunKey, tuple[str, RunState]] = {}
    for part in chunks(keys, 400):
        wanted = " OR ".join(["(r.pipeline_id = %s AND r.external_id = %s)"] * len(part))
        with connection.cursor() as cursor:
            cursor.execute(_RUNS + wanted, [value for key in part for value in key])
            for pipeline, run, outcome, state in cursor.fetchall():
                found[pipeline, run] = outcome, RunState(**json.loads(state)) if state else RunState()
    return found


def newest_runs(pipeline: int, most: int) -> Iterator[tuple[str, RunState]]:
    """Runs that events told of, the last started first: the state in the catalog, and all that was said."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_RUNS, (pipeline, most))
        for outcome, state in cursor:
            yield outcome, RunState(**json.loads(state))


def save_runs(runs: Iterable[tuple[Run, RunState]]) -> None:
    """Write runs, new or known, each once, with what events have said of them."""
    states = {(run.pipeline_id, run.external_id): (run, state) for run, state in runs}
    rows = [[_as_stored(getattr(run, name)) for name in _RUN_FIELDS] for run, _ in states.values()]
    end = f"ON CONFLICT (pipeline_id, external_id) DO UPDATE SET {_AS_NEW} RETURNING id, pipeline_id, external_id"
    ids = {(pipeline, run): pk for pk, pipeline, run in _insert(Run, _RUN_FIELDS, rows, end)}
    said = [(ids[key], json.dumps(state.to_json())) for key, (_, state) in states.items()]
    end = "ON CONFLICT (run_id) DO UPDATE SET state = excluded.state RETURNING run_id"
    list(_insert(ReportedRun, ("run_id", "state"), said, end))


def _as_stored(value: Any) -> Any:
    return as_stored(value) if isinstance(value, dt.datetime) else value
