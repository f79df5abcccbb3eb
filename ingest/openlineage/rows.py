"""The statements that every event costs, written out.

Composing them by the ORM takes several times as long as the database takes to answer; all else in this package, which
runs only where something is new, is left to the ORM.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Model

from catalog.bulk import as_stored, chunks
from catalog.models import Run
from ingest.models import LineageEvent, ReportedDataset, ReportedJob, ReportedRun
from ingest.openlineage.merge import RunState

Name = tuple[str, str]


def _table(model: type[Model]) -> str:
    return f'"{model._meta.db_table}"'


_HELD = {"postgresql": " FOR UPDATE"}  # SQLite has one writer at a time anyway
_JOB = (
    f"SELECT id, namespace, name, pipeline_id, stamps, data FROM {_table(ReportedJob)} WHERE namespace = %s"
    " AND name = %s"
)
_DATASETS = f"SELECT id, namespace, name, table_id, seen_at, stamps FROM {_table(ReportedDataset)} WHERE "
_INSERT_EVENT = (
    f"INSERT INTO {_table(LineageEvent)} (digest, kind, event_type, event_time, received_at, producer, job_id,"
    " dataset_id, run_id, body) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (digest) DO NOTHING"
)
_UPDATE_JOB = f"UPDATE {_table(ReportedJob)} SET stamps = %s WHERE id = %s"
_UPDATE_DATASET = f"UPDATE {_table(ReportedDataset)} SET stamps = %s, seen_at = %s WHERE id = %s"
_RUN = (
    f"SELECT r.state, s.state FROM {_table(Run)} r LEFT JOIN {_table(ReportedRun)} s ON s.run_id = r.id"
    " WHERE r.pipeline_id = %s AND r.external_id = %s"
)
_RUN_FIELDS = (
    *("pipeline_id", "external_id", "state", "nominal_at", "started_at", "ended_at", "rows_in", "rows_out", "error"),
    "parent_id",
)
_UPSERT_RUN = (
    f"INSERT INTO {_table(Run)} ({', '.join(_RUN_FIELDS)}) VALUES ({', '.join(['%s'] * len(_RUN_FIELDS))})"
    " ON CONFLICT (pipeline_id, external_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _RUN_FIELDS[2:])
    + " RETURNING id"
)
_UPSERT_STATE = (
    f"INSERT INTO {_table(ReportedRun)} (run_id, state) VALUES (%s, %s) ON CONFLICT (run_id) DO UPDATE SET state ="
    " excluded.state"
)


def find_job(name: Name) -> ReportedJob | None:
    """The job of that name, held until the transaction ends; its `facets` stay unread."""
    return next(iter(ReportedJob.objects.raw(_JOB + _HELD.get(connection.vendor, ""), name)), None)


def find_datasets(names: Iterable[Name]) -> dict[Name, ReportedDataset]:
    """The datasets of those names that are known, held, and by all in the same order; their `facets` stay unread."""
    found: dict[Name, ReportedDataset] = {}
    for part in chunks(sorted(names), 400):
        wanted = " OR ".join(["(namespace = %s AND name = %s)"] * len(part))
        sql = f"{_DATASETS}{wanted} ORDER BY id{_HELD.get(connection.vendor, '')}"
        rows = ReportedDataset.objects.raw(sql, [word for name in part for word in name])
        found |= {(row.namespace, row.name): row for row in rows}
    return found


def insert_event(values: Sequence[Any]) -> bool:
    """Keep an event; False where an equal one is kept already."""
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_EVENT, values)
        return bool(cursor.rowcount)


def update_job_stamps(job: ReportedJob) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE_JOB, (json.dumps(job.stamps), job.pk))


def update_dataset_stamps(datasets: Iterable[ReportedDataset]) -> None:
    rows = [(json.dumps(dataset.stamps), dataset.seen_at, dataset.pk) for dataset in datasets]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_UPDATE_DATASET, rows)


def find_run(pipeline: int, external_id: str) -> tuple[str, RunState] | None:
    """A run's state in the catalog, and all that events have said of it; None for one that is new."""
    with connection.cursor() as cursor:
        cursor.execute(_RUN, (pipeline, external_id))
        row = cursor.fetchone()
    if row is None:
        return None
    outcome, state = row
    return outcome, RunState(**json.loads(state)) if state else RunState()


def save_run(run: Run, state: RunState) -> None:
    """Write a run, new or known, with what events have said of it."""
    values = [_as_stored(getattr(run, name)) for name in _RUN_FIELDS]
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT_RUN, values)
        (run.pk,) = cursor.fetchone()
        cursor.execute(_UPSERT_STATE, (run.pk, json.dumps(state.to_json())))


def _as_stored(value: Any) -> Any:
    return as_stored(value) if isinstance(value, dt.datetime) else value
