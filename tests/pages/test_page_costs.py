"""SQL queries a page: a fixed number, whatever the number of rows, and never more than 15, but for two."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audits.checks.models import Check
from audits.checks.services import create_check, record_result
from audits.deletion.models import DeletionReview, Verdict, VerdictRun
from audits.postmortems.models import ActionItem, Incident, PostMortem
from catalog.models import HistoryEntry, Owner, Pipeline, Table, Tag
from ingest.models import IngestRun
from tests.factories import (
    make_column,
    make_edge,
    make_owner,
    make_pipeline,
    make_problem,
    make_run,
    make_schema_change,
    make_source,
    make_sql_version,
    make_table,
    make_user,
    own,
)

pytestmark = pytest.mark.django_db

MOST = 15  # sign-in and what is stale or wrong included
# Nine kinds of change lie in nine tables: a query finds each, another puts those shown in words (two those of SQL), and
# each hop upstream takes one. A verdict rests on another table each: owners, readers, reviews, protections, neighbours.
DEARER = {"/tables/warehouse/hub/upstream-changes/": 28, "/tables/warehouse/hub/verdict/": 20}
PAGES = [
    *DEARER,
    "/",
    "/search/?q=shop",
    "/pipelines/",
    "/pipelines/hub/",
    "/pipelines/hub/lineage/",
    "/pipelines/hub/checks/",
    "/pipelines/hub/edit/",
    "/tables/",
    "/tables/warehouse/hub/",
    "/tables/warehouse/hub/schema/",
    "/tables/warehouse/hub/use/",
    "/tables/warehouse/hub/checks/",
    "/tables/warehouse/hub/lineage/",
    "/tables/warehouse/hub/lineage/?grain=column",
    "/tables/warehouse/hub/edit/",
    "/owners/",
    "/owners/hub/",
    "/owners/hub/edit/",
    "/sources/",
    "/sources/warehouse/",
    "/tags/",
    "/tags/hub/",
    "/problems/",
    "/coverage/",
    "/coverage/?source=warehouse&show=few",
    "/checks/",
    "/runs/",
    "/runs/late/",
    "/lineage-events/",
    "/pipelines/hub/events/",
    "/ingest-runs/",
    "/incidents/",
    "/post-mortems/",
    "/action-items/",
    "/action-items/?whose=team&status=unfinished",
    "/tables/warehouse/hub/incidents/",
    "/pipelines/hub/incidents/",
    "/owners/hub/incidents/",
    "/usage/",
    "/deletion/",
    "/deletion/reviews/",
    "/scorecards/",
    "/scorecards/findings/",
    "/pipelines/hub/scorecard/",
    "/barometer/",
    "/account/",
]


def grow(rows: int) -> None:
    """More of everything, all of it tied to what the pages above are about."""
    hub, _ = _hub()
    for number in range(rows):
        owner = make_owner(team=hub["owner"], status="left" if number % 2 else "active")
        table = make_table(source=make_source() if number % 3 == 0 else None, owner=owner)
        pipeline = make_pipeline(owner=hub["owner"])
        own(pipeline, owner, "business")
        own(hub["pipeline"], owner, "business")
        make_edge(pipeline, hub["table"], table)
        make_edge(pipeline, table, hub["table"])
        make_edge(hub["pipeline"], table, hub["table"])
        tag = Tag.objects.create(name=f"tag-{pipeline.pk}")
        for thing in (pipeline, table, hub["pipeline"], hub["table"]):
            thing.tags.add(tag, hub["tag"])
        make_column(table=hub["table"])
        make_schema_change(hub["table"])
        make_problem(hub["pipeline"], line=number)
        make_problem(pipeline)
        make_check(table)
        make_check(hub["table"])
        make_run(hub["pipeline"])
        make_run(pipeline)
        make_sql_version(pipeline)
        make_incident(hub, owner)
        make_changes(hub, table)
        IngestRun.objects.create(kind="repo", scope="shop", actor_name="ada")


def make_incident(hub: dict[str, Any], owner: Owner) -> None:
    """An incident that hit what the pages are about, with its report and an action item."""
    incident = Incident.objects.create(title="Wrong", started_at=timezone.now(), detected_at=timezone.now())
    for noun in ("table", "pipeline", "owner"):
        thing = hub[noun]
        incident.hits.create(kind=noun, node=f"{noun}:{thing.pk}", name=thing.name, **{noun: thing})
    incident.people.create(owner=owner, name=owner.name, role="lead")
    PostMortem.objects.create(incident=incident).causes.create(code="bug", is_root=True)
    facts = {"title": "Mend", "type": "prevent", "owner_name": "hub", "due": timezone.now().date()}
    ActionItem.objects.create(incident=incident, owner=hub["owner"], **facts)


def make_changes(hub: dict[str, Any], table: Table) -> None:
    """More changes upstream of what the pages are about, and a verdict that rests on another."""
    now = timezone.now()
    make_sql_version(hub["pipeline"], f"select {table.pk}", valid_from=now, valid_to=now + dt.timedelta(seconds=1))
    make_run(hub["pipeline"], rows_out=1000 ** (table.pk % 2 + 1), started_at=now)
    for noun, after in (("pipeline", {"technical_owners": ["ann"]}), ("table", {"description": "x"})):
        HistoryEntry.objects.create(noun=noun, object_id=hub[noun].pk, action="changed", actor_name="x", after=after)
    review = DeletionReview.objects.create(opened_by_name="x", evidence_until=now.date(), state="confirmed")
    review.tables.create(table=table, position=1, quarantine_name="q")
    review.events.create(at=now, actor_name="x", to_state="deleted", words="gone")
    facts = {"verdict": "in_use", "evidence": {"window": 90}, "digest": 1, "since": now, "changed_at": now}
    Verdict.objects.create(table=table, **facts)
    Verdict.objects.update_or_create(table=hub["table"], defaults=facts | {"because": table})


def make_check(table: Table) -> None:
    """A check that fails."""
    parameters = {"min": Check.objects.count() + 1}
    check = create_check(actor=None, of=table, kind="row_count", parameters=parameters, name=f"rows {parameters}")
    record_result(actor=None, check=check, at=timezone.now(), state="fail", value=0)


def _hub() -> tuple[dict[str, Any], bool]:
    owner, created = Owner.objects.get_or_create(slug="hub", defaults={"name": "Hub", "kind": "team"})
    pipeline = Pipeline.objects.filter(name="hub").first() or make_pipeline("hub", owner=owner)
    table = Table.objects.filter(name="hub").first() or make_table("hub", owner=owner)
    if created:
        times = {"as_of": timezone.now().date(), "started_at": timezone.now(), "ended_at": timezone.now()}
        VerdictRun.objects.create(**times, window_days=90, tables=1, written=1, counts={}, logs={})
        make_sql_version(pipeline, "select 1\n" * 30)
    tag, _ = Tag.objects.get_or_create(name="hub")
    return {"owner": owner, "pipeline": pipeline, "table": table, "tag": tag}, created


def cost(browser, path: str) -> list[str]:
    with CaptureQueriesContext(connection) as asked:
        assert browser.get(path).status_code == 200
    return [query["sql"] for query in asked.captured_queries]


def test_every_page_costs_the_same_for_ten_rows_and_twenty(signed_in) -> None:
    grow(10)
    browser = signed_in(make_user("viewer", owner=Owner.objects.get(slug="hub")))  # whose rights take most looking up
    few = {path: cost(browser, path) for path in PAGES}
    grow(10)
    many = {path: cost(browser, path) for path in PAGES}
    grown = {path: (len(few[path]), many[path]) for path in PAGES if len(many[path]) > len(few[path])}
    assert grown == {}
    assert {path: len(queries) for path, queries in many.items() if len(queries) > DEARER.get(path, MOST)} == {}
