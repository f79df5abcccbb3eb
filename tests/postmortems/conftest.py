"""A small warehouse: orders feed revenue, which a dashboard shows; Jo of Growth keeps it, Ann asked for it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from audits.postmortems import services
from audits.postmortems.models import Incident
from catalog.models import Owner, Pipeline, Table, User
from tests.factories import make_edge, make_owner, make_pipeline, make_table, make_user


@dataclass(frozen=True)
class Shop:
    orders: Table
    revenue: Table
    board: Table
    pipeline: Pipeline
    jo: Owner
    ann: Owner
    team: Owner


@pytest.fixture
def shop(db: None) -> Shop:
    team = make_owner("Growth", kind="team", email="growth@shop.example", slug="growth")
    jo = make_owner("Jo", email="jo@shop.example", team=team, slug="jo")
    ann = make_owner("Ann", email="ann@shop.example", slug="ann")
    orders, revenue = make_table("shop.orders"), make_table("shop.revenue", owner=ann, role="business")
    board = make_table("boards.sales", kind=Table.Kind.DASHBOARD)
    pipeline = make_pipeline("shop.build_revenue", owner=jo)
    make_edge(pipeline, orders, revenue)
    make_edge(make_pipeline("shop.publish"), revenue, board)
    return Shop(orders, revenue, board, pipeline, jo, ann, team)


@pytest.fixture
def jo(shop: Shop) -> User:
    """A viewer who answers for the pipeline."""
    return make_user("viewer", owner=shop.jo, username="jo")


@pytest.fixture
def incident(shop: Shop, editor: User) -> Incident:
    return services.open_incident(actor=editor, title="Orders twice", things=[shop.orders], finding="Twice the rows.")
