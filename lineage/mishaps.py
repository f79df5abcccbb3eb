"""Declaring mishaps and ending them."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from catalog.models import Column, Table, User
from catalog.policy import Action
from catalog.services import policy_checked, record_history
from lineage.models import Mishap
from lineage.planned import VERBS, PlannedChange
from lineage.standing import MOST_MISHAPS, planned, standing_by

MISHAPS = ("not_refreshed", "run_failed", "wrong_rows")


def open_mishaps() -> QuerySet[Mishap]:
    """Those that nobody ended, with their things, the newest first. One query."""
    return Mishap.objects.filter(ended_at=None).select_related("table__source", "column__table__source", "pipeline")


@transaction.atomic
def declare_mishap(*, actor: User | None, change: PlannedChange) -> Mishap:
    """Say that something went wrong; the same again while it is open changes nothing."""
    if change.verb not in MISHAPS:
        words = ", ".join(VERBS[verb].label.lower() for verb in MISHAPS)
        raise ValidationError(f"Only what happened can be declared: {words}. The other changes are plans.")
    policy_checked(actor, Action.EDIT, change.thing)
    thing = {change.node.kind: change.thing}
    known = Mishap.objects.filter(verb=change.verb, argument=change.argument, ended_at=None, **thing).first()
    if known:
        return known
    end_those_right_again()
    if Mishap.objects.filter(ended_at=None).count() >= MOST_MISHAPS:
        raise ValidationError(f"{MOST_MISHAPS} mishaps are open: end some of them first.")
    name = actor.get_username() if actor else "pipekeeper"
    mishap = Mishap.objects.create(verb=change.verb, argument=change.argument, declared_by=name, **thing)
    record_history(actor, "declared", _page_of(mishap), {}, {"mishap": change.words})
    return mishap


@transaction.atomic
def end_mishap(*, actor: User | None, mishap: Mishap) -> Mishap:
    """Say that it is right again, and with it everything downstream."""
    policy_checked(actor, Action.EDIT, mishap.thing)
    if mishap.ended_at is None:
        mishap.ended_at, mishap.ended_by = timezone.now(), actor.get_username() if actor else "pipekeeper"
        mishap.save()
        record_history(actor, "ended", _page_of(mishap), {"mishap": planned(mishap).words}, {})
    return mishap


def end_those_right_again() -> None:
    """Close open mishaps of which nothing is left."""
    for mishap in open_mishaps():
        left = standing_by(mishap)
        if not left.tables and not left.pipelines:
            Mishap.objects.filter(pk=mishap.pk).update(ended_at=timezone.now())


def _page_of(mishap: Mishap) -> Table | object:
    return mishap.thing.table if isinstance(mishap.thing, Column) else mishap.thing
