"""The API against its own schema: generated requests, good and bad, must never break it or be answered otherwise."""

from __future__ import annotations

import pytest
import schemathesis
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi import checks as openapi

from catalog.models import User
from catalog.tokens import issue_token
from config.wsgi import application
from tests.factories import (
    make_column,
    make_edge,
    make_owner,
    make_pipeline,
    make_problem,
    make_run,
    make_sql_version,
    make_table,
)

LEFT_OUT = [
    openapi.positive_data_acceptance,  # a schema cannot say that a name must be of something registered
    openapi.negative_data_rejection,  # Django REST framework reads "3" as 3 and 3 as "3", on purpose
]


schema = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))
schema.app = application


@pytest.fixture
def secret(admin: User) -> str:
    """One thing of each noun, and a token of somebody who may do everything with it."""
    pipeline, table = make_pipeline("nightly", owner=make_owner(slug="finance")), make_table("shop.orders")
    make_edge(pipeline, target=table)
    make_column("id", table)
    make_run(pipeline)
    make_problem(pipeline)
    make_sql_version(pipeline)
    return issue_token(user=admin, name="fuzz", scope="write")[1]


@schema.parametrize()
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_operation_keeps_to_its_schema(case: schemathesis.Case, secret: str) -> None:
    headers = {"Authorization": f"Bearer {secret}", "Host": "localhost", "Accept-Encoding": "identity"}
    case.call_and_validate(headers=headers, excluded_checks=LEFT_OUT)
