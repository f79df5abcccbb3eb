"""Pictures: boxes large enough, left to right, arrows that end where they should; no database."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass

import pytest

from lineage import layout as module
from lineage.layout import Picture, layout


@dataclass(frozen=True)
class Node:
    id: str
    label: str = ""
    kind: str = "table"
    distance: int = 0
    table: str = ""
    table_label: str = ""


@dataclass(frozen=True)
class Edge:
    source: str
    target: str
    via: str = "job"
    kind: str = "reads"


def draw(*arrows: str) -> Picture:
    """`draw("a b", "b c")`: the picture of a -> b -> c."""
    edges = [Edge(*arrow.split()) for arrow in arrows]
    names = dict.fromkeys(name for edge in edges for name in (edge.source, edge.target))
    return layout([Node(name, name) for name in names], edges)


def boxes_of(picture: Picture) -> dict:
    return {box.id: box for box in picture.boxes}


def ends_of(path: str) -> tuple[tuple[float, float], tuple[float, float]]:
    points = [tuple(map(float, point)) for point in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path)]
    return points[0], points[-1]


def test_data_flows_from_left_to_right():
    boxes = boxes_of(draw("raw staged", "staged report", "raw report"))
    assert boxes["raw"].x + boxes["raw"].width < boxes["staged"].x
    assert boxes["staged"].x + boxes["staged"].width < boxes["report"].x


def test_boxes_lie_within_the_picture_and_never_overlap():
    picture = draw(*(f"hub t{number}" for number in range(30)), *(f"s{number} hub" for number in range(9)))
    for box in picture.boxes:
        assert box.x >= 0 and box.x + box.width <= picture.width
        assert box.y >= 0 and box.y + box.height <= picture.height
    pairs = [(one, other) for one in picture.boxes for other in picture.boxes if one.id < other.id]
    for one, other in pairs:
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y


def test_an_arrow_starts_at_the_right_of_its_source_and_ends_at_the_left_of_its_target():
    picture = draw("raw staged", "staged report", "raw report")
    boxes = boxes_of(picture)
    for arrow in picture.arrows:
        source, target = boxes[arrow.source], boxes[arrow.target]
        start, end = ends_of(arrow.path)
        assert start == pytest.approx((source.x + source.width, source.y + source.height / 2), abs=1)
        assert end == pytest.approx((target.x, target.y + target.height / 2), abs=1)


def test_columns_are_rows_in_the_box_of_their_table():
    nodes = [
        Node("t", "all rows", "rows", table="t", table_label="shop.orders"),
        Node("t.b", "b", "column", table="t", table_label="shop.orders"),
        Node("t.a", "a", "column", table="t", table_label="shop.orders"),
        Node("u.x", "x", "column", table="u", table_label="report"),
    ]
    picture = layout(nodes, [Edge("t.a", "u.x"), Edge("t.b", "u.x")])
    table = boxes_of(picture)["t"]
    assert (table.kind, table.prefix, table.text) == ("table", "shop", "orders")
    assert [row.text for row in table.rows] == ["all rows", "a", "b"]
    assert table.rows[-1].y + table.rows[-1].height == pytest.approx(table.y + table.height, abs=1)
    rows = {row.id: row for box in picture.boxes for row in box.rows}
    for arrow in picture.arrows:
        start, end = ends_of(arrow.path)
        for point, row in ((start, rows[arrow.source]), (end, rows[arrow.target])):
            assert point[1] == pytest.approx(row.y + row.height / 2, abs=1)


def test_a_box_is_wide_enough_for_its_name_and_a_long_name_keeps_its_end():
    picture = layout([Node("a", "a"), Node("b", "shop.a_much_longer_name"), Node("c", "x" * 90 + "_the_end")], [])
    boxes = boxes_of(picture)
    assert boxes["a"].width < boxes["b"].width < boxes["c"].width
    assert boxes["c"].text.startswith("…") and boxes["c"].text.endswith("_the_end")
    assert len(boxes["c"].text) == 36


def test_a_circle_and_a_loop_can_be_drawn():
    picture = draw("a b", "b a", "a a")
    assert len(picture.boxes) == 2
    assert len(picture.arrows) == 3


def test_parallel_edges_of_different_kinds_are_arrows_of_their_own():
    nodes = [Node("a", "a"), Node("b", "b")]
    picture = layout(nodes, [Edge("a", "b", kind="IDENTITY"), Edge("a", "b", kind="FILTER")])
    assert {arrow.kind for arrow in picture.arrows} == {"IDENTITY", "FILTER"}


def test_names_are_never_read_as_markup_or_attributes():
    odd = 'a"]<b>&\\n{|}%s'
    assert layout([Node(odd, odd), Node("b", "b")], [Edge(odd, "b")]).boxes[0].text == odd


def test_beyond_the_cap_the_farthest_are_left_out_and_counted():
    nodes = [Node(f"t{number}", f"t{number}", distance=number) for number in range(10)]
    edges = [Edge(f"t{number}", f"t{number + 1}") for number in range(9)]
    picture = layout(nodes, edges, max_nodes=4)
    assert [box.id for box in picture.boxes] == ["t0", "t1", "t2", "t3"]
    assert len(picture.arrows) == 3
    assert picture.left_out == 6


def test_edges_beyond_the_cap_are_counted(monkeypatch):
    monkeypatch.setattr(module, "MAX_EDGES", 3)
    picture = draw(*(f"hub t{number}" for number in range(5)))
    assert (len(picture.arrows), picture.edges_left_out) == (3, 2)


def test_in_a_large_picture_arrows_are_curves_between_the_same_sides(monkeypatch):
    monkeypatch.setattr(module, "MAX_ROUTED", 3)
    picture = draw(*(f"hub target{number}" for number in range(6)))
    boxes = boxes_of(picture)
    assert len(picture.arrows) == 6
    for arrow in picture.arrows:
        hub, target = boxes["hub"], boxes[arrow.target]
        assert ends_of(arrow.path) == (
            pytest.approx((hub.x + hub.width, hub.y + hub.height / 2), abs=1),
            pytest.approx((target.x, target.y + target.height / 2), abs=1),
        )


def test_a_dense_graph_is_drawn_in_moderate_time():
    nodes = [Node(f"t{number}", f"t{number}", distance=number % 12) for number in range(150)]
    edges = [Edge(f"t{one}", f"t{other}") for one in range(150) for other in range(one + 1, 150, 7)]
    started = time.monotonic()
    assert len(layout(nodes, edges).arrows) == 1500
    assert time.monotonic() - started < 10  # it was more than a minute


def test_nothing_is_an_empty_picture():
    assert layout([], []) == Picture(0, 0, (), ())


def test_the_same_graph_is_laid_out_once():
    assert draw("once again") is draw("once again")


def test_threads_may_lay_out_at_once():
    pictures: list[Picture] = []
    arrows = [[f"a{thread} b{number}" for number in range(40)] for thread in range(8)]
    threads = [threading.Thread(target=lambda a=a: pictures.append(draw(*a))) for a in arrows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(picture.boxes) for picture in pictures) == [41] * 8
