"""What a change does downstream, at column grain through every hop: what breaks, what is then stale or wrong, what is
merely affected, and what nobody can tell.

First what breaks: pipelines that name a table or column which goes. A column that only a star brings along takes the
columns made of it with it, which are then gone themselves. Then what spreads: the outputs of broken pipelines are
stale; stale and wrong columns make those made of their data stale and wrong, and affect those they merely filter, join,
group or sort. A pipeline whose columns are not known hands on doubt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import networkx as nx

from catalog.bulk import among
from catalog.models import Column, Owner, Pipeline, Table
from catalog.queries import owner_slugs_of
from lineage.models import ColumnEdge, SqlVersion, TableEdge
from lineage.planned import PlannedChange
from lineage.queries import current_sql, inputs_and_outputs, owner_slugs_of_tables
from lineage.sql import analyze
from lineage.sql.dialects import language
from lineage.sql.model import DIRECT_KINDS

MOST_TABLES = 5_000  # hit tables that are followed and shown


class Level(IntEnum):
    """How badly something is hit; the worse wins."""

    UNKNOWN = 1
    AFFECTED = 2
    STALE = 3
    WRONG = 4
    BREAKS = 5


@dataclass(frozen=True)
class Hit:
    """A table or pipeline that is hit: how badly, because of which change, and by which way (node ids) it gets there.

    `columns` are those hit, with their levels, empty where the whole table is. `is_end` marks dashboards and exports.
    """

    level: Level
    thing: Table | Pipeline
    change: str
    why: str
    path: tuple[str, ...]
    columns: tuple[tuple[str, Level], ...] = ()
    owners: tuple[Owner, ...] = ()
    is_end: bool = False

    @property
    def node(self) -> str:
        return self.thing.node

    @property
    def is_pipeline(self) -> bool:
        return isinstance(self.thing, Pipeline)

    @property
    def word(self) -> str:
        """The level in a word: breaks, stale, wrong, affected, unknown."""
        return self.level.name.lower()

    @property
    def in_words(self) -> str:
        """The level, with the columns that have it and why: "wrong (why, n), made of its data"."""
        names = ", ".join(name for name, level in self.columns if level == self.level)
        return f"{self.word} ({names}), {self.why}" if names else f"{self.word}, {self.why}"


@dataclass(frozen=True)
class Impact:
    """What changes do. Pipelines stand in the order in which they would fail or run on bad data, dashboards and exports
    at the end; `unaffected` are pipelines that read a changed table but not what changes of it."""

    changes: list[PlannedChange]
    breaks: list[Hit]
    stale: list[Hit]
    affected: list[Hit]
    unknown: list[Hit]
    unaffected: list[Pipeline]
    is_capped: bool

    @property
    def hits(self) -> list[Hit]:
        return [*self.breaks, *self.stale, *self.affected, *self.unknown]

    def by_owner(self) -> dict[Owner, list[Hit]]:
        """What each owner must be told of, by name; what has no owner is in nobody's list."""
        found: dict[Owner, list[Hit]] = defaultdict(list)
        for hit in self.hits:
            for owner in hit.owners:
                found[owner].append(hit)
        return dict(sorted(found.items(), key=lambda item: (item[0].name, item[0].pk)))


def impact_of_changes(changes: Collection[PlannedChange]) -> Impact:
    """What these changes do together. A few queries a hop."""
    spread = _Spread()
    for change in changes:
        _BEGIN[change.verb](spread, change)
    spread.run()
    return _told(spread, list(changes))


@dataclass
class _State:
    """How a table is hit: as a whole, by columns (ids), and in which of its rows there are."""

    whole: Level | None = None
    columns: dict[int, Level] = field(default_factory=dict)
    rows: Level | None = None

    @property
    def worst(self) -> Level:
        return max(filter(None, [self.whole, self.rows, *self.columns.values()]))

    def of(self, column: int) -> Level | None:
        return max(filter(None, [self.whole, self.columns.get(column)]), default=None)

    def throughout(self, columns: Collection[int]) -> Level | None:
        """How badly every column of the table is hit at least; None if one is not."""
        levels = [self.of(column) for column in columns]
        return min(levels) if levels and None not in levels else self.whole  # type: ignore[type-var]

    def raise_to(self, level: Level, column: int | None, is_whole: bool) -> bool:
        """Note a hit; whether it is worse than what was known."""
        if is_whole:
            known, self.whole = self.whole, max(level, self.whole or level)
        elif column is None:
            known, self.rows = self.rows, max(level, self.rows or level)
        else:
            known = self.of(column)
            self.columns[column] = max(level, known or level)
        return known is None or level > known


@dataclass(frozen=True)
class _Cause:
    """The change at the start, and the step that led here: from a table, through a pipeline."""

    change: str
    why: str
    table: int | None = None
    pipeline: int | None = None
    node: str = ""


@dataclass(frozen=True)
class _Text:
    """The names in a pipeline's SQL, and whether all of it was read."""

    identifiers: frozenset[str]
    is_read: bool


Edges = dict[tuple[int, int | None], list[tuple[int | None, int | None, str]]]


class _Spread:
    """Changes on their way downstream."""

    def __init__(self) -> None:
        self.tables: dict[int, _State] = {}
        self.causes: dict[int, _Cause] = {}
        self.pipelines: dict[int, tuple[Level, _Cause]] = {}
        self.unaffected: set[int] = set()
        self.waiting: list[int] = []
        self.is_capped = False
        self.edges: dict[int, Edges] = {}
        self._outputs_to_hit: list[tuple[int, Level, _Cause, str]] = []
        self._texts: dict[int, _Text] = {}
        self._columns: dict[int, list[int]] = defaultdict(list)  # of tables with readers whose columns are not known

    # --- what breaks

    def drop_column(self, table: int, column: int, name: str, cause: _Cause) -> None:
        """Everything that names the column breaks; what a star makes of it is gone as well."""
        todo, seen = [(table, column, name, cause)], set()
        while todo:
            table, column, name, cause = todo.pop()
            if (table, column) in seen:
                continue
            seen.add((table, column))
            vanishing = self._readers_of_column(table, column, name, cause)
            names = dict(Column.objects.filter(pk__in=among(key for _, key, _ in vanishing)).values_list("pk", "name"))
            for target, key, pipeline in vanishing:
                onward = _Cause(cause.change, f"column {names[key]} is gone with it", table, pipeline, cause.node)
                self.hit(target, Level.AFFECTED, onward, column=key)
                todo.append((target, key, names[key], replace(onward, node="")))

    def _readers_of_column(self, table: int, column: int, name: str, cause: _Cause) -> list[tuple[int, int, int]]:
        """Break what names it, doubt what cannot be told, and return (table, column, pipeline) of what vanishes."""
        vanishing = []
        by_pipeline: dict[int, list[tuple[int | None, int | None, int | None, str]]] = defaultdict(list)
        for (pipeline, target), edges in self.edges_from([table])[table].items():
            by_pipeline[pipeline] += [(target, *edge) for edge in edges] or [(target, None, None, "")]
        self._read_texts(by_pipeline)
        for pipeline, edges in by_pipeline.items():
            used = [edge for edge in edges if edge[1] == column]
            text = self._texts.get(pipeline)
            if used and (text is None or name.lower() in text.identifiers):
                self.break_pipeline(pipeline, _Cause(cause.change, f"names column {name}", table, pipeline, cause.node))
            elif used:
                vanishing += [(to, key, pipeline) for to, _, key, kind in used if to and key and kind in DIRECT_KINDS]
            elif text is None or not text.is_read or any(edge[1:3] == (None, None) for edge in edges):
                self.doubt(
                    pipeline, _Cause(cause.change, "which columns it reads is not known", table, pipeline, cause.node)
                )
            else:
                self.unaffected.add(pipeline)
        return vanishing

    def _read_texts(self, pipelines: Iterable[int]) -> None:
        """What the SQL of some pipelines names. One query."""
        versions = SqlVersion.objects.filter(pipeline__in=among(set(pipelines) - self._texts.keys()), valid_to=None)
        for version in versions.only("pipeline_id", "sql", "dialect", "statements", "statements_read"):
            self._texts[version.pipeline_id] = _Text(
                _identifiers(version), version.statements_read == version.statements
            )

    def drop_table(self, table: int, cause: _Cause) -> None:
        """Everything that reads it breaks; what writes it would fail or make it anew."""
        for pipeline, _ in self.edges_from([table])[table]:
            self.break_pipeline(pipeline, _Cause(cause.change, "reads it", table, pipeline, cause.node))
        writers = TableEdge.objects.filter(target_table=table, valid_to=None).order_by("pipeline")
        for pipeline in writers.values_list("pipeline", flat=True).distinct():
            self.reach(pipeline, Level.AFFECTED, _Cause(cause.change, "writes it", table, pipeline, cause.node))

    def break_pipeline(self, pipeline: int, cause: _Cause) -> None:
        self.reach(pipeline, Level.BREAKS, cause)
        self.outputs_become(pipeline, Level.STALE, cause, "built by a pipeline that breaks")

    def doubt(self, pipeline: int, cause: _Cause) -> None:
        self.reach(pipeline, Level.UNKNOWN, cause)
        self.outputs_become(pipeline, Level.UNKNOWN, cause, cause.why)

    def outputs_become(self, pipeline: int, level: Level, cause: _Cause, why: str) -> None:
        self._outputs_to_hit.append((pipeline, level, cause, why))

    # --- what spreads

    def hit(self, table: int, level: Level, cause: _Cause, column: int | None = None, is_row: bool = False) -> None:
        """A table is hit: as a whole, in one column, or in which rows it has."""
        if table not in self.tables and len(self.tables) >= MOST_TABLES:
            self.is_capped = True
            return
        state = self.tables.setdefault(table, _State())
        known = state.worst if table in self.causes else None
        if state.raise_to(level, column, is_whole=column is None and not is_row):
            self.waiting.append(table)
            if known is None or level > known:
                self.causes[table] = cause

    def reach(self, pipeline: int, level: Level, cause: _Cause) -> None:
        if pipeline not in self.pipelines or level > self.pipelines[pipeline][0]:
            self.pipelines[pipeline] = (level, cause)

    def run(self) -> None:
        """Follow what is hit until nothing gets worse."""
        self._hit_outputs()
        while self.waiting:
            wave, self.waiting = list(dict.fromkeys(self.waiting)), []
            edges = self.edges_from(wave)
            for table in wave:
                for (pipeline, target), columns in edges[table].items():
                    self._pass_on(table, pipeline, target, columns)

    def _hit_outputs(self) -> None:
        """The tables that broken, failed and doubtful pipelines write. One query."""
        ids = {pipeline for pipeline, *_ in self._outputs_to_hit}
        written: dict[int, set[int]] = defaultdict(set)
        edges = TableEdge.objects.filter(pipeline__in=among(ids), target_table__isnull=False, valid_to=None)
        for pipeline, table in edges.values_list("pipeline", "target_table"):
            written[pipeline].add(table)
        for pipeline, level, cause, why in self._outputs_to_hit:
            for table in sorted(written[pipeline]):
                self.hit(table, level, _Cause(cause.change, why, cause.table, pipeline, cause.node))

    def _pass_on(
        self, table: int, pipeline: int, target: int | None, edges: list[tuple[int | None, int | None, str]]
    ) -> None:
        state, change = self.tables[table], self.causes[table].change
        if not edges:  # declared, an export, or not read: nobody knows which columns
            level = state.throughout(self._columns.get(table, ())) or Level.UNKNOWN
            why = "reads it" if level > Level.UNKNOWN else "which columns it reads is not known"
            cause = _Cause(change, why, table, pipeline)
            self.reach(pipeline, level, cause)
            if target is not None:
                self.hit(target, level, cause)
            return
        for source, column, kind in edges:
            level = self._level(state, source, kind)
            if level is None:
                continue
            cause = _Cause(change, _WHY[kind in DIRECT_KINDS], table, pipeline)
            self.reach(pipeline, level, cause)
            if target is not None:
                is_star = source is None and column is None and kind in DIRECT_KINDS
                self.hit(target, level, cause, column, is_row=column is None and not is_star)

    def _level(self, state: _State, source: int | None, kind: str) -> Level | None:
        """What an edge hands on: data what it is, a mere influence that it is affected, an unread star doubt."""
        if source is None:
            level = state.whole or Level.UNKNOWN
        else:
            level = max(filter(None, [state.of(source), state.rows]), default=None)
        if level is None or kind in DIRECT_KINDS:
            return level
        return min(level, Level.AFFECTED)

    def edges_from(self, tables: Collection[int]) -> dict[int, Edges]:
        """By table, of each (pipeline, target) the column edges. Three queries for those not asked for before."""
        new = [table for table in tables if table not in self.edges]
        if new:
            found: dict[int, Edges] = {table: {} for table in new}
            current = {"source_table__in": among(new), "valid_to": None}
            ends = TableEdge.objects.filter(**current).order_by("pipeline", "target_table")
            for table, pipeline, target in ends.values_list("source_table", "pipeline", "target_table"):
                found[table].setdefault((pipeline, target), [])
            columns = ColumnEdge.objects.filter(**current).order_by("pk")
            for table, pipeline, target, *edge in columns.values_list(
                "source_table", "pipeline", "target_table", *_ENDS
            ):
                found[table].setdefault((pipeline, target), []).append(tuple(edge))
            self.edges.update(found)
            unknown = [table for table, edges in found.items() if not all(edges.values())]
            for table, column in Column.objects.filter(table__in=among(unknown)).values_list("table", "pk"):
                self._columns[table].append(column)
        return {table: self.edges[table] for table in tables}


_ENDS = ("source_column", "target_column", "kind")
_WHY = {True: "made of its data", False: "filtered, joined, grouped or sorted by it"}


def _identifiers(version: SqlVersion) -> frozenset[str]:
    try:
        tokens = language(version.dialect).tokenize(version.sql)
    except Exception:  # noqa: BLE001 a text that cannot be tokenized names whatever stands in it
        return frozenset(version.sql.lower().split())
    return frozenset(token.text.lower() for token in tokens)


# --- how each change begins


def _start(change: PlannedChange, why: str = "") -> _Cause:
    return _Cause(str(change), why or change.words, node=str(change.node))


def _begin_table_gone(spread: _Spread, change: PlannedChange) -> None:
    spread.drop_table(change.thing.pk, _start(change))


def _begin_column_gone(spread: _Spread, change: PlannedChange) -> None:
    column = change.thing
    spread.drop_column(column.table_id, column.pk, column.name, _start(change))


def _begin_retyped(spread: _Spread, change: PlannedChange) -> None:
    spread.hit(change.thing.table_id, Level.AFFECTED, _start(change), column=change.thing.pk)


def _begin_stale_outputs(spread: _Spread, change: PlannedChange) -> None:
    spread.outputs_become(change.thing.pk, Level.STALE, _start(change), change.words)


def _begin_stale(spread: _Spread, change: PlannedChange) -> None:
    spread.hit(change.thing.pk, Level.STALE, _start(change))


def _begin_wrong(spread: _Spread, change: PlannedChange) -> None:
    if isinstance(change.thing, Column):
        spread.hit(change.thing.table_id, Level.WRONG, _start(change), column=change.thing.pk)
    else:
        spread.hit(change.thing.pk, Level.WRONG, _start(change))


def _begin_other_sql(spread: _Spread, change: PlannedChange) -> None:
    """What both texts make of the same inputs, compared: columns that go, or get another type."""
    pipeline = change.thing
    version = current_sql(pipeline)
    inputs, outputs = inputs_and_outputs(pipeline)
    schema = _schema_of(inputs)
    dialect = version.dialect if version else ""
    new = analyze(change.argument, dialect, schema)
    errors = [problem.message for problem in new.problems if problem.severity == "error"]
    if errors:
        spread.doubt(pipeline.pk, _start(change, f"its new SQL cannot be read: {errors[0]}"))
        return
    for output in outputs:
        made = _columns_made(new.columns, output.name, is_only=len(outputs) == 1)
        if made is None:
            spread.hit(output.pk, Level.STALE, _start(change, "the new SQL does not write it"))
        elif not made.complete:
            spread.hit(output.pk, Level.UNKNOWN, _start(change, "the columns that the new SQL makes cannot be told"))
        else:
            _compare_columns(spread, change, output, {name.lower(): kind for name, kind in made.columns})


def _compare_columns(spread: _Spread, change: PlannedChange, output: Table, made: Mapping[str, str | None]) -> None:
    for column in output.columns.all():
        kind = made.get(column.name.lower())
        if column.name.lower() not in made:
            spread.hit(output.pk, Level.AFFECTED, _start(change, f"column {column.name} is gone"), column=column.pk)
            cause = _Cause(str(change), f"column {column.name} is gone", node=output.node)
            spread.drop_column(output.pk, column.pk, column.name, cause)
        elif kind and column.type and kind.upper() != column.type.upper():
            why = f"column {column.name} is {kind} instead of {column.type}"
            spread.hit(output.pk, Level.AFFECTED, _start(change, why), column=column.pk)


def _columns_made(columns: Mapping[str, Any], name: str, is_only: bool) -> Any:
    """Of the tables that SQL writes, the one of that name: written in full, in part, or nameless by a bare SELECT."""
    for written, made in columns.items():
        if name.lower() == written.lower() or name.lower().endswith(f".{written.lower()}"):
            return made
    return next(iter(columns.values())) if is_only and list(columns) == [""] else None


def _schema_of(tables: Iterable[Table]) -> dict[str, dict[str, str]]:
    schema: dict[str, dict[str, str]] = {table.name: {} for table in tables}
    columns = Column.objects.filter(table__in=[table.pk for table in tables]).order_by("position", "pk")
    for table, name, kind in columns.values_list("table__name", "name", "type"):
        schema[table][name] = kind
    return {name: columns for name, columns in schema.items() if columns}


_BEGIN = {
    "drop_table": _begin_table_gone,
    "rename_table": _begin_table_gone,
    "drop_column": _begin_column_gone,
    "rename_column": _begin_column_gone,
    "retype_column": _begin_retyped,
    "retire_pipeline": _begin_stale_outputs,
    "replace_sql": _begin_other_sql,
    "not_refreshed": _begin_stale,
    "run_failed": _begin_stale_outputs,
    "wrong_rows": _begin_wrong,
}


# --- telling


def _told(spread: _Spread, changes: list[PlannedChange]) -> Impact:
    teller = _Teller(spread)
    hits = sorted(teller.hits(), key=teller.place)
    unaffected = spread.unaffected - spread.pipelines.keys()
    return Impact(
        changes=changes,
        breaks=[hit for hit in hits if hit.level == Level.BREAKS],
        stale=[hit for hit in hits if hit.level in (Level.STALE, Level.WRONG)],
        affected=[hit for hit in hits if hit.level == Level.AFFECTED],
        unknown=[hit for hit in hits if hit.level == Level.UNKNOWN],
        unaffected=list(Pipeline.objects.filter(pk__in=among(unaffected)).order_by("name")),
        is_capped=spread.is_capped,
    )


class _Teller:
    """Names, ways, owners and the order of what was hit. Nine queries."""

    def __init__(self, spread: _Spread) -> None:
        self.spread = spread
        causes = [*spread.causes.values(), *(cause for _, cause in spread.pipelines.values())]
        self.tables = _by_id(
            Table.objects.select_related("source"), {*spread.tables, *(cause.table for cause in causes if cause.table)}
        )
        self.pipelines = _by_id(
            Pipeline.objects, {*spread.pipelines, *(cause.pipeline for cause in causes if cause.pipeline)}
        )
        columns = {key for state in spread.tables.values() for key in state.columns}
        self.columns = dict(Column.objects.filter(pk__in=among(columns)).values_list("pk", "name"))
        self.owners = self._owners()
        self.rank = self._rank()
        self.writes = {pipeline for edges in spread.edges.values() for pipeline, target in edges if target}

    def hits(self) -> Iterator[Hit]:
        for key, state in self.spread.tables.items():
            yield self._table_hit(self.tables[key], state)
        for key, (level, cause) in self.spread.pipelines.items():
            if level == Level.BREAKS or key not in self.writes:
                yield self._pipeline_hit(self.pipelines[key], level, cause)

    def place(self, hit: Hit) -> tuple[bool, int, str]:
        """In the order in which they would fail; dashboards and exports at the end."""
        return (hit.is_end, self.rank.get((hit.is_pipeline, hit.thing.pk), 0), hit.thing.name)

    def _table_hit(self, table: Table, state: _State) -> Hit:
        cause = self.spread.causes[table.pk]
        columns = (
            ()
            if state.whole == state.worst
            else sorted((self.columns[key], state.columns[key]) for key in state.columns)
        )
        return Hit(
            level=state.worst,
            thing=table,
            change=cause.change,
            why=cause.why,
            path=self._path(cause, table.node),
            columns=tuple(columns),
            owners=self.owners["table", table.pk],
            is_end=table.kind == Table.Kind.DASHBOARD,
        )

    def _pipeline_hit(self, pipeline: Pipeline, level: Level, cause: _Cause) -> Hit:
        return Hit(
            level=level,
            thing=pipeline,
            change=cause.change,
            why=cause.why,
            path=self._path(cause),
            owners=self.owners["pipeline", pipeline.pk],
            is_end=pipeline.kind == Pipeline.Kind.EXPORT or pipeline.pk not in self.writes,
        )

    def _path(self, cause: _Cause, *end: str) -> tuple[str, ...]:
        """Node ids from the changed thing to the one that is hit."""
        nodes, seen, step = list(end), set(), cause
        while step is not None:
            nodes[:0] = [self.pipelines[step.pipeline].node] if step.pipeline else []
            if step.node or step.table is None or step.table in seen:
                nodes[:0] = [step.node] if step.node else []
                break
            seen.add(step.table)
            nodes[:0] = [self.tables[step.table].node]
            step = self.spread.causes.get(step.table)
        return tuple(node for place, node in enumerate(nodes) if not place or node != nodes[place - 1])

    def _owners(self) -> dict[tuple[str, int], tuple[Owner, ...]]:
        slugs = {("table", key): owners for key, owners in owner_slugs_of_tables(self.spread.tables).items()}
        slugs |= {
            ("pipeline", key): owners for key, owners in owner_slugs_of("pipeline", self.spread.pipelines).items()
        }
        named = {key: dict.fromkeys((*owners.business, *owners.technical)) for key, owners in slugs.items()}
        owners = {
            owner.slug: owner
            for owner in Owner.objects.filter(slug__in={slug for each in named.values() for slug in each})
        }
        return {key: tuple(owners[slug] for slug in each) for key, each in named.items()}

    def _rank(self) -> dict[tuple[bool, int], int]:
        """The place of each (is pipeline, id) in the order of the data; what goes round in a circle shares one."""
        graph = nx.DiGraph()
        for table, edges in self.spread.edges.items():
            for pipeline, target in edges:
                graph.add_edge((False, table), (True, pipeline))
                if target is not None:
                    graph.add_edge((True, pipeline), (False, target))
        circles = nx.condensation(graph)
        generations = enumerate(nx.topological_generations(circles))
        return {
            node: place
            for place, generation in generations
            for circle in generation
            for node in circles.nodes[circle]["members"]
        }


def _by_id(things: Any, ids: Collection[int]) -> dict[int, Any]:
    return {thing.pk: thing for thing in things.filter(pk__in=among(ids))}


def message_to(owner: Owner, hits: Collection[Hit], impact: Impact, link: str) -> str:
    """What to write to an owner of things that are hit, ready to be sent."""
    lines = [f"Hello {owner.name},", "", *(f"- {change.words}" for change in impact.changes), ""]
    for words, levels in _TO_OWNERS:
        of_kind = [hit for hit in hits if hit.level in levels]
        if of_kind:
            lines += [words, *(f"- {hit.thing.name}: {hit.in_words}" for hit in of_kind), ""]
    return "\n".join([*lines, f"Everything it reaches: {link}"])


_TO_OWNERS = (
    ("Of yours, this breaks:", (Level.BREAKS,)),
    ("This of yours is then stale or wrong:", (Level.STALE, Level.WRONG)),
    ("This of yours is affected; please have a look:", (Level.AFFECTED,)),
    ("Of this nobody can tell from its SQL; please have a look:", (Level.UNKNOWN,)),
)
