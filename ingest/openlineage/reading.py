"""Small readers of JSON values: each gives the value in its type, or raises BadEvent with the place and the fix."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

LARGEST = 2**63 - 1  # what the database keeps of a number


class BadEvent(ValueError):
    """What is wrong with an event: `place` says where (`outputs[0].name`), the text what to write instead."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place, self.message = place, message


def an_object(value: Any, place: str) -> dict[str, Any]:
    """An object; nothing counts as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadEvent(place, f"This should be an object, but is {_told(value)}.")
    return value


def a_list(value: Any, place: str) -> list[Any]:
    """A list; nothing counts as an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadEvent(place, f"This should be a list, but is {_told(value)}.")
    return value


def objects(value: Any, place: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects of a list, each with its place."""
    for number, item in enumerate(a_list(value, place)):
        yield an_object(item, f"{place}[{number}]"), f"{place}[{number}]"


def a_text(value: Any, place: str) -> str:
    """A text; nothing counts as an empty one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadEvent(place, f"This should be a text, but is {_told(value)}.")
    return value


def a_name(value: Any, place: str, most: int) -> str:
    """A text that must be there, of at most `most` bytes."""
    text = a_text(value, place)
    if not text.strip():
        raise BadEvent(place, "This is missing: every event needs it.")
    if len(text.encode()) > most:
        raise BadEvent(place, f"This is {len(text.encode()):,} bytes long; {most:,} are kept at most.")
    return text


def a_count(value: Any, place: str) -> int | None:
    """A whole number from 0 up, or nothing."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise BadEvent(place, f"This should be a whole number, but is {_told(value)}.")
    if not 0 <= value <= LARGEST:
        raise BadEvent(place, f"This should lie between 0 and {LARGEST}, but is {value}.")
    return int(value)


def a_moment(value: Any, place: str) -> dt.datetime:
    """A date and time with its zone, in UTC."""
    text = a_text(value, place)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise BadEvent(place, f"{_told(value)} is no date and time. {_A_MOMENT}") from error
    if moment.tzinfo is None:
        raise BadEvent(place, f"{_told(value)} lacks its time zone. {_A_MOMENT}")
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError as error:
        raise BadEvent(place, f"{_told(value)} lies outside of the calendar. {_A_MOMENT}") from error


_A_MOMENT = "Write it like 2026-03-02T03:00:00.000Z."


def _told(value: Any) -> str:
    """A value as a message quotes it, cut."""
    text = json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, dict | list) else ""
    kind = {dict: "an object", list: "a list"}.get(type(value))
    return kind or (text if len(text) <= 60 else text[:59] + "…")
