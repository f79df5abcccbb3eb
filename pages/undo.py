"""The button Undo: below what was just done, and in the history of a thing."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from catalog import undo
from catalog.models import HistoryEntry

OFFERED = "undo"  # in the session: the key of the last act, until the next page shows the button


def offer(request: HttpRequest, act: undo.Act) -> None:
    """Let the next page show a button that takes this act back."""
    if act.can_be_undone:
        names = {entry.object_name for entry in act.entries}
        words = f"{names.pop()} is changed." if len(names) == 1 else f"{len(names)} things are changed."
        request.session[OFFERED] = {"act": act.key, "words": words}


@require_POST
def undo_act(request: HttpRequest, act: str) -> HttpResponse:
    """Take back all that one click did."""
    return _taken_back(request, HistoryEntry.objects.filter(act=act, actor=request.user))


@require_POST
def undo_entry(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back one change in the history of a thing."""
    return _taken_back(request, HistoryEntry.objects.filter(pk=pk))


def _taken_back(request: HttpRequest, found: QuerySet[HistoryEntry]) -> HttpResponse:
    entries = list(found)
    if not entries:
        raise Http404("There is nothing that could be taken back.")
    try:
        undo.undo(actor=request.user, entries=entries)
    except ValidationError as error:
        for message in error.messages:
            messages.error(request, f"Not undone: {message}")
    else:
        messages.success(request, "It is as it was before.")
    return redirect(_back(request))


def _back(request: HttpRequest) -> str:
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return back if safe else "/"
