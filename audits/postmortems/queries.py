"""Reads of incidents, post-mortems and action items: what pages and REST ask, with the number of queries each costs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.utils import timezone

from audits.postmortems.models import (
    ActionItem,
    Attachment,
    Cause,
    Hit,
    Incident,
    IncidentPerson,
    PostMortem,
    PostMortemVersion,
    Section,
)
from catalog.bulk import among
from catalog.models import Owner, Pipeline, Table, User

_HISTORY_SHOWN = 20  # incidents of one thing


def incidents() -> QuerySet[Incident]:
    """Incidents with their post-mortems, people, and `began`: the hits where each began. Three queries."""
    people = IncidentPerson.objects.select_related("owner")
    return Incident.objects.select_related("post_mortem").prefetch_related(
        Prefetch("hits", queryset=beginnings(), to_attr="began"),
        Prefetch("people", queryset=people),
    )


def beginnings() -> QuerySet[Hit]:
    """The hits where incidents began."""
    return Hit.objects.filter(distance=0, is_out=False).exclude(kind=Hit.Kind.OWNER)


def parts_of(parts: QuerySet, whole: str, ids: Collection[int], *fields: str) -> dict[int, list[tuple]]:
    """These fields of the parts of each thing, in their order; `whole` is what the parts call it. One query."""
    found: dict[int, list[tuple]] = {key: [] for key in ids}
    for key, *values in parts.filter(**{f"{whole}__in": among(ids)}).values_list(f"{whole}_id", *fields):
        found[key].append(tuple(values))
    return found


def incidents_of(thing: Table | Pipeline | Owner) -> list[Incident]:
    """The latest incidents that hit a table, a pipeline or what an owner answers for, at most 20. Three queries."""
    hits = Hit.objects.filter(is_out=False, **{thing._meta.model_name: thing})
    return list(incidents().filter(pk__in=hits.values("incident"))[:_HISTORY_SHOWN])


def incidents_annotated(noun: Literal["table", "pipeline"]) -> dict[str, Any]:
    """Annotations of tables or pipelines: how many open incidents hit each, and which was the last, when."""
    hits = Hit.objects.filter(is_out=False, **{noun: OuterRef("pk")}).order_by("-incident__started_at", "-incident")
    ongoing = hits.exclude(incident__status=Incident.Status.RESOLVED).order_by()
    return {
        "open_incidents": Subquery(ongoing.values(noun).annotate(n=Count("incident", distinct=True)).values("n")),
        "last_incident": Subquery(hits.values("incident")[:1]),
        "last_incident_at": Subquery(hits.values("incident__started_at")[:1]),
    }


def counts_by_status() -> dict[str, int]:
    """How many incidents are in each status. One query."""
    found = dict(Incident.objects.order_by().values_list("status").annotate(n=Count("pk")))
    return {status: found.get(status, 0) for status in Incident.Status.values}


def hits_of(incident: Incident) -> dict[str, list[Hit]]:
    """The hit list by kind, crossed out ones last. One query."""
    found: dict[str, list[Hit]] = {kind: [] for kind in Hit.Kind.values}
    hits = incident.hits.select_related("table__source", "column", "pipeline", "owner")
    for hit in sorted(hits, key=lambda hit: hit.is_out):
        found[hit.kind].append(hit)
    return found


def hits_in_force(incident: Incident) -> list[tuple[Hit.Kind, list[Hit]]]:
    """The hit list by kind, without what is crossed out and kinds that nothing is of. One query."""
    groups = {kind: [hit for hit in group if not hit.is_out] for kind, group in hits_of(incident).items()}
    return [(Hit.Kind(kind), group) for kind, group in groups.items() if group]


def attachments_of(incident: Incident) -> QuerySet[Attachment]:
    """What is kept with an incident, without its content. One query."""
    return incident.attachments.defer("content")


# Post-mortems


def post_mortems() -> QuerySet[PostMortem]:
    """Post-mortems with their incidents, causes, and `open_items`: how many action items are not ended. Two queries."""
    waiting = [ActionItem.Status.OPEN, ActionItem.Status.IN_PROGRESS]
    unfinished = Count("incident__action_items", filter=Q(incident__action_items__status__in=waiting))
    return PostMortem.objects.select_related("incident").annotate(open_items=unfinished).prefetch_related("causes")


def cause_counts() -> list[tuple[str, str, int]]:
    """Codes of causes with their labels and in how many reports they stand, most frequent first. One query."""
    counts = Cause.objects.order_by().values_list("code").annotate(n=Count("pk")).order_by("-n", "code")
    return [(code, str(Cause.Code(code).label), number) for code, number in counts]


def names_in(post_mortem: PostMortem) -> list[str]:
    """People who are named in the report and had to do with the incident: a blameless report says what, not who.

    Three queries.
    """
    incident = post_mortem.incident
    hit = incident.hits.filter(kind=Hit.Kind.OWNER, owner__kind=Owner.Kind.PERSON).values_list("name", flat=True)
    people = {*hit, *incident.people.filter(owner__kind=Owner.Kind.PERSON).values_list("name", flat=True)}
    text = "\n".join(section.text for section in post_mortem.sections.all())
    return sorted(name for name in people if re.search(rf"\b{re.escape(name)}\b", text))


@dataclass(frozen=True)
class SectionChange:
    """What became of a section between two versions: its lines, each with "+" (new), "-" (gone) or " " (the same)."""

    label: str
    lines: list[tuple[str, str]]


def changes_between(before: PostMortemVersion | None, after: PostMortemVersion) -> list[SectionChange]:
    """The sections that differ, line by line. No query."""
    old = _texts(before) if before else {}
    new = _texts(after)
    return [
        SectionChange(label, _lines(old.get(label, ""), new.get(label, "")))
        for label in new
        if old.get(label, "") != new[label]
    ]


def _texts(version: PostMortemVersion) -> dict[str, str]:
    texts = {str(Section.Name(name).label): text for name, text in version.content["sections"].items()}
    causes = [code for code in (version.content["root_cause"], *version.content["causes"]) if code]
    return texts | ({"Causes": "\n".join(causes)} if causes else {})


def _lines(old: str, new: str) -> list[tuple[str, str]]:
    differences = difflib.ndiff(old.splitlines(), new.splitlines())
    return [(line[0], line[2:]) for line in differences if line[0] != "?"]


# Action items


def action_items() -> QuerySet[ActionItem]:
    """Action items with what a list shows of them. One query."""
    return ActionItem.objects.select_related("incident", "owner__team")


def items_of(user: User) -> Q:
    """The condition that an item is this person's own."""
    return Q(owner=user.owner_id) if user.owner_id else Q(pk__in=[])


def items_of_team(user: User) -> Q:
    """The condition that an item is of this person's team, or of anybody in it."""
    if user.owner is None or user.owner.team_id is None:
        return items_of(user)
    return Q(owner=user.owner.team_id) | Q(owner__team=user.owner.team_id)


def is_overdue() -> Q:
    """The condition that an item is open past its day."""
    return Q(due__lt=timezone.now().date()) & ~Q(status__in=ActionItem.ENDED)


@dataclass(frozen=True)
class ItemCounts:
    """How many action items are open: the person's own, their team's, those overdue, and all."""

    mine: int
    team: int
    overdue: int
    open: int


def item_counts(user: User) -> ItemCounts:
    """One query."""
    is_open = ~Q(status__in=ActionItem.ENDED)
    return ItemCounts(
        **ActionItem.objects.order_by().aggregate(
            mine=Count("pk", filter=is_open & items_of(user)),
            team=Count("pk", filter=is_open & items_of_team(user)),
            overdue=Count("pk", filter=is_overdue()),
            open=Count("pk", filter=is_open),
        )
    )
