"""Ingest runs: when facts arrived and what came of it, one under way as it goes, and files sent to be read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from catalog import policy
from catalog.models import Source
from catalog.policy import Action
from ingest import jobs, runs
from ingest.api import IngestRunFilter
from ingest.log_files import BadLog
from ingest.log_formats import FORMATS
from ingest.log_options import asked_for
from ingest.models import IngestRun
from ingest.settings import SettingsError, check_dialect
from ingest.uploads import too_large
from pages.lists import list_page, listing

Kind = IngestRun.Kind


@require_GET
def ingest_run_list(request: HttpRequest) -> HttpResponse:
    """Every ingest run, newest first; while one is under way the list is asked for again and again."""
    runs.settle()
    found = listing(
        request,
        IngestRunFilter,
        IngestRun.objects.all(),
        order=("-started_at", "-id"),
        controls={"q": "What", "kind": "Kind", "state": "State"},
        options={"kind": Kind.choices},
    )
    is_live = any(run.is_under_way for run in found.page.items)
    return list_page(request, "ingest_runs/list.html", "Ingests", found, is_live=is_live)


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One ingest run: how far it is, or what came of it."""
    runs.settle()
    run = _run_or_404(pk)
    figures, problems, notes = _told(run)
    context = {
        "title": f"{run.get_kind_display()}: {run.scope}",
        "run": run,
        "figures": figures,
        "problems": problems,
        "notes": notes,
        "options": {name: value for name, value in run.options.items() if value not in (None, "", [], False)},
        "may_edit": policy.may(request.user, Action.EDIT),
    }
    return render(request, "ingest_runs/detail.html", context)


@require_POST
def act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Cancel a run, or take it up where it ended."""
    run = _run_or_404(pk)
    verbs = {"cancel": runs.cancel, "resume": jobs.resume}
    if verb not in verbs:
        raise Http404(f"An ingest run can be cancelled or resumed, not {verb}.")
    try:
        verbs[verb](actor=request.user, run=run)
    except ValidationError as error:
        for message in error.messages:
            messages.error(request, message)
    return redirect(run)


@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Send a file to be read: a form for each kind, and a run that begins at once."""
    policy.require(request.user, Action.EDIT)
    kind = request.GET.get("kind", Kind.DBT)
    if kind not in FORMS:
        raise Http404(f"No file of the kind {kind} can be sent. There are: {', '.join(FORMS)}.")
    form = FORMS[kind](request.POST or None, request.FILES or None)
    if getattr(request, "upload_is_too_large", False):
        form.add_error("file", too_large())
    elif request.method == "POST" and form.is_valid():
        try:
            return redirect(_submit(request, kind, form))
        except (ValidationError, BadLog, SettingsError) as error:
            form.add_error(None, error if isinstance(error, ValidationError) else str(error))
    context = {
        "title": "Send a file",
        "back": reverse("ingest-run-list"),
        "form": form,
        "kind": kind,
        "kinds": [(value, Kind(value).label) for value in FORMS],
    }
    return render(request, "ingest_runs/upload.html", context, status=422 if form.errors else 200)


def _submit(request: HttpRequest, kind: str, form: UploadForm) -> IngestRun:
    sent, options = form.cleaned_data["file"], form.options()
    scope = options.get("name") or options.get("source") or sent.name
    return jobs.submit(actor=request.user, kind=kind, scope=scope, options=options, name=sent.name, data=sent.read())


def _run_or_404(pk: int) -> IngestRun:
    run = IngestRun.objects.filter(pk=pk).first()
    if run is None:
        raise Http404(f"There is no ingest run {pk}.")
    return run


def _told(run: IngestRun) -> tuple[dict[str, Any], dict[str, int], list[str]]:
    """Counts, problems by code, and notes out of a run's summary."""
    summary = dict(run.summary)
    problems, notes = summary.pop("problems", {}), summary.pop("notes", [])
    summary.pop("seconds", None)  # said already
    return summary, dict(sorted(problems.items(), key=lambda item: (-item[1], item[0]))), notes


class UploadForm(forms.Form):
    """A file, and what its ingest has to be told."""

    file = forms.FileField(widget=forms.FileInput())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["file"].whole = True  # type: ignore[attr-defined]
        if "source" in self.fields:
            sources = [(source.slug, source.name) for source in Source.objects.order_by("name")[:500]]
            self.fields["source"].choices = [("", self.no_source), *sources]  # type: ignore[attr-defined]

    no_source = "Find it by the dialect"

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        return [("", list(self))]

    def options(self) -> dict[str, Any]:
        """What was said, without the file."""
        return {name: value for name, value in self.cleaned_data.items() if name != "file" and value}


class DbtForm(UploadForm):
    source = forms.ChoiceField(required=False, help_text="Where dbt builds its tables.")
    allow_retire = forms.BooleanField(required=False, label="Retire what is gone, however much it is")
    field_order = ["file", "source", "allow_retire"]


class QueryLogForm(UploadForm):
    format = forms.ChoiceField(choices=[(name, name.replace("_", " ").capitalize()) for name in sorted(FORMATS)])
    source = forms.ChoiceField(required=False, help_text="Whose log it is.")
    dialect = forms.CharField(required=False, max_length=30, help_text="Of the SQL, where format and source say none.")
    covers_from = forms.DateField(required=False, widget=forms.DateInput({"type": "date"}))
    covers_to = forms.DateField(required=False, widget=forms.DateInput({"type": "date"}))
    field_order = ["file", "format", "source", "dialect", "covers_from", "covers_to"]

    def options(self) -> dict[str, Any]:
        """With days as text, and the import checked. Raises BadLog, SettingsError."""
        told = {name: str(value) for name, value in super().options().items()}
        told["source"] = asked_for({**told, "files": [], "jobs": 0}).source.slug
        return told


class EventsForm(UploadForm):
    """Nothing but the file: events say themselves what they are of."""


class RepoForm(UploadForm):
    name = forms.CharField(max_length=200, help_text="What the repository is called here; the same one next time.")
    dialect = forms.CharField(required=False, max_length=30, help_text="bigquery, snowflake, postgres, duckdb, …")
    layout = forms.ChoiceField(choices=[("plain", "Plain"), ("bigquery-etl", "bigquery-etl")])
    allow_retire = forms.BooleanField(required=False, label="Retire what is gone, however much it is")
    field_order = ["file", "name", "dialect", "layout", "allow_retire"]

    def clean_dialect(self) -> str:
        dialect = self.cleaned_data["dialect"].strip().lower()
        try:
            check_dialect(dialect)
        except SettingsError as error:
            raise ValidationError(str(error)) from error
        return dialect


FORMS: dict[str, type[UploadForm]] = {
    Kind.DBT: DbtForm,
    Kind.REPO: RepoForm,
    Kind.QUERY_LOG: QueryLogForm,
    Kind.OPENLINEAGE: EventsForm,
}
