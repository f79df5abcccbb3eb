"""A list costs the same number of SQL queries for 10 rows and for 50."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Tag
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
    own,
)

pytestmark = pytest.mark.django_db

MOST = {  # with 2 for the token and its person
    "sources": 2,
    "tags": 2,
    "owners": 2,
    "columns": 2,
    "schema-changes": 2,
    "runs": 2,
    "problems": 2,
    "ingest-runs": 3,  # those whose process is gone are looked for first
    "pipelines": 5,
    "tables": 7,
}


def make_one_of_each() -> None:
    """One row of every noun, tied to the others in every way that a list shows."""
    table = make_table(source=make_source(), owner=make_owner(team=make_owner()), role="business")
    table.tags.add(Tag.objects.create(name=f"tag-{table.pk}"))
    pipeline = make_pipeline(owner=make_owner())
    own(pipeline, make_owner(), "business")
    pipeline.tags.add(*table.tags.all())
    make_edge(pipeline, make_table(), table)
    make_column(table=table)
    make_schema_change(table)
    make_run(pipeline)
    make_problem(pipeline)
    IngestRun.objects.create(kind="repo", scope="shop", actor_name="pipekeeper")


def cost(program, path: str, rows: int) -> int:
    with CaptureQueriesContext(connection) as asked:
        response = program.get(path)
    assert len(response.json()["results"]) == rows
    assert not [query for query in asked.captured_queries if "COUNT(" in query["sql"].upper()]
    return len(asked)


@pytest.mark.parametrize("noun", MOST)
def test_ten_rows_and_fifty_cost_the_same(noun: str, viewer, with_token) -> None:
    for _ in range(51):
        make_one_of_each()
    program = with_token(viewer)
    program.get("/api/v1/tags/")  # the first use of a token is noted
    program.get(f"/api/v1/{noun}/")  # the first look at ingest runs takes down those whose process is gone
    few, many = cost(program, f"/api/v1/{noun}/?limit=10", 10), cost(program, f"/api/v1/{noun}/?limit=50", 50)
    assert few == many <= MOST[noun]


def test_sql_versions_cost_the_same_too(viewer, with_token) -> None:
    pipeline = make_pipeline()
    for _ in range(12):
        make_sql_version(pipeline, valid_to="2026-03-02T12:00:00Z")
    program, path = with_token(viewer), f"/api/v1/pipelines/{pipeline.pk}/sql-versions/"
    program.get("/api/v1/tags/")
    assert cost(program, f"{path}?limit=2", 2) == cost(program, f"{path}?limit=12", 12) <= 4
