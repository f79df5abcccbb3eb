"""The entries of an opened log, as slim rows in DuckDB, and one text of each kind.

Table `entry`: a row for each entry, without its text: `d` the digest of its identity, `k` the key of its text
(`fingerprints`), `r` of the tables that the log itself names, when, who, where, and what became of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from ingest.fingerprints import Lexis, bare_sql, exact_sql, head_fingerprint, is_doubtful, key_sql, split_sql
from ingest.log_files import BadLog, Notes, gist, note_left_out
from ingest.log_formats import TOOL_COMMENTS, TOOL_TAG, View

_FIELDS = {
    "id": "id",
    "twin": "twin",
    "who": "user",
    "kind": "kind",
    "db": "database",
    "schema_": "schema",
    "tag": "tag",
    "pipeline": "pipeline",
    "channel": "channel",
    "refs": "refs",
}
_LOOKED_AT = 50_000  # entries, to learn which heads come again
_LONGEST_HEAD = 10_000  # bytes; longer ones are data in a VALUES, and none is like another
# Finds an entry again in another scan for little: a digest of its identity would have to read the text.
_SPOT = "hash(concat_ws(chr(31), moment, who, id), strlen(query))"
# Of texts a digest of the whole, but that of a known head is made once.
_IDENTITY = (
    "CASE WHEN coalesce(id, '') <> '' THEN md5_number_lower(id) ELSE xor(coalesce(digest, md5_number_lower(head)), "
    "md5_number_lower(concat_ws(chr(31), moment, who, note, tail))) END"
)
_EPOCH = (
    "CASE WHEN regexp_full_match(moment, '[0-9]{9,19}([.][0-9]+)?([eE][0-9]+)?') THEN make_timestamp(CAST(CASE "
    "WHEN moment::DOUBLE < 1e11 THEN moment::DOUBLE * 1e6 WHEN moment::DOUBLE < 1e14 THEN moment::DOUBLE * 1e3 "
    "WHEN moment::DOUBLE < 1e17 THEN moment::DOUBLE ELSE moment::DOUBLE / 1e3 END AS BIGINT)) END"
)
# "2026-03-01 12:00:00.000 -0800", as Snowflake writes it, is the one form in use that DuckDB does not know.
_SPACED_ZONE = r"regexp_replace(moment, ' ([+-][0-9]{2}):?([0-9]{2})$', '\1:\2')"
_MOMENT = (
    "coalesce(make_timestamp(epoch_us(try_cast(moment AS TIMESTAMPTZ))), "
    f"{_EPOCH}, make_timestamp(epoch_us(try_cast({_SPACED_ZONE} AS TIMESTAMPTZ))))"
)
_ZONE = "'([+-][0-9]{2}(:?[0-9]{2})?|[A-Za-z]{2,})$'"
# CASE, because DuckDB works out both sides of an OR for every row.
_ZONELESS = (
    f"coalesce(CASE WHEN right(moment, 1) IN ('Z', 'z') THEN false WHEN length(moment) > 10 AND "
    f"regexp_matches(moment, {_ZONE}) THEN false ELSE NOT regexp_full_match(moment, '[0-9.eE]+') END, false)"
)
_WRONG = f"(query = '' AND refs IS NULL) OR {_MOMENT} IS NULL"


@dataclass(frozen=True)
class Sample:
    """A text as the log has it, standing for the entries with its `k` and `r`. It is parsed and forgotten."""

    k: int
    r: int
    query: str
    refs: str
    cut: bool


class Entries:
    """The entries of the view `log`."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        view: View,
        lexis: Lexis,
        notes: Notes,
        *,
        services: str = "",
        taken_at: dt.datetime | None = None,
    ) -> None:
        """`services` is an expression over users' names; `taken_at` dates snapshots that do not say it themselves."""
        self._database = database
        self._view = view
        self._lexis = lexis
        self._notes = notes
        self._services = services
        self._taken_at = taken_at

    def read(self) -> int:
        """Fill table `entry`, tell what is wrong with some rows, and return how many are right. Raises BadLog."""
        try:
            self._learn_heads()
            self._database.execute(f"CREATE TABLE entry AS {self._slim()}")
        except duckdb.Error as error:
            raise BadLog(f"The log cannot be read: {gist(error)}") from error
        note_left_out(self._database, self._notes)
        right, wrong, zoneless, nobody = self._counts()
        if wrong:
            self._note_rows(wrong, "wrong", "no query text, or a time that cannot be read, left out")
            self._database.execute("DELETE FROM entry WHERE wrong")
        if zoneless:
            self._note_rows(zoneless, "zoneless AND NOT wrong", "a time without zone, taken as UTC")
        if nobody and "user" in self._view.entry:
            self._note_rows(
                nobody, "who = '' AND NOT wrong", "no user (deleted, perhaps), counted as read by nobody named"
            )
        return right

    def samples(self) -> Iterator[Sample]:
        """One text for each kind of entry. Entries whose cheap key is doubtful get an exact one first."""
        doubtful: set[int] = set()
        for k, r, query, refs, cut, key in self._sampled():
            if is_doubtful(self._lexis, key):
                doubtful.add(k)
            else:
                yield Sample(k, r, query, refs, cut)
        if doubtful:
            yield from self._exactly(doubtful)

    def _counts(self) -> tuple[int, ...]:
        row = self._database.execute(
            "SELECT count(*) FILTER (NOT wrong), count(*) FILTER (wrong), count(*) FILTER (zoneless AND NOT wrong), "
            "count(*) FILTER (who = '' AND NOT wrong) FROM entry"
        ).fetchone()
        return row or (0, 0, 0, 0)

    def _note_rows(self, count: int, condition: str, what: str) -> None:
        """Which rows; numbering them takes another, slower scan."""
        self._database.execute("SET preserve_insertion_order = true")
        judged = f"SELECT coalesce(who, '') AS who, {_WRONG} AS wrong, {_ZONELESS} AS zoneless FROM ({self._fields()})"
        numbered = f"SELECT *, row_number() OVER () AS row FROM ({judged})"
        rows = self._database.execute(f"SELECT row FROM ({numbered}) WHERE {condition} ORDER BY row LIMIT 3").fetchall()
        self._database.execute("SET preserve_insertion_order = false")
        places = ", ".join(f"{row:,}" for (row,) in rows) + (", …" if count > len(rows) else "")
        self._notes.add(
            f"{count:,} {'entry has' if count == 1 else 'entries have'} {what}: row {places}.",
            left_out=condition == "wrong",
        )

    def _slim(self) -> str:
        service = f"regexp_matches(who, {_quoted(self._services)})" if self._services else "false"
        return f"""
            SELECT {_IDENTITY} AS d, {self._key()} AS k, coalesce(hash(refs), 0) AS r, {_SPOT} AS spot,
                {_MOMENT} AS moment, coalesce(who, '') AS who, coalesce(pipeline, '') AS pipeline,
                CASE WHEN kind IN ('human', 'service', 'pipeline') THEN kind WHEN {service} THEN 'service'
                    WHEN contains(who, '@') THEN 'human' ELSE '' END AS kind,
                coalesce(db, '') AS db, coalesce(schema_, '') AS schema_, coalesce(channel, '') AS channel,
                coalesce(failed, false) AS failed, coalesce(cut, false) AS cut, counter,
                md5_number_lower(twin) AS twin, whole, both_views,
                coalesce(regexp_matches(tag, {_quoted(TOOL_TAG)}), false) OR coalesce(head_is_tools, false)
                    OR {_is_tools("note")} OR {_is_tools("rest")} AS tool,
                {_WRONG} AS wrong, {_ZONELESS} AS zoneless
            FROM ({self._with_bare()})"""

    def _fields(self) -> str:
        """SELECT of the log in the words of `log_formats`."""
        at = self._expression("at")
        if self._taken_at is not None and "counter" in self._view.entry:
            at = f"coalesce({at}, {_quoted(self._taken_at.isoformat())})"
        selected = [f"CAST({self._expression(name)} AS VARCHAR) AS {field}" for field, name in _FIELDS.items()]
        selected.append(f"coalesce(CAST({self._expression('query')} AS VARCHAR), '') AS query")
        selected += [
            f"CAST({at} AS VARCHAR) AS moment",
            f"TRY_CAST({self._expression('counter')} AS BIGINT) AS counter",
        ]
        selected += [
            f"{self._expression(flag, 'false')} AS {flag}" for flag in ("failed", "cut", "whole", "both_views")
        ]
        return f"SELECT {', '.join(selected)} FROM log WHERE NOT coalesce({self._expression('skip', 'false')}, false)"

    def _expression(self, name: str, default: str = "NULL") -> str:
        return self._view.entry.get(name, default)

    def _key(self) -> str:
        return f"hash(coalesce(number, 0), {key_sql(self._lexis, 'rest', 'bare')})"

    def _with_bare(self, where: str = "") -> str:
        """The fields, and the text in parts: `rest` is what follows a known head, or all of it, `bare` is that without
        strings and comments."""
        split = split_sql(self._lexis, f"SELECT * FROM ({self._fields()}) {where}")
        known = f"SELECT * FROM ({split}) LEFT JOIN known_head USING (head)"
        rest = f"SELECT *, CASE WHEN number IS NULL THEN said ELSE tail END AS rest FROM ({known})"
        return f"SELECT *, {bare_sql(self._lexis, 'rest')} AS bare FROM ({rest})"

    def _learn_heads(self) -> None:
        """Table `known_head`: what queries of this log begin with, judged by its first entries.

        Heads of the same `number` differ in literals alone. What is worked out here of a head is not for each entry.
        """
        split = split_sql(self._lexis, f"{self._fields()} LIMIT {_LOOKED_AT}")
        again = self._database.execute(
            f"SELECT head FROM ({split}) WHERE strlen(head) < {_LONGEST_HEAD} GROUP BY head HAVING count(*) > 1"
        ).fetchall()
        prints = {head: head_fingerprint(self._lexis, head) for (head,) in again}
        numbers = {text: number for number, text in enumerate(sorted(set(prints.values())), start=1)}
        known = {head: numbers[text] for head, text in prints.items() if text}
        self._database.execute(
            f"CREATE TABLE known_head AS SELECT head, number, md5_number_lower(head) AS digest, "
            f"{_is_tools('head')} AS head_is_tools "
            "FROM (SELECT unnest(?::VARCHAR[]) AS head, unnest(?::UBIGINT[]) AS number)",
            [list(known), list(known.values())],
        )

    def _sampled(self) -> Iterator[tuple[Any, ...]]:
        """(k, r, query, refs, cut, key) of one entry for each k and r: a second scan, which ends when all are found.

        They are the first of their kind by `rowid`, which runs through the file though not strictly, so that the scan
        is short where every kind of entry comes early.
        """
        self._database.execute(
            "CREATE TABLE picked AS SELECT k, r, arg_min(spot, rowid) AS spot, bool_or(cut) AS cut FROM entry "
            "GROUP BY k, r"
        )
        (wanted,) = self._database.execute("SELECT count(*) FROM picked").fetchone() or (0,)
        texts = f"""
            SELECT {self._key()} AS k, coalesce(hash(refs), 0) AS r, query, coalesce(refs, '') AS refs,
                {key_sql(self._lexis, "rest", "bare")} AS key
            FROM ({self._with_bare(f"WHERE {_SPOT} IN (SELECT spot FROM picked)")})"""
        seen: set[tuple[int, int]] = set()
        if not wanted:
            return
        for k, r, *rest in self._fetched(
            f"SELECT k, r, query, refs, picked.cut, key FROM ({texts}) JOIN picked USING (k, r)"
        ):
            if (k, r) not in seen:
                seen.add((k, r))
                yield (k, r, *rest)
            if len(seen) == wanted:
                return

    def _exactly(self, doubtful: set[int]) -> Iterator[Sample]:
        """Give entries with these keys exact ones, by a third scan, and sample those."""
        self._database.execute("CREATE TABLE doubtful AS SELECT unnest(?::UBIGINT[]) AS k", [sorted(doubtful)])
        self._database.execute(
            f"""
            CREATE TABLE exact AS SELECT {_IDENTITY} AS d, cheap, r, query, refs, cut,
                hash(concat(chr(3), {exact_sql(self._lexis, "query")})) AS k
            FROM (
                SELECT *, coalesce(hash(refs), 0) AS r, {self._key()} AS cheap FROM ({
                self._with_bare(f"WHERE {_SPOT} IN (SELECT spot FROM entry SEMI JOIN doubtful USING (k))")
            })
            ) WHERE cheap IN (SELECT k FROM doubtful)"""
        )
        self._database.execute(
            "UPDATE entry SET k = exact.k FROM exact WHERE entry.d = exact.d AND entry.k = exact.cheap"
        )
        texts = "any_value(query), any_value(coalesce(refs, '')), bool_or(cut)"
        yield from (Sample(*row) for row in self._fetched(f"SELECT k, r, {texts} FROM exact GROUP BY k, r"))
        self._database.execute("DROP TABLE exact")

    def _fetched(self, sql: str) -> Iterator[tuple[Any, ...]]:
        cursor = self._database.cursor().execute(sql)
        while rows := cursor.fetchmany(2_000):
            yield from rows


def _is_tools(text: str) -> str:
    """The DuckDB expression that finds the comment of a tool in the column `text`."""
    found = [
        f"CASE WHEN contains({text}, '{start}') THEN regexp_matches({text}, {_quoted(expression)}) ELSE false END"
        for start, expression in TOOL_COMMENTS.items()
    ]
    return f"({' OR '.join(found)})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
