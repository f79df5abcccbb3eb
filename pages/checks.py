"""Checks: the list, one with its history, the aspects of tables and pipelines, forms, and running one now."""

from __future__ import annotations

from copy import copy
from functools import partial

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from audits.checks import queries, services
from audits.checks.filters import CheckFilter
from audits.checks.kinds import KINDS
from audits.checks.models import Check, State
from audits.checks.notices import owners_of_check
from audits.checks.proposals import proposals_of
from catalog import policy
from catalog.models import Owner, Pipeline, Source, Table
from catalog.policy import Action
from catalog.queries import history_of
from ingest import jobs
from ingest.models import IngestRun
from pages.check_forms import CheckForm
from pages.check_plot import plot
from pages.find import pipeline_or_404, table_or_404
from pages.forms import form_page, saved
from pages.lists import list_page, listing, options_of

RESULTS_SHOWN = 15


@require_GET
def check_list(request: HttpRequest) -> HttpResponse:
    """Every check, narrowed by the filters in the address."""
    found = listing(
        request,
        CheckFilter,
        queries.checks(),
        order=("name", "id"),
        controls={"q": "Name or table", "state": "State", "kind": "Kind", "source": "Source", "owner": "Owner"},
        options={
            "source": options_of(Source.objects.values_list("slug", "name")),
            "owner": options_of(Owner.objects.values_list("slug", "name")[:500]),
        },
    )
    counts = queries.counts_by_state()
    more = {
        "rows": _with_results(found.page.items),
        "counts": [(state, counts.get(state, 0)) for state in State],
    }
    return list_page(request, "checks/list.html", "Checks", found, **more)


def _with_results(checks: list[Check]) -> list[tuple[Check, object]]:
    latest = queries.latest_results(checks)
    return [(check, latest.get(check.pk)) for check in checks]


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One check: how it stands, its results over time with their bounds, offending keys, and the SQL."""
    check = _check_or_404(pk)
    results = queries.results_of(check)
    context = {
        "title": check.name,
        "check": check,
        "results": results[:RESULTS_SHOWN],
        "latest": results[0] if results else None,
        "sample": next((each for each in results if each.sample), None),
        "plot": plot(results),
        "sql": queries.statement_of(check),
        "kind_words": KINDS[check.kind].__doc__,
        "owners": owners_of_check(check),
        "history": history_of(check),
        "may_edit": policy.may(request.user, Action.EDIT, check.thing),
        "run": _run_asked_for(request, check),
    }
    return render(request, "checks/detail.html", context)


@require_GET
def of_table(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """A table's checks, and those that Pipekeeper proposes."""
    table = table_or_404(source, name)
    checks = queries.checks_of_table(table)
    may_edit = policy.may(request.user, Action.EDIT, table)
    context = {
        "title": f"Checks of {table.name}",
        "table": table,
        "tags": table.tags.all(),
        "rows": _with_results(checks),
        "standing": queries.standing_of(checks),
        "proposals": proposals_of(table, checks),
        "may_edit": may_edit,
        "may_run": may_edit and any(check.is_active and check.is_run_here for check in checks),
    }
    return render(request, "checks/of_table.html", context)


@require_GET
def of_pipeline(request: HttpRequest, name: str) -> HttpResponse:
    """A pipeline's own checks, and those of what it writes."""
    pipeline = pipeline_or_404(name)
    checks = queries.checks_of_pipeline(pipeline)
    context = {
        "title": f"Checks of {pipeline.name}",
        "pipeline": pipeline,
        "tags": pipeline.tags.all(),
        "rows": _with_results(checks),
        "standing": queries.standing_of(checks),
        "may_edit": policy.may(request.user, Action.EDIT, pipeline),
    }
    return render(request, "checks/of_pipeline.html", context)


# Making and changing


def create_for_table(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """Make a check of a table: first its kind, then what must hold."""
    return _create(request, table_or_404(source, name))


def create_for_pipeline(request: HttpRequest, name: str) -> HttpResponse:
    """Make a check of a pipeline."""
    return _create(request, pipeline_or_404(name))


def _create(request: HttpRequest, of: Table | Pipeline) -> HttpResponse:
    policy.require(request.user, Action.EDIT, of)
    kind = request.GET.get("kind", "")
    if kind not in KINDS:
        return _choose_kind(request, of)
    form = CheckForm(request.POST or None, instance=Check(kind=kind), kind=kind, of=of)
    create = services.create_check
    if request.method == "POST" and (
        check := saved(form, lambda: create(actor=request.user, of=of, kind=kind, **form.facts))
    ):
        messages.success(request, "The check is there. Run it now, or wait for its time.")
        return redirect(check)
    return _form_page(request, form, f"{Check.Kind(kind).label}: {of.name}", "Make the check", of.get_absolute_url())


def _choose_kind(request: HttpRequest, of: Table | Pipeline) -> HttpResponse:
    is_own_sql_allowed = policy.may(request.user, Action.RETIRE)
    if isinstance(of, Pipeline):
        offered = [Check.Kind.IN_OUT_RATIO]
    else:
        offered = [kind for kind in Check.Kind if kind != Check.Kind.IN_OUT_RATIO]
    kinds = [
        (kind, kind.label, KINDS[kind].__doc__)
        for kind in offered
        if kind != Check.Kind.CUSTOM_SQL or is_own_sql_allowed
    ]
    context = {"title": f"A new check of {of.name}", "of": of, "kinds": kinds}
    return render(request, "checks/choose_kind.html", context)


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a check by form."""
    check = _check_or_404(pk)
    policy.require(request.user, Action.EDIT, check.thing)
    form = CheckForm(request.POST or None, instance=copy(check), kind=check.kind, of=check.thing)
    change = services.change_check
    if request.method == "POST" and saved(form, lambda: change(actor=request.user, check=check, **form.facts)):
        messages.success(request, "The changes are saved.")
        return redirect(check)
    return _form_page(request, form, f"Edit {check.name}", "Save", check.get_absolute_url())


_form_page = partial(form_page, noun="Checks", list_route="check-list")


@require_POST
def accept(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """Make the proposed check of this title."""
    table = table_or_404(source, name)
    policy.require(request.user, Action.EDIT, table)
    wanted = request.POST.get("title", "")
    for proposal in proposals_of(table, queries.checks_of_table(table)):
        if proposal.title == wanted:
            services.create_check(
                actor=request.user,
                of=table,
                kind=proposal.kind,
                parameters=proposal.parameters,
                origin=Check.Origin.PROPOSED,
            )
            messages.success(request, f"The check “{proposal.title}” is there.")
            break
    else:
        messages.error(request, "This is not proposed any more.")
    return redirect("table-checks", table.source.slug, table.name)


# Running one now


@require_POST
def run_now(request: HttpRequest, pk: int) -> HttpResponse:
    """Have one check run by a process of its own; its page waits for the end."""
    check = _check_or_404(pk)
    try:
        run = jobs.start_checks(actor=request.user, of=check)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(check)
    return redirect(f"{check.get_absolute_url()}?run={run.pk}")


@require_POST
def run_all_now(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """Have all checks of a table run; the page of that run says how far it is."""
    table = table_or_404(source, name)
    try:
        return redirect(jobs.start_checks(actor=request.user, of=table))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("table-checks", table.source.slug, table.name)


@require_GET
def running(request: HttpRequest, pk: int) -> HttpResponse:
    """What the page of a check asks while it runs: once that is over, the page is loaded anew."""
    check = _check_or_404(pk)
    run = _run_asked_for(request, check)
    if run is None or not run.is_under_way:
        response = HttpResponse()
        response["HX-Redirect"] = check.get_absolute_url()
        return response
    return render(request, "checks/running.html", {"check": check, "run": run})


def _run_asked_for(request: HttpRequest, check: Check) -> IngestRun | None:
    asked = request.GET.get("run", "")
    if not (asked.isascii() and asked.isdigit() and len(asked) < 18):
        return None
    return IngestRun.objects.filter(pk=asked, kind=IngestRun.Kind.CHECKS, options__check=check.pk).first()


def _check_or_404(pk: int) -> Check:
    """One query."""
    check = queries.checks().filter(pk=pk).first()
    if check is None:
        raise Http404(f"There is no check {pk}.")
    return check
