"""Work of several threads done at once: one of those that wait does it for all of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_PATIENCE = 0.005  # seconds


@dataclass
class _Call(Generic[Item, Answer]):
    """What one thread waits for; `turn` opens once it is answered, or is to do the work itself."""

    items: Sequence[Item]
    answers: list[Answer | BaseException] | None = None
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.turn.acquire()


class Together(Generic[Item, Answer]):
    """A function of many items, called by one thread at a time with the items of all that came meanwhile.

    A thread that finds nobody at work begins, with what is there; what comes while it works is done next, by the first
    that came. Where several came together last time, as many are given a moment to come again. The function gives an
    answer for each item; what it raises is the answer to each.
    """

    def __init__(self, do_all: Callable[[Sequence[Item]], Sequence[Answer | BaseException]], most: int) -> None:
        """`most` items at once, unless one thread brings more."""
        self._do_all, self._most = do_all, most
        self._lock = threading.Lock()
        self._waiting: deque[_Call[Item, Answer]] = deque()
        self._is_led = False
        self._lately, self._as_many = 1, threading.Event()

    def __call__(self, items: Sequence[Item]) -> list[Answer | BaseException]:
        call = _Call[Item, Answer](items)
        with self._lock:
            self._waiting.append(call)
            leads, self._is_led = not self._is_led, True
            if len(self._waiting) >= self._lately:
                self._as_many.set()
        if not leads:
            call.turn.acquire()
        if call.answers is None:
            self._lead()
        assert call.answers is not None  # the leader's own call is the first that it takes
        return call.answers

    def _lead(self) -> None:
        if self._lately > 1:
            self._as_many.wait(_PATIENCE)
        calls = self._next_calls()
        items = [item for call in calls for item in call.items]
        answers: Sequence[Answer | BaseException] = []
        try:
            answers = self._do_all(items)
        except BaseException as error:
            answers = [error] * len(items)
            if not isinstance(error, Exception):
                raise
        finally:
            self._hand_out(calls, list(answers))

    def _next_calls(self) -> list[_Call[Item, Answer]]:
        with self._lock:
            calls = [self._waiting.popleft()]
            size = len(calls[0].items)
            while self._waiting and size + len(self._waiting[0].items) <= self._most:
                calls.append(self._waiting.popleft())
                size += len(calls[-1].items)
            self._lately = len(calls)
            if len(self._waiting) < self._lately:
                self._as_many.clear()
        return calls

    def _hand_out(self, calls: Sequence[_Call[Item, Answer]], answers: list[Answer | BaseException]) -> None:
        for call in calls:
            call.answers, answers = answers[: len(call.items)], answers[len(call.items) :]
            call.turn.release()
        with self._lock:
            self._is_led = bool(self._waiting)
            if self._waiting:
                self._waiting[0].turn.release()
