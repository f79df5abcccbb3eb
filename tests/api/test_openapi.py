"""The OpenAPI schema: complete, without a warning, and true of what the API answers."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command

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
    make_sql_version,
    make_table,
    own,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def schema(viewer, with_token) -> dict[str, Any]:
    response = with_token(viewer).get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert response.status_code == 200
    return response.json()


def test_it_is_made_without_a_warning(tmp_path) -> None:
    call_command("spectacular", file=str(tmp_path / "schema.yaml"), validate=True, fail_on_warn=True)
    assert (tmp_path / "schema.yaml").stat().st_size > 10_000


def test_every_noun_can_be_listed_and_read(schema) -> None:
    nouns = [
        "sources",
        "tables",
        "columns",
        "pipelines",
        "owners",
        "tags",
        "schema-changes",
        "runs",
        "problems",
        "ingest-runs",
    ]
    for noun in nouns:
        listed, detail = schema["paths"][f"/api/v1/{noun}/"], schema["paths"][f"/api/v1/{noun}/{{id}}/"]
        may_write = noun not in ("problems", "ingest-runs", "schema-changes")
        assert ("post" in listed, "put" in detail, "patch" in detail) == (may_write,) * 3
        assert {"cursor", "limit", "q"} <= {parameter["name"] for parameter in listed["get"]["parameters"]}


def test_every_operation_says_how_one_signs_in_and_how_it_refuses(schema) -> None:
    operations = [each for methods in schema["paths"].values() for each in methods.values() if "responses" in each]
    assert len(operations) > 40
    for operation in operations:
        assert {"token": []} in operation["security"], operation["operationId"]
        error = operation["responses"]["403"]["content"]["application/json"]["schema"]
        assert error == {"$ref": "#/components/schemas/Error"}


def test_objects_have_exactly_the_fields_that_the_schema_names(schema, viewer, with_token) -> None:
    """Representations are written out by hand for speed; here they are held against the serializers."""
    table = make_table(owner=make_owner(team=make_owner()))
    pipeline = make_pipeline(stated_fields=["tier"], ingested={"tier": 1})
    own(pipeline, make_owner(), "business")
    make_edge(pipeline, make_table(), table)
    version = make_sql_version(pipeline)
    table.tags.add(Tag.objects.create(name="pii"))
    make_column(table=table)
    make_schema_change(table)
    make_run(pipeline)
    make_problem(pipeline)
    IngestRun.objects.create(kind="repo", scope="shop", actor_name="pipekeeper")
    program = with_token(viewer)
    objects = {
        "Source": "sources",
        "Table": "tables",
        "Column": "columns",
        "Pipeline": "pipelines",
        "Owner": "owners",
        "Tag": "tags",
        "SchemaChange": "schema-changes",
        "Run": "runs",
        "IngestRun": "ingest-runs",
        "Problem": "problems",
        "SqlVersionSummary": f"pipelines/{pipeline.pk}/sql-versions",
    }
    for component, path in objects.items():
        row = program.get(f"/api/v1/{path}/").json()["results"][0]
        assert list(row) == list(schema["components"]["schemas"][component]["properties"]), component
    detail = program.get(f"/api/v1/pipelines/{pipeline.pk}/sql-versions/{version.pk}/").json()
    assert list(detail) == list(schema["components"]["schemas"]["SqlVersion"]["properties"])


def test_the_page_to_try_it_out_is_served_from_here(viewer, signed_in, client, stranger) -> None:
    page = signed_in(viewer).get("/api/docs/")
    assert page.status_code == 200
    assert b"/static/drf_spectacular_sidecar/" in page.content
    assert b"https://" not in page.content
    assert client.get("/api/docs/").status_code == 302
    assert signed_in(stranger).get("/api/docs/").status_code == 403
