"""`pipekeeper.yaml`: what a folder says about itself beyond its SQL, checked key by key.

Every key is optional. `docs/guides/ingest-a-repository.md` lists them with an example.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from catalog.facts import OwnerFact, SourceFact
from ingest.digests import digest
from ingest.layout import Layout, read_layout
from ingest.owners import slug_of
from ingest.yaml_files import YamlError, load_yaml

FILE = "pipekeeper.yaml"
_KEYS = {
    *("name", "layout", "dialect", "source", "default_database", "default_schema", "table_name", "owners_by_path"),
    *("sources", "owners", "tables", "pipelines"),
}
_STORAGES = (
    *("warehouse", "lake", "operational_database", "wide_column", "key_value_store", "cache", "search_index"),
    *("stream", "files", "dashboard"),
)


class SettingsError(Exception):
    """A setting that cannot be used: which, where, and what would be right."""


@dataclass(frozen=True)
class Settings:
    """How to read a folder: its own file, then what the command line says instead."""

    name: str = ""
    layout: str = ""
    dialect: str = ""
    source: str = ""
    default_database: str = ""
    default_schema: str = ""
    table_name: str = ""
    owners_by_path: tuple[tuple[str, tuple[str, ...]], ...] = ()
    sources: tuple[SourceFact, ...] = ()
    owners: tuple[OwnerFact, ...] = ()
    tables: tuple[Mapping[str, Any], ...] = ()
    pipelines: tuple[Mapping[str, Any], ...] = ()
    text: str = ""

    @property
    def key(self) -> str:
        """Changes whenever any setting does."""
        return digest(*(repr(getattr(self, field.name)) for field in fields(self)))


def read_settings(folder: Path) -> Settings:
    """The settings in the folder's own file, or none; SettingsError names file, line and key."""
    path = folder / FILE
    if not path.is_file():
        return Settings()
    if not path.resolve().is_relative_to(folder.resolve()):
        raise SettingsError(f"{FILE} is a link to a file outside the folder. Put the file itself there.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{FILE} is not UTF-8 (byte {error.start}). Save it as UTF-8.") from error
    try:
        data = load_yaml(text)
    except YamlError as error:
        where = f", line {error.line}" if error.line else ""
        raise SettingsError(f"{FILE}{where} {error}") from error
    return settings_from(data, text)


def settings_from(data: Any, text: str = "") -> Settings:
    """Settings out of the parsed file."""
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise SettingsError(f"{FILE} must hold keys such as `dialect: bigquery`, not a {type(data).__name__}.")
    _check_keys(FILE, data, _KEYS)
    texts = {key: _text(data, key) for key in ("name", "layout", "dialect", "source", "table_name")}
    _check_table_name(texts["table_name"])
    defaults = {key: _text(data, key) for key in ("default_database", "default_schema")}
    return Settings(
        **texts,
        **defaults,
        owners_by_path=tuple(
            (str(pattern), names_in(owners)) for pattern, owners in _mapping(data, "owners_by_path").items()
        ),
        sources=tuple(_source(entry) for entry in _entries(data, "sources")),
        owners=tuple(_with_team_slugs([_owner(entry) for entry in _entries(data, "owners")])),
        tables=tuple(_entries(data, "tables")),
        pipelines=tuple(_entries(data, "pipelines")),
        text=text,
    )


def prepared(folder: Path, options: Mapping[str, Any]) -> tuple[Settings, Layout]:
    """How to read `folder`: its pipekeeper.yaml, overridden by a command's options. SettingsError, LayoutError."""
    if not folder.is_dir():
        raise SettingsError(f"{folder} is not a folder.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise SettingsError(f"{folder} may not be read by this user.")
    keys = ("layout", "dialect", "source", "default_database", "default_schema", "name")
    settings = overridden(read_settings(folder), **{key: options.get(key) for key in keys})
    check_dialect(settings.dialect)
    for source in settings.sources:
        check_dialect(source.dialect, f"{FILE}, source {source.name}: ")
    return settings, read_layout(settings.layout or "plain")


def check_dialect(dialect: str, where: str = "") -> None:
    """SettingsError, with the nearest names, unless sqlglot knows the dialect; "" is its own."""
    import difflib

    from sqlglot.dialects import DIALECTS
    from sqlglot.dialects.dialect import Dialect

    usual = {name.lower() for name in DIALECTS} - {"dialect"}
    if not dialect or dialect in usual:
        return  # without a look at `classes`, which loads every dialect that there is
    known = sorted({*Dialect.classes, *usual} - {"", "dialect"})
    if dialect not in known:
        near = difflib.get_close_matches(dialect.lower(), known, 3, 0.5)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise SettingsError(f"{where}Unknown dialect {dialect!r}. {hint}Known are {', '.join(known)}.")


def names_in(value: Any) -> tuple[str, ...]:
    """Names as people write lists of them: `a, b` in one text, or a list."""
    if value is None:
        return ()
    items = value if isinstance(value, list) else str(value).split(",")
    return tuple(dict.fromkeys(name for item in items if (name := str(item).strip())))


def overridden(settings: Settings, **given: str | None) -> Settings:
    """The settings with what the command line gives put in their place."""
    return replace(settings, **{key: value for key, value in given.items() if value})


def _check_table_name(pattern: str) -> None:
    try:
        pattern.format(folder="", file="")
    except (KeyError, IndexError, ValueError) as error:
        message = f'{FILE}: table_name {pattern!r} may hold {{folder}} and {{file}}, as in "{{folder}}.{{file}}".'
        raise SettingsError(message) from error


def _source(entry: Mapping[str, Any]) -> SourceFact:
    known = {"name", "slug", "platform", "storage", "dialect", "description", "databases"}
    _check_keys(f"sources, {entry['name']}", entry, known)
    storage = _text(entry, "storage") or "warehouse"
    if storage not in _STORAGES:
        raise SettingsError(
            f"{FILE}: source {entry['name']} has storage {storage!r}; use one of {', '.join(_STORAGES)}."
        )
    name = _text(entry, "name")
    return SourceFact(
        slug=_text(entry, "slug") or slug_of(name),
        name=name,
        platform=_text(entry, "platform") or storage,
        storage=storage,
        dialect=_text(entry, "dialect"),
        description=_text(entry, "description").strip(),
        databases=names_in(entry.get("databases")),
        declared=True,
    )


def _owner(entry: Mapping[str, Any]) -> OwnerFact:
    _check_keys(f"owners, {entry['name']}", entry, {"name", "kind", "email", "team", "status"})
    name, kind, status = _text(entry, "name"), _text(entry, "kind") or "person", _text(entry, "status") or "active"
    for value, allowed in ((kind, ("person", "team")), (status, ("active", "left"))):
        if value not in allowed:
            raise SettingsError(f"{FILE}: owner {name}: {value!r} should be {' or '.join(allowed)}.")
    return OwnerFact(slug_of(name), name, kind, _text(entry, "email"), _text(entry, "team"), status, declared=True)


def _with_team_slugs(owners: list[OwnerFact]) -> Iterable[OwnerFact]:
    """Teams are named by their name in the file, by their slug from here on."""
    slugs = {owner.name: owner.slug for owner in owners}
    return [replace(owner, team=slugs.get(owner.team, slug_of(owner.team)) if owner.team else "") for owner in owners]


def _entries(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    entries = data.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and entry.get("name") for entry in entries):
        raise SettingsError(f"{FILE}: `{key}` must be a list of entries that each have a `name`.")
    return entries


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key) or {}
    if not isinstance(found, dict):
        raise SettingsError(f'{FILE}: `{key}` must hold lines such as `"raw/*": Data Platform`.')
    return found


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise SettingsError(f"{FILE}: `{key}` must be a text.")
    return str(value)


def _check_keys(where: str, data: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(str(key) for key in data if key not in known)
    if unknown:
        raise SettingsError(f"{where}: unknown key {', '.join(unknown)}. Known are {', '.join(sorted(known))}.")


def path_regex(pattern: str) -> re.Pattern[str]:
    """A glob over paths: `*` stays within a folder, `**` crosses folders, `raw/` or `raw/*` means all under it."""
    if pattern.endswith("/"):
        pattern += "**"
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(piece, re.escape(piece)) for piece in pieces))
