"""JSON of any size, entry by entry: only what is asked for is ever built, and nesting is bounded.

Most of a manifest is macros, which nobody here needs; passing over them takes a parser in C a second for 200 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import numpy as np

MAX_DEPTH = 200  # artifacts nest a dozen deep; the parser's memory grows by the square of the depth
_BUFFER = 1 << 20
_OPENING = np.frombuffer(b"{[", np.uint8)
_NO_BRACKETS = bytes(set(range(256)) - set(b"{[}]"))


class BadArtifact(Exception):
    """A file that cannot be read: which, where, and what would be right."""


def check_nesting(path: Path) -> None:
    """Raise BadArtifact unless the file nests as its kind does; once, before `entries` or `items` build anything."""
    with _opened(path) as file:
        checked = _Checked(file, path)
        while checked.read(_BUFFER):
            pass


def entries(path: Path, section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a section by their key: `entries(path, "nodes")`. Raises BadArtifact."""
    for key, value in _parsed(path, partial(ijson.kvitems, prefix=section, buf_size=_BUFFER)):
        if isinstance(value, dict):
            yield key, value


def items(path: Path, section: str) -> Iterator[dict[str, Any]]:
    """The objects of a list: `items(path, "results")`. Raises BadArtifact."""
    for value in _parsed(path, partial(ijson.items, prefix=f"{section}.item", buf_size=_BUFFER)):
        if isinstance(value, dict):
            yield value


def part(path: Path, name: str) -> dict[str, Any]:
    """One object at the top, `part(path, "metadata")`, or nothing; reads no further than that. Raises BadArtifact."""

    def parse(file: BinaryIO, **options: Any) -> Iterator[Any]:
        return ijson.items(_Checked(file, path), name, buf_size=1 << 16, **options)

    found = next(_parsed(path, parse), None)
    return found if isinstance(found, dict) else {}


def _parsed(path: Path, parse: Callable[..., Iterator[Any]]) -> Iterator[Any]:
    with _opened(path) as file:
        try:
            yield from parse(file, use_float=True)
        except (ijson.JSONError, UnicodeDecodeError, ValueError) as error:
            message = f"{path} is not whole JSON ({error}). Have dbt write it again, and copy it once it is done."
            raise BadArtifact(message) from error


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadArtifact(f"{path} cannot be read: {error.strerror}.") from error


class _Checked:
    """A file of JSON that is refused as soon as it nests too deep."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._depth, self._in_string, self._rest = 0, False, b""

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        if self._deepest(data) > MAX_DEPTH:
            raise BadArtifact(f"{self._path} nests deeper than {MAX_DEPTH} levels, which no file of dbt's does.")
        return data

    def _deepest(self, data: bytes) -> int:
        """The deepest level in `data`: what is escaped is dropped, then every quote changes side."""
        text = self._rest + data
        cut = len(text) - (len(text) - len(text.rstrip(b"\\"))) % 2  # an escape that the next buffer completes
        self._rest = text[cut:]
        pieces = text[:cut].replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(pieces[self._in_string :: 2])
        self._in_string ^= len(pieces) % 2 == 0
        brackets = np.frombuffer(outside.translate(None, _NO_BRACKETS), dtype=np.uint8)
        if not brackets.size:
            return self._depth
        depths = self._depth + np.cumsum(np.where(np.isin(brackets, _OPENING), 1, -1))
        self._depth = int(depths[-1])
        return int(depths.max())
