"""The lineage page: picture and list of the same walk, all of it in the address."""

from __future__ import annotations

import datetime as dt

import pytest

from lineage.models import ColumnEdge, EdgeOrigin
from lineage.snapshot import bump_graph_version
from tests.factories import NOON, make_column, make_edge, make_pipeline, make_table
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db

URL = "/tables/warehouse/b/lineage/"


@pytest.fixture
def chain():
    """a -> b -> c -> d, each by a pipeline of its own, and a wide fan from c."""
    tables = [make_table(name) for name in "abcd"]
    for source, target in zip(tables, tables[1:], strict=False):
        make_edge(make_pipeline(f"{source}_to_{target}"), source, target)
    fan = make_pipeline("fan")
    for _ in range(4):
        make_edge(fan, tables[2], make_table())
    return tables


def make_column_edge(source, target, **facts) -> None:
    facts = {"kind": "IDENTITY", "target_column": target, **facts}
    ColumnEdge.objects.create(
        pipeline=make_pipeline(),
        source_table=source.table,
        source_column=source,
        target_table=target.table,
        basis="parsed",
        statement=0,
        origin=EdgeOrigin.SQL,
        valid_from=NOON,
        **facts,
    )


def drawn(response) -> set[str]:
    """Names in the picture."""
    return {box.title for box in response.context["picture"].boxes}


def listed(response) -> set[str]:
    """Names in the list."""
    return {node.label for _, nodes in response.context["hops"] for node, _ in nodes}


def test_one_hop_both_ways_by_default_with_counts_of_what_is_folded(chain, viewer, signed_in) -> None:
    response = signed_in(viewer).get(URL)
    assert drawn(response) == listed(response) == {"a", "a_to_b", "b", "b_to_c", "c"}
    page = response.content.decode()
    assert "5 more downstream of c" in page
    assert ">+5</text>" in page


def test_depth_and_direction_are_in_the_address(chain, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    assert drawn(browser.get(URL, {"direction": "upstream"})) == {"a", "a_to_b", "b"}
    assert {"c", "d"} < drawn(browser.get(URL, {"direction": "downstream", "depth": 2}))
    assert "depth=3" in browser.get(URL, {"depth": 2}).content.decode()


def test_the_list_goes_hop_by_hop(chain, viewer, signed_in) -> None:
    hops = signed_in(viewer).get(URL).context["hops"]
    assert [words for words, _ in hops] == ["1 hop upstream", "Here", "1 hop downstream"]


def test_around_a_pipeline(chain, viewer, signed_in) -> None:
    assert drawn(signed_in(viewer).get("/pipelines/b_to_c/lineage/")) >= {"b", "b_to_c", "c"}


def test_pipelines_fold_into_lines_where_that_invents_nothing(viewer, signed_in) -> None:
    a, b, c, d = (make_table(name) for name in "abcd")
    to_b, both = make_pipeline("to_b"), make_pipeline("both")
    make_edge(to_b, a, b)
    for source, target in ((b, c), (b, d), (a, d)):  # not (a, c)
        make_edge(both, source, target)
    browser = signed_in(viewer)
    lines = browser.get(URL, {"pipelines": "folded", "depth": 2}).context["picture"].lines
    arrows = {(line.arrow.source.split(":")[-1], line.arrow.target.split(":")[-1], line.arrow.via) for line in lines}
    assert ("a", "b", "to_b") in arrows
    assert ("a", "c", "both") not in arrows
    assert {("b", "both", "both"), ("both", "c", "both")} < arrows


def test_conditions_are_drawn_when_asked_for(viewer, signed_in) -> None:
    source, target = (make_column("id", make_table(name)) for name in "ab")
    make_column_edge(source, target, kind="JOIN", target_column=None)
    browser = signed_in(viewer)
    assert "No lineage is known here" in text_of(browser.get(URL, {"grain": "column"}))
    assert drawn(browser.get(URL, {"grain": "column", "edges": "all"})) == {"a", "b"}


def test_as_of_a_date_before_anything_was_known(chain, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    before = (NOON - dt.timedelta(days=2)).date().isoformat()
    assert "Nothing was known at that date" in text_of(browser.get(URL, {"at": before}))
    assert drawn(browser.get(URL, {"at": NOON.date().isoformat()})) == {"a", "a_to_b", "b", "b_to_c", "c"}


def test_a_columns_path_both_ways(viewer, signed_in) -> None:
    columns = [make_column("id", make_table(name)) for name in "abc"]
    make_column("other", columns[1].table)
    for source, target in zip(columns, columns[1:], strict=False):
        make_column_edge(source, target)
    response = signed_in(viewer).get(URL, {"grain": "column", "column": "id"})
    boxes = {box.title: [row.text for row in box.rows] for box in response.context["picture"].boxes}
    assert boxes == {"a": ["id"], "b": ["id"], "c": ["id"]}
    assert signed_in(viewer).get(URL, {"column": "nowhere"}).status_code == 404


@pytest.mark.parametrize("query", [{"depth": "x"}, {"depth": "99"}, {"direction": "sideways"}, {"at": "yesterday"}])
def test_what_cannot_be_read_says_so_and_the_rest_is_shown(query, chain, viewer, signed_in) -> None:
    response = signed_in(viewer).get(URL, query)
    assert response.context["form"].errors
    assert 'class="errorlist"' in response.content.decode()
    assert "b" in drawn(response)


def test_nothing_known_is_said_in_words(viewer, signed_in) -> None:
    make_table("b")
    assert "No lineage is known here" in text_of(signed_in(viewer).get(URL))


def test_more_than_can_be_drawn_says_how_much_is(viewer, signed_in) -> None:
    hub, pipeline = make_table("b"), make_pipeline()
    for _ in range(170):
        make_edge(pipeline, hub, make_table())
    bump_graph_version()
    assert "Drawn 150 of 171" in text_of(signed_in(viewer).get(URL))
