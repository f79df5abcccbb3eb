"""Alerts of other tools as incidents: what PagerDuty and Alertmanager send becomes small typed values, then incidents.

An alert opens one incident; told again, it is a line on that one's timeline. That an alert ends does not make data
right again: it is noted, and a person resolves the incident.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audits.postmortems import services
from audits.postmortems.hits import Thing
from audits.postmortems.models import Incident, TimelineEntry
from catalog.models import Pipeline, Table, User
from lineage.nodes import NodeId, find

MOST_ALERTS = 100  # of one payload
MOST_NAMES = 50  # of one alert
_SEVERITIES = {
    **dict.fromkeys(("critical", "page", "p1", "sev1", "disaster"), 1),
    **dict.fromkeys(("error", "high", "major", "p2", "sev2"), 2),
    **dict.fromkeys(("warning", "warn", "low", "minor", "p3", "sev3"), 3),
    **dict.fromkeys(("info", "none", "p4", "p5", "sev4"), 4),
}


@dataclass(frozen=True)
class Alert:
    """What another tool says: `key` is its own name of the alert, `names` the tables and pipelines it speaks of."""

    key: str
    action: str  # trigger, acknowledge, resolve
    title: str
    text: str = ""
    severity: int = 2
    at: dt.datetime | None = None
    names: tuple[str, ...] = ()
    link: str = ""
    by: str = ""


@dataclass(frozen=True)
class Received:
    """What an alert came to; no incident where one ends that none was opened for."""

    outcome: str  # opened, noted, acknowledged, ignored
    incident: Incident | None = None


def from_pagerduty(payload: Any) -> list[Alert]:
    """An event as tools send it to PagerDuty (Events API v2), or as PagerDuty sends it on (webhook v3)."""
    if isinstance(payload, dict) and "event_action" in payload:
        return [_events_v2(payload)]
    if isinstance(payload, dict) and "event" in payload:
        return [_webhook_v3(_dict(payload["event"]))]
    raise ValidationError(
        "This is no PagerDuty event: it has neither `event_action` (Events v2) nor `event` (webhook v3)."
    )


def _events_v2(sent: dict[str, Any]) -> Alert:
    body, action = _dict(sent.get("payload")), _text(sent.get("event_action"))
    if action not in ("trigger", "acknowledge", "resolve"):
        raise ValidationError({"event_action": f"{action!r} is none of trigger, acknowledge, resolve."})
    if action == "trigger" and not _text(body.get("summary")):
        raise ValidationError({"payload": "`payload.summary` is missing: it becomes the title of the incident."})
    key = _text(sent.get("dedup_key")) or _text(body.get("summary"))
    if not key:
        raise ValidationError({"dedup_key": "Needed, to know which alert is meant."})
    details = _dict(body.get("custom_details"))
    links = [_text(_dict(link).get("href")) for link in _list(sent.get("links"))]
    return Alert(
        key=_key("pagerduty", key),
        action=action,
        title=_text(body.get("summary")),
        text="\n".join(f"{name}: {_text(value)}" for name, value in list(details.items())[:50]),
        severity=_severity(body.get("severity")),
        at=_moment(body.get("timestamp")),
        names=_names(details, body.get("component"), body.get("source")),
        link=next((link for link in [*links, _text(sent.get("client_url"))] if services.is_link(link)), ""),
        by=_text(body.get("source")) or _text(sent.get("client")),
    )


def _webhook_v3(event: dict[str, Any]) -> Alert:
    data, kind = _dict(event.get("data")), _text(event.get("event_type"))
    actions = {"triggered": "trigger", "acknowledged": "acknowledge", "resolved": "resolve", "reopened": "trigger"}
    action = actions.get(kind.removeprefix("incident."), "")
    key = _text(data.get("incident_key")) or _text(data.get("id"))
    if not action or not key or not _text(data.get("title")):
        raise ValidationError(
            {
                "event": "`event_type` must be incident.triggered, .acknowledged, .resolved or .reopened, and `data`"
                " have an `id` and a `title`."
            }
        )
    priority = _dict(data.get("priority")).get("summary") or data.get("urgency")
    return Alert(
        key=_key("pagerduty", key),
        action=action,
        title=_text(data.get("title")),
        text=_text(_dict(data.get("body")).get("details")),
        severity=_severity(priority),
        at=_moment(data.get("created_at") if action == "trigger" else event.get("occurred_at")),
        names=_names(_dict(data.get("custom_details"))),
        link=_text(data.get("html_url")) if services.is_link(_text(data.get("html_url"))) else "",
        by=_text(_dict(event.get("agent")).get("summary")) or "PagerDuty",
    )


def from_alertmanager(payload: Any) -> list[Alert]:
    """A group of alerts as Alertmanager's webhook receiver sends it: one incident a group, as it is grouped there."""
    sent = _dict(payload)
    alerts = [_dict(alert) for alert in _list(sent.get("alerts"))]
    group, status = _text(sent.get("groupKey")), _text(sent.get("status"))
    if not group or not alerts or status not in ("firing", "resolved"):
        raise ValidationError(
            "This is no Alertmanager notification: it needs `groupKey`, `status` (firing or resolved) and `alerts`."
        )
    if len(alerts) > MOST_ALERTS:
        raise ValidationError({"alerts": f"{len(alerts)} alerts are too many: a group may hold {MOST_ALERTS}."})
    labels, notes = _dict(sent.get("commonLabels")), _dict(sent.get("commonAnnotations"))
    first = _dict(alerts[0].get("labels"))
    starts = [at for alert in alerts if (at := _moment(alert.get("startsAt")))]
    names = dict.fromkeys(name for alert in alerts for name in _names(_dict(alert.get("labels"))))
    link = _text(alerts[0].get("generatorURL")) or _text(sent.get("externalURL"))
    return [
        Alert(
            key=_key("alertmanager", group),
            action="trigger" if status == "firing" else "resolve",
            title=_text(notes.get("summary"))
            or _text(labels.get("alertname"))
            or _text(first.get("alertname"))
            or "Alert",
            text="\n".join(filter(None, map(_alert_in_words, alerts[:20]))),
            severity=_severity(labels.get("severity") or first.get("severity")),
            at=min(starts) if starts and status == "firing" else None,
            names=tuple(names)[:MOST_NAMES],
            link=link if services.is_link(link) else "",
            by="Alertmanager",
        )
    ]


def _alert_in_words(alert: dict[str, Any]) -> str:
    notes, labels = _dict(alert.get("annotations")), _dict(alert.get("labels"))
    return _text(notes.get("description")) or _text(notes.get("summary")) or _text(labels.get("alertname"))


@transaction.atomic
def receive(*, actor: User, alert: Alert) -> Received:
    """Open an incident for an alert, or note on its incident how it goes on."""
    known = Incident.objects.filter(alert_key=alert.key).exclude(status=Incident.Status.RESOLVED).first()
    if known is None:
        if alert.action != "trigger":
            return Received("ignored")
        return Received("opened", _open(actor, alert))
    if alert.action == "acknowledge" and known.acknowledged_at is None:
        return Received("acknowledged", services.acknowledge(actor=actor, incident=known, by=alert.by))
    words = {"trigger": "It fires again", "acknowledge": "It is acknowledged again", "resolve": "The alert is over"}
    text = f"{words[alert.action]}: {alert.title or known.title}"
    source = TimelineEntry.Source.ALERT
    services.add_entry(actor=actor, incident=known, text=text, source=source, link=alert.link)
    return Received("noted", known)


def _open(actor: User, alert: Alert) -> Incident:
    things, unknown = find_named(alert.names)
    lost = f"Named, but not known here: {', '.join(unknown)}." if unknown else ""
    at = min(alert.at, timezone.now()) if alert.at else None
    return services.open_incident(
        actor=actor,
        title=alert.title[:200],
        things=things,
        finding="\n".join(part for part in (alert.text, lost) if part)[: services.LARGEST_ATTACHMENT],
        severity=alert.severity,
        detection=Incident.Detection.ALERT,
        started_at=at,
        links=[{"title": f"{alert.by or 'The alert'}"[:200], "url": alert.link}] if alert.link else [],
        alert_key=alert.key,
    )


def find_named(names: Iterable[str]) -> tuple[list[Thing], list[str]]:
    """Tables and pipelines by node id, `source:name`, or a name that one thing alone has; and what was not found."""
    things: dict[str, Thing] = {}
    unknown = []
    for name in names:
        thing = _by_node(name) or _by_name(name)
        if thing is None:
            unknown.append(name)
        else:
            things[thing.node] = thing
    return list(things.values()), unknown


def _by_node(name: str) -> Thing | None:
    try:
        return find(NodeId.parse(name))
    except (LookupError, ValueError):
        return None


def _by_name(name: str) -> Thing | None:
    source, _, table = name.partition(":")
    known = Table.objects.select_related("source")
    found = [*known.filter(name=name)[:2]] or [*known.filter(source__slug=source, name=table)[:2]]
    found = found or [*Pipeline.objects.filter(name=name)]
    return found[0] if len(found) == 1 else None


# Reading what may hold anything


def _key(tool: str, key: str) -> str:
    """A key that fits: a long one is kept as its digest."""
    return f"{tool}:{key}" if len(key) <= 250 else f"{tool}:{hashlib.sha256(key.encode()).hexdigest()}"


def _names(details: dict[str, Any], *others: Any) -> tuple[str, ...]:
    """What `table`, `tables`, `pipeline`, `pipelines` and `dag` say, and other fields where they name a thing."""
    found: list[str] = []
    for field in ("table", "tables", "pipeline", "pipelines", "dag"):
        value = details.get(field)
        found += [_text(each) for each in value] if isinstance(value, list) else _text(value).split(",")
    things, _ = find_named(_text(other) for other in others)
    names = [name.strip() for name in found if name.strip()] + [thing.node for thing in things]
    return tuple(dict.fromkeys(names))[:MOST_NAMES]


def _severity(word: Any) -> int:
    return _SEVERITIES.get(_text(word).lower(), 2)


def _moment(text: Any) -> dt.datetime | None:
    try:
        at = parse_datetime(_text(text))
    except ValueError:
        return None
    return at.replace(tzinfo=dt.UTC) if at and at.tzinfo is None else at


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    """Text without the null character, which PostgreSQL refuses."""
    return str(value).replace("\0", "").strip()[:100_000] if isinstance(value, str | int | float) else ""
