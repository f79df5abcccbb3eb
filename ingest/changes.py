"""What would a change of a SQL repository break? Two readings of it compared, without a database.

`lineage.breaks` is asked of the newer version's SQL, read with the columns as they were: what it then makes of a column
that the change takes away is what the change does to it. A pipeline changed along with its source is so judged by its
new SQL, and mended if that no longer names the column.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from catalog.facts import PipelineFact
from ingest import reading
from ingest.analyze_file import SqlText, analyze_file
from ingest.layout import Layout
from ingest.reading import Columns, Known, Reading, output_columns
from ingest.settings import Settings
from ingest.workers import Workers
from lineage.breaks import Cause, Edges, Level, Spread, Words
from lineage.facts import ERROR, SqlLineage
from lineage.nodes import NodeId


@dataclass(frozen=True)
class Version:
    """One version of a repository: its pipelines by name, the lineage and text of those with SQL.

    `keys` are those of the analyses, by the names of pipelines.
    """

    read: Reading
    pipelines: Mapping[str, PipelineFact]
    lineages: Mapping[str, SqlLineage]
    keys: Mapping[str, str]
    texts: Mapping[str, SqlText]
    mentions: Mapping[str, frozenset[str]]
    listed: Mapping[str, Columns]
    owner_names: Mapping[str, str]

    @cached_property
    def columns(self) -> dict[str, Columns]:
        """Per table its columns with types, where all are known: as its SQL makes them, else as a file lists them."""
        made = {
            name: columns for lineage in self.lineages.values() for name, columns in output_columns(lineage).items()
        }
        return {**self.listed, **made}

    @cached_property
    def tables(self) -> set[str]:
        """Tables that a pipeline fills or a file describes."""
        return {target for pairs in self._pairs.values() for _, target in pairs if target} | set(self.listed)

    @cached_property
    def _pairs(self) -> dict[str, list[tuple[str, str]]]:
        """Per pipeline its (source, target) pairs: of its SQL, and as declared."""
        pairs = {name: list(lineage.table_edges) for name, lineage in self.lineages.items()}
        for name, fact in self.pipelines.items():
            declared = [(source[1], target[1]) for source in fact.inputs or (("", ""),) for target in fact.outputs]
            pairs.setdefault(name, []).extend(declared or [(source[1], "") for source in fact.inputs])
        return pairs

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        """Per table the pipelines that read it, sorted."""
        found: dict[str, set[str]] = defaultdict(set)
        for name, pairs in self._pairs.items():
            for source, _ in pairs:
                found[source].add(name)
        return {table: sorted(names) for table, names in found.items() if table}

    @cached_property
    def builders(self) -> dict[str, set[str]]:
        """Per table the pipelines that fill it."""
        found: dict[str, set[str]] = defaultdict(set)
        for name, pairs in self._pairs.items():
            for _, target in pairs:
                found[target].add(name)
        return found

    def outputs(self, pipeline: str) -> list[str]:
        return sorted({target for _, target in self._pairs.get(pipeline, ()) if target})

    def edges_of(self, pipeline: str, lineage: SqlLineage | None) -> dict[str, Edges]:
        """By table, what a pipeline makes of it, its SQL read as `lineage`."""
        found: dict[str, Edges] = defaultdict(dict)
        for source, target in self._pairs.get(pipeline, ()):
            if source:
                found[source].setdefault((pipeline, target or None), [])
        for source, column, target, made, kind, *_ in lineage.column_edges if lineage else ():
            ends = found[source].setdefault((pipeline, target), [])
            ends.append((None if column == "*" else column, None if made == "*" else made, kind))
        return found

    def owners(self, pipeline: str) -> list[str]:
        """Names of its owners, business first."""
        owned = self.pipelines[pipeline].owners
        return [self.owner_names.get(slug, slug) for slug in dict.fromkeys((*owned.business, *owned.technical))]

    def table_node(self, table: str) -> str:
        source, name = self.read.repository.names.of_sql(table)
        return str(NodeId("table", name, source))

    def column_node(self, table: str, column: str) -> str:
        source, name = self.read.repository.names.of_sql(table)
        return str(NodeId("column", name, source, column))


@dataclass(frozen=True)
class Change:
    """What changes of a table, as `lineage.planned` calls it (`verb`), in words and with a node id."""

    verb: str
    words: str
    node: str
    table: str
    column: str = ""
    argument: str = ""


@dataclass(frozen=True)
class Hit:
    """What a change reaches: `node` is the table that is then not built or not right, or the pipeline itself where it
    builds none; `path` leads there from the changed thing, as node ids."""

    change: str
    node: str
    pipeline: str
    path: list[str]
    owners: list[str]


@dataclass(frozen=True)
class Report:
    """What breaks, what is built from that or uses what changes, and what cannot be told; in the order of the data."""

    breaks: list[Hit] = field(default_factory=list)
    affected: list[Hit] = field(default_factory=list)
    unknown: list[Hit] = field(default_factory=list)
    gone: frozenset[tuple[str, str]] = frozenset()  # every (table, column) of the repository that goes

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """As `--json` prints it."""
        return {kind: [asdict(hit) for hit in getattr(self, kind)] for kind in ("breaks", "affected", "unknown")}


def read_version(folder: Path, layout: Layout, settings: Settings, jobs: int, before: Version | None = None) -> Version:
    """Read and analyse one version of a repository; `jobs` worker processes, 0 for this process.

    What stands in `before` as it stands here, with all it depends on, is taken from there.
    """
    read = Reading(folder, layout, settings, before=before.read if before else None)
    read.walk()
    with Workers(jobs, [reading.__name__]) as workers:
        repository = read.read(workers)
        analysis = reading.Analysis(read, workers, _known(before) if before else {})
        reads = list(analysis.run())
    names = {path: fact.name for path, fact in repository.pipelines.items()}
    lineages = {names[one.path]: one.lineage or before.lineages[names[one.path]] for one in reads}  # type: ignore[union-attr]
    return Version(
        read=read,
        pipelines={fact.name: fact for fact in repository.pipelines.values()},
        lineages=lineages,
        keys={names[one.path]: one.key for one in reads},
        texts={names[one.path]: analysis.text_of(one.path) for one in reads},
        mentions={names[one.path]: read.facts[one.path].mentions for one in reads},
        listed={name: analysis.columns[name] for name in analysis.stated},
        owner_names={owner.slug: owner.name for owner in repository.owners},
    )


def _known(before: Version) -> dict[str, Known]:
    """By path, what the analyses of a version rest on."""
    return {
        lineage.path: Known(before.read.files[lineage.path].digest, before.keys[name], output_columns(lineage))
        for name, lineage in before.lineages.items()
    }


def changes_between(base: Version, new: Version) -> Iterator[Change]:
    """What downstream can feel of going from `base` to `new`."""
    for table in sorted(base.tables):
        node = new.table_node(table)
        if table not in new.tables:
            yield Change("drop_table", f"table {table} is gone", node, table)
        elif table in base.columns and table not in new.columns:
            yield Change("lose_columns", f"the columns of {table} cannot be told any more", node, table)
        elif table in base.columns:
            yield from _column_changes(table, base.columns[table], new.columns[table], new)


def _column_changes(table: str, old: Columns, columns: Columns, new: Version) -> Iterator[Change]:
    for column, kind in old.items():
        node = new.column_node(table, column)
        if column not in columns:
            yield Change("drop_column", f"column {column} of {table} is gone", node, table, column)
        elif kind and columns[column] and kind.upper() != columns[column].upper():
            words = f"column {column} of {table} is {columns[column]} instead of {kind}"
            yield Change("retype_column", words, node, table, column, columns[column])


def repository_of(base: Version, new: Version) -> dict[str, list[str]]:
    """Names of all pipelines of both versions, and of those `rewritten`, whose SQL is not the same in both."""
    names = sorted(base.pipelines.keys() | new.pipelines.keys())
    return {"pipelines": names, "rewritten": [name for name in names if _digest(base, name) != _digest(new, name)]}


def _digest(version: Version, pipeline: str) -> str | None:
    lineage = version.lineages.get(pipeline)
    return lineage.digest if lineage else None


def compare(base: Version, new: Version) -> Report:
    """What going from `base` to `new` breaks downstream and does not also mend.

    A column of a table whose builders are not rewritten goes because of another that goes, as `lineage.breaks` finds;
    or it does not go at all, where a pipeline before it breaks and leaves its table as it was.
    """
    changes = list(changes_between(base, new))
    spread = Spread(_Graph(base, new, changes))
    rewritten = set(repository_of(base, new)["rewritten"])
    brought = [change for change in changes if _is_brought(change, new, rewritten)]
    _begin(spread, [change for change in changes if change not in brought])
    for pipeline, why in _unread(changes, base, new):
        spread.doubt(pipeline, Cause(why, why))
    spread.run()
    _begin(spread, [change for change in brought if not _is_stale(spread, change.table)])
    spread.run()
    return _told(spread, new)


def _is_brought(change: Change, new: Version, rewritten: set[str]) -> bool:
    builders = new.builders.get(change.table)
    return change.verb == "drop_column" and bool(builders) and not builders & rewritten


def _is_stale(spread: Spread, table: str) -> bool:
    return table in spread.tables and spread.tables[table].worst >= Level.STALE


def _begin(spread: Spread, changes: Iterable[Change]) -> None:
    for change in changes:
        _BEGIN[change.verb](spread, change, Cause(change.words, change.words, change.node))


_BEGIN = {
    "drop_table": lambda spread, change, cause: spread.drop_table(change.table, cause),
    "drop_column": lambda spread, change, cause: spread.drop_column(change.table, change.column, cause),
    "retype_column": lambda spread, change, cause: spread.hit(change.table, Level.AFFECTED, cause, change.column),
    "lose_columns": lambda spread, change, cause: spread.hit(change.table, Level.UNKNOWN, cause),
}


class _Graph:
    """The newer version as `lineage.breaks` asks for it, keyed by names. SQL that reads a table which loses columns is
    read with these still there."""

    def __init__(self, base: Version, new: Version, changes: Iterable[Change]) -> None:
        self.new = new
        self.columns = dict(new.columns)
        self.before = {change.table: base.columns[change.table] for change in changes if change.verb == "drop_column"}
        self._edges: dict[str, dict[str, Edges]] = {}
        self._texts: dict[str, Words] = {}

    def edges_from(self, tables: Collection[str]) -> Mapping[str, Edges]:
        found: dict[str, Edges] = {table: {} for table in tables}
        for table in tables:
            for pipeline in self.new.readers.get(table, ()):
                found[table].update(self._edges_of(pipeline).get(table, {}))
        return found

    def _edges_of(self, pipeline: str) -> dict[str, Edges]:
        if pipeline not in self._edges:
            lineage, text = self.new.lineages.get(pipeline), self.new.texts.get(pipeline)
            read = {source for source, _ in lineage.table_edges} & self.before.keys() if lineage else set()
            if read and text:
                columns = {table: self.before[table] for table in read}
                lineage = analyze_file(replace(text, columns={**text.columns, **columns}))
                self.columns |= output_columns(lineage)
            self._edges[pipeline] = self.new.edges_of(pipeline, lineage)
        return self._edges[pipeline]

    def columns_of(self, tables: Collection[str]) -> Mapping[str, Collection[str]]:
        return {table: list(self.columns[table]) for table in tables if table in self.columns}

    def names_of(self, columns: Collection[str]) -> Mapping[str, str]:
        return {column: column for column in columns}

    def writers_of(self, table: str) -> Collection[str]:
        return ()  # of a table that is gone: nothing fills it any more

    def outputs_of(self, pipelines: Collection[str]) -> Mapping[str, Collection[str]]:
        return {pipeline: self.new.outputs(pipeline) for pipeline in pipelines}

    def naming(self, table: str, name: str, pipelines: Collection[str]) -> set[str]:
        return {pipeline for pipeline in pipelines if self._names(pipeline, table, name)}

    def _names(self, pipeline: str, table: str, name: str) -> bool:
        """A column that only a star brought is gone from what the SQL makes now; whatever else is made of it fails."""
        lineage = self.new.lineages[pipeline]
        left = {output: {column for column, _ in columns} for output, (_, columns) in lineage.columns.items()}
        return name.lower() in self._words(pipeline).all and any(
            made is None or made in left.get(target or "", ())
            for (_, target), edges in self._edges_of(pipeline)[table].items()
            for source, made, _ in edges
            if source == name
        )

    def excluding(self, name: str, pipelines: Collection[str]) -> set[str]:
        return {pipeline for pipeline in pipelines if name.lower() in self._words(pipeline).excluded}

    def unsure(self, name: str, pipelines: Collection[str]) -> set[str]:
        return {pipeline for pipeline in pipelines if self._may_use(pipeline, name)}

    def _may_use(self, pipeline: str, name: str) -> bool:
        lineage = self.new.lineages.get(pipeline)
        if lineage is None or lineage.statements_read < lineage.statements:
            return True
        is_resolved = lineage.columns_found == lineage.columns_named
        return not is_resolved and name.lower() in self._words(pipeline).all

    def _words(self, pipeline: str) -> Words:
        if pipeline not in self._texts:
            lineage, text = self.new.lineages.get(pipeline), self.new.texts.get(pipeline)
            self._texts[pipeline] = Words.of(lineage.sql, text.dialect) if lineage and text else Words(frozenset())
        return self._texts[pipeline]


def _unread(changes: list[Change], base: Version, new: Version) -> Iterator[tuple[str, str]]:
    """Pipelines whose SQL could not be read where it changed or names something that goes, and why."""
    gone = {
        change.table.lower().rsplit(".", 1)[-1] for change in changes if change.verb in ("drop_table", "drop_column")
    }
    for pipeline, lineage in new.lineages.items():
        errors = [problem for problem in lineage.problems if problem.severity == ERROR]
        named = {name.rsplit(".", 1)[-1] for name in new.mentions.get(pipeline, ())}
        if errors and (_digest(base, pipeline) != lineage.digest or gone & named):
            yield pipeline, f"{lineage.path}: {errors[0].message}"


def _told(spread: Spread, new: Version) -> Report:
    teller = _Teller(spread, new)
    return Report(
        breaks=teller.in_order(teller.breaks()),
        affected=teller.in_order(teller.hits(Level.AFFECTED, Level.STALE)),
        unknown=teller.in_order(teller.hits(Level.UNKNOWN)),
        gone=frozenset(spread.gone),
    )


class _Teller:
    """What was hit, in the words of the report."""

    def __init__(self, spread: Spread, new: Version) -> None:
        self.spread, self.new = spread, new
        self.rank = spread.rank()
        self.broken_outputs = {output for pipeline in spread.broken for output in new.outputs(pipeline)}

    def breaks(self) -> Iterator[Hit]:
        for pipeline, causes in self.spread.broken.items():
            for cause in {cause.change: cause for cause in reversed(causes)}.values():
                for output in self.new.outputs(pipeline) or [None]:
                    yield self._hit(cause, pipeline, output)

    def hits(self, *levels: Level) -> Iterator[Hit]:
        """Tables hit so badly, but for those that change themselves or are not built; pipelines that fill no such."""
        causes = self.spread.causes
        for table, state in self.spread.tables.items():
            if state.worst in levels and causes[table].pipeline is not None and table not in self.broken_outputs:
                yield self._hit(causes[table], causes[table].pipeline, table)
        told = {cause.pipeline for cause in causes.values()}
        for pipeline, (level, cause) in self.spread.pipelines.items():
            if level in levels and pipeline not in told:
                for output in self.new.outputs(pipeline) or [None]:
                    yield self._hit(cause, pipeline, output)

    def _hit(self, cause: Cause, pipeline: str, output: str | None) -> Hit:
        end = str(NodeId("pipeline", pipeline)) if output is None else self.new.table_node(output)
        path = [*map(self._node, cause.steps()), str(NodeId("pipeline", pipeline)), end]
        return Hit(cause.change, end, pipeline, list(dict.fromkeys(path)), self.new.owners(pipeline))

    def _node(self, step: tuple[str, str]) -> str:
        kind, name = step
        return name if kind == "node" else self.new.table_node(name) if kind == "table" else str(NodeId(kind, name))  # type: ignore[arg-type]

    def in_order(self, hits: Iterable[Hit]) -> list[Hit]:
        return sorted(
            hits, key=lambda hit: (self.rank.get((True, hit.pipeline), 0), hit.pipeline, hit.node, hit.change)
        )
