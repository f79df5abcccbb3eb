"""Badges of states: the word of each, in the colour of what it means."""

from __future__ import annotations

import datetime as dt

import pytest

from audits.checks.models import State
from audits.postmortems.models import ActionItem, Incident
from catalog.models import Pipeline, Run
from pages import badges


def test_a_state_is_told_by_its_word_in_its_colour() -> None:
    assert badges.badge(Run(state="failed")) == '<span class="badge bad">failed</span>'
    assert badges.badge(Run(state="running")) == '<span class="badge accent">running</span>'
    assert badges.badge(Pipeline(status="paused")) == '<span class="badge warn">paused</span>'


def test_an_action_item_that_is_overdue_says_so() -> None:
    late = ActionItem(status="in_progress", due=dt.date(2020, 1, 1))
    assert badges.badge(late) == '<span class="badge bad">overdue</span>'
    assert "badge ok" in badges.badge(ActionItem(status="done", due=late.due))


def test_outcomes_of_checks_are_told_as_their_states_are_called() -> None:
    assert [badges.outcome_badge(state).partition(">")[2] for state in State] == [
        f"{state.label.lower()}</span>" for state in State
    ]
    assert badges.outcome_badge("unknown", "not known") == '<span class="badge ">not known</span>'


def test_an_incident_says_how_bad_it_is() -> None:
    shown = badges.severity_badge(Incident(severity=1))
    assert shown.startswith('<span class="badge severity-1">1 ')


@pytest.mark.parametrize("model", badges._COLOURS, ids=lambda model: model.__name__)
def test_every_colour_is_that_of_a_state_there_is(model) -> None:
    colours = badges._COLOURS[model]
    assert set(colours.of) <= {value for value, _ in model._meta.get_field(colours.field).choices}
