"""What Marquez's clients read."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from ingest.openlineage.store import take
from tests.factories import make_column, make_edge, make_pipeline, make_table
from tests.openlineage.events import RECORDED, SHOP, dataset, event, made_from

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(viewer, with_token):
    """`ask("lineage", nodeId=…)` is the answer's JSON."""
    client = with_token(viewer)

    def get(path: str, status: int = 200, **parameters: Any) -> Any:
        response = client.get(f"/api/v1/{path}", parameters)
        assert response.status_code == status, response.content
        return response.json()

    return get


@pytest.fixture
def chain() -> None:
    """raw.orders -> orders.daily -> mart.orders -> report -> mart.report"""
    take(RECORDED["openlineage-000"])
    report = dataset("shop.mart.report", columnLineage=made_from("total", "shop.mart.orders", "amount", "AGGREGATION"))
    take(event(job="report", inputs=[dataset("shop.mart.orders")], outputs=[report]))


def test_the_graph_around_a_dataset(ask, chain) -> None:
    start = f"dataset:{SHOP}:shop.mart.orders"
    graph = ask("lineage", nodeId=start, depth=20)["graph"]
    assert [(node["id"], node["type"]) for node in graph] == [
        (start, "DATASET"),
        (f"dataset:{SHOP}:shop.mart.report", "DATASET"),
        (f"dataset:{SHOP}:shop.raw.orders", "DATASET"),
        ("job:warehouse:orders.daily", "JOB"),
        ("job:warehouse:report", "JOB"),
    ]
    here = graph[0]
    assert here["inEdges"] == [{"origin": "job:warehouse:orders.daily", "destination": start}]
    assert here["outEdges"] == [{"origin": start, "destination": "job:warehouse:report"}]
    assert (here["data"]["id"], here["data"]["type"]) == ({"namespace": SHOP, "name": "shop.mart.orders"}, "DB_TABLE")
    job = graph[3]["data"]
    assert job["inputs"] == [{"namespace": SHOP, "name": "shop.raw.orders"}]
    assert (job["latestRun"]["state"], job["simpleName"]) == ("RUNNING", "daily")
    assert [field["name"] for field in graph[2]["data"]["fields"]] == ["id", "amount"]


def test_the_graph_around_a_job_and_a_field(ask, chain) -> None:
    ids = {node["id"] for node in ask("lineage", nodeId="job:warehouse:orders.daily", depth=1)["graph"]}
    assert {"job:warehouse:orders.daily", f"dataset:{SHOP}:shop.raw.orders"} <= ids
    of_field = ask("lineage", nodeId=f"datasetField:{SHOP}:shop.mart.orders:amount")["graph"]
    assert len(of_field) == 5


def test_the_graph_of_columns(ask, chain) -> None:
    total, amount = (f"datasetField:{SHOP}:shop.mart.{name}" for name in ("report:total", "orders:amount"))
    graph = ask("column-lineage", nodeId=total)["graph"]
    assert [node["id"] for node in graph] == [amount, total, f"datasetField:{SHOP}:shop.raw.orders:amount"]
    assert graph[1]["inEdges"] == [{"origin": total, "destination": amount}]
    (made,) = graph[1]["data"]["inputFields"]
    assert (made["dataset"], made["field"], made["transformationType"]) == ("shop.mart.orders", "amount", "AGGREGATION")
    upstream_only = ask("column-lineage", nodeId=amount)["graph"]
    assert total not in [node["id"] for node in upstream_only]
    both = ask("column-lineage", nodeId=amount, withDownstream="true")["graph"]
    assert total in [node["id"] for node in both]


def test_what_no_event_has_named_is_there_too(ask) -> None:
    table, pipeline = make_table("shop.orders"), make_pipeline("shop.build")
    make_edge(pipeline, target=table)
    make_column("id", table)
    graph = ask("lineage", nodeId="dataset:warehouse:shop.orders")["graph"]
    assert [node["id"] for node in graph] == ["dataset:warehouse:shop.orders", "job:pipekeeper:shop.build"]
    assert ask("lineage", nodeId="job:pipekeeper:shop.build")["graph"] == graph


def test_what_is_not_there(ask) -> None:
    assert "dataset:a:b" in ask("lineage", 404, nodeId="dataset:a:b")["error"]["message"]
    assert "nodeId" in ask("lineage", 400, nodeId="table:a:b")["error"]["fields"]
    assert "nodeId" in ask("column-lineage", 400)["error"]["fields"]
    for path in ("namespaces/x", "namespaces/x/jobs/y", "namespaces/x/datasets/y"):
        ask(path, 404)


def test_namespaces_jobs_datasets_runs_and_events(ask, chain) -> None:
    assert [each["name"] for each in ask("namespaces")["namespaces"]] == [SHOP, "warehouse"]
    shop = quote(SHOP, safe="")
    assert ask(f"namespaces/{shop}")["name"] == SHOP
    jobs = ask("namespaces/warehouse/jobs")
    assert ([job["name"] for job in jobs["jobs"]], jobs["totalCount"]) == (["orders.daily", "report"], 2)
    assert ask("jobs", limit=1)["totalCount"] == 2
    assert ask("namespaces/warehouse/jobs/orders.daily")["name"] == "orders.daily"
    (run,) = ask("namespaces/warehouse/jobs/report/runs")["runs"]
    assert (run["state"], run["durationMs"]) == ("COMPLETED", 0)
    datasets = ask(f"namespaces/{shop}/datasets", limit=2, offset=1)
    assert ([one["name"] for one in datasets["datasets"]], datasets["totalCount"]) == (
        ["shop.mart.report", "shop.raw.orders"],
        3,
    )
    assert ask(f"namespaces/{shop}/datasets/shop.raw.orders")["sourceName"] == "postgres-db-5432"
    events = ask("events/lineage")
    assert events["events"][1] == RECORDED["openlineage-000"]
