"""Rows for tests: each maker takes only what the test cares about and invents the rest."""

from __future__ import annotations

import datetime as dt
from itertools import count
from typing import Any

from catalog.models import Column, Origin, Owner, Ownership, Pipeline, Role, Run, SchemaChange, Source, Table, User
from lineage.models import EdgeOrigin, Problem, SqlVersion, TableEdge

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
_number = count(1)


def make_user(role: str = Role.VIEWER, owner: Owner | None = None, **facts: Any) -> User:
    """A person who can sign in; `owner` says which owner they are."""
    username = facts.pop("username", f"person{next(_number)}")
    return User.objects.create_user(username, password="correct horse", role=role, owner=owner, **facts)


def make_owner(name: str = "", **facts: Any) -> Owner:
    number = next(_number)
    facts.setdefault("slug", f"owner-{number}")
    return Owner.objects.create(name=name or f"Owner {number:04}", **facts)


def make_source(slug: str = "", **facts: Any) -> Source:
    slug = slug or f"source-{next(_number)}"
    return Source.objects.create(**{"slug": slug, "name": slug.title(), "platform": "duckdb", **facts})


def make_table(
    name: str = "", source: Source | None = None, owner: Owner | None = None, role: str = "technical", **facts: Any
) -> Table:
    """A table, of the source "warehouse" unless told otherwise; `owner` holds it in `role`, stated by a person."""
    if source is None:
        source, _ = Source.objects.get_or_create(
            slug="warehouse", defaults={"name": "Warehouse", "platform": "duckdb", "dialect": "duckdb"}
        )
    table = Table.objects.create(source=source, name=name or f"shop.table_{next(_number):04}", **facts)
    if owner is not None:
        own(table, owner, role)
    return table


def make_column(name: str = "", table: Table | None = None, **facts: Any) -> Column:
    return Column.objects.create(table=table or make_table(), name=name or f"column_{next(_number):04}", **facts)


def make_schema_change(table: Table | None = None, **facts: Any) -> SchemaChange:
    facts = {"change": SchemaChange.Change.DROPPED, "column": "total", "before": "INTEGER", **facts}
    return SchemaChange.objects.create(table=table or make_table(), **facts)


def make_pipeline(name: str = "", owner: Owner | None = None, role: str = "technical", **facts: Any) -> Pipeline:
    """A pipeline; `owner` holds it in `role`, stated by a person."""
    pipeline = Pipeline.objects.create(name=name or f"shop.pipeline_{next(_number):04}", **facts)
    if owner is not None:
        own(pipeline, owner, role)
    return pipeline


def own(thing: Table | Pipeline, owner: Owner, role: str = "technical", origin: str = Origin.PERSON) -> Ownership:
    return Ownership.objects.create(owner=owner, role=role, origin=origin, **{thing._meta.model_name: thing})


def make_run(pipeline: Pipeline | None = None, **facts: Any) -> Run:
    facts = {"external_id": f"run-{next(_number)}", "state": Run.State.SUCCEEDED, "started_at": NOON, **facts}
    return Run.objects.create(pipeline=pipeline or make_pipeline(), **facts)


def make_edge(pipeline: Pipeline, source: Table | None = None, target: Table | None = None, **facts: Any) -> TableEdge:
    """A current edge: `pipeline` carries data of `source` to `target`."""
    facts = {"origin": EdgeOrigin.DECLARED, "valid_from": NOON, **facts}
    return TableEdge.objects.create(pipeline=pipeline, source_table=source, target_table=target, **facts)


def make_sql_version(pipeline: Pipeline, sql: str = "select 1", **facts: Any) -> SqlVersion:
    digest = f"{next(_number):064}"
    return SqlVersion.objects.create(pipeline=pipeline, sql=sql, **{"digest": digest, "key": digest, **facts})


def make_problem(pipeline: Pipeline | None = None, **facts: Any) -> Problem:
    facts = {"scope": "demo", "code": "parse_error", "severity": "error", "message": "Cannot be read.", **facts}
    return Problem.objects.create(pipeline=pipeline, **facts)
