"""JSON of any size, entry by entry: only what is asked for is ever built, and nesting is bounded.

Most of a manifest is macros, which nobody here needs; passing over them takes a parser in C a second for 200 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import numpy as np

MAX_DEPTH = 200  # artifacts nest a dozen deep; the parser's memory grows by the square of the depth
_BUFFER = 1 << 20
_OPENING, _CLOSING = b"{[", b"}]"
_NO_BRACKETS = bytes(set(range(256)) - set(_OPENING + _CLOSING))


class BadArtifact(Exception):
    """A file that cannot be read: which, where, and what would be right."""


def entries(path: Path, section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a section by their key: `entries(path, "nodes")`. Raises BadArtifact."""
    with _opened(path) as file:
        try:
            for key, value in ijson.kvitems(file, section, use_float=True, buf_size=_BUFFER):
                if isinstance(value, dict):
                    yield key, value
        except _UNREADABLE as error:
            raise _bad(path, error) from error


def items(path: Path, section: str) -> Iterator[dict[str, Any]]:
    """The objects of a list: `items(path, "results")`. Raises BadArtifact."""
    with _opened(path) as file:
        try:
            for value in ijson.items(file, f"{section}.item", use_float=True, buf_size=_BUFFER):
                if isinstance(value, dict):
                    yield value
        except _UNREADABLE as error:
            raise _bad(path, error) from error


def part(path: Path, name: str) -> dict[str, Any]:
    """One object at the top, `part(path, "metadata")`, or nothing; reads no further than that. Raises BadArtifact."""
    with _opened(path) as file:
        try:
            found = next(ijson.items(file, name, use_float=True, buf_size=1 << 16), None)
        except _UNREADABLE as error:
            raise _bad(path, error) from error
    return found if isinstance(found, dict) else {}


_UNREADABLE = (ijson.JSONError, UnicodeDecodeError, ValueError)


def _opened(path: Path) -> _Bounded:
    try:
        return _Bounded(path.open("rb"), path)
    except OSError as error:
        raise BadArtifact(f"{path} cannot be read: {error.strerror}.") from error


def _bad(path: Path, error: Exception) -> BadArtifact:
    return BadArtifact(f"{path} is not whole JSON ({error}). Have dbt write it again, and copy it once it is done.")


class _Bounded:
    """A file to be parsed, refused as soon as it nests deeper than MAX_DEPTH."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._depth, self._in_string, self._rest = 0, False, b""

    def __enter__(self) -> _Bounded:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._follow(data)
        return data

    def _follow(self, data: bytes) -> None:
        """Count brackets outside of strings, buffer by buffer: what is escaped goes, then every quote changes side."""
        text = self._rest + data
        cut = len(text) - (len(text) - len(text.rstrip(b"\\"))) % 2  # an escape that the next buffer completes
        self._rest = text[cut:]
        pieces = text[:cut].replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(pieces[self._in_string :: 2])
        self._in_string ^= len(pieces) % 2 == 0
        brackets = np.frombuffer(outside.translate(None, _NO_BRACKETS), dtype=np.uint8)
        if not brackets.size:
            return
        depths = self._depth + np.cumsum(np.where(np.isin(brackets, np.frombuffer(_OPENING, np.uint8)), 1, -1))
        if depths.max() > MAX_DEPTH:
            raise BadArtifact(f"{self._path} nests deeper than {MAX_DEPTH} levels, which no file of dbt's does.")
        self._depth = int(depths[-1])
