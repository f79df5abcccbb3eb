"""What would a change of a SQL repository break? Two readings of it compared, without a database.

A pipeline of the new version breaks when it still names a table or column that the change takes away. Whether it names
the column, or only a star brought it along, shows by reading its SQL once more with the columns as they were: a column
that a star brought vanishes from the output with it, and is then a change of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from catalog.facts import PipelineFact
from ingest import reading
from ingest.analyze_file import SqlText, analyze_file
from ingest.layout import Layout
from ingest.names import Names
from ingest.reading import Columns, Reading, output_columns
from ingest.settings import Settings
from ingest.workers import Workers
from lineage.facts import ERROR, SqlLineage
from lineage.nodes import NodeId


@dataclass(frozen=True)
class Version:
    """One version of a repository: its pipelines by name, the lineage and text of those with SQL."""

    names: Names
    pipelines: Mapping[str, PipelineFact]
    lineages: Mapping[str, SqlLineage]
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
        return {target for edges in self._edges.values() for _, target in edges if target} | set(self.listed)

    @cached_property
    def _edges(self) -> dict[str, list[tuple[str, str]]]:
        """Per pipeline its (source, target) pairs: of its SQL, and as declared."""
        edges = {name: list(lineage.table_edges) for name, lineage in self.lineages.items()}
        for name, fact in self.pipelines.items():
            declared = [(source[1], target[1]) for source in fact.inputs or (("", ""),) for target in fact.outputs]
            edges.setdefault(name, []).extend(declared or [(source[1], "") for source in fact.inputs])
        return edges

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        """Per table the pipelines that read it, sorted."""
        found: dict[str, set[str]] = defaultdict(set)
        for name, edges in self._edges.items():
            for source, _ in edges:
                found[source].add(name)
        return {table: sorted(names) for table, names in found.items() if table}

    def outputs(self, pipeline: str) -> list[str]:
        return sorted({target for _, target in self._edges[pipeline] if target})

    def owners(self, pipeline: str) -> list[str]:
        """Names of its owners, business first."""
        owned = self.pipelines[pipeline].owners
        return [self.owner_names.get(slug, slug) for slug in dict.fromkeys((*owned.business, *owned.technical))]

    def table_node(self, table: str) -> str:
        source, name = self.names.of_sql(table)
        return str(NodeId("table", name, source))

    def column_node(self, table: str, column: str) -> str:
        source, name = self.names.of_sql(table)
        return str(NodeId("column", name, source, column))


@dataclass(frozen=True)
class Change:
    """Something that downstream can feel: a table or column that is gone (`breaks`), or whose type is another."""

    words: str
    node: str
    table: str
    column: str = ""
    breaks: bool = True


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
    """What breaks, what is built from that, and what cannot be told."""

    breaks: list[Hit] = field(default_factory=list)
    affected: list[Hit] = field(default_factory=list)
    unknown: list[Hit] = field(default_factory=list)

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """As `--json` prints it."""
        return {kind: [asdict(hit) for hit in getattr(self, kind)] for kind in ("breaks", "affected", "unknown")}


def read_version(folder: Path, layout: Layout, settings: Settings, jobs: int) -> Version:
    """Read and analyse one version of a repository; `jobs` worker processes, 0 for this process."""
    read = Reading(folder, layout, settings)
    read.walk()
    with Workers(jobs, [reading.__name__]) as workers:
        repository = read.read(workers)
        analysis = reading.Analysis(read, workers, {})
        lineages = {one.path: one.lineage for one in analysis.run() if one.lineage}
    names = {path: fact.name for path, fact in repository.pipelines.items()}
    return Version(
        names=repository.names,
        pipelines={fact.name: fact for fact in repository.pipelines.values()},
        lineages={names[path]: lineage for path, lineage in lineages.items()},
        texts={names[path]: text for path in lineages if (text := analysis.text_of(path))},
        mentions={names[path]: read.facts[path].mentions for path in lineages},
        listed={name: analysis.columns[name] for name in analysis.stated},
        owner_names={owner.slug: owner.name for owner in repository.owners},
    )


def compare(base: Version, new: Version) -> Report:
    """What going from `base` to `new` breaks downstream and does not also mend."""
    changes = list(_changes(base, new))
    breaks = _once(hit for change in changes if change.breaks for hit in _broken(change, base, new))
    affected = _once(hit for change in changes if not change.breaks for hit in _readers(change, new))
    affected += [hit for hit in _downstream(breaks, new) if hit not in affected]
    return Report(breaks, affected, _once(_unknown(changes, base, new)))


def _changes(base: Version, new: Version) -> Iterator[Change]:
    for table in sorted(base.tables):
        if table not in new.tables:
            yield Change(f"table {table} is gone", new.table_node(table), table)
        elif table in base.columns and table in new.columns:
            yield from _column_changes(table, base.columns[table], new.columns[table], new)


def _column_changes(table: str, old: Columns, columns: Columns, new: Version) -> Iterator[Change]:
    for column, kind in old.items():
        node = new.column_node(table, column)
        if column not in columns:
            yield Change(f"column {column} of {table} is gone", node, table, column)
        elif kind and columns[column] and kind.upper() != columns[column].upper():
            words = f"column {column} of {table} is {columns[column]} instead of {kind}"
            yield Change(words, node, table, column, breaks=False)


def _broken(change: Change, base: Version, new: Version) -> Iterator[Hit]:
    for pipeline in new.readers.get(change.table, ()):
        if not change.column or _names_column(change, pipeline, base, new):
            yield from _hits(change.words, [change.node], pipeline, new)


def _names_column(change: Change, pipeline: str, base: Version, new: Version) -> bool:
    """Whether the pipeline's new SQL asks for the column itself, not only by a star."""
    text = new.texts.get(pipeline)
    if text is None:  # declared without SQL: it reads the table, nobody knows which columns
        return False
    before = analyze_file(replace(text, columns={**text.columns, change.table: base.columns[change.table]}))
    left = {name: {column for column, _ in columns} for name, (_, columns) in new.lineages[pipeline].columns.items()}
    return any(
        target_column == "*" or target_column in left.get(target, ())
        for source, column, target, target_column, *_ in before.column_edges
        if (source, column) == (change.table, change.column)
    )


def _readers(change: Change, new: Version) -> Iterator[Hit]:
    """Pipelines that use a column whose type changed."""
    for pipeline in new.readers.get(change.table, ()):
        lineage = new.lineages.get(pipeline)
        if lineage and any(edge[:2] == (change.table, change.column) for edge in lineage.column_edges):
            yield from _hits(change.words, [change.node], pipeline, new)


def _hits(words: str, path: list[str], pipeline: str, version: Version) -> Iterator[Hit]:
    node = str(NodeId("pipeline", pipeline))
    outputs = [version.table_node(table) for table in version.outputs(pipeline)]
    for end in outputs or [node]:
        yield Hit(words, end, pipeline, [*path, node, *([end] if outputs else [])], version.owners(pipeline))


def _downstream(breaks: list[Hit], new: Version) -> Iterator[Hit]:
    """Everything built from what breaks, nearest first, each once for each change."""
    by_node = {new.table_node(table): table for table in new.readers}
    seen = {(hit.change, hit.node) for hit in breaks}
    todo = list(breaks)
    while todo:
        hit = todo.pop(0)
        for pipeline in new.readers.get(by_node.get(hit.node, ""), ()):
            for further in _hits(hit.change, hit.path, pipeline, new):
                if (further.change, further.node) not in seen:
                    seen.add((further.change, further.node))
                    todo.append(further)
                    yield further


def _unknown(changes: list[Change], base: Version, new: Version) -> Iterator[Hit]:
    """SQL that could not be read where it changed or names something changed, and tables whose columns are lost."""
    changed = {change.table.lower().rsplit(".", 1)[-1] for change in changes if change.breaks}
    for pipeline, lineage in new.lineages.items():
        errors = [problem for problem in lineage.problems if problem.severity == ERROR]
        old = base.lineages.get(pipeline)
        is_new_text = old is None or old.digest != lineage.digest
        named = {name.rsplit(".", 1)[-1] for name in new.mentions.get(pipeline, ())}
        if errors and (is_new_text or changed & named):
            yield from _hits(f"{lineage.path}: {errors[0].message}", [], pipeline, new)
    for table in sorted(base.columns.keys() & new.tables - new.columns.keys()):
        words = f"the columns of {table} cannot be told any more"
        for pipeline in new.readers.get(table, ()):
            yield from _hits(words, [new.table_node(table)], pipeline, new)


def _once(hits: Iterable[Hit]) -> list[Hit]:
    found = {(hit.change, hit.node, hit.pipeline): hit for hit in hits}
    return [found[key] for key in sorted(found)]
