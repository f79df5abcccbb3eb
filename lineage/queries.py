"""Reads of lineage: what pages, REST, commands and exports ask, so that they cannot disagree."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from django.db.models import QuerySet

from catalog.bulk import among
from catalog.links import link
from catalog.models import Column, Pipeline, Table, node_id
from catalog.queries import Noun, Owners, owner_names_of, owner_slugs_of, with_inherited, with_owners
from catalog.runs import with_last_runs
from lineage import graph, neighbours
from lineage.graph import Direction, Node, Side, Walk
from lineage.models import EdgeOrigin, GraphVersion, Problem, SqlVersion, TableEdge
from lineage.neighbours import ColumnRows, Named, TableRows
from lineage.snapshot import current_snapshot, graph_state, held_snapshot

Grain = Literal["table", "column"]
CAP = 150  # tables, or columns, of one picture: more cannot be read
DEEPEST = 10  # hops that a page or program may ask for


@dataclass(frozen=True)
class GraphNode:
    """A table, pipeline or column of an answer, or all rows of a table ("rows": filters and unexpanded stars).

    `distance` counts hops between tables: negative upstream, positive downstream. `folded_upstream` and
    `folded_downstream` count the neighbours that the answer leaves out. `thing_kind` is the table's or pipeline's kind.
    A column and "rows" name their table in `table` (a node id) and `table_label`. `key` is short for `id` (see
    `side_of`), `thing_key` that of the table or pipeline.
    """

    id: str
    kind: Literal["table", "pipeline", "column", "rows", "group"]
    label: str
    url: str
    distance: int
    source: str = ""
    thing_kind: str = ""
    status: str = ""
    table: str = ""
    table_label: str = ""
    folded_upstream: int = 0
    folded_downstream: int = 0
    key: str = ""
    thing_key: str = ""


class GraphEdge(NamedTuple):
    """Data goes from `source` to `target` (node ids), by the pipeline named `via`.

    `kind` is "reads" (table to pipeline) or "writes" (pipeline to table); at column grain the transformation.
    """

    source: str
    target: str
    via: str
    kind: str


@dataclass(frozen=True)
class Lineage:
    """Where one thing comes from and where it goes.

    `capped` says that some within `depth` are left out. `reached` counts the tables or columns (and pipelines where an
    edge has no other end) that are there, of which `drawn` are here; unless `reached_exactly`, there may be more.
    """

    start: str
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    direction: Direction
    depth: int | None
    grain: Grain
    at: datetime | None
    version: int
    capped: bool = False
    drawn: int = 0
    reached: int = 0
    reached_exactly: bool = True


@dataclass(frozen=True)
class Impact:
    """How much lies downstream of a table, all hops together: tables, and exports, whose end nobody states.

    `is_current` is False where a large graph has changed since its snapshot, of `version`, was built.
    """

    tables: int
    exports: int
    version: int
    is_current: bool


@dataclass(frozen=True)
class Shortlist:
    """The first of a list, and how many there are in all."""

    items: list[Any]
    total: int


@dataclass(frozen=True)
class Around:
    """What is next to a table: tables it is made of and those made of it, pipelines that write it and those that read
    it."""

    upstream: Shortlist
    downstream: Shortlist
    builders: Shortlist
    readers: Shortlist


def lineage_of(
    thing: Table | Pipeline | Column,
    direction: Direction = "both",
    depth: int | None = 1,
    cap: int = CAP,
    grain: Grain = "table",
    at: datetime | None = None,
    direct_only: bool = False,
    opened: Collection[Side] = (),
    shut: Collection[Side] = (),
    state: GraphVersion | None = None,
) -> Lineage:
    """The neighbourhood of a table, pipeline or column, at most `cap` tables or columns of it.

    A column is always walked at column grain; a table or pipeline at column grain starts with its columns, or those of
    the tables it writes. `at` asks for the edges that held then, `direct_only` for the columns' data without what
    merely decides about it. Sides `opened` are gone on from by a hop, those `shut` are not. Costs one query per hop and
    a fixed number besides, one fewer if the graph's `state` is known.
    """
    if isinstance(thing, Column):
        grain = "column"
    state = state or graph_state()
    rows: TableRows | ColumnRows
    if grain == "table":
        rows = TableRows(at, thing.pk if isinstance(thing, Pipeline) else None, held_snapshot(state))
        start: Collection[Node] = [(thing._meta.model_name, thing.pk)]
    else:
        rows = ColumnRows(at, direct_only)
        start = _column_start(thing, at)
    walked = graph.walk(rows, start, direction, depth, cap, opened, shut)
    nodes, edges = _table_grain(walked) if grain == "table" else _column_grain(walked)
    is_plain = grain == "table" and at is None and not opened and not shut
    reached = _reached(thing, direction, depth, state) if walked.capped and is_plain else None
    return Lineage(
        start=thing.node,
        nodes=sorted(nodes, key=lambda node: (node.distance, node.label, node.id)),
        edges=sorted(edges),
        direction=direction,
        depth=depth,
        grain=grain,
        at=at,
        version=state.number,
        capped=walked.capped,
        drawn=len(walked.distance),
        reached=reached or walked.reached,
        reached_exactly=reached is not None or not walked.capped,
    )


def impact_of(table: Table, state: GraphVersion | None = None) -> Impact | None:
    """How much depends on a table, to the end; None if the graph is large and has no snapshot yet.

    A query, unless the graph's `state` is known, and a walk over the snapshot in memory.
    """
    state = state or graph_state()
    snapshot = current_snapshot(state)
    if snapshot is None:
        return Impact(0, 0, 0, True) if not state.number else None
    reach = snapshot.reach([table.pk], "downstream")
    tables = len(reach.tables) - int(table.pk in reach.tables)
    return Impact(tables, len(reach.ends), snapshot.version, snapshot.version == state.number)


def builders_of(table_ids: Iterable[int]) -> dict[int, list[Pipeline]]:
    """The pipelines that write each table now, with their owners; tables nobody writes are left out. 4 queries."""
    edges = _current(TableEdge).filter(target_table__in=list(table_ids))
    pairs = list(edges.order_by().values_list("target_table", "pipeline_id").distinct())
    pipelines = with_owners(Pipeline.objects.filter(pk__in={pipeline for _, pipeline in pairs})).in_bulk()
    found: dict[int, list[Pipeline]] = defaultdict(list)
    for table, pipeline in pairs:
        found[table].append(pipelines[pipeline])
    return {table: sorted(group, key=lambda pipeline: pipeline.name) for table, group in found.items()}


def around(table: Table, limit: int = 25) -> Around:
    """What is next to a table now, at most `limit` of each by name, with the number of them all. 4 queries.

    Pipelines come with their owners and last runs.
    """
    found = neighbours.around(table.pk, limit)
    keys = {name: ids for name, (ids, _) in found.items()}
    tables = _in_order(Table.objects.select_related("source"), keys["upstream"] + keys["downstream"])
    pipelines = _in_order(with_owners(with_last_runs(Pipeline.objects.all())), keys["builders"] + keys["readers"])
    things = {"upstream": tables, "downstream": tables, "builders": pipelines, "readers": pipelines}
    return Around(
        **{
            name: Shortlist([thing for thing in things[name] if thing.pk in ids], total)
            for name, (ids, total) in found.items()
        }
    )


def owner_slugs_of_tables(table_ids: Collection[int]) -> dict[int, Owners]:
    """Owners by slug, a table's own or, in a role it lacks, those of its builders, named in `inherited_from`; the lean
    form of `owners_with_fallback` for lists. A query, and two more where a table lacks any."""
    return _owners_of_tables(table_ids, owner_slugs_of)


def owner_names_of_tables(table_ids: Collection[int]) -> dict[int, Owners]:
    """The same with an `OwnerName` in place of each slug."""
    return _owners_of_tables(table_ids, owner_names_of)


def _owners_of_tables(
    table_ids: Collection[int], owners_of: Callable[[Noun, Collection[int]], dict[int, Owners]]
) -> dict[int, Owners]:
    own = owners_of("table", table_ids)
    lacking = [table for table, owners in own.items() if not (owners.business and owners.technical)]
    if not lacking:
        return own
    edges = _current(TableEdge).filter(target_table__in=among(lacking)).order_by()
    built = list(edges.values_list("target_table_id", "pipeline_id", "pipeline__name").distinct())
    owners = owners_of("pipeline", {pipeline for _, pipeline, _ in built})
    builders: dict[int, dict[str, Owners]] = defaultdict(dict)
    for table, pipeline, name in sorted(built, key=itemgetter(2)):
        builders[table][name] = owners[pipeline]
    return own | {table: with_inherited(own[table], theirs) for table, theirs in builders.items()}


def inputs_and_outputs(pipeline: Pipeline) -> tuple[list[Table], list[Table]]:
    """The tables a pipeline reads and those it writes now, by name. Two queries."""
    edges = _current(TableEdge).filter(pipeline=pipeline)
    inputs = edges.filter(source_table__isnull=False).values("source_table")
    outputs = edges.filter(target_table__isnull=False).values("target_table")
    return _tables(inputs), _tables(outputs)


def tables_by_pipeline(pipeline_ids: Iterable[int]) -> dict[int, dict[str, list[str]]]:
    """Node ids of the tables each pipeline reads and writes now, sorted, under `inputs` and `outputs`; of those, the
    ones that a person or a metadata file declared also under `declared_inputs` and `declared_outputs`. One query."""
    ids = list(pipeline_ids)
    ends = [f"{end}_table__{part}" for end in ("source", "target") for part in ("source__slug", "name")]
    found: dict[int, dict[str, set[tuple[str, str]]]] = {
        key: {name: set() for name in _TABLES_OF_A_PIPELINE} for key in ids
    }
    for key, origin, *names in _current(TableEdge).filter(pipeline__in=ids).values_list("pipeline_id", "origin", *ends):
        for side, source, name in zip(("inputs", "outputs"), names[::2], names[1::2], strict=True):
            if name is None:
                continue
            found[key][side].add((source, name))
            if origin == EdgeOrigin.DECLARED:
                found[key][f"declared_{side}"].add((source, name))
    return {
        key: {side: sorted(node_id("table", *table) for table in tables) for side, tables in sides.items()}
        for key, sides in found.items()
    }


_TABLES_OF_A_PIPELINE = ("inputs", "outputs", "declared_inputs", "declared_outputs")


def declared_inputs_and_outputs(pipeline: Pipeline) -> tuple[list[Table], list[Table]]:
    """Of those, the ones declared rather than read off SQL. Two queries."""
    edges = _current(TableEdge).filter(pipeline=pipeline, origin=EdgeOrigin.DECLARED)
    return _tables(edges.values("source_table")), _tables(edges.values("target_table"))


def current_sql(pipeline: Pipeline) -> SqlVersion | None:
    """The SQL as last seen, None for a pipeline without SQL. One query."""
    return _current(SqlVersion).filter(pipeline=pipeline).first()


def problems_of(pipeline: Pipeline) -> list[Problem]:
    """What could not be read of a pipeline, errors first, then by line. One query."""
    return list(Problem.objects.filter(pipeline=pipeline).order_by("severity", "path", "line", "id"))


def _current(model: Any) -> QuerySet:
    return model.objects.filter(valid_to__isnull=True)


def _in_order(things: QuerySet, ids: Iterable[int]) -> list[Any]:
    return list(things.filter(pk__in=set(ids)).order_by("name", "id"))


def _tables(ids: QuerySet) -> list[Table]:
    return list(Table.objects.select_related("source").filter(pk__in=ids).order_by("name", "id"))


def _reached(
    thing: Table | Pipeline | Column, direction: Direction, depth: int | None, state: GraphVersion
) -> int | None:
    """How many nodes a walk would reach without a cap; None where no snapshot is of this version."""
    snapshot = current_snapshot(state)
    if snapshot is None or snapshot.version != state.number:
        return None
    keys: set[int] = set()
    for side in _SIDES[direction]:
        start, left = [thing.pk], depth
        if isinstance(thing, Pipeline):
            inputs, outputs = inputs_and_outputs(thing)
            start = [table.pk for table in (outputs if side == "downstream" else inputs)]
            left = None if depth is None else depth - 1
        keys.update(snapshot.reach(start, side, left).keys.tolist())
    return len(keys | {thing.pk * 2 + isinstance(thing, Pipeline)})


_SIDES: dict[str, tuple[Literal["upstream", "downstream"], ...]] = {
    "upstream": ("upstream",),
    "downstream": ("downstream",),
    "both": ("upstream", "downstream"),
}


def _column_start(thing: Table | Pipeline | Column, at: datetime | None) -> list[Node]:
    """The column with the rows of its table, or all columns of a table or of what a pipeline writes, likewise."""
    if isinstance(thing, Column):
        return [("column", thing.pk), ("rows", thing.table_id)]
    tables = [thing.pk]
    if isinstance(thing, Pipeline):
        writes = neighbours.in_force(TableEdge, at).filter(pipeline=thing, target_table__isnull=False)
        tables = list(writes.values_list("target_table", flat=True).order_by("target_table").distinct())
    columns = Column.objects.filter(table__in=tables).values_list("pk", flat=True)
    return [*(("rows", table) for table in tables), *(("column", column) for column in columns)]


def _table_grain(walked: Walk) -> tuple[list[GraphNode], set[GraphEdge]]:
    """Pipelines stand between tables as nodes of their own, at the distance of the table they lead on to."""
    hops = dict(walked.distance)
    for edge in walked.edges:
        farther = max(walked.distance[edge.target], walked.distance[edge.source], key=abs)
        job = ("pipeline", edge.via)
        hops[job] = min(hops.get(job, farther), farther, key=abs)
    nodes = _graph_nodes(hops, walked)
    edges = set()
    for edge in walked.edges:
        job = nodes["pipeline", edge.via]
        if edge.source[0] == "table":
            edges.add(GraphEdge(nodes[edge.source].id, job.id, job.label, "reads"))
        if edge.target[0] == "table":
            edges.add(GraphEdge(job.id, nodes[edge.target].id, job.label, "writes"))
    return list(nodes.values()), edges


def _column_grain(walked: Walk) -> tuple[list[GraphNode], set[GraphEdge]]:
    nodes = _graph_nodes({node: walked.distance[node] for node in _worth_drawing(walked)}, walked)
    names = {thing.key: thing.name for thing in neighbours.named({("pipeline", edge.via) for edge in walked.edges})}
    edges = {
        GraphEdge(nodes[edge.source].id, nodes[edge.target].id, names[edge.via], edge.kind) for edge in walked.edges
    }
    return list(nodes.values()), edges


def _worth_drawing(walked: Walk) -> list[Node]:
    """All but the "rows" a walk starts from without finding any edge there."""
    with_edges = {end for edge in walked.edges for end in (edge.source, edge.target)}
    return [node for node in walked.distance if node[0] == "column" or node in with_edges or node in walked.folded]


def side_of(text: str) -> Side:
    """A side of a node, as its key and a letter spell it: "t12d" is downstream of table 12. Raises ValueError."""
    found = _SIDE.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a side of a node, such as t12d.")
    return (_KINDS_BY_LETTER[found[1]], int(found[2])), -1 if found[3] == "u" else 1


_KINDS_BY_LETTER = {"t": "table", "p": "pipeline", "c": "column", "r": "rows"}
_SIDE = re.compile(r"([tpcr])([1-9][0-9]{0,17})([ud])")


def _graph_nodes(hops: Mapping[Node, int], walked: Walk) -> dict[Node, GraphNode]:
    """Nodes at their distances, in that order. One query."""
    things = {(thing.kind, thing.key): thing for thing in neighbours.named(hops)}
    return {node: _graph_node(things[node], hop, walked.folded.get(node, (0, 0))) for node, hop in hops.items()}


def _graph_node(thing: Named, distance: int, folded: tuple[int, int]) -> GraphNode:
    """A column, like all rows of a table, is on its table's page and in its box."""
    key = f"{thing.kind[0]}{thing.key}"
    if thing.kind == "pipeline":
        box, url, thing_key = node_id("pipeline", thing.name), link("pipeline-detail", thing.name), key
    else:
        box = node_id("table", thing.source, thing.table)
        url, thing_key = link("table-detail", thing.source, thing.table), f"t{thing.table_key}"
    is_row = thing.kind in ("column", "rows")
    return GraphNode(
        id=node_id("column", thing.source, thing.table, thing.name) if thing.kind == "column" else box,
        kind=thing.kind,
        label=thing.name,
        url=url,
        distance=distance,
        source=thing.source,
        thing_kind=thing.thing_kind,
        status=thing.status,
        table=box if is_row else "",
        table_label=thing.table if is_row else "",
        folded_upstream=folded[0],
        folded_downstream=folded[1],
        key=key,
        thing_key=thing_key,
    )
