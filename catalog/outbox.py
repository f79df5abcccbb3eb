"""WHAT IS TOLD TO OTHERS: mails and signed posts to webhooks, written with the change that they tell of.

A page never waits for them: `announce` writes rows inside the change's own transaction, and `manage.py send_notices`
sends what is due, again and again later where it fails.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from catalog import policy
from catalog.models import OutgoingMessage, User, Webhook
from catalog.policy import Action
from catalog.posting import PostProblem, post, signed_headers
from catalog.services import policy_checked

EVENTS = {
    "incident.opened": "An incident is opened",
    "incident.resolved": "An incident is resolved",
    "post_mortem.review": "A post-mortem is sent to somebody for review",
    "post_mortem.published": "A post-mortem is published",
    "action_item.assigned": "An action item is given to somebody",
    "action_item.due": "An action item is due soon",
    "action_item.overdue": "An action item is overdue",
    "check.failed": "A check fails",
    "check.error": "A check could not be run",
    "check.recovered": "A check that failed, or could not be run, passes again",
    "webhook.test": "Somebody tries the webhook out",
}
WAITS = [dt.timedelta(minutes=minutes) for minutes in (1, 5, 25, 120, 600)]  # after the first failure, the second, …
_LEASE = dt.timedelta(minutes=5)  # for which a message belongs to the process that sends it
_AT_ONCE = 500  # messages of one pass
_KEPT = dt.timedelta(days=90)  # after which what was sent or given up is forgotten


@dataclass(frozen=True)
class Notice:
    """Something worth telling: `path` is its page here, `facts` what a program wants to know."""

    event: str
    subject: str
    text: str
    path: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    """What one pass over the outbox came to."""

    sent: int
    failed: int
    given_up: int


def announce(notice: Notice, mail_to: Iterable[str] = ()) -> None:
    """Write a notice for every webhook that wants its event and for each of these addresses. Two queries."""
    if notice.event not in EVENTS:
        raise ValueError(f"{notice.event} is none of the events: {', '.join(EVENTS)}")
    url = settings.SITE_URL + notice.path
    wanting = [
        each for each in Webhook.objects.filter(is_active=True) if not each.events or notice.event in each.events
    ]
    _write(notice, url, wanting, mail_to)


def _write(notice: Notice, url: str, webhooks: Iterable[Webhook], mail_to: Iterable[str]) -> None:
    common = {"event": notice.event, "subject": " ".join(notice.subject.split())[:300]}  # a header is one line
    mail = f"{notice.text}\n\n{url}\n"
    messages = [OutgoingMessage(**common, mail_to=address, body=mail) for address in sorted({*mail_to} - {""})]
    messages += [OutgoingMessage(**common, webhook=each, body=_shaped(each.shape, notice, url)) for each in webhooks]
    OutgoingMessage.objects.bulk_create(messages)


def _shaped(shape: str, notice: Notice, url: str) -> str:
    """The JSON that is posted."""
    body: dict[str, Any]
    if shape == Webhook.Shape.SLACK:
        subject, text = (_for_slack(each) for each in (notice.subject, notice.text))
        body = {"text": f"*{subject}*\n{text}\n<{url}|Open in Pipekeeper>"}
    else:
        body = {"event": notice.event, "at": timezone.now().isoformat(), "subject": notice.subject}
        body |= {"text": notice.text, "url": url, "facts": notice.facts}
    return json.dumps(body, ensure_ascii=False, default=str)


def _for_slack(text: str) -> str:
    """Slack reads these three as markup: `<!channel>` in a title would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# Sending


def send_due() -> Sent:
    """Send what is due now. A webhook that fails once is left alone for the rest of the pass."""
    _forget_old()
    counts = {"sent": 0, "failed": 0, "given_up": 0}
    down: set[int | None] = set()
    due = OutgoingMessage.objects.filter(next_attempt_at__lte=timezone.now()).order_by("next_attempt_at", "id")
    for message in due.select_related("webhook")[:_AT_ONCE]:
        if (message.webhook_id and message.webhook_id in down) or not _claim(message):
            continue
        outcome = _send(message)
        counts[outcome] += 1
        if outcome != "sent":
            down.add(message.webhook_id)
    return Sent(**counts)


def _forget_old() -> None:
    old = OutgoingMessage.objects.filter(created_at__lt=timezone.now() - _KEPT, next_attempt_at__isnull=True)
    old.delete()


def _claim(message: OutgoingMessage) -> bool:
    """Whether the message is ours to send: another process that came first has moved its next attempt."""
    mine = OutgoingMessage.objects.filter(pk=message.pk, next_attempt_at=message.next_attempt_at)
    return bool(mine.update(next_attempt_at=timezone.now() + _LEASE, attempts=F("attempts") + 1))


def _send(message: OutgoingMessage) -> str:
    """Try once and note what came of it: "sent", "failed" or "given_up"."""
    try:
        _deliver(message)
    except (PostProblem, ValidationError, SMTPException, OSError, ValueError) as error:
        words = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        wait = WAITS[message.attempts] if message.attempts < len(WAITS) else None
        outcome = {"last_error": words[:500], "next_attempt_at": wait and timezone.now() + wait}
    else:
        wait, outcome = None, {"last_error": "", "next_attempt_at": None, "sent_at": timezone.now()}
    OutgoingMessage.objects.filter(pk=message.pk).update(**outcome)
    if "sent_at" in outcome:
        return "sent"
    return "failed" if wait else "given_up"


def _deliver(message: OutgoingMessage) -> None:
    if message.webhook is None:
        refuse_without_mail_server()
        send_mail(message.subject, message.body, None, [message.mail_to])
        return
    if not message.webhook.is_active:
        raise PostProblem("The webhook is switched off.")
    body = message.body.encode()
    headers = {"X-Pipekeeper-Event": message.event, "X-Pipekeeper-Delivery": str(message.pk)}
    post(message.webhook.url, body, headers | signed_headers(secret_of(message.webhook), body))


def refuse_without_mail_server() -> None:
    """ValidationError where mails would only be written to files that nobody looks for."""
    if settings.EMAIL_BACKEND.endswith("filebased.EmailBackend") and not settings.DEMO:
        raise ValidationError("No mail server is configured, so no mail can be sent. Set EMAIL_HOST.")


@transaction.atomic
def send_again(*, actor: User, message: OutgoingMessage) -> None:
    """Try a message that was given up from the start."""
    policy.require(actor, Action.ADMINISTER)
    again = OutgoingMessage.objects.filter(pk=message.pk, sent_at__isnull=True)
    again.update(next_attempt_at=timezone.now(), attempts=0)


# Webhooks, by admins


def secret_of(webhook: Webhook) -> str:
    """The secret that signs its posts: derived from SECRET_KEY, so that no database or backup holds it."""
    return salted_hmac("pipekeeper.webhook", webhook.key.hex, algorithm="sha256").hexdigest()


@transaction.atomic
def register_webhook(*, actor: User | None, **facts: Any) -> Webhook:
    """A new place for notices."""
    return _save(Webhook(), actor, facts)


@transaction.atomic
def change_webhook(*, actor: User | None, webhook: Webhook, **facts: Any) -> Webhook:
    """Another address, other events, or switched off."""
    return _save(webhook, actor, facts)


def _save(webhook: Webhook, actor: User | None, facts: dict[str, Any]) -> Webhook:
    policy_checked(actor, Action.ADMINISTER)
    for name, value in facts.items():
        setattr(webhook, name, value)
    if not isinstance(webhook.events, list):
        raise ValidationError({"events": "Write a list of names of events."})
    if unknown := [str(event) for event in webhook.events if event not in EVENTS]:
        raise ValidationError({"events": f"There is no event {', '.join(unknown)}. Known: {', '.join(EVENTS)}."})
    webhook.full_clean()
    webhook.save()
    return webhook


@transaction.atomic
def remove_webhook(*, actor: User, webhook: Webhook) -> None:
    """Send it nothing more, and forget what was sent."""
    policy.require(actor, Action.ADMINISTER)
    webhook.delete()


@transaction.atomic
def try_webhook(*, actor: User, webhook: Webhook) -> None:
    """Write it a message that says only that it works."""
    policy.require(actor, Action.ADMINISTER)
    notice = Notice("webhook.test", "A test of Pipekeeper's notices", f"{actor} tries out {webhook}.", "/webhooks/")
    _write(notice, settings.SITE_URL + notice.path, [webhook], ())
