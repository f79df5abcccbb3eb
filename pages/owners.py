"""Owners: list, page with all they hold, and the forms that register and change one."""

from __future__ import annotations

from copy import copy

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from catalog import policy, queries, services
from catalog.filters import OwnerFilter
from catalog.models import Owner
from catalog.policy import Action
from pages.find import owner_or_404
from pages.forms import OwnerForm, saved
from pages.lists import listing


def owner_list(request: HttpRequest) -> HttpResponse:
    """Every owner with the number of things they hold."""
    found = listing(
        request,
        OwnerFilter,
        queries.owners_with_counts().select_related("team"),
        order=("name", "id"),
        controls={"q": "Name or e-mail", "kind": "Kind", "status": "Status"},
    )
    context = {"title": "Owners", "listing": found, "may_register": policy.may(request.user, Action.EDIT)}
    return render(request, "owners/list.html", context)


def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One owner: everything they hold, by role."""
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
    }
    return render(request, "owners/detail.html", context)


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


def _form_page(request: HttpRequest, form: OwnerForm, title: str, verb: str, back: str) -> HttpResponse:
    context = {"title": title, "form": form, "verb": verb, "back": back, "noun": "Owners", "list_route": "owner-list"}
    return render(request, "shared/form_page.html", context, status=422 if form.is_bound else 200)
