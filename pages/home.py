"""The first page: what is broken now, what needs attention, how much there is and how well it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from audits.checks.models import State
from audits.checks.queries import counts_by_state
from audits.deletion.queries import latest_run
from audits.postmortems.models import Incident
from audits.postmortems.queries import item_counts
from catalog import queries
from catalog.models import User
from ingest.models import IngestRun
from lineage.coverage import coverage
from lineage.models import Problem
from lineage.problems import ProblemCount, problem_counts
from pages.templatetags.pages import spoken

_INGESTS_SHOWN = 5
_INCIDENTS_SHOWN = 5
_LEFT_SHOWN = 6


@dataclass(frozen=True)
class Attention:
    """So many things that somebody should look at: "3" "checks fail", and where they are."""

    number: int
    words: str
    url: str


def home(request: HttpRequest) -> HttpResponse:
    """Open incidents, what needs attention, counts, coverage and the latest ingests."""
    counts, problems = queries.catalog_counts(), problem_counts()
    context = {
        "title": "Home",
        "counts": counts,
        "is_empty": not counts.pipelines and not counts.tables,
        "coverage": coverage(),
        "incidents": Incident.objects.exclude(status=Incident.Status.RESOLVED)[:_INCIDENTS_SHOWN],
        "attention": [each for each in _attention(request.user, problems) if each.number],
        "warnings": sum(count.number for count in problems if count.severity == Problem.Severity.WARNING),
        "ingests": IngestRun.objects.all()[:_INGESTS_SHOWN],
    }
    return render(request, "home/home.html", context)


def _attention(user: User, problems: list[ProblemCount]) -> Iterator[Attention]:
    """What is wrong now comes before what is promised, and that before what is missing."""
    states, items = counts_by_state(), item_counts(user)
    failing = queries.pipelines_that_failed().count()
    yield _attend(failing, "pipeline", "failed on its last run", "failed on their last run", "run-list", state="failed")
    yield _attend(states.get(State.FAIL, 0), "check", "fails", "fail", "check-list", state="fail")
    yield _attend(states.get(State.ERROR, 0), "check", "cannot run", "cannot run", "check-list", state="error")
    yield _attend(items.overdue, "action item", "is overdue", "are overdue", "action-item-list", is_overdue="true")
    for count in problems:
        if count.severity == Problem.Severity.ERROR:
            words = f"error{'' if count.number == 1 else 's'}: {spoken(count.code)}"
            yield Attention(count.number, words, _url("problem-list", severity="error", code=count.code))
    run, lacking = latest_run(), queries.lacking_owners()
    unread = sum(run.counts.get(word, 0) for word in ("unread", "feeds_unread")) if run else 0
    yield _attend(unread, "table", "that nobody needs", "that nobody needs", "deletion-board")
    for role, number in (("technical", lacking.technical), ("business", lacking.business)):
        words = f"without a {role} owner"
        yield _attend(number, "pipeline", words, words, "pipeline-list", has_owner="false", role=role)
    for owner in queries.left_owners_with_things()[:_LEFT_SHOWN]:
        held, words = owner.pipeline_count + owner.table_count, f"held by {owner.name}, who has left"
        yield Attention(held, f"thing{'' if held == 1 else 's'} {words}", owner.get_absolute_url())


def _attend(number: int, noun: str, one: str, many: str, route: str, **query: str) -> Attention:
    return Attention(number, f"{noun} {one}" if number == 1 else f"{noun}s {many}", _url(route, **query))


def _url(route: str, **query: str) -> str:
    return reverse(route) + (f"?{urlencode(query)}" if query else "")
