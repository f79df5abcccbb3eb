"""Node ids: what they spell, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.nodes import NodeId, find
from tests.factories import make_column, make_pipeline, make_source, make_table

names = st.text(min_size=1, max_size=30).filter(lambda name: name.isprintable())


@given(st.sampled_from(["table", "pipeline", "column"]), names, names, names)
def test_parsing_undoes_spelling(kind, name, source, column):
    parts = {
        "table": {"source": source},
        "pipeline": {},
        "column": {"source": source, "column": column},
    }[kind]
    node_id = NodeId(kind, name, **parts)
    assert NodeId.parse(str(node_id)) == node_id


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("table:shop:main.orders", NodeId("table", "main.orders", "shop")),
        ("table:lake:s3://bucket/a:b", NodeId("table", "s3://bucket/a:b", "lake")),
        ("pipeline:sql/a:b", NodeId("pipeline", "sql/a:b")),
        ("column:shop:s3%3A//bucket:id", NodeId("column", "s3://bucket", "shop", "id")),
    ],
)
def test_colons_may_stand_as_they_are_after_the_second(text, meant):
    assert NodeId.parse(text) == meant


@pytest.mark.parametrize(
    "text", ["", "orders", "table:", "table:shop", "table::x", "column:a:b", "column:a:b:", "run:a:b", "pipeline:"]
)
def test_what_is_no_node_id_is_refused_in_words(text):
    with pytest.raises(ValueError, match="is not a node id: write table:"):
        NodeId.parse(text)


def test_the_character_nul_is_refused():
    with pytest.raises(ValueError, match="NUL"):
        NodeId.parse("pipeline:a%00b")


@pytest.mark.django_db
def test_a_thing_is_found_by_its_own_node_id():
    source = make_source("s3-lake")
    table = make_table("s3://bucket/a b:c", source=source)
    column = make_column("päth:x", table=table)
    pipeline = make_pipeline("dags/load:daily")
    for thing in (table, column, pipeline):
        assert find(NodeId.parse(thing.node)) == thing
        assert str(NodeId.parse(thing.node)) == thing.node


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("table:shop:orders", "no table orders in source shop"),
        ("pipeline:load", "no pipeline load"),
        ("column:shop:orders:id", "no column id of table orders in source shop"),
    ],
)
def test_what_is_not_there_is_said_in_words(text, words):
    with pytest.raises(LookupError, match=words):
        find(NodeId.parse(text))
