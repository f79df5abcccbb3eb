"""Reads of the catalog: owners in force and inherited, disagreements, counts."""

from __future__ import annotations

import pytest

from catalog.models import Origin, Pipeline, Table
from catalog.queries import (
    Disagreement,
    disagreements,
    find_table,
    history_of,
    owner_names_of,
    owners_of,
    owners_with_fallback,
    sources_with_counts,
    with_owners,
)
from catalog.services import change_table
from tests.factories import make_owner, make_pipeline, make_source, make_table, own

pytestmark = pytest.mark.django_db


def test_stated_owners_come_before_ingested_ones_role_by_role() -> None:
    pipeline = make_pipeline()
    read, stated, asks = make_owner("read"), make_owner("stated"), make_owner("asks")
    own(pipeline, read, "technical", Origin.INGEST)
    own(pipeline, asks, "business", Origin.INGEST)
    own(pipeline, stated, "technical")
    owners = owners_of(pipeline)
    assert (owners.business, owners.technical, owners.inherited_from) == ((asks,), (stated,), ())


def test_no_owner_is_a_falsehood() -> None:
    assert not owners_of(make_pipeline())
    assert owners_of(make_pipeline(owner=make_owner()))


def test_a_table_inherits_what_it_lacks_role_by_role() -> None:
    mine, theirs, asks = make_owner(), make_owner(), make_owner()
    table, builder = make_table(owner=mine), make_pipeline(owner=theirs)
    own(builder, asks, "business")
    owners = owners_with_fallback(table, [builder])
    assert (owners.business, owners.technical, owners.inherited_from) == ((asks,), (mine,), (builder,))


def test_a_table_with_both_owners_inherits_none() -> None:
    table = make_table(owner=make_owner())
    own(table, make_owner(), "business")
    assert owners_with_fallback(table, [make_pipeline(owner=make_owner())]).inherited_from == ()


def test_a_builder_without_owners_passes_none_on() -> None:
    owners = owners_with_fallback(make_table(), [make_pipeline()])
    assert (bool(owners), owners.inherited_from) == (False, ())


def test_owners_of_two_builders_are_named_once() -> None:
    owner = make_owner()
    owners = owners_with_fallback(make_table(), [make_pipeline(owner=owner), make_pipeline(owner=owner)])
    assert owners.technical == (owner,)


def test_only_the_builders_whose_owners_count_are_named() -> None:
    owned, unowned = make_pipeline(owner=make_owner()), make_pipeline()
    assert owners_with_fallback(make_table(), [owned, unowned]).inherited_from == (owned,)


def test_owners_of_a_list_cost_two_queries(django_assert_num_queries) -> None:
    for _ in range(5):
        make_pipeline(owner=make_owner())
    with django_assert_num_queries(2):
        assert all(owners_of(pipeline) for pipeline in with_owners(Pipeline.objects.all()))


def test_owners_of_a_list_by_name_are_those_of_each_thing(django_assert_num_queries) -> None:
    pipelines = [make_pipeline(), make_pipeline(owner=make_owner("Bo", status="left"))]
    own(pipelines[1], make_owner("Ada"), "technical")
    own(pipelines[1], make_owner("read"), "technical", Origin.INGEST)
    with django_assert_num_queries(1):
        found = owner_names_of("pipeline", [pipeline.pk for pipeline in pipelines])
    assert not found[pipelines[0].pk]
    shown = [(each.name, each.status, each.get_absolute_url()) for each in found[pipelines[1].pk].technical]
    theirs = owners_of(pipelines[1]).technical
    assert shown == [(each.name, each.status, each.get_absolute_url()) for each in theirs]


def test_what_a_person_and_an_ingest_say_differently() -> None:
    table = make_table(
        description="mine",
        kind="view",
        stated_fields=["description", "kind"],
        ingested={"description": "theirs", "kind": "view", "row_count": 3},
    )
    assert disagreements(table) == [Disagreement("description", "mine", "theirs")]


def test_history_is_of_the_thing_and_newest_first(editor) -> None:
    table, other = make_table(), make_table()
    for text in ("a", "b"):
        change_table(actor=editor, table=table, description=text)
    change_table(actor=editor, table=other, description="c")
    assert [entry.after for entry in history_of(table)] == [{"description": "b"}, {"description": "a"}]
    assert len(history_of(table, limit=1)) == 1


def test_tables_are_found_by_source_and_name() -> None:
    make_table("t")
    there = make_table("t", source=make_source("lake"))
    assert find_table("lake", "t") == there
    with pytest.raises(Table.DoesNotExist):
        find_table("warehouse", "u")


def test_sources_with_the_number_of_their_tables() -> None:
    make_source("empty")
    make_table()
    make_table()
    assert {source.slug: source.table_count for source in sources_with_counts()} == {"empty": 0, "warehouse": 2}
