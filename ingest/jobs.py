"""The work of ingest runs, by kind: done here (`perform`), or handed to another process (`start`), never in a request.

`start` is the only place that starts work. A run holds in `options` all that its work needs to know, so that it can be
taken up again: every ingest passes over what it has stored before.

What only one kind of work needs is imported when it begins: drivers of databases, arrays and graphs take half a second.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from audits.checks.models import WORST_FIRST, Check, State
from audits.checks.queries import checks, checks_of_table
from audits.checks.services import record_measured
from catalog import policy
from catalog.models import Source, Table, User
from catalog.policy import Action
from ingest.dbt.services import Ingested, ingest_dbt, scope_of
from ingest.models import IngestRun, IngestUpload
from ingest.openlineage.lines import Taken, take_file
from ingest.reading import Reading
from ingest.runs import Progress, Recorder, quiet, recorded, settle, wait_again
from ingest.services import Outcome, read_and_store
from ingest.settings import prepared
from ingest.uploads import check_upload, forget_old_uploads, laid_out
from ingest.workers import cores

if TYPE_CHECKING:
    from ingest.crawl import Crawled
    from ingest.query_logs import Imported

Work = Callable[[Mapping[str, Any], Recorder], Any]


def perform(run: IngestRun, show: Progress = quiet) -> Any:
    """Do a run's work in this process, on record; what its ingest answers and raises."""
    with recorded(run, show) as recorder, laid_out(run) as paths:
        return WORK[run.kind]({**run.options, **paths}, recorder)


def start(run: IngestRun) -> None:
    """Have a waiting run's work done by a Celery worker, or by a process of its own, which outlives this one."""
    if settings.CELERY_BROKER_URL:
        _send(run)
        return
    IngestRun.objects.filter(pk=run.pk).update(host=socket.gethostname(), seen_at=timezone.now())
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "ingest_run", str(run.pk)]
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    threading.Thread(target=process.wait, daemon=True).start()  # an ended child that nobody waits for stays a zombie


def _send(run: IngestRun) -> None:
    from celery import current_app
    from kombu.exceptions import OperationalError

    IngestRun.objects.filter(pk=run.pk).update(host="")  # any worker's
    try:
        current_app.send_task("ingest.run", [run.pk], retry_policy={"max_retries": 2})
    except OperationalError:
        error = "The broker at CELERY_BROKER_URL does not answer. Start it, then take this run up again."
        IngestRun.objects.filter(pk=run.pk).update(state=IngestRun.State.FAILED, ended_at=timezone.now(), error=error)


@transaction.atomic
def submit(
    *, actor: User | None, kind: str, scope: str, options: Mapping[str, Any], name: str, data: bytes
) -> IngestRun:
    """A new run, begun at once, that reads the file sent for it. PermissionDenied; ValidationError names the fix."""
    policy.require(actor, Action.EDIT)
    check_upload(kind, name, data)
    forget_old_uploads()
    told = {"allow_retire": False, "again": False, "jobs": cores(), **options, "upload": name}
    facts = {"kind": kind, "scope": scope[:1000], "actor_name": str(actor), "options": told}
    run = IngestRun.objects.create(**facts, state=IngestRun.State.WAITING)
    IngestUpload.objects.create(run=run, name=name[:255], data=data)
    transaction.on_commit(lambda: start(run))
    return run


@transaction.atomic
def start_crawl(*, actor: User | None, source: Source) -> IngestRun:
    """A new crawl of a source, begun at once. PermissionDenied; ValidationError names the fix."""
    from ingest.crawl import scope_of as scope_of_crawl

    policy.require(actor, Action.CONNECT)
    if not source.connection:
        raise ValidationError("This source names no connection. Edit it first.")
    settle()
    scope = scope_of_crawl(source)
    if IngestRun.objects.filter(kind="crawl", scope=scope, state__in=IngestRun.UNDER_WAY).exists():
        raise ValidationError("A crawl of this source is under way already.")
    told = {"source": source.slug, "jobs": cores(), "allow_retire": False}
    facts = {"kind": "crawl", "scope": scope, "actor_name": str(actor), "options": told}
    run = IngestRun.objects.create(**facts, state=IngestRun.State.WAITING)
    transaction.on_commit(lambda: start(run))
    return run


@transaction.atomic
def start_checks(*, actor: User | None, of: Check | Table) -> IngestRun:
    """A run of one check, or of all of a table that are measured here, begun at once; the one under way, if there is.

    PermissionDenied; ValidationError where there is nothing to run.
    """
    thing = of if isinstance(of, Table) else of.thing
    policy.require(actor, Action.EDIT, thing)
    if isinstance(of, Check) and not of.is_run_here:
        raise ValidationError("This check is measured elsewhere; its results arrive from there.")
    if isinstance(of, Table) and not _checks_run_here(of):
        raise ValidationError(f"No check of {of.name} is run here. Make one first.")
    settle()
    told = {of._meta.model_name: of.pk}
    under_way = IngestRun.objects.filter(kind=IngestRun.Kind.CHECKS, state__in=IngestRun.UNDER_WAY)
    for run in under_way:
        if run.options == told:
            return run
    scope = f"{thing}: {of.name}" if isinstance(of, Check) else f"{thing}: all its checks"
    facts = {"kind": IngestRun.Kind.CHECKS, "scope": scope[:1000], "actor_name": str(actor), "options": told}
    run = IngestRun.objects.create(**facts, state=IngestRun.State.WAITING)
    transaction.on_commit(lambda: start(run))
    return run


def _checks_run_here(table: Table) -> list[Check]:
    return [check for check in checks_of_table(table) if check.is_active and check.is_run_here]


@transaction.atomic
def resume(*, actor: User | None, run: IngestRun) -> None:
    """Take a run up where it ended early. PermissionDenied; ValidationError when it cannot be."""
    policy.require(actor, Action.EDIT)
    if not run.is_resumable and run.state in IngestRun.RESUMABLE:
        raise ValidationError("Nothing is on record of what this run was told. Start it anew.")
    if not wait_again(run):
        raise ValidationError(f"This run is {run.get_state_display().lower()}: there is nothing to take up.")
    transaction.on_commit(lambda: start(run))


def _repo(options: Mapping[str, Any], recorder: Recorder) -> Outcome:
    folder = Path(options["folder"])
    said, layout = prepared(folder, options)
    keys = ("jobs", "allow_retire", "again")
    return read_and_store(Reading(folder, layout, said), recorder, **{key: options[key] for key in keys})


def _query_log(options: Mapping[str, Any], recorder: Recorder) -> Imported:
    from ingest.log_options import asked_for
    from ingest.query_logs import import_log

    imported = import_log(asked_for(options), recorder)
    recorder.summary = imported.to_json() | {"notes": imported.notes}
    return imported


def _dbt(options: Mapping[str, Any], recorder: Recorder) -> Ingested:
    recorder.name_scope(scope_of(Path(options["target"])))
    results = options.get("run_results")
    return ingest_dbt(
        target=Path(options["target"]),
        recorder=recorder,
        source=options.get("source") or "",
        run_results=Path(results) if results else None,
        **{key: options[key] for key in ("jobs", "allow_retire", "again")},
    )


def _openlineage(options: Mapping[str, Any], recorder: Recorder) -> Taken:
    taken = take_file(Path(options["files"][0]), recorder)
    recorder.summary = taken.to_dict()
    return taken


def _crawl(options: Mapping[str, Any], recorder: Recorder) -> Crawled:
    from ingest.crawl import crawl_source

    source = Source.objects.get(slug=options["source"])
    return crawl_source(source, recorder, jobs=options["jobs"], allow_retire=options["allow_retire"])


def _checks(options: Mapping[str, Any], recorder: Recorder) -> None:
    from audits.checks.run import run as run_checks

    if "table" in options:
        asked = _checks_run_here(Table.objects.get(pk=options["table"]))
    else:
        asked = [checks().get(pk=options["check"])]
    states: list[State] = []
    for measured in run_checks(asked):
        record_measured(measured)
        states.append(State(measured.state))
    recorder.summary = {"state": min(states, key=WORST_FIRST.index), "checks": len(states)} if states else {}


WORK: dict[str, Work] = {
    "checks": _checks,
    "crawl": _crawl,
    "dbt": _dbt,
    "openlineage": _openlineage,
    "query_log": _query_log,
    "repo": _repo,
}
