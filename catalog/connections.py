"""Live sources, opened to be read: `with open_source(source) as connection: connection.run(sql)`.

DuckDB by its own client, everything else by SQLAlchemy. Every statement is read-only, bounded in time (the database
itself cancels it) and in rows. What goes wrong is a ConnectionProblem whose words never hold the address: it is raised
outside the handler of the driver's error, so that no chain of exceptions carries that one along.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
import sqlalchemy
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from catalog.addresses import EXAMPLES, ConnectionProblem, address_of
from catalog.models import Source

CONNECT_SECONDS = 10
MOST_SECONDS = 3600.0  # that a statement may ask for
_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "sqlite": "sqlite+pysqlite",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave; `truncated` says that there were more rows than asked for."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool = False


class OpenSource(Protocol):
    """A source while it is open; `dialect` is sqlglot's name of the SQL it really speaks."""

    dialect: str

    def run(self, sql: str, timeout: float = 30.0, max_rows: int = 1000) -> Answer:
        """The first `max_rows` rows of one reading statement. Raises ConnectionProblem, also after `timeout`."""
        ...


@contextmanager
def open_source(source: Source) -> Iterator[OpenSource]:
    """The source, open for reading. Raises ConnectionProblem."""
    url = _url_of(source.connection)
    opened = _DuckDB(url) if url.drivername == "duckdb" else _Sql(url)
    try:
        yield opened
    finally:
        opened.close()


def _url_of(name: str) -> URL:
    """The address that `name` holds, taken apart; its `repr` hides the password."""
    address = address_of(name)
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # their words repeat the address
        url = None
    if url is None:
        raise ConnectionProblem(f"What {name} holds is no address of a database. Write one like {EXAMPLES}.")
    driver = _DRIVERS.get(url.drivername.partition("+")[0])
    if url.drivername != "duckdb" and driver is None:
        raise ConnectionProblem(
            f"{name} holds the address of a system that Pipekeeper cannot read from yet. It reads PostgreSQL, MySQL, "
            "MariaDB, SQLite and DuckDB."
        )
    return url.set(drivername=driver) if driver else url


def _file_of(url: URL) -> str:
    """The file of DuckDB or SQLite, which must be there: opening one that is not would make it."""
    if not url.database or not Path(url.database).is_file():
        raise ConnectionProblem("The database file that the address names is not there. Correct the address.")
    return url.database


def _bounded(timeout: float, max_rows: int) -> float:
    if not 0 < timeout <= MOST_SECONDS or max_rows < 1:
        raise ValueError(f"A statement may take up to {MOST_SECONDS:.0f} seconds, and asks for one row at least.")
    return timeout


def _too_long(timeout: float) -> ConnectionProblem:
    return ConnectionProblem(
        f"The database was stopped after {timeout:g} seconds without an answer. Allow more time, or ask for less."
    )


class _DuckDB:
    """A DuckDB file. Statements reach nothing but that file, and may not change the settings that say so."""

    dialect = "duckdb"

    def __init__(self, url: URL) -> None:
        path = _file_of(url)
        self.secrets = [path, str(Path(path).resolve())]
        try:
            self.database = duckdb.connect(
                path, read_only=True, config={"enable_external_access": "false", "lock_configuration": "true"}
            )
            return
        except duckdb.Error as error:
            problem = ConnectionProblem(_duckdb_words(error, self.secrets))
        raise problem

    def run(self, sql: str, timeout: float = 30.0, max_rows: int = 1000) -> Answer:
        try:
            with _interrupted_after(_bounded(timeout, max_rows), self.database.interrupt):
                return self._answer(sql, max_rows)
        except duckdb.InterruptException:
            problem = _too_long(timeout)
        except duckdb.Error as error:
            problem = ConnectionProblem(_duckdb_words(error, self.secrets))
        raise problem

    def _answer(self, sql: str, max_rows: int) -> Answer:
        relation = self.database.sql(sql)
        if relation is None:
            raise ConnectionProblem("This is no statement that reads: it gives no rows.")
        zoned = [place for place, type_ in enumerate(relation.types) if str(type_) == "TIMESTAMP WITH TIME ZONE"]
        columns = tuple(relation.columns)
        if zoned:  # the client hands these out with another package's zones only
            relation = relation.project(
                ", ".join(f"#{n + 1} AT TIME ZONE 'UTC'" if n in zoned else f"#{n + 1}" for n in range(len(columns)))
            )
        # one row more tells whether there are more; a result read to its end does not block the next statement
        rows = relation.limit(max_rows + 1).fetchall()
        rows = [_with_zone(row, zoned) for row in rows] if zoned else rows
        return Answer(columns, rows[:max_rows], len(rows) > max_rows)

    def close(self) -> None:
        self.database.close()


@contextmanager
def _interrupted_after(timeout: float, interrupt: Callable[[], None]) -> Iterator[None]:
    """Interrupts what runs here once its time is over, again and again: one that comes too early is lost."""
    done = threading.Event()

    def watch() -> None:
        wait = timeout
        while not done.wait(wait):
            interrupt()
            wait = 0.1

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _with_zone(row: tuple[Any, ...], places: list[int]) -> tuple[Any, ...]:
    return tuple(
        value.replace(tzinfo=dt.UTC) if place in places and isinstance(value, dt.datetime) else value
        for place, value in enumerate(row)
    )


def _duckdb_words(error: duckdb.Error, secrets: list[str]) -> str:
    text = str(error)
    if "lock" in text.lower() and isinstance(error, duckdb.IOException):
        return "Another program is writing to this DuckDB file. Wait until it has closed it, then try again."
    if isinstance(error, duckdb.ConnectionException):
        return "This process has the DuckDB file open for writing. Wait until it is done, then try again."
    return f"DuckDB answered: {_cleaned(text, secrets)}"


class _Sql:
    """A database that SQLAlchemy reaches."""

    def __init__(self, url: URL) -> None:
        self.secrets = _secrets_of(url)
        backend = url.get_backend_name()
        try:
            self.engine = _engine(url, backend)
            with self.engine.connect() as connection:  # fails now, when it does
                is_mariadb = getattr(connection.dialect, "is_mariadb", False)
        except (SQLAlchemyError, ImportError, ValueError, TypeError) as error:
            problem = _cannot_connect(error)
        else:
            self.backend = "mariadb" if is_mariadb else backend
            self.dialect = {"postgresql": "postgres", "mariadb": "mysql"}.get(self.backend, self.backend)
            return
        raise problem

    def run(self, sql: str, timeout: float = 30.0, max_rows: int = 1000) -> Answer:
        timeout = _bounded(timeout, max_rows)
        try:
            with self.engine.connect() as connection, _limited(connection, self.backend, timeout, max_rows):
                return _answer(connection, sql, max_rows)
        except (DBAPIError, SQLAlchemyError) as error:
            problem = self._problem(error, timeout)
        raise problem

    def _problem(self, error: SQLAlchemyError, timeout: float) -> ConnectionProblem:
        cause = getattr(error, "orig", None) or error
        if _was_cancelled(cause):
            return _too_long(timeout)
        if getattr(cause, "sqlstate", None) == "55P03":
            return ConnectionProblem(
                "A table is locked there by another session, and views on it cannot be read meanwhile. Try again when "
                "that session is done."
            )
        if getattr(error, "connection_invalidated", False):  # also while rows arrive, when it names no statement
            return ConnectionProblem(
                "The connection to the database was lost before it had answered. Nothing was changed there. Try again "
                "when it is back."
            )
        if getattr(error, "statement", None) is None:  # it failed before there was anything to ask
            return _cannot_connect(error)
        return ConnectionProblem(f"The database answered: {_cleaned(_message(cause), self.secrets)}")

    def close(self) -> None:
        self.engine.dispose()


def _engine(url: URL, backend: str) -> Engine:
    """An engine whose one connection only reads and notices when the other end is gone."""
    options: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "hide_parameters": True}
    if backend == "postgresql":
        alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
        options["connect_args"] = {"connect_timeout": CONNECT_SECONDS, "application_name": "pipekeeper", **alive}
    elif backend == "sqlite":
        path = Path(_file_of(url)).resolve()
        url = url.set(database=f"{path.as_uri()}", query={"mode": "ro", "uri": "true"})
        options["connect_args"] = {"check_same_thread": False, "timeout": CONNECT_SECONDS}
        options |= {"poolclass": sqlalchemy.pool.QueuePool}
    else:
        options["connect_args"] = {"connect_timeout": CONNECT_SECONDS, "read_timeout": MOST_SECONDS + 30}
    return sqlalchemy.create_engine(url, **options)


@contextmanager
def _limited(connection: Connection, backend: str, timeout: float, max_rows: int) -> Iterator[None]:
    """A transaction that only reads, in which the database itself cancels what takes longer than `timeout`."""
    if backend == "sqlite":  # no server: what runs the statement is this process
        with _interrupted_after(timeout, connection.connection.dbapi_connection.interrupt):
            yield
        return
    if backend == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, int(timeout * 1000))}")
    else:
        is_mariadb = backend == "mariadb"
        limit = f"max_statement_time = {timeout}" if is_mariadb else f"max_execution_time = {int(timeout * 1000)}"
        # the driver reads to its end what is left of an answer, so let there be nothing
        connection.exec_driver_sql(f"SET SESSION {limit}, sql_select_limit = {max_rows + 1}, time_zone = '+00:00'")
        connection.exec_driver_sql("START TRANSACTION READ ONLY")
    yield


def _answer(connection: Connection, sql: str, max_rows: int) -> Answer:
    """Rows as the database sends them, never more than are asked for in memory."""
    result = connection.execution_options(stream_results=True, no_parameters=True).exec_driver_sql(sql)
    if not result.returns_rows:
        raise ConnectionProblem("This is no statement that reads: it gives no rows.")
    columns = tuple(result.keys())
    rows = [tuple(row) for row in result.fetchmany(max_rows + 1)]
    return Answer(columns, rows[:max_rows], len(rows) > max_rows)


_REFUSALS = (  # what the words of a driver mean, by what they have in common
    (r"password|authentication|role .* does not exist|access denied|\b1045\b", "It refused the user or the password."),
    (r"database .* does not exist|unknown database|\b1049\b", "It has no database of that name."),
    (r"permission denied|\b1044\b", "It lets this user in nowhere near that database."),
    (r"too many|remaining connection slots|\b1040\b", "It has no connection free."),
    (r"time(d)? ?out", f"Nothing answered within {CONNECT_SECONDS} seconds."),
    (
        r"translate host|resolve|name or service|getaddrinfo|refused|\b2003\b|unreachable|no such file",
        "Nobody answers.",
    ),
    (r"ssl|certificate|tls", "It wants another kind of encryption."),
)


def _cannot_connect(error: Exception) -> ConnectionProblem:
    """Why there is no connection, in words of our own: a driver's repeat the host and the user."""
    if isinstance(error, ConnectionProblem):
        return error
    if isinstance(error, ImportError):
        return ConnectionProblem("The driver that this address asks for is not installed.")
    text = str(getattr(error, "orig", None) or error)
    words = next((words for pattern, words in _REFUSALS if re.search(pattern, text, re.I)), "Its own log may tell why.")
    return ConnectionProblem(f"The database cannot be reached. {words} Check the address, and that it is running.")


def _was_cancelled(cause: BaseException) -> bool:
    """Whether the database, or SQLite here, ended the statement because its time was over."""
    number = cause.args[0] if cause.args else None
    return getattr(cause, "sqlstate", None) == "57014" or number in (3024, 1969, 1317, "interrupted")


def _message(cause: BaseException) -> str:
    """A driver's own message: PyMySQL gives (number, text), others a text."""
    return str(cause.args[1]) if len(cause.args) == 2 else str(cause)


def _secrets_of(url: URL) -> list[str]:
    """What of an address must not be repeated."""
    values = [url.password, url.host, url.username, *(str(value) for value in url.query.values())]
    return [str(value) for value in values if value]


def _cleaned(text: str, secrets: list[str]) -> str:
    """The first line of a message, without anything of the address."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "…")
    line = next((line.strip() for line in text.splitlines() if line.strip()), "an error without words")
    return line[:500]
