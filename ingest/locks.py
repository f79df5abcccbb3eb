"""Locks that go with their process, however it ends: two ingests of a scope would write each other's rows, and a run
whose lock is free is not alive.

On SQLite they are files of this machine, on PostgreSQL advisory locks of the database, which all machines share.
"""

from __future__ import annotations

import fcntl
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections

from ingest.digests import digest


class AlreadyRunning(Exception):
    """Another process holds the lock."""


@contextmanager
def only_one(scope: str) -> Iterator[None]:
    """Hold the lock of `scope`. Raises AlreadyRunning."""
    with _asked(scope, wait=False) as is_ours:
        if not is_ours:
            raise AlreadyRunning(f"Another ingest of {scope} is running. Wait for it to end.")
        yield


@contextmanager
def held(name: str) -> Iterator[None]:
    """Hold the lock `name`, once nobody else does, and leave no file behind."""
    with _asked(name, wait=True):
        try:
            yield
        finally:
            if not are_shared():
                _file(name).unlink(missing_ok=True)


def held_among(names: Collection[str]) -> set[str]:
    """Those of the locks that a living process holds. At most one query."""
    if not names or not are_shared():
        return {name for name in names if _file_is_held(name)}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted "
            "AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        held = {number for (number,) in cursor.fetchall()}
    return {name for name in names if _number(name) in held}


def are_shared() -> bool:
    """Whether the processes of other machines see these locks too."""
    return connection.vendor == "postgresql"


def _asked(name: str, *, wait: bool) -> AbstractContextManager[bool]:
    """The lock, while it is asked for: whether it is ours."""
    return _asked_of_the_database(name, wait=wait) if are_shared() else _asked_of_a_file(name, wait=wait)


def _file_is_held(name: str) -> bool:
    if not _file(name).exists():
        return False
    with _asked_of_a_file(name, wait=False) as is_free:
        return not is_free


@contextmanager
def _asked_of_a_file(name: str, *, wait: bool) -> Iterator[bool]:
    with open(_file(name), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _asked_of_the_database(name: str, *, wait: bool) -> Iterator[bool]:
    """In a session of its own, which the server ends, and the lock with it, when this process is gone."""
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        with own.cursor() as cursor:
            # a machine that lost its power says no goodbye: notice within a minute
            for setting, value in (("idle", 20), ("interval", 10), ("count", 4)):
                cursor.execute(f"SET tcp_keepalives_{setting} = {value}")
            call = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
            cursor.execute(f"SELECT {call}(%s)", [_number(name)])
            is_ours = wait or bool(cursor.fetchone()[0])
            try:
                yield is_ours
            finally:
                if is_ours:  # at once: the server ends the session some moments after it is closed
                    cursor.execute("SELECT pg_advisory_unlock(%s)", [_number(name)])
    finally:
        own.close()


def _number(name: str) -> int:
    """A lock's number in PostgreSQL: 64 bits, with a sign."""
    return int.from_bytes(bytes.fromhex(digest("lock", name))[:8], "big", signed=True)


def _file(name: str) -> Path:
    folder = settings.VAR_DIR / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / digest(str(settings.DATABASES["default"]["NAME"]), name)
