"""Worker processes that get values and return values; one that dies or takes too long costs only the job it held.

`concurrent.futures` gives up its whole pool when one process dies, and a pool of threads cannot end a thread. Here each
process has a pipe and a thread of the parent that waits on it: the death of one is seen at once, its job is answered
with `Died`, and another process takes its place. Processes are spawned, so they carry nothing of the parent along.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Work = Callable[[Any], Any]
_START_SECONDS = 120  # for a new process to say that it is there, on a busy machine


def cores() -> int:
    """How many processor cores this process may use; all of them where the system does not say (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Died:
    """The answer to a job whose worker ended before it could answer: `how`, in words."""

    how: str


class Schedule(Generic[Key]):
    """Jobs in an order that lets each begin when those it waits for are done. Safe to share between threads.

    A circle of jobs that wait for each other is opened at the one that waits for the fewest.
    """

    def __init__(self, jobs: Mapping[Key, set[Key]]) -> None:
        self._changed = threading.Condition()
        self._waits = {
            job: {other for other in others if other in jobs and other != job} for job, others in jobs.items()
        }
        self._ready = [job for job, others in self._waits.items() if not others][::-1]
        self._followers: dict[Key, list[Key]] = {}
        for job, others in self._waits.items():
            for other in others:
                self._followers.setdefault(other, []).append(job)
        for job in self._ready:
            del self._waits[job]
        self._running = 0
        self._stopped = False

    def take(self) -> Key | None:
        """A job that may begin, once there is one; None when none is left."""
        with self._changed:
            while not self._stopped:
                if not self._ready and self._waits and not self._running:
                    self._release(min(self._waits, key=lambda job: len(self._waits[job])))
                if self._ready:
                    self._running += 1
                    return self._ready.pop()
                if not self._waits:
                    return None
                self._changed.wait()
            return None

    def take_ready(self, most: int) -> list[Key]:
        """Up to `most` jobs that may begin now; none while all that is left waits for others."""
        with self._changed:
            if not self._ready and self._waits and not self._running:
                self._release(min(self._waits, key=lambda job: len(self._waits[job])))
            taken = [self._ready.pop() for _ in range(min(most, len(self._ready)))]
            self._running += len(taken)
            return taken

    def done(self, job: Key) -> None:
        """What waited for `job` may go on."""
        with self._changed:
            self._running -= 1
            for follower in self._followers.get(job, ()):
                waits = self._waits.get(follower)
                if waits is not None:
                    waits.discard(job)
                    if not waits:
                        self._release(follower)
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand out nothing any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _release(self, job: Key) -> None:
        del self._waits[job]
        self._ready.append(job)


class Workers:
    """`count` processes; 0 does the work in this process, where nothing protects it from a job that ends it.

    They import `modules` when they start, so that no job's time is spent on that.
    """

    def __init__(self, count: int, modules: Sequence[str] = ()) -> None:
        self.count, self._modules = count, modules
        self._slots: list[_Worker] = []

    def start(self) -> None:
        """Start the processes, if they are not there yet; `run` does it too, but not as early."""
        while len(self._slots) < self.count:
            self._slots.append(_Worker(self._modules))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._slots:
            worker.end()

    def run(
        self,
        work: Work,
        jobs: Mapping[Key, set[Key]],
        payload: Callable[[Key], Any],
        seconds: float,
        learn: Callable[[Key, Any], None] = lambda key, answer: None,
    ) -> Iterator[tuple[Key, Any]]:
        """(job, its answer) in the order of completion; `jobs` says for each which others must be done before.

        `work` is a function at the top of a module; `payload(job)` is called when the job begins and `learn(job,
        answer)` before any job that waited for it does, both by several threads. A job without an answer after
        `seconds` is ended.
        """
        schedule = Schedule(jobs)
        if not self.count:
            yield from _run_here(schedule, work, payload, learn)
            return
        self.start()
        answers: queue.SimpleQueue[tuple[Any, Any] | BaseException] = queue.SimpleQueue()

        def serve(slot: int) -> None:
            try:
                while (job := schedule.take()) is not None:
                    answer = self._answer(slot, work, payload(job), seconds)
                    learn(job, answer)
                    schedule.done(job)
                    answers.put((job, answer))
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
                answers.put(error)

        threads = [threading.Thread(target=serve, args=(slot,), daemon=True) for slot in range(self.count)]
        for thread in threads:
            thread.start()
        try:
            for _ in jobs:
                answer = answers.get()
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
        finally:
            schedule.stop()
            for thread in threads:
                thread.join()

    def _answer(self, slot: int, work: Work, payload: Any, seconds: float) -> Any:
        worker = self._slots[slot]
        answer = worker.ask(work, payload, seconds)
        if isinstance(answer, Died):
            worker.end()
            self._slots[slot] = _Worker(self._modules)
        return answer


class _Worker:
    def __init__(self, modules: Sequence[str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, modules), daemon=True)
        self._process.start()
        theirs.close()
        self._has_started = False

    def ask(self, work: Work, payload: Any, seconds: float) -> Any:
        try:
            if not self._has_started and not self._pipe.poll(_START_SECONDS):
                return Died(f"waited {_START_SECONDS} seconds for a process to start")
            if not self._has_started:
                self._has_started = self._pipe.recv()
            self._pipe.send((work, payload))
            if not self._pipe.poll(seconds):
                return Died(f"took longer than {seconds:g} seconds and was ended")
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            return Died(_how_it_ended(self._process.exitcode))
        if isinstance(answer, _Raised):
            raise RuntimeError(f"A worker failed:\n{answer.trace}")
        return answer

    def end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


@dataclass(frozen=True)
class _Raised:
    trace: str


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"ended its process ({signal.Signals(-code).name})"
    return f"ended its process (exit code {code})"


def _serve(pipe: Connection, modules: Sequence[str]) -> None:
    """The life of a worker process: it says that it is there, then a job, an answer, until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # what was imported is no garbage; the rest dies with each job, and goes while the cache still has it
    gc.set_threshold(5_000, 20, 100)
    pipe.send(True)
    while True:
        try:
            work, payload = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = work(payload)
        except MemoryError:
            os._exit(1)
        except Exception:  # noqa: BLE001 - told to the parent, which raises it
            import traceback

            answer = _Raised(traceback.format_exc())
        try:
            pipe.send(answer)
        except OSError:
            return


def _run_here(
    schedule: Schedule[Key], work: Work, payload: Callable[[Key], Any], learn: Callable[[Key, Any], None]
) -> Iterator[tuple[Key, Any]]:
    while (job := schedule.take()) is not None:
        answer = work(payload(job))
        learn(job, answer)
        schedule.done(job)
        yield job, answer
