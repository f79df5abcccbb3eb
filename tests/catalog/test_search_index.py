"""The search index follows what services write, and a rebuild mends what was written past them."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command

from catalog import search_index, services
from catalog.models import SearchDocument, Table, Tag
from catalog.search import search
from lineage.services import declare_edges
from tests.factories import make_edge, make_owner, make_pipeline, make_problem, make_run, make_source, make_table

pytestmark = pytest.mark.django_db


def found(q: str, **facets: str) -> set[tuple[str, str]]:
    return {(hit.kind, hit.name) for hit in search(q, {name: [value] for name, value in facets.items()}).hits}


def test_what_a_person_registers_and_renames_is_found_at_once(editor) -> None:
    table = services.register_table(actor=editor, source=make_source(), name="shop.orders", tags=["pii"])
    assert found("orders") == {("table", "shop.orders")}
    assert found("pii") == {("tag", "pii")}
    assert found("", tag="pii") == {("table", "shop.orders"), ("tag", "pii")}
    services.change_table(actor=editor, table=table, name="shop.purchases", tags=[])
    assert found("orders") == set()
    assert found("purchases", source=table.source.slug) == {("table", "shop.purchases")}
    assert found("", tag="pii") == {("tag", "pii")}


def test_a_column_is_found_and_described_in_its_table(editor) -> None:
    table = services.register_table(actor=editor, source=make_source(), name="shop.orders")
    services.register_column(actor=editor, table=table, name="amount_eur")
    assert found("amount") == {("column", "amount_eur")}


def test_a_table_is_held_by_the_owners_of_its_builders(editor) -> None:
    pipeline, table, finance = make_pipeline("build"), make_table("shop.orders"), make_owner(slug="finance")
    make_edge(pipeline, target=table)
    services.set_owners(actor=editor, thing=pipeline, role="technical", owners=[finance])
    assert found("", owner="finance") == {("pipeline", "build"), ("table", "shop.orders")}


def test_a_table_that_is_no_longer_declared_loses_its_lent_owner(editor) -> None:
    pipeline, table = make_pipeline("build", owner=make_owner(slug="finance")), make_table("shop.orders")
    declare_edges(actor=editor, pipeline=pipeline, inputs=[], outputs=[table])
    assert found("orders", owner="finance") == {("table", "shop.orders")}
    declare_edges(actor=editor, pipeline=pipeline, inputs=[], outputs=[])
    assert found("orders", owner="finance") == set()


def test_a_renamed_tag_is_renamed_everywhere(editor) -> None:
    services.register_table(actor=editor, source=make_source(), name="shop.orders", tags=["pii"])
    services.change_tag(actor=editor, tag=Tag.objects.get(), name="personal")
    assert found("orders", tag="personal") == {("table", "shop.orders")}
    assert found("orders", tag="pii") == set()


def test_problems_and_the_last_run_of_a_builder_are_known() -> None:
    pipeline, table = make_pipeline("build"), make_table("shop.orders")
    make_edge(pipeline, target=table)
    make_problem(pipeline)
    run = make_run(pipeline)
    search_index.rebuild()
    assert found("", has_problems="true") == {("pipeline", "build"), ("table", "shop.orders")}
    assert [hit.fresh_on for hit in search("orders").hits] == [run.started_at.date()]


def test_a_rebuild_writes_only_what_changed_and_forgets_what_is_gone() -> None:
    for number in range(3):
        make_table(f"shop.orders_{number}")
    assert search_index.rebuild() == 4  # and their source
    assert search_index.rebuild() == 0
    Table.objects.filter(name="shop.orders_0").delete()
    Table.objects.filter(name="shop.orders_1").update(description="The second one")
    assert search_index.rebuild() == 2
    assert found("orders") == {("table", "shop.orders_1"), ("table", "shop.orders_2")}
    assert found("second") == {("table", "shop.orders_1")}


def test_a_rebuild_afresh_finds_the_same(viewer) -> None:
    make_table("shop.orders")
    search_index.rebuild()
    before = list(SearchDocument.objects.order_by("kind").values("kind", "digest"))
    out = StringIO()
    call_command("rebuild_search", "--afresh", "--json", stdout=out)
    counts = json.loads(out.getvalue())
    assert (counts["documents"], counts["changed"]) == (2, 2)
    assert list(SearchDocument.objects.order_by("kind").values("kind", "digest")) == before
    assert found("orders") == {("table", "shop.orders")}
    assert found("ordrs") == {("table", "shop.orders")}


def test_many_that_match_are_capped_and_the_one_of_that_name_is_first() -> None:
    for number in range(510):
        make_table(f"archive.orders_{number}")
    make_table("shop.orders")
    search_index.rebuild()
    results = search("orders")
    assert results.capped
    assert results.hits[0].name == "shop.orders"


def test_a_long_description_is_read_wherever_its_words_are_cut() -> None:
    for length in range(1, 9):  # one of them has a space for the last character that the ranker reads
        make_table(f"shop.t{length}", description=" ".join(f"word{number:0{length}}" for number in range(400)))
    search_index.index("table", Table.objects.values_list("pk", flat=True))
    assert found("word3") == {("table", f"shop.t{length}") for length in (1, 2, 3)}
