"""The demo's incidents: told in `demo/incidents.yaml`, tied to the runs that began them and to what they really hit."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import yaml
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_duration

from audits.checks.models import Check
from audits.postmortems import actions, reports, services
from audits.postmortems.models import ActionItem, Incident, IncidentPerson, PostMortem, TimelineEntry
from catalog.models import Owner, Run, Table

STORY = Path(__file__).parent.parent / "demo" / "incidents.yaml"


def store_incidents() -> int:
    """Tell each incident that is not there yet, if the run that began it is; how many there are now."""
    for story in yaml.safe_load(STORY.read_text(encoding="utf-8")):
        run = _run_that_began(**story["began"])
        if run is not None and not Incident.objects.filter(alert_key=story["key"]).exists():
            _tell(story, run)
    return Incident.objects.filter(alert_key__startswith="demo:").count()


def _run_that_began(pipeline: str, state: str) -> Run | None:
    return Run.objects.filter(pipeline__name=pipeline, state=state).order_by("started_at").first()


@transaction.atomic
def _tell(story: dict[str, Any], run: Run) -> None:
    """Written with the services, and signed by the people of the story, who cannot sign in."""
    began = run.started_at
    first_day = (run.nominal_at or began).date()
    incident = services.open_incident(
        actor=None,
        title=story["title"],
        things=list(Table.objects.select_related("source").filter(name__endswith=story["table"])),
        severity=story["severity"],
        detection=story["detection"],
        started_at=began,
        **{f"{step}_at": _after(began, story[step]) for step in ("detected", "acknowledged", "mitigated")},
        data_from=first_day,
        data_to=first_day if story.get("one_day") else None,
        wrong_rows=story.get("wrong_rows"),
        decisions=story["decisions"],
        alert_key=story["key"],
    )
    _sign(Incident, incident.pk, opened_by_name=story["lead"], opened_at=incident.detected_at)
    names = [story["lead"], *story["participants"]]
    IncidentPerson.objects.bulk_create(
        IncidentPerson(incident=incident, owner=_owner(name), name=name, role="participant" if place else "lead")
        for place, name in enumerate(names)
    )
    incident.timeline.filter(event="").delete()
    TimelineEntry.objects.bulk_create(
        TimelineEntry(incident=incident, at=_after(began, at), by_name=name, text=text, is_pinned=bool(pin))
        for at, name, text, *pin in story["timeline"]
    )
    _report(incident, began, **story["post_mortem"])
    for item in story["items"]:
        _decide(incident, began, **item)


def _report(
    incident: Incident,
    began: dt.datetime,
    author: str,
    reviewer: str,
    published: str,
    sections: dict[str, str],
    root_cause: str,
    causes: list[str],
) -> None:
    report = reports.start_post_mortem(actor=None, incident=incident)
    at = _after(began, published)
    for section in report.sections.all():
        section.text, section.saved_by_name, section.saved_at = sections[section.name].strip(), author, at
        section.save()
    reports.set_causes(actor=None, post_mortem=report, root=root_cause, contributing=causes)
    people = {"author_name": author, "reviewer_name": reviewer, "created_at": at - dt.timedelta(days=1)}
    _sign(PostMortem, report.pk, **people, state=PostMortem.State.PUBLISHED, published_at=at)
    report.versions.create(
        number=1, at=at, by_name=reviewer, words="Published", state="published", content=reports.content_of(report)
    )


def _decide(
    incident: Incident,
    began: dt.datetime,
    title: str,
    type: str,
    owner: str,
    priority: int,
    due: str,
    done: str = "",
    words: str = "",
    proven_by: str = "",
) -> None:
    """An item is decided for a day ahead; the day of the story may lie behind by now."""
    someday = timezone.now().date()
    facts = {"title": title, "type": type, "priority": priority, "owner": _owner(owner), "due": someday}
    item = actions.create_item(actor=None, incident=incident, **facts)
    lead = incident.people.get(role="lead").name
    _sign(ActionItem, item.pk, created_by_name=lead, created_at=_after(began, "3 days"), due=_after(began, due).date())
    if done:
        actions.finish(actor=None, item=item, words=words)
        _sign(ActionItem, item.pk, ended_at=_after(began, done), ended_by_name=owner)
    check = Check.objects.filter(table__in=incident.hits.filter(distance=0).values("table"), kind=proven_by).first()
    if check is not None:
        actions.prove_by(actor=None, item=item, proof=ActionItem.Proof.CHECK, check=check)


def _sign(model: Any, pk: int, **facts: Any) -> None:
    model.objects.filter(pk=pk).update(**facts)


def _owner(name: str) -> Owner:
    return Owner.objects.get(name=name)


def _after(began: dt.datetime, span: str) -> dt.datetime:
    return began + (parse_duration(span) or dt.timedelta())
