"""The shared test set of search: `questions.json` about `catalog.json`, the same answers on every database."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from audits.usage.models import Reader
from audits.usage.services import add_reads
from catalog import search as module
from catalog import search_index
from catalog.models import SearchDocument, Tag
from catalog.search import Hit, search
from tests.factories import make_column, make_owner, make_pipeline, make_sql_version, make_table

HERE = Path(__file__).parent
QUESTIONS = json.loads((HERE / "questions.json").read_text())


@pytest.fixture
def shop(db) -> None:
    """The catalog of the file."""
    _make(json.loads((HERE / "catalog.json").read_text()))
    search_index.rebuild()


def _make(catalog: dict[str, Any]) -> None:
    owners = {slug: make_owner(name, slug=slug) for slug, name in catalog["owners"].items()}
    now = dt.datetime.now(dt.UTC)
    for name, facts in catalog["tables"].items():
        owner = owners.get(facts.get("owner"))
        described = {field: facts[field] for field in ("description", "status") if field in facts}
        table = make_table(name, owner=owner, **described)
        for column in facts["columns"]:
            make_column(column, table)
        table.tags.set(Tag.objects.get_or_create(name=tag)[0] for tag in facts.get("tags", ()))
        if facts.get("reads"):
            reader, _ = Reader.objects.get_or_create(source=table.source, name="ada")
            add_reads([(table.pk, now.date(), reader.pk, facts["reads"], now)])
    for name, facts in catalog["pipelines"].items():
        owner = owners.get(facts.get("owner"))
        pipeline = make_pipeline(name, owner=owner, tier=facts["tier"], description=facts.get("description", ""))
        if "sql" in facts:
            make_sql_version(pipeline, facts["sql"])


def called(hit: Hit) -> str:
    return f"{hit.kind} {hit.name}" + (f" of {hit.table}" if hit.table else "")


@pytest.mark.parametrize("asked", QUESTIONS, ids=[f"{each['why']}: {each['q']}" for each in QUESTIONS])
def test_the_answer_is_the_same_everywhere(asked: dict[str, Any], shop) -> None:
    found = search(asked["q"], asked.get("facets"), limit=50)
    names = [called(hit) for hit in found.hits]
    expected = asked["all"] if "all" in asked else asked["first"]
    assert (names if "all" in asked else names[: len(expected)]) == expected
    assert found.total == len(names)
    assert found.read_as == asked.get("read_as", {})
    if "snippet" in asked:
        assert asked["snippet"] in found.hits[0].snippet.text
        assert found.hits[0].snippet.places


def test_facets_count_the_hits(shop) -> None:
    facets = search("orders").facets
    assert dict(facets["kind"]) == {"table": 5, "column": 1, "pipeline": 2}
    assert dict(facets["status"]) == {"active": 7, "retired": 1}
    assert dict(facets["owner"])["finance"] == 4
    assert dict(facets["tier"]) == {"1": 1, "2": 1}


def test_a_part_of_the_hits_is_a_part_of_the_same_order(shop) -> None:
    whole = [called(hit) for hit in search("order", limit=50).hits]
    assert [called(hit) for hit in search("order", limit=3, offset=2).hits] == whole[2:5]


def test_beginnings_in_texts_are_asked_for_unless_names_have_plenty(db, monkeypatch) -> None:
    names = ["shop.custom_a", "shop.custom_b", "shop.other"]
    tables = [make_table(name) for name in names]
    make_column("customs_id", tables[-1])
    search_index.index("table", [table.pk for table in tables])
    for plenty, facets, found, capped in (
        (3, {}, ["shop.custom_a", "shop.custom_b", "customs_id"], False),
        (2, {}, ["shop.custom_a", "shop.custom_b"], True),
        (2, {"kind": ["column"]}, ["customs_id"], False),
    ):
        monkeypatch.setattr(module, "PLENTY", plenty)
        answer = search("custo", facets)
        assert ([hit.name for hit in answer.hits], answer.capped) == (found, capped)


def test_a_short_beginning_of_many_names_gives_those_indexed_first(db, monkeypatch) -> None:
    """PostgreSQL finds them among the first documents, or else by its index."""
    tables = [make_table(name) for name in ("shop.bacon", "shop.abba", "shop.basil", "shop.bagel")]
    search_index.index("table", [table.pk for table in tables])
    bacon, _, basil, _ = SearchDocument.objects.order_by("id").values_list("id", flat=True)
    for first in (4, 1):
        monkeypatch.setattr(module, "_FIRST", first)
        assert set(module._having([[("nba", True)]], 2)) == {bacon, basil}
        assert [hit.name for hit in search("ab").hits] == ["shop.abba"]


@pytest.mark.parametrize("length", range(2, 16))
def test_a_name_is_found_by_a_beginning_of_any_length(length: int, db) -> None:
    """Those up to nine marks are looked up at once, longer ones among the words that begin so."""
    search_index.index("table", [make_table("shop.customer_reconciliation").pk, make_table("shop.rather_custom").pk])
    beginning = "reconciliation"[:length]
    assert [hit.name for hit in search(beginning).hits] == ["shop.customer_reconciliation"]
    assert [hit.name for hit in search(f"{beginning} cust").hits] == ["shop.customer_reconciliation"]
    assert not search(f"{beginning} rath").hits
    joined = "customerreconciliation"[: 8 + length]
    assert [hit.name for hit in search(joined).hits] == ["shop.customer_reconciliation"]
