"""A request's body, or a line of a file, into JSON: within bounds of size and depth, plain or gzip."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from typing import Any, Protocol

from ingest.openlineage.reading import BadEvent

DEEPEST = 64  # levels of lists and objects inside each other
_PIECE = 1 << 16


class TooLong(ValueError):
    """A body longer than is taken in."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The body holds more than {most:,} bytes, unpacked. Send fewer events at once.")


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_body(stream: Stream, encoding: str, most: int) -> bytes:
    """The unpacked body, of at most `most` bytes; a packed one is never unpacked further. Raises BadEvent, TooLong."""
    pieces = iter(lambda: stream.read(_PIECE), b"")
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise BadEvent("Content-Encoding", f"{encoding!r} is not known here: send the body plain, or as gzip.")
    return _gathered(pieces if encoding in ("", "identity") else _unpacked(pieces, most), most)


def _gathered(pieces: Iterable[bytes], most: int) -> bytes:
    parts, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise TooLong(most)
        parts.append(piece)
    return b"".join(parts)


def _unpacked(pieces: Iterable[bytes], most: int) -> Iterable[bytes]:
    """gzip, a bounded piece at a time: a few bytes can stand for gigabytes."""
    unpack = zlib.decompressobj(wbits=31)
    packed = 0
    try:
        for piece in pieces:
            packed += len(piece)
            if packed > most:
                raise TooLong(most)
            while piece and not unpack.eof:
                yield unpack.decompress(piece, _PIECE)
                piece = unpack.unconsumed_tail
    except zlib.error as error:
        raise BadEvent("body", "This is no gzip, though Content-Encoding says so. Pack it again.") from error
    if not unpack.eof:
        raise BadEvent("body", "The gzip ends in the middle: it was cut on its way. Send it again.")


def parsed(body: bytes | str) -> Any:
    """The JSON of a body. Raises BadEvent for what is none, or is nested too deeply to be kept."""
    try:
        data = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise _too_deep() from error
    except UnicodeDecodeError as error:
        raise BadEvent("body", f"Byte {error.start} is no UTF-8. Send the JSON as UTF-8.") from error
    except json.JSONDecodeError as error:
        place = f"body, line {error.lineno}, column {error.colno}"
        raise BadEvent(place, f"This is no JSON: {error.msg}.") from error
    except ValueError as error:  # a number with thousands of digits, or NaN
        raise BadEvent("body", f"This is no JSON that can be kept: {error}.") from error
    _check_depth(data)
    return data


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON; leave it out or write null")


def _check_depth(data: Any) -> None:
    level = [data]
    for _ in range(DEEPEST):
        inside = (item.values() if type(item) is dict else item for item in level if type(item) in (dict, list))
        level = [value for values in inside for value in values if type(value) in (dict, list)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> BadEvent:
    return BadEvent("body", f"Lists and objects are nested deeper than {DEEPEST} levels. Send it flatter.")


def canonical(data: Any) -> str:
    """One text for equal JSON, whatever the order of its keys. Raises BadEvent for text that no database keeps."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    if "\\u0000" in text and "\0" in _all_text(data):
        raise BadEvent("body", "A text holds the character NUL (\\u0000), which no database keeps. Leave it out.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        lone = text[error.start]
        raise BadEvent("body", f"A text holds half of a character ({lone!a}), which is no UTF-8.") from error
    return text


def _all_text(data: Any) -> str:
    """Every text inside of a value, keys included, in one."""
    if isinstance(data, dict):
        return "".join(key + _all_text(value) for key, value in data.items())
    if isinstance(data, list):
        return "".join(map(_all_text, data))
    return data if isinstance(data, str) else ""
