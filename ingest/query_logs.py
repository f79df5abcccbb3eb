"""A query log into reads: which tables and columns are used, on which day, by whom, and what the log cannot tell.

The steps, in order; DuckDB does what has to be done for every entry, Python what has to be done for every text:

1. `log_files.open_log`: the files as one view of text columns
2. `log_entries`: a slim row for each entry: the digest of its identity, the key of its text, when, who, where
3. `log_texts`: for each key one text, its fingerprint, and what the engine reads off it, remembered for ever; texts of
   the first entries are read while DuckDB is at the second step
4. `log_names`: the names in those texts as tables and columns of the catalog
5. `_store`: in one transaction, what was not counted before, grouped by table, day and reader

An entry's identity is the id that the history gives it, or else its time, user and text. Identities are kept as 64-bit
digests by day (`LoggedDay`), so files may overlap; without ids, the same text by the same user at the same instant
counts once.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from django.db import transaction

from audits.usage import services
from audits.usage.models import LogCoverage, QueryFingerprint, Read
from audits.usage.services import NamedReader
from catalog import search_index
from catalog.models import Source
from ingest.fingerprints import lexis
from ingest.log_entries import Entries
from ingest.log_files import Notes, open_log
from ingest.log_formats import LogFormat
from ingest.log_names import Names, Touched
from ingest.log_snapshots import count_since_last, taken_at
from ingest.log_sql import LogSql
from ingest.log_texts import Text, Texts
from ingest.runs import Progress, quiet
from lineage.sql import ENGINE_VERSION

_MEMORY = "500MB"  # for DuckDB; what is beyond goes to files
_IS_USE = "NOT failed AND NOT tool AND NOT again AND n > 0"
_IS_READ = "NOT failed AND NOT tool AND n > 0 AND (behind OR NOT again)"


@dataclass(frozen=True)
class LogImport:
    """What to import: the files, how they are written, whose they are, and what they cover where they do not say."""

    paths: list[Path]
    form: LogFormat
    source: Source
    dialect: str = ""
    covers_from: dt.datetime | None = None
    covers_to: dt.datetime | None = None
    channels: tuple[str, ...] = ()
    workers: int = 2


@dataclass
class Imported:
    """What came of it: `entries` of the files, `reads` not counted before, `notes` on what was passed over."""

    entries: int = 0
    new_entries: int = 0
    fingerprints: int = 0
    reads: int = 0
    unparsed: int = 0
    unmatched_names: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    left_out: bool = False  # whether something of the files was not read

    def to_json(self) -> dict[str, Any]:
        names = ("entries", "fingerprints", "reads", "unparsed", "unmatched_names")
        return {name: getattr(self, name) for name in names} | {"seconds": round(self.seconds, 3)}


def import_log(asked: LogImport, progress: Progress = quiet) -> Imported:
    """Read the files and store who read what, all of it or nothing. Raises BadLog when they cannot be read."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pipekeeper-log-") as folder:
        config = {"memory_limit": _MEMORY, "temp_directory": folder, "preserve_insertion_order": "false"}
        with duckdb.connect(":memory:", config=config) as database:
            database.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            # It takes files for a few rows and would hold the whole log on the side of a join that must fit in memory.
            database.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
            result = _Import(asked, database, Path(folder), progress).run()
    read = Read.objects.filter(table__source=asked.source).order_by()
    search_index.index("table", read.values_list("table", flat=True).distinct())  # the much used are found first
    result.seconds = time.monotonic() - start
    return result


class _Import:
    """One import under way."""

    def __init__(self, asked: LogImport, database: duckdb.DuckDBPyConnection, folder: Path, progress: Progress) -> None:
        self.asked, self.progress = asked, progress
        self.source = asked.source
        self.database = database
        self.folder = folder
        self.notes = Notes()
        self.result = Imported()
        self.dialect = asked.form.dialect or asked.dialect
        self.covered_from: dt.datetime | None = None

    def run(self) -> Imported:
        asked = self.asked
        self.progress("Reading the log", 0, 4)
        self.view = open_log(self.database, asked.paths, asked.form, self.folder, self.notes)
        self.is_snapshot = "counter" in self.view.entry
        self.taken_at = taken_at(self.database, self.view, asked.covers_to) if self.is_snapshot else None
        sql = LogSql(self.view, lexis(self.dialect), asked.form.services, self.taken_at)
        entries = Entries(self.database, sql, self.notes)
        queries = Texts(asked.form, self.dialect, asked.workers)
        first = entries.learn()
        with self._beside(entries.read) as reading:
            queries.foresee(first)
            self.result.entries = reading.result()
        self.progress("Reading queries", 1, 4)
        texts = list(queries.read(entries.samples()))
        self.result.fingerprints = len({text.digest for text in texts if text.digest})
        self.progress("Matching names", 2, 4)
        self._resolve(texts)
        self.progress("Storing reads", 3, 4)
        with transaction.atomic():
            services.lock(self.source)
            self._store()
        self.result.notes, self.result.left_out = self.notes.lines, self.notes.left_out
        return self.result

    @contextmanager
    def _beside(self, work: Callable[[], int]) -> Iterator[Future[int]]:
        """Work of DuckDB's in a thread, which ends with what is done here meanwhile when that fails."""
        with ThreadPoolExecutor(1) as thread:
            try:
                yield thread.submit(work)
            except BaseException:
                self.database.interrupt()
                raise

    def _resolve(self, texts: list[Text]) -> None:
        """Tables `combo`, `touch`, `edge`, `named` and `name`: what each text does, where it was asked."""
        by_key = {(text.k, text.r): text for text in texts}
        places = self.database.execute("SELECT DISTINCT k, r, db, schema_ FROM entry").fetchall()
        self.names = Names(self.asked.form, self.dialect, self.source)
        combos = [(by_key[k, r], k, r, db, schema) for k, r, db, schema in places]
        for text, _, _, db, schema in combos:
            self.names.add(text.reading, db, schema)
        self.names.match()
        rows = Touched()
        for combo, (text, k, r, db, schema) in enumerate(combos):
            rows.combo.append((combo, k, r, db, schema, text.digest if text.reading.problem else ""))
            self.names.write(rows, combo, text.reading, db, schema)
        self._load(
            "combo", rows.combo, "combo BIGINT, k UBIGINT, r UBIGINT, db VARCHAR, schema_ VARCHAR, unparsed VARCHAR"
        )
        self._load("touch", rows.touch, "combo BIGINT, name BIGINT, behind BOOLEAN")
        self._load("edge", rows.edge, "combo BIGINT, source BIGINT, target BIGINT")
        self._load("named", rows.named, "combo BIGINT, column_id BIGINT, behind BOOLEAN")
        self._load("name", self.names.rows(), "name BIGINT, text VARCHAR, table_id BIGINT")

    def _load(self, table: str, rows: list[tuple], columns: str) -> None:
        """A table of DuckDB out of Python rows; as lists, because row by row takes a hundred times as long."""
        self.database.execute(f"CREATE TABLE {table} ({columns})")
        if rows:
            types = [column.split()[1] for column in columns.split(", ")]
            lists = ", ".join(f"unnest(?::{kind}[])" for kind in types)
            self.database.execute(
                f"INSERT INTO {table} SELECT {lists}", [list(column) for column in zip(*rows, strict=True)]
            )

    # Storing

    def _store(self) -> None:
        services.attach_seen_names(self.source)
        if self.taken_at is not None:
            self.covered_from = count_since_last(self.database, self.source, self.view, self.taken_at, self.notes)
        self._leave_out_what_was_counted()
        self._group_uses()
        self._store_reads()
        self._store_names_only()
        self._store_edges()
        self._store_coverage()

    def rows(self, sql: str) -> Iterator[tuple]:
        """The rows of a query, some thousands at a time."""
        cursor = self.database.cursor().execute(sql)
        while batch := cursor.fetchmany(20_000):
            yield from batch

    def one(self, sql: str) -> tuple:
        row = self.database.execute(sql).fetchone()
        assert row is not None
        return row

    def _leave_out_what_was_counted(self) -> None:
        """View `fresh`: the entries whose identity is neither of an earlier import nor of an earlier row."""
        days = [day for (day,) in self.rows("SELECT DISTINCT moment::DATE FROM entry")]
        counted = services.counted_digests(self.source, days)
        self.database.execute("CREATE TABLE seen (d UBIGINT)")
        for digests in counted.values():
            self.database.execute("INSERT INTO seen SELECT unnest(?::UBIGINT[])", [digests.tolist()])
        calls = "counter" if self.is_snapshot else "1"
        (repeated,) = self.one("SELECT count(*) - count(DISTINCT d) FROM entry")
        once = "QUALIFY row_number() OVER (PARTITION BY d ORDER BY moment) = 1" if repeated else ""
        again = "coalesce(twin IN (SELECT d FROM seen), false)"
        unseen = f"WHERE d NOT IN (SELECT d FROM seen) AND NOT ({again} AND whole)" if counted else ""
        kind = "TABLE" if repeated or counted else "VIEW"
        self.database.execute(
            f"CREATE {kind} fresh AS SELECT *, {calls} AS n, {again} AS again FROM entry {unseen} {once}"
        )

    def _group_uses(self) -> None:
        """Table `use`: entries of the same text, place, reader and day as one row."""
        readers = self.database.execute("SELECT who, kind, pipeline FROM entry GROUP BY ALL ORDER BY ALL").fetchall()
        named = [
            NamedReader(pipeline, "pipeline") if pipeline else NamedReader(who, kind) for who, kind, pipeline in readers
        ]
        ids = services.find_or_add_readers(self.source, named)
        rows = [(*reader, ids[name.name[:300]]) for reader, name in zip(readers, named, strict=True)]
        self._load("reader", rows, "who VARCHAR, kind VARCHAR, pipeline VARCHAR, reader BIGINT")
        self.database.execute(
            """
            CREATE TABLE use AS
            SELECT combo, unparsed, reader, grouped.* EXCLUDE (k, r, db, schema_, who, kind, pipeline)
            FROM (
                SELECT k, r, db, schema_, who, kind, pipeline, channel, failed, tool, again, moment::DATE AS day,
                    sum(n)::BIGINT AS n, max(moment) AS last_at, min(moment) AS first_at
                FROM fresh GROUP BY ALL
            ) grouped
            JOIN combo USING (k, r, db, schema_) JOIN reader USING (who, kind, pipeline)"""
        )

    def _store_reads(self) -> None:
        counted = 0

        def rows() -> Iterator[tuple]:
            nonlocal counted
            for row in self.rows(
                f"SELECT table_id, day, reader, sum(n)::BIGINT, max(last_at) FROM use JOIN touch USING (combo) "
                f"JOIN name USING (name) WHERE {_IS_READ} AND table_id IS NOT NULL GROUP BY ALL ORDER BY ALL"
            ):
                counted += row[3]
                yield row

        services.add_reads(rows())
        self.result.reads = counted
        services.add_column_reads(
            self.rows(
                f"SELECT column_id, date_trunc('month', day)::DATE, reader, sum(n)::BIGINT, "
                f"bit_or((1 << (day(day) - 1))::BIGINT) FROM use JOIN named USING (combo) WHERE {_IS_READ} "
                "GROUP BY ALL ORDER BY ALL"
            )
        )

    def _store_names_only(self) -> None:
        """What is kept by name: names that the catalog does not know, and what failed queries named."""
        unknown = self.database.execute(
            f"SELECT DISTINCT text FROM use JOIN touch USING (combo) JOIN name USING (name) "
            f"WHERE {_IS_READ} AND table_id IS NULL"
        ).fetchall()
        ids = services.find_or_add_names(self.source, [text for (text,) in unknown])
        self._load("seen_name", list(ids.items()), "text VARCHAR, seen BIGINT")
        services.add_seen_reads(
            self.rows(
                f"SELECT seen, day, reader, sum(n)::BIGINT, max(last_at) FROM use JOIN touch USING (combo) "
                f"JOIN name USING (name) JOIN seen_name ON seen_name.text = left(name.text, 500) "
                f"WHERE {_IS_READ} AND table_id IS NULL GROUP BY ALL ORDER BY ALL"
            )
        )
        services.add_failed_reads(
            self.rows(
                f"SELECT {self.source.pk}, left(text, 500), day, reader, any_value(table_id), sum(n)::BIGINT, "
                "max(last_at) FROM use JOIN touch USING (combo) JOIN name USING (name) WHERE failed AND n > 0 "
                "GROUP BY ALL ORDER BY ALL"
            )
        )

    def _store_edges(self) -> None:
        services.add_edges(
            self.rows(
                f"SELECT {self.source.pk}, left(target.text, 500), coalesce(left(source.text, 500), ''), reader, "
                "any_value(target.table_id), any_value(source.table_id), sum(n)::BIGINT, min(first_at), "
                "max(last_at) FROM use JOIN edge USING (combo) JOIN name target ON target.name = edge.target "
                "LEFT JOIN name source ON source.name = edge.source WHERE NOT failed AND NOT again AND n > 0 "
                "GROUP BY ALL ORDER BY ALL"
            )
        )
        services.note_sole_builders(self.source)

    def _store_coverage(self) -> None:
        """Days with their entries, texts that could not be read, and the period of each channel."""
        self._count_whole_log()
        unread = "coalesce(sum(n) FILTER (unparsed <> ''), 0)::BIGINT"
        counts = {
            day: (entries, unparsed)
            for day, entries, unparsed in self.rows(
                f"SELECT day, sum(n)::BIGINT, {unread} FROM use WHERE {_IS_USE} GROUP BY day"
            )
        }
        found = self.database.execute("SELECT moment::DATE AS day, d FROM fresh WHERE n > 0 ORDER BY day").fetchnumpy()
        self.result.new_entries = len(found["d"])
        days, starts = np.unique(found["day"].astype("datetime64[D]"), return_index=True)
        digests = np.split(found["d"], starts[1:]) if days.size else []
        new = zip(days.astype("O"), digests, strict=True)
        services.note_days(self.source, {day: (own, *counts.get(day, (0, 0))) for day, own in new})
        twins = "SELECT moment::DATE, list(twin) FROM fresh WHERE both_views AND twin IS NOT NULL GROUP BY 1"
        services.note_also(self.source, {day: np.array(own, dtype="<u8") for day, own in self.rows(twins)})
        self._store_unparsed()
        services.note_coverage(self.source, self._coverage())

    def _count_whole_log(self) -> None:
        """What of the files is unparsed or unmatched, whether it was counted before or not."""
        self.database.execute(
            "CREATE TABLE whole AS SELECT combo, unparsed, n FROM (SELECT k, r, db, schema_, count(*) AS n FROM entry "
            "WHERE NOT failed AND NOT tool GROUP BY ALL) JOIN combo USING (k, r, db, schema_)"
        )
        (self.result.unparsed,) = self.one("SELECT coalesce(sum(n), 0)::BIGINT FROM whole WHERE unparsed <> ''")
        (self.result.unmatched_names,) = self.one(
            "SELECT count(DISTINCT name) FROM touch JOIN name USING (name) SEMI JOIN whole USING (combo) "
            "WHERE table_id IS NULL"
        )

    def _store_unparsed(self) -> None:
        digests = [
            digest for (digest,) in self.rows(f"SELECT DISTINCT unparsed FROM use WHERE unparsed <> '' AND {_IS_USE}")
        ]
        ids: list[tuple[str, int]] = []
        for start in range(0, len(digests), 500):
            known = QueryFingerprint.objects.filter(
                dialect=self.dialect, engine_version=ENGINE_VERSION, digest__in=digests[start : start + 500]
            )
            ids += known.values_list("digest", "pk")
        self._load("unread_text", ids, "unparsed VARCHAR, fingerprint BIGINT")
        services.add_unparsed(
            self.rows(
                f"SELECT {self.source.pk}, fingerprint, day, sum(n)::BIGINT FROM use JOIN unread_text USING (unparsed) "
                f"WHERE {_IS_USE} GROUP BY ALL"
            )
        )

    def _coverage(self) -> Iterator[LogCoverage]:
        asked = self.asked
        spans = self.rows("SELECT channel, min(moment), max(moment) FROM entry GROUP BY 1")
        periods = {channel: (first, last) for channel, first, last in spans}
        unread = "coalesce(sum(n) FILTER (unparsed <> ''), 0)::BIGINT"
        new = f"SELECT channel, sum(n)::BIGINT, {unread} FROM use WHERE {_IS_USE} GROUP BY 1"
        counts = {channel: (entries, unparsed) for channel, entries, unparsed in self.rows(new)}
        if asked.channels and set(periods) <= {""}:
            periods = dict.fromkeys(asked.channels, periods.get("", (None, None)))
            counts = {asked.channels[0]: counts.get("", (0, 0))}
        periods |= {channel: (None, None) for channel in asked.channels if channel not in periods}
        if not periods and asked.covers_from and asked.covers_to:
            periods = {"": (None, None)}
        for channel, (first, last) in sorted(periods.items()):
            begin = asked.covers_from or _utc(self.covered_from or first)
            end = asked.covers_to or _utc(self.taken_at or last)
            if begin and end:
                entries, unparsed = counts.get(channel, (0, 0))
                yield LogCoverage(
                    channel=channel,
                    covers_from=min(begin, end),
                    covers_to=end,
                    format=asked.form.name,
                    entries=entries,
                    unparsed=unparsed,
                )


def _utc(moment: dt.datetime | None) -> dt.datetime | None:
    return moment.replace(tzinfo=dt.UTC) if moment is not None else None
