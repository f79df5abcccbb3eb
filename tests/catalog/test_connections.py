"""Live sources, opened for reading on real databases; and what must never be heard of their addresses."""

from __future__ import annotations

import logging
import sqlite3
import time
import traceback
from collections.abc import Iterator
from contextlib import closing

import duckdb
import pytest

from catalog.addresses import ConnectionProblem
from catalog.connections import open_source
from catalog.models import Source
from tests.live import PASSWORD, DuckDB, MariaDB, PostgreSQL

SLOW = {
    "duckdb": "SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range + b.range = 7",
    "postgres": "SELECT pg_sleep(60)",
    # MySQL's own SLEEP() ends in time without a word; MariaDB and MySQL alike stop this
    "mysql": "SELECT count(*) FROM information_schema.columns a, information_schema.columns b, "
    "information_schema.columns c WHERE a.column_name > concat(b.column_name, c.column_name)",
}
ROWS = {
    "duckdb": "SELECT range AS n FROM range(3000000) ORDER BY n",
    "postgres": "SELECT generate_series(0, 2999999) AS n",
    "mysql": "WITH RECURSIVE h (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM h WHERE n < 99) "
    "SELECT a.n + 100 * b.n + 10000 * c.n AS n FROM h c STRAIGHT_JOIN h b STRAIGHT_JOIN h a",
}


@pytest.fixture(params=[DuckDB, PostgreSQL, MariaDB], ids=lambda engine: engine.__name__)
def engine(request, tmp_path, monkeypatch) -> Iterator[DuckDB | PostgreSQL | MariaDB]:
    engine = request.param(tmp_path, "pk_connections")
    engine.run("CREATE TABLE t (id integer, note varchar(20))", "INSERT INTO t VALUES (1, '100%'), (2, NULL)")
    monkeypatch.setenv("SHOP_URL", engine.address)
    yield engine
    engine.drop()


@pytest.fixture
def source(engine) -> Source:
    return Source(slug="shop", name="Shop", connection="SHOP_URL")


def everything_said(error: BaseException) -> str:
    """All that a log, an error page or a tracker could make of an exception: its chain too, whatever `from` says."""
    said, seen = [], set()
    chain = [error]
    while chain:
        one = chain.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        said += [repr(one), *traceback.format_exception(one)]
        chain += [one.__cause__, one.__context__]
    return "\n".join(said)


def test_rows_come_with_their_columns(engine, source) -> None:
    with open_source(source) as connection:
        answer = connection.run("SELECT id, note FROM t WHERE note IS NULL OR note LIKE '%' ORDER BY id")
        assert connection.dialect == engine.dialect
    assert answer.columns == ("id", "note")
    assert answer.rows == [(1, "100%"), (2, None)]
    assert not answer.truncated


def test_more_rows_than_asked_for_are_left_where_they_are(engine, source) -> None:
    with open_source(source) as connection:
        started = time.monotonic()
        answer = connection.run(ROWS[engine.dialect], max_rows=2)
        assert (len(answer.rows), answer.truncated) == (2, True)
        assert time.monotonic() - started < 5
        assert connection.run("SELECT id FROM t", max_rows=2).truncated is False


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (3, 'x')",
        "CREATE TABLE u (id integer)",
        "DROP TABLE t",
        "SELECT 1; DROP TABLE t",
        "SELECT 1; COMMIT; DROP TABLE t",
    ],
)
def test_nothing_can_be_written(engine, source, sql) -> None:
    with open_source(source) as connection:
        with pytest.raises(ConnectionProblem):
            connection.run(sql)
        assert connection.run("SELECT count(*) FROM t").rows == [(2,)]


def test_the_database_itself_stops_what_takes_too_long(engine, source) -> None:
    with open_source(source) as connection:
        started = time.monotonic()
        with pytest.raises(ConnectionProblem, match="after 0.5 seconds"):
            connection.run(SLOW[engine.dialect], timeout=0.5)
        assert time.monotonic() - started < 10
        assert connection.run("SELECT 1").rows == [(1,)]  # and the connection lives on
    if engine.dialect == "postgres":
        asked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%'"
        assert engine.run(f"{asked} AND pid <> pg_backend_pid()") == [(0,)]
    elif engine.dialect == "mysql":
        assert engine.run(
            "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT count(*) FROM%columns c%'"
            " AND id <> connection_id()"
        ) == [(0,)]


def test_what_the_database_says_of_a_statement_is_passed_on(engine, source) -> None:
    with open_source(source) as connection, pytest.raises(ConnectionProblem, match="nowhere"):
        connection.run("SELECT * FROM nowhere")


def test_duckdb_reaches_nothing_but_its_file(tmp_path, monkeypatch) -> None:
    engine = DuckDB(tmp_path, "alone")
    monkeypatch.setenv("SHOP_URL", engine.address)
    with open_source(Source(connection="SHOP_URL")) as connection:
        for sql in (
            "SELECT * FROM read_csv('/etc/passwd')",
            "SET enable_external_access = true",
            "ATTACH '/tmp/other.duckdb'",
        ):
            with pytest.raises(ConnectionProblem):
                connection.run(sql)


def test_moments_with_a_zone_are_moments(engine, source) -> None:
    if engine.dialect == "mysql":
        pytest.skip("MariaDB has no type with a zone")
    with open_source(source) as connection:
        (row,) = connection.run("SELECT 1 AS a, TIMESTAMPTZ '2026-03-02 12:00:00+02' AS at").rows
    assert row[1].isoformat().replace("+00:00", "") == "2026-03-02T10:00:00"
    assert row[1].utcoffset() is not None


def test_a_duckdb_file_that_another_program_writes_is_waited_for(tmp_path, monkeypatch) -> None:
    engine = DuckDB(tmp_path, "busy")
    monkeypatch.setenv("SHOP_URL", engine.address)
    with (
        closing(duckdb.connect(str(engine.path))),
        pytest.raises(ConnectionProblem, match="open for writing"),
        open_source(Source(connection="SHOP_URL")),
    ):
        pass


def test_sqlite_is_read_only_and_bounded(tmp_path, monkeypatch) -> None:
    path = tmp_path / "shop.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE t (id integer); INSERT INTO t VALUES (1);")
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{path}")
    with open_source(Source(connection="SHOP_URL")) as connection:
        assert connection.run("SELECT id FROM t").rows == [(1,)]
        with pytest.raises(ConnectionProblem, match="readonly"):
            connection.run("INSERT INTO t VALUES (2)")
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        with pytest.raises(ConnectionProblem, match="after 0.2 seconds"):
            connection.run(endless, timeout=0.2)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://nobody_here:{password}@127.0.0.1:5432/postgres", "refused the user|Nobody answers"),
        ("postgresql://nobody:{password}@127.0.0.1:9/shop", "Nobody answers"),
        ("postgresql://nobody:{password}@no-such-host.invalid/shop", "Nobody answers"),
        ("mysql://nobody:{password}@127.0.0.1:3306/shop", "refused the user|Nobody answers"),
        ("mysql://nobody:{password}@127.0.0.1:9/shop", "Nobody answers"),
        ("mysql://nobody:{password}@no-such-host.invalid/shop", "Nobody answers"),
        ("oracle://nobody:{password}@host/shop", "cannot read from yet"),
        ("nobody:{password}@host/shop", "no address of a database"),
        ("postgresql://nobody:{password}@host:port/shop", "no address of a database"),
        ("duckdb:////secret-place/{password}.duckdb", "not there"),
        ("sqlite:////secret-place/{password}.db", "not there"),
        ("postgresql://127.0.0.1:9/shop?password={password}", "Nobody answers"),
        ("postgresql://127.0.0.1/shop?pasword={password}", "cannot be reached"),
    ],
)
def test_no_word_of_the_address(address, words, monkeypatch, caplog, capfd) -> None:
    """Neither in the message, nor in a log, nor in anything that hangs on the exception."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SHOP_URL", address.format(password=PASSWORD))
    with pytest.raises(ConnectionProblem, match=words) as caught, open_source(Source(connection="SHOP_URL")):
        pass
    said = everything_said(caught.value) + caplog.text + "".join(capfd.readouterr())
    for secret in (PASSWORD, "nobody", "no-such-host", "secret-place"):
        assert secret not in said


def test_no_word_of_the_address_while_it_is_open(engine, source, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with open_source(source) as connection:
        said = [repr(connection)]
        for sql in ("SELECT * FROM nowhere", "SELEC 1", SLOW[engine.dialect]):
            with pytest.raises(ConnectionProblem) as caught:
                connection.run(sql, timeout=0.5)
            said.append(everything_said(caught.value))
    assert PASSWORD not in "\n".join(said) + caplog.text
    if engine.dialect == "duckdb":
        assert str(engine.path) not in "\n".join(said)


def test_a_session_ended_from_outside_is_told_and_made_again(engine, source) -> None:
    if engine.dialect == "duckdb":
        pytest.skip("DuckDB has no sessions")
    with open_source(source) as connection:
        connection.run("SELECT 1")
        if engine.dialect == "postgres":
            engine.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{engine.user}'")
        else:
            sessions = f"SELECT id FROM information_schema.processlist WHERE user = '{engine.user}'"
            engine.run(*(f"KILL {session}" for (session,) in engine.run(sessions)))
        with pytest.raises(ConnectionProblem, match="was lost") as caught:
            connection.run("SELECT 2")
        assert PASSWORD not in everything_said(caught.value)
        assert connection.run("SELECT 3").rows == [(3,)]


def test_a_secret_file_holds_an_address(tmp_path) -> None:
    engine = DuckDB(tmp_path, "shop")
    secret = tmp_path / "warehouse"
    secret.write_text(engine.address + "\n")
    with open_source(Source(connection=str(secret))) as connection:
        assert connection.run("SELECT 1").rows == [(1,)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "names no connection"),
        ("NOT_SET_ANYWHERE", "NOT_SET_ANYWHERE is not set"),
        ("/run/secrets/nothing-here", "cannot be read: No such file"),
        ("EMPTY_URL", "EMPTY_URL is empty"),
    ],
)
def test_a_name_that_leads_nowhere_says_so(name, words, monkeypatch) -> None:
    monkeypatch.setenv("EMPTY_URL", " ")
    with pytest.raises(ConnectionProblem, match=words), open_source(Source(connection=name)):
        pass
