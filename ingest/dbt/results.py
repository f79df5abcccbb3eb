"""What dbt's last command did, out of `run_results.json`: runs of pipelines, and results of tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils.dateparse import parse_datetime

from catalog.models import Pipeline, Run
from ingest.dbt.json_files import check_nesting, items, part

FILE = "run_results.json"
_RUNS = ("build", "run", "seed", "snapshot", "retry", "clone", "run-operation")
_STATES = {"success": "succeeded", "error": "failed", "runtime error": "failed", "partial success": "failed"}


@dataclass(frozen=True, slots=True)
class Result:
    """How one node of one invocation went."""

    invocation: str
    node: str
    status: str
    started_at: dt.datetime
    ended_at: dt.datetime
    rows: int | None
    failures: int | None
    message: str


def read_results(path: Path) -> list[Result]:
    """The results of an invocation that ran something; none where it only compiled. Raises BadArtifact."""
    check_nesting(path)
    which = part(path, "args").get("which")
    if which is not None and which not in (*_RUNS, "test"):
        return []
    metadata = part(path, "metadata")
    invocation, written = str(metadata.get("invocation_id") or ""), moment(metadata.get("generated_at"))
    if not invocation or written is None:
        return []
    return [_result(invocation, written, data) for data in items(path, "results")]


def store_runs(results: Iterable[Result]) -> int:
    """Runs of the pipelines that were executed, each once however often it is read; how many."""
    ran = [result for result in results if result.status in _STATES]
    pipelines = Pipeline.objects.in_bulk([result.node for result in ran], field_name="name")
    runs = [_run(result, pipelines[result.node]) for result in ran if result.node in pipelines]
    Run.objects.bulk_create(
        runs,
        update_conflicts=True,
        unique_fields=["pipeline", "external_id"],
        update_fields=["state", "started_at", "ended_at", "rows_out", "error"],
        batch_size=500,
    )
    return len(runs)


def _run(result: Result, pipeline: Pipeline) -> Run:
    state = _STATES[result.status]
    return Run(
        pipeline=pipeline,
        external_id=result.invocation[:200],
        state=state,
        started_at=result.started_at,
        ended_at=result.ended_at,
        rows_out=result.rows,
        error=result.message if state == "failed" else "",
    )


def _result(invocation: str, written: dt.datetime, data: Mapping[str, Any]) -> Result:
    steps = [step for step in data.get("timing") or () if isinstance(step, dict)]
    begun = [at for step in steps if (at := moment(step.get("started_at")))]
    ended = [at for step in steps if (at := moment(step.get("completed_at")))]
    answer = data.get("adapter_response")
    return Result(
        invocation=invocation,
        node=str(data.get("unique_id") or ""),
        status=str(data.get("status") or "").lower(),
        started_at=min(begun, default=written),
        ended_at=max((*begun, *ended), default=written),
        rows=_count(answer.get("rows_affected")) if isinstance(answer, dict) else None,
        failures=_count(data.get("failures")),
        message=str(data.get("message") or ""),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else None


def moment(text: Any) -> dt.datetime | None:
    """A time as dbt writes it, in UTC where it names no zone; None for anything else."""
    try:
        found = parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=dt.UTC) if found and found.tzinfo is None else found
