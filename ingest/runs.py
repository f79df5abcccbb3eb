"""The record of an ingest run: how far it is, for everybody to see, whether it lives, and how it ended.

Whoever does the work holds the run's lock (`recorded`), so that a killed one is known at once: on PostgreSQL from every
machine, else from its own, while another knows it by its silence. A run is cancelled by a word in its row, which it
reads as it goes.
"""

from __future__ import annotations

import datetime as dt
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from catalog import policy
from catalog.models import User
from catalog.policy import Action
from ingest.locks import are_shared, held, held_among
from ingest.models import IngestRun, IngestUpload
from ingest.uploads import with_own_names

State = IngestRun.State
Progress = Callable[[str, int, int], None]  # (step, done, of)
_SECONDS_BETWEEN_WORDS = 0.5
_SILENCE = dt.timedelta(minutes=15)  # of another machine, after which its run counts as interrupted
_START = dt.timedelta(minutes=2)  # for a process of this machine to begin
_MAX_ERROR = 2000


class NotWaiting(Exception):
    """Another process has done this run meanwhile, or a person has stopped it."""


class Cancelled(Exception):
    """A person asked this run to stop."""


def quiet(step: str, done: int, of: int) -> None:
    """Progress that nobody watches."""


class Recorder:
    """Progress that goes into the run's row as well; `summary` is what came of the run.

    It writes twice a second at most, and raises Cancelled where a person asked the run to stop: call it outside of
    transactions.
    """

    def __init__(self, run: IngestRun, show: Progress) -> None:
        self.run, self._show = run, show
        self.summary: dict[str, Any] = {}
        self._step, self._next = "", 0.0

    def name_scope(self, scope: str) -> None:
        """Say what is read, where only the reading tells."""
        if scope != self.run.scope:
            self.run.scope = scope
            self.run.save(update_fields=["scope"])

    def __call__(self, step: str, done: int, of: int) -> None:
        self._show(step, done, of)
        now = time.monotonic()
        if step == self._step and now < self._next:
            return
        self._step, self._next = step, now + _SECONDS_BETWEEN_WORDS
        row = IngestRun.objects.filter(pk=self.run.pk)
        row.update(step=step, done=done, total=of, seen_at=timezone.now())
        if row.filter(state=State.CANCELLING).exists():
            raise Cancelled("A person cancelled this run.")


@contextmanager
def recorded(run: IngestRun, show: Progress = quiet) -> Iterator[Recorder]:
    """Do a run's work inside: from here the run is running, and its row says how it ended.

    A waiting run is begun once, however many processes were sent to do it: the others get NotWaiting.
    """
    if run.pk is None:
        run.save()
    with held(_lock(run)):
        settle()
        _begin(run)
        recorder = Recorder(run, show)
        try:
            yield recorder
        except Cancelled:
            _end(run, State.CANCELLED)
            raise
        except Exception as error:
            _end(run, State.FAILED, error=(str(error) or type(error).__name__)[:_MAX_ERROR])
            raise
        except BaseException:
            _end(run, State.INTERRUPTED, error="It was ended from outside before it was done.")
            raise
        else:
            _end(run, State.DONE, summary=recorder.summary)


def _begin(run: IngestRun) -> None:
    waiting = IngestRun.objects.filter(pk=run.pk, state=State.WAITING)
    if run.state == State.WAITING and not waiting.update(state=State.RUNNING):
        raise NotWaiting(f"Ingest run {run.pk} does not wait to be done any more.")
    _set(run, State.RUNNING, host=socket.gethostname(), seen_at=timezone.now(), ended_at=None, error="")


def settle() -> None:
    """Take down runs whose process is gone as interrupted. Two queries, and one for each state that was wrong."""
    now, found = timezone.now(), list(IngestRun.objects.filter(state__in=IngestRun.UNDER_WAY))
    gone: dict[str, list[int]] = {}
    for run in _without_life(found, now):
        gone.setdefault(run.state, []).append(run.pk)
    for state, ids in gone.items():
        end = State.CANCELLED if state == State.CANCELLING else State.INTERRUPTED
        facts = {"ended_at": Coalesce(F("seen_at"), now), "error": "Its process was gone before it was done."}
        IngestRun.objects.filter(pk__in=ids, state=state).update(state=end, **facts)


def _without_life(found: list[IngestRun], now: dt.datetime) -> Iterator[IngestRun]:
    """Of runs that say they are under way, those whose process is gone, as far as this machine can tell."""
    host = socket.gethostname()
    held = held_among([_lock(run) for run in found if are_shared() or run.host == host])
    for run in found:
        silence = now - (run.seen_at or run.started_at)
        if run.state == State.WAITING:
            alive = run.host != host or silence < _START
        else:
            alive = _lock(run) in held if are_shared() or run.host == host else silence < _SILENCE
        if not alive:
            yield run


@transaction.atomic
def cancel(*, actor: User | None, run: IngestRun) -> None:
    """Ask a run to stop; what it has stored stays, and is whole. PermissionDenied; ValidationError once it ended."""
    policy.require(actor, Action.EDIT)
    settle()
    rows = IngestRun.objects.filter(pk=run.pk)
    stopped = rows.filter(state=State.WAITING).update(state=State.CANCELLED, ended_at=timezone.now())
    asked = rows.filter(state__in=(State.RUNNING, State.CANCELLING)).update(state=State.CANCELLING)
    run.refresh_from_db()
    if not stopped and not asked:
        raise ValidationError(f"This run is not under way any more: it is {run.get_state_display().lower()}.")


def wait_again(run: IngestRun) -> bool:
    """Put a run that ended early back to waiting, once however many ask for it; whether it was this one who did."""
    again = {"state": State.WAITING, "attempt": F("attempt") + 1, "ended_at": None, "error": "", "step": ""}
    done = IngestRun.objects.filter(pk=run.pk, state__in=IngestRun.RESUMABLE).update(**again, done=0, total=0)
    run.refresh_from_db()
    return bool(done)


def _lock(run: IngestRun) -> str:
    return f"ingest run {run.pk}"


def _end(run: IngestRun, state: str, **facts: Any) -> None:
    _set(run, state, ended_at=timezone.now(), **with_own_names(facts))
    if state == State.DONE:
        IngestUpload.objects.filter(run=run).delete()


def _set(run: IngestRun, state: str, **facts: Any) -> None:
    run.state = state
    for field, value in facts.items():
        setattr(run, field, value)
    run.save(update_fields=["state", *facts])
