"""The outbox: notices are written with their change, sent by a command, signed, tried again, kept out of our net."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import threading
import time
from collections.abc import Iterator

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import call_command
from django.utils import timezone

from catalog import outbox, posting
from catalog.models import OutgoingMessage, Webhook
from catalog.outbox import WAITS, Notice, announce, send_due

pytestmark = pytest.mark.django_db

NOTICE = Notice("incident.opened", "Orders are <wrong>", "Twice as many rows & more.", "/incidents/1/", {"severity": 1})


class Receiver(http.server.ThreadingHTTPServer):
    """A program that takes posts: keeps them, and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status, self.drip = 200, 0.0
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?room=data"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        if self.server.drip:  # a byte of a header now and then: no single read ever times out
            for _ in range(100):
                try:
                    self.wfile.write(b"H")
                    time.sleep(self.server.drip)
                except OSError:
                    return
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the tests' output quiet."""


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def hook(url: str, **facts) -> Webhook:
    return outbox.register_webhook(actor=None, name=f"hook {Webhook.objects.count()}", url=url, **facts)


def make_due() -> None:
    OutgoingMessage.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())


def test_a_notice_goes_by_mail_and_to_the_webhooks_that_want_it(receiver) -> None:
    hook(receiver.url, events=["incident.opened"])
    hook(receiver.url, events=["check.failed"])
    hook(receiver.url, is_active=False)
    announce(NOTICE, ["jo@shop.example", "jo@shop.example", ""])
    assert not mail.outbox
    assert not receiver.got  # nothing leaves before the command
    assert (send_due().sent, send_due().sent) == (2, 0)
    assert [(each.to, each.subject) for each in mail.outbox] == [(["jo@shop.example"], "Orders are <wrong>")]
    assert mail.outbox[0].body.endswith("/incidents/1/\n")
    assert json.loads(receiver.got[0][1])["facts"] == {"severity": 1}


def test_a_post_is_signed_with_the_webhook_s_own_secret(receiver) -> None:
    webhook = hook(receiver.url)
    announce(NOTICE)
    send_due()
    headers, body = receiver.got[0]
    at = int(headers["X-Pipekeeper-Timestamp"])
    assert abs(at - time.time()) < 60
    assert headers["X-Pipekeeper-Signature"] == posting.signature(outbox.secret_of(webhook), at, body)
    assert headers["X-Pipekeeper-Event"] == "incident.opened"
    assert outbox.secret_of(hook(receiver.url)) != outbox.secret_of(webhook)


def test_slack_s_shape_calls_nobody(receiver) -> None:
    hook(receiver.url, shape="slack")
    announce(Notice("incident.opened", "<!channel> & all", "text", "/incidents/1/"))
    send_due()
    assert json.loads(receiver.got[0][1])["text"].startswith("*&lt;!channel&gt; &amp; all*\ntext\n<http")


def test_what_fails_is_tried_again_later_each_time_and_then_given_up(receiver) -> None:
    hook(receiver.url)
    announce(NOTICE)
    receiver.status = 503
    for wait in WAITS:
        make_due()
        assert send_due().failed == 1
        message = OutgoingMessage.objects.get()
        assert abs(message.next_attempt_at - timezone.now() - wait) < dt.timedelta(seconds=10)
        assert message.last_error == "The answer was 503."
    make_due()
    assert send_due().given_up == 1
    assert OutgoingMessage.objects.get().next_attempt_at is None


def test_a_given_up_message_is_tried_again_by_an_admin(receiver, admin, editor) -> None:
    hook(receiver.url)
    announce(NOTICE)
    OutgoingMessage.objects.update(next_attempt_at=None, attempts=6, last_error="The answer was 503.")
    with pytest.raises(PermissionDenied):
        outbox.send_again(actor=editor, message=OutgoingMessage.objects.get())
    outbox.send_again(actor=admin, message=OutgoingMessage.objects.get())
    assert send_due().sent == 1


def test_a_redirect_is_not_followed(receiver) -> None:
    hook(receiver.url)
    announce(NOTICE)
    receiver.status = 302
    send_due()
    assert "302. Redirects are not followed" in OutgoingMessage.objects.get().last_error


def test_a_target_that_hangs_or_drips_costs_no_more_than_its_time(receiver, monkeypatch) -> None:
    monkeypatch.setattr(posting, "LONGEST", 0.4)
    hook(receiver.url)
    announce(NOTICE)
    announce(NOTICE)
    receiver.drip = 0.1
    began = time.monotonic()
    assert send_due().failed == 1  # the second waits for the next pass
    assert time.monotonic() - began < 3
    assert OutgoingMessage.objects.filter(last_error__startswith="No answer within").count() == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://[::1]:1/",
        "http://[::ffff:10.0.0.1]:1/",
        "http://[64:ff9b::a00:1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.1.2.3/",
        "http://0.0.0.0:1/",
        "http://2130706433/",
    ],
)
def test_an_internal_address_is_refused_when_sending(url: str) -> None:
    Webhook.objects.create(name="inside", url=url)
    announce(NOTICE)
    send_due()
    assert "inside a private network" in OutgoingMessage.objects.get().last_error


def test_a_message_is_sent_once_by_two_who_send_at_once(receiver) -> None:
    hook(receiver.url)
    announce(NOTICE)
    message = OutgoingMessage.objects.get()
    assert [outbox._claim(message), outbox._claim(message)] == [True, False]
    assert send_due().sent == 0


def test_a_subject_of_several_lines_is_one_header() -> None:
    announce(Notice("incident.opened", "Orders\nBcc: all@shop.example", "x", "/"), ["jo@shop.example"])
    assert send_due().sent == 1
    assert (mail.outbox[0].subject, mail.outbox[0].bcc) == ("Orders Bcc: all@shop.example", [])


def test_an_address_that_cannot_be_read_fails_alone() -> None:
    Webhook.objects.create(name="odd", url="http://shop.example:99999999/")
    announce(NOTICE, ["jo@shop.example"])
    assert (send_due().failed, len(mail.outbox)) == (1, 1)


def test_what_was_sent_long_ago_is_forgotten() -> None:
    announce(NOTICE, ["jo@shop.example"])
    send_due()
    OutgoingMessage.objects.update(created_at=timezone.now() - dt.timedelta(days=91))
    announce(NOTICE, ["ann@shop.example"])
    OutgoingMessage.objects.filter(sent_at=None).update(
        created_at=timezone.now() - dt.timedelta(days=91), next_attempt_at=timezone.now() + dt.timedelta(hours=1)
    )
    send_due()
    assert list(OutgoingMessage.objects.values_list("mail_to", flat=True)) == ["ann@shop.example"]


def test_without_a_mail_server_a_mail_waits_and_says_why(settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    announce(NOTICE, ["jo@shop.example"])
    assert send_due().failed == 1
    assert "Set EMAIL_HOST" in OutgoingMessage.objects.get().last_error


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"url": "ftp://shop.example/"}, "valid URL"),
        ({"url": "not an address"}, "valid URL"),
        ({"url": "https://shop.example/", "events": ["incident.closed"]}, "no event incident.closed"),
        ({"url": "https://shop.example/", "events": "incident.opened"}, "list of names"),
        ({"url": "https://shop.example/", "shape": "teams"}, "not a valid choice"),
    ],
)
def test_a_webhook_that_cannot_be_says_why(facts, words, admin) -> None:
    with pytest.raises(ValidationError, match=words):
        outbox.register_webhook(actor=admin, name="chat", **facts)


def test_only_admins_manage_webhooks(steward, admin) -> None:
    facts = {"name": "chat", "url": "https://shop.example/"}
    with pytest.raises(PermissionDenied):
        outbox.register_webhook(actor=steward, **facts)
    webhook = outbox.register_webhook(actor=admin, **facts)
    with pytest.raises(PermissionDenied):
        outbox.remove_webhook(actor=steward, webhook=webhook)
    outbox.try_webhook(actor=admin, webhook=webhook)
    assert OutgoingMessage.objects.get().event == "webhook.test"


def test_an_unknown_event_is_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="none of the events"):
        announce(Notice("incident.forgotten", "x", "x", "/"))


def test_the_command_says_what_it_did(capsys) -> None:
    announce(NOTICE, ["jo@shop.example"])
    call_command("send_notices", json=True)
    assert json.loads(capsys.readouterr().out) == {"sent": 1, "failed": 0, "given_up": 0}
