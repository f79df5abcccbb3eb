"""Deletion: the board of what nobody needs, the plan before it begins, the review, and the owner's page from a mail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audits.deletion import queries, services, targets
from audits.deletion.filters import DeletionReviewFilter, VerdictFilter
from audits.deletion.grants import can_read_grants
from audits.deletion.mails import notice_of
from audits.deletion.models import DeletionReview, OwnerNotice, Protection, Verdict
from audits.deletion.needs import doubts_about
from audits.deletion.plan import Plan, plan_for
from audits.deletion.savings import savings_of
from audits.usage.queries import last_readers
from catalog import policy
from catalog.models import Owner, Pipeline, Source, Table
from catalog.policy import Action
from lineage.neighbours import around
from lineage.queries import GraphEdge, GraphNode, Lineage, Shortlist, builders_of, owner_slugs_of_tables
from pages.find import table_or_404
from pages.forms import FactsForm
from pages.lists import list_page, listing, options_of
from pages.middleware import for_everyone
from pages.picture import Picture, draw

MOST_CHOSEN = 50
_NEIGHBOURS_SHOWN = 10
State = DeletionReview.State


@require_GET
def board(request: HttpRequest) -> HttpResponse:
    """What is proposed for deletion, the largest first."""
    found = listing(
        request,
        VerdictFilter,
        queries.verdicts().filter(is_proposed=True),
        order=("-weight", "-table_id"),
        controls={"q": "Name", "source": "Source", "owner": "Owner", "state": "Review"},
        options={
            "source": options_of(Source.objects.values_list("slug", "name")),
            "owner": options_of(Owner.objects.values_list("slug", "name")[:500]),
        },
    )
    ids = [verdict.table_id for verdict in found.page.items]
    builders, reviews = builders_of(ids), queries.open_reviews_by_table(ids)
    run = queries.latest_run()
    more = {
        "rows": [
            (each, builders.get(each.verdict.table_id, []), reviews.get(each.verdict.table_id))
            for each in queries.explained(found.page.items, run)
        ],
        "saved": queries.saved_so_far(),
        "run": run,
    }
    return list_page(request, "deletion/board.html", "Unread tables", found, **more)


@require_http_methods(["GET", "POST"])
def preview(request: HttpRequest) -> HttpResponse:
    """The plan for the chosen tables, and all that goes along; a POST opens its review."""
    chosen = _chosen(request)
    if request.method == "POST":
        try:
            review = services.open_review(actor=request.user, tables=chosen)
        except ValidationError as error:
            _say(request, error)
            return redirect(f"{request.path}?{urlencode({'table': [table.pk for table in chosen]}, doseq=True)}")
        messages.success(request, "The review is open. Nobody has been told yet.")
        return redirect(review)
    plan = plan_for(chosen)
    verdicts = queries.explained(queries.verdicts().filter(table__in=plan.tables))
    context = {
        "title": "What would go",
        "plan": plan,
        "tables": _with_evidence(plan.tables, {each.verdict.table_id: each.sentences for each in verdicts}),
        "picture": _picture(plan),
        "savings": savings_of(plan.tables, plan.delete),
        "chosen": chosen,
        "may_edit": policy.may(request.user, Action.EDIT),
    }
    return render(request, "deletion/preview.html", context)


def _chosen(request: HttpRequest) -> list[Table]:
    asked = [pk for pk in request.GET.getlist("table") + request.POST.getlist("table") if pk.isascii() and pk.isdigit()]
    if len(asked) > MOST_CHOSEN:
        raise Http404(f"At most {MOST_CHOSEN} tables are chosen at once.")
    return list(Table.objects.filter(pk__in=[pk for pk in asked if len(pk) < 18]))


@require_GET
def review_list(request: HttpRequest) -> HttpResponse:
    """Every review, the newest first."""
    found = listing(
        request,
        DeletionReviewFilter,
        DeletionReview.objects.prefetch_related("tables__table"),
        order=("-opened_at", "-id"),
        controls={"table": "Table", "source": "Source", "owner": "Owner asked", "state": "State"},
        options={
            "source": options_of(Source.objects.values_list("slug", "name")),
            "owner": options_of(Owner.objects.values_list("slug", "name")[:500]),
        },
    )
    return list_page(request, "deletion/review_list.html", "Deletion reviews", found)


@require_GET
def review_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One review: where it stands, the evidence, the plan, who was asked, the scripts, and what may be done now."""
    review = _review_or_404(pk)
    plan, evidence = queries.plan_of(review), queries.evidence_by_table(review)
    reviewed = list(review.tables.select_related("table__source"))
    context = {
        "title": str(review),
        "review": review,
        "steps": _steps(review),
        "tables": _with_evidence([each.table for each in reviewed], evidence),
        "pipelines": review.pipelines.select_related("pipeline"),
        "plan": plan,
        "picture": _picture(plan),
        "notices": review.notices.select_related("owner", "instead_of__owner"),
        "approvals": review.approvals.all(),
        "events": review.events.all(),
        "doubt": doubts_about(review) if review.is_open else None,
        "today": timezone.now().date(),
        "scripts": _scripts(review, evidence),
        "may_edit": policy.may(request.user, Action.EDIT),
        "may_approve": policy.may(request.user, Action.RETIRE),
        "may_revoke": all(can_read_grants(each.table.source) for each in reviewed),
        "my_notice": next((each for each in review.notices.all() if services.speaks_for(request.user, each)), None),
    }
    return render(request, "deletion/review_detail.html", context)


_VERBS: dict[str, Callable[..., Any]] = {
    "notify": services.notify,
    "remind": services.remind,
    "approve": services.approve,
    "by-revoke": services.quarantine_by_revoke,
    "by-rename": services.quarantine_by_rename,
    "quarantined": services.record_quarantine,
    "deleted": services.record_deletion,
    "restored": services.record_restoration,
}


@require_POST
def act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Do one thing to a review: what a button says."""
    review = _review_or_404(pk)
    try:
        if verb == "stop":
            reason = request.POST.get("reason", "").strip()[:1000] or "no reason given"
            services.stop(actor=request.user, review=review, reason=f"{request.user.get_username()}: {reason}")
        elif verb in _VERBS:
            _VERBS[verb](actor=request.user, review=review)
        else:
            raise Http404(f"Nobody can {verb} a review.")
    except ValidationError as error:
        _say(request, error)
    return redirect(review)


@require_POST
def unreached(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that an owner is away, or that the mail came back."""
    notice = OwnerNotice.objects.select_related("review", "owner").filter(pk=pk).first()
    if notice is None:
        raise Http404("There is no such notice.")
    reach = request.POST.get("reach", "")
    try:
        if reach not in (OwnerNotice.Reach.AWAY, OwnerNotice.Reach.BOUNCED):
            raise ValidationError("Say whether the owner is away or the mail came back.")
        services.note_unreached(actor=request.user, notice=notice, reach=reach)
    except ValidationError as error:
        _say(request, error)
    return redirect(notice.review)


class ObjectionForm(forms.Form):
    """Why a table must stay, and until when."""

    reason = forms.CharField(max_length=1000, widget=forms.Textarea({"rows": 3}), label="Why it must stay")
    until = forms.DateField(
        required=False, widget=forms.DateInput({"type": "date"}), label="Keep it until", help_text="A year, if empty."
    )


@login_not_required
@for_everyone
@require_http_methods(["GET", "POST"])
def notice(request: HttpRequest, token: str) -> HttpResponse:
    """The owner's page from the mail: the evidence on one review, and a yes or no. A yes needs signing in."""
    found = notice_of(token)
    if found is None:
        raise PermissionDenied(
            "This link is not one of ours, or it is older than a month. Ask a steward for a new one."
        )
    form = ObjectionForm(request.POST if request.POST.get("answer") == "object" else None)
    if request.method == "POST":
        if request.POST.get("answer") == "agree" and not request.user.is_authenticated:
            return redirect_to_login(request.path)
        if answered := _answer(request, found, form):
            return answered
    review = found.review
    context = {
        "title": "May these tables be deleted?",
        "notice": found,
        "review": review,
        "form": form,
        "tables": _with_evidence(
            [each.table for each in review.tables.select_related("table__source")], queries.evidence_by_table(review)
        ),
        "pipelines": review.pipelines.select_related("pipeline"),
        "may_agree": request.user.is_authenticated and services.speaks_for(request.user, found),
        "can_answer": review.state in (State.NOTIFIED, State.REMINDED, State.AGREED, State.QUARANTINED, State.DELETED),
        "can_agree": review.state in (State.NOTIFIED, State.REMINDED),
    }
    return render(request, "deletion/notice.html", context, status=422 if form.errors else 200)


def _answer(request: HttpRequest, found: OwnerNotice, form: ObjectionForm) -> HttpResponse | None:
    """Write the answer and show the page again; None where the form must be mended first."""
    try:
        if request.POST.get("answer") == "agree":
            services.agree(actor=request.user, notice=found)
        elif form.is_valid():
            actor = request.user if request.user.is_authenticated and services.speaks_for(request.user, found) else None
            services.object_to(actor=actor, notice=found, **form.cleaned_data)
        else:
            return None
    except ValidationError as error:
        _say(request, error)
        return None
    messages.success(request, "Your answer is noted. Thank you.")
    return redirect(request.path)


# Protections, from the page of a table


class ProtectionForm(FactsForm):
    layout = [("", ["kind", "until", "reason"])]
    whole = {"reason"}

    class Meta:
        model = Protection
        fields = ["kind", "until", "reason"]
        labels = {"until": "Last day", "kind": "How"}
        widgets = {"until": forms.DateInput({"type": "date"})}


@require_http_methods(["GET", "POST"])
def protect(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """Say that a table must stay."""
    table = table_or_404(source, name)
    policy.require(request.user, Action.EDIT, table)
    form = ProtectionForm(request.POST or None, instance=Protection(table=table))
    if request.method == "POST" and form.is_valid():
        try:
            services.protect(actor=request.user, table=table, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error.messages)
        else:
            messages.success(request, f"{table.name} is protected.")
            return redirect(table)
    context = {"title": f"Protect {table.name}", "form": form, "verb": "Protect", "back": table.get_absolute_url()}
    context |= {"noun": "Tables", "list_route": "table-list"}
    return render(request, "shared/form_page.html", context, status=422 if form.is_bound else 200)


@require_POST
def lift(request: HttpRequest, pk: int) -> HttpResponse:
    """End a protection."""
    protection = Protection.objects.select_related("table__source").filter(pk=pk, lifted_at__isnull=True).first()
    if protection is None:
        raise Http404("There is no such protection.")
    services.lift(actor=request.user, protection=protection)
    messages.success(request, "The protection is lifted. The next flag_unused judges the table anew.")
    return redirect(protection.table)


# Verdicts, on the pages of tables and pipelines


@require_GET
def table_verdict(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """Whether anybody needs a table: the verdict, its evidence, the use that keeps it, protections, reviews."""
    table = table_or_404(source, name)
    run = queries.latest_run()
    found = queries.verdict_of(table, run)
    context = {
        "title": f"Verdict on {table.name}",
        "table": table,
        "tags": table.tags.all(),
        "verdict": found,
        "run": run,
        "chain": queries.chain_of(found.verdict) if found else [],
        "usage": last_readers(table, viewer=request.user, owners=owner_slugs_of_tables([table.pk])[table.pk]),
        "protections": queries.protections_of(table),
        "reviews": queries.reviews_of(table),
        "may_edit": policy.may(request.user, Action.EDIT, table),
        **_neighbours(table),
    }
    return render(request, "deletion/verdict.html", context)


def _neighbours(table: Table) -> dict[str, Any]:
    """What builds a table, and what is built from it with the verdict on each: what its own verdict rests on."""
    near = around(table.pk, limit=_NEIGHBOURS_SHOWN)
    (builders, built_by), (made, fed) = near["builders"], near["downstream"]
    return {
        "builders": Shortlist(list(Pipeline.objects.only("name").filter(pk__in=builders)), built_by),
        "made_of_it": Shortlist(list(Table.objects.select_related("source", "verdict").filter(pk__in=made)), fed),
    }


def unread_outputs(outputs: list[Table]) -> dict[str, Any]:
    """Of what a pipeline writes, the tables that nobody needs, and whether that is all of it. One query."""
    proposed = list(Verdict.objects.filter(is_proposed=True, table__in=outputs).values_list("table_id", flat=True))
    unread = [table for table in outputs if table.pk in proposed]
    return {"unread_outputs": unread, "all_unread": len(unread) == len(outputs)}


# Helpers


def _review_or_404(pk: int) -> DeletionReview:
    review = DeletionReview.objects.filter(pk=pk).first()
    if review is None:
        raise Http404(f"There is no deletion review {pk}.")
    return review


def _say(request: HttpRequest, error: ValidationError) -> None:
    for message in error.messages:
        messages.error(request, message)


def _with_evidence(tables: Any, evidence: dict[int, list[str]]) -> list[tuple[Table, list[str]]]:
    return [(table, evidence.get(table.pk, [])) for table in tables]


def _steps(review: DeletionReview) -> list[tuple[str, str]]:
    """The way of a review with, for each step, "done", "current" or "ahead"."""
    way = [state for state in State if state != State.STOPPED]
    here = review.stopped_in if review.state == State.STOPPED else review.state
    at = way.index(State(here))
    mark = "stopped" if review.state == State.STOPPED else "current"
    return [(state.label, "done" if n < at else mark if n == at else "ahead") for n, state in enumerate(way)]


def _scripts(
    review: DeletionReview, evidence: dict[int, list[str]]
) -> list[tuple[str, list[targets.SourceScript], str]]:
    """The scripts that belong to the state: title, per source, and which text of them (forward or back)."""
    match review.state:
        case State.AGREED:
            return [("Put into quarantine", targets.quarantine_scripts(review, evidence), "forward")]
        case State.QUARANTINED:
            found = [("Take the quarantine back", targets.quarantine_scripts(review, evidence), "back")]
            if _may_delete(review):
                found.insert(0, ("Keep the data and drop", targets.delete_scripts(review, evidence), "forward"))
            return found
        case State.DELETED | State.CONFIRMED:
            return [
                ("Take the deletion back", targets.delete_scripts(review, evidence), "back"),
                ("Forget what was kept, later", targets.forget_scripts(review), "forward"),
            ]
        case State.STOPPED if not review.is_restored:
            write = targets.delete_scripts if review.stopped_in == State.DELETED else targets.quarantine_scripts
            return [("Bring the tables back", write(review, evidence), "back")]
    return []


def _may_delete(review: DeletionReview) -> bool:
    try:
        services.refuse_early_deletion(review)
    except ValidationError:
        return False
    return True


def _picture(plan: Plan) -> Picture | None:
    """What goes (dashed and red), what loses an output, what stays, and the edges between."""
    if not plan.edges or not plan.tables:
        return None
    going = {table.pk for table in plan.tables}
    known = {table.pk: table for table in (*plan.tables, *plan.stays)}
    ids = {pipeline for _, pipeline, _ in plan.edges}
    pipelines = {pipeline.pk: pipeline for pipeline in Pipeline.objects.filter(pk__in=ids)}
    whole = {pipeline.pk for pipeline in plan.delete}
    nodes = [_table_node(table, table.pk in going) for table in known.values()]
    nodes += [_pipeline_node(pipeline, pk in whole) for pk, pipeline in pipelines.items()]
    edges = set()
    for source, pipeline, target in plan.edges:
        here = pipelines[pipeline]
        if source in known:
            edges.add(GraphEdge(known[source].node, here.node, here.name, "reads"))
        if target in known:
            edges.add(GraphEdge(here.node, known[target].node, here.name, "writes"))
    lineage = Lineage("", nodes, sorted(edges), "both", None, "table", None, 0)
    return draw(lineage)


def _table_node(table: Table, goes: bool) -> GraphNode:
    status, distance = ("goes", 0) if goes else ("stays", -1)
    url = table.get_absolute_url()
    return GraphNode(table.node, "table", table.name, url, distance, table.source.slug, table.kind, status)


def _pipeline_node(pipeline: Pipeline, goes: bool) -> GraphNode:
    status = "goes" if goes else "trimmed"
    return GraphNode(pipeline.node, "pipeline", pipeline.name, pipeline.get_absolute_url(), 0, status=status)
