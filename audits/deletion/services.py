"""A deletion review from flag to confirmation: one verb each, atomic, through `catalog.policy`, each leaving an event.

`actor` is the signed-in person; None is the product itself. What cannot be done now raises ValidationError in words.
Pipekeeper drops nothing: people run the scripts, and say here that they have.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from audits.deletion import scripts
from audits.deletion.asking import (
    ask,
    owners_by_table,
    pass_on,
    send_again,
    silence_is_over,
    tables_without_a_hearing,
)
from audits.deletion.evidence import counted
from audits.deletion.facts import DEFAULT_WINDOW
from audits.deletion.grants import NoGrants, read_grants
from audits.deletion.live import note_scans
from audits.deletion.models import (
    Approval,
    DeletionReview,
    OwnerNotice,
    Protection,
    ReviewedPipeline,
    ReviewedTable,
    ReviewEvent,
    VerdictRun,
)
from audits.deletion.needs import doubts_about, reason_to_stop
from audits.deletion.plan import Plan, plan_for
from audits.deletion.savings import savings_of
from audits.deletion.targets import target_of
from catalog import policy
from catalog import services as catalog
from catalog.addresses import ConnectionProblem
from catalog.connections import open_source
from catalog.models import Pipeline, Table, User
from catalog.policy import Action
from catalog.undo import Undo, puts_back, stored

NOTICE_DAYS = 14
QUARANTINE_DAYS = 14
State = DeletionReview.State


# Protections


@transaction.atomic
def protect(
    *, actor: User | None, table: Table, reason: str, until: dt.date | None, kind: str = Protection.Kind.PINNED
) -> Protection:
    """Pin a table until a day, or put it under legal hold. Its owners may pin, and editors; a hold needs a steward."""
    _require(actor, kind, table)
    protection = Protection(table=table, kind=kind, reason=reason.strip(), until=until, stated_by=actor)
    protection.stated_by_name = _name(actor)
    protection.full_clean()
    protection.save()
    _stop_reviews(protection)
    return protection


def _require(actor: User | None, kind: str, table: Table) -> None:
    """A legal hold needs a steward."""
    if actor is not None:
        policy.require(actor, Action.RETIRE if kind == Protection.Kind.LEGAL_HOLD else Action.EDIT, table)


def _stop_reviews(protection: Protection) -> None:
    table = protection.table
    for review in open_reviews_of([table]):
        stop(actor=None, review=review, reason=f"{table.name} is protected now: {protection.reason}")


@transaction.atomic
def lift(*, actor: User, protection: Protection) -> Protection:
    """End a protection before its time. A legal hold needs a steward."""
    _require(actor, protection.kind, protection.table)
    protection.lifted_at = timezone.now()
    protection.save(update_fields=["lifted_at"])
    undo = Undo("protection", {"lifted_at": None}, stored(protection, ["lifted_at"]), protection.pk)
    catalog.record_history(actor, "protection lifted", protection.table, {"protection": protection.reason}, {}, undo)
    return protection


@puts_back("protection", Protection)
def _put_back(actor: User | None, protection: Protection, had: dict[str, Any]) -> None:
    """A protection that was lifted holds again, as if stated anew."""
    _require(actor, protection.kind, protection.table)
    protection.lifted_at = None
    protection.save(update_fields=["lifted_at"])
    catalog.record_history(actor, "protection put back", protection.table, {}, {"protection": protection.reason})
    _stop_reviews(protection)


# The review


@transaction.atomic
def open_review(*, actor: User | None, tables: Iterable[Table]) -> DeletionReview:
    """Flag tables, with all that is built from them, for deletion. ValidationError names everything against it."""
    if actor is not None:
        policy.require(actor, Action.EDIT)
    plan = plan_for(tables)
    _refuse_obstacles(plan)
    run = VerdictRun.objects.first()
    review = DeletionReview.objects.create(
        opened_by=actor,
        opened_by_name=_name(actor),
        evidence_until=run.as_of if run else timezone.now().date(),
        savings=savings_of(plan.tables, plan.delete).to_dict(),
    )
    _add_plan(review, plan)
    review.is_reversible = all(
        scripts.is_reversible(each.table.source.dialect, target_of(each)) for each in _reviewed(review)
    )
    review.approvals_needed = _approvals_needed(review)
    review.save()
    words = f"Flagged {counted(len(plan.tables), 'table')} and {counted(len(plan.delete), 'pipeline')} for deletion."
    _note(review, actor, words, came_from="")
    return review


def _refuse_obstacles(plan: Plan) -> None:
    if not plan.tables:
        raise ValidationError("Choose at least one table.")
    taken = open_reviews_of(plan.tables)
    against = [*plan.obstacles, *(f"{review} already holds some of these tables." for review in taken)]
    if against:
        raise ValidationError(against)


def open_reviews_of(tables: Iterable[Table]) -> list[DeletionReview]:
    """Reviews of these tables that have not ended. One query."""
    ended = DeletionReview.ENDED
    return list(DeletionReview.objects.exclude(state__in=ended).filter(tables__table__in=list(tables)).distinct())


def _add_plan(review: DeletionReview, plan: Plan) -> None:
    ReviewedTable.objects.bulk_create(
        ReviewedTable(
            review=review,
            table=table,
            position=position,
            quarantine_name=_hidden_name(table, review),
            kept_name=scripts.beside(table.name, f"__kept_{review.pk}"),
        )
        for position, table in enumerate(plan.tables, 1)
    )
    actions = [(pipeline, ReviewedPipeline.Action.DELETE) for pipeline in plan.delete]
    actions += [(trim.pipeline, ReviewedPipeline.Action.TRIM) for trim in plan.trim]
    ReviewedPipeline.objects.bulk_create(
        ReviewedPipeline(review=review, pipeline=pipeline, action=action) for pipeline, action in actions
    )


def _hidden_name(table: Table, review: DeletionReview) -> str:
    return scripts.beside(table.name, f"__quarantine_{review.pk}")


def _approvals_needed(review: DeletionReview) -> int:
    """Two where one mistake would cost most: a tier-1 pipeline, no way back, or nobody there to ask."""
    tier_1 = review.pipelines.filter(pipeline__tier=1).exists()
    unheard = any(not owners for owners in owners_by_table(review).values())
    return 2 if tier_1 or unheard or not review.is_reversible else 1


@transaction.atomic
def notify(*, actor: User | None, review: DeletionReview) -> DeletionReview:
    """Tell the owners, each by mail with a link of their own; from now on the notice period runs."""
    review = _locked(review, actor, Action.EDIT, State.FLAGGED)
    review.notice_until = timezone.now().date() + dt.timedelta(days=NOTICE_DAYS)
    review.save()
    notices = ask(review)
    if tables_without_a_hearing(review):
        review.approvals_needed = 2
    sent = sum(notice.reach == OwnerNotice.Reach.SENT for notice in notices)
    words = f"Told {sent} of {counted(len(notices), 'owner')}; they have until {review.notice_until}."
    return _move(review, actor, State.NOTIFIED, words)


@transaction.atomic
def remind(*, actor: User | None, review: DeletionReview) -> DeletionReview:
    """Write once more to the owners who have not answered."""
    review = _locked(review, actor, Action.EDIT, State.NOTIFIED)
    return _move(review, actor, State.REMINDED, f"Reminded {counted(send_again(review), 'owner')} without an answer.")


@transaction.atomic
def note_unreached(*, actor: User, notice: OwnerNotice, reach: str) -> OwnerNotice:
    """Say that an owner is away or that the mail came back: their silence does not count, and their team is asked."""
    review = _locked(notice.review, actor, Action.EDIT, State.NOTIFIED, State.REMINDED)
    notice.reach = OwnerNotice.Reach(reach)
    notice.save(update_fields=["reach"])
    if pass_on(notice):
        later = timezone.now().date() + dt.timedelta(days=NOTICE_DAYS)
        review.notice_until = max(later, review.notice_until or later)
    if tables_without_a_hearing(review):
        review.approvals_needed = 2
    review.save()
    _note(review, actor, f"{notice.owner.name}: {notice.get_reach_display().lower()}; the team is asked.")
    return notice


@transaction.atomic
def agree(*, actor: User, notice: OwnerNotice) -> OwnerNotice:
    """An owner's yes. Only that owner, or a member of the team that was asked, may give it."""
    review = _locked(notice.review, actor, Action.VIEW, State.NOTIFIED, State.REMINDED)
    if not speaks_for(actor, notice):
        raise PermissionDenied(f"Only {notice.owner.name} can agree to this; you are signed in as somebody else.")
    return _answer(review, notice, actor, OwnerNotice.Answer.AGREED, f"{notice.owner.name} agreed.")


@transaction.atomic
def object_to(*, actor: User | None, notice: OwnerNotice, reason: str, until: dt.date | None = None) -> OwnerNotice:
    """An owner's no: it stops the review and pins its tables. The mail's link alone is enough (`actor` None)."""
    if not reason.strip():
        raise ValidationError({"reason": "Say in a few words why it must stay."})
    review = DeletionReview.objects.select_for_update().get(pk=notice.review_id)
    if not review.is_open:
        raise ValidationError(f"This review is over: {review.get_state_display().lower()}.")
    if actor is not None and not speaks_for(actor, notice):
        policy.require(actor, Action.EDIT)
    until = until or timezone.now().date() + dt.timedelta(days=365)
    words = f"{notice.owner.name} objected: {reason.strip()}"
    _answer(review, notice, actor, OwnerNotice.Answer.OBJECTED, words)
    stop(actor=actor, review=review, reason=words, checked=True)
    for each in _reviewed(review):
        _pin(each.table, words, until, notice.owner.name)
    return notice


def speaks_for(user: User, notice: OwnerNotice) -> bool:
    """Whether this person is the owner who was asked, or of that team."""
    if user.owner_id is None:
        return False
    return notice.owner_id in (user.owner_id, user.owner.team_id)


def _answer(review: DeletionReview, notice: OwnerNotice, actor: User | None, answer: str, words: str) -> OwnerNotice:
    notice.answer, notice.answered_at = answer, timezone.now()
    notice.answered_by_name = _name(actor) if actor else f"link sent to {notice.owner.name}"
    notice.save()
    _note(review, actor, words, by=notice.answered_by_name)
    return notice


@transaction.atomic
def approve(*, actor: User, review: DeletionReview) -> DeletionReview:
    """A steward's yes, once all who were asked agreed or the notice period is over. Some reviews need two stewards."""
    review = _locked(review, actor, Action.RETIRE, State.NOTIFIED, State.REMINDED)
    if not silence_is_over(review):
        raise ValidationError(f"Not everybody who was asked has agreed, and they have until {review.notice_until}.")
    if Approval.objects.filter(review=review, steward=actor).exists():
        raise ValidationError("You have approved this already; it needs another steward.")
    refuse_if_needed(review)
    Approval.objects.create(review=review, steward=actor, steward_name=_name(actor))
    given = review.approvals.count()
    if given < review.approvals_needed:
        _note(review, actor, f"Approved by {_name(actor)}: {given} of {review.approvals_needed}.")
        return review
    return _move(review, actor, State.AGREED, f"Approved by {_name(actor)}.")


@transaction.atomic
def quarantine_by_revoke(*, actor: User, review: DeletionReview) -> DeletionReview:
    """Choose to take away the rights on the tables, read from the live sources now, instead of renaming them."""
    review = _locked(review, actor, Action.RETIRE, State.AGREED)
    grants = {each: _live_grants(each) for each in _reviewed(review)}
    for each, found in grants.items():
        each.quarantine_name, each.grants = each.table.name, [asdict(grant) for grant in found]
        each.save(update_fields=["quarantine_name", "grants"])
    review.quarantine_by = DeletionReview.QuarantineBy.REVOKE
    review.save(update_fields=["quarantine_by"])
    _note(review, actor, f"Quarantine by revoke: read {counted(sum(map(len, grants.values())), 'grant')} to give back.")
    return review


def _live_grants(reviewed: ReviewedTable) -> list[scripts.Grant]:
    table = reviewed.table
    try:
        with open_source(table.source) as source:
            return read_grants(source, table.name)
    except (NoGrants, scripts.NoScript, ConnectionProblem) as error:
        raise ValidationError(f"The grants on {table.name} cannot be read. {error}") from error


@transaction.atomic
def quarantine_by_rename(*, actor: User, review: DeletionReview) -> DeletionReview:
    """Choose to rename the tables, which every review begins with."""
    review = _locked(review, actor, Action.RETIRE, State.AGREED)
    for each in _reviewed(review):
        each.quarantine_name, each.grants = _hidden_name(each.table, review), []
        each.save(update_fields=["quarantine_name", "grants"])
    review.quarantine_by = DeletionReview.QuarantineBy.RENAME
    review.save(update_fields=["quarantine_by"])
    _note(review, actor, "Quarantine by rename.")
    return review


@transaction.atomic
def record_quarantine(*, actor: User, review: DeletionReview) -> DeletionReview:
    """Say that the builders are stopped and the tables hidden. From now on a failed query stops the review."""
    review = _locked(review, actor, Action.RETIRE, State.AGREED)
    refuse_if_needed(review)
    _set_pipelines(actor, review, Pipeline.Status.PAUSED)
    note_scans(_reviewed(review))
    review.quarantine_until = timezone.now().date() + dt.timedelta(days=QUARANTINE_DAYS)
    return _move(review, actor, State.QUARANTINED, f"In quarantine until {review.quarantine_until}.")


@transaction.atomic
def record_deletion(*, actor: User, review: DeletionReview) -> DeletionReview:
    """Say that the tables are dropped and their data kept aside. Not before the quarantine is over and its log read."""
    review = _locked(review, actor, Action.RETIRE, State.QUARANTINED)
    refuse_early_deletion(review)
    refuse_if_needed(review)
    _set_pipelines(actor, review, Pipeline.Status.RETIRED)
    return _move(review, actor, State.DELETED, "The tables are dropped; their data is kept aside.")


def refuse_early_deletion(review: DeletionReview) -> None:
    """ValidationError while the quarantine lasts, or while the query log does not reach to its end."""
    today = timezone.now().date()
    if review.quarantine_until is None or today <= review.quarantine_until:
        raise ValidationError(f"The quarantine lasts until {review.quarantine_until}.")
    run = VerdictRun.objects.first()
    for source in {each.table.source.slug for each in _reviewed(review)}:
        covered = ((run and run.logs.get(source)) or {}).get("covered_to") or ""
        if covered < review.quarantine_until.isoformat():
            raise ValidationError(
                f"The query log of {source} reaches only to {covered or 'no day'}: ingest it up to "
                f"{review.quarantine_until}, then run flag_unused, so that a failed query would be seen."
            )


@transaction.atomic
def stop(*, actor: User | None, review: DeletionReview, reason: str, checked: bool = False) -> DeletionReview:
    """End a review: a table is needed, or a person says so. What was renamed or dropped is to be restored."""
    if actor is not None and not checked:
        policy.require(actor, Action.EDIT)
    review = DeletionReview.objects.select_for_update().get(pk=review.pk)
    if not review.is_open:
        raise ValidationError(f"This review is over: {review.get_state_display().lower()}.")
    review.stop_reason, review.stopped_in = reason, review.state
    review.is_restored = review.state not in (State.QUARANTINED, State.DELETED)
    return _move(review, actor, State.STOPPED, reason)


def stop_and_pin(*, review: DeletionReview, reason: str) -> DeletionReview:
    """Stop because somebody missed a table: it also stays out of the next flagging for one window."""
    review = stop(actor=None, review=review, reason=reason)
    until = timezone.now().date() + dt.timedelta(days=DEFAULT_WINDOW)
    for each in _reviewed(review):
        _pin(each.table, reason, until, "pipekeeper")
    return review


@transaction.atomic
def record_restoration(*, actor: User, review: DeletionReview) -> DeletionReview:
    """Say that the undo script was run and the builders run again."""
    review = _locked(review, actor, Action.RETIRE, State.STOPPED)
    if review.is_restored:
        raise ValidationError("There is nothing to restore.")
    _set_pipelines(actor, review, Pipeline.Status.ACTIVE)
    review.is_restored = True
    review.save()
    _note(review, actor, "The tables are back under their names, and what builds them runs again.")
    return review


@transaction.atomic
def confirm(*, review: DeletionReview) -> DeletionReview:
    """Every table is gone from a complete source, as an ingest saw."""
    review = _locked(review, None, Action.RETIRE, State.DELETED)
    return _move(review, None, State.CONFIRMED, "The sources no longer hold the tables.")


def refuse_if_needed(review: DeletionReview) -> None:
    """ValidationError with what stands against going on: somebody needs a table after all, or nobody can say."""
    against = reason_to_stop(review) or doubts_about(review)
    if against:
        raise ValidationError(against)


def _set_pipelines(actor: User, review: DeletionReview, status: str) -> None:
    for each in review.pipelines.filter(action=ReviewedPipeline.Action.DELETE).select_related("pipeline"):
        catalog.change_pipeline(actor=actor, pipeline=each.pipeline, status=status)


def _pin(table: Table, reason: str, until: dt.date, name: str) -> None:
    Protection.objects.create(table=table, reason=reason, until=until, stated_by_name=name)


def _reviewed(review: DeletionReview) -> Iterable[ReviewedTable]:
    return review.tables.select_related("table__source")


def _locked(review: DeletionReview, actor: User | None, action: Action, *states: str) -> DeletionReview:
    """The review as it is now, held until the transaction ends, if the actor may and it is in one of these states."""
    if actor is not None:
        policy.require(actor, action)
    review = DeletionReview.objects.select_for_update().get(pk=review.pk)
    if review.state not in states:
        wanted = " or ".join(f"“{State(state).label}”" for state in states)
        raise ValidationError(f"This needs a review that is {wanted}; it is “{review.get_state_display()}”.")
    return review


def _move(review: DeletionReview, actor: User | None, state: str, words: str) -> DeletionReview:
    before, review.state, review.state_since = review.state, state, timezone.now()
    review.save()
    _note(review, actor, words, came_from=before)
    return review


def _note(
    review: DeletionReview, actor: User | None, words: str, *, came_from: str | None = None, by: str = ""
) -> None:
    ReviewEvent.objects.create(
        review=review,
        actor=actor,
        actor_name=by or _name(actor),
        from_state=review.state if came_from is None else came_from,
        to_state=review.state,
        words=words,
    )


def _name(actor: User | None) -> str:
    return actor.get_username() if actor else "pipekeeper"
