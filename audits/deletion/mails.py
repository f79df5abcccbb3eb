"""Mails to owners, and the signed links in them: each opens one notice, for a month, and nothing else."""

from __future__ import annotations

import datetime as dt
from smtplib import SMTPException

from django.conf import settings
from django.core import signing
from django.core.mail import send_mail
from django.urls import reverse

from audits.deletion.models import DeletionReview, OwnerNotice
from catalog.outbox import refuse_without_mail_server

LINK_DAYS = 30
_SALT = "pipekeeper.deletion.notice"
_MOST_NAMED = 20  # tables in a mail; the page has them all


def token_of(notice: OwnerNotice) -> str:
    """What stands in the link: says which notice, and nobody else can make one."""
    return signing.dumps(notice.pk, salt=_SALT)


def notice_of(token: str) -> OwnerNotice | None:
    """The notice of a link; None for a forged one or one older than a month. One query."""
    try:
        pk = signing.loads(token, salt=_SALT, max_age=dt.timedelta(days=LINK_DAYS))
    except signing.BadSignature:
        return None
    return OwnerNotice.objects.select_related("review", "owner").filter(pk=pk).first()


def link_to(notice: OwnerNotice) -> str:
    """The whole address for a mail."""
    return settings.SITE_URL + reverse("deletion-notice", args=[token_of(notice)])


def send_notice(notice: OwnerNotice, *, reminder: bool = False) -> bool:
    """Send it; False where the server takes no mail for that address. ValidationError without a mail server."""
    refuse_without_mail_server()
    try:
        send_mail(_subject(notice.review, reminder), _body(notice), None, [notice.owner.email])
    except SMTPException:
        return False
    return True


def _subject(review: DeletionReview, reminder: bool) -> str:
    tables = [each.table.name for each in review.tables.select_related("table")[:2]]
    more = review.tables.count() - 1
    what = tables[0] + (f" and {more} more" if more else "")
    return f"{'Reminder: may' if reminder else 'May'} {what} be deleted?"


def _body(notice: OwnerNotice) -> str:
    review = notice.review
    names = [f"  - {each.table.name}" for each in review.tables.select_related("table")[:_MOST_NAMED]]
    pipelines = [f"  - {each.pipeline.name} ({each.action})" for each in review.pipelines.select_related("pipeline")]
    absent = notice.instead_of.owner.name if notice.instead_of else ""
    stands_in = f"\nThis comes to you for {absent}, who cannot answer.\n" if absent else ""
    return f"""Hello {notice.owner.name},

nobody has been found to use these tables, and you answer for some of them or for what builds them:

{chr(10).join(names)}

Pipelines that would go or lose an output:

{chr(10).join(pipelines) or "  none"}
{stands_in}
The evidence, and your say in it, up to {review.notice_until}:

  {link_to(notice)}

One word from you stops it. If you agree, say so there: it needs you to sign in. If nobody answers until then, a
steward may decide. Whatever is decided, the tables are first only renamed for a while, and their data is kept.
"""
