"""Bounds, in figures and in words."""

from __future__ import annotations

import datetime as dt

import pytest

from audits.checks.judge import judge, written
from audits.checks.kinds import BadParameters, read_parameters

MONDAY = dt.datetime(2026, 3, 30, 6, tzinfo=dt.UTC)


def weeks_ago(*counts: float) -> list[tuple[dt.datetime, float]]:
    """Counts of earlier Mondays, the last week's first."""
    return [(MONDAY - dt.timedelta(weeks=n), count) for n, count in enumerate(counts, 1)]


@pytest.mark.parametrize(
    ("kind", "parameters", "measured", "passes", "words"),
    [
        ("row_count", {"min": 1, "max": 20}, 20, True, "20 rows; 1 to 20 are expected."),
        ("row_count", {"min": 1}, 0, False, "0 rows; at least 1 are expected."),
        ("row_count", {"min": 7, "max": 7}, 8, False, "8 rows; exactly 7 are expected."),
        ("not_null", {"column": "a", "max": 2}, 2, True, "2 rows without a value; at most 2 are expected."),
        ("unique_key", {"columns": ["a"]}, 1, False, "there already; none are expected."),
        ("custom_sql", {"sql": "select 1"}, 0, True, "0; exactly 0 are expected."),
        ("custom_sql", {"sql": "select 1", "max": 0.5}, 0.25, True, "0.25; at most 0.5 are expected."),
        ("freshness", {"column": "a", "hours": 24}, MONDAY - dt.timedelta(hours=25), False, "25 hours old"),
        ("freshness", {"column": "a", "hours": 24}, "2026-03-30T05:00:00", True, "1 hours old"),
        ("freshness", {"column": "a", "hours": 24}, dt.date(2026, 3, 30), True, "6 hours old"),
        ("freshness", {"column": "a", "hours": 24}, MONDAY + dt.timedelta(hours=3), True, "0 hours old"),
    ],
)
def test_stated_bounds(kind, parameters, measured, passes, words) -> None:
    found = judge(read_parameters(kind, parameters), measured, (), MONDAY)
    assert found.passes is passes
    assert words in found.words


def test_usual_on_a_weekday() -> None:
    counts = weeks_ago(10_120, 10_300, 9_940, 10_120, 9_800, 10_400, 10_120, 10_200)
    sundays = [(moment - dt.timedelta(days=1), 100) for moment, _ in counts]
    parameters = read_parameters("usual_row_count", {})
    found = judge(parameters, 10_500, counts + sundays, MONDAY)
    assert found.words == "10,500 rows; usually 10,120 ± 650 on Mondays, from 8 weeks."
    assert (found.passes, found.low, found.high) == (True, 9_470, 10_770)
    assert judge(parameters, 100, counts + sundays, MONDAY).passes is False


def test_usual_counts_one_result_a_day_and_none_of_today() -> None:
    counts = weeks_ago(10, 10, 10, 10)
    again = [(moment - dt.timedelta(hours=1), 999) for moment, _ in counts]
    today = [(MONDAY - dt.timedelta(hours=1), 999)]
    found = judge(read_parameters("usual_row_count", {}), 10, again + counts + today, MONDAY)
    assert "usually 10 ± 0 on Mondays, from 4 weeks" in found.words


def test_usual_on_weekdays_where_few_mondays_are_known() -> None:
    days = [(MONDAY - dt.timedelta(days=n), 7 if n < 3 else 1000 + n) for n in range(1, 8)]
    found = judge(read_parameters("usual_row_count", {}), 1003, days, MONDAY)
    assert found.words == "1,003 rows; usually 1,005 ± 10 on weekdays, from 5 days."
    sunday = MONDAY - dt.timedelta(days=1)
    assert judge(read_parameters("usual_row_count", {}), 1003, days, sunday).passes is None


def test_nobody_can_tell_what_is_usual_after_three_days() -> None:
    days = [(MONDAY - dt.timedelta(days=n), 1000) for n in range(1, 6)]
    found = judge(read_parameters("usual_row_count", {}), 5, days, MONDAY)
    assert (found.passes, found.value) == (None, 5)
    assert "It takes 4 earlier days to know what is usual on weekdays; 3 are known." in found.words


def test_change_against_the_last_results() -> None:
    past = [(MONDAY - dt.timedelta(hours=n), count) for n, count in ((1, 130), (2, 100), (3, 90), (4, 1))]
    one = read_parameters("row_count_change", {"percent": 10})
    three = read_parameters("row_count_change", {"percent": 10, "runs": 3})
    assert judge(one, 110, past, MONDAY).passes is False
    found = judge(three, 110, past, MONDAY)
    assert found.passes is True
    assert found.words == "110 rows; at most 10 % from the median of the last 3 results, 100, is expected."
    assert judge(one, 110, [], MONDAY).passes is None


@pytest.mark.parametrize("measured", [None, float("nan"), float("-inf"), "many", object()])
def test_what_is_no_figure_passes_nothing(measured) -> None:
    found = judge(read_parameters("row_count", {"max": 10}), measured, (), MONDAY)
    assert (found.passes, found.is_error, found.value) == (None, True, None)
    assert "no figure" in found.words


@pytest.mark.parametrize(
    ("value", "text"), [(10120.0, "10,120"), (0.98765, "0.9877"), (12345.678, "12,346"), (None, "–"), (-3, "-3")]
)
def test_figures_for_people(value, text) -> None:
    assert written(value) == text


@pytest.mark.parametrize(
    ("kind", "parameters", "fault"),
    [
        ("magic", {}, "There is no check 'magic'"),
        ("row_count", {}, "State min, max or both"),
        ("row_count", {"min": 3, "max": 1}, "below min"),
        ("row_count", {"min": 0.5}, "whole number"),
        ("row_count", {"min": float("nan")}, "number"),
        ("row_count", {"min": True}, "number"),
        ("row_count", {"min": 1, "colour": "red"}, "no such parameter. It has: where, min, max"),
        ("unique_key", {}, "unique_key needs it"),
        ("unique_key", {"columns": "a"}, "as a list"),
        ("unique_key", {"columns": ["a", "a"]}, "named twice"),
        ("accepted_values", {"column": "a", "values": [None]}, "NULL is always accepted"),
        ("accepted_values", {"column": "a", "values": [float("inf")]}, "Values are"),
        ("referential", {"columns": ["a"], "to_table": "orders", "to_columns": ["a"]}, "source:name"),
        ("referential", {"columns": ["a"], "to_table": "s:t", "to_columns": ["a", "b"]}, "1 columns here and 2 there"),
        ("freshness", {"column": "a", "hours": 0}, "above 0"),
        ("row_count", [], "names and values"),
    ],
)
def test_parameters_that_cannot_be(kind, parameters, fault) -> None:
    with pytest.raises(BadParameters) as refused:
        read_parameters(kind, parameters)
    assert fault in str(refused.value)
