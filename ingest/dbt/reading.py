"""One reading of one dbt project, in the form that `ingest.services` asks of anything it reads.

A node of the manifest stands for a file: its digest is that of the facts it states and of its compiled SQL, so that
dbt's times and ids of invocations make nothing new of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from catalog.facts import SourceFact
from ingest.dbt.catalog import CatalogTable, read_catalog
from ingest.dbt.manifest import FILE, Manifest, read_manifest
from ingest.dbt.project import Project, config_of, project_from
from ingest.digests import digest
from ingest.names import Names, TableKey
from ingest.read_files import FileFacts
from ingest.reading import READER_VERSION, SECONDS, Analysis, Known, Read
from ingest.repository import Repository
from ingest.walk import File
from ingest.workers import Workers
from lineage.facts import WARNING, FileProblem, SqlLineage
from lineage.sql import ENGINE_VERSION

CATALOG = "catalog.json"


@dataclass
class DbtReading:
    """`target` is dbt's target folder, `source` the system that the project builds its tables in."""

    noun = "nodes"

    target: Path
    source: SourceFact
    seconds: float = SECONDS
    files: dict[str, File] = field(default_factory=dict)
    problems: tuple[FileProblem, ...] = ()
    facts: dict[str, FileFacts] = field(default_factory=dict)
    tables: Mapping[str, CatalogTable] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return digest(self.source.slug, self.source.dialect, str(ENGINE_VERSION), str(READER_VERSION))

    def walk(self, on_file: Callable[[File], None]) -> None:
        """Read manifest and catalog, and put the project together. Raises BadArtifact."""
        manifest = read_manifest(self.target / FILE)
        if (self.target / CATALOG).exists():
            self.tables = read_catalog(self.target / CATALOG)
        names = Names(self.source, (), self.source.dialect)
        self.project = project_from(manifest, self.tables, names)
        for file in self._files(manifest, self.project):
            self.files[file.path] = file
            on_file(file)

    def _files(self, manifest: Manifest, project: Project) -> Iterator[File]:
        repository = project.repository
        by_key = {key: digest(repr(table)) for key, table in repository.tables.items()}
        about = repr((repository.owners, repository.sources, repository.problems, manifest.adapter))
        yield File(FILE, b"", digest(about))
        for path, node in project.nodes.items():
            sql = node.sql.encode("utf-8", "replace")
            stated = repr(repository.pipelines.get(path)), by_key.get(project.keys[node.id], "")
            yield File(path, sql, digest(sql, *stated, repr(config_of(node, manifest.adapter))))
        for exposure in manifest.exposures:
            fact = repository.pipelines[exposure.path]
            yield File(exposure.path, b"", digest(repr(fact), *(by_key[key] for key in fact.outputs)))
        self.facts = {path: self._file_facts(path, manifest.adapter) for path in repository.pipelines}

    def _file_facts(self, path: str, adapter: str) -> FileFacts:
        fact, node = self.project.repository.pipelines[path], self.project.nodes.get(path)
        if node is None:
            return FileFacts(path, "pipeline")
        return FileFacts(
            path,
            "pipeline",
            about=fact.builds,
            language=fact.language,
            database=self.project.repository.names.fold_quoted(node.database),
            mentions=self._mentions(path),
            config=config_of(node, adapter),
        )

    def _mentions(self, path: str) -> frozenset[str]:
        """What the SQL may read: what dbt says, and what was written into it without a ref."""
        return self.project.mentions[path] | {name.lower() for _, name in self.project.depends_on[path]}

    def read(self, workers: Workers, on_files: Callable[[int], None]) -> Repository:
        """The facts that `walk` put together."""
        self.repository = self.project.repository
        on_files(len(self.files))
        return self.repository

    def lineages(self, workers: Workers, known: Mapping[str, Known]) -> Generator[Read, None, None]:
        """The lineage of every compiled model, each compared with what dbt says that it depends on."""
        for read in Analysis(self, workers, known).run():
            yield replace(read, lineage=self._compared(read.path, read.lineage)) if read.lineage else read

    def _compared(self, path: str, lineage: SqlLineage) -> SqlLineage:
        if lineage.statements_read < lineage.statements:
            return lineage  # what could not be read is a problem already
        builds = self.repository.pipelines[path].builds
        key_of = self.repository.names.of_sql
        in_sql = {key_of(source) for source, _ in lineage.table_edges if source and source != builds}
        problems = differences(path, in_sql, self.project.depends_on[path])
        return replace(lineage, problems=(*lineage.problems, *problems)) if problems else lineage


def differences(path: str, in_sql: set[TableKey], depends_on: frozenset[TableKey]) -> list[FileProblem]:
    """What the compiled SQL reads and dbt's depends_on does not name, and the other way round; names by any case."""
    sql = {(source, name.lower()): name for source, name in in_sql}
    dbt = {(source, name.lower()): name for source, name in depends_on}
    hidden = [sql[key] for key in sorted(sql.keys() - dbt.keys())]
    unread = [dbt[key] for key in sorted(dbt.keys() - sql.keys())]
    messages = []
    if hidden:
        messages.append(f"the SQL reads {', '.join(hidden)} without a ref or source, so depends_on does not name it")
    if unread:
        messages.append(f"dbt's depends_on names {', '.join(unread)}, which the compiled SQL does not read")
    if not messages:
        return []
    return [FileProblem(path, "depends_on_differs", WARNING, f"Here {'; and '.join(messages)}.")]
