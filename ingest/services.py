"""`ingest_repo`: read a folder, store what it states in transactions that are each whole, retire what is gone."""

from __future__ import annotations

import gc
import json
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from django.db import DataError, IntegrityError, transaction
from django.db.models import Count, Exists, Model, OuterRef, Q, Sum
from django.utils import timezone

from audits.checks.models import Check
from audits.checks.services import state_checks
from audits.practices.rejudge import judge_touched
from audits.usage.services import attach_all_seen_names
from catalog import ingested, search_index
from catalog.bulk import among, chunks, insert_rows
from catalog.facts import ColumnFact, PipelineFact
from catalog.models import Column, Ownership, Pipeline, Table, Tag
from ingest import reading
from ingest.digests import digest
from ingest.kinds import inferred_kind
from ingest.layout import Layout
from ingest.locks import only_one
from ingest.models import IngestedFile, IngestRun
from ingest.names import MAX_NAME, TableKey
from ingest.read_files import FileFacts
from ingest.reading import Known, Read, Readable, Reading, output_columns
from ingest.repository import Repository
from ingest.runs import Progress, Recorder, quiet, recorded
from ingest.settings import Settings
from ingest.spread import workers_for
from ingest.walk import File
from ingest.workers import Workers
from lineage.facts import ERROR, WARNING, FileProblem, SqlLineage
from lineage.models import ColumnEdge, Problem, SqlVersion, TableEdge
from lineage.services import (
    PipelineLineage,
    add_problems,
    end_lineage,
    pairs,
    replace_problems,
    store_declared,
    store_lineage,
)
from lineage.snapshot import build_snapshot

CHUNK_FILES, CHUNK_EDGES = 150, 20_000  # what one transaction holds at most, roughly
_RETIRED = Q(status="retired")


@dataclass(frozen=True)
class Summary:
    """What a folder states now. `problems` counts by code; `parse_coverage` is between 0 and 1."""

    files: int
    pipelines: int = 0
    tables: int = 0
    columns: int = 0
    edges: int = 0
    owners: int = 0
    unowned: int = 0
    problems: Mapping[str, int] = field(default_factory=dict)
    parse_coverage: float = 1.0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {**self.__dict__, "problems": dict(self.problems), "seconds": round(self.seconds, 3)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], files: int) -> Summary:
        """The summary of a run on record, of which more may be told."""
        known = {each.name: stored[each.name] for each in fields(cls) if each.name in stored}
        return cls(**{**known, "files": files})


@dataclass(frozen=True)
class Outcome:
    """How an ingest ended: its summary, whether errors are recorded, and what is gone but was not retired."""

    summary: Summary
    has_errors: bool
    held_back: int = 0
    unchanged: bool = False


def ingest_repo(
    *,
    folder: Path,
    layout: Layout,
    settings: Settings,
    scope: str,
    jobs: int,
    allow_retire: bool = False,
    again: bool = False,
    actor_name: str = "command line",
    progress: Progress = quiet,
    seconds: float = 60.0,
) -> Outcome:
    """Bring the catalog to what `folder` states. Files that did not change are skipped unless `again`.

    `jobs` is the number of worker processes; 0 reads in this process. `seconds` bounds the reading of one file. What
    `scope` stated before and states no more is retired, unless so much is gone that it looks like a mistake
    (`allow_retire` says that it is none). Raises AlreadyRunning.
    """
    with recorded(IngestRun(kind="repo", scope=scope, actor_name=actor_name), progress) as recorder:
        reading = Reading(folder, layout, settings, seconds)
        return read_and_store(reading, recorder, jobs=jobs, allow_retire=allow_retire, again=again)


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Facts live to the end of an ingest: to look through them for garbage again and again costs a seventh of it."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@seldom_collecting()
def read_and_store(
    what: Readable,
    recorder: Recorder,
    *,
    jobs: int,
    allow_retire: bool = False,
    again: bool = False,
    is_doubtful: bool = False,
) -> Outcome:
    """The work of a recorded run: bring the catalog to what `what` states. Raises AlreadyRunning.

    Where it `is_doubtful` whether all could be seen, nothing at all is retired that is missing.
    """
    started = time.monotonic()
    with only_one(recorder.run.scope), workers_for(jobs, [reading.__name__]) as workers:
        ingest = _Ingest(what, recorder.run, workers, allow_retire, is_doubtful, recorder)
        ingest.walk()
        outcome = (None if again else ingest.unchanged()) or ingest.run()
    outcome = replace(outcome, summary=replace(outcome.summary, seconds=time.monotonic() - started))
    recorder.summary = outcome.summary.to_dict()
    build_snapshot()
    attach_all_seen_names()  # reads of tables that the logs knew before the catalog did
    if not outcome.unchanged:
        ingest.index()
        judge_touched(ingest.touched)
    return outcome


class _Ingest:
    """One ingest under way."""

    def __init__(
        self,
        what: Readable,
        run: IngestRun,
        workers: Workers,
        allow_retire: bool,
        is_doubtful: bool,
        progress: Progress,
    ) -> None:
        self.reading, self.record, self.scope, self.workers = what, run, run.scope, workers
        self.allow_retire, self.is_doubtful, self.progress = allow_retire, is_doubtful, progress
        self.at = timezone.now()
        rows = IngestedFile.objects.filter(scope=self.scope).values_list("path", "digest")
        self.known_digests: dict[str, str] = dict(rows)
        self.digests: dict[str, str] = {}
        self.sources: dict[str, int] = {}
        self.owners: dict[str, int] = {}
        self.tables: dict[TableKey, int] = {}
        self.pipelines: dict[str, int] = {}
        self.columns: dict[int, dict[str, int]] = {}  # of tables, as far as lineage needed them
        self.listed: set[TableKey] = set()  # tables whose columns are known from a schema or from their first builder
        self.refused: list[FileProblem] = []
        self.touched: dict[type[Model], set[int]] = {Pipeline: set(), Table: set()}

    def walk(self) -> None:
        """Read and digest the files; the first one that changed starts the workers, which takes them a moment."""
        key = self.reading.key

        def note(file: File) -> None:
            self.digests[file.path] = digest(key, file.digest)
            if self.known_digests.get(file.path) != self.digests[file.path]:
                self.workers.start()

        self.reading.walk(note)

    def unchanged(self) -> Outcome | None:
        """The outcome of the last run, if it ended well and no file has changed since.

        One that ended early may have stored every file, but not all that follows from them.
        """
        if self.digests != self.known_digests or not self._has_the_same_problems():
            return None
        before = IngestRun.objects.filter(kind=self.record.kind, scope=self.scope).exclude(pk=self.record.pk)
        last = before.filter(started_at__lte=self.record.started_at).first()
        if self.record.attempt > 1 or last is None or last.state != IngestRun.State.DONE:
            return None
        has_errors = Problem.objects.filter(scope=self.scope, severity=ERROR).exists()
        return Outcome(Summary.from_dict(last.summary, len(self.reading.files)), has_errors, unchanged=True)

    def _has_the_same_problems(self) -> bool:
        """Whether the files that could not be read are those of last time."""
        stored = Problem.objects.filter(scope=self.scope, code__in=WALK_CODES).values_list("path", "code")
        return {(problem.path, problem.code) for problem in self.reading.problems} == set(stored)

    def run(self) -> Outcome:
        """Read everything, store what changed."""
        files = len(self.reading.files)
        self.progress("Reading files", 0, files)
        stated = self.reading.read(self.workers, lambda done: self.progress("Reading files", done, files))
        self.repository = self._with_free_names(stated)
        self.held_back = self._held_back()
        with closing(self.reading.lineages(self.workers, self._known())) as reads:
            begun = list(islice(reads, 1))  # from here on workers are busy, while this process stores the catalog
            self._store_catalog()
            self._store_pipelines(chain(begun, reads))
        with transaction.atomic():
            self._retire()
            self._store_checks()
            self._store_problems()
            self._store_other_files()
        has_errors = Problem.objects.filter(scope=self.scope, severity=ERROR).exists()
        return Outcome(summary_of(self.scope, files, len(self.repository.owners)), has_errors, self.held_back)

    def index(self) -> None:
        """Let search find what the folder states, as it is now."""
        stated = [
            model.objects.filter(stated_in=self.scope).values_list("pk", flat=True) for model in (Pipeline, Table)
        ]
        changed = {
            "source": self.sources.values(),
            "owner": self.owners.values(),
            "tag": Tag.objects.values_list("pk", flat=True),
            "pipeline": stated[0],
            "table": {*stated[1], *self.tables.values()},
        }
        for kind, ids in changed.items():
            search_index.index(kind, ids, alone=True)

    def _with_free_names(self, stated: Repository) -> Repository:
        """A pipeline that shares its name with one of another repository and another source is `repository.name`."""
        same = ingested.stated_elsewhere((fact.name for fact in stated.pipelines.values()), self.scope)
        if not same:
            return stated
        filled = TableEdge.objects.filter(pipeline__in=among(same.values())).order_by()
        fills = set(filled.values_list("pipeline__name", "target_table__source__slug").distinct())
        others = {name for name, _ in fills} - {name for name, slug in fills if slug == stated.names.source.slug}
        pipelines = {
            path: replace(fact, name=f"{self.scope}.{fact.name}"[-MAX_NAME:]) if fact.name in others else fact
            for path, fact in stated.pipelines.items()
        }
        return replace(stated, pipelines=pipelines)

    def _held_back(self) -> int:
        """How many files are gone, if they are so many that nothing is retired: over a tenth, and over five."""
        gone = len(self.known_digests.keys() - self.digests.keys())
        too_many = bool(gone) and self.is_doubtful or gone > 5 and gone * 10 > len(self.known_digests)
        return gone if too_many and not self.allow_retire else 0

    def _store_catalog(self) -> None:
        """Sources, owners, and the tables that files describe, with their columns."""
        keep = bool(self.held_back)
        with transaction.atomic():
            self.sources = ingested.store_sources(self.repository.sources)
            self.owners = ingested.store_owners(self.repository.owners)
        described = list(self.repository.tables.values())
        for part in chunks(described, 400):
            with transaction.atomic():
                self.tables |= ingested.store_tables(part, self.sources, self.owners, self.scope, keep_missing=keep)
        self.listed = {(fact.source, fact.name) for fact in described if any(c.listed for c in fact.columns)}

    def _store_pipelines(self, reads: Iterable[Read]) -> None:
        """Pipelines as their SQL is analysed, a chunk a transaction; then those without SQL."""
        paths = set(self.repository.pipelines)
        total, done = len(paths), 0
        for part in _parts(reads):
            self._store_part([(read.path, read) for read in part])
            paths -= {read.path for read in part}
            done += len(part)
            self.progress("Analysing SQL", done, total)
        for rest in chunks(sorted(paths), CHUNK_FILES):
            self._store_part([(path, None) for path in rest])
            done += len(rest)
            self.progress("Analysing SQL", done, total)

    def _known(self) -> dict[str, Known]:
        rows = IngestedFile.objects.filter(scope=self.scope).exclude(key="")
        return {path: Known(*facts) for path, *facts in rows.values_list("path", "digest", "key", "columns")}

    def _store_part(self, part: list[tuple[str, Read | None]]) -> None:
        """Store files in one transaction; where the database refuses it, one by one, so that only one is left out."""
        before = dict(self.sources), dict(self.tables), dict(self.pipelines), set(self.listed)
        try:
            with transaction.atomic():
                self._store(part)
        except (DataError, IntegrityError) as error:
            self.sources, self.tables, self.pipelines, self.listed = before
            self.columns.clear()
            if len(part) == 1:
                self.refused.append(FileProblem(part[0][0], "not_stored", ERROR, f"The database refused it: {error}"))
            for one in part if len(part) > 1 else ():
                self._store_part([one])

    def _store(self, part: list[tuple[str, Read | None]]) -> None:
        lineages = {path: read.lineage for path, read in part if read and read.lineage}
        facts = {path: self.repository.pipelines[path] for path, _ in part}
        self._ensure_tables(lineages.values(), facts.values())
        facts = {path: self._with_kind(fact, lineages.get(path)) for path, fact in facts.items()}
        keep = bool(self.held_back)
        ids = ingested.store_pipelines(list(facts.values()), self.owners, self.scope, keep_missing=keep)
        self.pipelines |= ids
        mine = {path: ids[fact.name] for path, fact in facts.items() if fact.name in ids}
        lineages = {path: lineage for path, lineage in lineages.items() if path in mine}
        self.touched[Pipeline].update(pk for path, pk in mine.items() if path in lineages or self._is_changed(path))
        self._store_output_columns(lineages.values())
        keys = {path: read.key for path, read in part if read}
        store_lineage(self._resolved(mine, lineages, keys), self.at)
        declared = {mine[path]: self._declared(fact) for path, fact in facts.items() if path in mine}
        store_declared(declared, self.at)
        problems = [(problem, mine[path]) for path, lineage in lineages.items() for problem in lineage.problems]
        replace_problems(self.scope, lineages, problems, self.at)
        self._store_files({path: (keys.get(path, ""), lineages.get(path)) for path, _ in part})

    def _ensure_tables(self, lineages: Iterable[SqlLineage], facts: Iterable[PipelineFact]) -> None:
        """Every table that SQL or a declaration names is in the catalog."""
        keys = {self._key(name) for lineage in lineages for name in _names(lineage)}
        keys |= {key for fact in facts for key in (*fact.inputs, *fact.outputs)}
        new_sources = [source for source in self.repository.sources if source.slug not in self.sources]
        if new_sources:
            self.sources |= ingested.store_sources(new_sources)
        missing = keys - self.tables.keys()
        if missing:
            self.tables |= ingested.ensure_tables(missing, self.sources, self.scope)

    def _key(self, name: str) -> TableKey:
        return self.repository.names.of_sql(name)

    def _with_kind(self, fact: PipelineFact, lineage: SqlLineage | None) -> PipelineFact:
        if "kind" in fact.facts:
            return replace(fact, facts={**fact.facts, "kind_is_inferred": False})
        if lineage is None and not (fact.inputs or fact.outputs):
            return fact
        edges = (
            [(self._key(a) if a else None, self._key(b) if b else None) for a, b in lineage.table_edges]
            if lineage
            else []
        )
        inputs, outputs = {a for a, _ in edges if a} | set(fact.inputs), {b for _, b in edges if b} | set(fact.outputs)
        kind = inferred_kind(self._storages(inputs), self._storages(outputs))
        return replace(fact, facts={**fact.facts, "kind": kind, "kind_is_inferred": bool(kind)})

    def _storages(self, keys: Iterable[TableKey]) -> set[str]:
        return {self.repository.names.sources[source].storage for source, _ in keys}

    def _store_output_columns(self, lineages: Iterable[SqlLineage]) -> None:
        """Columns of what SQL builds, where no schema file lists them; and what it makes them as."""
        columns: dict[int, list[ColumnFact]] = {}
        kinds: dict[int, str] = {}
        for lineage in lineages:
            for name, kind in lineage.table_kinds.items():
                kinds[self.tables[self._key(name)]] = kind
            for name, listed in output_columns(lineage).items():
                key = self._key(name)
                if key not in self.listed:
                    self.listed.add(key)  # by the first of its builders
                    self.columns.pop(self.tables[key], None)
                    columns[self.tables[key]] = [ColumnFact(column, type_ or None) for column, type_ in listed.items()]
        ingested.store_columns(columns)
        ingested.set_table_kinds(kinds)

    def _resolved(
        self, pipelines: Mapping[str, int], lineages: Mapping[str, SqlLineage], keys: Mapping[str, str]
    ) -> list[PipelineLineage]:
        """Lineages with ids in the place of names; columns that only SQL names are made."""
        tables = {name: self.tables[self._key(name)] for lineage in lineages.values() for name in _names(lineage)}
        wanted: dict[int, set[str]] = defaultdict(set)
        for lineage in lineages.values():
            for source, column in {edge[:2] for edge in lineage.column_edges}:
                wanted[tables[source]].add(column)
            for target, column in {edge[2:4] for edge in lineage.column_edges}:
                wanted[tables[target]].add(column)
        for names in wanted.values():
            names.discard("*")
        columns = ingested.ensure_columns(wanted, self.columns)
        return [
            PipelineLineage(
                pipeline=pipelines[path],
                key=keys[path],
                dialect=self.repository.names.dialect,
                read=lineage,
                table_edges=list({(tables.get(a), tables.get(b)): None for a, b in lineage.table_edges}),
                column_edges=_column_ids(lineage, tables, columns),
            )
            for path, lineage in lineages.items()
        ]

    def _declared(self, fact: PipelineFact) -> list[tuple[int | None, int | None]]:
        return pairs([self.tables[key] for key in fact.inputs], [self.tables[key] for key in fact.outputs])

    def _store_files(self, files: Mapping[str, tuple[str, SqlLineage | None]]) -> None:
        """Remember files as read; of SQL that was not analysed again, what it gave before still holds."""
        rows, kept = {}, []
        for path, (key, lineage) in files.items():
            if path not in self.digests:
                continue
            if key and lineage is None:
                kept.append(path)
            else:
                rows[path] = (key, json.dumps(output_columns(lineage) if lineage else {}))
        for part in chunks(rows):
            IngestedFile.objects.filter(scope=self.scope, path__in=part).delete()
        values = [(self.scope, path, self.digests[path], *row) for path, row in rows.items()]
        insert_rows(IngestedFile, ("scope", "path", "digest", "key", "columns"), values)
        changed = [path for path in kept if self.known_digests.get(path) != self.digests[path]]
        for path in changed:
            IngestedFile.objects.filter(scope=self.scope, path=path).update(digest=self.digests[path])

    def _retire(self) -> None:
        """Retire pipelines and tables that nothing states any more, and forget the files that stated them."""
        if self.held_back:
            return
        stated = Pipeline.objects.filter(stated_in=self.scope).exclude(_RETIRED).order_by().values_list("pk", "name")
        names = {fact.name for fact in self.repository.pipelines.values()}
        gone = [pk for pk, name in stated if name not in names]
        if gone:
            end_lineage(gone, self.at)
            ingested.retire(Pipeline.objects.filter(pk__in=among(gone)), self.scope)
        ingested.retire(self._tables_gone(), self.scope)
        for paths in chunks(self.known_digests.keys() - self.digests.keys()):
            IngestedFile.objects.filter(scope=self.scope, path__in=paths).delete()
            Problem.objects.filter(scope=self.scope, path__in=paths).delete()

    def _store_checks(self) -> None:
        """Checks that files beside tables state, where such a file is new, changed or gone."""
        files = {path: facts for path, facts in self.reading.facts.items() if facts.form == "checks"}
        changed = [path for path in files if self._is_changed(path)]
        gone = [] if self.held_back else self.known_digests.keys() - self.digests.keys()
        if not changed and not gone:
            return
        keys = {path: self._key(self.repository.names.qualified(files[path].about)) for path in changed}
        self.tables |= ingested.ensure_tables(set(keys.values()) - self.tables.keys(), self.sources, self.scope)
        wanted = [
            Check(table_id=self.tables[keys[path]], stated_in=self._place(path), **stated.facts)
            for path in changed
            for stated in files[path].checks
        ]
        state_checks(wanted, files=[self._place(path) for path in (*changed, *gone)])

    def _place(self, path: str) -> str:
        return f"{self.scope}: {path}"[-1000:]

    def _tables_gone(self) -> list[Table]:
        stated = Table.objects.filter(stated_in=self.scope).exclude(_RETIRED).order_by()
        named = stated.values_list("pk", "source__slug", "name")
        undescribed = [pk for pk, *key in named if tuple(key) not in self.repository.tables]
        current = TableEdge.objects.filter(valid_to=None)
        unused = (
            Table.objects.filter(pk__in=among(undescribed))
            .exclude(Exists(current.filter(source_table=OuterRef("pk"))))
            .exclude(Exists(current.filter(target_table=OuterRef("pk"))))
        )
        return list(unused) if undescribed else []

    def _store_problems(self) -> None:
        """Problems with files and between pipelines; those of SQL were stored with their pipeline."""
        found = [*self.reading.problems, *self.repository.problems, *self.refused, *self._held_back_problem()]
        found += [problem for fact in self.repository.pipelines.values() for problem in self._name_taken(fact)]
        pipelines = {path: self.pipelines.get(fact.name) for path, fact in self.repository.pipelines.items()}
        Problem.objects.filter(scope=self.scope, code__in=_FILE_CODES).delete()
        add_problems(self.scope, [(problem, pipelines.get(problem.path)) for problem in found], self.at)
        add_problems(self.scope, two_full_refresh_builders(self.scope), self.at)

    def _held_back_problem(self) -> list[FileProblem]:
        if not self.held_back:
            return []
        message = (
            f"{self.held_back} of {len(self.known_digests)} known {self.reading.noun} are gone. Nothing was retired. "
            "If they are meant to be gone, run it again with --allow-retire."
        )
        return [FileProblem("", "vanished_files", ERROR, message)]

    def _name_taken(self, fact: PipelineFact) -> list[FileProblem]:
        if fact.name in self.pipelines or any(problem.path == fact.path for problem in self.refused):
            return []
        message = f"A pipeline called {fact.name} is stated by another repository; this file was left out."
        return [FileProblem(fact.path, "name_taken", ERROR, message)]

    def _store_other_files(self) -> None:
        """Metadata files come last: while one is missing here, the next run knows that this one did not end."""
        sql = self.repository.pipelines
        changed = [path for path in self.digests if path not in sql and self._is_changed(path)]
        self._store_files(dict.fromkeys(changed, ("", None)))
        keys = [
            self._key(self.repository.names.qualified(facts.about)) for facts in self._facts(changed) if facts.about
        ]
        self.touched[Table].update(self.tables[key] for key in keys if key in self.tables)

    def _is_changed(self, path: str) -> bool:
        """Whether the file is new, or not as it was when it was stored last."""
        return self.known_digests.get(path) != self.digests.get(path)

    def _facts(self, paths: Iterable[str]) -> Iterator[FileFacts]:
        return (self.reading.facts[path] for path in paths if path in self.reading.facts)


WALK_CODES = ("unreadable_file", "unreadable_folder", "outside_folder", "path_too_long")
_FILE_CODES = (
    *WALK_CODES,
    *("not_utf8", "file_too_large", "empty_file", "broken_yaml", "reader_died", "bad_front_comment", "bad_metadata"),
    *("unknown_key", "unknown_source", "unknown_dag", "declared_twice", "name_taken", "vanished_files"),
    *("unread_check", "not_stored", "two_full_refresh_builders", "unknown_artifact_version", "not_compiled"),
)


def two_full_refresh_builders(scope: str) -> list[tuple[FileProblem, int]]:
    """One problem for each pipeline that fully refreshes a table which another fully refreshes too."""
    builders = _full_refresh_builders(scope)
    problems = []
    for table, pipelines in sorted(builders.items(), key=lambda item: item[0]):
        for pk, (name, path) in pipelines.items() if len(pipelines) > 1 else ():
            others = ", ".join(other for key, (other, _) in sorted(pipelines.items()) if key != pk)
            message = f"{table} is fully refreshed by {name} and by {others}: the last to run wins."
            problems.append((FileProblem(path, "two_full_refresh_builders", WARNING, message), pk))
    return problems


def _full_refresh_builders(scope: str) -> dict[str, dict[int, tuple[str, str]]]:
    """{table: {pipeline id: (name, path)}} of tables that a pipeline of the scope replaces as a whole."""
    versions = SqlVersion.objects.filter(
        pipeline__stated_in=scope, valid_to=None, pipeline__load_strategy__in=("", "full_refresh")
    )
    builders: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
    fields = ("pipeline_id", "pipeline__name", "pipeline__repository_path", "practices__by_output")
    for pk, name, path, by_output in versions.values_list(*fields):
        for table, judged in (by_output or {}).items():
            if judged["load_strategy"] == "full_refresh":
                builders[table][pk] = (name, path)
    return builders


def summary_of(scope: str, files: int, owners: int) -> Summary:
    """What a scope states now, counted in the database."""
    pipelines = Pipeline.objects.filter(stated_in=scope).exclude(_RETIRED)
    edges = TableEdge.objects.filter(valid_to=None, pipeline__in=pipelines)
    named = Q(stated_in=scope) | Q(pk__in=edges.values("source_table")) | Q(pk__in=edges.values("target_table"))
    tables = Table.objects.filter(named).exclude(_RETIRED)
    current = ColumnEdge.objects.filter(valid_to=None)
    in_use = Exists(current.filter(source_column=OuterRef("pk"))) | Exists(current.filter(target_column=OuterRef("pk")))
    columns = Column.objects.filter(table__in=tables).filter(Q(position__isnull=False) | in_use)
    problems = Problem.objects.filter(scope=scope).order_by().values_list("code").annotate(n=Count("pk"))
    return Summary(
        files=files,
        pipelines=pipelines.count(),
        tables=tables.count(),
        columns=columns.count(),
        edges=edges.count(),
        owners=owners,
        unowned=pipelines.exclude(Exists(Ownership.objects.filter(pipeline=OuterRef("pk")))).count(),
        problems=dict(sorted(problems)),
        parse_coverage=_parse_coverage(scope),
        seconds=0.0,
    )


def _parse_coverage(scope: str) -> float:
    """Statements read without an error among all; a file that could not be read at all counts as one not read."""
    versions = SqlVersion.objects.filter(pipeline__stated_in=scope, valid_to=None)
    sums = versions.aggregate(total=Sum("statements"), read=Sum("statements_read"))
    unread = Problem.objects.filter(scope=scope, code__in=("not_utf8", "file_too_large", "unreadable_file")).count()
    total = (sums["total"] or 0) + unread
    return round((sums["read"] or 0) / total, 4) if total else 1.0


def _parts(reads: Iterable[Read]) -> Iterator[list[Read]]:
    """Reads in lists that one transaction holds well."""
    part: list[Read] = []
    edges = 0
    for read in reads:
        part.append(read)
        edges += len(read.lineage.column_edges) if read.lineage else 0
        if len(part) >= CHUNK_FILES or edges >= CHUNK_EDGES:
            yield part
            part, edges = [], 0
    if part:
        yield part


def _names(lineage: SqlLineage) -> set[str]:
    """Every table that a lineage names."""
    names = {name for edge in lineage.table_edges for name in edge if name}
    for source, target in {(edge[0], edge[2]) for edge in lineage.column_edges}:
        names |= {source, target}
    return names | lineage.columns.keys() | lineage.table_kinds.keys()


def _column_ids(
    lineage: SqlLineage, tables: Mapping[str, int], columns: Mapping[int, Mapping[str, int]]
) -> Collection[tuple[Any, ...]]:
    """Column edges with ids in the place of names, each once; "*" has no id."""
    ends = {name: (tables[name], columns[tables[name]]) for edge in lineage.column_edges for name in (edge[0], edge[2])}
    rows = {}
    for source, column, target, target_column, *rest in lineage.column_edges:
        source_id, source_columns = ends[source]
        target_id, target_columns = ends[target]
        rows[source_id, source_columns.get(column), target_id, target_columns.get(target_column), *rest] = None
    return rows
