"""What changes do to the catalog: `lineage.breaks` asked of its current edges, told in things, ways and owners."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.bulk import among
from catalog.models import Column, Owner, Pipeline, Table
from catalog.queries import owner_slugs_of
from lineage.breaks import Cause, Edges, Level, Spread, State, Words
from lineage.models import ColumnEdge, SqlVersion, TableEdge
from lineage.planned import PlannedChange
from lineage.queries import current_sql, inputs_and_outputs, owner_slugs_of_tables
from lineage.sql import analyze


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


def spread_of(
    changes: Collection[PlannedChange],
    repository: RepositoryPipelines | None = None,
    logged: LoggedTargets = lambda tables: (),
) -> Spread:
    """What these changes do together, as keys and causes; what is `logged` to be filled from what they hit is in doubt.

    A few queries a hop.
    """
    spread = Spread(CatalogGraph(repository, [change.table_id for change in changes if change.table_id]))
    for change in changes:
        begin(spread, change)
    spread.run()
    _doubt_logged(spread, logged)
    return spread


def _doubt_logged(spread: Spread, logged: LoggedTargets) -> None:
    """Go on along edges that only logs know, as long as they lead to tables not hit yet."""
    seen: set[int] = set()
    while new := {*spread.tables, *spread.gone_tables} - seen:
        seen |= new
        for source, target in logged(new):
            if target not in spread.tables and target not in spread.gone_tables:
                cause = spread.causes.get(source) or spread.gone_tables[source]
                spread.hit(
                    target, Level.UNKNOWN, cause.on("only query logs know that it is made of that", source, None)
                )
        spread.run()


@dataclass(frozen=True)
class RepositoryPipelines:
    """Pipelines (ids) of a repository that changes: `all` of them, and those `rewritten`, whose SQL here is no longer
    what they will run."""

    all: frozenset[int] = frozenset()
    rewritten: frozenset[int] = frozenset()


LoggedTargets = Callable[[Collection[int]], Iterable[tuple[int, int]]]  # of tables, pairs (table, what it fills)


class CatalogGraph:
    """The current edges as `lineage.breaks` asks for them; keys are ids, that of a column not in the catalog its name.

    What pipelines of a repository make of the `changed` tables (ids) is left out: whoever asks has judged it.
    """

    def __init__(self, repository: RepositoryPipelines | None = None, changed: Collection[int] = ()) -> None:
        self._repository, self._changed = repository or RepositoryPipelines(), set(changed)
        self._texts: dict[int, _Text] = {}

    def edges_from(self, tables: Collection[int]) -> Mapping[int, Edges]:
        """Two queries."""
        found: dict[int, Edges] = {table: {} for table in tables}
        current = {"source_table__in": among(tables), "valid_to": None}
        ends = TableEdge.objects.filter(**current).order_by("pipeline", "target_table")
        for table, pipeline, target in ends.values_list("source_table", "pipeline", "target_table"):
            if not self._is_judged(table, pipeline):
                found[table].setdefault((pipeline, target), [])
        columns = ColumnEdge.objects.filter(**current).order_by("pk")
        for table, pipeline, target, *edge in columns.values_list("source_table", "pipeline", "target_table", *_ENDS):
            if not self._is_judged(table, pipeline) and pipeline not in self._repository.rewritten:
                found[table].setdefault((pipeline, target), []).append(tuple(edge))
        return found

    def _is_judged(self, table: int, pipeline: int) -> bool:
        return pipeline in self._repository.all and table in self._changed

    def columns_of(self, tables: Collection[int]) -> Mapping[int, list[int]]:
        """One query."""
        found: dict[int, list[int]] = defaultdict(list)
        for table, column in Column.objects.filter(table__in=among(tables)).values_list("table", "pk"):
            found[table].append(column)
        return found

    def names_of(self, columns: Collection[int | str]) -> Mapping[int | str, str]:
        """One query."""
        known = {column for column in columns if isinstance(column, int)}
        names = dict(Column.objects.filter(pk__in=among(known)).values_list("pk", "name")) if known else {}
        return names | {column: column for column in columns if isinstance(column, str)}

    def writers_of(self, table: int) -> list[int]:
        """One query."""
        writers = TableEdge.objects.filter(target_table=table, valid_to=None).order_by("pipeline")
        found = writers.values_list("pipeline", flat=True).distinct()
        return [pipeline for pipeline in found if not self._is_judged(table, pipeline)]

    def outputs_of(self, pipelines: Collection[int]) -> Mapping[int, set[int]]:
        """One query."""
        written: dict[int, set[int]] = defaultdict(set)
        edges = TableEdge.objects.filter(pipeline__in=among(pipelines), target_table__isnull=False, valid_to=None)
        for pipeline, table in edges.values_list("pipeline", "target_table"):
            written[pipeline].add(table)
        return written

    def naming(self, table: int, name: str, pipelines: Collection[int]) -> set[int]:
        """One query for the SQL not read before. Without SQL, whoever reported the edge named the column."""
        texts = self._read(pipelines)
        return {key for key in pipelines if key not in texts or name.lower() in texts[key].words.all}

    def excluding(self, name: str, pipelines: Collection[int]) -> set[int]:
        """One query for the SQL not read before."""
        texts = self._read(pipelines)
        return {key for key in pipelines if key in texts and name.lower() in texts[key].words.excluded}

    def unsure(self, name: str, pipelines: Collection[int]) -> set[int]:
        """One query for the SQL not read before."""
        texts = self._read(pipelines)
        return {key for key in pipelines if key not in texts or texts[key].may_use(name)}

    def _read(self, pipelines: Collection[int]) -> Mapping[int, _Text]:
        fields = ("pipeline_id", "sql", "dialect", "statements", "statements_read", "columns_named", "columns_found")
        new = set(pipelines) - self._texts.keys()
        if new:
            for version in SqlVersion.objects.filter(pipeline__in=among(new), valid_to=None).only(*fields):
                self._texts[version.pipeline_id] = _Text.of(version)
        return self._texts


@dataclass(frozen=True)
class _Text:
    """The words in a pipeline's SQL, whether all of it was read, and whether every column in it found its table."""

    words: Words
    is_read: bool
    is_resolved: bool

    @classmethod
    def of(cls, version: SqlVersion) -> _Text:
        return cls(
            words=Words.of(version.sql, version.dialect),
            is_read=version.statements_read == version.statements,
            is_resolved=version.columns_found == version.columns_named,
        )

    def may_use(self, name: str) -> bool:
        """Whether it may use a column of that name, though no edge says so."""
        return not self.is_read or (not self.is_resolved and name.lower() in self.words.all)


_ENDS = ("source_column", "target_column", "kind")


# --- how each change begins


def begin(spread: Spread, change: PlannedChange) -> None:
    """Let a change begin to spread."""
    _BEGIN[change.verb](spread, change)


def _start(change: PlannedChange, why: str = "") -> Cause:
    return Cause(str(change), why or change.words, str(change.node))


def _begin_table_gone(spread: Spread, change: PlannedChange) -> None:
    spread.drop_table(change.thing.pk, _start(change))


def _begin_column_gone(spread: Spread, change: PlannedChange) -> None:
    column = change.thing
    spread.drop_column(column.table_id, column.pk or column.name, _start(change))


def _begin_retyped(spread: Spread, change: PlannedChange) -> None:
    spread.hit(change.thing.table_id, Level.AFFECTED, _start(change), change.thing.pk or change.thing.name)


def _begin_stale_outputs(spread: Spread, change: PlannedChange) -> None:
    spread.outputs_become(change.thing.pk, Level.STALE, _start(change), change.words)


def _begin_stale(spread: Spread, change: PlannedChange) -> None:
    spread.hit(change.thing.pk, Level.STALE, _start(change))


def _begin_doubt(spread: Spread, change: PlannedChange) -> None:
    spread.hit(change.thing.pk, Level.UNKNOWN, _start(change))


def _begin_wrong(spread: Spread, change: PlannedChange) -> None:
    if isinstance(change.thing, Column):
        spread.hit(change.thing.table_id, Level.WRONG, _start(change), column=change.thing.pk)
    else:
        spread.hit(change.thing.pk, Level.WRONG, _start(change))


def _begin_other_sql(spread: Spread, change: PlannedChange) -> None:
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


def _compare_columns(spread: Spread, change: PlannedChange, output: Table, made: Mapping[str, str | None]) -> None:
    for column in output.columns.all():
        kind = made.get(column.name.lower())
        if column.name.lower() not in made:
            spread.hit(output.pk, Level.AFFECTED, _start(change, f"column {column.name} is gone"), column=column.pk)
            spread.drop_column(output.pk, column.pk, Cause(str(change), f"column {column.name} is gone", output.node))
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
    "lose_columns": _begin_doubt,
    "not_refreshed": _begin_stale,
    "run_failed": _begin_stale_outputs,
    "wrong_rows": _begin_wrong,
}


# --- telling


def told(spread: Spread, changes: list[PlannedChange]) -> Impact:
    teller = _Teller(spread)
    hits = sorted(teller.hits(), key=teller.place)
    return Impact(
        changes=changes,
        breaks=[hit for hit in hits if hit.level == Level.BREAKS],
        stale=[hit for hit in hits if hit.level in (Level.STALE, Level.WRONG)],
        affected=[hit for hit in hits if hit.level == Level.AFFECTED],
        unknown=[hit for hit in hits if hit.level == Level.UNKNOWN],
        unaffected=list(Pipeline.objects.filter(pk__in=among(spread.unaffected)).order_by("name")),
        is_capped=spread.is_capped,
    )


def _whys(causes: Collection[Cause]) -> str:
    """All reasons to break: "names column price, names column size"."""
    return ", ".join(list(dict.fromkeys(cause.why for cause in causes))[:_MOST_WHYS])


_MOST_WHYS = 10


class _Teller:
    """Names, ways, owners and the order of what was hit. Nine queries."""

    def __init__(self, spread: Spread) -> None:
        self.spread = spread
        causes = [*spread.causes.values(), *(cause for _, cause in spread.pipelines.values())]
        passed = {step for cause in causes for step in cause.steps()}
        by_kind = {kind: {key for its_kind, key in passed if its_kind == kind} for kind in ("table", "pipeline")}
        self.tables = _by_id(Table.objects.select_related("source"), by_kind["table"] | spread.tables.keys())
        self.pipelines = _by_id(Pipeline.objects, by_kind["pipeline"] | spread.pipelines.keys())
        self.columns = spread.graph.names_of({key for state in spread.tables.values() for key in state.columns})
        self.owners = self._owners()
        self.rank = spread.rank()
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

    def _table_hit(self, table: Table, state: State) -> Hit:
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

    def _pipeline_hit(self, pipeline: Pipeline, level: Level, cause: Cause) -> Hit:
        return Hit(
            level=level,
            thing=pipeline,
            change=cause.change,
            why=_whys(self.spread.broken.get(pipeline.pk) or [cause]),
            path=self._path(cause),
            owners=self.owners["pipeline", pipeline.pk],
            is_end=pipeline.kind == Pipeline.Kind.EXPORT or pipeline.pk not in self.writes,
        )

    def _path(self, cause: Cause, *end: str) -> tuple[str, ...]:
        """Node ids from the changed thing to the one that is hit."""
        nodes = [*map(self._node, cause.steps()), *end]
        return tuple(node for place, node in enumerate(nodes) if not place or node != nodes[place - 1])

    def _node(self, step: tuple[str, Any]) -> str:
        kind, key = step
        return key if kind == "node" else getattr(self, f"{kind}s")[key].node

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
