"""What a post-mortem asks for: its sections by severity, a question for each, and what the incident already answers."""

from __future__ import annotations

import datetime as dt

from audits.postmortems.models import Hit, Incident, Section

Name = Section.Name

QUESTIONS: dict[str, str] = {
    Name.SUMMARY: "Three sentences for somebody who was not there: what broke, for whom, and why.",
    Name.IMPACT: "Which numbers were wrong, for how long? Who saw them, and what was decided on them?",
    Name.TRIGGER: "What happened just before it began?",
    Name.ROOT_CAUSE: "Why could the trigger do harm? Ask why until the answer is something that can be changed.",
    Name.FACTORS: "What else had to be so for it to happen, or made it worse?",
    Name.DETECTION: "Who or what noticed, how long after the start, and what could have noticed sooner?",
    Name.RESOLUTION: "What stopped the harm, and what made the data right again?",
    Name.WENT_WELL: "What worked and should stay?",
    Name.WENT_WRONG: "What did not work, or was not there when it was needed?",
    Name.LUCKY: "What might as well have gone worse?",
}
_ALWAYS = (Name.SUMMARY, Name.IMPACT, Name.ROOT_CAUSE, Name.RESOLUTION)


def sections_for(severity: int) -> tuple[str, ...]:
    """All sections where it was critical or major; of smaller incidents only the four that say what to learn."""
    if severity <= Incident.Severity.MAJOR:
        return tuple(Name.values)
    return tuple(name for name in Name.values if name in _ALWAYS)


def first_words(incident: Incident) -> dict[str, str]:
    """What the incident itself says already, by section, to begin with. One query."""
    return {
        Name.IMPACT: _impact(incident),
        Name.DETECTION: _detection(incident),
        Name.RESOLUTION: _resolution(incident),
    }


def _impact(incident: Incident) -> str:
    lines = []
    if incident.wrong_days:
        lines.append(f"- Wrong data: {incident.wrong_days}")
    if incident.wrong_rows is not None:
        lines.append(f"- Wrong rows: {incident.wrong_rows:,}")
    hits = list(incident.hits.filter(is_out=False).values_list("kind", "name"))
    for kind in (Hit.Kind.TABLE, Hit.Kind.DASHBOARD, Hit.Kind.PIPELINE):
        names = [f"`{name}`" for hit_kind, name in hits if hit_kind == kind]
        if names:
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            lines.append(f"- {kind.label}{'s' if len(names) > 1 else ''} hit: {', '.join(names[:10])}{more}")
    if incident.decisions:
        lines += ["", incident.decisions]
    return "\n".join(lines)


def _detection(incident: Incident) -> str:
    how = f", by {incident.get_detection_display().lower()}" if incident.detection else ""
    return f"Noticed {_after(incident.started_at, incident.detected_at)} the start{how}."


def _resolution(incident: Incident) -> str:
    if incident.resolved_at is None:
        return ""
    return f"Right again {_after(incident.started_at, incident.resolved_at)} the start."


def _after(since: dt.datetime, until: dt.datetime) -> str:
    minutes = int((until - since).total_seconds() // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h after"
    return f"{hours} h {minutes % 60} min after" if hours else f"{minutes} min after"
