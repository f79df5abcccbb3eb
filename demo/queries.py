"""Asks the demo warehouse what its people and services ask (`queries.sql`), and writes the query log of it.

    python -m demo.queries warehouse.duckdb queries.jsonl

Each query really runs on the file, once for every day on which it would have been asked in the last 120; the log's
status is what came of it. Only its time is made up. The log is in the `generic` form: one JSON object a line with
query, user, start_time, status, reader_kind and database.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import duckdb

from demo.build import shop_today

QUERIES = Path(__file__).parent / "queries.sql"
COVERED_DAYS = 120
_HEADER = re.compile(
    r"^-- user: (?P<user>\S+)  kind: (?P<kind>\w+)  every: (?P<every>\d+)  at: (?P<at>[\d:]+)"
    r"(?:  days_ago: (?P<first>\d+)-(?P<last>\d+))?\n",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Habit:
    """A query that somebody asks every so many days."""

    user: str
    reader_kind: str  # human, service or pipeline
    every: int  # days
    at: time
    first_days_ago: int
    last_days_ago: int
    sql: str

    def asked(self, today: date) -> Iterator[tuple[datetime, str]]:
        """When it was asked, and with which text."""
        for days_ago in range(self.first_days_ago, self.last_days_ago - 1, -self.every):
            day = today - timedelta(days=days_ago)
            yield datetime.combine(day, self.at, UTC), self.sql.replace("{{ day }}", str(day - timedelta(days=1)))


def read_habits(path: Path = QUERIES) -> list[Habit]:
    """The queries in the order of the file."""
    text = path.read_text()
    headers = list(_HEADER.finditer(text))
    ends = [header.start() for header in headers[1:]] + [len(text)]
    return [_habit(header, text[header.end() : end]) for header, end in zip(headers, ends, strict=True)]


def _habit(header: re.Match[str], body: str) -> Habit:
    return Habit(
        user=header["user"],
        reader_kind=header["kind"],
        every=int(header["every"]),
        at=time.fromisoformat(header["at"]),
        first_days_ago=int(header["first"] or COVERED_DAYS),
        last_days_ago=int(header["last"] or 1),
        sql=body.partition(";")[0].strip(),
    )


def run_queries(warehouse: str | Path, log: str | Path, today: date | None = None) -> int:
    """Ask everything of the file at `warehouse`, write the log to `log`, and return how many entries it has."""
    today = today or shop_today()
    asked = [(at, habit, sql) for habit in read_habits() for at, sql in habit.asked(today)]
    asked.sort(key=lambda entry: entry[0])
    with duckdb.connect(str(warehouse), read_only=True) as connection, Path(log).open("w") as file:
        for at, habit, sql in asked:
            file.write(json.dumps(_entry(at, habit, sql, _ask(connection, sql))) + "\n")
    return len(asked)


def _ask(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    try:
        connection.execute(sql).fetchnumpy()  # whole columns: rows as Python tuples would take most of the time
    except duckdb.Error:
        return "failed"
    return "success"


def _entry(at: datetime, habit: Habit, sql: str, status: str) -> dict[str, str]:
    return {
        "query": sql,
        "user": habit.user,
        "start_time": at.isoformat(),
        "status": status,
        "reader_kind": habit.reader_kind,
        "database": "warehouse",
    }


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("usage: python -m demo.queries WAREHOUSE.duckdb LOG.jsonl", file=sys.stderr)
        return 2
    print(f"{run_queries(*arguments)} entries in {arguments[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
