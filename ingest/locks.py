"""Locks on this machine that go with their process, however it ends: two ingests of a scope would write each other's
rows, and a run whose lock is free is not alive."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from ingest.digests import digest


class AlreadyRunning(Exception):
    """Another process holds the lock."""


@contextmanager
def only_one(scope: str) -> Iterator[None]:
    """Hold the lock of `scope`. Raises AlreadyRunning."""
    with open(_file(scope), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(f"Another ingest of {scope} is running. Wait for it to end.") from error
        yield


@contextmanager
def held(name: str) -> Iterator[None]:
    """Hold the lock `name`, once nobody else does, and leave no file behind."""
    path = _file(name)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_held(name: str) -> bool:
    """Whether a living process of this machine holds the lock `name`."""
    try:
        file = open(_file(name))  # noqa: SIM115 closed below
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _file(name: str) -> Path:
    folder = settings.VAR_DIR / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / digest(str(settings.DATABASES["default"]["NAME"]), name)
