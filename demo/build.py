"""Builds the demo warehouse: raw data of a made-up shop, then `repo/` run over it night by night, into a DuckDB file.

    python -m demo.build warehouse.duckdb

The shop's outside databases are attached in-memory databases, as DuckDB would attach the real ones; they are gone
when the build ends. Dates are relative to the day of the build, because the questions the demo is for ("unread for 90
days", "stale since last week") are asked of today; the same day always gives the same rows.
"""

import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path

import duckdb
from jinja2 import Environment, StrictUndefined

REPO = Path(__file__).parent / "repo"
RAW_DATA = Path(__file__).parent / "raw_data.sql"
OUTSIDE_DATABASES = ("shop_db", "billing_db", "wms_db", "experiments_db")

APPENDED_TWICE = "growth.channel_spend_daily"
RENAME_COLUMN = """
CREATE OR REPLACE VIEW billing_db.billing.refunds AS
SELECT refund_id, payment_id, order_id, amount, currency, refunded_at, reason_code
FROM billing_db.ledger.refunds WHERE refunded_at < getvariable('clock')
"""

NIGHT_ENDS = clock_time(7)  # UTC: by then all pipelines have run

Morning = Callable[[Path, datetime], None]

_jinja = Environment(undefined=StrictUndefined, keep_trailing_newline=True)


@dataclass(frozen=True)
class Story:
    """The days on which things happen, all counted back from `today`, the first day without data."""

    today: date

    @property
    def first_day(self) -> date:
        """The first order, 18 months back."""
        return self.today - timedelta(days=548)

    @property
    def tracking_from(self) -> date:
        """The oldest web event: the warehouse keeps 180 days of them."""
        return self.today - timedelta(days=180)

    @property
    def history_until(self) -> date:
        """The day of the first run, which loads everything before it; the nights after that are played one by one."""
        return self.today - timedelta(days=15)

    @property
    def renamed_on(self) -> date:
        """billing 4.2 renames refunds.reason to reason_code; the run for this day is the first to see it."""
        return self.today - timedelta(days=12)

    @property
    def appended_twice_on(self) -> date:
        """The day whose run of growth.channel_spend_daily was killed after its insert and tried again."""
        return self.today - timedelta(days=9)

    @property
    def days(self) -> list[date]:
        """Every day that is run for, in order."""
        return [self.history_until + timedelta(days=n) for n in range((self.today - self.history_until).days)]


@dataclass(frozen=True)
class Pipeline:
    """One SQL file of the repository."""

    name: str
    sql: str
    at: timedelta  # after midnight of the day that follows the one it runs for


@dataclass(frozen=True)
class PipelineRun:
    """One execution: starts when its schedule says, takes as long as it really took. Times are UTC, without zone."""

    pipeline: str
    logical_date: date
    attempt: int
    started_at: datetime
    ended_at: datetime
    state: str  # "succeeded" or "failed"
    rows_out: int | None
    error: str


@dataclass(frozen=True)
class Built:
    """What a build made."""

    path: Path
    story: Story
    runs: list[PipelineRun]


def shop_today() -> date:
    """The day of the build in UTC; before 07:00 last night's runs are not over, so it is still the day before."""
    return (datetime.now(UTC) - timedelta(hours=NIGHT_ENDS.hour)).date()


def read_pipelines(repo: Path = REPO) -> list[Pipeline]:
    """The repository's SQL files in the order of the clock, which is the order the shop runs them in."""
    pipelines = [_read_pipeline(path, path.relative_to(repo)) for path in sorted(repo.glob("*/*.sql"))]
    return sorted(pipelines, key=lambda pipeline: (pipeline.at, pipeline.name))


def _read_pipeline(path: Path, relative: Path) -> Pipeline:
    text = path.read_text()
    name = f"{relative.parent.name}.{relative.stem}"
    schedule = re.search(r"^-- schedule: (\d+) (\d+) ", text, re.MULTILINE)
    if not schedule:
        raise ValueError(f"{path}: has no line '-- schedule: MINUTE HOUR …', so its turn is not known")
    body = re.sub(r"\A(--.*\n|\s)+", "", text)
    if body.startswith(("SELECT", "WITH")):
        body = f"CREATE OR REPLACE TABLE {name} AS\n{body}"
    return Pipeline(name, body, timedelta(hours=int(schedule[2]), minutes=int(schedule[1])))


def build(
    path: str | Path,
    progress: Callable[[str], None] | None = None,
    today: date | None = None,
    each_morning: Morning | None = None,
) -> Built:
    """Write the DuckDB file at `path`, replacing it only when the whole is done, and say each step to `progress`.

    `each_morning` is given a copy of the file as each night left it, and when that was: the copy is gone afterwards.
    With another `today` than the real one, tables cut by CURRENT_DATE (growth.email_engagement) stay empty.
    """
    say = progress or (lambda line: None)
    path = Path(path)
    story = Story(today or shop_today())
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".building-") as folder:
        unfinished = Path(folder) / path.name  # same name, since DuckDB calls the database after its file
        with duckdb.connect(str(unfinished)) as connection:
            say(f"raw data from {story.first_day} to {story.today - timedelta(days=1)}")
            _make_raw_data(connection, story)
            runs = []
            for day in story.days:
                runs += _play_night(connection, story, day, say)
                if each_morning:
                    connection.execute("CHECKPOINT")
                    _show_morning(unfinished, day, each_morning)
        unfinished.replace(path)
    return Built(path, story, runs)


def _make_raw_data(connection: duckdb.DuckDBPyConnection, story: Story) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    for name in OUTSIDE_DATABASES:
        connection.execute(f"ATTACH ':memory:' AS {name}")
    for name in ("first_day", "today", "tracking_from"):
        connection.execute(f"SET VARIABLE {name} = DATE '{getattr(story, name)}'")
    _set_clock(connection, story.today)
    connection.execute(RAW_DATA.read_text())
    for schema in {pipeline.name.split(".")[0] for pipeline in read_pipelines()} - {"crm", "exports"}:  # not written to
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")


def _set_clock(connection: duckdb.DuckDBPyConnection, day: date) -> None:
    connection.execute(f"SET VARIABLE clock = DATE '{day}'")


def _show_morning(file: Path, day: date, each_morning: Morning) -> None:
    """A copy under the same name, since DuckDB lets nobody read the file that is being written."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        copy = shutil.copy(file, folder)
        each_morning(Path(copy), datetime.combine(day + timedelta(days=1), NIGHT_ENDS, UTC))


def _play_night(
    connection: duckdb.DuckDBPyConnection, story: Story, day: date, say: Callable[[str], None]
) -> Iterator[PipelineRun]:
    """Every pipeline once, for one day."""
    _set_clock(connection, day + timedelta(days=1))
    if day == story.renamed_on:
        connection.execute(RENAME_COLUMN)
    say(f"night after {day}")
    for pipeline in read_pipelines():
        yield from _run(connection, pipeline, story, day)


def _run(connection: duckdb.DuckDBPyConnection, pipeline: Pipeline, story: Story, day: date) -> Iterator[PipelineRun]:
    first_day = story.first_day if day == story.history_until else day
    sql = _jinja.from_string(pipeline.sql).render(ds=day.isoformat(), params={"first_day": first_day.isoformat()})
    run = _attempt(connection, pipeline, sql, day)
    if pipeline.name == APPENDED_TWICE and day == story.appended_twice_on:
        yield _killed_after_insert(run)
        run = _attempt(connection, pipeline, sql, day, attempt=2)
    yield run


def _attempt(
    connection: duckdb.DuckDBPyConnection, pipeline: Pipeline, sql: str, day: date, attempt: int = 1
) -> PipelineRun:
    start = datetime.combine(day + timedelta(days=1), datetime.min.time()) + pipeline.at
    start += timedelta(minutes=65 * (attempt - 1))  # Airflow's time-out of an hour, and five minutes before it retries
    clock = time.perf_counter()
    rows, error = None, ""
    try:
        rows = _execute_script(connection, sql)
    except duckdb.Error as failure:
        error = str(failure).strip()
    took = timedelta(seconds=round(time.perf_counter() - clock, 3))
    state = "failed" if error else "succeeded"
    return PipelineRun(pipeline.name, day, attempt, start, start + took, state, rows, error)


def _killed_after_insert(run: PipelineRun) -> PipelineRun:
    """How the orchestrator saw the first attempt: it hung after its insert had been committed."""
    return replace(
        run,
        ended_at=run.started_at + timedelta(hours=1),
        state="failed",
        error="AirflowTaskTimeout: Timeout, PID: 4121. No answer within 3600 s, killed; up for retry.",
    )


def _execute_script(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """Run every statement; rows inserted, merged or created in all. A failed script leaves no open transaction."""
    rows = 0
    try:
        for statement in connection.extract_statements(sql):
            result = connection.execute(statement)
            if statement.type != duckdb.StatementType.DELETE and [c[0] for c in result.description or []] == ["Count"]:
                rows += (result.fetchone() or (0,))[0]
    except duckdb.Error:
        if "BEGIN TRANSACTION" in sql:
            connection.execute("ROLLBACK")
        raise
    return rows


def write_runs(runs: list[PipelineRun], path: str | Path) -> None:
    """One JSON object a line and run, keys as in PipelineRun, dates and times in ISO 8601."""
    lines = [json.dumps(asdict(run), default=lambda value: value.isoformat()) for run in runs]
    Path(path).write_text("\n".join(lines) + "\n")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m demo.build FILE.duckdb", file=sys.stderr)
        return 2
    start = time.perf_counter()
    built = build(arguments[0], progress=print)
    runs_path = built.path.with_suffix(".runs.jsonl")
    write_runs(built.runs, runs_path)
    failed = sum(run.state == "failed" for run in built.runs)
    print(f"{built.path}, {len(built.runs)} runs ({failed} failed) in {runs_path}, {time.perf_counter() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
