"""The record of an ingest run: progress in its row, cancelling, and what is seen of one whose process is gone."""

from __future__ import annotations

import datetime as dt
import socket

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from ingest import jobs
from ingest.locks import are_shared, held, held_among
from ingest.models import IngestRun
from ingest.runs import Cancelled, NotWaiting, cancel, recorded, settle
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def make_run(**facts) -> IngestRun:
    return IngestRun.objects.create(**{"kind": "repo", "scope": "shop", "actor_name": "ada", **facts})


def test_a_lock_is_seen_while_it_is_held_and_leaves_no_file(settings) -> None:
    with held("x"):
        assert held_among(["x", "y"]) == {"x"}
    assert not held_among(["x"])
    assert not list((settings.VAR_DIR / "locks").glob("*"))


def test_a_run_says_how_far_it_is_and_what_came_of_it() -> None:
    run = IngestRun(kind="repo", scope="shop", actor_name="ada")
    with recorded(run) as recorder:
        recorder("Reading files", 3, 10)
        now = IngestRun.objects.get()
        assert (now.state, now.step, now.done, now.total) == ("running", "Reading files", 3, 10)
        recorder.summary = {"tables": 5}
    ended = IngestRun.objects.get()
    assert (ended.state, ended.summary, ended.ended_at is not None) == ("done", {"tables": 5}, True)


def test_a_failure_is_on_record_in_its_own_words() -> None:
    with pytest.raises(ValueError, match="no such folder"), recorded(make_run()):
        raise ValueError("no such folder")
    assert IngestRun.objects.values_list("state", "error").get() == ("failed", "no such folder")


def test_a_cancelled_run_stops_at_its_next_word() -> None:
    run = make_run()
    with pytest.raises(Cancelled), recorded(run) as recorder:
        recorder("Reading files", 1, 10)
        cancel(actor=make_user("editor"), run=IngestRun.objects.get())
        assert IngestRun.objects.get().state == "cancelling"
        recorder("Analysing SQL", 0, 10)
    assert IngestRun.objects.get().state == "cancelled"


def test_only_editors_cancel_and_only_what_is_under_way() -> None:
    with pytest.raises(PermissionDenied):
        cancel(actor=make_user("viewer"), run=make_run())
    with pytest.raises(ValidationError, match="not under way any more: it is done"):
        cancel(actor=make_user("editor"), run=make_run(state="done"))


def test_a_run_whose_process_is_gone_is_seen_as_interrupted() -> None:
    now = timezone.now()
    here = make_run(host=socket.gethostname(), seen_at=now)
    fresh = make_run(host="elsewhere", seen_at=now)
    silent = make_run(host="elsewhere", seen_at=now - dt.timedelta(hours=1))
    asked_to_stop = make_run(host=socket.gethostname(), state="cancelling", seen_at=now)
    settle()
    states = dict(IngestRun.objects.values_list("pk", "state"))
    assert states == {
        here.pk: "interrupted",
        fresh.pk: "interrupted" if are_shared() else "running",
        silent.pk: "interrupted",
        asked_to_stop.pk: "cancelled",
    }


def test_a_run_is_resumed_once_by_an_editor(django_capture_on_commit_callbacks, monkeypatch) -> None:
    started = []
    monkeypatch.setattr(jobs, "start", started.append)
    editor = make_user("editor")
    run = make_run(state="interrupted", options={"folder": "/srv/sql"})
    with pytest.raises(PermissionDenied):
        jobs.resume(actor=make_user("viewer"), run=run)
    with django_capture_on_commit_callbacks(execute=True):
        jobs.resume(actor=editor, run=run)
        with pytest.raises(ValidationError, match="waiting: there is nothing to take up"):
            jobs.resume(actor=editor, run=IngestRun.objects.get())
    assert started == [run]
    assert IngestRun.objects.values_list("state", "attempt").get() == ("waiting", 2)


def test_a_run_without_a_record_of_what_it_was_told_cannot_be_resumed() -> None:
    with pytest.raises(ValidationError, match="Start it anew"):
        jobs.resume(actor=make_user("editor"), run=make_run(state="failed"))


def test_a_waiting_run_is_begun_once_however_many_were_sent_for_it() -> None:
    waiting = make_run(state="waiting")
    first, second = IngestRun.objects.get(pk=waiting.pk), IngestRun.objects.get(pk=waiting.pk)
    with recorded(first):
        pass
    with pytest.raises(NotWaiting), recorded(second):
        pytest.fail("it was done twice")
    assert IngestRun.objects.get().state == "done"
