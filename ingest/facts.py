"""What a folder states, as small typed values: read without a database, passed between processes, then stored.

None (or an empty text) means that the folder does not say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What is wrong with a file; `line` counts from 1, `statement` from 0, as the engine counts them."""

    path: str
    code: str
    severity: str
    message: str
    line: int | None = None
    statement: int | None = None


@dataclass(frozen=True, slots=True)
class OwnerFact:
    """A person or team as a file names them; `team` is a team's slug."""

    slug: str
    name: str
    kind: str = "person"
    email: str = ""
    team: str = ""
    status: str = "active"


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


@dataclass(frozen=True, slots=True)
class ColumnFact:
    """A column; one that a schema lists has its place in the list, one that is only spoken of has none."""

    name: str
    type: str = ""
    description: str = ""
    is_primary_key: bool = False
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
    """A table; `facts` holds the model's fields that the folder states (kind, description, retention_days, …)."""

    source: str
    name: str
    facts: Mapping[str, object] = field(default_factory=dict)
    columns: tuple[ColumnFact, ...] = ()
    owners: Owned = Owned()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PipelineFact:
    """A pipeline; `facts` holds the model's fields that the folder states (kind, schedule, dag, …).

    `builds` is the table that a bare SELECT fills; `inputs` and `outputs`, as (source, table), are declared beside
    what its SQL says. Without a language it has no file of its own.
    """

    name: str
    path: str
    facts: Mapping[str, object] = field(default_factory=dict)
    owners: Owned = Owned()
    tags: tuple[str, ...] = ()
    builds: str = ""
    table_kind: str = ""
    language: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()


def digest(*parts: bytes | str) -> str:
    """A short digest of all parts, told apart by their lengths."""
    hasher = hashlib.blake2b(digest_size=20)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hasher.update(b"%d:" % len(data))
        hasher.update(data)
    return hasher.hexdigest()
