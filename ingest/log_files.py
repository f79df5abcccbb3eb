"""Query-log files as one DuckDB view of text columns, whatever they are: CSV, JSON lines, Parquet, plain or gzip.

What is wrong with a file is told by name and row, and the rest of it is read: see `Notes`.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO

import duckdb

from ingest.fingerprints import literal
from ingest.log_formats import LogFormat, View

_MOST_NOTES = 20
_LINES_LOOKED_AT = 500  # of JSON, for the names of columns
_MARK = b"\xef\xbb\xbf"  # the byte order mark that Windows puts before UTF-8


class BadLog(Exception):
    """The files cannot be read as this format: what was wanted, what was found, and what to do."""


@dataclass
class Notes:
    """What was wrong and was passed over, in words; a few of each kind, so that a bad file does not fill the screen."""

    lines: list[str] = field(default_factory=list)
    left_out: bool = False  # whether any of them says that something was not read

    def add(self, line: str, *, left_out: bool = False) -> None:
        self.left_out |= left_out
        if len(self.lines) < _MOST_NOTES and line not in self.lines:
            self.lines.append(line)


@dataclass(frozen=True)
class LogFile:
    """A file, how DuckDB reads it, and the names its columns have there."""

    path: Path
    reader: str  # read_csv, read_json or read_parquet
    columns: dict[str, str]  # as a format writes them (lower case) -> as the file does
    read_from: Path  # the file itself, or what could be saved of it

    def has(self, view: View) -> bool:
        return all(column.lower() in self.columns for column in view.needs)


def open_log(
    connection: duckdb.DuckDBPyConnection, paths: Iterable[Path], form: LogFormat, folder: Path, notes: Notes
) -> View:
    """Create the view `log` over all files, and say which kind of export it is. Raises BadLog.

    `folder` takes what is saved of broken files.
    """
    files = [_inspect(connection, path, folder, notes) for path in paths]
    by_view: dict[str, list[LogFile]] = {}
    for file in files:
        by_view.setdefault(_view_of(file, form).name, []).append(file)
    main = [view for view in form.views if view.name in by_view and view.completes not in by_view]
    if len(main) > 1:
        kinds = " and ".join(view.name for view in main)
        raise BadLog(
            f"The files are of several kinds ({kinds}), which are read one after the other: one command for each."
        )
    if not main[0].entry:
        raise BadLog(f"{main[0].name} only completes {main[0].completes}. Name the file of that in the same command.")
    rows, entry = _rows(by_view[main[0].name], main[0]), main[0].entry
    for view in form.views:
        if view.completes == main[0].name and view.name in by_view:
            rows = _completed(rows, main[0], view, _rows(by_view[view.name], view))
            entry = _completed_entry(entry, view.entry)
    connection.execute(f"CREATE OR REPLACE VIEW log AS {rows}")
    return replace(main[0], entry=entry)


def _view_of(file: LogFile, form: LogFormat) -> View:
    """The most demanding view whose columns the file has."""
    fitting = [view for view in form.views if file.has(view)]
    if fitting:
        return max(fitting, key=lambda view: len(view.needs))
    wanted = "; or ".join(f"{view.name}: {', '.join(view.needs)}" for view in form.views)
    nearest = max(form.views, key=lambda view: sum(column.lower() in file.columns for column in view.needs))
    missing = [column for column in nearest.needs if column.lower() not in file.columns]
    raise BadLog(
        f"{file.path} has other columns than the format {form.name}. Wanted: {wanted}. "
        f"Found: {', '.join(file.columns.values()) or 'none'}. Missing: {', '.join(missing)}."
    )


def _completed(rows: str, main: View, view: View, others: str) -> str:
    """Rows of the main view with what the other one knows of the same query."""
    if view.name == "SYS_QUERY_TEXT":
        text = "string_agg(text, '' ORDER BY try_cast(sequence AS INTEGER))"
        whole = f"SELECT query_id, {text} AS whole FROM ({others}) GROUP BY query_id"
        return (
            f"SELECT history.* REPLACE (texts.whole AS whole_text) FROM ({rows}) history "
            f"LEFT JOIN ({whole}) texts ON trim(history.query_id) = trim(texts.query_id)"
        )
    both = [column for column in view.columns if column in main.columns and column != view.joined_on]
    merged = ", ".join(f"coalesce(history.{column}, other.{column}) AS {column}" for column in both)
    more = ", ".join(f"other.{column}" for column in view.columns if column not in main.columns)
    kept = f"history.* EXCLUDE ({', '.join([*both, view.joined_on])})"
    joined = f"({rows}) history FULL JOIN ({others}) other USING ({view.joined_on})"
    return f"SELECT {view.joined_on}, {kept}, {merged}, {more} FROM {joined}"


def _completed_entry(entry: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    """Either may lack the row of a query, so its time comes from whichever has it."""
    if not other:
        return entry
    return {**other, **entry, "at": f"coalesce({entry['at']}, {other['at']})", "refs": other["refs"]}


def _rows(files: list[LogFile], view: View) -> str:
    """SELECT with exactly the view's columns, as text."""
    return " UNION ALL ".join(f"SELECT {_selected(file, view)} FROM {scan(file, view)}" for file in files)


def _selected(file: LogFile, view: View) -> str:
    named = []
    for column in view.columns:
        there = file.columns.get(column.lower())
        if there is None and file.reader != "read_json":
            named.append(f'NULL::VARCHAR AS "{column}"')
        elif file.reader == "read_parquet":
            named.append(f'{_as_text(there or column)} AS "{column}"')
        else:
            named.append(f'"{there or column}" AS "{column}"')
    return ", ".join(named)


def _as_text(column: str) -> str:
    """Parquet has types: nested ones become JSON, times keep their zone or lack of one."""
    nested = f"typeof(\"{column}\") LIKE '%[]' OR typeof(\"{column}\") LIKE 'STRUCT%'"
    return f'CASE WHEN {nested} THEN to_json("{column}")::VARCHAR ELSE "{column}"::VARCHAR END'


def scan(file: LogFile, view: View) -> str:
    """The table function that reads the file, rows it cannot read left out."""
    path = literal(str(file.read_from))
    if file.reader == "read_parquet":
        return f"read_parquet({path})"
    if file.reader == "read_csv":
        return f"read_csv({path}, {_CSV}{_delimiter(file.path)}{_packing(file.read_from)}, store_rejects=true)"
    columns = ", ".join(f"{literal(file.columns.get(column.lower(), column))}: 'VARCHAR'" for column in view.columns)
    return (
        f"read_json({path}, format={literal(_json_format(file.read_from))}, ignore_errors=true, columns={{{columns}}})"
    )


_CSV = "all_varchar=true, header=true, quote='\"', escape='\"', max_line_size=16000000, delim="


def _inspect(connection: duckdb.DuckDBPyConnection, path: Path, folder: Path, notes: Notes) -> LogFile:
    if not path.is_file():
        raise BadLog(f"There is no file {path}.")
    read_from = _whole(path, folder, notes)
    reader = _reader_of(path, read_from)
    if reader == "read_json" and _json_format(read_from) == "newline_delimited":
        names = _keys_of_lines(read_from)
    else:
        names = _columns_of(connection, path, reader, read_from)
    return LogFile(path, reader, {name.lower(): name for name in names}, read_from)


def _columns_of(connection: duckdb.DuckDBPyConnection, path: Path, reader: str, read_from: Path) -> list[str]:
    source = literal(str(read_from))
    described = {
        "read_parquet": f"read_parquet({source})",
        "read_csv": f"read_csv({source}, {_CSV}{_delimiter(path)}{_packing(read_from)}, ignore_errors=true)",
        "read_json": f"read_json({source}, format='array'{_packing(read_from)}, maximum_depth=1, sample_size=2000)",
    }[reader]
    try:
        return [name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {described}").fetchall()]
    except duckdb.Error as error:
        hint = " Are all quotes closed, and is no row longer than 16 MB?" if reader == "read_csv" else ""
        raise BadLog(f"{path} cannot be read: {gist(error)}.{hint}") from error


def _keys_of_lines(path: Path) -> list[str]:
    """Keys of the first lines that are objects; the others are left out when all are read."""
    keys: dict[str, None] = {}
    with _unpacked(path) as file:
        for line in islice(file, _LINES_LOOKED_AT):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            keys |= dict.fromkeys(row if isinstance(row, dict) else ())
    return list(keys)


def _reader_of(path: Path, read_from: Path) -> str:
    names = [suffix.lower() for suffix in path.suffixes]
    start = _start(read_from)
    if start.startswith(b"PAR1"):
        return "read_parquet"
    if not start:
        raise BadLog(f"{path} is empty.")
    if start.lstrip()[:1] in (b"{", b"["):
        return "read_json"
    if ".parquet" in names or any(name in (".json", ".jsonl", ".ndjson") for name in names):
        raise BadLog(f"{path} is not what its name says: it begins with {start[:20]!r}.")
    return "read_csv"


def _json_format(path: Path) -> str:
    return "array" if _start(path).lstrip()[:1] == b"[" else "newline_delimited"


def _packing(path: Path) -> str:
    """Told rather than guessed, since DuckDB goes by the name alone."""
    with path.open("rb") as file:
        return ", compression='gzip'" if file.read(2) == b"\x1f\x8b" else ""


def _start(path: Path) -> bytes:
    try:
        with _unpacked(path) as file:
            return file.read(4096).removeprefix(_MARK)
    except (EOFError, OSError, zlib.error):
        return b""


def _unpacked(path: Path) -> IO[bytes]:
    """The file open for reading, through gzip where it is packed."""
    return gzip.open(path) if _packing(path) else path.open("rb")  # type: ignore[return-value]


def _delimiter(path: Path) -> str:
    return r"'\t'" if ".tsv" in [suffix.lower() for suffix in path.suffixes] else "','"


def _whole(path: Path, folder: Path, notes: Notes) -> Path:
    """The file itself, or, of a gzip file that ends too early, a copy of the rows before the break."""
    with path.open("rb") as file:
        start = file.read(3)
        if start == _MARK and file.read(1) in (b"{", b"["):  # DuckDB takes it for a part of the first row of JSON
            with tempfile.NamedTemporaryFile(dir=folder, suffix=path.suffix, delete=False) as copy:
                file.seek(len(_MARK))
                shutil.copyfileobj(file, copy)
            return Path(copy.name)
    if start[:2] != b"\x1f\x8b" or _is_whole(path):
        return path
    with tempfile.NamedTemporaryFile(
        dir=folder, suffix="".join(path.suffixes).removesuffix(".gz"), delete=False
    ) as copy:
        rows = _save(path, copy)
    notes.add(
        f"{path} is cut off: its gzip stream ends after line {rows:,}. "
        "What comes before is counted; get the file again and import it, nothing counts twice.",
        left_out=True,
    )
    return Path(copy.name)


def _is_whole(path: Path) -> bool:
    """Whether a gzip file unpacks to its end; reading it costs a second per gigabyte."""
    try:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
    except (EOFError, OSError, zlib.error):
        return False
    return True


def _save(path: Path, copy: IO[bytes]) -> int:
    """Write what unpacks of `path`, up to its last whole line, and return how many lines that are."""
    lines, rest = 0, b""
    unpack = zlib.decompressobj(wbits=31)
    with path.open("rb") as file:
        try:
            while packed := file.read(1 << 16):
                rest += unpack.decompress(packed)
                whole, newline, rest = rest.rpartition(b"\n")
                lines += whole.count(b"\n") + len(newline)
                copy.write(whole + newline)
        except zlib.error:
            pass
    return lines


def note_left_out(connection: duckdb.DuckDBPyConnection, notes: Notes) -> None:
    """Tell which CSV rows DuckDB left out of the scans so far. Broken lines of JSON come as empty rows instead."""
    has_any = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchone()
    if not has_any or not has_any[0]:
        return
    rows = connection.execute(
        "SELECT DISTINCT file_path, line, error_message FROM reject_errors JOIN reject_scans USING (scan_id, file_id) "
        "ORDER BY ALL LIMIT 5"
    ).fetchall()
    for path, line, message in rows:
        notes.add(f"{path}, line {line}: {message.strip().splitlines()[0]}. The row is left out.", left_out=True)


def gist(error: Exception) -> str:
    """DuckDB's first line. What follows may repeat the row at fault, and logged text is told nobody."""
    return str(error).strip().splitlines()[0].rstrip(".")
