"""What a statement does, before the script decides what becomes of it."""

from dataclasses import dataclass, field
from typing import Any

from .relations import Flow, Item, Relation, Star, row_flows


@dataclass(slots=True)
class Write:
    """Rows or a definition put into one target.

    `columns` are the flows into named columns, `stars` those whose names are unknown, `rows` what every row depends on.
    """

    target: str
    columns: list[Item] = field(default_factory=list)
    stars: list[Star] = field(default_factory=list)
    rows: Flow = field(default_factory=dict)
    is_definition: bool = False  # the target now has exactly these columns
    is_temporary: bool = False
    made_of: Relation | None = None  # the query's result, column by column in the same places
    part: Any = None  # the INSERT that writes it, among several of one statement


@dataclass(slots=True)
class Effects:
    """All of one statement: what it is called, what it writes, and what it does to names."""

    kind: str
    writes: list[Write] = field(default_factory=list)
    renames: list[tuple[str, str]] = field(default_factory=list)
    swaps: list[tuple[str, str]] = field(default_factory=list)
    drops: list[str] = field(default_factory=list)
    result: Relation | None = None  # of a bare SELECT
    tree: Any = None
    notes: tuple[str, ...] = ()  # clock_rows, clock_value, random, limit: what a second run cannot repeat
    is_unread: bool = False
    body: int | None = None  # the quoted body that it stands in, where such a body is one transaction


def write_of(target: str, relation: Relation, items: list[Item | Star] | None = None, **more: Any) -> Write:
    """A write of a query's result under the names that `items` already have."""
    columns: list[Item] = []
    stars: list[Star] = []
    for item in relation.columns() if items is None else items:
        (stars if item.__class__ is Star else columns).append(item)  # type: ignore[arg-type]
    return Write(target, columns, stars, row_flows(relation), made_of=relation, **more)
