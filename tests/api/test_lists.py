"""Lists over REST: order, pages, search and filters."""

from __future__ import annotations

import pytest

from catalog.models import Origin, Tag
from tests.factories import (
    NOON,
    make_column,
    make_edge,
    make_owner,
    make_pipeline,
    make_problem,
    make_run,
    make_source,
    make_table,
    own,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def listed(viewer, with_token):
    """`listed("tables", kind="view")` is the names (or external ids, or messages) that the list answers with."""
    client = with_token(viewer)

    def ask(noun: str, **parameters: str) -> list[str]:
        response = client.get(f"/api/v1/{noun}/", parameters)
        assert response.status_code == 200, response.content
        rows = response.json()["results"]
        return [row.get("name") or row.get("external_id") or row.get("message") for row in rows]

    return ask


def test_pages_link_to_each_other_and_keep_their_filters(viewer, with_token) -> None:
    for letter in "abcd":
        make_table(letter, kind="view")
    make_table("aa", kind="topic")
    client = with_token(viewer)
    first = client.get("/api/v1/tables/?kind=view&limit=3").json()
    assert [row["name"] for row in first["results"]] == ["a", "b", "c"]
    assert first["previous"] is None
    second = client.get(first["next"]).json()
    assert [row["name"] for row in second["results"]] == ["d"]
    assert second["next"] is None
    assert client.get(second["previous"]).json()["results"] == first["results"]


def test_an_empty_list_is_an_empty_page(viewer, with_token) -> None:
    assert with_token(viewer).get("/api/v1/pipelines/").json() == {"next": None, "previous": None, "results": []}


def test_columns_come_table_by_table_and_runs_newest_first(listed) -> None:
    orders, customers = make_table("orders"), make_table("customers")
    for name, table in [("b", customers), ("b", orders), ("a", customers)]:
        make_column(name, table)
    assert listed("columns") == ["b", "a", "b"]
    for day in (2, 9, 5):
        make_run(external_id=f"day {day}", started_at=NOON.replace(day=day))
    assert listed("runs") == ["day 9", "day 5", "day 2"]


def test_tables_by_each_parameter(listed) -> None:
    lake = make_source("lake")
    make_table("shop.orders")
    make_table("shop.events", source=lake, kind="topic", status="deprecated", provenance="original")
    assert listed("tables", q="ORD") == ["shop.orders"]
    assert listed("tables", name="shop.events") == ["shop.events"]
    assert listed("tables", name="events") == []
    for parameters in [{"source": "lake"}, {"kind": "topic"}, {"status": "deprecated"}, {"provenance": "original"}]:
        assert listed("tables", **parameters) == ["shop.events"]


def test_a_percent_sign_in_q_is_a_percent_sign(listed) -> None:
    make_table("100%_paid")
    make_table("100 paid")
    assert listed("tables", q="0%_") == ["100%_paid"]


def test_pipelines_by_each_parameter(listed) -> None:
    make_pipeline("load")
    facts = {"kind": "summary", "status": "paused", "tier": 1, "load_strategy": "merge", "orchestrator": "airflow"}
    make_pipeline("build", dag="nightly", **facts)
    for name, value in {**facts, "dag": "nightly", "q": "uil", "name": "build"}.items():
        assert listed("pipelines", **{name: str(value)}) == ["build"]


def test_columns_owners_sources_tags_and_runs_by_each_parameter(listed) -> None:
    orders = make_table("orders")
    make_column("id", orders, is_primary_key=True)
    make_column("total", make_table("totals", source=make_source("lake")))
    for parameters in [{"table": "orders"}, {"source": "warehouse"}, {"is_primary_key": "true"}, {"q": "I"}]:
        assert listed("columns", **parameters) == ["id"]
    assert listed("columns", is_primary_key="false") == ["total"]

    team = make_owner("Finance", slug="finance", kind="team")
    make_owner("Ada", email="ada@example.com", team=team, status="left")
    for parameters in [{"q": "EXAMPLE"}, {"team": "finance"}, {"status": "left"}, {"email": "Ada@example.com"}]:
        assert listed("owners", **parameters) == ["Ada"]
    assert listed("owners", kind="team") == ["Finance"]

    make_source("events", platform="kafka", storage="stream")
    for parameters in [{"platform": "kafka"}, {"storage": "stream"}, {"q": "kaf"}]:
        assert listed("sources", **parameters) == ["Events"]

    make_run(make_pipeline("p"), external_id="r1", state="failed")
    make_run(external_id="r2", started_at=NOON.replace(hour=1))
    early = NOON.replace(hour=6).isoformat()
    for parameters in [{"pipeline": "p"}, {"state": "failed"}, {"since": early}, {"q": "R1"}]:
        assert listed("runs", **parameters) == ["r1"]
    assert listed("runs", until=early) == ["r2"]


def test_problems_errors_first_and_by_each_parameter(listed) -> None:
    make_problem(severity="warning", message="a star", code="star", path="b.sql", scope="shop")
    make_problem(make_pipeline("p"), message="broken", path="z.sql")
    assert listed("problems") == ["broken", "a star"]
    for parameters in [{"severity": "warning"}, {"code": "star"}, {"path": "b.sql"}, {"scope": "shop"}, {"q": "STAR"}]:
        assert listed("problems", **parameters) == ["a star"]
    assert listed("problems", pipeline="p") == ["broken"]


def test_things_of_an_owner_in_a_role(listed) -> None:
    finance, data = make_owner(slug="finance"), make_owner(slug="data")
    both = make_table("both", owner=finance, role="business")
    own(both, data, "technical")
    make_table("nobody's")
    assert listed("tables", owner="finance") == ["both"]
    assert listed("tables", owner="finance", role="technical") == []
    assert listed("tables", role="business") == ["both"]
    assert listed("tables", has_owner="false") == ["nobody's"]
    make_pipeline("half", owner=data, role="technical")
    assert listed("pipelines", has_owner="true") == ["half"]
    assert listed("pipelines", has_owner="false", role="business") == ["half"]
    assert listed("pipelines", has_owner="false") == []


def test_an_ingested_owner_whom_a_person_replaced_no_longer_counts(listed) -> None:
    pipeline = make_pipeline("p")
    own(pipeline, make_owner(slug="read"), origin=Origin.INGEST)
    assert listed("pipelines", owner="read") == ["p"]
    own(pipeline, make_owner(slug="stated"))
    assert listed("pipelines", owner="read") == []
    assert listed("pipelines", owner="stated") == ["p"]


def test_a_table_without_owners_is_held_by_those_of_its_builder(listed) -> None:
    inherits, has_own = make_table("inherits"), make_table("own", owner=make_owner(slug="keeper"))
    builder = make_pipeline(owner=make_owner(slug="builder"))
    make_edge(builder, target=inherits)
    make_edge(builder, target=has_own)
    make_edge(builder, source=make_table("only read"))
    assert listed("tables", owner="builder") == ["inherits"]
    assert listed("tables", has_owner="true") == ["inherits", "own"]
    assert listed("tables", has_owner="false") == ["only read"]
    assert listed("tables", has_owner="true", role="business") == []


def test_an_edge_of_the_past_passes_no_owner_on(listed) -> None:
    table = make_table()
    make_edge(make_pipeline(owner=make_owner(slug="gone")), target=table, valid_to=NOON)
    assert listed("tables", owner="gone") == []


def test_what_has_problems(listed) -> None:
    broken = make_pipeline("broken")
    make_problem(broken)
    make_edge(broken, target=make_table("built by it"))
    make_pipeline("sound")
    assert listed("pipelines", has_problems="true") == ["broken"]
    assert listed("pipelines", has_problems="false") == ["sound"]
    assert listed("tables", has_problems="true") == ["built by it"]


def test_tagged(listed) -> None:
    table = make_table("t")
    table.tags.add(Tag.objects.create(name="pii"), Tag.objects.create(name="gdpr"))
    make_table("u")
    assert listed("tables", tag="pii") == ["t"]
    assert listed("tags", q="GD") == ["gdpr"]


def test_a_moment_may_be_written_in_any_zone(viewer, with_token) -> None:
    program = with_token(viewer)
    for zone in ("%2B17:22", "-23:59", "Z"):
        assert program.get(f"/api/v1/runs/?since=2026-01-01T00:00:00{zone}").status_code == 200
    assert program.get("/api/v1/runs/?since=0001-01-01T00:00:00%2B05:00").status_code == 400
