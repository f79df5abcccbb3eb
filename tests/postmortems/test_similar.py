"""Has this happened before? By tables, causes and words, and what became of the action items."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audits.postmortems.models import ActionItem, Cause, Hit, Incident, PostMortem, Section
from audits.postmortems.similar import recurrences, similar_to
from catalog.models import Table
from tests.factories import make_table

pytestmark = pytest.mark.django_db

NOW = timezone.now()
DAY = dt.timedelta(days=1)


def make_report(
    title: str, days: float, origin: Table | None = None, *also: Table, root: str = "", text: str = "", **facts
) -> Incident:
    """An incident `days` ago that began in `origin` and hit the others downstream of it, with its report."""
    at = NOW - days * DAY
    incident = Incident.objects.create(title=title, started_at=at, detected_at=at, opened_by_name="x", **facts)
    for distance, table in enumerate([origin, *also] if origin else []):
        Hit.objects.create(
            incident=incident, kind="table", node=table.node, source=table.source.slug, name=table.name, table=table,
            distance=distance,
        )  # fmt: skip
    report = PostMortem.objects.create(incident=incident, author_name="x")
    Section.objects.create(post_mortem=report, name="summary", position=1, text=text)
    if root:
        Cause.objects.create(post_mortem=report, code=root, is_root=True)
    return incident


def titles(incident: Incident) -> list[str]:
    return [each.incident.title for each in similar_to(incident)]


def test_tables_in_common_count_most_where_one_began_on_the_others_path() -> None:
    raw, core, mart, far = (make_table(name) for name in ("raw", "core", "mart", "far"))
    make_report("on its path", 30, raw, core, mart)
    make_report("only an end in common", 20, far, mart)
    make_report("elsewhere", 10, make_table("elsewhere"))
    found = similar_to(make_report("now", 0, core, mart))
    assert [each.incident.title for each in found] == ["on its path", "only an end in common"]
    assert found[0].tables == ("warehouse:core", "warehouse:mart")


def test_words_of_the_reports_find_each_other_whatever_their_form() -> None:
    make_report("Duplicates", 30, text="The ingestion was retried and inserted invoices twice.")
    make_report("Something else", 20, text="A certificate of the broker expired.")
    (found,) = similar_to(make_report("Invoices doubled", 0, text="Retrying the ingest inserted an invoice twice."))
    assert (found.incident.title, found.words) == ("Duplicates", 1.0)


def test_changed_and_deleted_text_is_found_as_it_is_now() -> None:
    changed = make_report("Changed", 30, text="certificate")
    changed.post_mortem.sections.update(text="invoices twice")
    Section.objects.filter(post_mortem=make_report("Gone", 20, text="invoices twice").post_mortem).delete()
    assert titles(make_report("Twice", 0, text="invoices twice")) == ["Changed"]


def test_the_same_root_cause_where_it_began_before_is_a_recurrence() -> None:
    raw, core, other = make_table("raw"), make_table("core"), make_table("other")
    before = make_report("before", 30, raw, core, root="rerun")
    make_report("other cause", 25, raw, core, root="bug")
    make_report("other place", 20, other, root="rerun")
    now = make_report("now", 0, core, root="rerun")
    found = similar_to(now)
    assert [(each.incident.title, each.is_recurrence) for each in found] == [("before", True), ("other cause", False)]
    assert found[0].causes == ("Non-idempotent re-run",)
    assert recurrences() == {now.pk: before.pk}
    assert recurrences(since=NOW + DAY) == {}


def test_what_was_decided_then_is_told_with_whether_it_was_done() -> None:
    raw = make_table("raw")
    before = make_report("before", 30, raw)
    facts = {"type": "prevent", "owner_name": "Jo", "created_by_name": "x"}
    for status, due, ended in (("done", 5, NOW), ("open", 5, None), ("open", -5, None)):
        ActionItem.objects.create(
            incident=before, title=status, status=status, due=(NOW - due * DAY).date(), ended_at=ended, **facts
        )
    (found,) = similar_to(make_report("now", 0, raw))
    assert (found.done, len(found.items), found.overdue) == (1, 3, 1)


def test_only_earlier_incidents_and_hits_in_force_count() -> None:
    raw = make_table("raw")
    make_report("later", -1, raw)
    crossed_out = make_report("crossed out", 30, raw)
    crossed_out.hits.update(is_out=True)
    assert titles(make_report("now", 0, raw)) == []


def test_an_incident_with_nothing_to_compare_has_no_like() -> None:
    make_report("before", 30, make_table("raw"), text="words")
    assert titles(make_report("???", 0)) == []


def test_it_costs_the_same_for_few_incidents_and_many() -> None:
    raw, costs = make_table("raw"), []
    now = make_report("Invoices twice", 0, raw, root="bug")
    for number in (2, 20):
        for _ in range(number):
            make_report("Invoices", 30, raw, root="bug", text="Invoices twice")
        with CaptureQueriesContext(connection) as asked:
            assert similar_to(now)
        costs.append(len(asked))
    assert costs[0] == costs[1] <= 10


def test_the_page_and_rest_say_the_same(viewer, signed_in, with_token) -> None:
    raw = make_table("raw")
    make_report("Invoices twice", 30, raw, root="rerun")
    now = make_report("Twice again", 0, raw, root="rerun")
    page = signed_in(viewer).get(f"/incidents/{now.pk}/similar/")
    assert b"Invoices twice" in page.content and b"recurrence" in page.content
    answer = with_token(viewer).get(f"/api/v1/incidents/{now.pk}/similar/").json()
    (found,) = answer["results"]
    assert (found["title"], found["is_recurrence"], found["tables"]) == ("Invoices twice", True, ["warehouse:raw"])
    assert f"/incidents/{now.pk}/similar/".encode() in signed_in(viewer).get(f"/incidents/{now.pk}/").content
