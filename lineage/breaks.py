"""What changes do downstream over any graph with column edges: what breaks, what is then stale or wrong, what is
merely affected, and what nobody can tell.

First what breaks: pipelines that name a table or column which goes. A column that only a star brings along takes the
columns made of it with it, which are then gone themselves. Then what spreads: the outputs of broken pipelines are
stale; stale and wrong columns make those made of their data stale and wrong, and affect those they merely filter, join,
group or sort. A pipeline whose columns are not known hands on doubt.

Pure: a graph says which keys it has for tables, columns and pipelines. The impact page asks it of the catalog
(`lineage.impact`), `check_change` of two versions of a repository (`ingest.changes`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import networkx as nx

from lineage.sql.dialects import language
from lineage.sql.model import DIRECT_KINDS

MOST_TABLES = 5_000  # hit tables that are followed and shown

Key = Any  # of a table, pipeline or column: what the graph calls it
ColumnEdge = tuple[Key | None, Key | None, str]  # source (None: a star), target (None: all rows), kind
Edges = dict[tuple[Key, Key | None], list[ColumnEdge]]  # by (pipeline, target table); none: columns are not known


class Level(IntEnum):
    """How badly something is hit; the worse wins."""

    UNKNOWN = 1
    AFFECTED = 2
    STALE = 3
    WRONG = 4
    BREAKS = 5


class Graph(Protocol):
    """What is asked of whatever holds the lineage. Each call is about many at once."""

    def edges_from(self, tables: Collection[Key]) -> Mapping[Key, Edges]:
        """By table, what every pipeline that reads it makes of it."""

    def columns_of(self, tables: Collection[Key]) -> Mapping[Key, Collection[Key]]:
        """All columns of each table; a table is left out whose columns are not known."""

    def names_of(self, columns: Collection[Key]) -> Mapping[Key, str]:
        """The columns' names."""

    def writers_of(self, table: Key) -> Collection[Key]:
        """Pipelines that fill a table."""

    def outputs_of(self, pipelines: Collection[Key]) -> Mapping[Key, Collection[Key]]:
        """Tables that pipelines fill."""

    def naming(self, table: Key, name: str, pipelines: Collection[Key]) -> Collection[Key]:
        """Of pipelines that use the table's column of that name, those that ask for it themselves, not by a star."""

    def excluding(self, name: str, pipelines: Collection[Key]) -> Collection[Key]:
        """Of pipelines without an edge from a column of that name, those that name it to leave it out of a star."""

    def unsure(self, name: str, pipelines: Collection[Key]) -> Collection[Key]:
        """Of pipelines without an edge from a column of that name, those that may use it for all that is known."""


@dataclass(frozen=True)
class Cause:
    """Why something is hit: the change at the start, whose `node` has an id, and the last step from there: out of
    `table`, itself hit by `back`, through `pipeline`."""

    change: str
    why: str
    node: str = ""
    table: Key | None = None
    pipeline: Key | None = None
    back: Cause | None = None

    def on(self, why: str, table: Key | None, pipeline: Key | None) -> Cause:
        """The next step."""
        return Cause(self.change, why, "", table, pipeline, self)

    def steps(self) -> Iterator[tuple[str, Any]]:
        """The way from the start: ("node", id), then ("table", key) and ("pipeline", key)."""
        chain = [self]
        while chain[-1].back is not None:
            chain.append(chain[-1].back)
        if chain[-1].node:
            yield "node", chain[-1].node
        for before, cause in zip(chain[::-1], chain[-2::-1], strict=False):
            if before.back is not None and cause.table is not None:
                yield "table", cause.table
            if cause.pipeline is not None:
                yield "pipeline", cause.pipeline


@dataclass
class State:
    """How a table is hit: as a whole, by columns, and in which of its rows there are."""

    whole: Level | None = None
    columns: dict[Key, Level] = field(default_factory=dict)
    rows: Level | None = None

    @property
    def worst(self) -> Level:
        return max(filter(None, [self.whole, self.rows, *self.columns.values()]))

    def of(self, column: Key) -> Level | None:
        return max(filter(None, [self.whole, self.columns.get(column)]), default=None)

    def throughout(self, columns: Collection[Key]) -> Level | None:
        """How badly every column of the table is hit at least; None if one is not."""
        levels = [self.of(column) for column in columns]
        return min(levels) if levels and None not in levels else self.whole  # type: ignore[type-var]

    def raise_to(self, level: Level, column: Key | None, is_whole: bool) -> bool:
        """Note a hit; whether it is worse than what was known."""
        if is_whole:
            known, self.whole = self.whole, max(level, self.whole or level)
        elif column is None:
            known, self.rows = self.rows, max(level, self.rows or level)
        else:
            known = self.of(column)
            self.columns[column] = max(level, known or level)
        return known is None or level > known


class _Use(NamedTuple):
    """What the readers of a table do with one of its columns: pipelines, and (table, column, pipeline) that a star
    makes of it; the column is None where it only bears on the rows."""

    naming: list[Key]
    starred: list[tuple[Key, Key, Key]]
    unsure: list[Key]
    none: list[Key]


class Spread:
    """Changes on their way downstream: say what changes, then `run`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tables: dict[Key, State] = {}
        self.causes: dict[Key, Cause] = {}
        self.pipelines: dict[Key, tuple[Level, Cause]] = {}
        self.broken: dict[Key, list[Cause]] = defaultdict(list)  # a pipeline may break by several changes
        self.is_capped = False
        self.edges: dict[Key, Edges] = {}
        self._readers: set[Key] = set()  # of changed tables, known not to use what changes
        self._drops: list[tuple[Key, Key, Cause]] = []
        self.gone: dict[tuple[Key, Key], Cause] = {}  # by (table, column)
        self.gone_tables: dict[Key, Cause] = {}
        self._outputs_to_hit: list[tuple[Key, Level, Cause, str]] = []
        self._waiting: list[Key] = []
        self._columns: dict[Key, Collection[Key]] = {}

    @property
    def unaffected(self) -> set[Key]:
        """Pipelines that read a changed table but nothing that changes of it."""
        return self._readers - self.pipelines.keys()

    # --- what changes

    def drop_table(self, table: Key, cause: Cause) -> None:
        """Everything that reads it breaks; what writes it would fail or make it anew."""
        self.gone_tables[table] = cause
        for pipeline, _ in self.edges_from([table])[table]:
            self.break_pipeline(pipeline, cause.on("reads it", table, pipeline))
        for pipeline in self.graph.writers_of(table):
            self.reach(pipeline, Level.AFFECTED, cause.on("writes it", table, pipeline))

    def drop_column(self, table: Key, column: Key, cause: Cause) -> None:
        """Everything that names the column breaks; what a star makes of it is gone as well."""
        self._drops.append((table, column, cause))

    def break_pipeline(self, pipeline: Key, cause: Cause) -> None:
        self.broken[pipeline].append(cause)
        self.reach(pipeline, Level.BREAKS, cause)
        self.outputs_become(pipeline, Level.STALE, cause, "built by a pipeline that breaks")

    def doubt(self, pipeline: Key, cause: Cause) -> None:
        """Nobody can tell what the change does to the pipeline."""
        self.reach(pipeline, Level.UNKNOWN, cause)
        self.outputs_become(pipeline, Level.UNKNOWN, cause, cause.why)

    def outputs_become(self, pipeline: Key, level: Level, cause: Cause, why: str) -> None:
        self._outputs_to_hit.append((pipeline, level, cause, why))

    def hit(self, table: Key, level: Level, cause: Cause, column: Key | None = None, is_row: bool = False) -> None:
        """A table is hit: as a whole, in one column, or in which rows it has."""
        if table not in self.tables and len(self.tables) >= MOST_TABLES:
            self.is_capped = True
            return
        state = self.tables.setdefault(table, State())
        known = state.worst if table in self.causes else None
        if state.raise_to(level, column, is_whole=column is None and not is_row):
            self._waiting.append(table)
            if known is None or level > known:
                self.causes[table] = cause

    def reach(self, pipeline: Key, level: Level, cause: Cause) -> None:
        if pipeline not in self.pipelines or level > self.pipelines[pipeline][0]:
            self.pipelines[pipeline] = (level, cause)

    # --- what comes of it

    def run(self) -> None:
        """Follow what is hit until nothing gets worse."""
        self._drop_columns()
        self._hit_outputs()
        while self._waiting:
            wave, self._waiting = list(dict.fromkeys(self._waiting)), []
            edges = self.edges_from(wave)
            for table in wave:
                for (pipeline, target), columns in edges[table].items():
                    self._pass_on(table, pipeline, target, columns)

    def _drop_columns(self) -> None:
        """Drops that another one brings about by a star come after it, so that each is told by where it began."""
        names = dict(self.graph.names_of({column for _, column, _ in self._drops}))
        uses = {(table, column): self._use(table, column, names[column]) for table, column, _ in self._drops}
        brought = {starred[:2] for use in uses.values() for starred in use.starred}
        todo = sorted(self._drops, key=lambda drop: drop[:2] not in brought)  # from the end: the first ones at last
        while todo:
            table, column, cause = todo.pop()
            if (table, column) not in self.gone:
                self.gone[table, column] = cause
                use = uses.get((table, column)) or self._use(table, column, names[column])
                todo += self._lost(table, names[column], use, cause, names)

    def _lost(
        self, table: Key, name: str, use: _Use, cause: Cause, names: dict[Key, str]
    ) -> list[tuple[Key, Key, Cause]]:
        """Break what names a column that goes, doubt what may; the columns that are gone with it."""
        for pipeline in use.naming:
            self.break_pipeline(pipeline, cause.on(f"names column {name}", table, pipeline))
        for pipeline in use.unsure:
            self.doubt(pipeline, cause.on("which columns it reads is not known", table, pipeline))
        self._readers.update(use.none)
        emptied = self._emptied(use)
        for pipeline in dict.fromkeys(pipeline for *_, pipeline in use.starred if pipeline in emptied):
            self.break_pipeline(pipeline, cause.on(f"column {name} was the last that its star found", table, pipeline))
        names |= self.graph.names_of({column for _, column, _ in use.starred} - names.keys() - {None})
        lost = []
        for target, column, pipeline in use.starred:
            if pipeline in emptied:
                continue
            is_row = column is None
            why = f"column {name} no longer bears on its rows" if is_row else f"column {names[column]} is gone with it"
            onward = cause.on(why, table, pipeline)
            self.hit(target, Level.AFFECTED, onward, column, is_row)
            self.reach(pipeline, Level.AFFECTED, onward)
            lost += [] if is_row else [(target, column, onward)]
        return lost

    def _emptied(self, use: _Use) -> set[Key]:
        """Pipelines to whose star nothing is left to select: they fail, and what they built before stays."""
        lost: dict[tuple[Key, Key], set[Key]] = defaultdict(set)  # by (pipeline, target)
        for target, column, pipeline in use.starred:
            if column is not None:
                lost[pipeline, target].add(column)
        columns = self._columns_of([target for _, target in lost])
        return {
            pipeline
            for (pipeline, target), gone in lost.items()
            if target in columns and all(each in gone or (target, each) in self.gone for each in columns[target])
        }

    def _use(self, table: Key, column: Key, name: str) -> _Use:
        by_pipeline: dict[Key, list[tuple[Key | None, ColumnEdge]]] = defaultdict(list)
        for (pipeline, target), edges in self.edges_from([table])[table].items():
            by_pipeline[pipeline] += [(target, edge) for edge in edges] or [(target, (None, None, ""))]
        used = [pipeline for pipeline, edges in by_pipeline.items() if any(edge[0] == column for _, edge in edges)]
        others = by_pipeline.keys() - set(used)
        opaque = {pipeline for pipeline in others if any(edge[:2] == (None, None) for _, edge in by_pipeline[pipeline])}
        naming = {*self.graph.naming(table, name, used), *self.graph.excluding(name, others - opaque)}
        unsure = opaque | {*self.graph.unsure(name, others - opaque - naming)}
        starred = [
            (target, edge[1] if edge[2] in DIRECT_KINDS else None, pipeline)
            for pipeline in used
            if pipeline not in naming
            for target, edge in by_pipeline[pipeline]
            if edge[0] == column and target is not None
        ]
        in_order = list(by_pipeline)
        return _Use(
            [pipeline for pipeline in in_order if pipeline in naming],
            starred,
            [pipeline for pipeline in in_order if pipeline in unsure],
            [pipeline for pipeline in in_order if pipeline in others - unsure - naming],
        )

    def _hit_outputs(self) -> None:
        """The tables that broken, failed and doubtful pipelines write."""
        written = self.graph.outputs_of({pipeline for pipeline, *_ in self._outputs_to_hit})
        for pipeline, level, cause, why in self._outputs_to_hit:
            for table in sorted(written.get(pipeline, ())):
                is_start = cause.pipeline is None
                self.hit(table, level, cause.on(why, None, pipeline) if is_start else replace(cause, why=why))

    def _pass_on(self, table: Key, pipeline: Key, target: Key | None, edges: list[ColumnEdge]) -> None:
        state, cause = self.tables[table], self.causes[table]
        if not edges:  # declared, an export, or not read: nobody knows which columns
            level = state.throughout(self._columns.get(table, ())) or Level.UNKNOWN
            why = "reads it" if level > Level.UNKNOWN else "which columns it reads is not known"
            onward = cause.on(why, table, pipeline)
            self.reach(pipeline, level, onward)
            if target is not None:
                self.hit(target, level, onward)
            return
        for source, column, kind in edges:
            level = _handed_on(state, source, kind)
            if level is None:
                continue
            onward = cause.on(_WHY[kind in DIRECT_KINDS], table, pipeline)
            self.reach(pipeline, level, onward)
            if target is not None:
                is_star = source is None and column is None and kind in DIRECT_KINDS
                self.hit(target, level, onward, column, is_row=column is None and not is_star)

    def edges_from(self, tables: Collection[Key]) -> dict[Key, Edges]:
        """By table, what each (pipeline, target) makes of its columns; asked of the graph once."""
        new = [table for table in tables if table not in self.edges]
        if new:
            found = self.graph.edges_from(new)
            self.edges.update((table, found.get(table, {})) for table in new)
            unknown = [table for table in new if not all(self.edges[table].values())]
            self._columns_of(unknown)
        return {table: self.edges[table] for table in tables}

    def _columns_of(self, tables: Collection[Key]) -> dict[Key, Collection[Key]]:
        """All columns of the tables asked for so far, where they are known; asked of the graph once."""
        new = [table for table in tables if table not in self._columns]
        self._columns.update(self.graph.columns_of(new) if new else {})
        return self._columns

    # --- in which order

    def rank(self) -> dict[tuple[bool, Key], int]:
        """The place of each (is pipeline, key) in the order of the data; what goes round in a circle shares one."""
        graph = nx.DiGraph()
        for table, edges in self.edges.items():
            for pipeline, target in edges:
                graph.add_edge((False, table), (True, pipeline))
                if target is not None:
                    graph.add_edge((True, pipeline), (False, target))
        circles = nx.condensation(graph)
        return {
            node: place
            for place, generation in enumerate(nx.topological_generations(circles))
            for circle in generation
            for node in circles.nodes[circle]["members"]
        }


_WHY = {True: "made of its data", False: "filtered, joined, grouped or sorted by it"}


def _handed_on(state: State, source: Key | None, kind: str) -> Level | None:
    """What an edge hands on: data what it is, a mere influence that it is affected, an unread star doubt."""
    if source is None:
        level = state.whole or Level.UNKNOWN
    else:
        level = max(filter(None, [state.of(source), state.rows]), default=None)
    if level is None or kind in DIRECT_KINDS:
        return level
    return min(level, Level.AFFECTED)


@dataclass(frozen=True)
class Words:
    """The words of a text, in lower case: every column that it names is among them. `excluded` are those that a star
    leaves out: `* EXCEPT (a)` fails where there is no `a`, though nothing is made of it."""

    all: frozenset[str]
    excluded: frozenset[str] = frozenset()

    @classmethod
    def of(cls, sql: str, dialect: str) -> Words:
        try:
            texts = [token.text.lower() for token in language(dialect).tokenize(sql)]
        except Exception:  # noqa: BLE001 a text that cannot be tokenized names whatever stands in it
            return cls(frozenset(sql.lower().split()))
        return cls(frozenset(texts), frozenset(_left_out(texts)))


def _left_out(texts: list[str]) -> Iterator[str]:
    for place, text in enumerate(texts[:-2]):
        if text == "*" and texts[place + 1] in ("except", "exclude"):
            rest = texts[place + 2 :]
            yield from rest[: rest.index(")")] if rest[0] == "(" and ")" in rest else rest[:1]
