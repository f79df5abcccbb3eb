"""The whole graph in memory: it agrees with the rows, speaks of one version, and is built once."""

from __future__ import annotations

import datetime as dt
import io
import json
import threading

import numpy as np
import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage import snapshot as module
from lineage.graph import walk
from lineage.models import EdgeOrigin, TableEdge
from lineage.neighbours import TableRows
from lineage.queries import Impact, impact_of, lineage_of
from lineage.snapshot import (
    Edges,
    Snapshot,
    build_snapshot,
    bump_graph_version,
    current_edges,
    current_snapshot,
    graph_state,
    held_snapshot,
)
from tests.factories import NOON, make_edge, make_pipeline, make_table

pytestmark = pytest.mark.django_db

EVERYTHING = 10**9


@pytest.fixture(autouse=True)
def var(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    return tmp_path


@pytest.fixture
def large(monkeypatch):
    """As if two edges were a large graph."""
    monkeypatch.setattr(module, "SMALL", 1)


def chain(*tables):
    """Edges from each table to the next, in one transaction's version."""
    pipeline = make_pipeline()
    for source, target in zip(tables, tables[1:], strict=False):
        make_edge(pipeline, source, target)
    bump_graph_version()


@pytest.fixture
def ten_tables():
    return [make_table().pk for _ in range(10)], [make_pipeline().pk for _ in range(4)]


ends = st.none() | st.integers(0, 9)
rows = st.lists(st.tuples(ends, ends, st.integers(0, 3)).filter(lambda row: row[:2] != (None, None)), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(rows, st.integers(0, 9), st.sampled_from(["upstream", "downstream"]), st.none() | st.integers(0, 4))
def test_rows_and_snapshot_agree(ten_tables, edges, start, direction, depth):
    tables, pipelines = ten_tables
    TableEdge.objects.all().delete()
    TableEdge.objects.bulk_create(
        TableEdge(
            source_table_id=None if source is None else tables[source],
            target_table_id=None if target is None else tables[target],
            pipeline_id=pipelines[pipeline],
            origin=EdgeOrigin.SQL,
            valid_from=NOON,
        )
        for source, target, pipeline in edges
    )
    walked = walk(TableRows(), [("table", tables[start])], direction, depth, EVERYTHING)
    snapshot = module._from_rows(1)
    reach = snapshot.reach([tables[start]], direction, depth)
    reached = {
        ("pipeline" if key % 2 else "table", key // 2): hops
        for key, hops in zip(reach.keys.tolist(), reach.hops.tolist(), strict=True)
    }
    assert reached | {("table", tables[start]): 0} == {node: abs(hops) for node, hops in walked.distance.items()}
    nodes = [("table", table) for table in tables]
    assert TableRows(snapshot=snapshot).degrees(nodes) == TableRows().degrees(nodes)


def test_a_snapshot_of_nothing_reaches_nothing():
    empty = Snapshot.of(1, Edges.of(np.zeros((0, 3), np.int64)))
    assert len(empty.reach([1, 2], "downstream").keys) == 0


def test_there_is_none_before_the_first_edge():
    assert current_snapshot() is None
    assert graph_state().number == 0


def test_a_small_graph_is_read_from_rows_and_kept_until_it_changes(django_assert_num_queries):
    a, b, c = (make_table() for _ in range(3))
    chain(a, b)
    first = current_snapshot()
    assert first.reach([a.pk], "downstream").tables.tolist() == [a.pk, b.pk]
    with django_assert_num_queries(1):
        assert current_snapshot() is first
    assert held_snapshot(graph_state()) is first
    chain(b, c)
    assert held_snapshot(graph_state()) is None
    assert current_snapshot().reach([a.pk], "downstream").tables.tolist() == [a.pk, b.pk, c.pk]


def test_ended_edges_are_not_in_it():
    a, b, c = (make_table() for _ in range(3))
    make_edge(make_pipeline(), b, c, valid_to=NOON + dt.timedelta(days=1))
    chain(a, b)
    assert current_snapshot().reach([a.pk], "downstream").tables.tolist() == [a.pk, b.pk]


def test_a_small_graph_needs_no_file(var):
    chain(make_table(), make_table())
    assert build_snapshot() is None
    assert list(var.iterdir()) == []


def test_a_large_graph_speaks_of_the_version_that_was_built(large):
    a, b, c, d = (make_table() for _ in range(4))
    chain(a, b, c)
    assert current_snapshot() is None
    built = build_snapshot()
    assert built.name == "1"
    snapshot = current_snapshot()
    assert isinstance(snapshot.keys, np.memmap)
    chain(c, d)
    assert current_snapshot() is snapshot
    assert (snapshot.version, graph_state().number) == (1, 2)
    build_snapshot()
    assert current_snapshot().version == 2
    assert current_snapshot().reach([d.pk], "upstream").hops.tolist() == [3, 2, 1, 0]


def test_edges_come_from_the_file_only_while_it_is_of_the_version_now(large):
    a, b, c, d = (make_table() for _ in range(4))
    chain(a, b, c)
    build_snapshot()
    assert isinstance(current_edges().ends, np.memmap)
    chain(c, d)
    assert not isinstance(current_edges().ends, np.memmap)
    assert current_edges().ends[:2].T.tolist() == [[a.pk, b.pk], [b.pk, c.pk], [c.pk, d.pk]]


def test_what_was_built_without_its_edges_is_built_again(large):
    chain(*(make_table() for _ in range(3)))
    (build_snapshot() / "ends.npy").unlink()
    assert current_snapshot() is None
    build_snapshot()
    assert current_snapshot().edges.ends.shape == (3, 2)


def test_what_a_killed_build_left_behind_goes_and_old_versions_too(large):
    chain(*(make_table() for _ in range(3)))
    folder = build_snapshot().parent
    (folder / "building-x").mkdir()
    for _ in range(3):
        bump_graph_version()
        build_snapshot()
    assert sorted(path.name for path in folder.iterdir()) == ["3", "4", "lock"]


def test_the_same_version_is_built_once(large):
    chain(*(make_table() for _ in range(3)))
    first = build_snapshot()
    written = (first / "keys.npy").stat().st_mtime_ns
    assert build_snapshot() == first
    assert (first / "keys.npy").stat().st_mtime_ns == written


def test_one_builds_at_a_time(var):
    got = threading.Event()

    def build_too():
        with module._locked(var / "lock"):
            got.set()

    other = threading.Thread(target=build_too)
    with module._locked(var / "lock"):
        other.start()
        assert not got.wait(0.2)
    assert got.wait(10)
    other.join()


def test_a_capped_answer_counts_what_it_leaves_out_exactly():
    hub, middle = make_table("hub"), [make_table() for _ in range(20)]
    for table in middle:
        make_edge(make_pipeline(), hub, table)
        make_edge(make_pipeline(), table, make_table())
    before = lineage_of(hub, "downstream", depth=2, cap=5)
    assert (before.reached, before.reached_exactly) == (21, False)
    bump_graph_version()
    after = lineage_of(hub, "downstream", depth=2, cap=5)
    assert (after.drawn, after.reached, after.reached_exactly) == (5, 41, True)


def test_a_capped_walk_from_a_pipeline_counts_likewise():
    pipeline, inputs = make_pipeline(), [make_table() for _ in range(8)]
    output = make_table()
    for table in inputs:
        make_edge(pipeline, table, output)
        make_edge(make_pipeline(), make_table(), table)
    make_edge(make_pipeline(), output, None)
    bump_graph_version()
    found = lineage_of(pipeline, "both", depth=2, cap=6)
    whole = lineage_of(pipeline, "both", depth=2, cap=EVERYTHING)
    assert (found.drawn, found.reached, found.reached_exactly) == (6, whole.drawn, True)


def test_impact_counts_tables_and_exports_to_the_end():
    a, b, c = (make_table() for _ in range(3))
    assert impact_of(a) == Impact(0, 0, 0, is_current=True)
    chain(a, b, c)
    make_edge(make_pipeline(), c, None)
    bump_graph_version()
    assert impact_of(a) == Impact(2, 1, 2, is_current=True)
    assert impact_of(c) == Impact(0, 1, 2, is_current=True)


def test_impact_says_when_it_speaks_of_an_older_version(large):
    tables = [make_table() for _ in range(4)]
    chain(*tables[:3])
    assert impact_of(tables[0]) is None
    build_snapshot()
    chain(*tables[2:])
    impact = impact_of(tables[0])
    assert (impact.tables, impact.is_current) == (2, False)


def run(*arguments):
    out = io.StringIO()
    call_command("build_snapshot", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_says_what_it_built(large, var):
    chain(*(make_table() for _ in range(3)))
    assert f"Version 1 of the graph is in {var}/graph/" in run()
    assert json.loads(run("--json"))["version"] == 1


def test_the_command_says_that_a_small_graph_needs_none():
    assert run().startswith("Nothing to build: the graph has fewer than 200,000 edges")
    assert json.loads(run("--json"))["version"] is None
