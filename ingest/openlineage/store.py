"""Events into the database: those that come at the same time in one transaction, each as a whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction

from ingest.openlineage.group import Group, Received, received
from ingest.openlineage.reading import BadEvent
from ingest.openlineage.together import Together

Answer = bool | BaseException  # whether an event was new, or why it was not stored
MOST_AT_ONCE = 100  # events in one transaction, so that nobody waits long for others

_TRIES = 4  # of a transaction that another one stood in the way of


def take(data: Any) -> bool:
    """Store one event, given as JSON, and all that it says; whether it was new. Raises BadEvent.

    All of it is stored or nothing, and the same event again changes nothing.
    """
    (answer,) = take_all([data])
    if isinstance(answer, BaseException):
        raise answer
    return answer


def take_all(data: Sequence[Any]) -> list[Answer]:
    """Store events, each by itself: for each whether it was new, or the reason that it was not stored.

    Many at once cost less than one by one, and end in the same state. Answers once all is committed.
    """
    read = [_read(one) for one in data]
    stored = iter(_together([one for one in read if isinstance(one, Received)]))
    return [next(stored) if isinstance(one, Received) else one for one in read]


def _read(data: Any) -> Received | BadEvent:
    try:
        return received(data)
    except BadEvent as error:
        return error


def _store_all(events: Sequence[Received]) -> list[Answer]:
    """Store events in one transaction. Where one of them cannot be stored, it is found by halves."""
    try:
        return list(_store(events))
    except OperationalError as error:
        return [error] * len(events)
    except Exception as error:
        if len(events) == 1:
            return [error]
        middle = len(events) // 2
        return [*_store_all(events[:middle]), *_store_all(events[middle:])]


def _store(events: Sequence[Received]) -> list[bool]:
    for tries_left in reversed(range(_TRIES)):
        try:
            with transaction.atomic():
                return Group(events).store()
        except (OperationalError, IntegrityError):
            # PostgreSQL ends one of two transactions that wait for each other, or that make the same thing.
            if not tries_left or connection.vendor != "postgresql":
                raise
    return []


# One thread stores for all: SQLite takes one writer at a time, and threads that worked at their own events meanwhile
# would take the interpreter from the one that writes, at each of its statements.
_together = Together(_store_all, MOST_AT_ONCE)
