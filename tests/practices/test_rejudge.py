"""What changes is judged anew at once, where it touches few pipelines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audits.checks import services as checks
from audits.postmortems import services as incidents
from audits.practices import rejudge, services
from audits.practices.models import Finding
from catalog.models import Owner, Pipeline, Table
from catalog.services import change_owner, change_table
from catalog.touched import listens, told_together, touch
from tests.factories import NOON, make_edge, make_pipeline, make_table
from tests.ingest.folders import ingest, pipeline, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def stored(django_capture_on_commit_callbacks) -> Callable[..., Any]:
    """Does something, and then what follows once the database has it."""

    def do(work: Callable[..., Any], **facts: Any) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return work(**facts)

    return do


def outcome(of: Pipeline, practice: str) -> str:
    return Finding.objects.get(pipeline=of, practice=practice).outcome


def test_a_description_that_goes_is_noticed(judged, stored) -> None:
    assert outcome(judged, "documentation") == "pass"
    stored(change_table, actor=None, table=Table.objects.get(name="shop.daily"), description="")
    assert outcome(judged, "documentation") == "fail"


def test_an_owner_who_leaves_is_noticed(judged, stored) -> None:
    stored(change_owner, actor=None, owner=Owner.objects.get(slug="finance"), status="left")
    assert outcome(judged, "documentation") == "fail"


def test_the_first_results_of_checks_are_noticed(judged, stored) -> None:
    def measure() -> None:
        for name, kinds in {"shop.daily": ("row_count", "unique_key"), "shop.orders": ("row_count",)}.items():
            for kind in kinds:
                parameters = {"min": 1} if kind == "row_count" else {"columns": ["day"]}
                check = checks.create_check(
                    actor=None, of=Table.objects.get(name=name), kind=kind, parameters=parameters
                )
                checks.record_result(actor=None, check=check, at=NOON, state="pass")

    assert outcome(judged, "checked") == "fail"
    stored(measure)
    assert outcome(judged, "checked") == "pass"


def test_an_incident_is_noticed(judged, stored) -> None:
    def open_and_resolve() -> None:
        facts = {"title": "Days are twice", "things": [Table.objects.get(name="shop.daily")], "severity": 2}
        incident = incidents.open_incident(actor=None, started_at=NOON, detected_at=NOON, **facts)
        incidents.resolve(actor=None, incident=incident, at=NOON + dt.timedelta(hours=1))

    assert outcome(judged, "post_mortems") == "unknown"
    stored(open_and_resolve)
    assert outcome(judged, "post_mortems") == "fail"


def test_many_changes_are_judged_in_one_go_and_too_many_are_left_to_the_night(judged, stored, monkeypatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(rejudge, "judge_pipelines", lambda ids: told.append(len(ids)) or services.judge_pipelines(ids))
    table = Table.objects.get(name="shop.orders")

    def describe_often() -> None:
        with told_together():
            for words in ("", "Orders.", "All orders."):
                change_table(actor=None, table=table, description=words)

    stored(describe_often)
    assert told == [1]
    for _ in range(rejudge.MOST):
        make_edge(make_pipeline(), table, make_table())
    with CaptureQueriesContext(connection) as queries:
        stored(change_table, actor=None, table=table, description="")
    assert told == [1]
    assert len(queries) < 30


def test_before_the_first_judgement_nothing_is_judged(appending, stored) -> None:
    stored(change_table, actor=None, table=Table.objects.get(name="shop.daily"), description="")
    assert not Finding.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_is_taken_back_or_goes_wrong_harms_no_change(judged, monkeypatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr("catalog.touched._listeners", [])

    @listens
    def fail(touched: Any) -> None:
        told.append({model.__name__: set(ids) for model, ids in touched.items() if ids})
        raise RuntimeError("no")

    table = Table.objects.get(name="shop.daily")
    with transaction.atomic():
        touch(judged)
        transaction.set_rollback(True)
    assert told == []
    change_table(actor=None, table=table, description="New.")
    assert told[-1]["Table"] == {table.pk}
    table.refresh_from_db()
    assert table.description == "New."


def test_an_ingest_judges_what_it_changed(tmp_path: Path) -> None:
    files = {
        "sql/proj/shop/daily_v1/query.sql": "SELECT day FROM `proj.shop.orders`",
        "sql/proj/shop/daily_v1/metadata.yaml": "owners: [ann@example.com]\ndescription: Days.",
        "sql/proj/shop/other_v1/query.sql": "SELECT day FROM `proj.raw.other`",
    }
    ingest(write(tmp_path, files), "bigquery-etl")
    services.judge_all()
    Finding.objects.update(changed_at=NOON)
    checks_file = "#fail\n{{ min_row_count(1) }}\n#fail\n{{ is_unique('day') }}"
    write(
        tmp_path,
        {"sql/proj/shop/daily_v1/checks.sql": checks_file, "sql/proj/shop/daily_v1/query.sql": "SELECT 1 AS day"},
    )
    ingest(tmp_path, "bigquery-etl")
    daily, other = pipeline("proj.shop.daily_v1"), pipeline("proj.shop.other_v1")
    said = [words for words, *_ in daily.findings.get(practice="checked").evidence]
    assert "2 checks are stated for proj.shop.daily_v1, and none has reported a result." in said
    assert not other.findings.exclude(changed_at=NOON).exists()
