"""The first page: the counts, what needs attention, and the next step when there is nothing."""

from __future__ import annotations

import datetime as dt

import pytest

from audits.checks.models import Check
from audits.postmortems.models import ActionItem, Incident
from ingest.models import IngestRun
from tests.factories import NOON, make_owner, make_pipeline, make_problem, make_run, make_sql_version, make_table, own
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db


def test_an_empty_catalog_says_the_next_step(viewer, signed_in) -> None:
    page = text_of(signed_in(viewer).get("/"))
    assert "Nothing is known yet" in page
    assert "manage.py ingest_repo" in page


def test_counts_and_coverage(viewer, signed_in) -> None:
    pipeline = make_pipeline()
    make_sql_version(pipeline, statements=200, statements_read=199, columns_named=50, columns_found=49)
    make_table()
    make_table(status="retired")
    page = text_of(signed_in(viewer).get("/"))
    assert "1 pipeline 1 table 0 columns" in page
    assert "99.5 % of 200 SQL statements read" in page
    assert "98.0 % of 50 named columns found" in page


def test_what_needs_attention(viewer, signed_in) -> None:
    left = make_owner("Bob", status="left")
    pipeline = make_pipeline(owner=left)
    own(pipeline, make_owner(), "business")
    make_pipeline(owner=make_owner())
    make_problem(pipeline)
    make_problem(pipeline, severity="warning", code="unknown_star")
    page = text_of(signed_in(viewer).get("/"))
    assert "1 pipeline without a business owner" in page
    assert "without a technical owner" not in page
    assert "1 thing held by Bob, who has left" in page
    assert "1 error: parse error" in page
    assert "1 warning" in page


def test_the_lack_links_to_exactly_those_pipelines(viewer, signed_in) -> None:
    make_pipeline("shop.owned", owner=make_owner())
    make_pipeline("shop.orphan")
    page = text_of(signed_in(viewer).get("/pipelines/?has_owner=false&role=technical"))
    assert "shop.orphan" in page
    assert "shop.owned" not in page


def test_latest_ingests(viewer, signed_in) -> None:
    make_pipeline()
    IngestRun.objects.create(kind="repo", scope="shop", state="failed", actor_name="ada", started_at=NOON)
    page = text_of(signed_in(viewer).get("/"))
    assert "shop ada" in page
    assert "failed" in page


def test_what_is_broken_now_stands_first(viewer, signed_in) -> None:
    table, twice = make_table("shop.orders"), make_pipeline("shop.orders")
    make_run(twice, state="failed")
    make_run(twice, state="succeeded", started_at=NOON + dt.timedelta(hours=1))  # it ran well since
    make_run(make_pipeline("shop.refunds"), state="failed")
    for number, state in enumerate(("fail", "fail", "pass")):
        Check.objects.create(name=f"check {number}", table=table, kind="duplicate_rows", state=state)
    incident = Incident.objects.create(title="Orders stand still", severity=1, started_at=NOON, detected_at=NOON)
    over = {"status": "resolved", "resolved_at": NOON, "started_at": NOON, "detected_at": NOON}
    Incident.objects.create(title="Long over", severity=2, **over)
    ActionItem.objects.create(incident=incident, title="Watch it", type="detect", due=NOON.date())
    page = text_of(signed_in(viewer).get("/"))
    assert "Not resolved yet All incidents Orders stand still" in page
    assert "Long over" not in page
    attention = page.partition("Needs attention ")[2]
    assert attention.startswith("1 pipeline failed on its last run 2 checks fail 1 action item is overdue 2 pipelines")
