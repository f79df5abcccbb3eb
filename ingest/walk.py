"""The files of a folder that a layout knows, read and digested; nothing outside the folder is ever opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.digests import digest
from ingest.layout import Layout, first_match
from ingest.read_files import MAX_BYTES
from lineage.facts import ERROR, WARNING, FileProblem

MAX_PATH = 500  # characters that the catalog keeps
_PASSED_OVER = {"node_modules", "venv", "__pycache__", "site-packages"}


@dataclass(frozen=True, slots=True)
class File:
    """A file as it lies: its place relative to the folder (with /), its bytes and their digest."""

    path: str
    data: bytes
    digest: str


def read_folder(
    folder: Path, layout: Layout, on_file: Callable[[File], None] = lambda file: None
) -> tuple[dict[str, File], list[FileProblem]]:
    """Every file the layout knows, by path, and problems with those that could not be read.

    Hidden folders are passed over. A link is followed only where it leads to a file inside the folder.
    """
    files: dict[str, File] = {}
    problems: list[FileProblem] = []
    root = os.path.realpath(folder)
    patterns = (*layout.pipelines, *layout.metadata)
    for entry, path in _entries(root, root, "", layout.top_folders, problems):
        if first_match(patterns, path) is None:
            continue
        if entry.is_symlink() and not _is_inside(entry.path, root):
            problems.append(_outside(path))
            continue
        if len(path) > MAX_PATH:
            message = f"The path has {len(path):,} characters; files beyond {MAX_PATH:,} are not read."
            problems.append(FileProblem(path[:MAX_PATH], "path_too_long", ERROR, message))
            continue
        try:
            with open(entry.path, "rb") as handle:
                data = handle.read(MAX_BYTES + 1)
        except OSError as error:
            problems.append(FileProblem(path, "unreadable_file", ERROR, f"The file cannot be read: {error.strerror}."))
            continue
        files[path] = File(path, data, digest(data))
        on_file(files[path])
    return files, problems


def _entries(
    root: str, folder: str, prefix: str, only: frozenset[str] | None, problems: list[FileProblem]
) -> Iterator[tuple[os.DirEntry[str], str]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        problems.append(
            FileProblem(prefix, "unreadable_folder", ERROR, f"The folder cannot be read: {error.strerror}.")
        )
        return
    for entry in entries:
        path = _as_text(f"{prefix}{entry.name}")
        if entry.is_dir(follow_symlinks=False):
            if (
                not entry.name.startswith(".")
                and entry.name not in _PASSED_OVER
                and (only is None or entry.name in only)
            ):
                yield from _entries(root, entry.path, f"{path}/", None, problems)
        elif entry.is_symlink() and os.path.isdir(entry.path):
            # Files behind a link to a folder inside are read where they really are.
            if not _is_inside(entry.path, root):
                problems.append(_outside(path))
        else:
            yield entry, path


def _outside(path: str) -> FileProblem:
    message = "This is a link that leads outside the folder, or nowhere; it is not followed."
    return FileProblem(path, "outside_folder", WARNING, message)


def _is_inside(path: str, root: str) -> bool:
    real = os.path.realpath(path)
    return os.path.exists(real) and os.path.commonpath([real, root]) == root


def _as_text(path: str) -> str:
    """A name with bytes that are not UTF-8 keeps a readable stand-in for them."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
