"""The API against its own schema: generated requests, good and bad, must never break it or be answered otherwise."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi import checks as openapi

from audits.postmortems.actions import create_item
from audits.postmortems.reports import start_post_mortem
from audits.postmortems.services import open_incident
from catalog.models import User
from catalog.outbox import register_webhook
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
schema.config.phases.coverage.enabled = False  # boundary by boundary it takes four minutes of processor


@pytest.fixture
def _one_connection() -> Iterator[None]:
    """Keep the test's transaction open between requests, as Django's own test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def secret(admin: User, _one_connection: None) -> str:
    """One thing of each noun, and a token of somebody who may do everything with it."""
    pipeline, table = make_pipeline("nightly", owner=make_owner(slug="finance")), make_table("shop.orders")
    make_edge(pipeline, target=table)
    make_column("id", table)
    make_run(pipeline)
    make_problem(pipeline)
    make_sql_version(pipeline)
    incident = open_incident(actor=admin, title="Orders twice", things=[table])
    start_post_mortem(actor=admin, incident=incident)
    next_week = timezone.now().date() + dt.timedelta(days=7)
    facts = {"title": "Mend it", "type": "prevent", "owner": pipeline.ownerships.get().owner, "due": next_week}
    create_item(actor=admin, incident=incident, **facts)
    register_webhook(actor=admin, name="chat", url="https://chat.example/hook")
    return issue_token(user=admin, name="fuzz", scope="write")[1]


@schema.parametrize()
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_keeps_to_its_schema(case: schemathesis.Case, secret: str) -> None:
    headers = {"Authorization": f"Bearer {secret}", "Host": "localhost", "Accept-Encoding": "identity"}
    case.call_and_validate(headers=headers, excluded_checks=LEFT_OUT)
