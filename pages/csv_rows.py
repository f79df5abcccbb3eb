"""Rows as a CSV file that opens in a spreadsheet without running anything."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse

_RUNS = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is a formula to spreadsheets


def csv_response(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """A download called `name`, sent row by row."""
    response = StreamingHttpResponse(_lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def plain_cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets a quote before it, and so stays text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_RUNS) else value


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


def _lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([plain_cell(value) for value in row])
