"""A pipeline as the rules like it: SQL that passes, owners, descriptions, and one flaw added by each test."""

from __future__ import annotations

import pytest

from audits.practices import services
from audits.practices.models import Finding
from catalog.models import Pipeline
from tests.factories import make_edge, make_owner, make_pipeline, make_sql_version, make_table, own

APPENDS = {
    "load_strategy": "append",
    "idempotent": False,
    "atomic": True,
    "backfill_safe": False,
    "reasons": [{"practice": "idempotent", "message": "rows are added", "statement": 0, "line": 2}],
}


@pytest.fixture
def team():
    return make_owner("Finance", kind="team", slug="finance")


@pytest.fixture
def appending(team) -> Pipeline:
    """An append of tier 1, described and owned, which writes shop.daily out of shop.orders."""
    pipeline = make_pipeline("shop.daily", owner=team, tier=1)
    own(pipeline, team, "business")
    source, target = make_table("shop.orders", description="Orders."), make_table("shop.daily", description="Days.")
    make_edge(pipeline, source, target)
    make_sql_version(pipeline, "-- daily\ninsert into shop.daily\nselect * from shop.orders", practices=APPENDS)
    return pipeline


@pytest.fixture
def judged(appending) -> Pipeline:
    services.judge_all()
    return appending


def standing(pipeline: Pipeline, practice: str) -> str:
    return Finding.objects.with_standing().get(pipeline=pipeline, practice=practice).standing
