"""Scorecards: of the company, a team, a source, a pipeline; findings as a list and as CSV; waivers; badges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audits.practices import queries, scores, services
from audits.practices.filters import FindingFilter
from audits.practices.models import Finding, FindingQuerySet, Outcome, Score, Waiver
from audits.practices.queries import Point, Scorecard
from audits.practices.rules import RULES, Rule
from audits.practices.scores import Tally
from audits.practices.steps import Step
from catalog import policy
from catalog.models import Owner, Pipeline, Source
from catalog.policy import Action
from lineage.nodes import NodeId
from pages.charts import Scale
from pages.code import excerpt_of
from pages.csv_rows import csv_response
from pages.find import owner_or_404, pipeline_or_404, source_or_404
from pages.forms import find_owners
from pages.lists import list_page, listing, options_of
from pages.middleware import for_everyone

WIDTH, HEIGHT = 720, 120  # of a trend, in its own units
_BADGES = signing.Signer(salt="badge", sep=".")
_NAMES = {rule.code: rule.name for rule in RULES.values()}
_CSV = ("pipeline", "tier", "practice", "standing", "evidence", "line", "what to do", "waived until", "since")


# Cards


@require_GET
def company(request: HttpRequest) -> HttpResponse:
    """How sound all pipelines are together, and the ways to those of a team or a source."""
    context = {"teams": queries.teams(), "sources": queries.sources(), "judged_at": queries.judged_at()}
    return _card_page(request, queries.scorecard(), "Scorecard", context)


@require_GET
def of_team(request: HttpRequest, slug: str) -> HttpResponse:
    """The card of what a team, or a member of it, keeps running."""
    team = owner_or_404(slug)
    if team.kind != Owner.Kind.TEAM:
        raise Http404("Only teams have scorecards, not people.")
    return _card_page(request, queries.scorecard(team), f"Scorecard of {team}", {"narrowed": {"team": slug}})


@require_GET
def of_source(request: HttpRequest, slug: str) -> HttpResponse:
    """The card of what writes to a source."""
    source = source_or_404(slug)
    return _card_page(request, queries.scorecard(source), f"Scorecard of {source}", {"narrowed": {"source": slug}})


def _card_page(request: HttpRequest, card: Scorecard, title: str, more: dict[str, Any]) -> HttpResponse:
    narrowed = more.get("narrowed", {})
    context = {
        "title": title,
        "card": card,
        "trend": trend_of(card.trend),
        "practices": [_PracticeRow.of(rule, tally, narrowed) for rule, tally in card.practices],
        "steps": [(step, *_where(step, narrowed)) for step in card.steps],
        "failing": sum(tally.failed for _, tally in card.practices),
        "failing_list": _finding_list(standing=Outcome.FAIL, **narrowed),
        "rules": _NAMES,
        "finding_csv": f"{reverse('scorecard-csv')}?{urlencode(narrowed)}",
        "badge": badge_address(request, card),
        **more,
    }
    return render(request, "scorecards/card.html", context)


@dataclass(frozen=True)
class _PracticeRow:
    """A practice with its findings counted, as a bar of 100 units and as figures that lead to the list."""

    rule: Rule
    bars: list[tuple[str, float, float]]  # class, from, width
    figures: list[tuple[str, int, str]]  # class, number, address

    @classmethod
    def of(cls, rule: Rule, tally: Tally, narrowed: dict[str, str]) -> _PracticeRow:
        numbers = {"pass": tally.passed, "waived": tally.waived, "unknown": tally.unknown, "fail": tally.failed}
        total, at, bars = sum(numbers.values()) or 1, 0.0, []
        for standing, number in numbers.items():
            width = round(100 * number / total, 2)
            bars.append((standing, round(at, 2), width))
            at += width
        address = {standing: _finding_list(practice=rule.code, standing=standing, **narrowed) for standing in numbers}
        return cls(rule, bars, [(standing, number, address[standing]) for standing, number in numbers.items()])


def _finding_list(**narrowed: str) -> str:
    return f"{reverse('scorecard-findings')}?{urlencode(narrowed)}"


def _where(step: Step, narrowed: dict[str, str]) -> tuple[str, str]:
    """What a step is about, and where that is: a table, a pipeline's scorecard, or the findings of many pipelines."""
    if not step.node:
        address = _finding_list(practice=step.practice, standing=Outcome.FAIL, **narrowed)
        return f"{intcomma(step.spread)} pipelines", address
    found = NodeId.parse(step.node)
    if found.kind == "pipeline":
        return found.name, reverse("pipeline-scorecard", args=[found.name])
    return found.name, reverse("table-detail", args=[found.source, found.name])


# Trends


@dataclass(frozen=True)
class Trend:
    """Scores over time as a stepped line, and its ends in words."""

    path: str
    first: Point
    last: Point
    changes: list[Point]
    width: int = WIDTH
    height: int = HEIGHT


def trend_of(points: list[Point]) -> Trend:
    """A step at each day on which the score changed; a gap while nothing could be judged."""
    first, last = points[0].day, points[-1].day
    x, y = Scale(0, (last - first).days, 0, WIDTH), Scale(0, 1, HEIGHT, 0)
    pieces, at = [], None
    for point in points:
        place = x((point.day - first).days)
        pieces += [f"H{place:g}"] if at is not None else []
        before, at = at, None if point.score is None else y(point.score)
        if at is not None:
            pieces.append(f"M{place:g} {at:g}" if before is None else f"V{at:g}")
    pieces += [f"H{WIDTH}"] if at is not None and first == last else []
    return Trend(" ".join(pieces), points[0], points[-1], points[-12:])


# One pipeline


@dataclass(frozen=True)
class Shown:
    """A finding as its page shows it: under its rule, with the SQL around the lines that it names."""

    rule: Rule
    finding: Finding
    excerpt: SafeString


@require_GET
def of_pipeline(request: HttpRequest, name: str) -> HttpResponse:
    """A pipeline's card: each practice with the evidence, the SQL that shows it, and what would mend it."""
    pipeline = pipeline_or_404(name)
    card = queries.scorecard(pipeline)
    findings = queries.findings_of(pipeline)
    context = {
        "title": f"Scorecard of {pipeline.name}",
        "pipeline": pipeline,
        "tags": pipeline.tags.all(),
        "card": card,
        "trend": trend_of(card.trend),
        "findings": [Shown(RULES[each.practice], each, _excerpt(each)) for each in findings],
        "waivers": queries.waivers_of(pipeline),
        "rules": _NAMES,
        "may_edit": policy.may(request.user, Action.EDIT, pipeline),
        "badge": badge_address(request, card),
    }
    return render(request, "scorecards/of_pipeline.html", context)


def _excerpt(finding: Finding) -> SafeString:
    """The SQL around what fails or cannot be told; what passes needs none."""
    if finding.sql_version is None or finding.standing == Outcome.PASS:
        return SafeString()
    return excerpt_of(finding.sql_version, [line for _, line in finding.evidence if line])


@require_POST
def judge(request: HttpRequest, name: str) -> HttpResponse:
    """Judge one pipeline anew."""
    pipeline = pipeline_or_404(name)
    policy.require(request.user, Action.EDIT, pipeline)
    written = services.judge_pipelines([pipeline.pk]).written
    messages.success(request, "Judged anew: " + (f"{written} findings changed." if written else "nothing changed."))
    return redirect("pipeline-scorecard", pipeline.name)


class WaiverForm(forms.Form):
    """Why a practice need not be kept, until when, and who answers for that."""

    reason = forms.CharField(max_length=1000, widget=forms.Textarea({"rows": 3}), label="Why it need not be kept")
    owner = forms.CharField(max_length=150, label="Who answers for it", help_text="Name, slug or e-mail address.")
    until = forms.DateField(
        widget=forms.DateInput({"type": "date"}), label="Last day", help_text="Within a year. Then the finding counts."
    )

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        self.fields["reason"].whole = True
        return [("", [self[name] for name in self.fields])]

    def clean_owner(self) -> Owner:
        return find_owners([self.cleaned_data["owner"].strip()])[0]


@require_http_methods(["GET", "POST"])
def waive(request: HttpRequest, name: str, practice: str) -> HttpResponse:
    """State that a pipeline need not keep a practice for a while."""
    pipeline, rule = pipeline_or_404(name), RULES.get(practice)
    policy.require(request.user, Action.EDIT, pipeline)
    if rule is None:
        raise Http404(f"There is no practice {practice}.")
    mine = request.user.owner.slug if request.user.owner_id else ""
    form = WaiverForm(request.POST or None, initial={"owner": mine})
    back = reverse("pipeline-scorecard", args=[pipeline.name])
    if request.method == "POST" and form.is_valid():
        try:
            services.waive(actor=request.user, pipeline=pipeline, practice=practice, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, f"“{rule.name}” is waived until {form.cleaned_data['until']}.")
            return redirect(back)
    context = {"title": f"Waive “{rule.name}” for {pipeline.name}", "form": form, "verb": "Waive", "back": back}
    context |= {"noun": "Pipelines", "list_route": "pipeline-list"}
    return render(request, "shared/form_page.html", context, status=422 if form.is_bound else 200)


@require_POST
def lift(request: HttpRequest, pk: int) -> HttpResponse:
    """End a waiver before its day."""
    waiver = Waiver.objects.select_related("pipeline").filter(pk=pk).first()
    if waiver is None:
        raise Http404("There is no such waiver.")
    try:
        services.lift(actor=request.user, waiver=waiver)
    except ValidationError as error:
        for message in error.messages:
            messages.error(request, message)
    else:
        messages.success(request, "The waiver is lifted: the finding counts again.")
    return redirect("pipeline-scorecard", waiver.pipeline.name)


# Findings


@require_GET
def finding_list(request: HttpRequest) -> HttpResponse:
    """Every finding, the weightiest first."""
    found = listing(
        request,
        FindingFilter,
        queries.findings(),
        order=("-weight", "-id"),
        controls={
            "q": "Pipeline",
            "practice": "Practice",
            "standing": "Stands",
            "tier": "Tier",
            "team": "Team",
            "source": "Source",
        },
        options={
            "team": options_of(Owner.objects.filter(kind=Owner.Kind.TEAM).values_list("slug", "name")[:500]),
            "source": options_of(Source.objects.values_list("slug", "name")),
        },
    )
    if request.GET.get("as") == "csv":
        return _csv_of(found.found)
    rows = [(RULES[each.practice], each) for each in found.page.items if each.practice in RULES]
    return list_page(request, "scorecards/finding_list.html", "Findings", found, rows=rows, csv=True)


@require_GET
def finding_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The same findings as a file; a filter that cannot be read gives none."""
    asked = FindingFilter(request.GET, queryset=queries.findings())
    return _csv_of(asked.qs if asked.is_valid() else queries.findings().none())


def _csv_of(found: FindingQuerySet) -> StreamingHttpResponse:
    return csv_response("findings.csv", _CSV, map(_csv_row, found.order_by("-weight", "-id").iterator(2000)))


def _csv_row(finding: Finding) -> tuple[Any, ...]:
    return (
        finding.pipeline.name,
        finding.pipeline.tier or "",
        finding.practice,
        finding.standing,
        " ".join(words for words, _ in finding.evidence),
        next((line for _, line in finding.evidence if line), ""),
        " ".join(words for words, _ in finding.remedies),
        finding.waived_until or "",
        finding.since.date(),
    )


# Badges


def badge_address(request: HttpRequest, card: Scorecard) -> str:
    """Where the badge of a card is. The address is signed: only who was shown it can read the score there."""
    token = _BADGES.sign(f"{card.scope}-{card.thing.pk if card.thing else 0}")
    return request.build_absolute_uri(reverse("badge", args=[token]))


@login_not_required
@for_everyone
@require_GET
def badge(request: HttpRequest, token: str) -> HttpResponse:
    """The score of one thing as a small picture, for a README: needs no sign-in, but its signed address."""
    try:
        scope, _, key = _BADGES.unsign(token).partition("-")
    except signing.BadSignature as error:
        raise PermissionDenied("This badge's address is not one of ours. Copy it anew from the scorecard.") from error
    score = scores.tally_of(_findings_of(scope, int(key))).score
    words = "not known" if score is None else f"{int(score * 100)} %"
    colour = "#6b7280" if score is None else "#1c6b3c" if score >= 0.8 else "#845207" if score >= 0.5 else "#b02a2a"
    wide = 22 + 7 * len(words)
    context = {"words": words, "colour": colour, "wide": wide, "middle": 70 + wide / 2, "whole": 70 + wide}
    response = render(request, "scorecards/badge.svg", context, content_type="image/svg+xml")
    response["Cache-Control"] = "max-age=300"
    return response


def _findings_of(scope: str, key: int) -> FindingQuerySet:
    things: dict[str, Any] = {Score.Scope.PIPELINE: Pipeline, Score.Scope.TEAM: Owner, Score.Scope.SOURCE: Source}
    if scope == Score.Scope.COMPANY:
        return queries.findings_in(None)
    thing = things[scope].objects.filter(pk=key).first()
    if thing is None:
        raise Http404("What this badge was of is gone.")
    return queries.findings_in(thing)
