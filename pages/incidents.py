"""Incidents: the board, the page of one, and the forms that open and change it."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_POST

from audits.checks.models import Check
from audits.postmortems import queries, services
from audits.postmortems.filters import IncidentFilter
from audits.postmortems.hits import Thing
from audits.postmortems.models import Attachment, Hit, Incident, TimelineEntry
from audits.postmortems.windows import Window
from catalog import policy
from catalog.models import Column, Owner, Pipeline, Run, Source, Table, User
from catalog.policy import Action
from catalog.queries import history_of
from pages.find import owner_or_404, pipeline_or_404, table_or_404
from pages.forms import FactsForm, Lines, NamesField, find_owners, find_tables, saved, table_names
from pages.lists import list_page, listing, options_of
from pages.zones import MomentField, MomentInput

_ORIGINS = 3  # tables of which the page lists what changed upstream


@require_GET
def incident_list(request: HttpRequest) -> HttpResponse:
    """Every incident, the newest first."""
    found = listing(
        request,
        IncidentFilter,
        queries.incidents(),
        order=("-started_at", "-id"),
        controls={
            "q": "Title or name",
            "status": "Status",
            "severity": "Severity",
            "cause": "Cause",
            "source": "Source",
        },
        options={"source": options_of(Source.objects.values_list("slug", "name"))},
    )
    return list_page(request, "incidents/list.html", "Incidents", found, counts=queries.counts_by_status())


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One incident: where it stands and what comes next, what it hit, and its timeline."""
    incident = incident_or_404(pk)
    hits = queries.hits_of(incident)
    people = list(incident.people.select_related("owner"))
    context = {
        "title": incident.title,
        "incident": incident,
        "steps": _steps(incident),
        "hits": [(Hit.Kind(kind), group) for kind, group in hits.items() if group],
        "origins": [hit for group in hits.values() for hit in group if _is_origin(hit)][:_ORIGINS],
        "upstream": Window.around(max(incident.started_at, incident.detected_at)),
        "people": people,
        "lead": next((person for person in people if person.role == "lead"), None),
        "timeline": list(incident.timeline.all()),
        "attachments": queries.attachments_of(incident),
        "post_mortem": getattr(incident, "post_mortem", None),
        "action_items": list(incident.action_items.select_related("owner")),
        "history": history_of(incident),
        "may_edit": policy.may(request.user, Action.EDIT, incident),
        "now": timezone.now(),
        "largest": services.LARGEST_ATTACHMENT,
    }
    return render(request, "incidents/detail.html", context)


def _is_origin(hit: Hit) -> bool:
    """A table where it began, so that what changed upstream of it may be the cause."""
    return hit.kind == Hit.Kind.TABLE and hit.distance == 0 and not hit.is_out and hit.table_id is not None


def _steps(incident: Incident) -> list[tuple[str, Any, str]]:
    """The way of an incident: each step's name, its time, and "done", "current" (comes next, while open) or "ahead"."""
    steps, is_next = [], incident.is_open
    for name in Incident.TIMES:
        at = getattr(incident, name)
        mark = "done" if at else "current" if is_next else "ahead"
        is_next = is_next and bool(at)
        steps.append((name.removesuffix("_at").capitalize(), at, mark))
    return steps


# Opening one


def find_pipelines(names: list[str]) -> list[Pipeline]:
    """Pipelines by name. One query; ValidationError names everyone unknown."""
    known = {pipeline.name: pipeline for pipeline in Pipeline.objects.filter(name__in=names)}
    if unknown := [name for name in names if name not in known]:
        raise ValidationError(f"No pipeline here is called {', '.join(unknown)}.")
    return [known[name] for name in names]


class OpeningForm(FactsForm):
    """What is known at the first moment; all but the title can wait."""

    tables = NamesField(
        find_tables, label="Tables", help_text="Where it began, as source:name, one a line.", widget=Lines("tables")
    )
    pipelines = NamesField(find_pipelines, label="Pipelines", widget=forms.Textarea)
    finding = forms.CharField(
        required=False,
        strip=False,
        label="First finding",
        widget=forms.Textarea,
        help_text="What you saw, in a sentence or a log.",
    )
    layout = [("", ["title", "severity", "detection", "started_at", "tables", "pipelines", "finding"])]
    whole = {"title", "finding", "tables", "pipelines"}

    class Meta:
        model = Incident
        fields = ["title", "severity", "detection", "started_at"]
        labels = {"detection": "Noticed by", "started_at": "Started"}
        help_texts = {"started_at": "Now, if empty."}
        field_classes = {"started_at": MomentField}
        widgets = {"started_at": MomentInput()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["started_at"].required = False
        self.fields["finding"].widget.attrs["rows"] = 4

    def _post_clean(self) -> None:
        """Leave the model's own validation to the service, which knows the times not asked for here."""


def create(request: HttpRequest) -> HttpResponse:
    """Open an incident; `?table=`, `?column=`, `?pipeline=`, `?run=` or `?check=` says on account of what."""
    cause = _cause(request)
    suggested = services.suggested_facts(cause) if cause else {"things": []}
    things: list[Thing] = suggested.pop("things")
    columns = [thing for thing in things if isinstance(thing, Column)]
    initial = suggested | {
        "tables": table_names(thing for thing in things if isinstance(thing, Table)),
        "pipelines": [thing.name for thing in things if isinstance(thing, Pipeline)],
    }
    for thing in things or [None]:
        policy.require(request.user, Action.EDIT, thing)
    form = OpeningForm(
        request.POST or None, instance=Incident(), initial=initial | {"pipelines": "\n".join(initial["pipelines"])}
    )
    because = cause if isinstance(cause, Run | Check) else None
    if request.method == "POST" and (incident := saved(form, lambda: _open(request.user, form, columns, because))):
        messages.success(request, "The incident is open, and those it hits are told.")
        return redirect(incident)
    context = {"title": "Open an incident", "form": form, "verb": "Open the incident", "noun": "Incidents"}
    context |= {"list_route": "incident-list", "back": reverse("incident-list"), "columns": columns}
    return render(request, "incidents/new.html", context, status=422 if form.is_bound else 200)


def _open(actor: User, form: OpeningForm, columns: list[Column], because: Run | Check | None) -> Incident:
    facts = {name: form.cleaned_data[name] for name in ("title", "severity", "detection", "started_at", "finding")}
    things = [*columns, *form.cleaned_data["tables"], *form.cleaned_data["pipelines"]]
    return services.open_incident(actor=actor, things=things, because=because, **facts)


def _cause(request: HttpRequest) -> Thing | Run | Check | None:
    """What the address names; 404 where it is not there."""
    if table := request.GET.get("table", ""):
        source, _, name = table.partition(":")
        return table_or_404(source, name)
    if pipeline := request.GET.get("pipeline", ""):
        return pipeline_or_404(pipeline)
    for name, model, along in (
        ("run", Run, ("pipeline",)),
        ("check", Check, ("table__source", "pipeline")),
        ("column", Column, ("table__source",)),
    ):
        if number := request.GET.get(name, ""):
            known = (
                model.objects.select_related(*along).filter(pk=number) if _is_number(number) else model.objects.none()
            )
            if (thing := known.first()) is None:
                raise Http404(f"There is no {name} {number}.")
            return thing
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 18


# Changing one


class IncidentForm(FactsForm):
    lead = NamesField(find_owners, label="Lead", help_text="Name, slug or e-mail address.", widget=Lines("owners"))
    participants = NamesField(find_owners, label="Participants", help_text="One a line.", widget=Lines("owners"))
    links = forms.CharField(
        required=False, widget=forms.Textarea, help_text="Chat, dashboards, tickets: one a line, the address first."
    )
    layout = [
        ("", ["title", "severity", "detection"]),
        ("Times", [*Incident.TIMES]),
        ("People", ["lead", "participants"]),
        ("What was wrong", ["data_from", "data_to", "wrong_rows", "decisions"]),
        ("Elsewhere", ["links"]),
    ]
    whole = {"title", "decisions", "links"}

    class Meta:
        model = Incident
        fields = [
            *("title", "severity", "detection", *Incident.TIMES, "data_from", "data_to", "wrong_rows", "decisions"),
            "links",
        ]
        labels = {"detection": "Noticed by", "decisions": "Reports and decisions"}
        labels |= {name: name.removesuffix("_at").capitalize() for name in Incident.TIMES}
        labels |= {"data_from": "First day of wrong data", "data_to": "Last day", "wrong_rows": "Wrong rows"}
        help_texts = {"data_from": "", "data_to": ""}
        field_classes = dict.fromkeys(Incident.TIMES, MomentField)
        widgets = {name: MomentInput() for name in Incident.TIMES}
        widgets |= {name: forms.DateInput({"type": "date"}, format="%Y-%m-%d") for name in ("data_from", "data_to")}

    def clean_lead(self) -> Owner | None:
        """One person or nobody."""
        found = self.cleaned_data["lead"]
        if len(found) > 1:
            raise ValidationError("One lead at a time; name the others as participants.")
        return found[0] if found else None

    def clean_links(self) -> list[dict[str, str]]:
        """`https://… title` a line."""
        lines = [line.strip().split(None, 1) for line in self.cleaned_data["links"].splitlines() if line.strip()]
        return [{"url": line[0], "title": line[1] if len(line) > 1 else ""} for line in lines]

    def _post_clean(self) -> None:
        """Leave the model's own validation to the service."""


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change an incident by form."""
    incident = incident_or_404(pk)
    policy.require(request.user, Action.EDIT, incident)
    people = list(incident.people.select_related("owner"))
    initial = {
        "lead": [person.owner.slug for person in people if person.role == "lead" and person.owner],
        "participants": [person.owner.slug for person in people if person.role != "lead" and person.owner],
        "links": "\n".join(f"{link['url']} {link['title']}" for link in incident.links),
    }
    form = IncidentForm(request.POST or None, instance=copy(incident), initial=initial)
    if request.method == "POST" and saved(form, lambda: _change(form, request.user, incident)):
        messages.success(request, "The changes are saved.")
        return redirect(incident)
    context = {"title": f"Edit {incident.title}", "form": form, "verb": "Save", "back": incident.get_absolute_url()}
    context |= {"noun": "Incidents", "list_route": "incident-list"}
    return render(request, "shared/form_page.html", context, status=422 if form.is_bound else 200)


@transaction.atomic
def _change(form: IncidentForm, actor: User, incident: Incident) -> Incident:
    if form.changed("lead") or form.changed("participants"):
        people = {name: form.cleaned_data[name] for name in ("lead", "participants")}
        services.set_people(actor=actor, incident=incident, **people)
    return services.change_incident(actor=actor, incident=incident, **form.facts)


# What its buttons do


@require_POST
def act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Do one thing to an incident: what a button says."""
    incident = incident_or_404(pk)
    if verb not in _VERBS:
        raise Http404(f"Nobody can {verb} an incident.")
    try:
        _VERBS[verb](request, incident)
    except ValidationError as error:
        say(request, error)
    return redirect(incident.get_absolute_url() + _PLACES.get(verb, ""))


def _look(request: HttpRequest, incident: Incident) -> None:
    number = services.look_for_events(actor=request.user, incident=incident)
    messages.success(request, f"{number} new on the timeline." if number else "Nothing new happened to what is hit.")


def _entry(request: HttpRequest, incident: Incident) -> None:
    """A note on the timeline, a file, or both."""
    policy.require(request.user, Action.EDIT, incident)
    form = EntryForm(request.POST, request.FILES)
    if not form.is_valid():
        raise ValidationError([error for errors in form.errors.values() for error in errors])
    facts = form.cleaned_data
    with transaction.atomic():
        if file := facts["file"]:
            if file.size > services.LARGEST_ATTACHMENT:  # before it is read into memory
                raise ValidationError(
                    f"{file.name} has {file.size:,} bytes; an attachment may hold {services.LARGEST_ATTACHMENT:,}."
                )
            kept = services.attach(actor=request.user, incident=incident, name=file.name, content=file.read())
            facts |= {
                "text": facts["text"] or f"Attached {kept.name}",
                "link": facts["link"] or kept.get_absolute_url(),
            }
        del facts["file"]
        services.add_entry(actor=request.user, incident=incident, **facts)


class EntryForm(forms.Form):
    """A note on the timeline."""

    text = forms.CharField(required=False, strip=False)
    at = MomentField(required=False)
    link = forms.CharField(required=False, max_length=1000)
    is_pinned = forms.BooleanField(required=False)
    file = forms.FileField(required=False, allow_empty_file=True)

    def clean(self) -> dict[str, Any]:
        if not self.cleaned_data.get("text", "").strip() and not self.cleaned_data.get("file"):
            raise ValidationError("Write something, or choose a file.")
        return self.cleaned_data


def _add_hits(request: HttpRequest, incident: Incident) -> None:
    names = request.POST.get("names", "").strip()
    field = NamesField(find_hits)
    things = field.clean(names)
    if not things:
        raise ValidationError("Name a table as source:name, a pipeline, or an owner.")
    services.add_hits(actor=request.user, incident=incident, things=things, note=request.POST.get("note", "").strip())


def find_hits(names: list[str]) -> list[Thing | Owner]:
    """Tables, pipelines or owners by name; ValidationError names everyone unknown."""
    found: list[Thing | Owner] = []
    for name in names:
        for find in (find_tables, find_pipelines, find_owners):
            try:
                found += find([name])
                break
            except ValidationError as error:
                if "Several" in error.message:
                    raise
        else:
            raise ValidationError(f"No table, pipeline or owner here is called {name}.")
    return found


def _stepping(verb: Callable[..., Incident]) -> Callable[[HttpRequest, Incident], None]:
    def step(request: HttpRequest, incident: Incident) -> None:
        verb(actor=request.user, incident=incident, words=request.POST.get("words", "")[:2000])

    return step


_VERBS: dict[str, Callable[[HttpRequest, Incident], Any]] = {
    "acknowledge": lambda request, incident: services.acknowledge(actor=request.user, incident=incident),
    "mitigate": _stepping(services.mitigate),
    "resolve": _stepping(services.resolve),
    "reopen": _stepping(services.reopen),
    "look": _look,
    "entry": _entry,
    "hits": _add_hits,
}
_PLACES = {"look": "#timeline", "entry": "#timeline", "hits": "#hits"}


@require_POST
def change_entry(request: HttpRequest, pk: int) -> HttpResponse:
    """Pin an entry of a timeline, take the pin away, or mend what a person noted."""
    entry = TimelineEntry.objects.select_related("incident").filter(pk=pk).first()
    if entry is None:
        raise Http404("There is no such entry.")
    try:
        services.change_entry(actor=request.user, entry=entry, **_asked_of_entry(request, entry))
    except ValidationError as error:
        say(request, error)
    return redirect(f"{entry.incident.get_absolute_url()}#timeline")


def _asked_of_entry(request: HttpRequest, entry: TimelineEntry) -> dict[str, Any]:
    if "text" not in request.POST:
        return {"is_pinned": request.POST.get("pin") == "yes"}
    form = EntryForm(request.POST, initial={"at": entry.at})
    if not form.is_valid():
        raise ValidationError([error for errors in form.errors.values() for error in errors])
    if form.cleaned_data["at"] is None:
        raise ValidationError("Write what happened, and when.")
    at = form.cleaned_data["at"] if "at" in form.changed_data else entry.at
    return {"text": form.cleaned_data["text"].strip(), "at": at}


@require_POST
def change_hit(request: HttpRequest, pk: int) -> HttpResponse:
    """Cross a hit out, or take that back."""
    hit = Hit.objects.select_related("incident").filter(pk=pk).first()
    if hit is None:
        raise Http404("There is no such hit.")
    services.change_hit(actor=request.user, hit=hit, is_out=request.POST.get("out") == "yes")
    return redirect(f"{hit.incident.get_absolute_url()}#hits")


@require_GET
def attachment(request: HttpRequest, incident: int, pk: int) -> HttpResponse:
    """An attachment as a download: whatever it is, no browser runs it."""
    kept = Attachment.objects.filter(incident=incident, pk=pk).first()
    if kept is None:
        raise Http404("There is no such attachment.")
    response = HttpResponse(bytes(kept.content), content_type="application/octet-stream")
    response["Content-Disposition"] = content_disposition_header(True, kept.name)
    return response


# The history of one thing


@require_GET
def of_table(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """The incidents that hit a table."""
    table = table_or_404(source, name)
    context = _history(request, table) | {"table": table, "tags": table.tags.all()}
    return render(request, "incidents/of_table.html", context)


@require_GET
def of_pipeline(request: HttpRequest, name: str) -> HttpResponse:
    """The incidents that hit a pipeline."""
    pipeline = pipeline_or_404(name)
    context = _history(request, pipeline) | {"pipeline": pipeline, "tags": pipeline.tags.all()}
    return render(request, "incidents/of_pipeline.html", context)


@require_GET
def of_owner(request: HttpRequest, slug: str) -> HttpResponse:
    """The incidents that hit what an owner answers for."""
    owner = owner_or_404(slug)
    return render(request, "incidents/of_owner.html", _history(request, owner) | {"owner": owner})


def _history(request: HttpRequest, thing: Table | Pipeline | Owner) -> dict[str, Any]:
    return {
        "title": f"Incidents of {thing.name}",
        "incidents": queries.incidents_of(thing),
        "may_edit": policy.may(request.user, Action.EDIT, thing),
    }


# Helpers


def incident_or_404(pk: int) -> Incident:
    """One query; its post-mortem comes along."""
    incident = Incident.objects.select_related("post_mortem").filter(pk=pk).first()
    if incident is None:
        raise Http404(f"There is no incident {pk}.")
    return incident


def say(request: HttpRequest, error: ValidationError) -> None:
    """Show what was refused on the next page."""
    for message in error.messages:
        messages.error(request, message)
