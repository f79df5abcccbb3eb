"""Owners: list, page with all they hold, and the forms that register and change one."""

from __future__ import annotations

from copy import copy
from functools import partial

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from audits.postmortems.handover import hand_over, holdings_of, waiting_for
from catalog import policy, queries, services
from catalog.filters import OwnerFilter
from catalog.models import Owner
from catalog.policy import Action
from pages.csv_lists import OWNER_HEAD, csv_of, owner_rows
from pages.find import owner_or_404
from pages.forms import Lines, NamesField, OwnerForm, find_owners, form_page, saved
from pages.lists import list_page, listing


def owner_list(request: HttpRequest) -> HttpResponse:
    """Every owner with the number of things they hold."""
    found = listing(
        request,
        OwnerFilter,
        queries.owners_with_counts().select_related("team"),
        order=("name", "id"),
        controls={"q": "Name or e-mail", "kind": "Kind", "status": "Status"},
    )
    if request.GET.get("as") == "csv":
        return csv_of(found, "owners", OWNER_HEAD, owner_rows)
    return list_page(request, "owners/list.html", "Owners", found, csv=True)


def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One owner: everything they hold, by role, and what waits for them."""
    owner = owner_or_404(slug)
    context = {
        "title": owner.name,
        "owner": owner,
        "pipelines": queries.held_by(owner, "pipeline"),
        "tables": queries.held_by(owner, "table"),
        "members": owner.members.all(),
        "most": queries.MOST_HELD,
        "history": queries.history_of(owner),
        "disagreements": queries.disagreements(owner),
        "may_edit": policy.may(request.user, Action.EDIT, owner),
        "may_hand_over": policy.may(request.user, Action.EDIT),
        "waiting": waiting_for(owner),
    }
    return render(request, "owners/detail.html", context)


class HandOverForm(forms.Form):
    """To whom everything goes."""

    to = NamesField(
        find_owners,
        label="To whom",
        widget=Lines("owners"),
        help_text="One owner: name, slug or e-mail address",
    )
    to.required = True

    def clean_to(self) -> Owner:
        found = self.cleaned_data["to"]
        if len(found) != 1:
            raise forms.ValidationError("Name one owner.")
        return found[0]


def hand_over_all(request: HttpRequest, slug: str) -> HttpResponse:
    """Everything an owner holds goes to another: the list of it first, then one button."""
    owner = owner_or_404(slug)
    policy.require(request.user, Action.EDIT)
    form = HandOverForm(request.POST or None)
    if request.method == "POST" and saved(
        form, lambda: hand_over(actor=request.user, owner=owner, to=form.cleaned_data["to"])
    ):
        messages.success(request, f"{form.cleaned_data['to'].name} now holds what {owner.name} held.")
        return redirect(form.cleaned_data["to"])
    context = {"title": f"Hand over what {owner.name} holds", "owner": owner, "form": form}
    context["holdings"] = holdings_of(owner)
    return render(request, "owners/hand_over.html", context, status=422 if form.is_bound else 200)


def create(request: HttpRequest) -> HttpResponse:
    """Register an owner by form."""
    policy.require(request.user, Action.EDIT)
    form = OwnerForm(request.POST or None, instance=Owner())
    register = services.register_owner
    if request.method == "POST" and (owner := saved(form, lambda: register(actor=request.user, **form.facts))):
        messages.success(request, f"{owner.name} is registered.")
        return redirect(owner)
    return _form_page(request, form, "Register an owner", "Register", reverse("owner-list"))


def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change an owner by form, also that they left."""
    owner = owner_or_404(slug)
    policy.require(request.user, Action.EDIT, owner)
    form = OwnerForm(request.POST or None, instance=copy(owner))
    change = services.change_owner
    if request.method == "POST" and saved(form, lambda: change(actor=request.user, owner=owner, **form.facts)):
        messages.success(request, "The changes are saved.")
        return redirect(owner)
    return _form_page(request, form, f"Edit {owner.name}", "Save", owner.get_absolute_url())


_form_page = partial(form_page, noun="Owners", list_route="owner-list")
