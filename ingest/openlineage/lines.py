"""Files of events, one a line, as OpenLineage's file transport writes them: plain or gzip, of any length."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.exceptions import ValidationError

from ingest.openlineage.bodies import parsed
from ingest.openlineage.reading import BadEvent
from ingest.openlineage.store import MOST_AT_ONCE, take_all
from ingest.runs import Progress, quiet

_MOST_NOTES = 20
_AT_ONCE = 1_000_000  # bytes of lines, unless one alone is longer
_GZIP = b"\x1f\x8b"


@dataclass
class Taken:
    """What came of a file: `events` that were read, how many of them were `new`, and lines that were `refused`."""

    events: int = 0
    new: int = 0
    refused: int = 0
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"events": self.events, "new": self.new, "refused": self.refused, "notes": self.notes}


def take_file(path: Path, progress: Progress = quiet) -> Taken:
    """Store every event of a file, each by itself; a line that is none is counted and passed over. Raises OSError.

    Events that are known already change nothing, so that a file may be read again, or on after a stop.
    """
    taken, size = Taken(), max(1, path.stat().st_size)
    with path.open("rb") as file:
        for part in _parts(_lines(file, taken)):
            _take(taken, part)
            progress("Reading events", min(file.tell(), size), size)
    return taken


def _parts(lines: Iterable[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Lines that are stored at once: not too many, and not too long together."""
    part: list[tuple[int, bytes]] = []
    size = 0
    for line in lines:
        part.append(line)
        size += len(line[1])
        if len(part) == MOST_AT_ONCE or size > _AT_ONCE:
            yield part
            part, size = [], 0
    if part:
        yield part


def _lines(file: BinaryIO, taken: Taken) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, as far as it can be unpacked."""
    try:
        yield from _unpacked(file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        _refuse(taken, f"The gzip ends in the middle or is none ({error}): what stood before is stored.")


def _unpacked(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines that hold something, with their numbers; of one longer than an event may be only that much and one byte."""
    is_packed = file.read(len(_GZIP)) == _GZIP
    file.seek(0)
    text = gzip.GzipFile(fileobj=file) if is_packed else file
    most = settings.LINEAGE_MAX_BYTES
    number = 0
    while line := text.readline(most + 1):
        number += 1
        piece = line
        while len(piece) > most and not piece.endswith(b"\n"):
            piece = text.readline(most + 1)  # the rest of a line that is too long
        if line.strip():
            yield number, line


def _take(taken: Taken, lines: Sequence[tuple[int, bytes]]) -> None:
    read = {number: _read(line) for number, line in lines}
    refused = {number: error for number, error in read.items() if isinstance(error, BadEvent)}
    events = {number: one for number, one in read.items() if number not in refused}
    for number, answer in zip(events, take_all(list(events.values())), strict=True):
        if isinstance(answer, bool):
            taken.events += 1
            taken.new += answer
        elif isinstance(answer, BadEvent | ValidationError):
            refused[number] = answer
        else:
            raise answer
    for number, error in sorted(refused.items()):
        _refuse(taken, f"Line {number}: {error}")


def _read(line: bytes) -> Any:
    """The JSON of a line, or what is wrong with it."""
    if len(line) > settings.LINEAGE_MAX_BYTES:
        return BadEvent("", f"This has more than {settings.LINEAGE_MAX_BYTES:,} bytes.")
    try:
        return parsed(line)
    except BadEvent as error:
        return error


def _refuse(taken: Taken, note: str) -> None:
    taken.refused += 1
    if len(taken.notes) < _MOST_NOTES:
        taken.notes.append(note[:500])
