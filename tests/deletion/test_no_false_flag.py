"""Never a table that somebody needs: random rows judged from end to end, against a plain definition by brute force."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from audits.deletion.facts import gather
from audits.deletion.models import Protection
from audits.deletion.verdicts import WORDS, judge
from tests.deletion.helpers import TODAY, cover, day, read, write_by_hand
from tests.factories import make_edge, make_pipeline, make_source, make_sql_version, make_table

WINDOW = 90
TABLES = 5

table = st.integers(0, TABLES - 1)
some = st.sets(table, max_size=2)


@st.composite
def worlds(draw):
    """Edges (one pipeline a target, which may be retired) and those made by hand, reads by people and by builders,
    and everything that protects or clouds."""
    return {
        "edges": draw(st.sets(st.tuples(table, table), max_size=8)),
        "by_hand": draw(st.sets(st.tuples(table, table), max_size=2)),
        "retired": draw(st.sets(table, max_size=1)),
        "exports": draw(st.sets(table, max_size=1)),
        "reads": draw(st.lists(st.tuples(table, st.sampled_from([1, 80, 100, 130, 200, 360])), max_size=4)),
        "builder_reads": draw(st.lists(st.tuples(table, st.integers(1, 80)), max_size=3)),
        "pinned": draw(some),
        "originals": draw(some),
        "named": draw(some),
        "gap": draw(st.sampled_from([None, None, 30, 150])),
    }


def build_world(world) -> list:
    """The rows of a world; its tables in order."""
    source = make_source("lone")
    if world["gap"] is None:
        cover(source)
    else:
        cover(source, 400, world["gap"] + 1)
        cover(source, world["gap"] - 1, 0)
    tables = [make_table(f"s.t{number}x", source=source) for number in range(TABLES)]
    status = dict.fromkeys(world["retired"], "retired")
    builders = [make_pipeline(f"build_{number}", status=status.get(number, "active")) for number in range(TABLES)]
    for number in range(TABLES):
        make_edge(builders[number], None, tables[number])
    for a, b in world["edges"]:
        make_edge(builders[b], tables[a], tables[b])
    for a, b in world["by_hand"]:
        write_by_hand(tables[a], tables[b])
    for number in world["exports"]:
        make_edge(make_pipeline(f"export_{number}"), tables[number])
    for number, ago in set(world["reads"]):
        read(tables[number], ago)
    for number, ago in set(world["builder_reads"]):
        read(tables[number], ago, by=f"build_{number}", pipeline=builders[number], kind="pipeline")
    for number in world["pinned"]:
        Protection.objects.create(table=tables[number], reason="x", until=day(-1), stated_by_name="ann")
    for number in world["originals"]:
        tables[number].provenance, tables[number].keep_forever = "original", True
        tables[number].save()
    for number in world["named"]:
        make_sql_version(make_pipeline(f"odd_{number}"), f"? s.t{number}x ?", statements=1)
    return tables


def by_definition(world, number: int) -> str:
    edges = {(a, b) for a, b in world["edges"] if b not in world["retired"]} | world["by_hand"]
    needs = reach(edges, number)
    used = {n for n, ago in world["reads"] if ago <= WINDOW}
    kept = world["pinned"] | world["originals"] | world["exports"] | {n for n in range(TABLES) if seasonal(world, n)}
    holes = set(range(TABLES)) if world["gap"] == 30 else world["named"]
    if number in kept:
        return "protected"
    for marked, word in ((used, "in_use"), (kept, "protected"), (holes, "unknown")):
        if needs & marked:
            return word
    return "feeds_unread" if any(a == number and b != number for a, b in edges) else "unread"


def seasonal(world, number: int) -> bool:
    days = sorted({ago for n, ago in world["reads"] if n == number})
    if not days or days[0] <= WINDOW:
        return False
    far_apart = any(later - earlier > WINDOW / 2 for earlier, later in zip(days, days[1:], strict=False))
    return far_apart or any(abs(ago - 365) <= WINDOW for ago in days)


def reach(edges, start: int) -> set[int]:
    """The table and all that is built from it."""
    found = {start}
    while more := {b for a, b in edges if a in found} - found:
        found |= more
    return found


class NoFalseFlag(TestCase):
    @given(worlds())
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def test_rows_are_judged_as_the_definition_says(self, world) -> None:
        tables = build_world(world)
        judged = judge(gather(TODAY, WINDOW))
        places = {int(pk): place for place, pk in enumerate(judged.facts.ids)}
        found = [WORDS[judged.verdict[places[each.pk]]] for each in tables]
        assert found == [by_definition(world, number) for number in range(TABLES)]

    def test_a_day_on_the_edge_of_the_window_counts(self) -> None:
        build_world({**EMPTY, "reads": [(0, WINDOW), (1, WINDOW + 1)]})
        verdict = judge(gather(TODAY, WINDOW)).verdict
        assert [WORDS[verdict[place]] for place in (0, 1)] == ["in_use", "unread"]


EMPTY = {
    **{name: set() for name in ("edges", "by_hand", "retired", "exports", "pinned", "originals", "named")},
    "reads": [],
    "builder_reads": [],
    "gap": None,
}
