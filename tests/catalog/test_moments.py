"""Moments and spans in words."""

from __future__ import annotations

import datetime as dt

import pytest

from catalog.moments import lasting


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.0404, "40 ms"),
        (14, "14 s"),
        (65, "1 min 5 s"),
        (840, "14 min"),
        (7500, "2 h 5 min"),
        (86_400, "24 h"),
        (600_000, "6 days 22 h"),
    ],
)
def test_spans_are_said_in_their_two_largest_units(seconds: float, words: str) -> None:
    assert lasting(dt.timedelta(seconds=seconds)) == words
