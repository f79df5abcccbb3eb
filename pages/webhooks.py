"""Notices, for admins: the webhooks that they go to, and the messages that are waiting or could not be sent."""

from __future__ import annotations

from copy import copy
from functools import partial

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_GET, require_POST

from catalog import outbox, policy
from catalog.models import OutgoingMessage, Webhook
from catalog.policy import Action
from pages.forms import FactsForm, form_page, saved

_MESSAGES_SHOWN = 50


class WebhookForm(FactsForm):
    url = forms.URLField(label="Address", max_length=1000, assume_scheme="https")
    events = forms.MultipleChoiceField(
        choices=[*outbox.EVENTS.items()],
        required=False,
        widget=forms.SelectMultiple({"size": len(outbox.EVENTS)}),
        help_text="All of them, if none is chosen.",
    )
    layout = [("", ["name", "shape", "url", "events", "is_active"])]
    whole = {"url", "events"}

    class Meta:
        model = Webhook
        fields = ["name", "shape", "url", "events", "is_active"]
        labels = {"is_active": "Switched on"}


@require_GET
def webhook_list(request: HttpRequest) -> HttpResponse:
    """The webhooks with their secrets, and the latest messages."""
    policy.require(request.user, Action.ADMINISTER)
    latest = OutgoingMessage.objects.select_related("webhook").defer("body")[:_MESSAGES_SHOWN]
    context = {
        "title": "Notices",
        "webhooks": [(webhook, outbox.secret_of(webhook)) for webhook in Webhook.objects.all()],
        "outgoing": latest,
        "waiting": OutgoingMessage.objects.filter(next_attempt_at__isnull=False).count(),
    }
    return render(request, "webhooks/list.html", context)


def create(request: HttpRequest) -> HttpResponse:
    """Register a webhook by form."""
    policy.require(request.user, Action.ADMINISTER)
    form = WebhookForm(request.POST or None, instance=Webhook())
    register = outbox.register_webhook
    if request.method == "POST" and saved(form, lambda: register(actor=request.user, **form.cleaned_data)):
        messages.success(request, "The webhook is registered.")
        return redirect("webhook-list")
    return _form_page(request, form, "Register a webhook", "Register")


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a webhook by form."""
    policy.require(request.user, Action.ADMINISTER)
    webhook = _webhook_or_404(pk)
    form = WebhookForm(request.POST or None, instance=copy(webhook))
    change = outbox.change_webhook
    if request.method == "POST" and saved(form, lambda: change(actor=request.user, webhook=webhook, **form.facts)):
        messages.success(request, "The changes are saved.")
        return redirect("webhook-list")
    return _form_page(request, form, f"Edit {webhook.name}", "Save")


_form_page = partial(form_page, back=reverse_lazy("webhook-list"), noun="Notices", list_route="webhook-list")


@require_POST
def act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Try a webhook out, or remove it."""
    policy.require(request.user, Action.ADMINISTER)
    webhook = _webhook_or_404(pk)
    if verb == "try":
        outbox.try_webhook(actor=request.user, webhook=webhook)
        messages.success(request, "A test waits to be sent: see below what comes of it.")
    elif verb == "remove":
        outbox.remove_webhook(actor=request.user, webhook=webhook)
        messages.success(request, f"{webhook} is removed.")
    else:
        raise Http404(f"Nobody can {verb} a webhook.")
    return redirect("webhook-list")


@require_POST
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a message again that was given up."""
    policy.require(request.user, Action.ADMINISTER)
    message = OutgoingMessage.objects.filter(pk=pk).first()
    if message is None:
        raise Http404("There is no such message.")
    outbox.send_again(actor=request.user, message=message)
    return redirect("webhook-list")


def _webhook_or_404(pk: int) -> Webhook:
    webhook = Webhook.objects.filter(pk=pk).first()
    if webhook is None:
        raise Http404("There is no such webhook.")
    return webhook
