"""The page of notices: admins alone, with what they may do to webhooks and messages."""

from __future__ import annotations

import pytest

from catalog import outbox
from catalog.models import OutgoingMessage, Webhook

pytestmark = pytest.mark.django_db

FACTS = {"name": "chat", "url": "https://chat.example/hook", "shape": "slack", "events": ["incident.opened"]}


def test_a_webhook_is_registered_changed_tried_and_removed(admin, signed_in) -> None:
    browser = signed_in(admin)
    assert "not a" not in browser.get("/webhooks/").content.decode()
    browser.post("/webhooks/new/", FACTS | {"is_active": "on"})
    webhook = Webhook.objects.get()
    assert outbox.secret_of(webhook) in browser.get("/webhooks/").content.decode()
    browser.post(f"/webhooks/{webhook.pk}/edit/", FACTS | {"name": "room"})
    webhook.refresh_from_db()
    assert (webhook.name, webhook.is_active, webhook.events) == ("room", False, ["incident.opened"])
    browser.post(f"/webhooks/{webhook.pk}/try/")
    message = OutgoingMessage.objects.get()
    OutgoingMessage.objects.update(next_attempt_at=None, last_error="The answer was 503.")
    assert "given up" in browser.get("/webhooks/").content.decode()
    browser.post(f"/webhooks/messages/{message.pk}/again/")
    assert OutgoingMessage.objects.get().next_attempt_at
    browser.post(f"/webhooks/{webhook.pk}/remove/")
    assert not Webhook.objects.exists()


def test_a_bad_address_stands_at_its_field(admin, signed_in) -> None:
    refused = signed_in(admin).post("/webhooks/new/", FACTS | {"url": "ftp://chat.example/"})
    assert refused.status_code == 422
    assert not Webhook.objects.exists()


def test_nobody_but_admins_sees_or_changes_them(steward, signed_in, with_token, admin) -> None:
    webhook = outbox.register_webhook(actor=admin, **FACTS)
    browser = signed_in(steward)
    for path in ("/webhooks/", "/webhooks/new/", f"/webhooks/{webhook.pk}/edit/", "/api/v1/webhooks/"):
        assert browser.get(path).status_code == 403, path
    assert browser.post(f"/webhooks/{webhook.pk}/remove/").status_code == 403
    program = with_token(steward, "write")
    assert program.get(f"/api/v1/webhooks/{webhook.pk}/").status_code == 403
    assert program.patch(f"/api/v1/webhooks/{webhook.pk}/", {"is_active": False}).status_code == 403
    assert Webhook.objects.get().is_active


def test_admins_manage_them_over_rest(admin, with_token) -> None:
    program = with_token(admin, "write")
    sent = {"name": "chat", "target": "https://chat.example/hook", "events": ["check.failed"]}
    made = program.post("/api/v1/webhooks/", sent)
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["target"], body["events"], body["is_active"]) == (sent["target"], ["check.failed"], True)
    assert program.put(body["url"], body).json() == body
    assert program.patch(body["url"], {"is_active": False}).json()["is_active"] is False
    assert program.patch(body["url"], {"events": ["nothing"]}).status_code == 400
