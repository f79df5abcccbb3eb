"""Reading a folder from end to end, without a database: walk, read files, put facts together, analyse SQL.

What is known from the last time comes in as plain values (`Known`), so that unchanged SQL is not analysed again, and
everything read goes out as plain values, for `ingest.services` to store or a benchmark to count.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ingest.analyze_file import (
    Span,
    SqlText,
    analyze_file,
    blanked,
    statement_spans,
    unread,
    with_unread,
)
from ingest.digests import digest
from ingest.layout import Layout
from ingest.names import Names
from ingest.read_files import FileFacts, decode, mentioned_names, read_file
from ingest.repository import Repository, combine, source_of
from ingest.settings import Settings
from ingest.walk import File, read_folder
from ingest.workers import Died, Workers
from lineage.facts import ERROR, FileProblem, SqlLineage
from lineage.sql import ENGINE_VERSION
from lineage.sql.macros import Macros, quoted_in

READER_VERSION = 4  # raised whenever the same files may state something else, so that stored facts are read again
BATCH_BYTES = 200_000  # of files read by a worker at once
SECONDS = 60.0  # for the SQL of one file

Columns = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """What the last ingest kept of a file: digest of its bytes, key of its analysis, and the columns it gave tables."""

    digest: str
    key: str = ""
    columns: Mapping[str, Columns] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Read:
    """A pipeline's SQL as it stands now; without `lineage` nothing has changed since it was stored under `key`."""

    path: str
    key: str
    lineage: SqlLineage | None


class Readable(Protocol):
    """What an ingest reads: files with their digests, the facts they state, and the lineage of their SQL.

    `noun` says what `files` are; `key` changes whenever the same files may read otherwise.
    """

    noun: str
    seconds: float
    files: Mapping[str, File]
    problems: Iterable[FileProblem]
    facts: Mapping[str, FileFacts]
    repository: Repository

    @property
    def key(self) -> str: ...

    def walk(self, on_file: Callable[[File], None]) -> None: ...

    def read(self, workers: Workers, on_files: Callable[[int], None]) -> Repository: ...

    def lineages(self, workers: Workers, known: Mapping[str, Known]) -> Generator[Read, None, None]: ...


@dataclass
class Reading:
    """One reading of one folder. Files that `before` has read as they are now are not read again."""

    noun = "files"

    folder: Path
    layout: Layout
    settings: Settings
    seconds: float = SECONDS
    before: Reading | None = None
    files: dict[str, File] = field(default_factory=dict)
    problems: list[FileProblem] = field(default_factory=list)
    facts: dict[str, FileFacts] = field(default_factory=dict)

    def walk(self, on_file: Callable[[File], None] = lambda file: None) -> None:
        """Find and read the files: `files` and `problems` are known afterwards."""
        self.files, self.problems = read_folder(self.folder, self.layout, on_file)

    @property
    def key(self) -> str:
        """Changes whenever the same files may read otherwise: settings, layout, engine or reader changed."""
        return digest(self.settings.key, self.layout.key, str(ENGINE_VERSION), str(READER_VERSION))

    def read(self, workers: Workers, on_files: Callable[[int], None] = lambda done: None) -> Repository:
        """What the files state, before SQL is analysed."""
        self.facts.update(self._known_facts())
        batches = dict(enumerate(_batches(file for path, file in self.files.items() if path not in self.facts)))
        jobs: dict[int, set[int]] = {number: set() for number in batches}
        work = partial(read_batch, self.layout)
        died = []
        for number, answer in workers.run(work, jobs, batches.__getitem__, self.seconds):
            if isinstance(answer, Died):
                died += batches[number]
            else:
                self.facts.update((one.path, one) for one in answer)
            on_files(len(self.facts))
        self.facts.update((one.path, one) for one in self._read_alone(workers, died))
        source = source_of(self.layout, self.settings)
        dialect = source.dialect or self.settings.dialect or self.layout.dialect
        defaults = self.settings.default_database, self.settings.default_schema
        names = Names(source, self.settings.sources, dialect, *defaults)
        self.repository = combine(self.facts.values(), self.layout, self.settings, names)
        return self.repository

    def _known_facts(self) -> Iterator[tuple[str, FileFacts]]:
        if self.before is not None and self.before.key == self.key:
            for path, file in self.files.items():
                if path in self.before.facts and self.before.files[path].digest == file.digest:
                    yield path, self.before.facts[path]

    def _read_alone(self, workers: Workers, batch: list[tuple[str, bytes]]) -> list[FileFacts]:
        """The files of batches whose worker died, one by one, so that only the one at fault is lost."""
        facts = []
        jobs: dict[int, set[int]] = {number: set() for number in range(len(batch))}
        work = partial(read_batch, self.layout)
        for number, answer in workers.run(work, jobs, lambda n: [batch[n]], self.seconds):
            if isinstance(answer, Died):
                problem = FileProblem(batch[number][0], "reader_died", ERROR, f"Reading this file {answer.how}.")
                empty = read_file(batch[number][0], b"", self.layout)
                answer = [replace(empty, problems=(problem,))]
            facts += answer
        return facts

    def lineages(self, workers: Workers, known: Mapping[str, Known]) -> Generator[Read, None, None]:
        """The lineage of every pipeline with SQL, producers before the consumers that need their columns."""
        return Analysis(self, workers, known).run()


def read_batch(layout: Layout, files: list[tuple[str, bytes]]) -> list[FileFacts]:
    """In a worker: what each file states."""
    return [read_file(path, data, layout) for path, data in files]


def _batches(files: Iterable[File]) -> Iterator[list[tuple[str, bytes]]]:
    batch: list[tuple[str, bytes]] = []
    size = 0
    for file in files:
        batch.append((file.path, file.data))
        size += len(file.data)
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class Analysis:
    """The analysis of all SQL of a reading: schemas from files first, then columns fed back from producers."""

    def __init__(self, reading: Readable, workers: Workers, known: Mapping[str, Known]) -> None:
        self.reading, self.workers, self.known = reading, workers, known
        self.repository = reading.repository
        names = self.repository.names
        self.dialect, self.database, self.schema = names.dialect, names.database, names.schema
        self.base_key = reading.key
        self.texts = {
            path: fact
            for path, fact in self.repository.pipelines.items()
            if fact.language == "sql" and reading.facts[path].is_readable
        }
        self.macros = self._macros()
        self.variables = {
            name: value
            for facts in reading.facts.values()
            if facts.form == "variables"
            for name, value in facts.facts.items()
        }
        self.facts = {path: with_macros(reading.facts[path], self.macros.get(path, "")) for path in self.texts}
        self.lock = threading.Lock()
        self.columns: dict[str, Columns] = {}
        self.digests: dict[str, str] = {}
        self.by_lower: dict[str, str] = {}
        for (source, name), table in self.repository.tables.items():
            listed = {column.name: column.type or "" for column in table.columns if column.listed}
            if listed and source == names.source.slug:
                self._enter(name, listed)
        self.stated = frozenset(self.columns)
        self.relations = self._relations()
        self.keys: dict[str, str] = {}

    def _macros(self) -> dict[str, str]:
        """For each path the macros of this folder that its template needs."""
        facts = self.reading.facts
        defined = Macros({name: text for path in sorted(facts) for name, text in facts[path].macros.items()})
        needed = {path: defined.needed_by(facts[path].calls) for path in self.texts if facts[path].calls}
        return {path: text for path, text in needed.items() if text}

    def _enter(self, name: str, columns: Columns) -> None:
        self.columns[name] = columns
        self.digests.pop(name, None)
        self.by_lower[name.lower()] = name

    def _digest_of(self, name: str) -> str:
        """Of a table's columns as they are known; most tables are in no SQL, and need none."""
        if name not in self.digests:
            self.digests[name] = digest(*(part for item in self.columns[name].items() for part in item))
        return self.digests[name]

    def _relations(self) -> dict[str, str]:
        """ref('orders') is the table that the file orders.sql builds."""
        found: dict[str, str] = {}
        for path, fact in self.texts.items():
            stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
            found.setdefault(stem, fact.builds)
            found[fact.name] = fact.builds
        return found

    def _mentioned(self, path: str) -> set[str]:
        """Lower-case full names that the SQL may read or fill."""
        facts = self.facts[path]
        full = {self._full(name, facts) for name in facts.mentions}
        full |= {self.relations[ref].lower() for ref in facts.quoted if ref in self.relations}
        return full

    def _full(self, name: str, facts: FileFacts) -> str:
        dots = name.count(".")
        if dots >= 2:
            return name
        database = self.database or facts.database
        if dots == 1:
            return f"{database}.{name}".lower().lstrip(".")
        return f"{database}.{self.schema}.{name}".lower().replace("..", ".").lstrip(".")

    def _order(self) -> dict[str, set[str]]:
        """For each path the paths to be read before: makers of tables it may read whose columns no file lists."""
        stated = {name.lower() for name in self.stated}
        makers: dict[str, set[str]] = defaultdict(set)
        for path, fact in self.texts.items():
            facts = self.facts[path]
            for name in {self._full(made, facts) for made in facts.makes} or {fact.builds.lower()}:
                if name not in stated:
                    makers[name].add(path)
        return {
            path: {maker for name in self._mentioned(path) for maker in makers.get(name, ())} - {path}
            for path in self.texts
        }

    def run(self) -> Generator[Read, None, None]:
        died: list[tuple[str, Died]] = []
        workers, seconds = self.workers, self.reading.seconds
        for path, answer in workers.run(analyze_known, self._order(), self._payload, seconds, self._learn):
            if isinstance(answer, Died):
                died.append((path, answer))
            else:
                yield Read(path, self.keys[path], answer)
        for path, how in died:
            yield Read(path, self.keys[path], self._read_around(path, how.how))

    def _read_around(self, path: str, how: str) -> SqlLineage:
        """The lineage of a text that ended its worker, without the statements that did it."""
        text = self._payload(path)
        assert text is not None  # it was analysed, so it had changed
        spans = self._ask(statement_spans, text)
        if isinstance(spans, Died) or len(spans) < 2:
            return unread(text, how)
        fatal = self._fatal(text, spans, [])
        answer = self._ask(analyze_file, replace(text, sql=blanked(text.sql, fatal)))
        return unread(text, how) if isinstance(answer, Died) else with_unread(answer, text, fatal, how)

    def _fatal(self, text: SqlText, spans: list[Span], others: list[Span]) -> list[Span]:
        """Those of `spans` that end a worker, found by halves."""
        answer = self._ask(analyze_file, replace(text, sql=blanked(text.sql, others)))
        if not isinstance(answer, Died):
            return []
        if len(spans) == 1:
            return spans
        left, right = spans[: len(spans) // 2], spans[len(spans) // 2 :]
        return self._fatal(text, left, [*others, *right]) + self._fatal(text, right, [*others, *left])

    def _ask(self, work: Callable[[SqlText], Any], text: SqlText) -> Any:
        return next(iter(self.workers.run(work, {0: set()}, lambda _: text, self.reading.seconds)))[1]

    def _payload(self, path: str) -> SqlText | None:
        """What the worker needs; None where the text and all it depends on are as they were."""
        text = self.text_of(path)
        with self.lock:
            digests = [self._digest_of(name) for name in text.columns]
        parts = [self.base_key, self.reading.files[path].digest, text.builds, *text.columns, *digests]
        key = self.keys[path] = digest(
            *parts, repr(text.relations), repr(text.config), text.macros, repr(text.variables)
        )
        old = self.known.get(path)
        return None if old and old.key == key else text

    def text_of(self, path: str) -> SqlText:
        """A pipeline's SQL with the columns known so far of the tables that it may read or fill."""
        fact, facts = self.texts[path], self.facts[path]
        with self.lock:
            used = sorted(self.by_lower[name] for name in self._mentioned(path) if name in self.by_lower)
            columns = {name: self.columns[name] for name in used}
        relations, variables = (
            {name: known[name] for name in sorted(facts.quoted) if name in known}
            for known in (self.relations, self.variables)
        )
        return SqlText(
            path=path,
            sql=decode(path, self.reading.files[path].data)[0],
            dialect=self.dialect,
            database=self.database or facts.database,
            schema=self.schema,
            builds=fact.builds,
            relations={**relations, "this": fact.builds},
            macros=self.macros.get(path, ""),
            variables=variables,
            columns=columns,
            config=facts.config or fact.config,
        )

    def _learn(self, path: str, answer: SqlLineage | Died | None) -> None:
        """Complete columns of what the SQL builds become known to those who read it."""
        if isinstance(answer, Died):
            return
        learned = output_columns(answer) if answer else self.known[path].columns
        with self.lock:
            for name, columns in learned.items():
                if name not in self.stated:
                    self._enter(name, columns)


def analyze_known(text: SqlText | None) -> SqlLineage | None:
    """In a worker: the lineage of a text; nothing for one that has not changed."""
    return analyze_file(text) if text else None


def with_macros(facts: FileFacts, macros: str) -> FileFacts:
    """What a file states, with the names that its macros may read or ask for."""
    if not macros:
        return facts
    mentions, quoted = facts.mentions | mentioned_names(macros.lower()), facts.quoted | quoted_in(macros)
    return replace(facts, mentions=mentions, quoted=quoted)


def output_columns(lineage: SqlLineage) -> dict[str, Columns]:
    """The columns of each output whose columns are all known."""
    return {name: dict(columns) for name, (complete, columns) in lineage.columns.items() if complete and columns}
