"""The entries of an opened log, as slim rows in DuckDB, and one text of each kind.

In the order in which it happens, `LogSql` being the text of every SELECT:

1. `learn`: what queries of this log begin with, from its first entries
2. `read`: table `entry`, a row for each entry without its text: `d` the digest of its identity, `k` the key of its text
   (`fingerprints`), `r` of the tables that the log itself names, when, who, where, and what became of it
3. `samples`: a text for each `k` and `r`, for which the log is read once more, as far as needed

While DuckDB does the second, Python can read the texts that `learn` returned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from ingest.fingerprints import head_fingerprint, is_doubtful
from ingest.log_files import BadLog, Notes, gist, note_left_out
from ingest.log_sql import IDENTITY, REFS, SPOT, LogSql, is_tools

_LOOKED_AT = 50_000  # entries, to learn which heads come again
_LONGEST_HEAD = 10_000  # bytes; longer ones are data in a VALUES, and none is like another
_LONGEST_FIRST = 4_000  # bytes of a text that is held before it is asked for
_FURTHER = 100_000  # entries by which the threads that read a file may be apart
_MOST_NAMED = 3  # rows of each fault that are told by number


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

    def __init__(self, database: duckdb.DuckDBPyConnection, sql: LogSql, notes: Notes) -> None:
        self._database = database
        self._sql = sql
        self._lexis = sql.lexis
        self._notes = notes

    # What queries begin with

    def learn(self) -> list[str]:
        """Fill table `known_head`: heads that come again among the first entries. Returns a query of each.

        Heads of the same `number` differ in literals alone. What is worked out here of a head is not for each entry.
        Raises BadLog.
        """
        first = f"any_value(query) FILTER (strlen(query) < {_LONGEST_FIRST})"
        heads = f"SELECT * FROM ({self._sql.split(f'LIMIT {_LOOKED_AT}')}) WHERE strlen(head) < {_LONGEST_HEAD}"
        again = self._read(f"SELECT head, {first} FROM ({heads}) GROUP BY head HAVING count(*) > 1").fetchall()
        prints = {head: head_fingerprint(self._lexis, head) for head, _ in again}
        numbers = {text: number for number, text in enumerate(sorted(set(prints.values())), start=1)}
        known = {head: numbers[text] for head, text in prints.items() if text}
        self._database.execute(
            f"CREATE TABLE known_head AS SELECT head, number, md5_number_lower(head) AS digest, "
            f"{is_tools('head')} AS head_is_tools "
            "FROM (SELECT unnest(?::VARCHAR[]) AS head, unnest(?::UBIGINT[]) AS number)",
            [list(known), list(known.values())],
        )
        return [query for _, query in again if query]

    # Every entry

    def read(self) -> int:
        """Fill table `entry`, tell what is wrong with some rows, and return how many are right. Raises BadLog."""
        self._read(f"CREATE TABLE entry AS {self._sql.slim}")
        note_left_out(self._database, self._notes)
        right, wrong, zoneless, nobody = self._counts()
        if wrong:
            self._note_rows(wrong, "wrong", "no query text, or a time that cannot be read, left out")
            self._database.execute("DELETE FROM entry WHERE wrong")
        if zoneless:
            self._note_rows(zoneless, "zoneless AND NOT wrong", "a time without zone, taken as UTC")
        if nobody and "user" in self._sql.view.entry:
            self._note_rows(
                nobody, "who = '' AND NOT wrong", "no user (deleted, perhaps), counted as read by nobody named"
            )
        return right

    def _read(self, sql: str) -> duckdb.DuckDBPyConnection:
        try:
            return self._database.execute(sql)
        except duckdb.Error as error:
            raise BadLog(f"The log cannot be read: {gist(error)}") from error

    def _counts(self) -> tuple[int, ...]:
        row = self._database.execute(
            "SELECT count(*) FILTER (NOT wrong), count(*) FILTER (wrong), count(*) FILTER (zoneless AND NOT wrong), "
            "count(*) FILTER (who = '' AND NOT wrong) FROM entry"
        ).fetchone()
        return row or (0, 0, 0, 0)

    def _note_rows(self, count: int, condition: str, what: str) -> None:
        """Which rows; numbering them takes another, slower scan."""
        self._database.execute("SET preserve_insertion_order = true")
        rows = self._database.execute(self._sql.rows_that(condition, _MOST_NAMED)).fetchall()
        self._database.execute("SET preserve_insertion_order = false")
        places = ", ".join(f"{row:,}" for (row,) in rows) + (", …" if count > len(rows) else "")
        self._notes.add(
            f"{count:,} {'entry has' if count == 1 else 'entries have'} {what}: row {places}.",
            left_out=condition == "wrong",
        )

    # A text of each kind

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

    def _sampled(self) -> Iterator[tuple[Any, ...]]:
        """(k, r, query, refs, cut, key) of one entry for each k and r.

        They are the first of their kind by `rowid`, which runs through the file though not strictly. So the log is read
        a little further than to the last of them, and as a whole only where some are still missing then.
        """
        self._database.execute(
            "CREATE TABLE picked AS SELECT k, r, arg_min(spot, rowid) AS spot, bool_or(cut) AS cut, "
            "min(rowid) AS place FROM entry GROUP BY k, r"
        )
        counted = self._database.execute("SELECT count(*), coalesce(max(place), 0) FROM picked").fetchone()
        wanted, last = counted or (0, 0)
        found: set[tuple[int, int]] = set()
        for limit in (f"LIMIT {last + _FURTHER}", ""):
            if len(found) == wanted:
                return
            texts = f"""
                SELECT {self._sql.k} AS k, {REFS} AS r, query, coalesce(refs, '') AS refs, {self._sql.cheap_key} AS key
                FROM ({self._sql.parts(limit, f"{SPOT} IN (SELECT spot FROM picked)")})"""
            for k, r, *rest in self._fetched(
                f"SELECT k, r, query, refs, picked.cut, key FROM ({texts}) JOIN picked USING (k, r)"
            ):
                if (k, r) not in found:
                    found.add((k, r))
                    yield (k, r, *rest)

    def _exactly(self, doubtful: set[int]) -> Iterator[Sample]:
        """Give entries with these keys exact ones, by another scan, and sample those."""
        self._database.execute("CREATE TABLE doubtful AS SELECT unnest(?::UBIGINT[]) AS k", [sorted(doubtful)])
        spots = f"{SPOT} IN (SELECT spot FROM entry SEMI JOIN doubtful USING (k))"
        keyed = f"SELECT *, {REFS} AS r, {self._sql.k} AS cheap FROM ({self._sql.parts(where=spots)})"
        self._database.execute(
            f"CREATE TABLE exact AS SELECT {IDENTITY} AS d, cheap, r, query, refs, cut, {self._sql.exact_k} AS k "
            f"FROM ({keyed}) WHERE cheap IN (SELECT k FROM doubtful)"
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
