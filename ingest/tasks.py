"""What Celery workers do: whole ingest runs, and chunks of them. Only workers import it; who sends work names the task.

A task is confirmed after it is done, so that the broker gives what a killed worker held to another one.
"""

from __future__ import annotations

import logging

from celery import Task, shared_task
from django.db.models import F

from ingest import spread
from ingest.jobs import perform
from ingest.models import IngestRun
from ingest.runs import Cancelled, NotWaiting, settle, wait_again

_AGAIN_SECONDS = 10  # until a run that another worker is doing is looked at again
_log = logging.getLogger(__name__)


@shared_task(bind=True, name="ingest.run", max_retries=None)
def run_ingest(self: Task, pk: int) -> None:
    """Do a run that waits, or take up one whose worker is gone. How it ends is in its row."""
    settle()
    run = IngestRun.objects.filter(pk=pk).first()
    if run is None:
        return
    if run.state == IngestRun.State.INTERRUPTED:
        wait_again(run)
    if run.state in (IngestRun.State.RUNNING, IngestRun.State.CANCELLING):
        raise self.retry(countdown=_AGAIN_SECONDS)  # delivered twice, or its worker is not known to be gone yet
    if run.state != IngestRun.State.WAITING:
        return
    try:
        perform(run)
    except (Cancelled, NotWaiting):
        pass
    except Exception as error:  # noqa: BLE001 - it stands in the run's row; doing it again would fail again
        _log.warning("Ingest run %s failed: %s", pk, error)


@shared_task(name="ingest.chunk")
def do_chunk(pk: int) -> None:
    """Do a chunk of a run's work, unless that is done."""
    if spread.claim(pk, attempts=F("attempts") + 1):
        spread.answer(pk, spread.own_workers())
