"""What an ingest states about the catalog, as small typed values: read without a database, then stored.

None (or an empty text) means that the ingest does not say. Imports no Django, so that worker processes stay light.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class OwnerFact:
    """A person or team as a file names them; `team` is a team's slug. One only named, not declared, changes nobody."""

    slug: str
    name: str
    kind: str = "person"
    email: str = ""
    team: str = ""
    status: str = "active"
    declared: bool = False


@dataclass(frozen=True, slots=True)
class SourceFact:
    """A system that holds data; names in SQL whose first part is one of `databases` belong to it."""

    slug: str
    name: str
    platform: str
    storage: str = "warehouse"
    dialect: str = ""
    description: str = ""
    databases: tuple[str, ...] = ()
    declared: bool = False


class ColumnFact(NamedTuple):
    """A column; one that a schema lists has its place in the list, one that is only spoken of has none.

    None says nothing about the type, the description or the key, where an empty text says that there is none. There
    are so many of them that a dataclass would take its time to make and to digest them.
    """

    name: str
    type: str | None = None
    description: str | None = None
    is_primary_key: bool | None = None
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Owned:
    """Slugs of owners by role."""

    business: tuple[str, ...] = ()
    technical: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.business or self.technical)


@dataclass(frozen=True, slots=True)
class TableFact:
    """A table; `facts` holds the model's fields that the folder states (kind, description, retention_days, …).

    One that is live was seen in its database: nobody knows its columns better.
    """

    source: str
    name: str
    facts: Mapping[str, object] = field(default_factory=dict)
    columns: tuple[ColumnFact, ...] = ()
    owners: Owned = Owned()
    tags: tuple[str, ...] = ()
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class Measures:
    """What a live database says of a table as it stands; None where it does not say."""

    row_count: int | None = None
    size_bytes: int | None = None
    source_created_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class PipelineFact:
    """A pipeline; `facts` holds the model's fields that the folder states (kind, schedule, dag, …).

    `builds` is the table that a bare SELECT fills, in the way that `config` says (see `lineage.sql.analyze`). `inputs`
    and `outputs`, as (source, table), are declared beside what its SQL says. Without a language it has no file of its
    own.
    """

    name: str
    path: str
    facts: Mapping[str, object] = field(default_factory=dict)
    owners: Owned = Owned()
    tags: tuple[str, ...] = ()
    builds: str = ""
    config: Mapping[str, str] = field(default_factory=dict)
    table_kind: str = ""
    language: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()
