"""A query log into reads: which tables and columns are used, on which day, by whom, and what the log cannot tell.

The steps, in order; DuckDB does what has to be done for every entry, Python what has to be done for every text:

1. `log_files.open_log`: the files as one view of text columns
2. `log_entries`: a slim row for each entry: the digest of its identity, the key of its text, when, who, where
3. `_Texts`: for each key one text, its fingerprint, and what the engine reads off it, remembered for ever
4. `_Names`: the names in those texts as tables and columns of the catalog
5. `_store`: in one transaction, what was not counted before, grouped by table, day and reader

An entry's identity is the id that the history gives it, or else its time, user and text. Identities are kept as 64-bit
digests by day (`LoggedDay`), so files may overlap; without ids, the same text by the same user at the same instant
counts once.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from django.db import transaction

from audits.usage import services
from audits.usage.models import Counter, LogCoverage, QueryFingerprint
from audits.usage.names import match_columns, match_names
from audits.usage.services import NamedReader
from catalog.models import Source
from ingest.fingerprints import LONGEST_TEXT, fingerprint, lexis
from ingest.log_entries import Entries, Sample
from ingest.log_files import BadLog, Notes, open_log
from ingest.log_formats import LogFormat, Refs
from ingest.logged_query import Reading, is_system_table, read_queries
from ingest.workers import Died, Workers
from lineage.sql import ENGINE_VERSION
from lineage.sql.dialects import dotted, language

_MEMORY = "500MB"  # for DuckDB; what is beyond goes to files
_TEXTS_AT_ONCE = 5_000
_FEW = 150  # texts that are parsed here, because starting worker processes takes longer
_TEXTS_A_JOB = 25
_SECONDS_A_JOB = 120.0
_PARTS = re.compile(r'"[^"]*"|[^.]+')
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


def import_log(asked: LogImport) -> Imported:
    """Read the files and store who read what, all of it or nothing. Raises BadLog when they cannot be read."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pipekeeper-log-") as folder:
        config = {"memory_limit": _MEMORY, "temp_directory": folder, "preserve_insertion_order": "false"}
        with duckdb.connect(":memory:", config=config) as database:
            database.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            result = _Import(asked, database, Path(folder)).run()
    result.seconds = time.monotonic() - start
    return result


@dataclass(frozen=True)
class _Text:
    """What the entries with the keys `k` and `r` do, and the digest of their fingerprint."""

    k: int
    r: int
    digest: str
    reading: Reading


class _Import:
    """One import under way."""

    def __init__(self, asked: LogImport, database: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.asked = asked
        self.source = asked.source
        self.database = database
        self.folder = folder
        self.notes = Notes()
        self.result = Imported()
        self.dialect = asked.form.dialect or asked.dialect

    def run(self) -> Imported:
        asked = self.asked
        self.view = open_log(self.database, asked.paths, asked.form, self.folder, self.notes)
        self.is_snapshot = "counter" in self.view.entry
        self.taken_at = self._taken_at() if self.is_snapshot else None
        entries = Entries(
            self.database,
            self.view,
            lexis(self.dialect),
            self.notes,
            services=asked.form.services,
            taken_at=self.taken_at,
        )
        self.result.entries = entries.read()
        texts = list(self._texts(entries))
        self.result.fingerprints = len({text.digest for text in texts if text.digest})
        self._resolve(texts)
        with transaction.atomic():
            services.lock(self.source)
            self._store()
        self.result.notes, self.result.left_out = self.notes.lines, self.notes.left_out
        return self.result

    # Texts

    def _texts(self, entries: Entries) -> Iterator[_Text]:
        samples = entries.samples()
        while batch := list(islice(samples, _TEXTS_AT_ONCE)):
            yield from self._read_batch(batch)

    def _read_batch(self, batch: list[Sample]) -> Iterator[_Text]:
        spoken = lexis(self.dialect)
        prints = [fingerprint(spoken, sample.query) if sample.query else "" for sample in batch]
        digests = [hashlib.sha256(text.encode()).hexdigest() if text else "" for text in prints]
        readings = self._remembered(digests)
        new = {
            digest: (text, sample.query)
            for digest, text, sample in zip(digests, prints, batch, strict=True)
            if digest and digest not in readings
        }
        if new:
            readings |= self._read_new(new)
        for sample, digest in zip(batch, digests, strict=True):
            yield _Text(sample.k, sample.r, digest, self._with_refs(sample, readings.get(digest, Reading())))

    def _remembered(self, digests: Iterable[str]) -> dict[str, Reading]:
        wanted = sorted(set(digests) - {""})
        known: dict[str, Reading] = {}
        mine = QueryFingerprint.objects.filter(dialect=self.dialect, engine_version=ENGINE_VERSION)
        for start in range(0, len(wanted), 500):
            rows = mine.filter(digest__in=wanted[start : start + 500]).values_list("digest", "reading", "problem")
            known |= {digest: Reading.from_json(reading, problem) for digest, reading, problem in rows}
        return known

    def _read_new(self, new: dict[str, tuple[str, str]]) -> dict[str, Reading]:
        """Parse one text of each new fingerprint, and remember what was read."""
        found = dict(zip(new, self._parse([query for _, query in new.values()]), strict=True))
        services.remember_fingerprints(
            QueryFingerprint(
                digest=digest,
                dialect=self.dialect,
                engine_version=ENGINE_VERSION,
                text=new[digest][0][:LONGEST_TEXT],
                reading=reading.to_json(),
                problem=reading.problem,
            )
            for digest, reading in found.items()
        )
        return found

    def _parse(self, queries: list[str]) -> list[Reading]:
        jobs = {
            n: queries[start : start + _TEXTS_A_JOB] for n, start in enumerate(range(0, len(queries), _TEXTS_A_JOB))
        }
        found: dict[int, list[Reading]] = {}
        with Workers(self.asked.workers if len(queries) > _FEW else 0) as workers:
            for job, answer in workers.run(
                read_queries, {job: set() for job in jobs}, lambda job: (self.dialect, jobs[job]), _SECONDS_A_JOB
            ):
                found[job] = self._one_by_one(jobs[job], answer) if isinstance(answer, Died) else answer
        return [reading for job in jobs for reading in found[job]]

    def _one_by_one(self, queries: list[str], died: Died) -> list[Reading]:
        """Read the texts of a job that ended its worker again, each alone, so that only the one at fault is lost."""
        with Workers(1) as workers:
            answers = dict(
                workers.run(
                    read_queries,
                    {n: set() for n in range(len(queries))},
                    lambda n: (self.dialect, [queries[n]]),
                    _SECONDS_A_JOB / _TEXTS_A_JOB,
                )
            )
        lost = [Reading(problem=f"The query {died.how}.")]
        return [(lost if isinstance(answers[n], Died) else answers[n])[0] for n in range(len(queries))]

    def _with_refs(self, sample: Sample, reading: Reading) -> Reading:
        """What the log itself says was read and written goes before what its SQL says, which only adds columns."""
        refs = self.asked.form.read_refs(sample.refs) if sample.refs else Refs()
        if refs.reads or refs.writes:
            return _logged_reading(refs, reading)
        if sample.cut and not reading.problem:
            return Reading(reading.reads, reading.edges, "The log cut the text.")
        return reading

    # Names

    def _resolve(self, texts: list[_Text]) -> None:
        """Tables `combo`, `touch`, `edge`, `named` and `name`: what each text does, where it was asked."""
        by_key = {(text.k, text.r): text for text in texts}
        places = self.database.execute("SELECT DISTINCT k, r, db, schema_ FROM entry").fetchall()
        self.names = _Names(self.asked.form, self.dialect, self.source)
        combos = [(by_key[k, r], k, r, db, schema) for k, r, db, schema in places]
        for text, _, _, db, schema in combos:
            self.names.add(text.reading, db, schema)
        self.names.match()
        rows = _Rows()
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
        if self.is_snapshot:
            self._count_since_last_snapshot()
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
        unread = f"SELECT day, sum(n)::BIGINT FROM use WHERE unparsed <> '' AND {_IS_USE} GROUP BY day"
        unparsed = dict(self.rows(unread))
        found = self.database.execute("SELECT moment::DATE AS day, d FROM fresh WHERE n > 0 ORDER BY day").fetchnumpy()
        self.result.new_entries = len(found["d"])
        days, starts = np.unique(found["day"].astype("datetime64[D]"), return_index=True)
        digests = np.split(found["d"], starts[1:]) if days.size else []
        new = zip(days.astype("O"), digests, strict=True)
        services.note_days(self.source, {day: (own, unparsed.get(day, 0)) for day, own in new})
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

    # Snapshots of counters, which know no times

    covered_from: dt.datetime | None = None

    def _taken_at(self) -> dt.datetime:
        """When the snapshot was taken: as the command says, or its column captured_at."""
        if self.asked.covers_to is not None:
            return self.asked.covers_to
        (at,) = self.one("SELECT max(epoch_us(try_cast(captured_at AS TIMESTAMPTZ))) FROM log")
        if at is None:
            raise BadLog(
                f"{self.view.name} knows how often, not when: say when this snapshot was taken with --covers-to, or "
                "add a column captured_at to it. Reads are counted from the second snapshot on."
            )
        return dt.datetime.fromtimestamp(at / 1e6, tz=dt.UTC)

    def _count_since_last_snapshot(self) -> None:
        """Let `counter` be what was added since the snapshot before; of the first, only times that it states count."""
        taken_at = self.taken_at
        assert taken_at is not None
        known = {
            counter.key: counter
            for counter in Counter.objects.filter(source=self.source, key__startswith=f"{self.view.name}:")
        }
        last = max((counter.taken_at for counter in known.values()), default=None)
        if last is not None and taken_at <= last:
            self.notes.add(
                f"A snapshot of {last:%Y-%m-%d %H:%M} UTC or later is already counted; this older one adds nothing."
            )
        rows, counters = [], []
        for d, value, is_dated in self.database.execute(
            "SELECT d, coalesce(counter, 0), moment < ?::TIMESTAMP FROM entry", [taken_at.replace(tzinfo=None)]
        ).fetchall():
            key = f"{self.view.name}:{d:016x}"
            before = known.get(key)
            added = value if before is None or value < before.value else value - before.value
            if last is None:
                added = int(is_dated and value > 0)
            rows.append((d, 0 if last is not None and taken_at <= last else added))
            counters.append(Counter(source=self.source, key=key, value=value, taken_at=taken_at))
        self._load("added", rows, "d UBIGINT, n BIGINT")
        self.database.execute(
            "UPDATE entry SET counter = added.n, d = md5_number_lower(concat_ws('@', entry.d, ?)) FROM added "
            "WHERE entry.d = added.d",
            [taken_at.isoformat()],
        )
        self.covered_from = last or taken_at
        if last is None or taken_at > last:
            services.note_counters(counters)


@dataclass
class _Rows:
    """Rows on their way to DuckDB."""

    combo: list[tuple] = field(default_factory=list)
    touch: list[tuple] = field(default_factory=list)
    edge: list[tuple] = field(default_factory=list)
    named: list[tuple] = field(default_factory=list)


class _Names:
    """The names that texts use, each with the table it means, if the catalog has it."""

    def __init__(self, form: LogFormat, dialect: str, source: Source) -> None:
        self._language = language(dialect)
        self._default_schema = form.default_schema
        self._source = source
        self._full: dict[tuple[str, str, str], str] = {}  # (as written, database, schema) -> in full
        self._candidates: dict[str, list[str]] = {}
        self._numbers: dict[str, int] = {}
        self._tables: dict[str, int] = {}
        self._columns: dict[tuple[int, str], int] = {}

    def add(self, reading: Reading, db: str, schema: str) -> None:
        """Note the names of a reading that was asked in this database and schema."""
        for name in {*reading.reads, *(end for edge in reading.edges for end in edge)}:
            if name and (name, db, schema) not in self._full and not is_system_table(name):
                candidates = self._in_full(name, db, schema)
                full = candidates[0]
                self._full[name, db, schema] = full
                self._candidates[full] = [*dict.fromkeys([*self._candidates.get(full, ()), *candidates])]
                self._numbers.setdefault(full, len(self._numbers))

    def match(self) -> None:
        """Find the tables and their columns: once, for all names."""
        self._tables = match_names(self._source, self._candidates)
        self._columns = match_columns(self._tables.values())

    def rows(self) -> list[tuple[int, str, int | None]]:
        return [(number, name, self._tables.get(name)) for name, number in self._numbers.items()]

    def write(self, rows: _Rows, combo: int, reading: Reading, db: str, schema: str) -> None:
        """Rows of what a reading does, by number of name."""
        for name, columns in reading.reads.items():
            full = self._full.get((name, db, schema))
            if full is None:
                continue
            behind = name in reading.behind
            rows.touch.append((combo, self._numbers[full], behind))
            table = self._tables.get(full)
            ids = {self._columns.get((table, column.lower())) for column in columns} if table else set()
            rows.named += [(combo, column, behind) for column in ids - {None}]
        for source, target in reading.edges:
            if (target, db, schema) in self._full:
                end = self._full.get((source, db, schema))
                rows.edge.append(
                    (combo, self._numbers[end] if end else None, self._numbers[self._full[target, db, schema]])
                )

    def _in_full(self, name: str, db: str, schema: str) -> list[str]:
        """The full names that a written one may stand for, the likeliest first."""
        if "://" in name:
            return [name]
        keep = self._language.rules.tables_keep_case
        place = [part if keep else self._language.fold(part) for part in (db, schema or self._default_schema)]
        if self._language.rules.parts == 2:
            place = [place[1] if schema else place[0] or place[1]]
        parts = [part.strip('"') for part in _PARTS.findall(name)]
        missing = max(0, len(place) + 1 - len(parts))
        front = place[:missing] if all(place[:missing]) else [part for part in place[:missing][::-1][:1] if part]
        full = [*front, *parts]
        return [dotted(full[cut:]) for cut in range(max(1, len(full) - 1))]


def _logged_reading(refs: Refs, read: Reading) -> Reading:
    """Tables as the log names them; columns too, or else those that the SQL names."""
    if refs.writes:
        sources = [name for name in refs.reads if name not in refs.writes] or [""]
        return Reading(edges=[(source, target) for target in refs.writes for source in sources])
    reads = {name: columns or _columns_of(name, read) for name, columns in refs.reads.items()}
    return Reading(reads, behind=refs.behind)


def _columns_of(name: str, read: Reading) -> list[str]:
    return next((columns for written, columns in read.reads.items() if f".{name}".endswith(f".{written}")), [])


def _utc(moment: dt.datetime | None) -> dt.datetime | None:
    return moment.replace(tzinfo=dt.UTC) if moment is not None else None
