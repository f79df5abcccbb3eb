"""Saved views: a list as one narrowed it, kept under a name for oneself or shared with all."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from catalog.models import SavedView, User
from catalog.services import record_history
from catalog.undo import Undo, puts_back, stored

PAGES = ("table-list", "pipeline-list", "owner-list", "source-list", "tag-list", "problem-list", "run-list")
_KEPT = ("page", "name", "query", "is_shared")
_NOT_KEPT = ("cursor", "as")


class SavedViewForm(forms.ModelForm):
    """What to keep; a view saved again under its name is replaced."""

    class Meta:
        model = SavedView
        fields = _KEPT

    def clean_page(self) -> str:
        if self.cleaned_data["page"] not in PAGES:
            raise forms.ValidationError("This page keeps no views.")
        return self.cleaned_data["page"]

    def clean_query(self) -> str:
        query = QueryDict(self.cleaned_data["query"], mutable=True)
        for name in _NOT_KEPT:
            query.pop(name, None)
        return query.urlencode()


def views_of(user: User, page: str) -> QuerySet[SavedView]:
    """One's own views of a list, and those that others share."""
    return SavedView.objects.filter(Q(user=user) | Q(is_shared=True), page=page).select_related("user")


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Keep the list as it is narrowed now."""
    form = SavedViewForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(error for errors in form.errors.values() for error in errors))
        page = request.POST.get("page", "")
        return redirect(page if page in PAGES else "home")
    kept = form.cleaned_data
    facts = {"query": kept["query"], "is_shared": kept["is_shared"]}
    view, is_new = SavedView.objects.get_or_create(
        user=request.user, page=kept["page"], name=kept["name"], defaults=facts
    )
    if not is_new:
        _replace(request.user, view, facts)
    messages.success(request, f"The view {kept['name']} is saved.")
    return redirect(f"{reverse(kept['page'])}?{kept['query']}")


@puts_back("replaced view", SavedView)
def _replace(actor: User, view: SavedView, facts: dict[str, Any]) -> None:
    """Keep another list under the name of a view, and remember the one that it was."""
    if actor != view.user:
        raise PermissionDenied("Only who kept this view can put it back.")
    before = stored(view, facts)
    for name, value in facts.items():
        setattr(view, name, value)
    view.save()
    if before != facts:
        record_history(actor, "changed", view, before, facts, Undo("replaced view", before, facts))


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget one's own view."""
    view = SavedView.objects.filter(pk=pk, user=request.user).first()
    if view is None:
        raise Http404("You have no such view.")
    facts = stored(view, _KEPT)
    record_history(request.user, "forgotten", view, facts, {}, Undo("saved view", facts, {}, request.user.pk))
    view.delete()
    messages.success(request, f"The view {view.name} is forgotten.")
    return redirect(view.page)


@puts_back("saved view", User)
def _put_back(actor: User, owner: User, had: dict[str, Any]) -> None:
    """A view that its owner forgot, unless another has its name by now."""
    if actor != owner:
        raise PermissionDenied("Only who kept this view can put it back.")
    if SavedView.objects.filter(user=owner, page=had["page"], name=had["name"]).exists():
        raise ValidationError(f"There is a view {had['name']} again.")
    SavedView.objects.create(user=owner, **had)
