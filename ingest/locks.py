"""One ingest of a scope at a time, on this machine: two at once would write each other's rows."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from ingest.digests import digest


class AlreadyRunning(Exception):
    """Another process holds the lock."""


@contextmanager
def only_one(scope: str) -> Iterator[None]:
    """Hold the lock of `scope`; it goes with the process, however that ends. Raises AlreadyRunning."""
    folder = settings.VAR_DIR / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    database = str(settings.DATABASES["default"]["NAME"])
    with open(folder / digest(database, scope), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(f"Another ingest of {scope} is running. Wait for it to end.") from error
        yield
