"""What the lineage page does beyond one walk: fold and unfold, filter, group, mark, and take away."""

from __future__ import annotations

import csv
import datetime as dt
import json
import xml.etree.ElementTree as ElementTree

import pytest

from audits.checks.models import Check
from audits.postmortems.models import Hit, Incident
from audits.usage.models import LoggedEdge, Reader
from catalog import search_index
from catalog.models import Tag
from tests.factories import (
    NOON,
    make_column,
    make_edge,
    make_owner,
    make_pipeline,
    make_problem,
    make_source,
    make_table,
)
from tests.pages.reading import text_of
from tests.pages.test_lineage_pages import URL, drawn, listed, make_column_edge

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain():
    """a -> b -> c -> d -> e by pipelines of their own, and x -> c."""
    tables = {name: make_table(name) for name in "abcdex"}
    for source, target in ("ab", "bc", "cd", "de", "xc"):
        make_edge(make_pipeline(f"{source}_to_{target}"), tables[source], tables[target])
    return tables


def handle(response, of: str, side: str, fold: bool = False) -> str:
    """The address behind the "+" or "−" of a box."""
    [box] = [box for box in response.context["picture"].boxes if box.title == of]
    [handle] = [each for each in getattr(box, side) if each.is_fold == fold]
    return URL + handle.url


def tables_of(response) -> set[str]:
    return {name for name in drawn(response) if len(name) == 1}


def test_a_box_is_unfolded_in_place_and_folded_again(chain, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    first = browser.get(URL)
    assert tables_of(first) == set("abc")
    opened = browser.get(handle(first, "c", "downstream"))
    assert tables_of(opened) == set("abcd")
    further = browser.get(handle(opened, "d", "downstream"))
    assert tables_of(further) == set("abcde")
    assert listed(further) >= set("abcde")
    assert tables_of(browser.get(handle(further, "d", "downstream", fold=True))) == set("abcd")


def test_the_other_side_of_a_neighbour_is_unfolded_too(chain, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    opened = browser.get(handle(browser.get(URL), "c", "upstream"))
    assert tables_of(opened) == set("abcx")


def test_what_the_depth_shows_is_folded_by_hand_and_shown_again(chain, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    deep = browser.get(URL, {"depth": 3})
    assert tables_of(deep) == set("abcde")
    folded = browser.get(handle(deep, "c", "downstream", fold=True))
    assert tables_of(folded) == set("abc")
    assert ">+1</text>" in folded.content.decode()
    assert tables_of(browser.get(handle(folded, "c", "downstream"))) == set("abcde")


@pytest.mark.parametrize("sides", ["t1", "x1d", "t0d", "t1d,zz", ",".join(["t1d"] * 51), "t99999999999999999999d"])
def test_sides_that_cannot_be_read_say_so(sides, chain, viewer, signed_in) -> None:
    response = signed_in(viewer).get(URL, {"open": sides})
    assert "errorlist" in response.content.decode()
    assert "b" in drawn(response)


def test_filters_hide_what_does_not_fit_and_count_it(chain, viewer, signed_in) -> None:
    finance = make_owner(slug="finance")
    other = make_table("z", source=make_source("lake"), owner=finance, kind="view")
    make_edge(make_pipeline("z_to_b"), other, chain["b"])
    chain["a"].tags.add(Tag.objects.create(name="pii"))
    search_index.rebuild()
    browser = signed_in(viewer)
    for query in ({"source": "lake"}, {"owner": "finance"}, {"kind": "view"}):
        response = browser.get(URL, query)
        assert drawn(response) == listed(response) == {"z", "z_to_b", "b"}
        assert "2 hidden by filters" in text_of(response)
    assert tables_of(browser.get(URL, {"tag": "pii"})) == {"a", "b"}
    assert tables_of(browser.get(URL, {"tag": "pii", "source": "lake"})) == {"b"}


def test_a_schema_is_one_box_until_it_is_taken_apart(viewer, signed_in) -> None:
    start, pipeline = make_table("b"), make_pipeline("fan")
    for name in ("mart.one", "mart.two", "mart.three", "other.single"):
        make_edge(pipeline, start, make_table(name))
    browser = signed_in(viewer)
    response = browser.get(URL, {"group": "schema"})
    [group] = [box for box in response.context["picture"].boxes if box.node.kind == "group"]
    assert (group.box.prefix, group.box.text) == ("mart", "3 tables")
    ends = {
        (line.arrow.source.split(":")[-1], line.arrow.target.split(":")[-1])
        for line in response.context["picture"].lines
    }
    assert ends == {("b", "mart"), ("b", "other.single")}
    apart = browser.get(URL + group.url)
    assert {"mart.one", "mart.two", "mart.three"} < drawn(apart)


def test_what_is_amiss_is_marked_in_picture_and_list(chain, viewer, signed_in) -> None:
    Check.objects.create(table=chain["a"], kind="row_count", name="rows", state="fail")
    incident = Incident.objects.create(title="Wrong", started_at=NOON, detected_at=NOON, opened_by_name="ada")
    Hit.objects.create(incident=incident, kind="table", node=chain["c"].node, name="c", table=chain["c"])
    make_problem(make_pipeline_of(chain["b"]))
    response = signed_in(viewer).get(URL)
    marks = {box.title: [mark.code for mark in box.marks] for box in response.context["picture"].boxes if box.marks}
    assert marks == {"a": ["check"], "c": ["incident"], "b": ["problem"], "a_to_b": ["problem"]}
    text = text_of(response)
    assert "a check fails" in text
    assert "in an open incident" in text
    Incident.objects.update(status="resolved", resolved_at=NOON)
    assert "in an open incident" not in text_of(signed_in(viewer).get(URL))


def make_pipeline_of(table):
    return table.edges_in.get().pipeline


def test_edges_that_only_a_log_knows_are_drawn_and_said_to_be(chain, viewer, signed_in) -> None:
    source = chain["b"].source
    reader = Reader.objects.create(source=source, name="ada@example.com")
    scratch = make_table("scratch")
    LoggedEdge.objects.create(
        source=source, source_name="b", target_name="scratch", source_table=chain["b"], target_table=scratch,
        reader=reader, count=3, first_at=NOON, last_at=NOON,
    )  # fmt: skip
    browser = signed_in(viewer)
    response = browser.get(URL)
    assert "scratch" in drawn(response) & listed(response)
    assert "only query logs know of it" in text_of(response)
    assert "ada@example.com" not in response.content.decode()
    assert "scratch" not in drawn(browser.get(URL, {"direction": "upstream"}))
    assert "scratch" not in drawn(browser.get(URL, {"at": dt.date.today().isoformat()}))


def test_the_list_is_sorted_by_any_of_its_facts(chain, viewer, signed_in) -> None:
    [(_, nodes)] = signed_in(viewer).get(URL, {"sort": "name"}).context["hops"]
    labels = [node.label for node, _ in nodes]
    assert labels == sorted(labels)
    [(_, nodes)] = signed_in(viewer).get(URL, {"sort": "down"}).context["hops"]
    assert nodes[0][0].label == "c"


def test_every_export_holds_what_is_drawn(chain, viewer, signed_in) -> None:
    browser = signed_in(viewer)

    def export(form: str, **query: str) -> bytes:
        response = browser.get(URL, {"as": form, **query})
        assert response.headers["Content-Disposition"].startswith('attachment; filename="lineage-b.')
        return b"".join(response.streaming_content) if response.streaming else response.content

    rows = list(csv.DictReader(export("csv").decode().splitlines()))
    assert {(row["name"], row["hops"], row["directly from"]) for row in rows} >= {("b", "0", "a_to_b"), ("a", "-1", "")}
    assert {node["label"] for node in json.loads(export("json"))["nodes"]} == {"a", "a_to_b", "b", "b_to_c", "c"}
    graphml = ElementTree.fromstring(export("graphml"))
    assert len(graphml.findall(".//{*}node")) == 5
    assert len(graphml.findall(".//{*}edge")) == 4
    assert export("mermaid").decode().count("-->") == 4
    assert export("dot").decode().count("->") == 4
    assert ElementTree.fromstring(export("svg")).tag.endswith("svg")
    assert export("png").startswith(b"\x89PNG")
    jobs = {event["job"]["name"]: event for event in json.loads(export("openlineage"))}
    assert jobs["a_to_b"]["inputs"] == [{"namespace": "warehouse", "name": "a"}]
    assert jobs["a_to_b"]["outputs"] == [{"namespace": "warehouse", "name": "b"}]
    assert b"b_to_c" not in export("mermaid", direction="upstream")


def test_columns_are_exported_to_openlineage_as_its_facet(viewer, signed_in) -> None:
    source, target = make_column("id", make_table("a")), make_column("key", make_table("b"))
    make_column_edge(source, target)
    make_column_edge(source, target, kind="FILTER", target_column=None)
    response = signed_in(viewer).get(URL, {"as": "openlineage", "grain": "column", "edges": "all"})
    facets = [event["outputs"][0]["facets"]["columnLineage"] for event in response.json()]
    [field] = [facet["fields"]["key"]["inputFields"][0] for facet in facets if facet["fields"]]
    assert field == {
        "namespace": "warehouse",
        "name": "a",
        "field": "id",
        "transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}],
    }
    [influence] = [facet["dataset"][0] for facet in facets if "dataset" in facet]
    assert influence["transformations"] == [{"type": "INDIRECT", "subtype": "FILTER"}]


def test_names_cannot_break_out_of_an_export(viewer, signed_in) -> None:
    evil = make_table('"];=cmd <script>&\\')
    make_edge(make_pipeline("=1+1"), evil, make_table("b"))
    browser = signed_in(viewer)
    for form in ("svg", "graphml"):
        ElementTree.fromstring(browser.get(URL, {"as": form}).content)
    assert browser.get(URL, {"as": "png"}).content.startswith(b"\x89PNG")
    assert '["#quot;];=cmd #lt;script#gt;' in browser.get(URL, {"as": "mermaid"}).content.decode()
    assert "'=1+1" in b"".join(browser.get(URL, {"as": "csv"}).streaming_content).decode()
