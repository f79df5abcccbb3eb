"""What incidents, post-mortems and action items tell by mail and webhook, and whom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from audits.postmortems.models import ActionItem, Hit, Incident, PostMortem
from catalog.models import Owner
from catalog.outbox import Notice, announce

_MOST_NAMED = 15  # things in a mail; the page has them all


def opened(incident: Incident) -> None:
    """Tell who answers for what is hit, and who works on it. Four queries."""
    text = (
        f"{incident.get_severity_display()} incident, opened by {incident.opened_by_name}.\n\n{_hit_in_words(incident)}"
    )
    subject = f"Incident: {incident.title}"
    announce(Notice("incident.opened", subject, text, incident.get_absolute_url(), _facts(incident)), _people(incident))


def resolved(incident: Incident) -> None:
    """Tell the same people that the data is right again."""
    text = f"The data is right again since {incident.resolved_at:%Y-%m-%d %H:%M} UTC.\n\n{_hit_in_words(incident)}"
    subject = f"Resolved: {incident.title}"
    announce(
        Notice("incident.resolved", subject, text, incident.get_absolute_url(), _facts(incident)), _people(incident)
    )


def to_review(post_mortem: PostMortem) -> None:
    """Tell the reviewer that there is something to read."""
    incident, reviewer = post_mortem.incident, post_mortem.reviewer
    text = f"{post_mortem.author_name} asks you to read the post-mortem of “{incident.title}”, and to publish it."
    subject = f"To review: {incident.title}"
    notice = Notice("post_mortem.review", subject, text, post_mortem.get_absolute_url(), _facts(incident))
    known = reviewer and (reviewer.email or (reviewer.owner and reviewer.owner.email))
    announce(notice, [known] if known else [])


def published(post_mortem: PostMortem) -> None:
    """Tell who was hit that there is a report to read."""
    incident = post_mortem.incident
    summary = post_mortem.sections.filter(name="summary").values_list("text", flat=True).first() or ""
    text = f"{summary[:2000]}\n\nWritten by {post_mortem.author_name}, reviewed by {post_mortem.reviewer_name}."
    subject = f"Post-mortem: {incident.title}"
    notice = Notice("post_mortem.published", subject, text, post_mortem.get_absolute_url(), _facts(incident))
    announce(notice, _people(incident))


def assigned(item: ActionItem) -> None:
    """Tell somebody that an action item is theirs."""
    text = f"{item.title}\n\nDue {item.due}, after the incident “{item.incident.title}”."
    _of_item("action_item.assigned", f"Yours to do: {item.title}", text, item, addresses([item.owner]))


def due_soon(item: ActionItem) -> None:
    """Remind the owner before the day."""
    text = f"{item.title}\n\nDue {item.due}, after the incident “{item.incident.title}”."
    _of_item("action_item.due", f"Due {item.due}: {item.title}", text, item, addresses([item.owner]))


def overdue(item: ActionItem) -> None:
    """Remind the owner, and their team, after the day."""
    team = item.owner.team if item.owner else None
    text = (
        f"{item.title}\n\nIt was due {item.due}, after the incident “{item.incident.title}”, and {item.owner_name} has"
        " neither done nor dropped it. Do it, give it another day, or drop it and say why."
    )
    subject = f"Overdue since {item.due}: {item.title}"
    _of_item("action_item.overdue", subject, text, item, {*addresses([item.owner]), *addresses([team])})


def addresses(owners: Iterable[Owner | None]) -> set[str]:
    """Where these owners can be reached: who has left, or has no address, at their team's."""
    found = set()
    for owner in owners:
        if owner is not None and (owner.status == Owner.Status.LEFT or not owner.email):
            owner = owner.team
        if owner is not None and owner.email:
            found.add(owner.email)
    return found


def _of_item(event: str, subject: str, text: str, item: ActionItem, mail_to: Iterable[str]) -> None:
    facts = {"id": item.pk, "title": item.title, "owner": item.owner.slug if item.owner else None}
    facts |= {"due": item.due, "status": item.status, "incident": item.incident_id}
    announce(Notice(event, subject, text, item.get_absolute_url(), facts), mail_to)


def _people(incident: Incident) -> set[str]:
    """Addresses of who works on it and of who answers for what is hit. Two queries."""
    hit = incident.hits.filter(kind=Hit.Kind.OWNER, is_out=False, owner__isnull=False).select_related("owner__team")
    people = incident.people.filter(owner__isnull=False).select_related("owner__team")
    return addresses([*(each.owner for each in hit), *(each.owner for each in people)])


def _hit_in_words(incident: Incident) -> str:
    things = list(incident.hits.filter(is_out=False).exclude(kind=Hit.Kind.OWNER).values_list("kind", "name"))
    lines = [f"  - {kind} {name}" for kind, name in things[:_MOST_NAMED]]
    if len(things) > _MOST_NAMED:
        lines.append(f"  and {len(things) - _MOST_NAMED} more")
    return "Hit, as far as lineage tells:\n" + "\n".join(lines) if lines else "Nothing is known to be hit yet."


def _facts(incident: Incident) -> dict[str, Any]:
    facts = {"id": incident.pk, "title": incident.title, "severity": incident.severity, "status": incident.status}
    nodes = incident.hits.filter(is_out=False, distance=0).exclude(kind=Hit.Kind.OWNER).values_list("node", flat=True)
    return facts | {"began_at": list(nodes), "started_at": incident.started_at, "resolved_at": incident.resolved_at}
