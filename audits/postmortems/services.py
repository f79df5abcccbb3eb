"""An incident from its opening to its resolution: one verb each, atomic, through `catalog.policy`.

`actor` is the signed-in person; None is the product itself. What cannot be done now raises ValidationError in words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from audits.checks.models import Check
from audits.postmortems import notices
from audits.postmortems.hits import Thing, hit_list, hit_on
from audits.postmortems.models import Attachment, Hit, Incident, IncidentPerson, TimelineEntry
from audits.postmortems.timeline import entry_of_result, entry_of_run, note_events
from catalog.models import Column, Owner, Run, User
from catalog.moments import in_words
from catalog.policy import Action
from catalog.search_index import index
from catalog.services import policy_checked, record_history
from catalog.touched import touch
from catalog.undo import Undo, puts_back, revived, stored

LONGEST_ENTRY = 20_000  # characters; a longer text becomes an attachment
LARGEST_ATTACHMENT = 8_000_000  # bytes
MOST_ATTACHED = 40_000_000  # bytes of one incident
MOST_LINKS = 50
_CLOCKS_DIFFER = dt.timedelta(minutes=5)  # a time this far ahead is still "now" on another machine
_TIME_NAMES = {name: name.removesuffix("_at") for name in Incident.TIMES}
Source = TimelineEntry.Source


# Opening


@transaction.atomic
def open_incident(
    *,
    actor: User | None,
    title: str,
    things: Sequence[Thing] = (),
    because: Run | Check | None = None,
    finding: str = "",
    **facts: Any,
) -> Incident:
    """Open an incident on tables, columns or pipelines; what lies downstream of them is its hit list from now on.

    The run or check that it is opened for, and `finding`, are pinned to its timeline. Editors may open one, and who
    answers for the things.
    """
    for thing in things or [None]:
        policy_checked(actor, Action.EDIT, thing)
    now = timezone.now()
    incident = Incident(title=title.strip(), opened_by=actor, opened_by_name=name_of(actor), opened_at=now)
    incident.detected_at = facts.pop("detected_at", None) or now
    incident.started_at = facts.pop("started_at", None) or incident.detected_at
    _set(incident, facts)
    _store_hits(incident, things)
    _note(incident, actor, f"Opened by {name_of(actor)}.", at=now)
    note_events(incident)
    if entry := _entry_of(because):
        _pin_event(incident, entry)
    if finding.strip():
        add_entry(actor=actor, incident=incident, text=finding, at=incident.detected_at, is_pinned=True, checked=True)
    notices.opened(incident)
    index("incident", [incident.pk])
    return incident


def suggested_facts(cause: Thing | Run | Check) -> dict[str, Any]:
    """What an incident on account of this would be called, be about, and have begun. At most one query."""
    if isinstance(cause, Run):
        title = f"{cause.pipeline.name} {cause.get_state_display().lower()}"
        facts = {"things": [cause.pipeline], "started_at": cause.ended_at or cause.started_at}
    elif isinstance(cause, Check):
        title = f"{cause.name} fails on {cause.thing}"
        facts = {"things": [cause.thing], "started_at": cause.failing_since or cause.checked_at}
        facts["detection"] = Incident.Detection.CHECK
    else:
        name = f"{cause.table.name}.{cause.name}" if isinstance(cause, Column) else cause.name
        title, facts = f"{name} is wrong", {"things": [cause]}
    return {"title": title[:200], **facts}


def _entry_of(because: Run | Check | None) -> TimelineEntry | None:
    if isinstance(because, Run):
        return entry_of_run(because)
    result = because.results.select_related("check_of").first() if because else None
    return entry_of_result(result) if result else None


def _pin_event(incident: Incident, entry: TimelineEntry) -> None:
    """Note an event that the look for events may have found already, and pin it."""
    facts = {"at": entry.at, "text": entry.text, "source": entry.source, "link": entry.link}
    facts |= {"is_pinned": True, "by_name": "pipekeeper"}
    TimelineEntry.objects.update_or_create(incident=incident, event=entry.event, defaults=facts)


def _store_hits(incident: Incident, things: Sequence[Thing]) -> None:
    found = hit_list(things, incident.started_at) if things else None
    for hit in found.hits if found else ():
        hit.incident = incident
    Hit.objects.bulk_create(found.hits if found else ())
    incident.lineage_at = found.lineage_at if found else None
    incident.beyond = found.beyond if found else 0
    incident.save(update_fields=["lineage_at", "beyond"])


# What is known of it


@transaction.atomic
def change_incident(*, actor: User | None, incident: Incident, **facts: Any) -> Incident:
    """Set facts by hand, times among them; the status follows from the times."""
    policy_checked(actor, Action.EDIT, incident)
    incident = _locked(incident)
    changed = [name for name, value in facts.items() if getattr(incident, name) != value]
    before, exact = {name: _plain(getattr(incident, name)) for name in changed}, stored(incident, changed)
    was_open = incident.is_open
    _set(incident, facts)
    if changed:
        after = {name: _plain(getattr(incident, name)) for name in changed}
        record_history(actor, "changed", incident, before, after, Undo("incident", exact, stored(incident, changed)))
    if was_open and not incident.is_open:
        notices.resolved(incident)
    return incident


@puts_back("incident", Incident)
def _put_back(actor: User | None, incident: Incident, had: dict[str, Any]) -> None:
    change_incident(actor=actor, incident=incident, **revived(Incident, had))


def _set(incident: Incident, facts: Mapping[str, Any]) -> None:
    for name, value in facts.items():
        setattr(incident, name, value)
    _check_times(incident)
    incident.links = _checked_links(incident.links)
    incident.status = _status_of(incident)
    incident.full_clean(exclude=["opened_by"])
    incident.save()
    index("incident", [incident.pk])


def _status_of(incident: Incident) -> str:
    if incident.resolved_at:
        return Incident.Status.RESOLVED
    return Incident.Status.MITIGATED if incident.mitigated_at else Incident.Status.OPEN


def _check_times(incident: Incident) -> None:
    """ValidationError at each time that is before an earlier step or in the future, naming both."""
    latest = timezone.now() + _CLOCKS_DIFFER
    errors: dict[str, str] = {}
    last = ""
    for name in Incident.TIMES:
        at = getattr(incident, name)
        if at is None:
            continue
        if at > latest:
            errors[name] = f"{_in_words(name, at)} is in the future; it is {in_words(timezone.now())}."
        elif last and at < getattr(incident, last):
            errors[name] = f"{_in_words(name, at)} is before {_in_words(last, getattr(incident, last)).lower()}."
        last = name
    if errors:
        raise ValidationError(errors)


def _in_words(name: str, at: dt.datetime) -> str:
    return f"{_TIME_NAMES[name].capitalize()} ({in_words(at)})"


def _checked_links(links: Any) -> list[dict[str, str]]:
    """Links as {title, url}; ValidationError for what is none, such as `javascript:`."""
    if not isinstance(links, list) or len(links) > MOST_LINKS:
        raise ValidationError({"links": f"Write a list of at most {MOST_LINKS} links."})
    checked = []
    for link in links:
        url = str(link.get("url", "")).strip() if isinstance(link, dict) else ""
        if not is_link(url):
            raise ValidationError({"links": f"{url or link!r} is no link: write an address with http:// or https://."})
        checked.append({"title": str(link.get("title") or url)[:200], "url": url})
    return checked


def is_link(url: str) -> bool:
    """Whether it is an address of the web, of at most 1,000 characters."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and len(url) <= 1000


@transaction.atomic
def set_people(*, actor: User | None, incident: Incident, lead: Owner | None, participants: Iterable[Owner]) -> None:
    """State who works on it; whoever is not named any more no longer does."""
    policy_checked(actor, Action.EDIT, incident)
    before, exact = sorted(f"{person.name} ({person.role})" for person in incident.people.all()), _people_now(incident)
    wanted = {owner.pk: (owner, IncidentPerson.Role.PARTICIPANT) for owner in participants}
    if lead is not None:
        wanted[lead.pk] = (lead, IncidentPerson.Role.LEAD)
    incident.people.all().delete()
    people = [
        IncidentPerson(incident=incident, owner=owner, name=owner.name, role=role) for owner, role in wanted.values()
    ]
    IncidentPerson.objects.bulk_create(people)
    after = sorted(f"{person.name} ({person.role})" for person in people)
    if before != after:
        undo = Undo("people of an incident", exact, _people_now(incident))
        record_history(actor, "changed", incident, {"people": before}, {"people": after}, undo)


def _people_now(incident: Incident, names: Iterable[str] = ()) -> dict[str, list[int]]:
    """Whoever is still an owner here, by role."""
    found: dict[str, list[int]] = {"lead": [], "participant": []}
    for role, owner in incident.people.filter(owner__isnull=False).order_by("owner").values_list("role", "owner"):
        found[role].append(owner)
    return found


@puts_back("people of an incident", Incident, _people_now)
def _put_people_back(actor: User | None, incident: Incident, had: dict[str, list[int]]) -> None:
    lead = Owner.objects.filter(pk__in=had["lead"]).first()
    participants = Owner.objects.filter(pk__in=had["participant"])
    set_people(actor=actor, incident=incident, lead=lead, participants=participants)


# Its course


@transaction.atomic
def acknowledge(*, actor: User | None, incident: Incident, at: dt.datetime | None = None, by: str = "") -> Incident:
    """Somebody takes it on; the first who does leads, if nobody does yet."""
    incident = _stepped(actor, incident, "acknowledged_at", at)
    if actor is not None and actor.owner is not None and not by and not incident.people.filter(role="lead").exists():
        facts = {"name": actor.owner.name, "role": IncidentPerson.Role.LEAD}
        IncidentPerson.objects.update_or_create(incident=incident, owner=actor.owner, defaults=facts)
    _note(incident, actor, f"Acknowledged by {by or name_of(actor)}.", at=incident.acknowledged_at)
    return incident


@transaction.atomic
def mitigate(*, actor: User | None, incident: Incident, words: str = "", at: dt.datetime | None = None) -> Incident:
    """It does no more harm, though the data may still be wrong."""
    incident = _stepped(actor, incident, "mitigated_at", at)
    _note(incident, actor, _with_words("Mitigated", words), at=incident.mitigated_at)
    note_events(incident)
    return incident


@transaction.atomic
def resolve(*, actor: User | None, incident: Incident, words: str = "", at: dt.datetime | None = None) -> Incident:
    """The data is right again."""
    incident = _stepped(actor, incident, "resolved_at", at)
    _note(incident, actor, _with_words("Resolved", words), at=incident.resolved_at)
    note_events(incident)
    notices.resolved(incident)
    return incident


@transaction.atomic
def reopen(*, actor: User | None, incident: Incident, words: str) -> Incident:
    """It was not over after all."""
    policy_checked(actor, Action.EDIT, incident)
    incident = _locked(incident)
    if incident.is_open:
        raise ValidationError("This incident is not resolved, so it need not be opened again.")
    if not words.strip():
        raise ValidationError({"words": "Say why it is opened again."})
    _set(incident, {"resolved_at": None, "mitigated_at": None})
    _note(incident, actor, _with_words("Opened again", words))
    return incident


def _stepped(actor: User | None, incident: Incident, field: str, at: dt.datetime | None) -> Incident:
    """The incident with one more time set; a step that was taken already, or that is over, is refused."""
    policy_checked(actor, Action.EDIT, incident)
    incident = _locked(incident)
    if getattr(incident, field) is not None:
        raise ValidationError(f"This incident is {_TIME_NAMES[field]} already.")
    if not incident.is_open:
        raise ValidationError("This incident is resolved. Open it again first.")
    _set(incident, {field: at or timezone.now()})
    return incident


def _with_words(what: str, words: str) -> str:
    return f"{what}: {words.strip()}" if words.strip() else f"{what}."


# Its timeline and what is kept with it


@transaction.atomic
def add_entry(
    *,
    actor: User | None,
    incident: Incident,
    text: str,
    at: dt.datetime | None = None,
    source: str = Source.PERSON,
    is_pinned: bool = False,
    link: str = "",
    checked: bool = False,
) -> TimelineEntry:
    """Note something on the timeline. A text as long as a log is kept as an attachment, its beginning on the line."""
    if not checked:
        policy_checked(actor, Action.EDIT, incident)
    entry = TimelineEntry(incident=incident, at=at or timezone.now(), source=source, is_pinned=is_pinned)
    entry.by_name, entry.text, entry.link = name_of(actor), text.strip(), link.strip()
    if len(entry.text) > LONGEST_ENTRY:
        name = f"pasted {timezone.now():%Y-%m-%d %H-%M-%S}.log"
        kept = attach(actor=actor, incident=incident, name=name, content=text.encode(), checked=True)
        entry.text, entry.link = f"{entry.text[:500]} …\n(the whole: {name})", kept.get_absolute_url()
    _save_entry(entry)
    return entry


@transaction.atomic
def change_entry(*, actor: User | None, entry: TimelineEntry, **facts: Any) -> TimelineEntry:
    """Pin an entry or take the pin away; mend the text or the time of what a person noted."""
    policy_checked(actor, Action.EDIT, entry.incident)
    mended = [name for name in ("text", "at") if name in facts and facts[name] != getattr(entry, name)]
    if mended and entry.source != Source.PERSON:
        raise ValidationError(dict.fromkeys(mended, "Only what a person noted can be mended."))
    before, exact = {name: _plain(getattr(entry, name)) for name in mended}, stored(entry, mended)
    for name, value in facts.items():
        setattr(entry, name, value)
    _save_entry(entry)
    if mended:
        after = {name: _plain(getattr(entry, name)) for name in mended}
        undo = Undo("timeline entry", exact, stored(entry, mended), entry.pk)
        record_history(actor, "mended an entry of", entry.incident, before, after, undo)
    return entry


@puts_back("timeline entry", TimelineEntry)
def _put_entry_back(actor: User | None, entry: TimelineEntry, had: dict[str, Any]) -> None:
    change_entry(actor=actor, entry=entry, **revived(TimelineEntry, had))


def _save_entry(entry: TimelineEntry) -> None:
    if entry.at > timezone.now() + _CLOCKS_DIFFER:
        raise ValidationError({"at": "This time is in the future. A timeline tells what has happened."})
    if entry.link and not is_link(entry.link) and not url_has_allowed_host_and_scheme(entry.link, allowed_hosts=None):
        raise ValidationError({"link": f"{entry.link!r} is no link: write an address with http:// or https://."})
    if len(entry.text) > LONGEST_ENTRY:
        raise ValidationError({"text": f"At most {LONGEST_ENTRY:,} characters; attach what is longer."})
    entry.full_clean()
    entry.save()


def look_for_events(*, actor: User | None, incident: Incident) -> int:
    """Note failed runs, failed checks and changed SQL that are not on the timeline yet; how many there were."""
    policy_checked(actor, Action.EDIT, incident)
    with transaction.atomic():
        return note_events(incident)


@transaction.atomic
def attach(*, actor: User | None, incident: Incident, name: str, content: bytes, checked: bool = False) -> Attachment:
    """Keep a file with the incident."""
    if not checked:
        policy_checked(actor, Action.EDIT, incident)
    if not content:
        raise ValidationError({"content": "The file is empty."})
    if len(content) > LARGEST_ATTACHMENT:
        raise ValidationError(
            {"content": f"{len(content):,} bytes are too many: one attachment may hold {LARGEST_ATTACHMENT:,}."}
        )
    kept = sum(incident.attachments.values_list("size", flat=True))
    if kept + len(content) > MOST_ATTACHED:
        raise ValidationError({"content": f"The attachments of one incident may hold {MOST_ATTACHED:,} bytes in all."})
    attachment = Attachment(incident=incident, name=name.strip()[-200:] or "attachment", content=content)
    attachment.size, attachment.by_name = len(content), name_of(actor)
    attachment.full_clean(exclude=["content"])
    attachment.save()
    return attachment


# What is hit


@transaction.atomic
def add_hits(*, actor: User | None, incident: Incident, things: Iterable[Thing | Owner], note: str = "") -> list[Hit]:
    """Add things to the hit list by hand; one that stands there crossed out counts again."""
    policy_checked(actor, Action.EDIT, incident)
    added = []
    for thing in things:
        new = hit_on(thing)
        new.incident, new.added_by_name, new.note = incident, name_of(actor), note[:500]
        known = incident.hits.filter(node=new.node).first()
        if known is None:
            new.save()
        elif known.is_out:
            known.is_out = False
            known.save(update_fields=["is_out"])
        added.append(known or new)
    return added


@transaction.atomic
def change_hit(*, actor: User | None, hit: Hit, **facts: Any) -> Hit:
    """Cross out what was not hit after all (`is_out`), or say in a `note` how it was."""
    policy_checked(actor, Action.EDIT, hit.incident)
    for name, value in facts.items():
        setattr(hit, name, value)
    hit.full_clean(exclude=["table", "column", "pipeline", "owner"])
    hit.save()
    return hit


# Helpers


def name_of(actor: User | None) -> str:
    """How a person, or the product itself, is called in what is kept."""
    if actor is None:
        return "pipekeeper"
    return actor.owner.name if actor.owner else actor.get_username()


def _note(incident: Incident, actor: User | None, words: str, at: dt.datetime | None = None) -> None:
    TimelineEntry.objects.create(
        incident=incident, at=at or timezone.now(), text=words, source=Source.STATUS, by_name=name_of(actor)
    )
    touch(incident)


def _locked(incident: Incident) -> Incident:
    return Incident.objects.select_for_update().get(pk=incident.pk)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date | dt.datetime) else value
