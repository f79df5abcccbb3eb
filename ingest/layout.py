"""A layout says where a folder keeps what: patterns of paths, and where in its metadata files each fact stands.

A layout is a file in `ingest/layouts` (or any YAML file of that form), so that a further one needs no code.

    path: "sql/{database}/{schema}/{table}/query.sql"     {name} stands for one folder or the start of a file's name,
    builds: "{database}.{schema}.{table}"                 **/ for any number of folders
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.facts import SourceFact
from ingest.digests import digest
from ingest.yaml_files import YamlError, load_yaml

FOLDER = Path(__file__).parent / "layouts"
FORMS = ("facts", "columns", "backfills", "dags", "checks", "function", "variables")
_PIECES = re.compile(r"\*\*/|\*\*|\*|\{(\w+)\}")


class LayoutError(Exception):
    """A layout that cannot be used, in words."""


@dataclass(frozen=True)
class PathPattern:
    """A path with named parts, relative to the folder, with `/` between folders."""

    text: str
    regex: re.Pattern[str]

    def match(self, path: str) -> dict[str, str] | None:
        """The named parts of `path`, or None where the pattern does not fit."""
        found = self.regex.fullmatch(path)
        return found.groupdict() if found else None


@dataclass(frozen=True)
class FieldPath:
    """Where a fact stands in a metadata file: the first of `paths` (dotted) that holds something.

    `values` translates what stands there (of a list, the first that it holds), `value` replaces it, `match` takes the
    first group of a regular expression. `default` counts where nothing is found, unless null is written there.
    """

    paths: tuple[str, ...]
    values: Mapping[str, str] | None = None
    value: str | None = None
    match: str | None = None
    default: str | bool | None = None

    def read(self, data: Any) -> Any:
        """The fact in `data`, or None."""
        found = next((value for path in self.paths if (value := self._read_one(data, path)) is not None), None)
        return self.default if found is None and not any(is_null(data, path) for path in self.paths) else found

    def read_all(self, data: Any) -> list[Any]:
        """Every value at any of the paths, lists opened."""
        found = (self._read_one(data, path) for path in self.paths)
        return [
            item for value in found if value is not None for item in (value if isinstance(value, list) else [value])
        ]

    def _read_one(self, data: Any, path: str) -> Any:
        found = value_at(data, path)
        if found is None or found == "":
            return None
        if self.value is not None:
            return self.value
        if self.values is not None:
            held = found if isinstance(found, list) else [str(found).lower() if isinstance(found, bool) else str(found)]
            return next((value for text, value in self.values.items() if text in held), None)
        return self._matched(found) if self.match else found

    def _matched(self, found: Any) -> str | None:
        texts = found if isinstance(found, list) else [found]
        return next((hit[1] for text in texts if (hit := re.fullmatch(self.match or "", str(text)))), None)


@dataclass(frozen=True)
class PipelinePattern:
    """Files that are pipelines; `builds` is the table a bare SELECT in one fills.

    `default_database` goes before names without one, unless the settings give another.
    """

    path: PathPattern
    builds: str
    table_kind: str
    language: str
    front_comments: bool
    default_database: str


@dataclass(frozen=True)
class MetadataPattern:
    """Files that speak of a table (`about`) and the pipelines that build it; `form` says how to read them."""

    path: PathPattern
    form: str
    about: str
    fields: Mapping[str, FieldPath]


@dataclass(frozen=True)
class Layout:
    """A way of keeping SQL and metadata in a folder; `key` changes whenever the description does."""

    name: str
    dialect: str
    source: SourceFact
    pipelines: tuple[PipelinePattern, ...]
    metadata: tuple[MetadataPattern, ...]
    key: str

    @property
    def top_folders(self) -> frozenset[str] | None:
        """The folders right under the root that can hold anything, or None for all of them."""
        firsts = {
            pattern.path.text.split("/")[0] for pattern in (*self.pipelines, *self.metadata) if "/" in pattern.path.text
        }
        return None if any("*" in first or "{" in first for first in firsts) else frozenset(firsts)


def known_layouts() -> list[str]:
    """Names of the layouts that come with the product."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_layout(name_or_path: str) -> Layout:
    """The layout of that name, or in that file; LayoutError says what is wrong with it."""
    path = FOLDER / f"{name_or_path}.yaml"
    if not re.fullmatch(r"[\w-]+", name_or_path) or not path.is_file():
        path = Path(name_or_path)
        if not path.is_file():
            known = ", ".join(known_layouts())
            raise LayoutError(f"There is no layout {name_or_path!r}. Known are {known}; or give a layout file's path.")
    text = path.read_text(encoding="utf-8")
    try:
        return _layout(load_yaml(text), text)
    except YamlError as error:
        raise LayoutError(f"{path}, line {error.line}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LayoutError(
            f"{path} is not a layout: {error!r}. Compare it with {FOLDER / 'bigquery-etl.yaml'}."
        ) from error


def compile_path(text: str) -> PathPattern:
    """`{name}` fits one folder name (or the part of a file name before the dot that follows), `**/` any folders."""
    regex, at, seen = "", 0, set()
    for piece in _PIECES.finditer(text):
        regex += re.escape(text[at : piece.start()]) + _piece_regex(piece, seen)
        at = piece.end()
    return PathPattern(text, re.compile(regex + re.escape(text[at:])))


def first_match(patterns: Iterable[Any], path: str) -> tuple[Any, dict[str, str]] | None:
    """The first of `patterns` (things with a `path` pattern) that fits, with the named parts."""
    for pattern in patterns:
        parts = pattern.path.match(path)
        if parts is not None:
            return pattern, parts
    return None


def value_at(data: Any, dotted: str) -> Any:
    """`value_at({"a": {"b": 1}}, "a.b") == 1`; None where the path leads nowhere."""
    for key in dotted.split("."):
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def is_null(data: Any, dotted: str) -> bool:
    """Whether null is written at that path."""
    parent, _, key = dotted.rpartition(".")
    holder = value_at(data, parent) if parent else data
    return isinstance(holder, dict) and key in holder and holder[key] is None


def _piece_regex(piece: re.Match[str], seen: set[str]) -> str:
    if piece[0] == "**/":
        return r"(?:[^/]+/)*"
    if piece[0] in ("*", "**"):
        return r"[^/]*" if piece[0] == "*" else r".*"
    name = piece[1]
    if name in seen:
        return f"(?P={name})"
    seen.add(name)
    return f"(?P<{name}>[^/]+)"


def _layout(data: dict[str, Any], text: str) -> Layout:
    return Layout(
        name=data["name"],
        dialect=data.get("dialect") or "",
        source=SourceFact(**data["source"]),
        pipelines=tuple(_pipeline_pattern(entry) for entry in data["pipelines"]),
        metadata=tuple(_metadata_pattern(entry) for entry in data.get("metadata", [])),
        key=digest(text),
    )


def _pipeline_pattern(entry: dict[str, Any]) -> PipelinePattern:
    return PipelinePattern(
        path=compile_path(entry["path"]),
        builds=entry.get("builds", ""),
        table_kind=entry.get("table_kind", ""),
        language=entry.get("language", "sql"),
        front_comments=bool(entry.get("front_comments", False)),
        default_database=entry.get("default_database", ""),
    )


def _metadata_pattern(entry: dict[str, Any]) -> MetadataPattern:
    if entry["form"] not in FORMS:
        raise ValueError(f"form {entry['form']!r} is none of {', '.join(FORMS)}")
    return MetadataPattern(
        path=compile_path(entry["path"]),
        form=entry["form"],
        about=entry.get("about", ""),
        fields={fact: _field_path(where) for fact, where in entry.get("fields", {}).items()},
    )


def _field_path(where: str | list[str] | dict[str, Any]) -> FieldPath:
    if isinstance(where, str):
        return FieldPath((where,))
    if isinstance(where, list):
        return FieldPath(tuple(where))
    paths = where["path"]
    return FieldPath(
        (paths,) if isinstance(paths, str) else tuple(paths),
        where.get("values"),
        where.get("value"),
        where.get("match"),
        where.get("default"),
    )
