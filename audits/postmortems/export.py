"""A post-mortem whole, for other programs (JSON) and other tools (Markdown): the report with its incident."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings

from audits.postmortems.models import Cause, Hit, PostMortem, Section


def as_dict(post_mortem: PostMortem) -> dict[str, Any]:
    """The report, what it hit, its timeline and its action items, in plain values. Six queries."""
    incident = post_mortem.incident
    causes = list(post_mortem.causes.all())
    return {
        "title": incident.title,
        "url": settings.SITE_URL + post_mortem.get_absolute_url(),
        "state": post_mortem.state,
        "author": post_mortem.author_name,
        "reviewer": post_mortem.reviewer_name,
        "published_at": post_mortem.published_at,
        "incident": {
            **{name: getattr(incident, name) for name in ("id", "severity", "status", "detection", *incident.TIMES)},
            **{name: getattr(incident, name) for name in ("data_from", "data_to", "wrong_rows", "decisions", "links")},
            "people": [{"name": person.name, "role": person.role} for person in incident.people.all()],
        },
        "sections": dict(post_mortem.sections.values_list("name", "text")),
        "root_cause": next((cause.code for cause in causes if cause.is_root), None),
        "causes": [cause.code for cause in causes if not cause.is_root],
        "hits": [
            {"kind": hit.kind, "node": hit.node, "name": hit.name, "distance": hit.distance, "note": hit.note}
            for hit in incident.hits.filter(is_out=False)
        ],
        "timeline": [
            {"at": entry.at, "text": entry.text, "source": entry.source, "is_pinned": entry.is_pinned}
            for entry in incident.timeline.all()
        ],
        "action_items": [
            {"title": item.title, "type": item.type, "owner": item.owner_name, "due": item.due, "status": item.status}
            for item in incident.action_items.all()
        ],
    }


def as_markdown(post_mortem: PostMortem) -> str:
    """The same as one Markdown document. Six queries."""
    whole = as_dict(post_mortem)
    parts = [f"# {_line(whole['title'])}", _head(post_mortem, whole)]
    for name, text in whole["sections"].items():
        parts.append(f"## {Section.Name(name).label}\n\n{text.strip()}")
    if whole["root_cause"]:
        labels = [str(Cause.Code(code).label) for code in (whole["root_cause"], *whole["causes"])]
        parts.append(
            f"## Causes\n\nRoot cause: {labels[0]}." + (f" Besides: {', '.join(labels[1:])}." if labels[1:] else "")
        )
    parts.append(
        "## What was hit\n\n" + _list(f"{Hit.Kind(hit['kind']).label}: {hit['name']}" for hit in whole["hits"])
    )
    parts.append(
        "## Timeline (UTC)\n\n" + _list(f"{_moment(each['at'])}: {each['text']}" for each in whole["timeline"])
    )
    items = (
        f"{each['title']} ({each['owner']}, due {each['due']}): {each['status']}" for each in whole["action_items"]
    )
    parts.append("## Action items\n\n" + _list(items))
    return "\n\n".join(parts) + "\n"


def _head(post_mortem: PostMortem, whole: dict[str, Any]) -> str:
    incident = post_mortem.incident
    facts = [f"- Severity: {incident.get_severity_display()}"]
    facts += [
        f"- {name.removesuffix('_at').capitalize()}: {_moment(at)}"
        for name in incident.TIMES
        if (at := getattr(incident, name))
    ]
    facts.append(
        f"- Written by {whole['author']}" + (f", reviewed by {whole['reviewer']}" if whole["reviewer"] else "")
    )
    return "\n".join(facts)


def _list(lines: Any) -> str:
    return "\n".join(f"- {_line(line)}" for line in lines) or "Nothing."


def _line(text: str) -> str:
    return " ".join(str(text).split())


def _moment(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
