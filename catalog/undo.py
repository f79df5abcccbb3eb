"""Take back what a person did: the history knows what stood there before, and the same services put it back.

An entry that can be taken back names a way, which its layer registers here. Undoing is a change like any other, with
the rights, the checks and the history of the service that makes it, and so can be taken back too. It is refused where
things are no longer as the change left them.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from catalog.models import HistoryEntry, User

Facts = dict[str, Any]  # as JSON keeps them: related things by their key


@dataclass(frozen=True)
class Undo:
    """How an entry is taken back: by which way, the facts before and after; `pk` if not of the entry's own thing."""

    way: str
    before: Facts
    after: Facts
    pk: int | None = None


@dataclass(frozen=True)
class _Way:
    model: type[models.Model]
    put_back: Callable[[User | None, Any, Facts], object]
    now: Callable[[Any, Iterable[str]], Facts]


@dataclass
class Act:
    """What one click did; `entries` fills while it lasts."""

    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    entries: list[HistoryEntry] = field(default_factory=list)

    @property
    def can_be_undone(self) -> bool:
        return bool(self.entries) and all(entry.undo for entry in self.entries)


_ways: dict[str, _Way] = {}
_act: ContextVar[Act | None] = ContextVar("act", default=None)


def stored(thing: models.Model, names: Iterable[str]) -> Facts:
    """Facts of a thing as JSON keeps them to the last digit, related things by their key."""
    return {name: _plain(getattr(thing, thing._meta.get_field(name).attname)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        value = value.astimezone(dt.UTC)
    return value.isoformat() if isinstance(value, dt.date) else value


def revived(model: type[models.Model], facts: Mapping[str, Any]) -> Facts:
    """Facts that JSON kept, as services take them. ValidationError where a related thing is gone."""
    return {name: _revived(model._meta.get_field(name), value) for name, value in facts.items()}


def _revived(of: Any, value: Any) -> Any:
    if value is None or not of.is_relation:
        return of.to_python(value)
    found = of.related_model._default_manager.filter(pk=value).first()
    if found is None:
        raise ValidationError(f"The {of.verbose_name} that stood there is gone.")
    return found


def puts_back(
    way: str, model: type[models.Model], now: Callable[[Any, Iterable[str]], Facts] = stored
) -> Callable[..., Callable[[User | None, Any, Facts], object]]:
    """Mark the function that gives a thing facts that it had; `now` reads those it has."""

    def register(put_back: Callable[[User | None, Any, Facts], object]) -> Callable[[User | None, Any, Facts], object]:
        _ways[way] = _Way(model, put_back, now)
        return put_back

    return register


@contextmanager
def one_act() -> Iterator[Act]:
    """What is recorded within belongs together, and is taken back together."""
    act = Act()
    reset = _act.set(act)
    try:
        yield act
    finally:
        _act.reset(reset)


def belongs(entry: HistoryEntry) -> None:
    """Note a new entry as part of the act that goes on, if any."""
    if act := _act.get():
        entry.act = act.key
        act.entries.append(entry)


@transaction.atomic
def undo(*, actor: User | None, entries: Iterable[HistoryEntry]) -> None:
    """Take back changes, the latest first: all or none. ValidationError says what stands in the way."""
    for entry in sorted(entries, key=lambda entry: entry.pk, reverse=True):
        if not entry.undo:
            raise ValidationError(f"What was {entry.action} of {entry.object_name} cannot be taken back.")
        _undo(actor, entry, Undo(**entry.undo))


def _undo(actor: User | None, entry: HistoryEntry, asked: Undo) -> None:
    way = _ways[asked.way]
    thing = way.model._default_manager.filter(pk=asked.pk or entry.object_id).first()
    if thing is None:
        raise ValidationError(f"{entry.object_name} is gone.")
    now = way.now(thing, asked.after)
    changed = [name for name, value in asked.after.items() if now[name] != value]
    if changed:
        raise ValidationError(
            f"{entry.object_name} was changed since: {', '.join(name.replace('_', ' ') for name in changed)}. "
            "Its history says by whom."
        )
    way.put_back(actor, thing, asked.before)


def mark_undoable(history: list[HistoryEntry]) -> list[HistoryEntry]:
    """Of a thing's history, newest first, say which entries can be taken back: those whose facts still stand."""
    latest: Facts = {}
    for entry in history:
        after = (entry.undo or {}).get("after", {})
        place = (entry.undo or {}).get("way"), (entry.undo or {}).get("pk")
        stands = [latest.setdefault((*place, name), value) == value for name, value in after.items()]
        entry.can_be_undone = bool(stands) and all(stands)  # type: ignore[attr-defined]
    return history
