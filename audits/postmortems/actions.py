"""An action item from its decision until it is done or dropped: one verb each, atomic, through `catalog.policy`.

What proves an item done is somebody's word, or a thing that shows green: a check that passes, a backfill note, a
deletion review that is through, an owner on record. The item can make that thing, and closes when it is green.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from audits.checks.models import Check, State
from audits.checks.services import create_check
from audits.deletion.models import DeletionReview
from audits.deletion.services import open_review
from audits.postmortems import notices
from audits.postmortems.models import ActionItem, Incident
from audits.postmortems.services import is_link, name_of
from catalog.models import Owner, Ownership, Pipeline, Table, User
from catalog.policy import Action
from catalog.queries import ownerships_in_force
from catalog.services import change_pipeline, policy_checked, record_history, set_owners
from catalog.undo import Undo, puts_back, revived, stored

REMIND_BEFORE = dt.timedelta(days=3)
REMIND_EVERY = dt.timedelta(days=7)  # once it is overdue
Status = ActionItem.Status
Proof = ActionItem.Proof
_ENDED = {Status.DONE: "finished", Status.DROPPED: "dropped"}  # what who ended it did
_THROUGH = (DeletionReview.State.DELETED, DeletionReview.State.CONFIRMED)
_PROOF_FIELDS = ("proof_check", "proof_table", "proof_pipeline", "proof_role", "proof_review")


@dataclass(frozen=True)
class Proven:
    """Whether what is to prove an item done shows green, in words, with the page where one sees it."""

    is_green: bool
    words: str
    path: str = ""


# Deciding


@transaction.atomic
def create_item(
    *, actor: User | None, incident: Incident, title: str, type: str, owner: Owner, due: dt.date, **facts: Any
) -> ActionItem:
    """Decide on something to do after an incident, with somebody who does it and a day."""
    policy_checked(actor, Action.EDIT, incident)
    item = ActionItem(incident=incident, title=title.strip(), type=type, created_by_name=name_of(actor))
    _set(item, {"owner": owner, "due": due, **facts}, changed=("owner", "due"))
    notices.assigned(item)
    return item


@transaction.atomic
def change_item(*, actor: User | None, item: ActionItem, **facts: Any) -> ActionItem:
    """Another day, another owner, another priority … The status changes by its own verbs."""
    policy_checked(actor, Action.EDIT, item)
    item = _locked(item)
    _require_open(item)
    changed = [name for name, value in facts.items() if getattr(item, name) != value]
    before, exact = {name: _plain(getattr(item, name)) for name in changed}, stored(item, changed)
    _set(item, facts, changed)
    if changed:
        after = {name: _plain(getattr(item, name)) for name in changed}
        record_history(actor, "changed", item, before, after, Undo("action item", exact, stored(item, changed)))
    if "owner" in changed:
        notices.assigned(item)
    return item


@puts_back("action item", ActionItem)
def _put_back(actor: User | None, item: ActionItem, had: dict[str, Any]) -> None:
    change_item(actor=actor, item=item, **revived(ActionItem, had))


def _set(item: ActionItem, facts: dict[str, Any], changed: Sequence[str]) -> None:
    for name, value in facts.items():
        setattr(item, name, value)
    if "due" in changed:
        today = timezone.now().date()
        if item.due < today:
            raise ValidationError(
                {"due": f"{item.due} is past; today is {today}. Choose a day that can still be kept."}
            )
        item.reminded_on = None
    if "owner" in changed:
        if item.owner is None:
            raise ValidationError({"owner": "Somebody must do it: name a person or a team."})
        if item.owner.status == Owner.Status.LEFT:
            raise ValidationError({"owner": f"{item.owner} has left. Name somebody who can do it."})
        item.owner_name = item.owner.name
    if item.ticket and not is_link(item.ticket):
        raise ValidationError({"ticket": "Write an address with http:// or https://."})
    item.full_clean()
    item.save()


@transaction.atomic
def start(*, actor: User, item: ActionItem) -> ActionItem:
    """Somebody works on it."""
    policy_checked(actor, Action.EDIT, item)
    item = _locked(item)
    _require_open(item)
    item.status = Status.IN_PROGRESS
    item.save(update_fields=["status"])
    return item


@transaction.atomic
def finish(*, actor: User | None, item: ActionItem, words: str = "") -> ActionItem:
    """It is done: what proves it must show green, or somebody says in words how one can tell."""
    policy_checked(actor, Action.EDIT, item)
    item = _locked(item)
    _require_open(item)
    proven = proof_of(item)
    if proven is None:
        item.proof_words = words.strip()[:500] or item.proof_words
        if not item.proof_words:
            raise ValidationError({"words": "Say how one can tell that it is done."})
    elif not proven.is_green:
        raise ValidationError(f"What is to prove it does not yet: {proven.words} It closes by itself when it does.")
    return _end(actor, item, Status.DONE)


@transaction.atomic
def drop(*, actor: User, item: ActionItem, reason: str) -> ActionItem:
    """Decide not to do it, for a reason."""
    policy_checked(actor, Action.EDIT, item)
    item = _locked(item)
    _require_open(item)
    if not reason.strip():
        raise ValidationError({"reason": "Say why it is dropped: the next incident may ask."})
    item.drop_reason = reason.strip()
    return _end(actor, item, Status.DROPPED)


@transaction.atomic
def reopen(*, actor: User, item: ActionItem) -> ActionItem:
    """It is to be done after all."""
    policy_checked(actor, Action.EDIT, item)
    item = _locked(item)
    if item.is_open:
        raise ValidationError("This action item is open.")
    before = {"status": item.status, "drop_reason": item.drop_reason}
    item.status, item.ended_at, item.ended_by_name, item.drop_reason = Status.OPEN, None, "", ""
    item.save()
    record_history(actor, "reopened", item, before, {"status": item.status})
    return item


def _end(actor: User | None, item: ActionItem, status: str) -> ActionItem:
    before, item.status = item.status, status
    item.ended_at, item.ended_by_name = timezone.now(), name_of(actor)
    item.full_clean()
    item.save()
    after = {"status": status, "proof": item.proof_words} if status == Status.DONE else {"status": status}
    record_history(
        actor, _ENDED[status], item, {"status": before}, after | ({"why": item.drop_reason} if item.drop_reason else {})
    )
    return item


# What proves it


def proof_of(item: ActionItem) -> Proven | None:
    """How what proves the item stands; None where it is somebody's word. One or two queries."""
    match item.proof:
        case Proof.CHECK:
            return _check_passes(item)
        case Proof.BACKFILL:
            return _backfill_is_noted(item.proof_pipeline)
        case Proof.DELETION:
            return _deletion_is_through(item.proof_review)
        case Proof.OWNER:
            return _owner_is_on_record(item.proof_table or item.proof_pipeline, item.proof_role)
    return None


_GONE = Proven(False, "It is not there, or not any more: make it, or choose something else.")


def _check_passes(item: ActionItem) -> Proven:
    """Only a result measured after the decision counts: that it passed before proves nothing."""
    check = item.proof_check
    if check is None:
        return _GONE
    result = check.results.first()
    path = check.get_absolute_url()
    if result is None or result.at < item.created_at:
        return Proven(False, f"The check {check.name} has not run since the decision.", path)
    words = f"The check {check.name} {result.get_state_display().lower()} ({result.at:%Y-%m-%d %H:%M} UTC)."
    return Proven(result.state == State.PASS, words, path)


def _backfill_is_noted(pipeline: Pipeline | None) -> Proven:
    if pipeline is None:
        return _GONE
    is_noted = bool(pipeline.backfill.strip())
    words = "says how to run it again" if is_noted else "does not say yet how to run it again"
    return Proven(is_noted, f"{pipeline.name} {words}.", pipeline.get_absolute_url())


def _deletion_is_through(review: DeletionReview | None) -> Proven:
    if review is None:
        return _GONE
    words = f"{review}: {review.get_state_display().lower()}."
    return Proven(review.state in _THROUGH, words, review.get_absolute_url())


def _owner_is_on_record(thing: Table | Pipeline | None, role: str) -> Proven:
    if thing is None:
        return _GONE
    noun, label = thing._meta.model_name, Ownership.Role(role).label.lower()
    owner = ownerships_in_force(noun, role=role, **{noun: thing}).filter(owner__status=Owner.Status.ACTIVE)
    first = owner.select_related("owner").first()
    words = f"{first.owner} is {label} of {thing}." if first else f"{thing} has no {label} yet."
    return Proven(first is not None, words, thing.get_absolute_url())


@transaction.atomic
def prove_by(*, actor: User | None, item: ActionItem, proof: str, **things: Any) -> ActionItem:
    """State what proves the item: `check`, `pipeline`, `review`, or a `table` or `pipeline` with a `role`."""
    policy_checked(actor, Action.EDIT, item)
    item = _locked(item)
    _require_open(item)
    for field in _PROOF_FIELDS:
        setattr(item, field, "" if field == "proof_role" else None)
    item.proof = proof
    for name, thing in things.items():
        setattr(item, f"proof_{name}", thing)
    proven = proof_of(item)
    if proven is _GONE:
        raise ValidationError({"proof": "Name the thing that proves it."})
    item.full_clean()
    item.save()
    return item


# Making the thing itself


@transaction.atomic
def make_check(*, actor: User, item: ActionItem, table: Table, kind: str, **parameters: Any) -> ActionItem:
    """Make a check of a table, as this item asked; it closes once that passes."""
    check = create_check(actor=actor, of=table, kind=kind, parameters=parameters, description=item.title)
    return prove_by(actor=actor, item=item, proof=Proof.CHECK, check=check)


@transaction.atomic
def note_backfill(*, actor: User, item: ActionItem, pipeline: Pipeline, text: str) -> ActionItem:
    """Write how a pipeline is run again, as this item asked; that closes it."""
    if not text.strip():
        raise ValidationError({"text": "Say how to run it again for a range of dates."})
    item = prove_by(actor=actor, item=item, proof=Proof.BACKFILL, pipeline=pipeline)
    item.proof_pipeline = change_pipeline(actor=actor, pipeline=pipeline, backfill=text.strip())
    return close_if_proven(item)


@transaction.atomic
def assign_owner(*, actor: User, item: ActionItem, thing: Table | Pipeline, role: str, owner: Owner) -> ActionItem:
    """Put an owner on record, as this item asked; that closes it."""
    noun = thing._meta.model_name
    item = prove_by(actor=actor, item=item, proof=Proof.OWNER, role=Ownership.Role(role), **{noun: thing})
    set_owners(actor=actor, thing=thing, role=role, owners=[owner])
    return close_if_proven(item)


@transaction.atomic
def review_deletion(*, actor: User, item: ActionItem, tables: Sequence[Table]) -> ActionItem:
    """Open a deletion review, as this item asked; it closes when the tables are gone."""
    review = open_review(actor=actor, tables=tables)
    return prove_by(actor=actor, item=item, proof=Proof.DELETION, review=review)


@transaction.atomic
def close_if_proven(item: ActionItem) -> ActionItem:
    """Close an open item whose proof shows green, in the product's own name."""
    item = _locked(item)
    proven = proof_of(item) if item.is_open else None
    if proven is None or not proven.is_green:
        return item
    item.proof_words = proven.words[:500]
    return _end(None, item, Status.DONE)


def close_what_is_proven() -> list[ActionItem]:
    """Close every open item whose proof shows green; those that were closed."""
    waiting = ActionItem.objects.exclude(status__in=ActionItem.ENDED).exclude(proof="")
    return [item for item in map(close_if_proven, waiting) if not item.is_open]


# Reminding


def remind(today: dt.date | None = None) -> list[ActionItem]:
    """Write to owners before the day, and to them and their team when it is over, each week anew; whom it was about."""
    today = today or timezone.now().date()
    waiting = ActionItem.objects.exclude(status__in=ActionItem.ENDED).filter(due__lte=today + REMIND_BEFORE)
    return [item for item in waiting.select_related("owner__team", "incident") if _remind_of(item, today)]


@transaction.atomic
def _remind_of(item: ActionItem, today: dt.date) -> bool:
    if not _is_to_be_reminded(item, today):
        return False
    ActionItem.objects.filter(pk=item.pk).update(reminded_on=today)
    if item.due < today:
        notices.overdue(item)
    else:
        notices.due_soon(item)
    return True


def _is_to_be_reminded(item: ActionItem, today: dt.date) -> bool:
    """Once before the day, once when it is over, and then each week."""
    last = item.reminded_on
    if last is None:
        return True
    return item.due < today and (last <= item.due or today - last >= REMIND_EVERY)


# Helpers


def _locked(item: ActionItem) -> ActionItem:
    return ActionItem.objects.select_for_update().get(pk=item.pk)


def _require_open(item: ActionItem) -> None:
    if not item.is_open:
        raise ValidationError(f"This action item is {item.get_status_display().lower()}. Reopen it first.")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, dt.date | Owner | Check) else value
