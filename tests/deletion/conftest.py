"""A warehouse with a whole log, two tables that nobody needs, their owner, and a review of them."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from audits.deletion import services
from audits.deletion.models import DeletionReview
from catalog.models import Owner, Source, Table
from tests.deletion.helpers import build, cover, read
from tests.factories import make_owner, make_source, make_table


@pytest.fixture
def warehouse() -> Source:
    source = make_source("warehouse", dialect="duckdb")
    cover(source)
    read(make_table("read.daily", source=source), 1)
    return source


@pytest.fixture
def team() -> Owner:
    return make_owner("Growth", kind="team", email="growth@shop.example")


@pytest.fixture
def jo(team) -> Owner:
    return make_owner("Jo", email="jo@shop.example", team=team)


@pytest.fixture
def flagged(warehouse, jo) -> tuple[Table, Table]:
    """Two tables: the second is built from the first, and nobody reads it."""
    first, second = (make_table(f"shop.{name}", source=warehouse, row_count=10) for name in ("first", "second"))
    build(first, name="build_first", owner=jo)
    build(second, first, name="build_second", owner=jo)
    call_command("flag_unused")
    return first, second


@pytest.fixture
def review(flagged, editor) -> DeletionReview:
    return services.open_review(actor=editor, tables=[flagged[0]])
