"""`manifest.json` as small values: what dbt knows of models, seeds, snapshots, sources, tests, exposures and groups.

Read without a database; keys that dbt adds or leaves out change nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Any

from ingest.dbt.json_files import BadArtifact, check_nesting, entries, part
from lineage.facts import WARNING, FileProblem

OLDEST, NEWEST = 4, 12  # versions of the manifest whose shape is known: dbt 1.0 to 1.11
FILE = "manifest.json"
_VERSION = re.compile(r"/manifest/v(\d+)\b")
_CONFIG = ("materialized", "incremental_strategy", "unique_key", "event_time", "full_refresh", "strategy", "batch_size")
_RELATIONS = ("model", "seed", "snapshot")


@dataclass(frozen=True, slots=True)
class DocumentedColumn:
    """A column as the project's YAML speaks of it."""

    name: str
    type: str
    description: str
    is_quoted: bool


@dataclass(frozen=True, slots=True)
class Node:
    """A model, seed, snapshot or source: something that is a table or view in the warehouse.

    `sql` is compiled; "" where dbt has not compiled it. Names in it without a database are of `database`. `depends_on`
    are ids of what it is built from.
    """

    id: str
    kind: str
    name: str
    path: str
    relation: str
    database: str = ""
    sql: str = ""
    language: str = "sql"
    config: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[DocumentedColumn, ...] = ()
    has_contract: bool = False
    primary_key: tuple[str, ...] = ()
    description: str = ""
    tags: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    business_owners: tuple[str, ...] = ()
    group: str = ""
    depends_on: tuple[str, ...] = ()
    freshness: Mapping[str, Any] = field(default_factory=dict)
    deprecated_on: str = ""


@dataclass(frozen=True, slots=True)
class DataTest:
    """What dbt checks of a node: `unique`, `not_null`, … of a column or of several, or a query of its own."""

    id: str
    node: str
    test: str
    column: str
    arguments: Mapping[str, Any]
    severity: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """What reads the project's tables outside of it: a dashboard, notebook, application."""

    id: str
    name: str
    kind: str
    path: str
    description: str
    url: str
    owner: tuple[str, str]  # name, e-mail address
    tags: tuple[str, ...]
    depends_on: tuple[str, ...]


@dataclass
class Manifest:
    """A project. `links` are nodes that are no table (ephemeral models, metrics), with what stands behind them."""

    project: str
    adapter: str
    nodes: dict[str, Node] = field(default_factory=dict)
    links: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tests: list[DataTest] = field(default_factory=list)
    exposures: list[Exposure] = field(default_factory=list)
    groups: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> owner's name, e-mail address
    problems: list[FileProblem] = field(default_factory=list)

    def tables_behind(self, ids: tuple[str, ...]) -> list[str]:
        """Ids of the tables that `ids` come to, with what is no table passed through."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        waiting = list(ids)
        while waiting:
            one = waiting.pop()
            if one in self.nodes:
                found[one] = None
            elif one not in seen:
                seen.add(one)
                waiting += self.links.get(one, ())
        return sorted(found)


def read_manifest(path: Path) -> Manifest:
    """The project in a manifest, streamed. Raises BadArtifact when it is none, or is cut off."""
    check_nesting(path)
    metadata = part(path, "metadata")
    manifest = Manifest(project_in(metadata), _text(metadata.get("adapter_type")))
    manifest.problems += _version_problems(_text(metadata.get("dbt_schema_version")))
    for key, data in entries(path, "nodes"):
        _take_node(manifest, key, data)
    for key, data in entries(path, "sources"):
        manifest.nodes[key] = _node(manifest, key, data)
    if not manifest.nodes:
        raise BadArtifact(f"{path} holds no models, seeds or sources: it is no manifest, or one of an empty project.")
    for key, data in entries(path, "exposures"):
        manifest.exposures.append(_exposure(manifest, key, data))
    for _, data in entries(path, "groups"):
        manifest.groups[_text(data.get("name"))] = _owner(data)
    for section in ("metrics", "semantic_models", "saved_queries") if manifest.exposures else ():
        manifest.links.update((key, _depends_on(data)) for key, data in entries(path, section))
    return manifest


def project_of(path: Path) -> str:
    """The project's name, without reading on; "" where the manifest does not say. Raises BadArtifact."""
    return project_in(part(path, "metadata"))


def project_in(metadata: Mapping[str, Any]) -> str:
    return _text(metadata.get("project_name"))[:200]


def _version_problems(version: str) -> list[FileProblem]:
    found = _VERSION.search(version)
    if found and OLDEST <= int(found[1]) <= NEWEST:
        return []
    called = f"version {found[1]}" if found else f"of no known version ({version[:100] or 'it states none'})"
    message = (
        f"The manifest is {called}; known are {OLDEST} to {NEWEST}. It was read as far as it has their shape: compare "
        "the numbers of models and sources with dbt's own."
    )
    return [FileProblem(FILE, "unknown_artifact_version", WARNING, message)]


def _take_node(manifest: Manifest, key: str, data: Mapping[str, Any]) -> None:
    kind = data.get("resource_type")
    if kind == "test":
        manifest.tests += _tests(key, data)
    elif kind in _RELATIONS:
        node = _node(manifest, key, data)
        if node.config.get("materialized") == "ephemeral":
            manifest.links[key] = node.depends_on
        else:
            manifest.nodes[key] = node


def _node(manifest: Manifest, key: str, data: Mapping[str, Any]) -> Node:
    config = _mapping(data.get("config"))
    meta = {**_mapping(config.get("meta")), **_mapping(data.get("source_meta")), **_mapping(data.get("meta"))}
    description = _text(data.get("description")) or _text(data.get("source_description"))
    return Node(
        id=key,
        kind=_text(data.get("resource_type")),
        name=_name(data),
        path=_path(manifest, data),
        relation=_relation(data),
        database=_text(data.get("database")),
        sql=_text(data.get("compiled_code") or data.get("compiled_sql")),
        language=_text(data.get("language")) or "sql",
        config={name: config[name] for name in _CONFIG if config.get(name) is not None},
        columns=_columns(data),
        has_contract=_mapping(config.get("contract")).get("enforced") is True,
        primary_key=_texts(data.get("primary_key")),
        description=description,
        tags=_texts(data.get("tags")),
        owners=(*_texts(meta.get("owner")), *_texts(meta.get("owners")), *_texts(meta.get("technical_owner"))),
        business_owners=_texts(meta.get("business_owner")),
        group=_text(data.get("group") or config.get("group")),
        depends_on=_depends_on(data),
        freshness=_freshness(data),
        deprecated_on=_text(data.get("deprecation_date")),
    )


def _columns(data: Mapping[str, Any]) -> tuple[DocumentedColumn, ...]:
    return tuple(
        DocumentedColumn(
            intern(name),  # the same in many tables, and read anew from each
            intern(_text(column.get("data_type"))),
            intern(_text(column.get("description"))),
            column.get("quote") is True,
        )
        for column in map(_mapping, _mapping(data.get("columns")).values())
        if (name := _text(column.get("name")))
    )


def _name(data: Mapping[str, Any]) -> str:
    source = _text(data.get("source_name"))
    return f"{source}.{_text(data.get('name'))}" if source else _text(data.get("name"))


def _path(manifest: Manifest, data: Mapping[str, Any]) -> str:
    """`models/orders.sql`; where a file may hold several things also which one: `models/x.yml#raw.orders`."""
    path, name, package = _text(data.get("original_file_path")), _name(data), _text(data.get("package_name"))
    path = path.replace("\\", "/")
    if package and package != manifest.project:
        path = f"dbt_packages/{package}/{path}"
    stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    is_alone = stem == name and not path.endswith((".yml", ".yaml"))
    return path if is_alone else f"{path}#{name}"


def _relation(data: Mapping[str, Any]) -> str:
    """The table's name as dbt writes it into SQL, quotes and all."""
    if relation := _text(data.get("relation_name")):
        return relation
    last = _text(data.get("alias") or data.get("identifier") or data.get("name"))
    return ".".join(filter(None, [_text(data.get("database")), _text(data.get("schema")), last]))


def _freshness(data: Mapping[str, Any]) -> dict[str, Any]:
    """How old a source may be: {"warn_after": {"count": 12, "period": "hour"}, "loaded_at_field": …}."""
    stated = _mapping(data.get("freshness"))
    bounds = {name: _mapping(stated.get(name)) for name in ("warn_after", "error_after")}
    found: dict[str, Any] = {
        name: {"count": bound["count"], "period": bound.get("period")}
        for name, bound in bounds.items()
        if bound.get("count")
    }
    return found | {"loaded_at_field": _text(data.get("loaded_at_field"))} if found else {}


def _tests(key: str, data: Mapping[str, Any]) -> list[DataTest]:
    """A test, if it is of one node; one of several (a query that compares them) speaks of none in particular."""
    about = _mapping(data.get("test_metadata"))
    kwargs = _mapping(about.get("kwargs"))
    depends_on = _depends_on(data)
    node = _text(data.get("attached_node")) or (depends_on[0] if len(depends_on) == 1 else "")
    if not node:
        return []
    arguments = {name: value for name, value in kwargs.items() if name not in ("model", "column_name")}
    column = _text(data.get("column_name") or kwargs.get("column_name"))
    test = ".".join(filter(None, [_text(about.get("namespace")), _text(about.get("name"))])) or "query"
    severity = _text(_mapping(data.get("config")).get("severity")).lower() or "error"
    return [DataTest(key, node, test, column, arguments, severity)]


def _exposure(manifest: Manifest, key: str, data: Mapping[str, Any]) -> Exposure:
    label, text = _text(data.get("label")), _text(data.get("description"))
    return Exposure(
        id=key,
        name=_text(data.get("name")),
        kind=_text(data.get("type")) or "dashboard",
        path=_path(manifest, data),
        description="\n\n".join(filter(None, [label, text])),
        url=_text(data.get("url")),
        owner=_owner(data),
        tags=_texts(data.get("tags")),
        depends_on=_depends_on(data),
    )


def _owner(data: Mapping[str, Any]) -> tuple[str, str]:
    owner = _mapping(data.get("owner"))
    email = next(iter(_texts(owner.get("email"))), "")
    return _text(owner.get("name")), email


def _depends_on(data: Mapping[str, Any]) -> tuple[str, ...]:
    return _texts(_mapping(data.get("depends_on")).get("nodes"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    """A text, or a list of texts, as a tuple."""
    values = value if isinstance(value, list) else [value]
    return tuple(one for one in values if isinstance(one, str) and one)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
