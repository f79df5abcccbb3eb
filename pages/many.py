"""Owners and tags of many things of a list at once: the list's filters say which, a preview says what would change."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from catalog import policy, queries
from catalog.many import Wish, carry_out, plan
from catalog.models import Ownership, Pipeline, Table
from catalog.policy import Action
from lineage.filters import PipelineFilter, TableFilter
from pages.forms import Lines, NamesField, Words, find_owners, find_tags, saved

MOST = 200  # things at once


class WishForm(forms.Form):
    """What should be so of all that is ticked."""

    role = forms.ChoiceField(choices=Ownership.Role.choices, initial=Ownership.Role.TECHNICAL, label="Role")
    add_owners = NamesField(find_owners, label="Add owners", widget=Lines("owners"))
    remove_owners = NamesField(find_owners, label="Remove owners", widget=Lines("owners"))
    add_tags = NamesField(find_tags, label="Add tags", widget=Words())
    remove_tags = NamesField(find_tags, label="Remove tags", widget=Words())

    def clean(self) -> dict[str, Any]:
        if not self.errors and not Wish(**self.cleaned_data):
            raise forms.ValidationError("Say which owners or tags to add or remove.")
        return self.cleaned_data


def many_tables(request: HttpRequest) -> HttpResponse:
    """Of tables."""
    return _many(request, TableFilter(request.GET, Table.objects.select_related("source")), "table-list", "tables")


def many_pipelines(request: HttpRequest) -> HttpResponse:
    """Of pipelines."""
    return _many(request, PipelineFilter(request.GET, Pipeline.objects.all()), "pipeline-list", "pipelines")


def _many(request: HttpRequest, asked: TableFilter | PipelineFilter, back: str, noun: str) -> HttpResponse:
    policy.require(request.user, Action.EDIT)
    rows = asked.qs if asked.is_valid() else asked.queryset.none()
    things = list(queries.with_owners(rows).prefetch_related("tags").order_by("name", "id")[: MOST + 1])
    has_more, things = len(things) > MOST, things[:MOST]
    form = WishForm(request.POST or None)
    ticked = _ticked(request, things)
    context: dict[str, Any] = {"form": form, "things": things, "ticked": ticked, "has_more": has_more, "most": MOST}
    status = 200
    if request.method == "POST":
        chosen = [thing for thing in things if thing.pk in ticked]
        done = saved(form, lambda: _done(request, chosen, Wish(**form.cleaned_data), noun))
        if done == "carried out":
            return redirect(f"{reverse(back)}?{request.GET.urlencode()}")
        if form.is_valid():
            planned = [each for each in plan(chosen, Wish(**form.cleaned_data)) if each]
            context |= {"is_preview": True, "planned": planned, "role": form.cleaned_data["role"]}
        else:
            status = 422
    context |= {"title": f"Edit many {noun}", "back": f"{reverse(back)}?{request.GET.urlencode()}", "noun": noun}
    return render(request, "shared/many.html", context, status=status)


def _ticked(request: HttpRequest, things: list[Table] | list[Pipeline]) -> set[int]:
    """All at first; then those that the form sends."""
    if request.method != "POST":
        return {thing.pk for thing in things}
    return {int(pk) for pk in request.POST.getlist("things") if pk.isdecimal() and len(pk) < 19}


def _done(request: HttpRequest, chosen: list[Any], wish: Wish, noun: str) -> str:
    """Carries it out where the preview was agreed to."""
    if request.POST.get("step") != "apply":
        return "preview"
    number = carry_out(actor=request.user, things=chosen, wish=wish)
    messages.success(request, f"{number} {noun if number != 1 else noun[:-1]} changed.")
    return "carried out"
