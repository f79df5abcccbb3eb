"""Which tables does nobody need? The verdicts of a whole graph in one pass, from plain arrays.

The first law: never a table that somebody needs. So every doubt is a reason to keep:

    protected      a person, the law, or the table's own nature says keep; or such a table is built from it
    in_use         read from outside within the window; or something in use is built from it
    unknown        the evidence has a hole here; or something with a hole is built from it
    unread         nobody reads it but the pipeline that builds it
    feeds_unread   others read it, but nothing that comes of it is used (cycles included)

Verdicts travel upstream: what a needed table is built from is needed too. A protected table counts as needed, and a
hole downstream is a hole here, because dropping a table breaks what is built from it whatever we know of that.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix


class Verdict(enum.IntEnum):
    """What is concluded of a table's use, in the order in which the first that holds is taken."""

    PROTECTED = 0
    IN_USE = 1
    UNKNOWN = 2
    UNREAD = 3
    FEEDS_UNREAD = 4


@dataclass(frozen=True)
class Facts:
    """What is known of n tables, each array of length n.

    `protected`, `read` (by an outsider, within the window) and `hole` (the evidence is incomplete) are booleans;
    `other_readers` says that a pipeline which does not build the table reads it. `upstream` is the n-by-n matrix with
    an entry (target, source) for each table edge.
    """

    protected: NDArray[np.bool_]
    read: NDArray[np.bool_]
    hole: NDArray[np.bool_]
    other_readers: NDArray[np.bool_]
    upstream: csr_matrix


@dataclass(frozen=True)
class Judgement:
    """`verdict` per table, and `because`: the table one hop downstream that it came from, or -1 for its own."""

    verdict: NDArray[np.int8]
    because: NDArray[np.int64]


def judge(facts: Facts) -> Judgement:
    """The verdict of every table. Three breadth-first closures over the graph: O(tables + edges)."""
    n = len(facts.protected)
    verdict = np.where(facts.other_readers, Verdict.FEEDS_UNREAD, Verdict.UNREAD).astype(np.int8)
    because = np.full(n, -1, dtype=np.int64)
    # From the weakest to the strongest, so that the first that holds is the last written.
    for seeds, word in (
        (facts.hole, Verdict.UNKNOWN),
        (facts.protected, Verdict.PROTECTED),
        (facts.read, Verdict.IN_USE),
    ):
        reached, came_from = _everything_upstream(facts.upstream, seeds)
        verdict[reached] = word
        because[reached] = came_from[reached]
    verdict[facts.protected] = Verdict.PROTECTED
    because[facts.protected] = -1
    return Judgement(verdict, because)


def _everything_upstream(upstream: csr_matrix, seeds: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """The seeds and all they are built from, and for each the next table towards its nearest seed (-1 at a seed)."""
    reached = seeds.copy()
    came_from = np.full(len(seeds), -1, dtype=np.int64)
    frontier = np.flatnonzero(seeds)
    while frontier.size:
        starts, counts = upstream.indptr[frontier], np.diff(upstream.indptr)[frontier]
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        sources = upstream.indices[np.repeat(starts, counts) + offsets]
        targets = np.repeat(frontier, counts)
        new = ~reached[sources]
        frontier, first = np.unique(sources[new], return_index=True)
        came_from[frontier] = targets[new][first]
        reached[frontier] = True
    return reached, came_from
