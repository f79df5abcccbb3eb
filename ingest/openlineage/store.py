"""One event into the database, in one transaction: merged with what is known, then, where that changed, the catalog.

An event that says nothing new of its job and datasets, which is nearly every one, costs a fixed handful of queries.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from catalog import search_index
from catalog.bulk import as_stored
from catalog.models import Run
from ingest.models import ReportedDataset, ReportedJob
from ingest.openlineage import facets as read
from ingest.openlineage.assertions import store_assertions
from ingest.openlineage.bodies import canonical
from ingest.openlineage.events import Event, Name, moment_of, read_event
from ingest.openlineage.jobs import jobs_on, store_job
from ingest.openlineage.known import alias_of, is_dropped, the_datasets, the_job
from ingest.openlineage.merge import ABORTED, COMPLETED, FAILED, Offer, RunState, merged
from ingest.openlineage.rows import find_run, insert_event, save_run, update_dataset_stamps, update_job_stamps
from ingest.openlineage.secrets import redacted
from ingest.openlineage.tables import store_datasets

_TRIES = 4  # of a transaction that another one stood in the way of
_STATES = {COMPLETED: Run.State.SUCCEEDED, FAILED: Run.State.FAILED, ABORTED: Run.State.ABORTED}
_one_writer = threading.Lock()


def take(data: Any) -> bool:
    """Store one event, given as JSON, and all that it says; whether it was new. Raises BadEvent.

    All of it is stored or nothing, and the same event again changes nothing.
    """
    with _writing():
        return _take(data)


def _take(data: Any) -> bool:
    text = canonical(data)
    if (clean := redacted(data, text)) is not data:
        data, text = clean, canonical(clean)
    event = read_event(data)
    for tries_left in reversed(range(_TRIES)):
        try:
            with transaction.atomic():
                return _store(event, text)
        except (OperationalError, IntegrityError):
            # PostgreSQL ends one of two transactions that wait for each other, or that make the same thing.
            if not tries_left or connection.vendor != "postgresql":
                raise
    return False


def _writing() -> AbstractContextManager[Any]:
    """SQLite takes one writer at a time, and its own way of waiting lets some wait for ever where many do.

    Held from the first look at an event on: threads that work at their own events meanwhile would take the interpreter
    from the one that writes, at each of its statements.
    """
    return _one_writer if connection.vendor == "sqlite" else nullcontext()


def _store(event: Event, text: str) -> bool:
    job = the_job(event.job) if event.job else None
    datasets = the_datasets({dataset.name for _, dataset in event.datasets()}) if event.has_datasets else {}
    if not _keep(event, text, job, datasets):
        return False
    changed = _merge_datasets(event, datasets)
    job_changed = job is not None and _merge_job(event, job)
    if job is not None and event.run:
        job_changed |= _merge_run(event, job, datasets)
    jobs = {job.pk: job} if job is not None and job_changed else {}
    if changed and (moved := store_datasets(changed)):
        jobs |= {other.pk: other for other in jobs_on(moved) if job is None or other.pk != job.pk or not job_changed}
    for _, each in sorted(jobs.items()):
        store_job(each, event.at)
    store_assertions(event, datasets)
    search_index.index("pipeline", [each.pipeline_id for each in jobs.values()])
    search_index.index("table", {dataset.table_id for dataset in changed})
    return True


def _keep(event: Event, text: str, job: ReportedJob | None, datasets: Mapping[Name, ReportedDataset]) -> bool:
    """Keep the event itself; False where it is known already."""
    alone = None if job else datasets[event.outputs[0].name].pk
    values = (
        *(hashlib.sha256(text.encode()).hexdigest(), event.kind, event.type, as_stored(event.at)),
        *(as_stored(timezone.now()), event.producer, job and job.pk, alone, event.run, text),
    )
    return insert_event(values)


def _merge_job(event: Event, job: ReportedJob) -> bool:
    """Whether anything that the event says of its job is new."""
    offers = event.job_offers()
    changed = merged(job.stamps, offers, event.micros)
    read.check_job(changed, "job.facets")
    if changed:
        job.facets = _laid_over(job.facets, changed)
        job.save(update_fields=["stamps", "facets"])
    elif offers:
        update_job_stamps(job)
    return bool(changed)


def _laid_over(facets: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**facets, **changed}.items() if value is not None}


def _merge_datasets(event: Event, datasets: Mapping[Name, ReportedDataset]) -> dict[ReportedDataset, set[str]]:
    """The datasets of which something is new, each with the facets that are."""
    aliases = _aliases(event)
    named = {**datasets, **(the_datasets(others) if (others := aliases.keys() - datasets.keys()) else {})}
    offered = _offered(event) if event.has_datasets else {}
    changes: dict[ReportedDataset, set[str]] = {}
    for name, dataset in named.items():
        before = alias_of(dataset), is_dropped(dataset)
        offers, place = offered.get(name, ({}, ""))
        changed = merged(dataset.stamps, offers | aliases.get(name, {}), event.micros)
        read.check_dataset(changed, place)
        if changed:
            dataset.facets = _laid_over(dataset.facets, changed)
        if name in datasets:
            dataset.seen_at = max(dataset.seen_at, event.micros)
        if changed or before != (alias_of(dataset), is_dropped(dataset)):
            changes[dataset] = set(changed)
    for dataset in changes:
        dataset.save(update_fields=["stamps", "facets", "seen_at"])
    update_dataset_stamps(dataset for dataset in named.values() if dataset not in changes)
    return changes


def _offered(event: Event) -> dict[Name, tuple[dict[str, Offer], str]]:
    """What the event says of each dataset, which may stand among both its inputs and its outputs; and where."""
    offered: dict[Name, tuple[dict[str, Offer], str]] = {}
    for _, dataset in event.datasets():
        before, place = offered.get(dataset.name, ({}, f"{dataset.place}.facets"))
        offered[dataset.name] = (before | dataset.offers(beside_job=event.job is not None), place)
    return offered


def _aliases(event: Event) -> dict[Name, dict[str, Offer]]:
    """Datasets that the event says to be known by another name: the register @alias of each."""
    aliases: dict[Name, dict[str, Offer]] = {}
    for _, dataset in event.datasets():
        if "symlinks" in dataset.facets:
            aliases |= _symlinked(dataset.name, dataset.facets["symlinks"], f"{dataset.place}.facets.symlinks")
        if "lifecycleStateChange" in dataset.facets:
            place = f"{dataset.place}.facets.lifecycleStateChange"
            change = read.lifecycle(dataset.facets["lifecycleStateChange"], place)
            if change and change.previous and change.previous != dataset.name:
                aliases[change.previous] = {"@alias": Offer.of(["rename", *dataset.name])}
    return aliases


def _symlinked(name: Name, facet: Any, place: str) -> dict[Name, dict[str, Offer]]:
    """A dataset goes by its name in a catalog (TABLE); where it lies (LOCATION) goes by the dataset's name."""
    others = [(other, sort) for other, sort in read.symlinks(facet, place) if other != name]
    aliases = {other: {"@alias": Offer.of(["symlink", *name])} for other, sort in others if sort == "LOCATION"}
    if tables := [other for other, sort in others if sort != "LOCATION"]:
        aliases[name] = {"@alias": Offer.of(["symlink", *min(tables)])}
    return aliases


def _merge_run(event: Event, job: ReportedJob, datasets: Mapping[Name, ReportedDataset]) -> bool:
    """Whether what the job reads and writes may be another now."""
    known = find_run(job.pipeline_id, event.run)
    outcome, state = known or ("", RunState())
    before = (state.started_at, outcome) if state.times else None
    _note(event, state, datasets)
    run = Run(pipeline_id=job.pipeline_id, external_id=event.run)
    _fill(run, state)
    save_run(run, state)
    data = state.data()
    as_known = job.data == {"inputs": sorted(data.inputs), "outputs": sorted(data.outputs)}
    in_its_place = before is None or before in ((state.started_at, run.state), (state.started_at, Run.State.RUNNING))
    return bool(data) and not (as_known and in_its_place)


def _note(event: Event, state: RunState, datasets: Mapping[Name, ReportedDataset]) -> None:
    state.note_event(event.type, event.micros)
    nominal, parent = read.nominal_start(event.run_facets), read.parent_of(event.run_facets)
    facts = {
        "nominal": nominal and nominal.isoformat(),
        "error": read.error_message(event.run_facets)[:20_000],
        "parent": parent and parent.run,
    }
    for name, value in facts.items():
        if value:
            state.note_fact(name, value, event.micros)
    for side, dataset in event.datasets():
        state.note_data(side, datasets[dataset.name].pk, dataset.rows, event.micros)


def _fill(run: Run, state: RunState) -> None:
    """A run as the catalog shows it, out of what is known of it."""
    end = state.end
    run.state = _STATES[end[0]] if end else Run.State.RUNNING
    run.started_at, run.ended_at = moment_of(state.started_at), moment_of(end[1]) if end else None
    run.rows_in, run.rows_out = state.rows("inputs"), state.rows("outputs")
    nominal = state.fact("nominal")
    run.nominal_at = dt.datetime.fromisoformat(nominal) if nominal else None
    run.error = state.fact("error") or "" if run.state in (Run.State.FAILED, Run.State.ABORTED) else ""
    run.parent_id = state.fact("parent") or ""
