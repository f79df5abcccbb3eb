"""GET /api/v1/graph/: the lineage page's walk for programs."""

from __future__ import annotations

import datetime as dt

import pytest

from lineage.queries import lineage_of
from tests.factories import NOON, make_column, make_edge, make_pipeline, make_table
from tests.lineage.test_queries import make_column_edge

pytestmark = pytest.mark.django_db


@pytest.fixture
def program(viewer, with_token):
    return with_token(viewer)


@pytest.fixture
def orders():
    """raw -> (build) -> orders, with a column each."""
    raw, orders, build = make_table("raw"), make_table("orders"), make_pipeline("build")
    make_edge(build, raw, orders)
    make_column_edge(build, make_column("id", table=raw), make_column("order_id", table=orders))
    return orders


def ask(program, **parameters):
    return program.get("/api/v1/graph/", parameters)


def fault(response, status):
    assert response.status_code == status, response.content
    return response.json()["error"]


def test_it_answers_what_the_page_draws(program, orders):
    answer = ask(program, node=orders.node).json()
    lineage = lineage_of(orders)
    assert [node["id"] for node in answer["nodes"]] == [node.id for node in lineage.nodes]
    assert answer["edges"] == [
        {"source": "pipeline:build", "target": "table:warehouse:orders", "via": "build", "kind": "writes"},
        {"source": "table:warehouse:raw", "target": "pipeline:build", "via": "build", "kind": "reads"},
    ]
    assert {name: answer[name] for name in ("node", "direction", "depth", "grain", "at", "capped")} == {
        "node": "table:warehouse:orders",
        "direction": "both",
        "depth": 1,
        "grain": "table",
        "at": None,
        "capped": False,
    }
    assert (answer["drawn"], answer["reached"]) == (2, 2)


def test_a_page_is_named_for_people(program, orders):
    node = ask(program, node=orders.node).json()["nodes"][-1]
    assert node["page"] == "http://testserver/tables/warehouse/orders/"


def test_a_column_is_walked_at_column_grain(program, orders):
    answer = ask(program, node="column:warehouse:orders:order_id").json()
    assert answer["grain"] == "column"
    assert [edge["source"] for edge in answer["edges"]] == ["column:warehouse:raw:id"]


def test_a_table_and_a_pipeline_at_column_grain(program, orders):
    for node in (orders.node, "pipeline:build"):
        assert ask(program, node=node, grain="column").json()["edges"][0]["kind"] == "IDENTITY"


def test_direction_and_depth(program, orders):
    make_edge(make_pipeline(), orders, make_table("report"))
    make_edge(make_pipeline(), make_table("app"), orders.edges_in.get().source_table)
    labels = {node["label"] for node in ask(program, node=orders.node, direction="upstream", depth=2).json()["nodes"]}
    assert {"raw", "app"} <= labels
    assert "report" not in labels


def test_as_of_a_date(program, orders):
    orders.edges_in.update(valid_to=NOON + dt.timedelta(days=1))
    assert ask(program, node=orders.node).json()["edges"] == []
    answer = ask(program, node=orders.node, at="2026-03-02T13:00:00Z").json()
    assert len(answer["edges"]) == 2
    assert answer["at"] == "2026-03-02T13:00:00Z"


@pytest.mark.parametrize(
    ("parameters", "field", "words"),
    [
        ({}, "node", "required"),
        ({"node": "orders"}, "node", "not a node id: write table:"),
        ({"node": "table:a:b", "direction": "sideways"}, "direction", "not a valid choice"),
        ({"node": "table:a:b", "depth": "0"}, "depth", "greater than or equal to 1"),
        ({"node": "table:a:b", "depth": "11"}, "depth", "less than or equal to 10"),
        ({"node": "table:a:b", "depth": "deep"}, "depth", "integer"),
        ({"node": "table:a:b", "grain": "row"}, "grain", "not a valid choice"),
        ({"node": "table:a:b", "at": "yesterday"}, "at", "YYYY-MM-DD"),
        ({"node": "table:a:b", "hops": "2"}, "hops", "no such parameter"),
    ],
)
def test_a_bad_question_is_refused_in_words(program, parameters, field, words):
    error = fault(ask(program, **parameters), 400)
    assert words in " ".join(error["fields"][field])


def test_a_node_that_is_not_there(program):
    assert "no table orders in source shop" in fault(ask(program, node="table:shop:orders"), 404)["message"]


def test_reading_needs_a_role(client, stranger, with_token, orders):
    assert client.get("/api/v1/graph/", {"node": orders.node}).status_code == 401
    assert ask(with_token(stranger), node=orders.node).status_code == 403
