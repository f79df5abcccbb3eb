"""Writes of ingested facts: few queries, a person's word is never overwritten, what is no longer stated goes."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog import services
from catalog.facts import ColumnFact, Owned, OwnerFact, PipelineFact, SourceFact, TableFact
from catalog.ingested import (
    ensure_columns,
    ensure_tables,
    retire,
    store_columns,
    store_owners,
    store_pipelines,
    store_sources,
    store_tables,
)
from catalog.models import Column, Owner, Pipeline, Source, Table
from tests.factories import make_column, make_owner, make_pipeline, make_source, make_table

pytestmark = pytest.mark.django_db


def columns_of(table: Table) -> list[tuple[str, int | None, str, str]]:
    return sorted(table.columns.values_list("name", "position", "type", "description"))


def test_a_source_is_made_once_and_only_a_declaration_changes_it() -> None:
    fact = SourceFact("wh", "Warehouse", "duckdb", dialect="duckdb")
    ids = store_sources([fact])
    store_sources([SourceFact("wh", "Other", "bigquery")])
    assert Source.objects.get(pk=ids["wh"]).name == "Warehouse"
    store_sources([SourceFact("wh", "Other", "bigquery", declared=True)])
    assert Source.objects.get().platform == "bigquery"


def test_an_owner_only_named_changes_nobody() -> None:
    make_owner("Ann Lee", slug="ann", email="ann@example.com")
    ids = store_owners([OwnerFact("ann-example-com", "ann@example.com", "person", "ANN@example.com")])
    assert list(Owner.objects.values_list("id", "name")) == [(ids["ann-example-com"], "Ann Lee")]
    store_owners([OwnerFact("ann-l", "Ann L.", "person", "ann@example.com", status="left", declared=True)])
    assert list(Owner.objects.values_list("name", "status")) == [("Ann L.", "left")]


def test_a_persons_word_on_an_owner_stays() -> None:
    ann = services.register_owner(actor=None, name="Ann", email="ann@example.com", status="left")
    store_owners([OwnerFact("ann", "Ann", "person", "ann@example.com", declared=True)])
    ann.refresh_from_db()
    assert (ann.status, ann.ingested["status"]) == ("left", "active")


def test_what_is_no_longer_stated_goes_back_to_its_default() -> None:
    owners = store_owners([OwnerFact("ann", "Ann"), OwnerFact("bo", "Bo")])
    stated = {"tier": 2, "schedule": "daily", "kind": "summary"}
    store_pipelines([PipelineFact("p", "p.sql", stated, Owned(technical=("ann",)), ("a", "b"))], owners, "shop")
    store_pipelines([PipelineFact("p", "p.sql", {"tier": 3}, Owned(business=("bo",)), ("b",))], owners, "shop")
    found = Pipeline.objects.get()
    assert (found.tier, found.schedule) == (3, "")
    assert found.kind == "summary"  # read off SQL, which was perhaps not looked at
    assert [(str(one.owner), one.role) for one in found.ownerships.all()] == [("Bo", "business")]
    assert [tag.name for tag in found.tags.all()] == ["b"]


def test_nothing_is_taken_away_when_the_evidence_is_suspect() -> None:
    owners = store_owners([OwnerFact("ann", "Ann")])
    store_pipelines([PipelineFact("p", "p.sql", {"tier": 2}, Owned(technical=("ann",)), ("a",))], owners, "shop")
    store_pipelines([PipelineFact("p", "p.sql", {"schedule": "daily"})], owners, "shop", keep_missing=True)
    found = Pipeline.objects.get()
    assert (found.tier, found.schedule, found.ownerships.count(), found.tags.count()) == (2, "daily", 1, 1)


def test_a_pipeline_of_another_scope_is_left_alone() -> None:
    store_pipelines([PipelineFact("p", "p.sql", {"tier": 2})], {}, "one")
    assert store_pipelines([PipelineFact("p", "p.sql", {"tier": 4})], {}, "two") == {}
    assert Pipeline.objects.get().tier == 2


def test_unchanged_facts_cost_the_same_few_queries_however_many_there_are() -> None:
    def queries(number: int) -> int:
        facts = [PipelineFact(f"p{n}", f"p{n}.sql", {"tier": 2}, tags=("a",)) for n in range(number)]
        store_pipelines(facts, {}, "shop")
        with CaptureQueriesContext(connection) as captured:
            store_pipelines(facts, {}, "shop")
        return len(captured)

    assert queries(10) == queries(40) <= 4


def test_a_text_too_long_for_its_field_is_cut() -> None:
    store_pipelines([PipelineFact("p", "p.sql", {"schedule": "x" * 500})], {}, "shop")
    assert len(Pipeline.objects.get().schedule) == 100


def test_retention_that_a_person_stated_is_not_contradicted() -> None:
    source = make_source("wh")
    table = make_table("t", source)
    services.change_table(actor=None, table=table, retention_days=30)
    store_tables([TableFact("wh", "t", {"keep_forever": True})], {"wh": source.pk}, {}, "shop")
    table.refresh_from_db()
    assert (table.retention_days, table.keep_forever, table.ingested["keep_forever"]) == (30, False, True)


def test_tables_that_sql_names_are_made_once() -> None:
    source = make_source("wh")
    known = make_table("a", source)
    ids = ensure_tables({("wh", "a"), ("wh", "b")}, {"wh": source.pk}, "shop")
    assert ids[("wh", "a")] == known.pk
    assert ensure_tables({("wh", "a"), ("wh", "b")}, {"wh": source.pk}, "shop") == ids
    assert Table.objects.get(name="b").origin == "ingest"


def test_a_schema_gives_places_and_one_that_is_dropped_loses_its_own() -> None:
    table = make_table()
    store_columns({table.pk: [ColumnFact("a", "INT", "First"), ColumnFact("b", "TEXT", "")]})
    store_columns({table.pk: [ColumnFact("b", "VARCHAR", ""), ColumnFact("c", "INT", "")]})
    assert columns_of(table) == [("a", None, "INT", "First"), ("b", 1, "VARCHAR", ""), ("c", 2, "INT", "")]


def test_what_is_only_spoken_of_keeps_place_and_type() -> None:
    table = make_table()
    store_columns({table.pk: [ColumnFact("a", "INT"), ColumnFact("b", "TEXT")]})
    store_columns({table.pk: [ColumnFact("b", description="Said", is_primary_key=True, listed=False)]})
    assert columns_of(table) == [("a", 1, "INT", ""), ("b", 2, "TEXT", "Said")]
    assert table.columns.get(name="b").is_primary_key


def test_a_persons_word_on_a_column_stays() -> None:
    column = make_column("a", type="INT")
    services.change_column(actor=None, column=column, description="By hand")
    store_columns({column.table_id: [ColumnFact("a", "BIGINT", "By file")]})
    column.refresh_from_db()
    assert (column.description, column.type, column.ingested["description"]) == ("By hand", "BIGINT", "By file")


def test_a_type_too_long_is_cut_with_a_mark() -> None:
    table = make_table()
    store_columns({table.pk: [ColumnFact("a", f"STRUCT<{'x' * 2000}>")]})
    type_ = table.columns.get().type
    assert len(type_) == 1000
    assert type_.endswith("…")


def test_columns_that_only_lineage_names_have_no_place() -> None:
    table = make_table()
    known = make_column("a", table)
    ids = ensure_columns({table.pk: {"a", "b"}})
    assert ids[table.pk]["a"] == known.pk
    assert Column.objects.get(pk=ids[table.pk]["b"]).position is None
    assert ensure_columns({table.pk: {"a", "b"}}) == ids


def test_only_what_an_ingest_stated_is_retired() -> None:
    store_pipelines([PipelineFact("mine", "m.sql"), PipelineFact("spoken-of", "s.sql")], {}, "shop")
    services.change_pipeline(actor=None, pipeline=Pipeline.objects.get(name="spoken-of"), status="paused")
    make_pipeline("registered")
    assert retire(Pipeline.objects.all(), "shop") == 1
    assert dict(Pipeline.objects.values_list("name", "status")) == {
        "mine": "retired",
        "spoken-of": "paused",
        "registered": "active",
    }
    store_pipelines([PipelineFact("mine", "m.sql")], {}, "shop")
    assert Pipeline.objects.get(name="mine").status == "active"
