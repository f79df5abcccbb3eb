"""What was just changed, told to those above who keep what they worked out from it. Nobody here knows them.

Things that one transaction touches are told together, once it is stored; what is taken back is not told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import models, transaction

Touched = Mapping[type[models.Model], set[int]]
"""Ids by the model of the thing."""

_listeners: list[Callable[[Touched], Any]] = []
_held: ContextVar[dict[type[models.Model], set[int]] | None] = ContextVar("held", default=None)


def listens(listener: Callable[[Touched], Any]) -> Callable[[Touched], Any]:
    """Mark a function that is told of everything that is touched. What it raises is logged, and harms no change."""
    _listeners.append(listener)
    return listener


def touch(thing: models.Model) -> None:
    """Tell, once the transaction is stored, that something is otherwise now."""
    due = (getattr(work, "__self__", None) for _, work, _ in transaction.get_connection().run_on_commit)
    batch = next((each for each in due if isinstance(each, _Batch)), None)
    if batch is None:
        batch = _Batch({type(thing): {thing.pk}})
        transaction.on_commit(batch.tell, robust=True)
    else:
        batch.touched[type(thing)].add(thing.pk)


@contextmanager
def told_together() -> Iterator[None]:
    """What is touched within is told of once, at the end: for work that stores many transactions."""
    touched: dict[type[models.Model], set[int]] = defaultdict(set)
    reset = _held.set(touched)
    try:
        yield
    finally:
        _held.reset(reset)
        if touched:
            transaction.on_commit(_Batch(touched).tell, robust=True)


class _Batch:
    """All that a transaction touches, kept with what the database does after it, so that both go when it is undone."""

    def __init__(self, touched: Touched) -> None:
        self.touched = defaultdict(set, touched)

    def tell(self) -> None:
        held = _held.get()
        if held is None:
            for listener in _listeners:
                listener(self.touched)
        else:
            for model, ids in self.touched.items():
                held[model] |= ids
