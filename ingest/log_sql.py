"""The SELECTs over an opened log, as text: from the columns of its format to slim rows. Nothing is run here.

Each stands on the one before:

1. `fields`: the log in the words of `log_formats`, still as text
2. `split`: the query taken apart into `note`, `head` and `tail`
3. `parts`: heads that are known have a number, `rest` is what else must be read, `bare` is that without its literals
4. `slim`: what is kept of an entry; of its text only `k`, which is equal for texts that differ in literals alone
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from ingest.fingerprints import Lexis, bare_sql, exact_sql, key_sql, literal, split_sql
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
_FLAGS = ("failed", "cut", "whole", "both_views")

# Of texts a digest of the whole, but that of a known head is made once. It is stored, so another would count twice.
IDENTITY = (
    "CASE WHEN coalesce(id, '') <> '' THEN md5_number_lower(id) ELSE xor(coalesce(digest, md5_number_lower(head)), "
    "md5_number_lower(concat_ws(chr(31), moment, who, note, tail))) END"
)
# Finds an entry again in another scan for little: a digest of its identity would have to read the text.
SPOT = "hash(concat_ws(chr(31), moment, who, id), strlen(query))"
REFS = "coalesce(hash(refs), 0)"

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
class LogSql:
    """SELECTs over the view `log`, and over the table `known_head` beside it.

    `services` is an expression over users' names; `taken_at` dates snapshots that do not say it themselves.
    """

    view: View
    lexis: Lexis
    services: str = ""
    taken_at: dt.datetime | None = None

    @property
    def fields(self) -> str:
        at = self._expression("at")
        if self.taken_at is not None and "counter" in self.view.entry:
            at = f"coalesce({at}, {literal(self.taken_at.isoformat())})"
        selected = [f"CAST({self._expression(name)} AS VARCHAR) AS {field}" for field, name in _FIELDS.items()]
        selected += [
            f"coalesce(CAST({self._expression('query')} AS VARCHAR), '') AS query",
            f"CAST({at} AS VARCHAR) AS moment",
            f"TRY_CAST({self._expression('counter')} AS BIGINT) AS counter",
            *(f"{self._expression(flag, 'false')} AS {flag}" for flag in _FLAGS),
        ]
        return f"SELECT {', '.join(selected)} FROM log WHERE NOT coalesce({self._expression('skip', 'false')}, false)"

    def _expression(self, name: str, default: str = "NULL") -> str:
        return self.view.entry.get(name, default)

    def split(self, limit: str = "", where: str = "true") -> str:
        """Of the rows up to the `limit`, those of which `where` holds."""
        return split_sql(self.lexis, f"SELECT * FROM ({self.fields} {limit}) WHERE {where}")

    def parts(self, limit: str = "", where: str = "true") -> str:
        known = f"SELECT * FROM ({self.split(limit, where)}) LEFT JOIN known_head USING (head)"
        rest = f"SELECT *, CASE WHEN number IS NULL THEN said ELSE tail END AS rest FROM ({known})"
        return f"SELECT *, {bare_sql(self.lexis, 'rest')} AS bare FROM ({rest})"

    @property
    def cheap_key(self) -> str:
        """Over `parts`: the text that `k` is the hash of, without the head's number."""
        return key_sql(self.lexis, "rest", "bare")

    @property
    def k(self) -> str:
        """Over `parts`."""
        return f"hash(coalesce(number, 0), {self.cheap_key})"

    @property
    def exact_k(self) -> str:
        """Over `fields`: what takes the place of `k` where the cheap key is doubtful."""
        return f"hash(concat(chr(3), {exact_sql(self.lexis, 'query')}))"

    @property
    def slim(self) -> str:
        service = f"regexp_matches(who, {literal(self.services)})" if self.services else "false"
        return f"""
            SELECT {IDENTITY} AS d, {self.k} AS k, {REFS} AS r, {SPOT} AS spot,
                {_MOMENT} AS moment, coalesce(who, '') AS who, coalesce(pipeline, '') AS pipeline,
                CASE WHEN kind IN ('human', 'service', 'pipeline') THEN kind WHEN {service} THEN 'service'
                    WHEN contains(who, '@') THEN 'human' ELSE '' END AS kind,
                coalesce(db, '') AS db, coalesce(schema_, '') AS schema_, coalesce(channel, '') AS channel,
                coalesce(failed, false) AS failed, coalesce(cut, false) AS cut, counter,
                md5_number_lower(twin) AS twin, whole, both_views,
                coalesce(regexp_matches(tag, {literal(TOOL_TAG)}), false) OR coalesce(head_is_tools, false)
                    OR {is_tools("note")} OR {is_tools("rest")} AS tool,
                {_WRONG} AS wrong, {_ZONELESS} AS zoneless
            FROM ({self.parts()})"""

    def rows_that(self, condition: str, most: int) -> str:
        """Numbers of the first rows of which `condition` holds, over `who`, `wrong` and `zoneless`."""
        judged = f"SELECT coalesce(who, '') AS who, {_WRONG} AS wrong, {_ZONELESS} AS zoneless FROM ({self.fields})"
        numbered = f"SELECT *, row_number() OVER () AS row FROM ({judged})"
        return f"SELECT row FROM ({numbered}) WHERE {condition} ORDER BY row LIMIT {most}"


def is_tools(text: str) -> str:
    """The DuckDB expression that finds the comment of a tool in the column `text`."""
    found = [
        f"CASE WHEN contains({text}, '{start}') THEN regexp_matches({text}, {literal(expression)}) ELSE false END"
        for start, expression in TOOL_COMMENTS.items()
    ]
    return f"({' OR '.join(found)})"
