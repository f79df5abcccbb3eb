"""What is stale or wrong, until it is built again in order or somebody says that it is right."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import HistoryEntry, Pipeline, Run, Table
from lineage.mishaps import declare_mishap, end_mishap, end_those_right_again
from lineage.models import Mishap
from lineage.planned import PlannedChange
from lineage.standing import standing
from tests.factories import make_edge, make_pipeline, make_run, make_sql_version, make_table

pytestmark = pytest.mark.django_db

NOW = timezone.now()
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def line() -> dict[str, Table]:
    """raw -> core -> mart -> view -> board; each but the view and the board built by a pipeline with runs."""
    names = ("raw", "core", "mart", "view", "board")
    kinds = {"view": "view", "board": "dashboard"}
    line = {name: make_table(name, kind=kinds.get(name, "table")) for name in names}
    for source, target in zip(names, names[1:], strict=False):
        pipeline = make_pipeline(f"build_{target}")
        make_edge(pipeline, line[source], line[target])
        make_run(pipeline, started_at=NOW - 30 * HOUR)
    make_edge(make_pipeline("load"), None, line["raw"])
    make_run(_pipeline("load"), started_at=NOW - 30 * HOUR)
    return line


def _pipeline(name: str) -> Pipeline:
    return Pipeline.objects.get(name=name)


def ran(name: str, hours: float, state: str = "succeeded", **facts) -> Run:
    """A run that began so many hours from now on, and took a quarter of one."""
    start = NOW + hours * HOUR
    return make_run(_pipeline(name), state=state, started_at=start, ended_at=start + HOUR / 4, **facts)


def declare(change: str, actor=None) -> Mishap:
    return declare_mishap(actor=actor, change=PlannedChange.parse(change))


def bad() -> dict[str, str]:
    now = standing()
    return {table.name: now.tables[table.pk].word for table in Table.objects.filter(pk__in=now.tables)}


def test_nothing_is_stale_where_nothing_happened_and_asking_costs_one_query(line) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert bad() == {}
    assert len(asked) == 1


def test_a_declared_mishap_goes_down_the_line_until_each_is_built_again_in_order(line) -> None:
    declare("not_refreshed table:warehouse:core")
    assert bad() == dict.fromkeys(("core", "mart", "view", "board"), "stale")
    ran("build_mart", 1)  # of a source that is still stale
    assert set(bad()) == {"core", "mart", "view", "board"}
    ran("build_core", 2)
    assert set(bad()) == {"mart", "view", "board"}
    ran("build_mart", 2.1)  # began before its source was done
    assert set(bad()) == {"mart", "view", "board"}
    ran("build_mart", 3)
    ran("build_core", 4)  # later runs of the source take nothing back
    assert bad() == {}
    end_those_right_again()
    assert Mishap.objects.get().ended_at is not None and Mishap.objects.get().ended_by == ""


def test_a_person_ends_it_and_both_stand_in_the_history(line, editor) -> None:
    mishap = declare("wrong_rows table:warehouse:raw", editor)
    assert set(bad()) == set(line) and bad()["board"] == "wrong"
    end_mishap(actor=editor, mishap=mishap)
    assert bad() == {}
    entries = HistoryEntry.objects.filter(noun="table", object_id=line["raw"].pk).order_by("pk")
    assert [(entry.action, entry.actor_name) for entry in entries] == [("declared", "edith"), ("ended", "edith")]


def test_wrong_rows_of_days_are_right_when_every_day_was_run_again(line) -> None:
    declare("wrong_rows table:warehouse:mart 2026-03-01..2026-03-02")
    first, second = (dt.datetime(2026, 3, day, tzinfo=dt.UTC) for day in (1, 2))
    ran("build_mart", 1, nominal_at=first)
    ran("build_mart", 2)
    assert set(bad()) == {"mart", "view", "board"}
    ran("build_mart", 3, nominal_at=second)
    assert bad() == {}


def test_wrong_rows_of_what_is_built_whole_are_right_after_one_run(line) -> None:
    make_sql_version(_pipeline("build_mart"), practices={"load_strategy": "full_refresh"})
    declare("wrong_rows table:warehouse:mart")
    ran("build_mart", 1)
    assert bad() == {}


def test_wrong_rows_of_no_stated_day_are_never_taken_for_right(line) -> None:
    declare("wrong_rows table:warehouse:mart")
    ran("build_mart", 1)
    assert set(bad()) == {"mart", "view", "board"}


def test_a_run_that_failed_makes_stale_by_itself_until_it_succeeds(line) -> None:
    failed = ran("build_core", -2, "failed")
    assert set(bad()) == {"core", "mart", "view", "board"}
    badge = standing().of(line["board"])
    assert (badge.words, badge.since) == ("a run of build_core failed", failed.started_at)
    assert standing().of(_pipeline("build_core")) and standing().of(_pipeline("build_mart"))
    ran("build_core", -1)
    assert set(bad()) == {"mart", "view", "board"}
    ran("build_mart", -0.5)
    assert bad() == {} and standing().pipelines == {}


def test_failures_of_long_ago_and_of_retired_pipelines_do_not_count(line) -> None:
    ran("build_core", -24 * 8, "failed")
    ran("load", -1, "failed")
    pipeline = _pipeline("load")
    pipeline.status = "retired"
    pipeline.save()
    assert bad() == {}


def test_who_has_no_run_on_record_follows_what_it_is_made_of(line) -> None:
    Run.objects.filter(pipeline__name="build_mart").delete()
    ran("build_core", -2, "failed")
    assert "mart" in bad()
    ran("build_core", -1)
    assert bad() == {}


def test_an_export_is_stale_while_what_it_sends_is(line) -> None:
    export = make_pipeline("export")
    make_edge(export, line["mart"])
    declare("run_failed pipeline:build_core")
    assert standing().of(export).word == "stale"
    ran("build_core", 1)
    ran("build_mart", 2)
    assert standing().of(export) is None


def test_circles_come_right_too(line) -> None:
    make_edge(make_pipeline("back"), line["mart"], line["core"])
    make_run(_pipeline("back"), started_at=NOW - 30 * HOUR)
    declare("not_refreshed table:warehouse:raw")
    for hours, name in enumerate(("load", "build_core", "build_mart", "back"), 1):
        ran(name, hours)
    assert bad() == {}


def test_the_same_twice_is_one_and_plans_are_no_mishaps(line, viewer) -> None:
    assert declare("run_failed pipeline:load") == declare("run_failed pipeline:load")
    with pytest.raises(ValidationError, match="Only what happened can be declared"):
        declare("drop_table table:warehouse:raw")
    with pytest.raises(PermissionDenied):
        declare("run_failed pipeline:build_core", viewer)


def test_it_costs_the_same_for_few_things_and_many(line) -> None:
    costs = []
    for number in (2, 12):
        for _ in range(number):
            name = f"more{Table.objects.count()}"
            make_edge(make_pipeline(name), line["core"], make_table(name))
        ran("build_core", -2, "failed")
        with CaptureQueriesContext(connection) as asked:
            standing()
        costs.append(len(asked))
    assert costs[0] == costs[1]
