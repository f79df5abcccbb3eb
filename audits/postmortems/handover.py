"""Everything that an owner answers for goes to somebody else, in one step: things, checks and open action items."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from audits.checks.models import Check
from audits.checks.services import change_check
from audits.deletion.models import DeletionReview, OwnerNotice
from audits.postmortems.actions import change_item
from audits.postmortems.models import ActionItem, Incident, IncidentPerson
from catalog.models import Owner, Pipeline, Table, User
from catalog.policy import Action
from catalog.queries import ownerships_in_force
from catalog.services import policy_checked, set_owners

Thing = Pipeline | Table


@dataclass(frozen=True)
class Holdings:
    """What an owner holds: (thing, role) of each ownership in force, active checks, and action items still open."""

    ownerships: list[tuple[Thing, str]]
    checks: list[Check]
    items: list[ActionItem]

    def __bool__(self) -> bool:
        return bool(self.ownerships or self.checks or self.items)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each, a thing held in both roles once."""
        things = {(type(thing), thing.pk) for thing, _ in self.ownerships}
        return {
            "pipelines": sum(kind is Pipeline for kind, _ in things),
            "tables": sum(kind is Table for kind, _ in things),
            "checks": len(self.checks),
            "action_items": len(self.items),
        }


@dataclass(frozen=True)
class Waiting:
    """What waits for an owner: action items, reviews that ask for their word, checks that fail, incidents they lead."""

    items: list[ActionItem]
    notices: list[OwnerNotice]
    checks: list[Check]
    incidents: list[Incident]

    def __bool__(self) -> bool:
        return bool(self.items or self.notices or self.checks or self.incidents)


def holdings_of(owner: Owner) -> Holdings:
    """Four queries."""
    ownerships = [
        (getattr(ownership, noun), ownership.role)
        for noun, along in (("pipeline", "pipeline"), ("table", "table__source"))
        for ownership in ownerships_in_force(noun, owner=owner).select_related(along).order_by(f"{noun}__name", "role")
    ]
    return Holdings(ownerships, list(_checks_of(owner)), list(_items_of(owner)))


def waiting_for(owner: Owner) -> Waiting:
    """Four queries."""
    open_reviews = OwnerNotice.objects.filter(owner=owner, answer=OwnerNotice.Answer.NONE, sent_at__isnull=False)
    led = IncidentPerson.objects.filter(owner=owner, role=IncidentPerson.Role.LEAD).values("incident")
    return Waiting(
        items=list(_items_of(owner)),
        notices=list(open_reviews.exclude(review__state__in=DeletionReview.ENDED).select_related("review")),
        checks=list(_checks_of(owner).filter(state__in=("fail", "error"))),
        incidents=list(Incident.objects.filter(pk__in=led).exclude(status=Incident.Status.RESOLVED)),
    )


def _checks_of(owner: Owner) -> QuerySet[Check]:
    return owner.checks.filter(is_active=True).select_related("table__source", "pipeline").order_by("name", "pk")


def _items_of(owner: Owner) -> QuerySet[ActionItem]:
    ended = (ActionItem.Status.DONE, ActionItem.Status.DROPPED)
    return ActionItem.objects.filter(owner=owner).exclude(status__in=ended).select_related("incident").order_by("due")


@transaction.atomic
def hand_over(*, actor: User | None, owner: Owner, to: Owner) -> Holdings:
    """Put `to` in the place of `owner` wherever that one answers for something; what was handed over.

    Other owners of the same things stay. All of it or nothing: it needs the right to change every thing concerned.
    """
    policy_checked(actor, Action.EDIT)
    if to.pk == owner.pk:
        raise ValidationError({"to": "That is the same owner: name somebody else."})
    if to.status == Owner.Status.LEFT:
        raise ValidationError({"to": f"{to.name} has left: name somebody who is here."})
    handed = holdings_of(owner)
    for thing, role in handed.ownerships:
        noun = thing._meta.model_name
        now = [each.owner for each in ownerships_in_force(noun, role=role, **{noun: thing}).select_related("owner")]
        set_owners(actor=actor, thing=thing, role=role, owners=[to if each.pk == owner.pk else each for each in now])
    for check in handed.checks:
        change_check(actor=actor, check=check, owner=to)
    for item in handed.items:
        change_item(actor=actor, item=item, owner=to)
    return handed
