"""What pages and programs ask about lineage, over a small shop."""

from __future__ import annotations

import datetime as dt
from itertools import product

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from lineage.coverage import Coverage, coverage, coverage_by_source
from lineage.models import ColumnEdge, EdgeOrigin
from lineage.queries import (
    around,
    builders_of,
    current_sql,
    inputs_and_outputs,
    lineage_of,
    owner_names_of_tables,
    owner_slugs_of_tables,
    problems_of,
)
from lineage.snapshot import bump_graph_version
from tests.factories import (
    NOON,
    make_column,
    make_edge,
    make_owner,
    make_pipeline,
    make_problem,
    make_source,
    make_sql_version,
    make_table,
)

pytestmark = pytest.mark.django_db


def make_column_edge(pipeline, source, target, kind="IDENTITY", **facts):
    """`source` and `target` are columns, or tables for every row of them."""
    ends = {}
    for end, thing in (("source", source), ("target", target)):
        is_column = thing._meta.model_name == "column"
        ends |= {f"{end}_table": thing.table if is_column else thing, f"{end}_column": thing if is_column else None}
    facts = {"basis": "parsed", "statement": 0, "origin": EdgeOrigin.SQL, "valid_from": NOON, **facts}
    return ColumnEdge.objects.create(pipeline=pipeline, kind=kind, **ends, **facts)


@pytest.fixture
def shop():
    """app -> (load) -> raw -> (build) -> orders -> (summary) -> report; orders -> (export) -> nowhere stated."""

    class Shop:
        app = make_table("orders", source=make_source("app"))
        raw, orders, report = (make_table(name) for name in ("raw.orders", "shop.orders", "shop.report"))
        load, build, export, summary = (make_pipeline(name) for name in ("load", "build", "export", "summary"))

    make_edge(Shop.load, Shop.app, Shop.raw)
    make_edge(Shop.build, Shop.raw, Shop.orders)
    make_edge(Shop.summary, Shop.orders, Shop.report)
    make_edge(Shop.export, Shop.orders, None)
    return Shop


def hops(lineage):
    return {node.label: node.distance for node in lineage.nodes}


def arrows(lineage):
    names = {node.id: node.label for node in lineage.nodes}
    return {f"{names[edge.source]} {edge.kind} {names[edge.target]}" for edge in lineage.edges}


def test_pipelines_stand_between_tables_and_hops_count_tables(shop):
    found = lineage_of(shop.orders)
    assert hops(found) == {"shop.orders": 0, "raw.orders": -1, "build": -1, "shop.report": 1, "summary": 1, "export": 1}
    assert arrows(found) == {
        "raw.orders reads build",
        "build writes shop.orders",
        "shop.orders reads summary",
        "summary writes shop.report",
        "shop.orders reads export",
    }
    assert found.start == shop.orders.node


def test_folded_counts_say_what_lies_beyond(shop):
    raw = next(node for node in lineage_of(shop.orders).nodes if node.label == "raw.orders")
    assert (raw.folded_upstream, raw.folded_downstream) == (1, 0)


def test_a_walk_from_a_pipeline_starts_with_its_edges(shop):
    found = lineage_of(shop.build)
    assert hops(found) == {"build": 0, "raw.orders": -1, "shop.orders": 1}
    assert arrows(found) == {"raw.orders reads build", "build writes shop.orders"}
    folded = {node.label: (node.folded_upstream, node.folded_downstream) for node in found.nodes}
    assert folded == {"build": (0, 0), "raw.orders": (1, 0), "shop.orders": (0, 2)}


def test_a_pipeline_that_only_reads_ends_the_walk(shop):
    make_edge(shop.export, make_table("other"), make_table("elsewhere"))
    assert "elsewhere" not in hops(lineage_of(shop.orders, "downstream", depth=None))


def test_an_edge_that_has_ended_is_seen_as_of_its_time_only(shop):
    old = make_table("shop.old")
    make_edge(shop.build, old, shop.orders, valid_from=NOON, valid_to=NOON + dt.timedelta(days=2))
    assert "shop.old" not in hops(lineage_of(shop.orders))
    assert "shop.old" in hops(lineage_of(shop.orders, at=NOON + dt.timedelta(days=1)))
    assert "shop.old" not in hops(lineage_of(shop.orders, at=NOON + dt.timedelta(days=2)))
    assert set(hops(lineage_of(shop.orders, at=NOON - dt.timedelta(days=1)))) == {"shop.orders"}


def test_a_hub_is_capped_and_the_rest_is_counted():
    hub, pipeline = make_table("hub"), make_pipeline()
    for _ in range(30):
        make_edge(pipeline, hub, make_table())
    found = lineage_of(hub, cap=10)
    assert (found.capped, found.drawn, found.reached) == (True, 10, 31)
    assert next(node for node in found.nodes if node.label == "hub").folded_downstream == 21


def test_an_answer_names_the_version_of_the_graph(shop):
    before = lineage_of(shop.orders).version
    bump_graph_version()
    assert lineage_of(shop.orders).version == before + 1


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_hop_costs_one_query_whatever_it_finds(shop, django_assert_num_queries, depth):
    for table in (shop.orders, shop.raw, shop.app):
        for _ in range(10):
            make_edge(make_pipeline(), make_table(), table)
    with django_assert_num_queries(depth + 4):
        lineage_of(shop.report, "upstream", depth)


def test_column_grain_follows_columns_and_tells_rows_apart(shop):
    raw_id, raw_day = (make_column(name, table=shop.raw) for name in ("id", "day"))
    order_id = make_column("order_id", table=shop.orders)
    count = make_column("orders", table=shop.report)
    make_column_edge(shop.build, raw_id, order_id)
    make_column_edge(shop.build, raw_day, shop.orders, "FILTER")
    make_column_edge(shop.summary, order_id, count, "AGGREGATION")
    found = lineage_of(order_id)
    assert found.grain == "column"
    assert {(node.kind, node.table_label, node.label, node.distance) for node in found.nodes} == {
        ("column", "shop.orders", "order_id", 0),
        ("rows", "shop.orders", "all rows", 0),
        ("column", "raw.orders", "id", -1),
        ("column", "raw.orders", "day", -1),
        ("column", "shop.report", "orders", 1),
    }
    assert arrows(found) == {"id IDENTITY order_id", "day FILTER all rows", "order_id AGGREGATION orders"}
    assert {edge.via for edge in found.edges} == {"build", "summary"}


def test_a_table_at_column_grain_starts_with_its_columns(shop):
    raw_id, order_id = make_column("id", table=shop.raw), make_column("order_id", table=shop.orders)
    make_column_edge(shop.build, raw_id, order_id)
    for thing in (shop.orders, shop.build):
        assert hops(lineage_of(thing, grain="column")) == {"order_id": 0, "id": -1}


def test_a_pipeline_at_column_grain_as_of_a_date_starts_with_what_it_wrote_then(shop):
    old = make_table("shop.old")
    make_edge(shop.build, shop.raw, old, valid_to=NOON + dt.timedelta(days=2))
    make_column_edge(shop.build, make_column("id", table=shop.raw), make_column("old_id", table=old))
    assert hops(lineage_of(shop.build, grain="column", at=NOON)) == {"old_id": 0, "id": -1}
    assert lineage_of(shop.build, grain="column").nodes == []


def test_an_unexpanded_star_leads_from_rows_to_rows(shop):
    make_column_edge(shop.build, shop.raw, shop.orders)
    found = lineage_of(shop.orders, grain="column")
    assert {(node.kind, node.table_label, node.distance) for node in found.nodes} == {
        ("rows", "shop.orders", 0),
        ("rows", "raw.orders", -1),
    }


def test_builders_and_readers_come_with_their_owners(shop, django_assert_num_queries):
    owner = make_owner("Ana")
    shop.build.ownerships.create(owner=owner, role="technical")
    with django_assert_num_queries(3):
        builders = builders_of([shop.orders.pk, shop.app.pk])
        assert [ownership.owner.name for ownership in builders[shop.orders.pk][0].ownerships.all()] == ["Ana"]
    assert builders == {shop.orders.pk: [shop.build]}


def test_owners_of_many_tables_fall_back_to_the_builders(shop, django_assert_num_queries):
    ana, bo = make_owner("Ana"), make_owner("Bo")
    shop.build.ownerships.create(owner=ana, role="technical")
    shop.orders.ownerships.create(owner=bo, role="business")
    with django_assert_num_queries(3):
        owners = owner_names_of_tables([shop.orders.pk, shop.raw.pk])
    names = [owner.name for owner in (*owners[shop.orders.pk].business, *owners[shop.orders.pk].technical)]
    assert (names, owners[shop.orders.pk].inherited_from) == (["Bo", "Ana"], (shop.build.name,))
    assert not owners[shop.raw.pk]
    shop.orders.ownerships.create(owner=bo, role="technical")
    with django_assert_num_queries(1):  # it lacks none, so nobody asks who builds it
        assert owner_slugs_of_tables([shop.orders.pk])[shop.orders.pk].technical == (bo.slug,)


def test_what_is_around_a_table(shop, django_assert_num_queries):
    with django_assert_num_queries(4):
        found = around(shop.orders)
    assert (found.upstream.items, found.upstream.total) == ([shop.raw], 1)
    assert (found.downstream.items, found.downstream.total) == ([shop.report], 1)
    assert (found.builders.items, found.builders.total) == ([shop.build], 1)
    assert (found.readers.items, found.readers.total) == ([shop.export, shop.summary], 2)
    assert around(make_table()).upstream.total == 0


def test_of_what_is_around_a_hub_a_few_are_named_and_all_are_counted(shop):
    for number in range(5):
        make_edge(make_pipeline(f"reader {number}"), shop.app, make_table(f"made {number}"))
    found = around(shop.app, limit=3)
    assert (len(found.downstream.items), found.downstream.total) == (3, 6)
    assert (len(found.readers.items), found.readers.total) == (3, 6)


def test_ends_of_a_pipeline(shop):
    assert inputs_and_outputs(shop.build) == ([shop.raw], [shop.orders])
    assert inputs_and_outputs(shop.export) == ([shop.orders], [])


def test_current_sql_and_problems(shop):
    make_sql_version(shop.build, "select 1", valid_to=NOON, valid_from=NOON)
    now = make_sql_version(shop.build, "select 2")
    assert current_sql(shop.build) == now
    assert current_sql(shop.load) is None
    warning = make_problem(shop.build, severity="warning", line=1)
    error = make_problem(shop.build, line=9)
    make_problem(shop.load)
    assert problems_of(shop.build) == [error, warning]


def test_coverage_counts_current_sql_once(shop):
    version = make_sql_version(shop.build, statements=4, statements_read=3)
    make_sql_version(shop.load, statements=9, statements_read=0, valid_to=NOON, valid_from=NOON)
    make_edge(shop.build, shop.raw, shop.orders, sql_version=version)
    make_edge(shop.build, shop.raw, shop.report, sql_version=version)
    assert coverage() == Coverage(4, 3)
    assert coverage().share == 0.75
    assert coverage_by_source() == {"warehouse": Coverage(4, 3)}


def test_no_walk_scans_all_edges(shop):
    """One condition for which SQLite finds no index is enough for that."""
    if connection.vendor != "sqlite":
        pytest.skip("plans are SQLite's own")
    columns = [make_column(table=table) for table in (shop.raw, shop.orders)]
    make_column_edge(shop.build, *columns)
    make_column_edge(shop.build, columns[0], shop.orders, "FILTER")
    asks = [{}, {"at": NOON}, {"grain": "column"}, {"grain": "column", "direct_only": True, "at": NOON}]
    for thing, options in product([shop.orders, shop.build, shop.export, columns[1]], asks):
        with CaptureQueriesContext(connection) as asked:
            lineage_of(thing, depth=2, **options)
        for query in asked.captured_queries:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN QUERY PLAN " + query["sql"].replace("%", "%%"))
                plan = [step for *_, step in cursor.fetchall()]
            assert not [step for step in plan if step.startswith("SCAN lineage_")]
