"""Judging out of rows, what is written and what is not, waivers, and scores from day to day."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audits.checks import services as check_services
from audits.checks.models import Check, State
from audits.deletion.models import Verdict
from audits.postmortems.models import ActionItem, Hit, Incident, PostMortem
from audits.practices import queries, scores, services
from audits.practices.gather import gather, rhythm
from audits.practices.models import Finding, Score, Waiver, today
from audits.practices.rules import RULES
from catalog.models import Pipeline, Table
from catalog.services import change_pipeline
from ingest.openlineage.store import take
from tests.factories import NOON, make_edge, make_owner, make_pipeline, make_run, make_sql_version, make_table, own
from tests.openlineage.events import RECORDED, recorded
from tests.practices.conftest import standing

pytestmark = pytest.mark.django_db
WEEK = dt.timedelta(days=7)


def finding(pipeline: Pipeline, practice: str) -> Finding:
    return Finding.objects.get(pipeline=pipeline, practice=practice)


def waive(pipeline: Pipeline, practice: str = "idempotent", **facts) -> Waiver:
    facts = {"reason": "It is going.", "owner": make_owner(), "until": today() + WEEK, **facts}
    return services.waive(actor=None, pipeline=pipeline, practice=practice, **facts)


# Facts and findings


def test_every_pipeline_is_judged_by_every_practice(appending) -> None:
    make_pipeline(status="retired")
    assert services.judge_all() == services.Judged(pipelines=1, written=7)
    assert {each.practice for each in Finding.objects.all()} == set(RULES)


def test_a_finding_names_the_line_of_the_sql_version_that_it_read(judged) -> None:
    found = finding(judged, "idempotent")
    assert (found.outcome, found.evidence) == ("fail", [["Rows are added.", 2]])
    assert found.sql_version == judged.sql_versions.get()
    assert finding(judged, "documentation").sql_version is None


def test_facts_of_tables_runs_and_owners_come_out_of_rows(appending) -> None:
    now = timezone.now()
    for ago in range(1, 8):
        at = now - dt.timedelta(days=ago)
        ended = at + dt.timedelta(minutes=ago)
        make_run(appending, started_at=at, ended_at=ended, nominal_at=at, rows_out=10 * ago)
    make_run(appending, started_at=now, ended_at=now + dt.timedelta(hours=9), state="failed")
    Table.objects.filter(name="shop.orders").update(retention_days=90, row_count=500)
    Verdict.objects.create(
        table=Table.objects.get(name="shop.daily"), verdict="unread", evidence={}, digest=1, since=NOON, changed_at=NOON
    )
    facts = gather([appending.pk])[appending.pk]
    assert facts.runs.number == 7
    assert facts.runs.longest == dt.timedelta(minutes=7)
    assert (facts.runs.rows, facts.runs.every) == (40.0, dt.timedelta(days=1))
    assert [(table.name, table.keeps, table.rows) for table in facts.inputs] == [("shop.orders", 90, 500)]
    assert [(table.name, table.verdict) for table in facts.outputs] == [("shop.daily", "unread")]
    assert [person.name for person in (*facts.business, *facts.technical)] == ["Finance", "Finance"]


def test_catchup_of_a_dag_holds_for_its_tasks_unless_they_say_otherwise() -> None:
    """As Airflow reports them: the DAG and each task are pipelines, and catchup itself is stated by a person."""
    for name in ("airflow-002", "airflow-004"):
        take(RECORDED[name])
    dag, task = (Pipeline.objects.get(name=name) for name in ("orders_daily", "orders_daily.load"))
    assert gather([task.pk])[task.pk].catchup is None
    change_pipeline(actor=None, pipeline=dag, catchup=True)
    assert gather([task.pk])[task.pk].catchup is True
    services.judge_pipelines([task.pk])
    assert finding(task, "backfill").outcome == "pass"
    change_pipeline(actor=None, pipeline=task, catchup=False)
    take(recorded("airflow-003") | {"eventTime": "2026-11-24T00:00:00Z"})  # which says nothing of it
    assert gather()[task.pk].catchup is False


@pytest.mark.parametrize(
    ("schedule", "shortest", "usual"),
    [("10 3 * * *", 24.0, 24.0), ("@hourly", 1.0, 1.0), ("0 6-8 * * *", 1.0, 8.0), ("0 4 * * 1-5", 24.0, 33.6)],
)
def test_a_schedule_has_a_shortest_and_a_usual_gap(schedule: str, shortest: float, usual: float) -> None:
    hours = [gap / dt.timedelta(hours=1) for gap in rhythm(schedule)]
    assert hours == [shortest, pytest.approx(usual, rel=0.02)]


@pytest.mark.parametrize("schedule", ["", "continuous", "0 0 31 2 *"])
def test_what_is_no_schedule_has_none(schedule: str) -> None:
    assert rhythm(schedule) is None


def test_a_person_of_a_role_stands_before_whom_an_ingest_read(appending) -> None:
    own(appending, make_owner("Read", status="left"), "business", origin="ingest")
    assert [person.name for person in gather()[appending.pk].business] == ["Finance"]


def test_only_checks_that_were_measured_count(appending) -> None:
    daily = Table.objects.get(name="shop.daily")
    for kind, state, is_active in (
        ("unique_key", State.FAIL, True),
        ("row_count", State.UNKNOWN, True),
        ("freshness", State.ERROR, True),
        ("not_null", State.PASS, False),
    ):
        Check.objects.create(table=daily, kind=kind, name=kind, state=state, is_active=is_active)
    Check.objects.create(pipeline=appending, kind="in_out_ratio", name="ratio", state=State.PASS)
    facts = gather([appending.pk])[appending.pk]
    assert (facts.outputs[0].checks, facts.outputs[0].is_failing) == ({"unique_key"}, True)
    assert (facts.checks, facts.is_failing) == ({"in_out_ratio"}, False)


def test_what_another_tool_is_said_to_check_counts_from_its_first_result_on(appending) -> None:
    daily, orders = (Table.objects.get(name=f"shop.{name}") for name in ("daily", "orders"))
    check_services.state_checks(
        [
            Check(table=table, kind=kind, name=kind, parameters=parameters, stated_in="checks.sql")
            for table in (daily, orders)
            for kind, parameters in (("row_count", {"min": 1}), ("unique_key", {"columns": ["day"]}))
        ],
        files=["checks.sql"],
    )
    services.judge_all()
    assert gather()[appending.pk].outputs[0].unheard == ("row_count", "unique_key")
    assert finding(appending, "checked").outcome == "unknown"
    for check in Check.objects.filter(origin="repository"):
        check_services.record_result(actor=None, check=check, at=NOON, value=0 if check.kind == "unique_key" else 9)
    services.judge_pipelines([appending.pk])
    assert (finding(appending, "checked").outcome, gather()[appending.pk].outputs[0].unheard) == ("pass", ())


def test_incidents_count_where_they_began(appending) -> None:
    long_ago = timezone.now() - dt.timedelta(days=30)
    facts = {"started_at": long_ago, "detected_at": long_ago, "opened_by_name": "ada"}
    began = Incident.objects.create(title="Doubled", status="resolved", resolved_at=long_ago, **facts)
    passed_on = Incident.objects.create(title="Elsewhere", **facts)
    daily = Table.objects.get(name="shop.daily")
    for incident, distance in ((began, 0), (passed_on, 2)):
        Hit.objects.create(incident=incident, kind="table", node=daily.node, table=daily, distance=distance)
    services.judge_all()
    assert finding(appending, "post_mortems").outcome == "fail"
    PostMortem.objects.create(incident=began, state="published", author_name="ada")
    services.judge_pipelines([appending.pk])
    assert finding(appending, "post_mortems").outcome == "pass"
    late = {"title": "Add a check", "type": "detect", "owner_name": "Finance", "created_by_name": "ada"}
    ActionItem.objects.create(incident=began, due=today() - WEEK, **late)
    services.judge_pipelines([appending.pk])
    assert finding(appending, "post_mortems").remedies == [["Do “Add a check”, or drop it with a reason.", ""]]


def test_judging_again_writes_nothing(judged) -> None:
    before = list(Finding.objects.order_by("pk").values())
    assert services.judge_all().written == 0
    assert list(Finding.objects.order_by("pk").values()) == before


def test_only_what_changed_is_written_and_since_tells_the_outcome(judged) -> None:
    Finding.objects.update(since=NOON, changed_at=NOON)
    Table.objects.filter(name="shop.orders").update(description="")
    Table.objects.filter(name="shop.daily").update(name="shop.days")
    services.judge_all()
    changed = set(Finding.objects.filter(changed_at__gt=NOON).values_list("practice", flat=True))
    assert changed == {"documentation", "checked", "unused_outputs"}  # the last two name the table
    assert finding(judged, "documentation").since > NOON
    assert finding(judged, "checked").since == NOON  # other words, the same outcome


def test_findings_of_a_pipeline_that_retires_go(judged) -> None:
    Pipeline.objects.update(status="retired")
    assert services.judge_all() == services.Judged(pipelines=0, written=7)
    assert not Finding.objects.exists()


def test_one_pipeline_is_judged_without_the_others(judged) -> None:
    other = make_pipeline()
    services.judge_all()
    Table.objects.update(description="")
    Pipeline.objects.update(tier=2)
    services.judge_pipelines([judged.pk])
    assert finding(judged, "documentation").outcome == "fail"
    assert set(Finding.objects.filter(pipeline=other).values_list("weight", flat=True)) == {2}


def test_the_number_of_queries_does_not_grow(judged) -> None:
    with CaptureQueriesContext(connection) as few:
        services.judge_pipelines([judged.pk])
    for _ in range(20):
        pipeline = make_pipeline(tier=3)
        make_edge(pipeline, make_table(), make_table())
        make_sql_version(pipeline)
    with CaptureQueriesContext(connection) as many:
        services.judge_all()
    with CaptureQueriesContext(connection) as one_of_many:
        services.judge_pipelines([judged.pk])
    assert len(one_of_many) == len(few) <= 20
    assert len(many) <= 26  # more for the scores of teams, sources and the company, and the writes


# Waivers


def test_a_waiver_covers_a_failure_until_its_day(judged) -> None:
    waive(judged, until=today())
    assert standing(judged, "idempotent") == "waived"
    Finding.objects.update(waived_until=today() - dt.timedelta(days=1))
    assert standing(judged, "idempotent") == "fail"


def test_a_waiver_that_is_over_counts_no_more(judged) -> None:
    waive(judged)
    Waiver.objects.update(until=today() - dt.timedelta(days=1))
    services.judge_all()
    assert finding(judged, "idempotent").waived_until is None


def test_a_waiver_covers_no_pass_and_nothing_unknown(judged) -> None:
    waive(judged, "documentation")
    waive(judged, "unused_outputs")
    assert standing(judged, "documentation") == "pass"
    assert standing(judged, "unused_outputs") == "unknown"


def test_a_waiver_that_is_lifted_counts_no_more(judged) -> None:
    services.lift(actor=None, waiver=waive(judged))
    assert standing(judged, "idempotent") == "fail"
    with pytest.raises(ValidationError, match="over already"):
        services.lift(actor=None, waiver=Waiver.objects.get())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"practice": "tidiness"}, "Not one of: full_refresh"),
        ({"until": dt.date(2020, 1, 1)}, "today or later"),
        ({"until": dt.date(2999, 1, 1)}, "within a year"),
        ({"reason": "  "}, "cannot be blank"),
    ],
)
def test_a_waiver_needs_a_practice_a_reason_and_an_end(judged, wrong: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        waive(judged, **wrong)
    assert not Waiver.objects.exists()


def test_nobody_who_has_left_answers_for_a_waiver(judged) -> None:
    with pytest.raises(ValidationError, match="has left"):
        waive(judged, owner=make_owner("Ben", status="left"))


def test_strangers_waive_nothing_and_owners_do(judged, team, viewer) -> None:
    facts = {"pipeline": judged, "practice": "idempotent", "reason": "Going.", "owner": team, "until": today() + WEEK}
    with pytest.raises(PermissionDenied):
        services.waive(actor=viewer, **facts)
    viewer.owner = make_owner(team=team)
    assert services.waive(actor=viewer, **facts).stated_by == viewer


# Scores


def test_the_score_is_what_passes_of_what_passes_or_fails_by_weight(judged) -> None:
    card = queries.scorecard(judged)
    # documented passes; full refresh, idempotent, backfill and checks fail; use and incidents are not known: weight 4
    assert card.tally == scores.Tally(passed=4, failed=16, waived=0, unknown=8)
    assert (card.tally.score, card.tally.known) == (0.2, 5 / 7)
    waive(judged)
    assert queries.scorecard(judged).tally == scores.Tally(passed=4, failed=12, waived=4, unknown=8)


def test_the_company_weighs_by_tier(judged) -> None:
    make_pipeline(tier=4)  # fails for its owners at weight 1, and needs no checks
    services.judge_all()
    assert queries.scorecard().tally == scores.Tally(passed=5, failed=17, waived=0, unknown=13)


def test_a_team_answers_for_what_its_members_keep_running(judged, team) -> None:
    member = make_owner(team=team)
    make_pipeline(owner=member, tier=4)
    own(make_pipeline(tier=4), team, "business")  # asked for it, does not run it
    services.judge_all()
    assert len({each.pipeline_id for each in queries.findings_in(team)}) == 2
    assert queries.teams() == [(team, 2)]


def test_a_source_has_the_pipelines_that_write_to_it(judged) -> None:
    target = Table.objects.get(name="shop.daily")
    make_pipeline()
    services.judge_all()
    assert {each.pipeline for each in queries.findings_in(target.source)} == {judged}
    assert queries.sources() == [(target.source, 1)]


def test_scores_are_kept_when_they_change(judged, team) -> None:
    assert {(each.scope, each.key) for each in Score.objects.all()} == {
        ("company", 0),
        ("pipeline", judged.pk),
        ("team", team.pk),
        ("source", Table.objects.first().source_id),
    }
    Score.objects.update(day=today() - WEEK)
    services.judge_all()
    assert Score.objects.count() == 4  # nothing changed: the line goes on
    waive(judged)
    services.judge_all()
    services.judge_all()
    assert Score.objects.filter(day=today()).count() == 4
    assert [point.score for point in queries.scorecard().trend] == [0.2, 0.25]


def test_a_trend_begins_with_what_held_half_a_year_ago(db) -> None:
    for ago, score in ((400, 0.1), (300, 0.2), (20, 0.6)):
        Score.objects.create(scope="company", day=today() - dt.timedelta(days=ago), score=score, known=1)
    points = queries.trend("company", 0, 0.7)
    assert [((today() - point.day).days, point.score) for point in points] == [(180, 0.2), (20, 0.6), (0, 0.7)]


# What to do next


def test_one_step_that_mends_several_findings_comes_first(judged) -> None:
    steps = queries.scorecard(judged).steps
    assert (steps[0].mends, round(steps[0].gain, 6)) == (3, 0.6)  # idempotent, backfill and full refresh by one change
    assert steps[0].node == judged.node


def test_what_many_pipelines_lack_alike_is_one_step(judged) -> None:
    for _ in range(30):
        make_pipeline(tier=4)
    services.judge_all()
    step = next(each for each in queries.scorecard().steps if each.words == "Name its business owner.")
    assert (step.node, step.spread, step.helps, len(step.pipelines)) == ("", 30, 30, 20)


def test_a_table_that_lacks_its_description_everywhere_is_one_step(judged) -> None:
    orders = Table.objects.get(name="shop.orders")
    Table.objects.filter(pk=orders.pk).update(description="")
    for _ in range(3):
        pipeline = make_pipeline(owner=make_owner(), tier=1)
        own(pipeline, make_owner(), "business")
        make_edge(pipeline, orders, Table.objects.get(name="shop.daily"))
    services.judge_all()
    step = next(each for each in queries.scorecard().steps if each.node == orders.node)
    assert (step.words, step.mends, len(step.pipelines)) == ("Describe shop.orders.", 4, 4)
