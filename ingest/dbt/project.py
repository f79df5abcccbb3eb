"""A dbt project as facts of the catalog.

Each model, seed and snapshot is a pipeline and the table it builds, each source a table, each exposure a dashboard with
a pipeline that brings it its data. Pure: no database, no file is opened here.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from catalog.facts import ColumnFact, Owned, OwnerFact, PipelineFact, SourceFact, TableFact
from ingest.dbt.catalog import CatalogTable
from ingest.dbt.manifest import FILE, DataTest, Exposure, Manifest, Node
from ingest.names import MAX_NAME, Names, TableKey
from ingest.owners import OwnerBook, slug_of
from ingest.read_files import mentioned_names
from ingest.repository import Repository
from ingest.settings import names_in
from lineage.facts import WARNING, FileProblem
from lineage.sql.practices import incremental

DASHBOARDS = SourceFact("dashboards", "Dashboards", "dbt", "dashboard", "", "What dbt's exposures speak of")
ORCHESTRATOR = "dbt"
# sqlglot's names of what dbt's adapters speak; one not here is called the same in both.
_DIALECTS = {
    "sqlserver": "tsql",
    "synapse": "tsql",
    "fabric": "fabric",
    "glue": "spark",
    "fabricspark": "spark",
    "cloudera_hive": "hive",
    "impala": "hive",
    "timescaledb": "postgres",
    "greenplum": "postgres",
    "upsolver": "",
    "vertica": "postgres",
    "firebolt": "postgres",
    "singlestore": "singlestore",
}
_DEFAULT_STRATEGY = {"spark": "append", "trino": "append", "athena": "insert_overwrite"}
_TABLE_KINDS = {
    "view": "view",
    "materialized_view": "materialized_view",
    "table": "table",
    "incremental": "table",
    "seed": "table",
    "snapshot": "table",
}
_FULL_REFRESH = ("table", "view", "materialized_view", "seed")


def dialect_of(adapter: str) -> str:
    """sqlglot's name of what an adapter speaks; "" for one that it does not know."""
    from sqlglot.dialects.dialect import Dialect

    name = _DIALECTS.get(adapter, adapter)
    return name if name and Dialect.get(name) else ""


@dataclass(frozen=True)
class Project:
    """Everything a project states, before its SQL is analysed; mostly by path."""

    repository: Repository
    nodes: Mapping[str, Node]
    depends_on: Mapping[str, frozenset[TableKey]]
    mentions: Mapping[str, frozenset[str]]  # names that the SQL may read, in lower case
    keys: Mapping[str, TableKey]  # of the node's table, by the node's id


def project_from(manifest: Manifest, tables: Mapping[str, CatalogTable], names: Names) -> Project:
    """The facts in a manifest and what the warehouse says of its tables."""
    return _Draft(manifest, tables, names).project()


class _Draft:
    """A project being put together."""

    def __init__(self, manifest: Manifest, tables: Mapping[str, CatalogTable], names: Names) -> None:
        self.manifest, self.tables, self.names = manifest, tables, names
        self.book = OwnerBook(_group_owners(manifest))
        self.keys = {key: names.of_sql(names.qualified(node.relation)) for key, node in manifest.nodes.items()}
        self.tests: dict[str, list[DataTest]] = defaultdict(list)
        for test in manifest.tests:
            self.tests[test.node].append(test)

    def project(self) -> Project:
        dashboards = [self._dashboard(exposure) for exposure in self.manifest.exposures]  # they know people by name
        nodes = {node.path: node for node in self.manifest.nodes.values()}
        built = {path: node for path, node in nodes.items() if node.kind != "source"}
        depends_on = {path: self._keys_behind(node.depends_on) for path, node in built.items()}
        mentions = {path: mentioned_names(node.sql.lower()) for path, node in built.items()}
        pipelines = {path: self._pipeline(node, depends_on[path], mentions[path]) for path, node in built.items()}
        described: dict[TableKey, TableFact] = {}
        for node in sorted(nodes.values(), key=lambda node: node.kind != "source"):
            table = self._table(node)  # declared as a source as well, perhaps: what builds it knows more of it
            earlier = described.get(self.keys[node.id], table)
            described[self.keys[node.id]] = replace(table, owners=table.owners or earlier.owners)
        if self.manifest.exposures:
            self.names.sources[DASHBOARDS.slug] = DASHBOARDS
        for exposure, dashboard in zip(self.manifest.exposures, dashboards, strict=True):
            described[dashboard.source, dashboard.name] = dashboard
            pipelines[exposure.path] = self._exposure(exposure, dashboard)
        owners, problems = tuple(self.book.owners()), (*self.manifest.problems, *self._problems(built))
        repository = Repository(pipelines, described, owners, self.names, problems)
        return Project(repository, nodes, depends_on, mentions, self.keys)

    def _keys_behind(self, ids: tuple[str, ...]) -> frozenset[TableKey]:
        return frozenset(self.keys[one] for one in self.manifest.tables_behind(ids))

    # Pipelines

    def _pipeline(self, node: Node, depends_on: frozenset[TableKey], mentions: frozenset[str]) -> PipelineFact:
        """What it reads is read off its SQL; declared is what dbt knows and its SQL does not speak of."""
        declared = tuple(sorted(key for key in depends_on if key[1].lower() not in mentions))
        facts: dict[str, Any] = {
            "description": node.description,
            "orchestrator": ORCHESTRATOR,
            "repository_path": node.path.partition("#")[0],
            "load_strategy": self._load_strategy(node),
            "dbt": dict(node.config),
        }
        if node.kind == "seed":
            facts["kind"] = "raw_ingest"
        if self._is_deprecated(node):
            facts["status"] = "deprecated"
        return PipelineFact(
            name=node.id[:MAX_NAME],
            path=node.path,
            facts={name: value for name, value in facts.items() if value},
            owners=self._owners(node),
            tags=_tags(node.tags),
            builds=self.keys[node.id][1],
            language=node.language if node.sql else "",
            inputs=declared,
            outputs=(self.keys[node.id],) if declared or not node.sql else (),
        )

    def _load_strategy(self, node: Node) -> str:
        config = config_of(node, self.manifest.adapter)
        kind = config.get("materialized") or node.kind
        if kind in _FULL_REFRESH:
            return "full_refresh"
        if kind == "snapshot":
            return "incremental"
        if kind != "incremental":
            return ""
        (strategy, *_), _ = incremental(str(config.get("incremental_strategy") or ""), bool(config.get("unique_key")))
        return strategy

    def _is_deprecated(self, node: Node) -> bool:
        return bool(node.deprecated_on) and node.deprecated_on[:10] <= dt.date.today().isoformat()

    def _exposure(self, exposure: Exposure, dashboard: TableFact) -> PipelineFact:
        return PipelineFact(
            name=exposure.id[:MAX_NAME],
            path=exposure.path,
            facts={"repository_path": exposure.path.partition("#")[0], "kind": "production_export"},
            owners=dashboard.owners,
            tags=dashboard.tags,
            inputs=tuple(sorted(self._keys_behind(exposure.depends_on))),
            outputs=((dashboard.source, dashboard.name),),
        )

    # Tables

    def _table(self, node: Node) -> TableFact:
        found = self.tables.get(node.id)
        kind = _TABLE_KINDS.get(str(node.config.get("materialized") or node.kind), "") or (found.kind if found else "")
        facts: dict[str, Any] = {
            "kind": kind,
            "description": node.description,
            "provenance": "original" if node.kind == "snapshot" else "",  # its history is nowhere else
            "status": "deprecated" if self._is_deprecated(node) else "",
            "tests": [_as_fact(test) for test in self.tests[node.id]],
            "freshness": dict(node.freshness),
        }
        return TableFact(
            *self.keys[node.id],
            facts={name: value for name, value in facts.items() if value},
            columns=self._columns(node, found),
            owners=self._owners(node) if node.kind == "source" else Owned(),
            tags=_tags(node.tags),
        )

    def _columns(self, node: Node, found: CatalogTable | None) -> tuple[ColumnFact, ...]:
        """Columns as the warehouse lists them, described by the project; documented ones alone have no place yet."""
        fold = self.names.fold_column
        documented = {fold(column.name, is_exact=column.is_quoted): column for column in node.columns}
        listed = {fold(name, is_exact=True): (type_, note) for name, type_, note in found.columns} if found else {}
        keys = {fold(name) for name in node.primary_key}
        columns = []
        for name in dict.fromkeys((*listed, *documented)):
            type_, note = listed.get(name, ("", ""))
            said = documented.get(name)
            columns.append(
                ColumnFact(
                    name,
                    type_ or (said.type if said else "") or None,
                    (said.description if said else "") or note or None,
                    name in keys if keys else None,
                    listed=name in listed or (not listed and node.has_contract),
                )
            )
        return tuple(columns)

    def _dashboard(self, exposure: Exposure) -> TableFact:
        description = "\n\n".join(filter(None, [exposure.description, exposure.url]))
        name = ".".join(filter(None, [self.manifest.project, exposure.name]))[:MAX_NAME]
        tags = exposure.tags if exposure.kind == "dashboard" else (*exposure.tags, exposure.kind)
        facts = {"kind": "dashboard", **({"description": description} if description else {})}
        owners = Owned(business=self.book.slugs([_called(*exposure.owner)]))
        return TableFact(DASHBOARDS.slug, name, facts, owners=owners, tags=_tags(tags))

    # Owners and problems

    def _owners(self, node: Node) -> Owned:
        """`meta.owner`, or else the owner of the node's group."""
        stated = [name for text in node.owners for name in names_in(text)]
        group = self.manifest.groups.get(node.group)
        if not stated and group:
            stated = [group[1] or group[0] or node.group]
        business = [name for text in node.business_owners for name in names_in(text)]
        return Owned(self.book.slugs(business), self.book.slugs(stated))

    def _problems(self, built: Mapping[str, Node]) -> list[FileProblem]:
        uncompiled = [node for node in built.values() if node.kind in ("model", "snapshot") and not node.sql]
        if not uncompiled:
            return []
        message = (
            f"{len(uncompiled)} of {len(built)} models have no compiled SQL, {uncompiled[0].id} for one: their lineage "
            "is what depends_on says, without columns. Run `dbt compile` or `dbt docs generate` before ingesting."
        )
        return [FileProblem(FILE, "not_compiled", WARNING, message)]


def config_of(node: Node, adapter: str) -> dict[str, Any]:
    """How dbt loads a node, with the strategy that its adapter takes where the project names none."""
    config = dict(node.config)
    if config.get("materialized") == "incremental" and adapter in _DEFAULT_STRATEGY:
        config.setdefault("incremental_strategy", _DEFAULT_STRATEGY[adapter])
    return config


def _group_owners(manifest: Manifest) -> list[OwnerFact]:
    """Owners of groups are teams, whatever address they have."""
    return [
        OwnerFact(slug_of(email or name or group), (name or email or group)[:150], "team", email[:254], declared=True)
        for group, (name, email) in manifest.groups.items()
    ]


def _called(name: str, email: str) -> str:
    """An owner as `OwnerBook` reads one: `Ana <ana@x.org>`."""
    if "@" not in email:
        return name
    return f"{name} <{email}>" if name and "<" not in name else email


def _as_fact(test: DataTest) -> dict[str, Any]:
    """A test as it lies in the table's `ingested`, for checks to be proposed from."""
    return {
        "id": test.id,
        "test": test.test,
        "column": test.column,
        "arguments": dict(test.arguments),
        "severity": test.severity,
    }


def _tags(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(slug_of(name)[:100] for name in names))
