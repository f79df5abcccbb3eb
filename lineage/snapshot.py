"""The whole current graph at table grain, for questions that no neighbourhood answers: what does all this reach?

Two-way compressed sparse rows. A small graph is loaded from its rows. A large one is built into `.npy` files after an
ingest or by `build_snapshot`, never in a request, and mapped into the memory of every process of the host. It speaks of
one version of the graph, by the counter that every transaction writing edges raises.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from lineage.models import GraphVersion, TableEdge

SMALL = 200_000  # edges: loaded from rows in half a second
_CHUNK = 100_000
_KEPT = 2  # versions on disk: a process may be opening the one before


@transaction.atomic
def bump_graph_version() -> None:
    """Raise the version of the graph by one.

    Whoever writes edges calls this once, inside the same transaction, so that no reader takes a snapshot or a cached
    picture for the new state. Two queries.
    """
    GraphVersion.objects.update_or_create(pk=1, defaults={"number": F("number") + 1}, create_defaults={"number": 1})


@dataclass(frozen=True)
class Rows:
    """The neighbours of each node on one side: of node n, `nodes[start[n]:start[n + 1]]`, ascending and each once."""

    start: np.ndarray
    nodes: np.ndarray

    @classmethod
    def of(cls, count: int, near: np.ndarray, far: np.ndarray) -> Rows:
        """From edges given by both ends, in any order and with repeats; there are `count` nodes."""
        near, far = np.divmod(np.unique(near * count + far), count)
        start = np.zeros(count + 1, np.int64)
        np.cumsum(np.bincount(near, minlength=count), out=start[1:])
        return cls(start, far.astype(np.int32))

    def beyond(self, frontier: np.ndarray) -> np.ndarray:
        """The neighbours of all nodes of the frontier, with repeats."""
        first, last = self.start[frontier], self.start[frontier + 1]
        lengths = last - first
        ends = np.cumsum(lengths)
        return self.nodes[np.arange(ends[-1]) + np.repeat(first - ends + lengths, lengths)]


@dataclass(frozen=True)
class Edges:
    """All current edges by ids, in the orders that spare whoever reads them all a sort.

    `ends` has one row of sources, one of targets (0 for no table) and one of pipelines, by target, then source.
    `builds` and `reads` have one row of tables and one of pipelines, each pair once, by table: who writes what, and who
    reads what on the way to another table without writing it.
    """

    ends: np.ndarray
    builds: np.ndarray
    reads: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Edges:
        """From rows of source, target and pipeline in any order."""
        sources, targets, pipelines = ends = rows[np.lexsort((rows[:, 2], rows[:, 0], rows[:, 1]))].T
        builds = pairs_once(targets[targets > 0], pipelines[targets > 0])
        whole = (sources > 0) & (targets > 0)
        reads = pairs_once(sources[whole], pipelines[whole])
        return cls(np.ascontiguousarray(ends), builds, pairs_without(reads, builds))

    def up_to(self, table: int) -> Edges:
        """Those between tables of no higher id."""
        if self.ends[:2].max(initial=0) <= table:
            return self
        return self._where(lambda rows: (rows[:-1] <= table).all(axis=0))

    def without_pipelines(self, gone: Collection[int]) -> Edges:
        """Those of other pipelines."""
        return self._where(lambda rows: ~np.isin(rows[-1], list(gone))) if gone else self

    def _where(self, holds: Callable[[np.ndarray], np.ndarray]) -> Edges:
        return Edges(*(rows[:, holds(rows)] for rows in (self.ends, self.builds, self.reads)))


def pairs_once(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pairs in order without repeats, as two rows; the second may be negative."""
    if not len(first):
        return np.empty((2, 0), np.int64)
    low = second.min()
    width = second.max() - low + 1
    keys = np.sort(first * width + (second - low))
    keys = keys[np.diff(keys, prepend=keys[0] - 1) != 0]  # np.unique hashes, which takes five times as long here
    return np.stack([keys // width, keys % width + low])


def pairs_without(pairs: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The pairs that are not among the others; both as `pairs_once` makes them."""
    if not pairs.size or not others.size:
        return pairs
    low = min(pairs[1].min(), others[1].min())
    width = max(pairs[1].max(), others[1].max()) - low + 1
    keys, known = (rows[0] * width + rows[1] - low for rows in (pairs, others))
    nearest = np.minimum(np.searchsorted(known, keys), len(known) - 1)  # both are in order, which `isin` would not use
    return pairs[:, known[nearest] != keys]


@dataclass(frozen=True)
class Reach:
    """All that a walk reaches, its start included: `keys` of nodes, ascending, and their distance in `hops`."""

    version: int
    keys: np.ndarray
    hops: np.ndarray

    @property
    def tables(self) -> np.ndarray:
        """Ids of tables."""
        return self.keys[self.keys % 2 == 0] // 2

    @property
    def ends(self) -> np.ndarray:
        """Ids of pipelines that take data out, or bring it in, without a table stated there."""
        return self.keys[self.keys % 2 == 1] // 2


@dataclass(frozen=True)
class Snapshot:
    """One version of the graph. A node is a place in `keys`: twice the id of a table, or twice that of a pipeline
    plus one, where an edge without a target or a source ends. `edges` are those it was made from."""

    version: int
    edges: Edges
    keys: np.ndarray
    downstream: Rows
    upstream: Rows

    @classmethod
    def of(cls, version: int, edges: Edges) -> Snapshot:
        sources, targets, pipelines = edges.ends
        ends = pipelines * 2 + 1
        keys, places = np.unique(
            np.stack([np.where(sources, sources * 2, ends), np.where(targets, targets * 2, ends)]), return_inverse=True
        )
        near, far = places.reshape(2, -1)
        return cls(version, edges, keys, Rows.of(len(keys), near, far), Rows.of(len(keys), far, near))

    def reach(
        self, tables: Iterable[int], direction: Literal["upstream", "downstream"], depth: int | None = None
    ) -> Reach:
        """Everything up to `depth` hops from tables (ids) in one direction; None: to the end.

        The same as a walk without a cap, and about as fast as the arrays can be read. Tables without any edge, which
        the snapshot does not know, are left out.
        """
        rows = self.downstream if direction == "downstream" else self.upstream
        hops = np.full(len(self.keys), -1, np.int32)
        last = np.empty(len(self.keys), np.int64)
        frontier = self._places(np.fromiter(tables, np.int64) * 2)
        hops[frontier] = hop = 0
        while len(frontier) and hop != depth:
            hop += 1
            met = rows.beyond(frontier)
            met = met[hops[met] < 0]
            hops[met] = hop
            numbers = np.arange(len(met))
            last[met] = numbers
            met = met[last[met] == numbers]  # each once, without sorting
            frontier = met[self.keys[met] % 2 == 0]  # nothing leads on from where an edge just ends
        reached = np.flatnonzero(hops >= 0)
        return Reach(self.version, self.keys[reached], hops[reached])

    def degrees(self, tables: Sequence[int]) -> dict[int, tuple[int, int]]:
        """How many different neighbours tables (ids) have, upstream and downstream; those without any are left out."""
        places = self._places(np.array(tables, np.int64) * 2)
        sides = [rows.start[places + 1] - rows.start[places] for rows in (self.upstream, self.downstream)]
        keys = self.keys[places] // 2
        return dict(zip(keys.tolist(), zip(*(side.tolist() for side in sides), strict=True), strict=True))

    def _places(self, keys: np.ndarray) -> np.ndarray:
        if not len(self.keys):
            return np.zeros(0, np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return places[self.keys[places] == keys]


def graph_state() -> GraphVersion:
    """Which graph this is, and its version now. One query."""
    with connection.cursor() as cursor:  # every answer asks for it, and the ORM takes ten times as long
        cursor.execute("SELECT graph, number FROM lineage_graphversion WHERE id = 1")
        row = cursor.fetchone()
    return GraphVersion(1, UUID(str(row[0])), row[1]) if row else GraphVersion()


def current_snapshot(state: GraphVersion | None = None) -> Snapshot | None:
    """The graph as it is now, or, if it is large, as it was when last built; None if a large one never was.

    One query, none if `state` is known, where this process holds the version; a small graph that changed is read again.
    """
    state = state or graph_state()
    return _held(state) if state.number or state.pk else None


def held_snapshot(state: GraphVersion) -> Snapshot | None:
    """The graph of exactly this state if this process has it in memory, which costs nothing to ask."""
    held = _held_now
    is_this = held and held.graph == state.graph and held.snapshot and held.snapshot.version == state.number
    return held.snapshot if held and is_this else None


def current_edges() -> Edges:
    """All current edges.

    Of a large graph out of the snapshot's files, which costs nothing, where those are of this version; else one query.
    """
    state = graph_state()
    newest = None if _is_small() else _newest(state.graph, None)
    return newest.edges if newest and newest.version == state.number else _edges_in_rows()


def build_snapshot() -> Path | None:
    """Write the files of a large graph's current version, for all processes of this host; None for a small graph.

    Ingests call it at their end. One build at a time; another one for the same version finds the work done.
    """
    state = GraphVersion.objects.filter(pk=1).first()
    if state is None or _is_small():
        return None
    folder = _folder(state.graph)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "lock"):
        for left_behind in folder.glob("building-*"):
            shutil.rmtree(left_behind)  # by a build that was killed: whoever holds the lock builds alone
        built = folder / str(state.number)
        if state.number not in _versions(folder):
            shutil.rmtree(built, ignore_errors=True)
            building = Path(tempfile.mkdtemp(prefix="building-", dir=folder))
            _write(_from_rows(state.number), building)
            building.rename(built)
        for old in _versions(folder)[:-_KEPT]:
            shutil.rmtree(folder / str(old))
    return built


@dataclass
class _Held:
    """What this process has in memory of one graph; `seen` is the version at which it was last looked for."""

    graph: UUID
    seen: int
    is_small: bool
    snapshot: Snapshot | None


_held_now: _Held | None = None
_holding = threading.Lock()


def _held(state: GraphVersion) -> Snapshot | None:
    global _held_now
    with _holding:
        held = _held_now
        if held is None or held.graph != state.graph:
            held = _Held(state.graph, -1, False, None)
        if held.seen != state.number:
            held.seen, held.is_small = state.number, _is_small()
        if held.snapshot is None or held.snapshot.version != state.number:
            held.snapshot = _from_rows(state.number) if held.is_small else _newest(state.graph, held.snapshot)
        _held_now = held
        return held.snapshot


def _newest(graph: UUID, held: Snapshot | None) -> Snapshot | None:
    """The newest version on disk, or the one held if there is none newer."""
    folder = _folder(graph)
    versions = _versions(folder)
    if not versions or (held is not None and held.version >= versions[-1]):
        return held
    return _read(folder / str(versions[-1]))


def _folder(graph: UUID) -> Path:
    return Path(settings.VAR_DIR) / "graph" / str(graph)


def _versions(folder: Path) -> list[int]:
    """Those on disk, but for what an earlier Pipekeeper wrote without the edges in order."""
    return sorted(int(path.parent.name) for path in folder.glob("*/ends.npy") if path.parent.name.isdigit())


def _is_small() -> bool:
    return _edges()[SMALL : SMALL + 1].count() == 0


def _edges() -> QuerySet:
    ends = Coalesce("source_table_id", 0), Coalesce("target_table_id", 0)
    return TableEdge.objects.filter(valid_to__isnull=True).order_by().values_list(*ends, "pipeline_id")


def _from_rows(version: int) -> Snapshot:
    """Read all current edges. `version` was read before: if edges change meanwhile, the next look sees a newer one."""
    return Snapshot.of(version, _edges_in_rows())


def _edges_in_rows() -> Edges:
    values = chain.from_iterable(_edges().iterator(chunk_size=_CHUNK))
    return Edges.of(np.fromiter(values, np.int64).reshape(-1, 3))


def _write(snapshot: Snapshot, folder: Path) -> None:
    for name in _EDGES:
        np.save(folder / f"{name}.npy", getattr(snapshot.edges, name))
    np.save(folder / "keys.npy", snapshot.keys)
    for side in _SIDES:
        rows: Rows = getattr(snapshot, side)
        np.save(folder / f"{side}_start.npy", rows.start)
        np.save(folder / f"{side}_nodes.npy", rows.nodes)


def _read(folder: Path) -> Snapshot:
    def mapped(name: str) -> np.ndarray:
        return np.load(folder / f"{name}.npy", mmap_mode="r")

    edges = Edges(*(mapped(name) for name in _EDGES))
    rows = {side: Rows(mapped(f"{side}_start"), mapped(f"{side}_nodes")) for side in _SIDES}
    return Snapshot(int(folder.name), edges, mapped("keys"), **rows)


_EDGES = ("ends", "builds", "reads")
_SIDES = ("downstream", "upstream")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's lock, which the system takes back from a process that dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # closing alone would leave it to a process forked meanwhile
