"""Node ids: the names by which pages, REST and exports speak of a table, a pipeline or a column.

`table:<source>:<name>`, `pipeline:<name>`, `column:<source>:<table>:<column>`, each part percent-encoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

from catalog.models import Column, Pipeline, Table

_FORMS = "table:<source>:<name>, pipeline:<name> or column:<source>:<table>:<column>"


@dataclass(frozen=True)
class NodeId:
    """A table, pipeline or column by name. `name` is the table's or pipeline's; `source` and `column` may be empty."""

    kind: Literal["table", "pipeline", "column"]
    name: str
    source: str = ""
    column: str = ""

    @classmethod
    def parse(cls, text: str) -> NodeId:
        """The node id that `text` spells; ValueError says what is wrong with it.

        >>> NodeId.parse("table:shop:main.orders")
        NodeId(kind='table', name='main.orders', source='shop', column='')
        """
        if "\0" in unquote(text):
            raise ValueError("A node id cannot hold the character NUL.")  # PostgreSQL refuses it as well
        kind, _, rest = text.partition(":")
        source, _, name = rest.partition(":")
        table, _, column = name.partition(":")
        if kind == "pipeline" and rest:
            return cls("pipeline", unquote(rest))
        if kind == "table" and source and name:
            return cls("table", unquote(name), unquote(source))
        if kind == "column" and source and table and column:
            return cls("column", unquote(table), unquote(source), unquote(column))
        raise ValueError(f"{text!r} is not a node id: write {_FORMS}, with ':' inside a name as %3A.")

    def __str__(self) -> str:
        return ":".join([self.kind, *(quote(part, safe="") for part in self._parts())])

    def _parts(self) -> list[str]:
        return [part for part in (self.source, self.name, self.column) if part]


def find(node_id: NodeId) -> Table | Pipeline | Column:
    """The thing of that name, by one query; LookupError says what is not there."""
    found: Table | Pipeline | Column | None
    if node_id.kind == "pipeline":
        found = Pipeline.objects.filter(name=node_id.name).first()
    elif node_id.kind == "table":
        found = Table.objects.select_related("source").filter(source__slug=node_id.source, name=node_id.name).first()
    else:
        columns = Column.objects.select_related("table__source").filter(name=node_id.column)
        found = columns.filter(table__source__slug=node_id.source, table__name=node_id.name).first()
    if found is None:
        raise LookupError(f"There is no {_in_words(node_id)}.")
    return found


def _in_words(node_id: NodeId) -> str:
    if node_id.kind == "pipeline":
        return f"pipeline {node_id.name}"
    table = f"table {node_id.name} in source {node_id.source}"
    return f"column {node_id.column} of {table}" if node_id.kind == "column" else table
