"""The state of anything as a badge: its word, in the colour of what it means."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

from django.db.models import Model
from django.utils.safestring import SafeString, mark_safe

from audits.deletion.models import DeletionReview, Verdict
from audits.postmortems.models import ActionItem, Incident, PostMortem
from catalog.models import Owner, Pipeline, Run, Table
from ingest.models import IngestRun


class Colours(NamedTuple):
    """The field that holds a thing's state, the colours of some of its values, and that of all others."""

    field: str
    of: Mapping[str, str]
    else_: str = ""


_COLOURS: dict[type[Model], Colours] = {
    ActionItem: Colours("status", {"done": "ok", "in_progress": "accent"}),
    DeletionReview: Colours("state", {"confirmed": "ok", "stopped": "warn"}, "accent"),
    Incident: Colours("status", {"resolved": "ok", "mitigated": "warn"}, "bad"),
    IngestRun: Colours("state", {"done": "ok", "failed": "bad", "interrupted": "warn", "cancelled": "warn"}, "accent"),
    Owner: Colours("status", {"left": "warn"}, "ok"),
    Pipeline: Colours("status", {"active": "ok", "paused": "warn"}),
    PostMortem: Colours("state", {"published": "ok", "in_review": "accent"}, "warn"),
    Run: Colours("state", {"succeeded": "ok", "failed": "bad", "aborted": "warn"}, "accent"),
    Table: Colours("status", {"active": "ok", "deprecated": "warn"}),
    Verdict: Colours("verdict", {"in_use": "ok", "protected": "accent", "unknown": "warn"}, "bad"),
}
_OUTCOMES = {  # of checks and practices
    "pass": ("passes", "ok"),
    "warn": ("warns", "warn"),
    "fail": ("fails", "bad"),
    "error": ("could not run", "bad"),
    "waived": ("waived", "accent"),
}


def badge(thing: Any) -> SafeString:
    """Where a run, an incident, a review and so on stands."""
    if getattr(thing, "is_overdue", False):
        return _badge("overdue", "bad")
    colours = _COLOURS[type(thing)]
    word = getattr(thing, f"get_{colours.field}_display")().lower()
    return _badge(word, colours.of.get(getattr(thing, colours.field), colours.else_))


def outcome_badge(outcome: str, unknown: str = "not known yet") -> SafeString:
    """How a check, or a practice of a pipeline, stands."""
    return _badge(*_OUTCOMES.get(outcome, (unknown, "")))


def severity_badge(incident: Incident) -> SafeString:
    """How bad an incident is."""
    return _badge(f"{incident.severity} {incident.get_severity_display().lower()}", f"severity-{incident.severity}")


def _badge(word: str, colour: str) -> SafeString:
    return mark_safe(f'<span class="badge {colour}">{escape(word)}</span>')  # noqa: S308 escaped here
