"""The verdict of a graph against its plain definition, by brute force, on random graphs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from audits.deletion.judgement import Facts, Verdict, judge


def facts_of(n, edges, *, protected=(), read=(), hole=(), other_readers=()):
    def marked(tables):
        array = np.zeros(n, dtype=bool)
        array[list(tables)] = True
        return array

    sources, targets = [a for a, _ in edges], [b for _, b in edges]
    upstream = csr_matrix((np.ones(len(edges), dtype=np.int8), (targets, sources)), shape=(n, n))
    return Facts(marked(protected), marked(read), marked(hole), marked(other_readers), upstream)


@st.composite
def graphs(draw):
    n = draw(st.integers(1, 9))
    table = st.integers(0, n - 1)
    some = st.sets(table, max_size=3)
    edges = draw(st.lists(st.tuples(table, table), max_size=18))
    return n, edges, {mark: draw(some) for mark in ("protected", "read", "hole", "other_readers")}


def downstream_of(table, edges):
    found, todo = set(), [table]
    while todo:
        for a, b in edges:
            if a == todo[-1] and b not in found:
                found.add(b)
                todo.insert(0, b)
        todo.pop()
    return found


def by_definition(table, edges, marks):
    needs_it = {table} | downstream_of(table, edges)
    if table in marks["protected"]:
        return Verdict.PROTECTED
    if needs_it & marks["read"]:
        return Verdict.IN_USE
    if needs_it & marks["protected"]:
        return Verdict.PROTECTED
    if needs_it & marks["hole"]:
        return Verdict.UNKNOWN
    return Verdict.FEEDS_UNREAD if table in marks["other_readers"] else Verdict.UNREAD


@given(graphs())
@settings(max_examples=400, deadline=None)
def test_no_false_flag_on_any_graph(graph):
    n, edges, marks = graph
    verdict = judge(facts_of(n, edges, **marks)).verdict
    assert [Verdict(v) for v in verdict] == [by_definition(table, edges, marks) for table in range(n)]


@given(graphs())
@settings(max_examples=200, deadline=None)
def test_because_leads_hop_by_hop_to_the_evidence(graph):
    n, edges, marks = graph
    judgement = judge(facts_of(n, edges, **marks))
    evidence = {Verdict.IN_USE: "read", Verdict.PROTECTED: "protected", Verdict.UNKNOWN: "hole"}
    for table in range(n):
        mark = evidence.get(Verdict(judgement.verdict[table]))
        if mark is None:
            continue
        here, hops = table, 0
        while judgement.because[here] >= 0 and hops <= n:
            assert (here, judgement.because[here]) in edges
            here, hops = judgement.because[here], hops + 1
        # a protected table keeps its own ground, so a way to use may end at one that is protected besides
        assert here in marks[mark] or (mark == "read" and here in marks["protected"] and here != table)


def test_the_way_to_use_may_end_at_a_protected_table() -> None:
    judgement = judge(facts_of(3, [(2, 1), (1, 0)], protected=[1], read=[0]))
    assert judgement.verdict.tolist() == [Verdict.IN_USE, Verdict.PROTECTED, Verdict.IN_USE]
    assert judgement.because.tolist() == [-1, -1, 1]


def test_a_table_on_the_way_to_a_used_one_is_in_use():
    assert judge(facts_of(3, [(0, 1), (1, 2)], read=[2])).verdict.tolist() == [Verdict.IN_USE] * 3


def test_a_cycle_that_nobody_reads_feeds_only_unread():
    verdict = judge(facts_of(2, [(0, 1), (1, 0)], other_readers=[0, 1])).verdict
    assert verdict.tolist() == [Verdict.FEEDS_UNREAD] * 2
