"""Files of events, one a line, as OpenLineage's file transport writes them: plain or gzip, of any length."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.exceptions import ValidationError

from ingest.openlineage.bodies import parsed
from ingest.openlineage.reading import BadEvent
from ingest.openlineage.store import take
from ingest.runs import Progress, quiet

_MOST_NOTES = 20
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
        try:
            for number, line in _lines(file):
                _take(taken, number, line)
                progress("Reading events", min(file.tell(), size), size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            _refuse(taken, f"The gzip ends in the middle or is none ({error}): what stood before is stored.")
    return taken


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
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


def _take(taken: Taken, number: int, line: bytes) -> None:
    if len(line) > settings.LINEAGE_MAX_BYTES:
        _refuse(taken, f"Line {number} has more than {settings.LINEAGE_MAX_BYTES:,} bytes.")
        return
    try:
        taken.new += take(parsed(line))
        taken.events += 1
    except (BadEvent, ValidationError) as error:
        _refuse(taken, f"Line {number}: {error}")


def _refuse(taken: Taken, note: str) -> None:
    taken.refused += 1
    if len(taken.notes) < _MOST_NOTES:
        taken.notes.append(note[:500])
