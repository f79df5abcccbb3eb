"""Places of boxes and lines: left to right, apart from each other, lines that end where they should; no database."""

from __future__ import annotations

import re
import threading

import pytest

from lineage import layout as module
from lineage.layout import MAX_BOXES, Box, Layout, Point, layout

WIDTH, HEIGHT = 120, 30


def draw(*lines: str) -> Layout:
    """`draw("a b", "b c")`: the layout of a -> b -> c."""
    pairs = [tuple(line.split()) for line in lines]
    return layout([Box(name, WIDTH, HEIGHT) for name in dict.fromkeys(sum(pairs, ()))], pairs)


def ends_of(path: str) -> tuple[Point, Point]:
    points = [Point(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path)]
    return points[0], points[-1]


def close(point: Point, x: float, y: float) -> bool:
    return (point.x, point.y) == pytest.approx((x, y), abs=1.5)


def test_data_flows_from_left_to_right():
    at = draw("raw staged", "staged report", "raw report").at
    assert at["raw"].x + WIDTH < at["staged"].x
    assert at["staged"].x + WIDTH < at["report"].x


def test_boxes_lie_within_the_picture_and_never_overlap():
    placed = draw(*(f"hub t{number}" for number in range(30)), *(f"s{number} hub" for number in range(9)))
    corners = list(placed.at.values())
    for corner in corners:
        assert corner.x >= 0 and corner.x + WIDTH <= placed.width
        assert corner.y >= 0 and corner.y + HEIGHT <= placed.height
    for place, one in enumerate(corners):
        assert not any(abs(one.x - other.x) < WIDTH and abs(one.y - other.y) < HEIGHT for other in corners[:place])


def test_a_line_leaves_its_source_on_the_right_and_ends_at_the_left_of_its_target():
    placed = draw("raw staged", "staged report", "raw report")
    assert len(placed.paths) == 3
    for (source, target), path in placed.paths.items():
        start, end = ends_of(path)
        assert close(start, placed.at[source].x + WIDTH, placed.at[source].y + HEIGHT / 2)
        assert close(end, placed.at[target].x, placed.at[target].y + HEIGHT / 2)


def test_lines_end_at_the_rows_of_a_box():
    table = Box("orders", 200, 100, ports=(("orders.id", 50), ("orders.day", 72), ("orders", 94)))
    lines = [("orders.id", "x"), ("orders.day", "x"), ("orders", "x"), ("w", "orders.day")]
    placed = layout([Box("w", 80, 30), table, Box("x", 80, 30)], lines)
    rows = dict(table.ports)
    for source in rows:
        start, _ = ends_of(placed.paths[source, "x"])
        assert close(start, placed.at["orders"].x + 200, placed.at["orders"].y + rows[source])
    _, end = ends_of(placed.paths["w", "orders.day"])
    assert close(end, placed.at["orders"].x, placed.at["orders"].y + 72)


def test_circles_loops_and_repeated_lines_can_be_drawn():
    placed = draw("a b", "b a", "a a", "a b")
    assert set(placed.at) == {"a", "b"}
    assert set(placed.paths) == {("a", "b"), ("b", "a"), ("a", "a")}


def test_names_are_never_read_as_markup_or_attributes():
    odd = 'a"]<b>&\\n{|}%s'
    placed = layout([Box(odd, 50, 80, ports=((odd + ".x", 40),)), Box("b", 50, 20)], [(odd + ".x", "b")])
    assert set(placed.at) == {odd, "b"}


def test_lines_beyond_the_cap_are_drawn_without_asking_graphviz(monkeypatch):
    monkeypatch.setattr(module, "MAX_ROUTED", 3)
    placed = draw(*(f"hub target{number}" for number in range(6)))
    assert len(placed.paths) == 6
    for (_, target), path in placed.paths.items():
        start, end = ends_of(path)
        assert close(start, placed.at["hub"].x + WIDTH, placed.at["hub"].y + HEIGHT / 2)
        assert close(end, placed.at[target].x, placed.at[target].y + HEIGHT / 2)


def test_too_many_boxes_are_refused_in_words():
    with pytest.raises(ValueError, match="holds 1,000 boxes at most; this would be 1,001"):
        layout([Box(str(number), 10, 10) for number in range(MAX_BOXES + 1)], [])


def test_nothing_is_an_empty_picture():
    assert layout([], []) == Layout(0, 0, {}, {})


def test_the_same_graph_is_laid_out_once():
    assert draw("once again") is draw("once again")


def test_threads_may_lay_out_at_once():
    layouts: list[Layout] = []
    graphs = [[f"a{thread} b{number}" for number in range(40)] for thread in range(8)]
    threads = [threading.Thread(target=lambda graph=graph: layouts.append(draw(*graph))) for graph in graphs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(placed.at) for placed in layouts) == [41] * 8
