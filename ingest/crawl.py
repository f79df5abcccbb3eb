"""`crawl`: what a live database says of itself, brought into the catalog.

The whole of it is read first, so that a database that goes away meanwhile changes nothing. A table stands for a file of
an ingest, and a view for a file with SQL: what is new, changed and gone is found and stored as for any other ingest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from audits.deletion.models import ReviewedTable
from audits.deletion.watch import confirm_what_is_gone
from catalog.connections import open_source
from catalog.facts import Measures, PipelineFact, SourceFact, TableFact
from catalog.ingested import note_live_tables
from catalog.models import SchemaChange, Source, Table
from ingest.digests import digest
from ingest.live_catalogs import LiveCatalog, LiveTable, read_live_catalog
from ingest.models import IngestedFile
from ingest.names import Names, TableKey
from ingest.read_files import FileFacts, mentioned_names
from ingest.reading import READER_VERSION, SECONDS, Analysis, Known, Read
from ingest.repository import Repository
from ingest.runs import Recorder
from ingest.services import read_and_store, seldom_collecting
from ingest.table_scans import record_scans
from ingest.walk import File
from ingest.workers import Workers
from lineage.facts import WARNING, FileProblem
from lineage.models import Problem, TableEdge
from lineage.services import add_problems
from lineage.sql import ENGINE_VERSION

_RIGHTS = "rights of crawls"  # the scope under which what each crawl's user may see is remembered
GONE = "gone_from_source"


@dataclass(frozen=True)
class Crawled:
    """What a crawl found. `held_back` counts what is no longer seen but was not retired; `gone`, what others state."""

    tables: int
    views: int
    columns: int
    sized: int
    counted: int
    schema_changes: int
    reads: int
    held_back: int
    gone: int
    confirmed_reviews: int
    problems: Mapping[str, int]
    seconds: float
    has_errors: bool

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        shown = {**self.__dict__, "problems": dict(self.problems), "seconds": round(self.seconds, 3)}
        del shown["has_errors"]
        return shown


def scope_of(source: Source) -> str:
    """The ingest scope of a source's crawls."""
    return f"crawl:{source.slug}"


@seldom_collecting()
def crawl_source(source: Source, recorder: Recorder, *, jobs: int, allow_retire: bool = False) -> Crawled:
    """The work of a recorded run. Raises ConnectionProblem, with nothing stored; AlreadyRunning."""
    started, at = time.monotonic(), timezone.now()
    with open_source(source) as connection:
        live = read_live_catalog(connection, recorder)
        dialect = connection.dialect
    live = _as_known_here(source, live)
    scope, tables = scope_of(source), live.tables.values()
    doubtful = _sees_with_other_rights(scope, live.rights)
    outcome = read_and_store(
        LiveReading(source, dialect, live, scope),
        recorder,
        jobs=jobs,
        allow_retire=allow_retire,
        is_doubtful=doubtful,
    )
    is_all = not outcome.held_back
    with transaction.atomic():
        ids = dict(Table.objects.filter(source=source).order_by().values_list("name", "pk"))
        measures = {ids[table.name]: Measures(table.rows, table.size_bytes, table.created_at) for table in tables}
        note_live_tables(source, measures, at, is_all=is_all)
        gone = _complain_of_what_is_gone(source, scope) if is_all else 0
        reads = record_scans(source, live.scans, at)
        if is_all:
            _remember_rights(scope, live.rights)
    result = Crawled(
        tables=len(tables),
        views=sum(bool(table.view_sql) for table in tables),
        columns=sum(len(table.columns) for table in tables),
        sized=sum(table.size_bytes is not None for table in tables),
        counted=sum(table.rows is not None for table in tables),
        schema_changes=SchemaChange.objects.filter(table__source=source, at__gte=at).count(),
        reads=reads,
        held_back=outcome.held_back,
        gone=gone,
        confirmed_reviews=len(confirm_what_is_gone()) if is_all else 0,
        problems=outcome.summary.problems | ({GONE: gone} if gone else {}),
        seconds=time.monotonic() - started,
        has_errors=outcome.has_errors,
    )
    recorder.summary = result.to_dict()
    return result


def _as_known_here(source: Source, live: LiveCatalog) -> LiveCatalog:
    """The database under the names that the catalog uses.

    Where the catalog knows its tables without the database (public.orders), they stay so. A table in quarantine is
    still there under its other name; what a deletion keeps aside is no table of its own.
    """
    known = set(Table.objects.filter(source=source).order_by().values_list("name", flat=True))
    short = {name: name.partition(".")[2] for name in live.tables}
    if live.database and not known & live.tables.keys() and known & set(short.values()):
        live = replace(
            live,
            database="",
            tables={short[name]: replace(table, name=short[name]) for name, table in live.tables.items()},
            scans={name.partition(".")[2]: scans for name, scans in live.scans.items()},
        )
    tables = dict(live.tables)
    reviewed = ReviewedTable.objects.filter(table__source=source)
    for own, hidden, kept in reviewed.values_list("table__name", "quarantine_name", "kept_name"):
        tables.pop(kept, None)
        if (table := tables.pop(hidden, None)) and own not in tables:
            tables[own] = replace(table, name=own)
    return replace(live, tables=tables)


def _sees_with_other_rights(scope: str, rights: str) -> bool:
    """Whether the user may see something else than in the last crawl, so that what is missing may only be hidden."""
    before = IngestedFile.objects.filter(scope=_RIGHTS, path=scope).first()
    return before is not None and before.digest != rights


def _remember_rights(scope: str, rights: str) -> None:
    IngestedFile.objects.update_or_create(scope=_RIGHTS, path=scope, defaults={"digest": rights})


def _complain_of_what_is_gone(source: Source, scope: str) -> int:
    """A problem for each table that something still states, or builds, and that the database no longer has."""
    gone = Table.objects.filter(source=source, crawled_at__lt=F("source__crawled_at")).exclude(status="retired")
    problems = [
        FileProblem(
            name,
            GONE,
            WARNING,
            f"The database no longer has {name}, but {stated_in or 'a person'} still states it. Take it out there, or "
            "find out who dropped it.",
        )
        for name, stated_in in gone.order_by("name").values_list("name", "stated_in")
    ]
    Problem.objects.filter(scope=scope, code=GONE).delete()
    add_problems(scope, [(problem, None) for problem in problems], timezone.now())
    return len(problems)


@dataclass
class LiveReading:
    """A live database in the form that `ingest.services` asks of anything it reads."""

    source: Source
    dialect: str
    live: LiveCatalog
    scope: str
    noun = "tables"
    seconds: float = SECONDS
    files: dict[str, File] = field(default_factory=dict)
    problems: tuple[FileProblem, ...] = ()
    facts: dict[str, FileFacts] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return digest(self.dialect, self.live.database, self.live.schema, str(ENGINE_VERSION), str(READER_VERSION))

    def walk(self, on_file: Callable[[File], None]) -> None:
        """A file for each table: its digest changes with what it is, not with how many rows it has."""
        built = self._built_elsewhere()
        self.views = {name: table for name, table in self.live.tables.items() if table.view_sql and name not in built}
        for name, table in self.live.tables.items():
            stated = (table.kind, table.description, repr(tuple(map(tuple, table.columns))), str(name in self.views))
            sql = table.view_sql.encode("utf-8", "replace") if name in self.views else b""
            self.files[name] = File(name, sql, digest(sql, *stated))
            on_file(self.files[name])

    def _built_elsewhere(self) -> set[str]:
        """Names of tables that a pipeline of a repository, of dbt or of a person builds: a view is not told twice."""
        edges = TableEdge.objects.filter(target_table__source=self.source, valid_to=None)
        elsewhere = edges.exclude(pipeline__stated_in=self.scope).exclude(pipeline__status="retired")
        return set(elsewhere.order_by().values_list("target_table__name", flat=True))

    def read(self, workers: Workers, on_files: Callable[[int], None]) -> Repository:
        """Tables as facts, and views as pipelines that build them."""
        source = SourceFact(
            self.source.slug, self.source.name, self.source.platform, self.source.storage, self.source.dialect
        )
        names = Names(source, (), self.dialect, self.live.database, self.live.schema)
        self.facts = {
            name: FileFacts(
                name, "pipeline", about=name, language="sql", mentions=mentioned_names(table.view_sql.lower())
            )
            for name, table in self.views.items()
        }
        tables: dict[TableKey, TableFact] = {
            (source.slug, name): _table_fact(source.slug, table) for name, table in self.live.tables.items()
        }
        pipelines = {name: self._pipeline(table) for name, table in self.views.items()}
        self.repository = Repository(pipelines, tables, (), names, ())
        on_files(len(self.files))
        return self.repository

    def _pipeline(self, view: LiveTable) -> PipelineFact:
        facts = {"description": view.description} if view.description else {}
        return PipelineFact(
            f"{self.source.slug}:{view.name}", view.name, facts, builds=view.name, table_kind=view.kind, language="sql"
        )

    def lineages(self, workers: Workers, known: Mapping[str, Known]) -> Generator[Read, None, None]:
        """The lineage of every view."""
        return Analysis(self, workers, known).run()


def _table_fact(source: str, table: LiveTable) -> TableFact:
    facts = {"kind": table.kind} | ({"description": table.description} if table.description else {})
    return TableFact(source, table.name, facts, table.columns, is_live=True)
