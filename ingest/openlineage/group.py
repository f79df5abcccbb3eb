"""Events that are stored in one transaction: merged with what is known, then, where that changed, the catalog.

What they name is looked up once for all of them, and what they only confirm is written once. An event that says
something new is brought into the catalog before the next is looked at, so that the state is the same as one by one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from catalog import search_index
from catalog.bulk import as_stored
from catalog.models import Run
from ingest.models import ReportedDataset, ReportedJob
from ingest.openlineage import facets as read
from ingest.openlineage import rows
from ingest.openlineage.assertions import store_assertions
from ingest.openlineage.bodies import canonical
from ingest.openlineage.counts import overwritten, store_metrics, store_run
from ingest.openlineage.events import Event, Name, moment_of, read_event
from ingest.openlineage.jobs import current_data, jobs_on, store_job
from ingest.openlineage.known import alias_of, is_dropped, the_datasets, the_jobs
from ingest.openlineage.merge import ABORTED, COMPLETED, FAILED, Offer, RunState, merged
from ingest.openlineage.secrets import redacted
from ingest.openlineage.tables import store_datasets

_STATES = {COMPLETED: Run.State.SUCCEEDED, FAILED: Run.State.FAILED, ABORTED: Run.State.ABORTED}


@dataclass(frozen=True)
class Received:
    """An event, the text that is kept of it, and the digest by which an equal one is known."""

    event: Event
    text: str
    digest: str


def received(data: Any) -> Received:
    """Read an event, given as JSON, and take secrets out. Raises BadEvent."""
    text = canonical(data)
    if (clean := redacted(data, text)) is not data:
        data, text = clean, canonical(clean)
    return Received(read_event(data), text, hashlib.sha256(text.encode()).hexdigest())


class Group:
    """Events, and all that they name, as far as it is stored; what is not written yet is in `_moved` and `_ran`."""

    def __init__(self, events: Sequence[Received]) -> None:
        self._events = events
        said = [each.event for each in events]
        self._jobs = the_jobs({event.job for event in said if event.job})
        self._datasets = the_datasets({name for event in said for name in event.names()})
        keys = {(self._jobs[event.job].pipeline_id, event.run) for event in said if event.job and event.run}
        self._runs = rows.find_runs(keys)
        self._moved: dict[ReportedJob | ReportedDataset, None] = {}
        self._ran: set[rows.RunKey] = set()
        self._unsettled: dict[ReportedJob, dt.datetime] = {}  # whose runs came anew or moved: since when
        self._checked = {dataset.pk for dataset in self._datasets.values() if dataset.is_checked}
        self._counted: set[rows.RunKey] = set()  # of which a check wants what they counted

    def store(self) -> list[bool]:
        """Store all of them; for each whether it was new. Raises BadEvent, and then nothing may be kept of any."""
        new = rows.insert_events(map(self._row, self._events))
        answers = []
        for each in self._events:
            answers.append(each.digest in new)
            new.discard(each.digest)  # an equal one that comes behind it is not new
        fresh = [each.event for each, is_new in zip(self._events, answers, strict=True) if is_new]
        for event in sorted(fresh, key=lambda event: event.at):  # what comes as it happened costs least
            self._store(event)
        self._settle()
        for pipeline, run in sorted(self._counted):
            store_run(pipeline, run, self._runs[pipeline, run][1])
        return answers

    def _row(self, each: Received) -> Sequence[Any]:
        event = each.event
        job = self._jobs[event.job].pk if event.job else None
        alone = None if job else self._datasets[event.outputs[0].name].pk
        when = as_stored(event.at), as_stored(timezone.now())
        return each.digest, event.kind, event.type, *when, event.producer, job, alone, event.run, each.text

    def _store(self, event: Event) -> None:
        changed = self._merge_datasets(event)
        job = self._jobs[event.job] if event.job else None
        job_changed = job is not None and self._merge_job(event, job)
        if job is not None and event.run and self._merge_run(event, job):
            self._unsettled[job] = event.at
        if changed or job_changed:
            job_changed |= job is not None and self._unsettled.pop(job, None) is not None
            self._settle()
            self._follow(changed, job if job_changed else None, event.at)
        store_assertions(event, self._datasets)
        store_metrics(event, self._datasets)

    def _merge_job(self, event: Event, job: ReportedJob) -> bool:
        """Whether anything that the event says of its job is new."""
        offers = event.job_offers()
        changed = merged(job.stamps, offers, event.micros)
        read.check_job(changed, "job.facets")
        if changed:
            job.facets = _laid_over(job.facets, changed)
            job.save(update_fields=["stamps", "facets"])
        elif offers:
            self._moved[job] = None
        return bool(changed)

    def _merge_datasets(self, event: Event) -> dict[ReportedDataset, set[str]]:
        """The datasets of which something is new, each with the facets that are."""
        aliases, offered = event.aliases, _offered(event)
        changes: dict[ReportedDataset, set[str]] = {}
        for name in {**offered, **aliases}:
            dataset = self._datasets[name]
            before = alias_of(dataset), is_dropped(dataset)
            offers, place = offered.get(name, ({}, ""))
            changed = merged(dataset.stamps, offers | aliases.get(name, {}), event.micros)
            read.check_dataset(changed, place)
            if changed:
                dataset.facets = _laid_over(dataset.facets, changed)
            if name in offered:
                dataset.seen_at = max(dataset.seen_at, event.micros)
            if changed or before != (alias_of(dataset), is_dropped(dataset)):
                changes[dataset] = set(changed)
                dataset.save(update_fields=["stamps", "facets", "seen_at"])
            else:
                self._moved[dataset] = None
        return changes

    def _merge_run(self, event: Event, job: ReportedJob) -> bool:
        """Whether what the job reads and writes may be another now."""
        key = job.pipeline_id, event.run
        outcome, state = self._runs.get(key) or ("", RunState())
        before = (state.started_at, outcome) if state.times else None
        _note(event, state, self._datasets)
        outcome = _outcome(state)
        self._runs[key] = outcome, state
        self._ran.add(key)
        if outcome == Run.State.SUCCEEDED and self._wants_counts(job, state):
            self._counted.add(key)
        else:
            self._counted.discard(key)
        data = state.data()
        as_known = job.data == data.listed()
        in_its_place = before is None or before in ((state.started_at, outcome), (state.started_at, Run.State.RUNNING))
        return bool(data) and not (as_known and in_its_place)

    def _wants_counts(self, job: ReportedJob, state: RunState) -> bool:
        """Whether a check may want what the run counted. Of datasets that no event here names that is not known."""
        if job.is_checked:
            return True
        here = {dataset.pk for dataset in self._datasets.values()}
        written = (int(pk) for pk, count in state.outputs.items() if count)
        return any(pk in self._checked or pk not in here for pk in written)

    def _settle(self) -> None:
        """Write all that is not written; what a job reads and writes may be another now."""
        self._write()
        for job, at in self._unsettled.items():
            if current_data(job).listed() != job.data:
                self._follow({}, job, at)
        self._unsettled.clear()

    def _write(self) -> None:
        """Write what events only confirmed, and runs."""
        rows.update_job_stamps(row for row in self._moved if isinstance(row, ReportedJob))
        rows.update_dataset_stamps(row for row in self._moved if isinstance(row, ReportedDataset))
        rows.save_runs((_run(key, self._runs[key][1]), self._runs[key][1]) for key in self._ran)
        self._moved.clear()
        self._ran.clear()

    def _follow(self, changed: Mapping[ReportedDataset, set[str]], job: ReportedJob | None, at: dt.datetime) -> None:
        """Bring the catalog up to date with datasets and a job that changed."""
        jobs = {job.pk: job} if job else {}
        if changed and (moved := store_datasets(changed)):
            mine = {mine.pk: mine for mine in self._jobs.values()}
            jobs |= {other.pk: mine.get(other.pk, other) for other in jobs_on(moved)}
            self._reread_tables()
        for _, each in sorted(jobs.items()):
            store_job(each, at)
        search_index.index("pipeline", [each.pipeline_id for each in jobs.values()])
        search_index.index("table", {dataset.table_id for dataset in changed})

    def _reread_tables(self) -> None:
        """A new name of one dataset can give another one another table."""
        tables = rows.tables_of(self._datasets.values())
        for dataset in self._datasets.values():
            if dataset.table_id != tables[dataset.pk]:
                dataset.table_id, dataset.is_checked = tables[dataset.pk], True  # perhaps
                self._checked.add(dataset.pk)


def _laid_over(facets: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**facets, **changed}.items() if value is not None}


def _offered(event: Event) -> dict[Name, tuple[dict[str, Offer], str]]:
    """What the event says of each dataset, which may stand among both its inputs and its outputs; and where."""
    offered: dict[Name, tuple[dict[str, Offer], str]] = {}
    for _, dataset in event.datasets():
        before, place = offered.get(dataset.name, ({}, f"{dataset.place}.facets"))
        offered[dataset.name] = (before | dataset.offers(beside_job=event.job is not None), place)
    return offered


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
        pk = datasets[dataset.name].pk
        state.note_data(side, pk, dataset.rows, event.micros)
        if side == "outputs" and dataset.is_overwritten:
            state.note_fact(overwritten(pk), True, event.micros)


def _outcome(state: RunState) -> Run.State:
    return _STATES[state.end[0]] if state.end else Run.State.RUNNING


def _run(key: rows.RunKey, state: RunState) -> Run:
    """A run as the catalog shows it, out of what is known of it."""
    end, outcome, nominal = state.end, _outcome(state), state.fact("nominal")
    return Run(
        pipeline_id=key[0],
        external_id=key[1],
        state=outcome,
        started_at=moment_of(state.started_at),
        ended_at=moment_of(end[1]) if end else None,
        rows_in=state.rows("inputs"),
        rows_out=state.rows("outputs"),
        nominal_at=dt.datetime.fromisoformat(nominal) if nominal else None,
        error=state.fact("error") or "" if outcome in (Run.State.FAILED, Run.State.ABORTED) else "",
        parent_id=state.fact("parent") or "",
    )
