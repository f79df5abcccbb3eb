"""Sources: list, page, and the forms that register and change one."""

from __future__ import annotations

from copy import copy
from functools import partial

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from catalog import policy, queries, services
from catalog.addresses import ConnectionProblem
from catalog.connections import open_source
from catalog.filters import SourceFilter
from catalog.models import Source, Table
from catalog.policy import Action
from ingest import jobs
from lineage.coverage import coverage_by_source
from pages.find import source_or_404
from pages.forms import SourceForm, form_page, saved
from pages.lists import list_page, listing


def source_list(request: HttpRequest) -> HttpResponse:
    """Every source with its number of tables, and how much of the SQL that writes to it was read."""
    found = listing(
        request,
        SourceFilter,
        queries.sources_with_counts(),
        order=("name", "id"),
        controls={"q": "Name or platform", "storage": "Storage"},
    )
    coverage = coverage_by_source()
    rows = [(source, coverage.get(source.slug)) for source in found.page.items]
    return list_page(request, "sources/list.html", "Sources", found, rows=rows)


def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One source: what it is, and its tables by kind."""
    source = source_or_404(slug)
    context = {
        "title": source.name,
        "source": source,
        "kinds": [(kind, Table.Kind(kind).label, number) for kind, number in queries.table_kinds_of(source)],
        "history": queries.history_of(source),
        "disagreements": queries.disagreements(source),
        "may_edit": policy.may(request.user, Action.EDIT),
        "may_connect": policy.may(request.user, Action.CONNECT),
    }
    return render(request, "sources/detail.html", context)


@require_POST
def try_connection(request: HttpRequest, slug: str) -> HttpResponse:
    """Open the source's connection and ask it for one row; say how that went."""
    source = source_or_404(slug)
    policy.require(request.user, Action.CONNECT)
    try:
        with open_source(source) as connection:
            connection.run("SELECT 1", timeout=5.0)
    except ConnectionProblem as problem:
        messages.error(request, str(problem))
    else:
        messages.success(request, f"{source.name} answers. Pipekeeper reads it as {connection.dialect}.")
    return redirect(source)


def create(request: HttpRequest) -> HttpResponse:
    """Register a source by form."""
    policy.require(request.user, Action.EDIT)
    form = SourceForm(request.POST or None, instance=Source(), may_connect=policy.may(request.user, Action.CONNECT))
    register = services.register_source
    if request.method == "POST" and (source := saved(form, lambda: register(actor=request.user, **form.facts))):
        messages.success(request, f"{source.name} is registered.")
        return redirect(source)
    return _form_page(request, form, "Register a source", "Register", reverse("source-list"))


def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a source by form."""
    source = source_or_404(slug)
    policy.require(request.user, Action.EDIT, source)
    may_connect = policy.may(request.user, Action.CONNECT)
    form = SourceForm(request.POST or None, instance=copy(source), may_connect=may_connect)
    change = services.change_source
    if request.method == "POST" and saved(form, lambda: change(actor=request.user, source=source, **form.facts)):
        messages.success(request, "The changes are saved.")
        return redirect(source)
    return _form_page(request, form, f"Edit {source.name}", "Save", source.get_absolute_url())


@require_POST
def crawl(request: HttpRequest, slug: str) -> HttpResponse:
    """Begin a crawl of the source, and go to where one sees how far it is."""
    source = source_or_404(slug)
    try:
        return redirect(jobs.start_crawl(actor=request.user, source=source))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(source)


_form_page = partial(form_page, noun="Sources", list_route="source-list")
