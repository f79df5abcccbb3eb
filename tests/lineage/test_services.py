"""Writes of lineage: edges never change but for their end, and a person's declaration wins over a file's."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from catalog.models import Column, HistoryEntry, Pipeline, Table, User
from lineage.facts import FileProblem, SqlLineage
from lineage.models import ColumnEdge, GraphVersion, Problem, SqlVersion, TableEdge
from lineage.services import (
    PipelineLineage,
    declare_edges,
    end_lineage,
    pairs,
    replace_problems,
    store_declared,
    store_lineage,
)
from tests.factories import make_column, make_pipeline, make_table

pytestmark = pytest.mark.django_db
MONDAY = dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC)
TUESDAY = MONDAY + dt.timedelta(days=1)


def read(sql: str = "select 1", **facts: Any) -> SqlLineage:
    given = {"statements": 1, "statements_read": 1, "columns_named": 0, "columns_found": 0}
    given |= {"practices": {}, "problems": (), **facts}
    return SqlLineage(
        "x.sql", sql, sql.ljust(64)[:64], table_edges=(), column_edges=(), columns={}, table_kinds={}, **given
    )


def lineage(pipeline: Pipeline, *tables: tuple[Table | None, Table | None], sql: str = "select 1", **more: Any) -> Any:
    ends = [(a.pk if a else None, b.pk if b else None) for a, b in tables]
    return PipelineLineage(pipeline.pk, "key", "duckdb", read(sql), ends, more.get("columns", []))


def column_edge(source: Column, target: Column | None, table: Table, kind: str = "IDENTITY") -> tuple[Any, ...]:
    return (source.table_id, source.pk, table.pk, target.pk if target else None, kind, "parsed", 0, None)


def current() -> set[tuple[int | None, int | None]]:
    return set(TableEdge.objects.filter(valid_to=None).values_list("source_table", "target_table"))


def test_edges_hang_on_the_version_of_the_sql() -> None:
    pipeline, a, b = make_pipeline(), make_table(), make_table()
    x, y = make_column(table=a), make_column(table=b)
    columns = [column_edge(x, y, b), column_edge(x, None, b, "FILTER")]
    store_lineage([lineage(pipeline, (a, b), columns=columns)], MONDAY)
    version = SqlVersion.objects.get()
    edge = TableEdge.objects.get()
    assert (edge.sql_version, edge.origin, edge.valid_from, edge.valid_to) == (version, "sql", MONDAY, None)
    assert set(ColumnEdge.objects.values_list("kind", "target_column", "sql_version")) == {
        ("IDENTITY", y.pk, version.pk),
        ("FILTER", None, version.pk),
    }


def test_the_same_again_writes_no_edge() -> None:
    pipeline, a, b = make_pipeline(), make_table(), make_table()
    x = make_column(table=a)
    same = lineage(pipeline, (a, b), (a, None), columns=[column_edge(x, None, b, "JOIN")])
    store_lineage([same], MONDAY)
    before = set(TableEdge.objects.values_list()), set(ColumnEdge.objects.values_list())
    store_lineage([same], TUESDAY)
    assert (set(TableEdge.objects.values_list()), set(ColumnEdge.objects.values_list())) == before
    assert SqlVersion.objects.count() == 1


def test_the_same_sql_with_another_answer_changes_only_what_differs() -> None:
    pipeline, a, b, c = make_pipeline(), make_table(), make_table(), make_table()
    store_lineage([lineage(pipeline, (a, b), (a, c))], MONDAY)
    store_lineage([lineage(pipeline, (a, b), (c, b))], TUESDAY)
    assert current() == {(a.pk, b.pk), (c.pk, b.pk)}
    assert TableEdge.objects.get(target_table=c).valid_to == TUESDAY
    assert TableEdge.objects.get(source_table=a, target_table=b).valid_from == MONDAY
    assert SqlVersion.objects.count() == 1


def test_other_sql_ends_every_edge_and_the_version() -> None:
    pipeline, a, b = make_pipeline(), make_table(), make_table()
    store_lineage([lineage(pipeline, (a, b))], MONDAY)
    store_lineage([lineage(pipeline, (a, b), sql="select 2")], TUESDAY)
    old, new = SqlVersion.objects.order_by("id")
    assert (old.valid_to, new.valid_from) == (TUESDAY, TUESDAY)
    assert set(TableEdge.objects.values_list("sql_version", "valid_from", "valid_to")) == {
        (old.pk, MONDAY, TUESDAY),
        (new.pk, TUESDAY, None),
    }


def test_other_pipelines_keep_their_edges() -> None:
    one, two, a, b = make_pipeline(), make_pipeline(), make_table(), make_table()
    store_lineage([lineage(one, (a, b)), lineage(two, (b, a))], MONDAY)
    store_lineage([lineage(one, sql="select 2")], TUESDAY)
    end_lineage([], TUESDAY)
    assert current() == {(b.pk, a.pk)}


def test_ended_lineage_has_no_current_version() -> None:
    pipeline, a, b = make_pipeline(), make_table(), make_table()
    store_lineage([lineage(pipeline, (a, b))], MONDAY)
    end_lineage([pipeline.pk], TUESDAY)
    assert current() == set()
    assert SqlVersion.objects.get().valid_to == TUESDAY


def test_every_write_of_edges_raises_the_graphs_version_once() -> None:
    pipeline, a, b = make_pipeline(), make_table(), make_table()
    numbers = []
    for write in (
        lambda: store_lineage([lineage(pipeline, (a, b))], MONDAY),
        lambda: store_declared({pipeline.pk: pairs([a.pk], [b.pk])}, MONDAY),
        lambda: store_declared({pipeline.pk: pairs([a.pk], [b.pk])}, MONDAY),  # nothing new
        lambda: end_lineage([pipeline.pk], TUESDAY),
    ):
        write()
        numbers.append(GraphVersion.objects.get().number)
    assert numbers == [1, 2, 2, 3]


def test_declared_inputs_and_outputs_become_edges(editor: User) -> None:
    pipeline, a, b, c = make_pipeline("load"), make_table("a"), make_table("b"), make_table("c")
    declare_edges(actor=editor, pipeline=pipeline, inputs=[a, b], outputs=[c])
    assert current() == {(a.pk, c.pk), (b.pk, c.pk)}
    declare_edges(actor=editor, pipeline=pipeline, inputs=[a], outputs=[])
    assert current() == {(a.pk, None)}
    declare_edges(actor=editor, pipeline=pipeline, inputs=[], outputs=[])
    assert current() == set()
    entries = HistoryEntry.objects.order_by("id").values_list("actor_name", "before", "after")
    assert list(entries)[0] == ("edith", {"inputs": [], "outputs": []}, {"inputs": ["a", "b"], "outputs": ["c"]})
    assert len(entries) == 3


def test_declaring_the_same_again_records_nothing(editor: User) -> None:
    pipeline, a = make_pipeline(), make_table()
    declare_edges(actor=editor, pipeline=pipeline, inputs=[a], outputs=[])
    declare_edges(actor=editor, pipeline=pipeline, inputs=[a], outputs=[])
    assert (HistoryEntry.objects.count(), TableEdge.objects.count()) == (1, 1)


def test_a_viewer_may_declare_for_what_is_not_theirs_nothing(viewer: User) -> None:
    with pytest.raises(PermissionDenied):
        declare_edges(actor=viewer, pipeline=make_pipeline(), inputs=[make_table()], outputs=[])
    assert not TableEdge.objects.exists()


def test_what_a_person_declared_stays_when_a_file_declares_otherwise(editor: User) -> None:
    pipeline, a, b = make_pipeline(), make_table(), make_table()
    declare_edges(actor=editor, pipeline=pipeline, inputs=[a], outputs=[])
    store_declared({pipeline.pk: pairs([b.pk], [])}, TUESDAY)
    assert current() == {(a.pk, None)}
    declare_edges(actor=editor, pipeline=pipeline, inputs=[], outputs=[])
    store_declared({pipeline.pk: pairs([b.pk], [])}, TUESDAY)
    assert current() == {(b.pk, None)}


def test_edges_read_off_sql_and_declared_ones_leave_each_other_alone() -> None:
    pipeline, a, b = make_pipeline(), make_table(), make_table()
    store_declared({pipeline.pk: pairs([b.pk], [])}, MONDAY)
    store_lineage([lineage(pipeline, (a, b))], MONDAY)
    store_lineage([lineage(pipeline, (a, b), sql="select 2")], TUESDAY)
    store_declared({pipeline.pk: []}, TUESDAY)
    assert current() == {(a.pk, b.pk)}


def test_problems_of_a_file_are_replaced_and_others_stay() -> None:
    pipeline = make_pipeline()
    one, two = FileProblem("a.sql", "parse_error", "error", "No.", 3, 0), FileProblem("b.sql", "x", "warning", "Hm.")
    replace_problems("shop", ["a.sql", "b.sql"], [(one, pipeline.pk), (two, None)], MONDAY)
    replace_problems("other", ["a.sql"], [(one, None)], MONDAY)
    replace_problems("shop", ["a.sql"], [], TUESDAY)
    assert set(Problem.objects.values_list("scope", "path", "line")) == {("shop", "b.sql", None), ("other", "a.sql", 3)}
