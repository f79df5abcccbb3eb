"""Post-mortems: the library, the report, its editor that saves as one types, its versions, and its ways out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_POST

from audits.postmortems import queries, reports
from audits.postmortems.export import as_dict, as_markdown
from audits.postmortems.filters import PostMortemFilter
from audits.postmortems.models import Cause, PostMortem, Section
from audits.postmortems.outlines import QUESTIONS
from catalog import policy
from catalog.models import Role, Source, User
from catalog.policy import Action
from pages.incidents import incident_or_404, say
from pages.lists import list_page, listing, options_of
from pages.templatetags.pages import markdown


@require_GET
def post_mortem_list(request: HttpRequest) -> HttpResponse:
    """The library: every report, narrowed by what it says and what it was about."""
    found = listing(
        request,
        PostMortemFilter,
        queries.post_mortems(),
        order=("-created_at", "-id"),
        controls={"q": "Title or text", "cause": "Cause", "state": "State", "severity": "Severity", "source": "Source"},
        options={"source": options_of(Source.objects.values_list("slug", "name"))},
    )
    return list_page(request, "post_mortems/list.html", "Post-mortems", found, causes=queries.cause_counts())


@require_POST
def start(request: HttpRequest, pk: int) -> HttpResponse:
    """Begin the report on an incident."""
    incident = incident_or_404(pk)
    try:
        post_mortem = reports.start_post_mortem(actor=request.user, incident=incident)
    except ValidationError as error:
        say(request, error)
        return redirect(incident)
    return redirect("post-mortem-edit", post_mortem.pk)


class ReviewForm(forms.Form):
    """Who is to read it."""

    reviewer = forms.ModelChoiceField(User.objects.none(), empty_label="Choose somebody")

    def __init__(self, post_mortem: PostMortem, *args: Any) -> None:
        super().__init__(*args)
        people = User.objects.filter(is_active=True).exclude(pk=post_mortem.author_id).exclude(role=Role.NONE)
        self.fields["reviewer"].queryset = people.select_related("owner").order_by("username")
        self.fields["reviewer"].label_from_instance = reports.name_of


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """The report as it reads, and what may be done with it now."""
    post_mortem = _post_mortem_or_404(pk)
    may_edit = policy.may(request.user, Action.EDIT, post_mortem)
    can_edit = post_mortem.state in PostMortem.EDITABLE
    context = _report(post_mortem) | {
        "title": str(post_mortem),
        "may_edit": may_edit,
        "can_edit": may_edit and can_edit,
        "is_reviewer": request.user.pk == post_mortem.reviewer_id,
        "review": ReviewForm(post_mortem) if may_edit and can_edit else None,
        "named": queries.names_in(post_mortem) if post_mortem.state != PostMortem.State.PUBLISHED else [],
        "versions": post_mortem.versions.defer("content")[:5],
        "action_items": list(post_mortem.incident.action_items.select_related("owner")),
    }
    return render(request, "post_mortems/detail.html", context)


def _report(post_mortem: PostMortem) -> dict[str, Any]:
    """What every view of the text shows. Two queries."""
    sections = list(post_mortem.sections.all())
    return {
        "post_mortem": post_mortem,
        "incident": post_mortem.incident,
        "sections": [(section, markdown(section.text)) for section in sections],
        "causes": list(post_mortem.causes.all()),
    }


@require_GET
def printed(request: HttpRequest, pk: int) -> HttpResponse:
    """The report with its incident on one page without a frame, to print or keep as PDF."""
    post_mortem = _post_mortem_or_404(pk)
    incident = post_mortem.incident
    context = _report(post_mortem) | {
        "title": str(post_mortem),
        "hits": [(kind.label, group) for kind, group in queries.hits_in_force(incident)],
        "timeline": incident.timeline.all(),
        "people": incident.people.all(),
        "action_items": incident.action_items.all(),
    }
    return render(request, "post_mortems/print.html", context)


@require_GET
def export(request: HttpRequest, pk: int, format: str) -> HttpResponse:
    """The report as a file: `markdown` or `json`."""
    post_mortem = _post_mortem_or_404(pk)
    name = f"post-mortem-{post_mortem.pk}-{slugify(post_mortem.incident.title)[:60]}"
    if format == "markdown":
        response = HttpResponse(as_markdown(post_mortem), content_type="text/markdown; charset=utf-8")
    elif format == "json":
        response = JsonResponse(as_dict(post_mortem), json_dumps_params={"indent": 2, "ensure_ascii": False})
    else:
        raise Http404("A post-mortem goes out as markdown or json.")
    ending = {"markdown": "md", "json": "json"}[format]
    response["Content-Disposition"] = content_disposition_header(True, f"{name}.{ending}")
    return response


# Writing


@require_GET
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """The editor: each section saves itself."""
    post_mortem = _post_mortem_or_404(pk)
    policy.require(request.user, Action.EDIT, post_mortem)
    if post_mortem.state not in PostMortem.EDITABLE:
        messages.warning(request, f"It is {post_mortem.get_state_display().lower()}, so its text stays as it is.")
        return redirect(post_mortem)
    return render(request, "post_mortems/edit.html", _editor(post_mortem))


def _editor(post_mortem: PostMortem, saved: reports.Saved | None = None) -> dict[str, Any]:
    """The editor's sections; of the one that was refused, the text that did not go in stands in its field."""
    sections = list(post_mortem.sections.all())
    missing = [name for name in Section.Name if name not in {section.name for section in sections}]
    causes = list(post_mortem.causes.all())
    return {
        "title": f"Write: {post_mortem.incident.title}",
        "post_mortem": post_mortem,
        "incident": post_mortem.incident,
        "sections": [
            (section, QUESTIONS[section.name], saved if saved and saved.section.name == section.name else None)
            for section in sections
        ],
        "missing": missing,
        "codes": Cause.Code.choices,
        "root": next((cause.code for cause in causes if cause.is_root), ""),
        "contributing": [cause.code for cause in causes if not cause.is_root],
        "longest": reports.LONGEST_SECTION,
    }


@require_POST
def save_section(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Save one section as it is typed; says so, or shows what somebody else wrote meanwhile."""
    post_mortem = _post_mortem_or_404(pk)
    revision = request.POST.get("over") or request.POST.get("revision", "")
    context: dict[str, Any] = {"post_mortem": post_mortem, "revision": request.POST.get("revision", "")}
    try:
        if not (revision.isascii() and revision.isdigit() and len(revision) < 9):
            raise ValidationError("This form is broken: load the page again.")
        saved = reports.save_section(
            actor=request.user,
            post_mortem=post_mortem,
            name=name,
            text=request.POST.get("text", ""),
            revision=int(revision),
        )
    except ValidationError as error:
        if request.htmx:
            return render(request, "post_mortems/saved.html", context | {"errors": error.messages})
        say(request, error)
        return redirect("post-mortem-edit", pk)
    if request.htmx:
        return render(request, "post_mortems/saved.html", context | {"section": saved.section, "saved": saved})
    if saved.refused is None:
        return redirect("post-mortem-edit", pk)
    return render(request, "post_mortems/edit.html", _editor(post_mortem, saved), status=409)


@require_POST
def preview(request: HttpRequest, pk: int) -> HttpResponse:
    """Markdown as it will read."""
    policy.require(request.user, Action.EDIT, _post_mortem_or_404(pk))
    html = markdown(request.POST.get("text", "")[: reports.LONGEST_SECTION])
    return render(request, "post_mortems/preview.html", {"html": html})


@require_POST
def act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Do one thing to a post-mortem: what a button says."""
    post_mortem = _post_mortem_or_404(pk)
    if verb not in _VERBS:
        raise Http404(f"Nobody can {verb} a post-mortem.")
    back: Any = post_mortem
    try:
        _VERBS[verb](request, post_mortem)
    except ValidationError as error:
        say(request, error)
    if verb in ("causes", "section"):
        return redirect("post-mortem-edit", pk)
    return redirect(back)


def _causes(request: HttpRequest, post_mortem: PostMortem) -> None:
    root, contributing = request.POST.get("root", ""), request.POST.getlist("contributing")
    reports.set_causes(actor=request.user, post_mortem=post_mortem, root=root, contributing=contributing)
    messages.success(request, "The causes are saved.")


def _review(request: HttpRequest, post_mortem: PostMortem) -> None:
    form = ReviewForm(post_mortem, request.POST)
    if not form.is_valid():
        raise ValidationError("Choose who is to review it.")
    reports.send_to_review(actor=request.user, post_mortem=post_mortem, reviewer=form.cleaned_data["reviewer"])


_VERBS: dict[str, Callable[[HttpRequest, PostMortem], Any]] = {
    "causes": _causes,
    "section": lambda request, report: reports.add_section(
        actor=request.user, post_mortem=report, name=request.POST.get("name", "")
    ),
    "review": _review,
    "send-back": lambda request, report: reports.send_back(
        actor=request.user, post_mortem=report, words=request.POST.get("words", "")[:400]
    ),
    "publish": lambda request, report: reports.publish(actor=request.user, post_mortem=report),
    "reopen": lambda request, report: reports.reopen(
        actor=request.user, post_mortem=report, words=request.POST.get("words", "")[:400]
    ),
}


@require_GET
def versions(request: HttpRequest, pk: int) -> HttpResponse:
    """What was kept of a report, and what one version changed."""
    post_mortem = _post_mortem_or_404(pk)
    kept = list(post_mortem.versions.all())
    asked = request.GET.get("number", "")
    chosen = next((version for version in kept if str(version.number) == asked), kept[0] if kept else None)
    context = {"title": "Versions", "post_mortem": post_mortem, "incident": post_mortem.incident, "versions": kept}
    if chosen:
        earlier = next((each for each in kept if each.number < chosen.number and _is_whole(each)), None)
        context |= {"chosen": chosen, "earlier": earlier, "changes": queries.changes_between(earlier, chosen)}
        context["texts"] = [
            (Section.Name(name).label, markdown(text)) for name, text in chosen.content["sections"].items()
        ]
    return render(request, "post_mortems/versions.html", context)


def _is_whole(version: Any) -> bool:
    """Not a text that did not go in."""
    return len(version.content["sections"]) > 1


def _post_mortem_or_404(pk: int) -> PostMortem:
    """One query; its incident comes along."""
    post_mortem = PostMortem.objects.select_related("incident").filter(pk=pk).first()
    if post_mortem is None:
        raise Http404(f"There is no post-mortem {pk}.")
    return post_mortem
