"""Pages of runs and of the events that told of them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from catalog.models import Run
from ingest.models import LineageEvent
from ingest.openlineage.store import take
from tests.factories import make_edge, make_pipeline, make_run, make_table
from tests.openlineage.events import RECORDED

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


@pytest.fixture
def page(viewer, signed_in):
    """`page("/runs/")` is the text that the address shows."""
    browser = signed_in(viewer)

    def text(path: str) -> str:
        response = browser.get(path)
        assert response.status_code == 200
        return response.content.decode()

    return text


@pytest.fixture
def nightly():
    """A pipeline that should have run days ago, with one slow run among quick ones."""
    pipeline, now = make_pipeline("shop.nightly", schedule="0 3 * * *"), timezone.now()
    for days, minutes in [(9, 2), (8, 2), (7, 2), (6, 2), (5, 40)]:
        start = now - days * DAY
        make_run(
            pipeline, started_at=start, ended_at=start + dt.timedelta(minutes=minutes), rows_in=1234, rows_out=1200
        )
    return pipeline


def test_the_list_shows_rows_and_what_took_longer_than_usual(page, nightly) -> None:
    text = page("/runs/")
    assert "1,234" in text and "1,200" in text
    assert text.count("the usual") == 1


def test_a_pipeline_behind_its_schedule_is_said_to_be_so_everywhere(page, nightly) -> None:
    make_edge(nightly, target=make_table("shop.orders"))
    for path in ("/runs/late/", "/pipelines/shop.nightly/", "/tables/warehouse/shop.orders/"):
        assert "missing" in page(path), path


def test_the_table_page_shows_the_last_good_run(page, nightly) -> None:
    make_edge(nightly, target=make_table("shop.orders"))
    text = page("/tables/warehouse/shop.orders/")
    assert "wrote 1,200 rows" in text


def test_late_pipelines_over_rest(viewer, with_token, nightly) -> None:
    (late,) = with_token(viewer).get("/api/v1/runs/late/").json()["results"]
    assert (late["pipeline"], late["punctuality"]) == ("shop.nightly", "missing")


def test_events_and_their_run_lead_to_each_other(page) -> None:
    for number in range(5):
        take(RECORDED[f"airflow-00{number}"])
    dag_run = Run.objects.get(pipeline__name="orders_daily")
    text = page(f"/runs/{dag_run.pk}/")
    assert "orders_daily." in text and "extract" in text, "its parts"
    start = LineageEvent.objects.get(job__name="orders_daily.extract", event_type="START")
    task_run = Run.objects.get(pipeline__name="orders_daily.extract")
    assert f"/lineage-events/{start.pk}/" in page(f"/runs/{task_run.pk}/")
    assert f"/runs/{dag_run.pk}/" in page(f"/runs/{task_run.pk}/")
    assert "unknownSourceAttribute" in page(f"/lineage-events/{start.pk}/")
    events = page("/pipelines/orders_daily.extract/events/")
    assert "echo hi" in events, "the source code as it stands"
    assert page("/lineage-events/?pipeline=orders_daily.extract").count("/lineage-events/") > 2


def test_there_is_no_such_run_or_event(viewer, signed_in) -> None:
    browser = signed_in(viewer)
    assert browser.get("/runs/99/").status_code == browser.get("/lineage-events/99/").status_code == 404
