"""Work spread over machines: the same interface as `ingest.workers`, done in chunks by Celery workers.

A chunk is a row with what is to be done and, later, the answers. Whoever gets its number does it, twice at worst, with
the same answers; only the process that made it takes them, and writes what follows from them, once. When nobody takes
chunks, that process does them itself.

Work and answers travel pickled, as between processes of one machine, and signed: only who has SECRET_KEY can make one.
"""

from __future__ import annotations

import datetime as dt
import hmac
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from ingest.models import IngestChunk
from ingest.workers import Died, Key, Schedule, Work, Workers

CHUNK_JOBS = 20  # jobs of one chunk
WINDOW = 32  # chunks under way at once
MOST_ATTEMPTS = 3  # at a chunk that ends its workers
_UNTAKEN = dt.timedelta(seconds=3)  # until the process that waits does a chunk itself
_LOST = dt.timedelta(seconds=30)  # after which it also does one that somebody took, and perhaps was killed over
_OLD = dt.timedelta(days=1)  # after which nobody waits for a chunk
_own = threading.local()


@dataclass(frozen=True)
class Chunk:
    """What one chunk asks for: `work` of each payload, in at most `seconds` each."""

    work: Work
    payloads: list[Any]
    seconds: float


@dataclass(frozen=True)
class Failed:
    """The answer to a chunk whose work raised an error."""

    trace: str


def workers_for(count: int, modules: Sequence[str] = ()) -> Workers:
    """Processes of this machine, or, where there is a broker and any are asked for, Celery's workers."""
    return SpreadWorkers(modules) if count and settings.CELERY_BROKER_URL else Workers(count, modules)


class SpreadWorkers(Workers):
    """Does what `Workers` does, anywhere; the one process of its own is for chunks that nobody takes."""

    def __init__(self, modules: Sequence[str] = ()) -> None:
        super().__init__(0, modules)
        self._here = Workers(1, modules)
        self._made: set[int] = set()

    def start(self) -> None:
        """Nothing to start: the workers are there."""

    def __enter__(self) -> SpreadWorkers:
        IngestChunk.objects.filter(created_at__lt=timezone.now() - _OLD).delete()
        return self

    def __exit__(self, *exception: object) -> None:
        self._here.__exit__()
        IngestChunk.objects.filter(pk__in=self._made).delete()

    def run(
        self,
        work: Work,
        jobs: Mapping[Key, set[Key]],
        payload: Callable[[Key], Any],
        seconds: float,
        learn: Callable[[Key, Any], None] = lambda key, answer: None,
    ) -> Iterator[tuple[Key, Any]]:
        """As `Workers.run`."""
        schedule = Schedule(jobs)
        out: dict[int, list[Key]] = {}
        left, pause = len(jobs), 0.01
        while left:
            while len(out) < WINDOW and (keys := schedule.take_ready(CHUNK_JOBS)):
                out[self._send(Chunk(work, [payload(key) for key in keys], seconds))] = keys
            answers = self._collect(out)
            for key, answer in answers:
                learn(key, answer)
                schedule.done(key)
            yield from answers
            left -= len(answers)
            if not answers and not self._help(out):
                time.sleep(pause)
            pause = 0.01 if answers else min(pause * 1.5, 0.5)

    def _send(self, chunk: Chunk) -> int:
        from celery import current_app
        from kombu.exceptions import OperationalError

        row = IngestChunk.objects.create(payload=packed(chunk))
        self._made.add(row.pk)
        with suppress(OperationalError):  # a broker that is away for a while: the chunk is done here
            current_app.send_task("ingest.chunk", [row.pk], retry=False)
        return row.pk

    def _collect(self, out: dict[int, list[Key]]) -> list[tuple[Key, Any]]:
        """The answers that are there, with their jobs."""
        done = dict(IngestChunk.objects.filter(pk__in=out, answer__isnull=False).values_list("pk", "answer"))
        collected: list[tuple[Key, Any]] = []
        for pk, data in done.items():
            answers = unpacked(data)
            if isinstance(answers, Failed):
                raise RuntimeError(f"A worker failed:\n{answers.trace}")
            collected += zip(out.pop(pk), answers, strict=True)
        IngestChunk.objects.filter(pk__in=done).delete()
        self._made -= done.keys()
        return collected

    def _help(self, out: Mapping[int, Any]) -> bool:
        """Do one chunk here that nobody has taken, or whose answer is long in coming; whether there was one."""
        now = timezone.now()
        untaken = Q(taken_at=None, created_at__lt=now - _UNTAKEN)
        left = IngestChunk.objects.filter(untaken | Q(taken_at__lt=now - _LOST), pk__in=out, answer=None)
        pk = left.order_by("pk").values_list("pk", flat=True).first()
        if pk is None or not claim(pk):
            return False
        answer(pk, self._here)
        return True


def claim(pk: int, **facts: Any) -> bool:
    """Say that a chunk is being done, unless it is done or nobody waits for it any more."""
    return bool(IngestChunk.objects.filter(pk=pk, answer=None).update(taken_at=timezone.now(), **facts))


def answer(pk: int, workers: Workers) -> None:
    """Do a chunk and leave its answers. One that has ended its workers again and again is answered with `Died`."""
    row = IngestChunk.objects.filter(pk=pk).first()
    if row is None:
        return
    try:
        chunk: Chunk = unpacked(row.payload)
    except ValueError:
        IngestChunk.objects.filter(pk=pk).update(taken_at=None)  # another may have the right key
        raise
    answers: list[Any] | Failed
    if row.attempts > MOST_ATTEMPTS:
        answers = [Died(f"ended its worker {MOST_ATTEMPTS} times") for _ in chunk.payloads]
    else:
        answers = _done(chunk, workers)
    IngestChunk.objects.filter(pk=pk).update(answer=packed(answers))


def _done(chunk: Chunk, workers: Workers) -> list[Any] | Failed:
    jobs: dict[int, set[int]] = {number: set() for number in range(len(chunk.payloads))}
    try:
        answers = dict(workers.run(chunk.work, jobs, chunk.payloads.__getitem__, chunk.seconds))
    except RuntimeError as error:
        return Failed(str(error))
    return [answers[number] for number in jobs]


def own_workers() -> Workers:
    """One process for this thread, which lives as long as the thread."""
    if not hasattr(_own, "workers"):
        _own.workers = Workers(1)
    return _own.workers


def packed(value: Any) -> bytes:
    """A value as it travels."""
    data = pickle.dumps(value)
    return _mark(data) + data


def unpacked(data: bytes | memoryview) -> Any:
    """The value, if it was packed under our SECRET_KEY. Raises ValueError."""
    mark, data = bytes(data)[:32], bytes(data)[32:]
    if not hmac.compare_digest(mark, _mark(data)):
        raise ValueError("A chunk of work was made under another SECRET_KEY. Set the same one on every process.")
    return pickle.loads(data)  # only who has our key makes such a mark


def _mark(data: bytes) -> bytes:
    return hmac.digest(f"ingest.spread {settings.SECRET_KEY}".encode(), data, "sha256")
