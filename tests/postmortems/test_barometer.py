"""The barometer: figures by month, each the same as the list behind its point, of everything or of a part."""

from __future__ import annotations

import datetime as dt
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits.postmortems.barometer import Scope, Took, barometer
from audits.postmortems.filters import ActionItemFilter, IncidentFilter
from audits.postmortems.models import ActionItem, Cause, Hit, Incident, PostMortem
from catalog.models import Owner, Pipeline, Source, Table
from pages.charts import Series, Value, bars, lines
from tests.factories import make_edge, make_owner, make_pipeline, make_source, make_table

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def make_incident(day: dt.datetime, *things: object, root: str = "", hours: float = 1, **facts) -> Incident:
    facts = {"severity": 2, "detected_at": day + hours * HOUR, **facts}
    incident = Incident.objects.create(title="x", started_at=day, opened_by_name="x", **facts)
    for thing in things:
        noun = thing._meta.model_name
        node = f"owner:{thing.slug}" if isinstance(thing, Owner) else thing.node
        source = thing.source.slug if isinstance(thing, Table) else ""
        Hit.objects.create(incident=incident, kind=noun, node=node, name=thing.name, source=source, **{noun: thing})
    if root:
        Cause.objects.create(
            post_mortem=PostMortem.objects.create(incident=incident, author_name="x"), code=root, is_root=True
        )
    return incident


def make_item(
    incident: Incident, created: dt.datetime, due: dt.datetime, ended: dt.datetime | None = None
) -> ActionItem:
    return ActionItem.objects.create(
        incident=incident, title="x", type="prevent", owner_name="x", created_by_name="x", created_at=created,
        due=due.date(), ended_at=ended, status="done" if ended else "open",
    )  # fmt: skip


def at(month: int, day: int = 10) -> dt.datetime:
    return dt.datetime(2026, month, day, tzinfo=dt.UTC)


def test_incidents_by_severity_cause_and_recurrence() -> None:
    raw = make_table("raw")
    make_incident(at(4), raw, root="rerun", severity=1)
    make_incident(at(5, 31), raw, root="rerun")
    make_incident(at(5, 1), make_table("other"), root="bug")
    make_incident(at(1), raw, root="bug")
    april, may, june = barometer(Scope(), NOW, 3)
    assert (april.incidents, april.by_severity, april.by_cause, april.recurrences) == (1, {1: 1}, {"rerun": 1}, 0)
    assert (may.incidents, may.by_severity, may.by_cause, may.recurrences) == (2, {2: 2}, {"rerun": 1, "bug": 1}, 1)
    assert june.incidents == 0 and june.end == NOW


def test_times_are_medians_and_the_ninetieth_percentile_in_hours() -> None:
    for hours in range(1, 11):
        make_incident(at(5, hours), hours=hours)
    make_incident(at(6), acknowledged_at=at(6) + 3 * HOUR)
    may, june = barometer(Scope(), NOW, 2)
    assert may.took == {"detect": Took(5.5, 9, 10)}
    assert june.took["acknowledge"] == Took(2, 2, 1)


def test_action_items_as_they_stood_at_the_end_of_each_month() -> None:
    pipeline = make_pipeline()
    make_pipeline()
    Pipeline.objects.update(created_at=at(1))
    incident = make_incident(at(4), pipeline)
    make_item(incident, at(4, 20), due=at(5, 20), ended=at(6, 2))
    make_item(incident, at(5, 22), due=at(7))
    april, may, june = barometer(Scope(), NOW, 3)
    assert [month.open_items for month in (april, may, june)] == [1, 2, 1]
    assert [month.overdue_items for month in (april, may, june)] == [0, 1, 0]
    assert (april.item_age, may.item_age) == (11.0, 26.0)
    assert [month.debt_share for month in (april, may, june)] == [0.5, 0.5, 0.5]


def test_what_there_is_grows_and_edges_between_sources_end() -> None:
    here, there, lake = make_table("here"), make_table("there"), make_table("lake", source=make_source("lake"))
    make_edge(make_pipeline("inside"), here, there, valid_from=at(1))
    make_edge(make_pipeline("across"), lake, here, valid_from=at(5), valid_to=at(6))
    Table.objects.update(created_at=at(1))
    Table.objects.filter(pk=lake.pk).update(created_at=at(5))
    Pipeline.objects.update(created_at=at(5))
    april, may, june = barometer(Scope(), NOW, 3)
    assert [month.tables for month in (april, may, june)] == [2, 3, 3]
    assert [month.pipelines for month in (april, may, june)] == [0, 2, 2]
    assert [month.dependencies for month in (april, may, june)] == [0, 1, 0]


def test_of_a_team_a_source_or_a_pipeline_only_theirs_counts() -> None:
    team = make_owner("Growth", kind="team", slug="growth")
    jo = make_owner("Jo", team=team)
    lake = make_source("lake")
    table, pipeline = make_table("events", source=lake), make_pipeline("load", owner=jo)
    make_edge(pipeline, make_table(), table, valid_from=at(1))
    Pipeline.objects.update(created_at=at(1))
    make_incident(at(6), table)
    make_incident(at(6), pipeline)
    make_incident(at(6), jo)
    make_incident(at(6))
    scopes = (Scope(), Scope(team="growth"), Scope(source="lake"), Scope(pipeline="load"))
    now = [barometer(scope, NOW, 1)[0] for scope in scopes]
    assert [month.incidents for month in now] == [4, 1, 1, 1]
    assert [month.pipelines for month in now] == [1, 1, 1, 1]
    assert [month.dependencies for month in now] == [1, 1, 1, 1]
    assert barometer(Scope(team="nobody"), NOW, 1)[0].pipelines == 0


def test_each_point_leads_to_the_list_that_it_counts(viewer, signed_in) -> None:
    now = dt.datetime.now(dt.UTC)
    raw = make_table("raw")
    before = make_incident(now - 40 * DAY, raw, root="bug", severity=1)
    make_incident(now - DAY, raw, root="bug")
    make_item(before, now - 39 * DAY, due=now - 3 * DAY)
    charts = [chart for _, group in signed_in(viewer).get("/barometer/").context["groups"] for chart in group]
    counted = 0
    for chart in charts:
        for value in (value for each in chart.series for value in each.values if value.number):
            address = urlsplit(value.url)
            asked = dict(parse_qsl(address.query))
            if chart.title in ("Incidents by severity", "Root causes", "Recurrences of a root cause"):
                assert IncidentFilter(asked, Incident.objects.all()).qs.count() == value.number, value.title
            elif chart.title.startswith("Action items"):
                assert ActionItemFilter(asked, ActionItem.objects.all()).qs.count() == value.number, value.title
            else:
                continue
            assert signed_in(viewer).get(value.url).status_code == 200
            counted += 1
    assert counted >= 7


def test_page_and_rest(viewer, signed_in, with_token) -> None:
    make_incident(dt.datetime.now(dt.UTC) - DAY, severity=1)
    make_owner("Growth", kind="team", slug="growth")
    make_owner("Jo", slug="jo")
    page = signed_in(viewer).get("/barometer/")
    assert b"critical incidents" in page.content and b"style=" not in page.content
    assert signed_in(viewer).get("/barometer/?team=nobody").status_code == 404
    program = with_token(viewer)
    months = program.get("/api/v1/barometer/?team=growth&months=3").json()["months"]
    assert (len(months), months[-1]["incidents"]) == (3, 0)
    assert sum(month["incidents"] for month in program.get("/api/v1/barometer/").json()["months"]) == 1
    for wrong in ("team=jo", "months=0", "source=x", "person=jo"):
        assert program.get(f"/api/v1/barometer/?{wrong}").status_code == 400, wrong


def test_it_costs_the_same_for_few_incidents_and_many() -> None:
    table, costs = make_table(), []
    for number in (2, 12):
        for _ in range(number):
            make_item(make_incident(at(6, 1), table, root="bug"), at(6, 2), due=at(6, 3))
        with CaptureQueriesContext(connection) as asked:
            barometer(Scope(), NOW)
        costs.append(len(asked))
    assert costs[0] == costs[1] <= 11
    assert Source.objects.count() == 1


def test_bars_stand_on_each_other_and_lines_break_where_there_is_nothing() -> None:
    def series(*numbers: float | None) -> Series:
        return Series("a", "one", [Value(number, "/", "") for number in numbers])

    stacked = bars("t", ["Jan", "Feb"], [series(1, 0), series(1, 2)])
    low, high, alone = stacked.bars
    assert low.x == high.x and round(high.y + high.height, 1) == low.y and alone.height == low.height * 2
    broken = lines("t", ["1", "2", "3", "4", "5"], [series(1, 2, None, 4, None)])
    assert (len(broken.strokes), len(broken.dots)) == (1, 3)
    assert bars("t", ["Jan"], [series(0)]).is_empty
