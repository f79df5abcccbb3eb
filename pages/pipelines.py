"""Pipelines: list, page, and the forms that register and change one."""

from __future__ import annotations

from copy import copy
from functools import partial

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from audits.checks.queries import worst_state_of_pipeline
from audits.postmortems.queries import incidents_annotated
from audits.practices.services import judge_pipelines
from catalog import policy, queries, services
from catalog.models import Ownership, Pipeline, User
from catalog.policy import Action
from catalog.runs import timing_of, usual_spans, with_last_runs
from lineage import queries as lineage_queries
from lineage.filters import PipelineFilter
from lineage.problems import problem_counts_of
from lineage.services import declare_edges
from pages.code import listing_of
from pages.csv_lists import PIPELINE_HEAD, csv_of, pipeline_rows
from pages.deletion import unread_outputs
from pages.find import pipeline_or_404
from pages.forms import PipelineForm, form_page, saved, table_names
from pages.lists import list_page, listing

_RUNS_SHOWN = 10
_LISTED = ("name", "kind", "kind_is_inferred", "status", "tier", "description", "schedule", "dag")  # fields of a row


def pipeline_list(request: HttpRequest) -> HttpResponse:
    """Every pipeline, narrowed by the filters in the address."""
    found = listing(
        request,
        PipelineFilter,
        Pipeline.objects.only(*_LISTED),
        order=("name", "id"),
        controls={
            "q": "Name",
            "kind": "Kind",
            "tier": "Tier",
            "status": "Status",
            "has_problems": "Has problems",
            "has_owner": "Has an owner",
            "role": "In the role",
        },
    )
    if request.GET.get("as") == "csv":
        return csv_of(found, "pipelines", PIPELINE_HEAD, pipeline_rows)
    pipelines = found.page.items
    ids = [pipeline.pk for pipeline in pipelines]
    owners, problems = queries.owner_names_of("pipeline", ids), problem_counts_of(ids)
    more = {
        "csv": True,
        "bulk_url": reverse("pipeline-many"),
        "rows": [(pipeline, owners[pipeline.pk], problems.get(pipeline.pk)) for pipeline in pipelines],
    }
    return list_page(request, "pipelines/list.html", "Pipelines", found, **more)


def detail(request: HttpRequest, name: str) -> HttpResponse:
    """One pipeline: who answers for it, what it reads and writes, its SQL with the problems at their lines."""
    asked = with_last_runs(Pipeline.objects.annotate(**incidents_annotated("pipeline")))
    asked = asked.annotate(worst_check=worst_state_of_pipeline())
    pipeline = pipeline_or_404(name, asked)
    inputs, outputs = lineage_queries.inputs_and_outputs(pipeline)
    version = lineage_queries.current_sql(pipeline)
    problems = lineage_queries.problems_of(pipeline)
    context = {
        "title": pipeline.name,
        "pipeline": pipeline,
        "owners": queries.owners_of(pipeline),
        "tags": pipeline.tags.all(),
        "inputs": inputs,
        "outputs": outputs,
        "version": version,
        "code": listing_of(version, problems) if version else None,
        "problems": problems,
        "runs": list(pipeline.runs.all()[:_RUNS_SHOWN]),
        "usual": usual_spans([pipeline.pk]),
        "timing": timing_of(pipeline),
        "history": queries.history_of(pipeline),
        "disagreements": queries.disagreements(pipeline),
        "may_edit": policy.may(request.user, Action.EDIT, pipeline),
        **unread_outputs(outputs),
    }
    return render(request, "pipelines/detail.html", context)


def create(request: HttpRequest) -> HttpResponse:
    """Register a pipeline by form."""
    policy.require(request.user, Action.EDIT)
    form = PipelineForm(request.POST or None, instance=Pipeline())
    if request.method == "POST" and (pipeline := saved(form, lambda: _save(form, request.user))):
        messages.success(request, f"{pipeline.name} is registered.")
        return redirect(pipeline)
    return _form_page(request, form, "Register a pipeline", "Register", reverse("pipeline-list"))


def edit(request: HttpRequest, name: str) -> HttpResponse:
    """Change a pipeline by form."""
    pipeline = pipeline_or_404(name)
    policy.require(request.user, Action.EDIT, pipeline)
    form = PipelineForm(request.POST or None, instance=copy(pipeline), initial=_initial(pipeline))
    if request.method == "POST" and saved(form, lambda: _save(form, request.user, pipeline)):
        messages.success(request, "The changes are saved.")
        return redirect(pipeline)
    return _form_page(request, form, f"Edit {pipeline.name}", "Save", pipeline.get_absolute_url())


_form_page = partial(form_page, noun="Pipelines", list_route="pipeline-list")


def _initial(pipeline: Pipeline) -> dict[str, object]:
    """What the form shows beside the pipeline's own fields."""
    owners = queries.owners_of(pipeline)
    inputs, outputs = lineage_queries.declared_inputs_and_outputs(pipeline)
    return {
        "business_owners": [owner.slug for owner in owners.business],
        "technical_owners": [owner.slug for owner in owners.technical],
        "tags": [tag.name for tag in pipeline.tags.all()],
        "inputs": table_names(inputs),
        "outputs": table_names(outputs),
    }


@transaction.atomic
def _save(form: PipelineForm, actor: User, pipeline: Pipeline | None = None) -> Pipeline:
    if pipeline is None:
        pipeline = services.register_pipeline(actor=actor, **form.facts)
    else:
        services.change_pipeline(actor=actor, pipeline=pipeline, **form.facts)
    for role in Ownership.Role.values:
        if form.changed(f"{role}_owners"):
            owners = form.cleaned_data[f"{role}_owners"]
            services.set_owners(actor=actor, thing=pipeline, role=role, owners=owners)
    if form.changed("inputs") or form.changed("outputs"):
        stated = {side: form.cleaned_data[side] for side in ("inputs", "outputs")}
        declare_edges(actor=actor, pipeline=pipeline, **stated)
    judge_pipelines([pipeline.pk])
    return pipeline
