"""A YAML file of checks, as small typed values; what is wrong with one entry costs the others nothing. No database.

source: warehouse
tables:
  shop.orders:
    - unique_key: {columns: [order_id]}
    - freshness: {column: ordered_at, hours: 26}
      severity: warn
pipelines:
  shop.daily_sales:
    - in_out_ratio: {input: shop.orders, output: shop.daily_sales, max: 1}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from audits.checks.kinds import KINDS, BadParameters, read_parameters
from ingest.yaml_files import YamlError, load_yaml

MAX_BYTES = 5_000_000
_FACTS = ("name", "severity", "schedule", "owner", "description")
_TABLE_PARAMETERS = ("input", "output", "to_table")


@dataclass(frozen=True)
class Definition:
    """One check as a file states it; `place` says where in the file, for messages."""

    noun: str  # "table" or "pipeline"
    source: str  # slug, empty for pipelines
    of: str  # the name as written
    kind: str
    parameters: Mapping[str, Any]
    facts: Mapping[str, str]
    place: str


@dataclass
class Definitions:
    """What a file states, and what is wrong with it, each in words that name the place."""

    found: list[Definition] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def read_definitions(text: str, default_source: str = "") -> Definitions:
    """Every check that can be read, and a fault for every one that cannot."""
    said = Definitions()
    try:
        document = load_yaml(text)
    except YamlError as error:
        said.faults.append(f"line {error.line}: {error}" if error.line else str(error))
        return said
    if not isinstance(document, Mapping):
        said.faults.append("It holds no mapping with `tables` or `pipelines`.")
        return said
    unknown = [str(key) for key in document if key not in ("source", "tables", "pipelines")]
    if unknown:
        said.faults.append(f"{', '.join(unknown)}: unknown here. A file has: source, tables, pipelines.")
    source = str(document.get("source") or default_source)
    for noun in ("table", "pipeline"):
        for name, entries in _pairs(document.get(f"{noun}s"), f"{noun}s", said):
            for number, entry in enumerate(entries if isinstance(entries, list) else [entries], 1):
                _read_entry(entry, noun, name, source, f"{name}, entry {number}", said)
    return said


def _pairs(part: Any, place: str, said: Definitions) -> Iterator[tuple[str, Any]]:
    if isinstance(part, Mapping):
        for name, entries in part.items():
            yield str(name), entries
    elif part is not None:
        said.faults.append(f"{place}: write a mapping of names to lists of checks.")


def _read_entry(entry: Any, noun: str, name: str, source: str, place: str, said: Definitions) -> None:
    if isinstance(entry, str):
        entry = {entry: {}}  # `- duplicate_rows` needs no parameters
    if not isinstance(entry, Mapping):
        said.faults.append(f"{place}: write a check, such as `unique_key: {{columns: [id]}}`.")
        return
    kinds = [str(key) for key in entry if key not in _FACTS]
    if len(kinds) != 1 or kinds[0] not in KINDS:
        said.faults.append(f"{place}: {_no_kind(kinds)}")
        return
    kind = kinds[0]
    slug, colon, bare = name.partition(":")
    table_source, of = (slug, bare) if noun == "table" and colon else (source, name)
    if noun == "table" and not table_source:
        said.faults.append(f"{place}: of which source? Write `source:` at the top, or source:table.")
        return
    facts = {key: str(entry[key]) for key in _FACTS if entry.get(key) is not None}
    try:
        parameters = _with_sources(entry[kind] or {}, source)
        read_parameters(kind, parameters)
    except BadParameters as error:
        said.faults.append(f"{place}: {kind}: {error}")
        return
    said.found.append(Definition(noun, table_source if noun == "table" else "", of, kind, parameters, facts, place))


def _with_sources(parameters: Any, source: str) -> Any:
    """Parameters in which tables are named with their source."""
    if not isinstance(parameters, Mapping):
        return parameters
    named = {key: value for key, value in parameters.items() if key in _TABLE_PARAMETERS and isinstance(value, str)}
    return dict(parameters) | {key: value if ":" in value else f"{source}:{value}" for key, value in named.items()}


def _no_kind(keys: list[str]) -> str:
    if not keys:
        return f"no check stands here. There are: {', '.join(KINDS)}."
    if len(keys) > 1:
        return f"one entry is one check; here are {', '.join(keys)}."
    close = get_close_matches(keys[0], KINDS, 1)
    hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(KINDS)}."
    return f"there is no check {keys[0]!r}. {hint}"
