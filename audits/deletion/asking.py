"""Whom to ask about a review, whether they could answer, and when silence may be taken for an answer."""

from __future__ import annotations

from django.utils import timezone

from audits.deletion.mails import send_notice
from audits.deletion.models import DeletionReview, OwnerNotice
from catalog.models import Owner, Pipeline, Table
from catalog.queries import owners_of, owners_with_fallback, with_owners
from lineage.queries import builders_of

Reach = OwnerNotice.Reach


def owners_by_table(review: DeletionReview) -> dict[Table, set[Owner]]:
    """Who answers for each table of a review: its own owners or else its builders'."""
    ids = list(review.tables.values_list("table_id", flat=True))
    builders = builders_of(ids)
    found = {}
    for table in with_owners(Table.objects.filter(pk__in=ids)):
        owners = owners_with_fallback(table, builders.get(table.pk, ()))
        found[table] = {*owners.business, *owners.technical}
    return found


def ask(review: DeletionReview) -> list[OwnerNotice]:
    """A notice to every owner of the tables and of the pipelines that go or are trimmed, mailed where it can be."""
    owners = set().union(*owners_by_table(review).values())
    for pipeline in with_owners(Pipeline.objects.filter(reviewed_in__review=review)):
        own = owners_of(pipeline)
        owners |= {*own.business, *own.technical}
    for owner in sorted(owners, key=lambda owner: owner.pk):
        notice = _tell(review, owner)
        if notice.reach != Reach.SENT:
            pass_on(notice)
    return list(review.notices.select_related("owner"))


def pass_on(notice: OwnerNotice) -> bool:
    """Ask the team of somebody who cannot answer; whether it was asked only now."""
    team = notice.owner.team
    if team is None or OwnerNotice.objects.filter(review=notice.review, owner=team).exists():
        return False
    return _tell(notice.review, team, instead_of=notice).reach == Reach.SENT


def _tell(review: DeletionReview, owner: Owner, instead_of: OwnerNotice | None = None) -> OwnerNotice:
    known = OwnerNotice.objects.filter(review=review, owner=owner).first()
    if known is not None:
        return known
    notice = OwnerNotice.objects.create(review=review, owner=owner, reach=_reach(owner), instead_of=instead_of)
    if notice.reach == Reach.SENT:
        if send_notice(notice):
            notice.sent_at = timezone.now()
        else:
            notice.reach = Reach.BOUNCED
        notice.save()
    return notice


def _reach(owner: Owner) -> str:
    if owner.status == Owner.Status.LEFT:
        return Reach.LEFT
    return Reach.SENT if owner.email else Reach.NO_ADDRESS


def send_again(review: DeletionReview) -> int:
    """Remind those who could answer and have not; how many."""
    silent = review.notices.filter(reach=Reach.SENT, answer=OwnerNotice.Answer.NONE)
    number = 0
    for notice in silent.select_related("owner", "review"):
        if send_notice(notice, reminder=True):
            notice.reminded_at = timezone.now()
            number += 1
        else:
            notice.reach = Reach.BOUNCED
            pass_on(notice)
        notice.save()
    return number


def tables_without_a_hearing(review: DeletionReview) -> list[Table]:
    """Tables for which nobody could be asked: no owner, or none whom a mail reached, nor their team."""
    reached = set(review.notices.filter(reach=Reach.SENT).values_list("owner_id", flat=True))
    return [
        table
        for table, owners in owners_by_table(review).items()
        if not any(owner.pk in reached or owner.team_id in reached for owner in owners)
    ]


def silence_is_over(review: DeletionReview) -> bool:
    """Everybody who could answer agreed, or the notice period has passed."""
    if review.notice_until is not None and timezone.now().date() > review.notice_until:
        return True
    asked = list(review.notices.filter(reach=Reach.SENT).values_list("answer", flat=True))
    return bool(asked) and all(answer == OwnerNotice.Answer.AGREED for answer in asked)
