"""What a query can read: tables, sub-queries, array elements; and how a column of theirs is found.

A *flow* says where a value comes from: {(table, column, path, mode): basis}. A *mode* is how the source is used, as a
number that grows with strength, and a *basis* is how sure its table is, as a number that grows with doubt.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from .model import BASES, KINDS

Flow = dict[tuple[str, str, str | None, int], int]
Item = tuple[str, Flow, Any]  # name, flow, type (a name, a sqlglot DataType, or None)

IDENTITY, TRANSFORMATION, AGGREGATION, CONDITIONAL, WINDOW, FILTER, JOIN, GROUP_BY, SORT = range(len(KINDS))
PARSED, SCHEMA, ONLY_CANDIDATE = range(len(BASES))

# Three empty flows, told apart by identity: a value without a source, no such column, and one of several columns.
NOTHING: Flow = {}
MISSING: Flow = {}
AMBIGUOUS: Flow = {}


def add_flow(sink: Flow, flow: Flow, mode: int) -> None:
    """Add what `flow` reads to `sink`, used as `mode`: the stronger of two direct kinds wins, indirect ones stay."""
    if mode == IDENTITY:
        sink.update(flow)
    elif mode <= AGGREGATION:
        for (table, column, path, kind), basis in flow.items():
            sink[table, column, path, kind if kind > mode else mode] = basis
    elif mode <= WINDOW:
        for (table, column, path, kind), basis in flow.items():
            sink[table, column, path, kind if kind > AGGREGATION else mode] = basis
    else:
        for (table, column, path, _), basis in flow.items():
            sink[table, column, path, mode] = basis


def used_as(flow: Flow, mode: int) -> Flow:
    """The flow of a value made from that flow's value."""
    if mode == IDENTITY:
        return flow
    sink: Flow = {}
    if flow.__class__ is StructFlow:
        fields = flow.fields.items()  # type: ignore[attr-defined]
        sink = StructFlow({name: used_as(field, mode) for name, field in fields})
    add_flow(sink, flow, mode)
    return sink


class StructFlow(Flow):
    """The flow of a struct that the query builds, with those of its fields."""

    __slots__ = ("fields",)

    def __init__(self, fields: dict[str, Flow]) -> None:
        super().__init__()
        for flow in fields.values():
            add_flow(self, flow, TRANSFORMATION)
        self.fields = fields


def below(flow: Flow, path: str) -> Flow:
    """The flow of a field of a struct: a.b -> the same source, one step deeper, or what the field was built from."""
    if flow.__class__ is StructFlow:
        name, _, rest = path.partition(".")
        found = flow.fields.get(name, NOTHING)  # type: ignore[attr-defined]
        return below(found, rest) if rest and found else found
    return {
        (table, column, f"{before}.{path}" if before else path, mode): basis
        for (table, column, before, mode), basis in flow.items()
    }


def merged(flows: Iterable[Flow]) -> Flow:
    """One flow of several; shares the only one."""
    distinct = [flow for flow in flows if flow]
    if len(distinct) < 2:
        return distinct[0] if distinct else NOTHING
    sink: Flow = {}
    for flow in distinct:
        sink.update(flow)
    return sink


class Star:
    """Columns that are not known by name: those of `relation`, save the hidden ones.

    `others` are the further branches of a UNION: a column comes from all of them.
    """

    __slots__ = ("hidden", "others", "relation")

    def __init__(self, relation: "Relation", hidden: frozenset[str] = frozenset(), others: tuple["Star", ...] = ()):
        self.relation = relation
        self.hidden = hidden
        self.others = others

    def without(self, names: frozenset[str]) -> "Star":
        return Star(self.relation, self.hidden | names, tuple(other.without(names) for other in self.others))

    def find(self, name: str) -> Flow:
        if name in self.hidden:
            return MISSING
        found = self.relation.find(name, ONLY_CANDIDATE)
        return merged([found, *(other.find(name) for other in self.others)]) if self.others else found

    def flow(self) -> Flow:
        """The whole of it, as the column "*" of its tables."""
        return merged([self.relation.whole(), *(other.flow() for other in self.others)])


class Relation:
    """Something with columns. `rows` are the row-wide flows of reading it, beside those of the relations in `reads`."""

    __slots__ = ("names", "reads", "rows")

    is_open = False  # there may be columns that are not known by name

    def __init__(self, names: Container[str]) -> None:
        self.names = names  # the columns known by name
        self.rows: Flow = NOTHING
        self.reads: Sequence[Relation] = ()

    def find(self, name: str, basis: int) -> Flow:
        """The flow of that column, MISSING or AMBIGUOUS; `basis` counts where a table's own column is meant."""
        raise NotImplementedError

    def type_of(self, name: str) -> Any:
        return None

    def columns(self) -> list[Item | Star]:
        """All of it, in order, as SELECT * would."""
        raise NotImplementedError

    def whole(self) -> Flow:
        """The flow of the row as one value."""
        return merged(part.flow() if part.__class__ is Star else part[1] for part in self.columns())  # type: ignore[union-attr,index]

    def fields(self, flow: Flow, path: str) -> Flow:
        return below(flow, path)


class TableRelation(Relation):
    """A table that outlives the script; `known` are its columns and types when a schema has them."""

    __slots__ = ("is_open", "known", "pseudo", "table")

    def __init__(self, table: str, known: dict[str, Any] | None, pseudo: frozenset[str]) -> None:
        super().__init__(known or ())
        self.table = table
        self.known = known
        self.is_open = known is None
        self.pseudo = pseudo

    def find(self, name: str, basis: int) -> Flow:
        if self.known is None or name in self.known or name in self.pseudo:
            return {(self.table, name, None, IDENTITY): basis}
        return MISSING

    def type_of(self, name: str) -> Any:
        return self.known.get(name) if self.known else None

    def columns(self) -> list[Item | Star]:
        if self.known is None:
            return [Star(self)]
        return [(name, {(self.table, name, None, IDENTITY): SCHEMA}, kind) for name, kind in self.known.items()]

    def whole(self) -> Flow:
        if self.known is None:
            return {(self.table, "*", None, IDENTITY): PARSED}
        return super().whole()


class QueryRelation(Relation):
    """The result of a query or a CTE: named columns, and stars that could not be expanded."""

    __slots__ = ("index", "is_open", "items", "made_of", "sources", "stars")

    def __init__(self, items: list[Item | Star]) -> None:
        super().__init__(())
        self.items = items
        self.made_of: tuple[Relation, ...] = ()  # relations of the same columns in the same places
        self.sources: Sequence[Source] = ()  # of the SELECT that gives it
        self.build_index()

    def build_index(self) -> None:
        """To be called after `items` changed."""
        self.index: dict[str, Item] = {}
        self.stars: list[Star] = []
        for item in self.items:
            if item.__class__ is Star:
                self.stars.append(item)  # type: ignore[arg-type]
            else:
                self.index.setdefault(item[0], item)  # type: ignore[index,arg-type]
        self.names = self.index
        self.is_open = bool(self.stars)

    def find(self, name: str, basis: int) -> Flow:
        item = self.index.get(name)
        if item is not None:
            return item[1]
        if not self.stars:
            return MISSING
        found = [flow for flow in (star.find(name) for star in self.stars) if flow is not MISSING]
        return found[0] if len(found) == 1 else AMBIGUOUS if found else MISSING

    def type_of(self, name: str) -> Any:
        item = self.index.get(name)
        return item[2] if item else None

    def columns(self) -> list[Item | Star]:
        return self.items


def combine_rest(rest: list[list[Item | Star]]) -> list[Item | Star]:
    """What follows where positions are lost: each named column with its namesakes, and one star of all branches."""
    tails = [QueryRelation(items) for items in rest]
    names = dict.fromkeys(name for tail in tails for name in tail.index)
    found = {name: [tail.index[name][1] for tail in tails if name in tail.index] for name in names}
    items: list[Item | Star] = [(name, merged(flows), None) for name, flows in found.items()]
    stars = [star for tail in tails for star in tail.stars]
    if not stars:
        return items
    hidden = frozenset(names)
    first, *others = [star.without(hidden) for star in stars]
    return [*items, Star(first.relation, first.hidden, (*first.others, *others))]


class TempRelation(QueryRelation):
    """A temp table: what the script read to fill it, what no run can repeat of it, the statements that filled it."""

    __slots__ = ("inputs", "notes", "trees")

    def __init__(self, items: list[Item | Star]) -> None:
        super().__init__(items)
        self.inputs: set[str] = set()
        self.notes: dict[str, None] = {}
        self.trees: list[Any] = []


class ValueRelation(Relation):
    """Elements of an array, rows of a function: any column asked of it is a part of the one value it is made from."""

    __slots__ = ("flow", "is_open", "known", "with_path")

    def __init__(self, flow: Flow, known: dict[str, Flow], is_open: bool, with_path: bool) -> None:
        super().__init__(known)
        self.flow = flow
        self.known = known  # in order
        self.is_open = is_open
        self.with_path = with_path  # a column is a field of the value, not an unknown function of it

    def find(self, name: str, basis: int) -> Flow:
        if name in self.known:
            return self.known[name]
        if not self.is_open:
            return MISSING
        return below(self.flow, name) if self.with_path else self.flow

    def columns(self) -> list[Item | Star]:
        named: list[Item | Star] = [(name, flow, None) for name, flow in self.known.items()]
        if not named and self.flow.__class__ is StructFlow:
            return [(name, flow, None) for name, flow in self.flow.fields.items()]  # type: ignore[attr-defined]
        return [*named, Star(self)] if self.is_open and not named else named

    def whole(self) -> Flow:
        return merged([self.flow, *self.known.values()])


EMPTY: dict[str, Any] = {}  # never written to


class Source:
    """A relation under the name that a FROM clause gives it; `path` is the full name's parts, for db.table.column."""

    __slots__ = ("alias", "in_star", "path", "relation")

    def __init__(self, alias: str, relation: Relation, path: tuple[str, ...] = (), in_star: bool = True) -> None:
        self.alias = alias
        self.relation = relation
        self.path = path
        self.in_star = in_star


class Scope:
    """What names mean inside one SELECT, and what the SELECT does to every row."""

    __slots__ = ("aliases", "alias_use", "cache", "ctes", "joined", "parent", "reads", "rows", "sources", "windows")

    def __init__(self, parent: "Scope | None", ctes: dict[str, Relation]) -> None:
        self.parent = parent
        self.ctes = ctes
        self.sources: list[Source] = []
        self.rows: Flow = {}
        self.reads: list[Relation] = []
        self.cache: dict[str, Flow] = {}  # unqualified names already resolved to a source
        self.joined: dict[str, Flow] = EMPTY  # columns merged by USING
        self.aliases: dict[str, Flow] = {}  # select items so far
        self.alias_use = 0  # whether a clause may use them: see below
        self.windows: dict[str, Any] = EMPTY

    def add(self, source: Source) -> None:
        self.sources.append(source)
        self.reads.append(source.relation)

    def by_alias(self, alias: str) -> Source | None:
        for source in self.sources:
            if source.alias == alias:
                return source
        return None

    def upward(self) -> Iterator["Scope"]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


NO_ALIASES, ALIASES_LAST, ALIASES_FIRST = 0, 1, 2  # against columns of the sources


def row_flows(relation: Relation) -> Flow:
    """The row-wide flows of all that a relation was made from."""
    rows: Flow = {}
    seen = {id(relation)}
    waiting = [relation]
    while waiting:
        current = waiting.pop()
        if current.rows:
            rows.update(current.rows)
        for read in current.reads:
            if id(read) not in seen:
                seen.add(id(read))
                waiting.append(read)
    return rows
