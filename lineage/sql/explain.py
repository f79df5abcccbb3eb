"""`explain`: the chain of expressions that makes one output column, from its sources to the target.

CREATE TABLE u AS WITH c AS (SELECT SUM(x) AS s FROM t) SELECT s * 2 AS d FROM c
explain(…, "u", "d"):   c.s = SUM(x) from t.x   ->   u.d = s * 2 from c.s
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.tokens import Token, TokenType

from .engine import Run, start
from .reader import is_end
from .relations import MISSING, PARSED, QueryRelation, Relation, Scope, Source, Star, TableRelation
from .render import World
from .tokens import Piece, split

MAX_STEPS = 200


@dataclass(frozen=True, slots=True)
class Step:
    """One expression of the chain: `relation`.`column` = `expression`, made from `reads`.

    `relation` is a CTE's, sub-query's or temp table's name, or the target's; `start` and `end` are offsets into the
    rendered text. `reads` are (relation, column), tables by their full name.
    """

    relation: str
    column: str
    expression: str
    start: int
    end: int
    line: int
    reads: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "relation": self.relation,
            "column": self.column,
            "expression": self.expression,
            "start": self.start,
            "end": self.end,
            "line": self.line,
            "reads": [list(pair) for pair in self.reads],
        }


def explain(
    sql: str,
    table: str,
    column: str,
    dialect: str | None = None,
    schema: Any = None,
    default_database: str | None = None,
    default_schema: str | None = None,
    *,
    relations: Mapping[str, str] | None = None,
) -> tuple[Step, ...]:
    """The steps that lead to `table`.`column`, sources first; () when the SQL makes no such column.

    `table` is an output as `analyze` names it or by a longer name that ends so ("db.u" for an output "u"). Where no
    statement writes it, or it is "", the column is that of a bare SELECT. The other arguments are those of `analyze`.
    """
    run = start(sql, World(relations or {}, dialect=dialect or ""), schema, default_database, default_schema)
    trace = run.script.trace = Trace()
    run.read_all()
    teller = Teller(run, trace, split(run.rendered.sql, run.language))
    for record in run.script.records:
        target = record.write.target
        if target != table and not is_end(target, table):
            continue
        if record.write.made_of is not None:
            names = [name for name, _, _ in record.write.columns]
            teller.tell_write(table, column, names, record.write.made_of)
        for assigned in trace.assigned.get(id(record.write), ()):
            teller.tell_assigned(table, column, assigned)
    for _, result in run.results if not teller.steps else ():
        teller.tell(Source("", result), column, column, set())
    return tuple(dict.fromkeys(teller.steps))


@dataclass(frozen=True, slots=True)
class Assigned:
    """SET `column` = `value`, read in `scope`; of a star, `value` is a relation whose columns are all taken by name."""

    column: str
    value: Any
    scope: Scope


class Trace:
    """Which select item, read in which scope, makes each column of each query, and what UPDATE and MERGE assign."""

    def __init__(self) -> None:
        self.items: dict[int, tuple[list[Any], Scope]] = {}
        self.assigned: dict[int, list[Assigned]] = {}
        self.kept: list[Any] = []  # so that no identity is used twice

    def note(self, relation: QueryRelation, expressions: list[Any], scope: Scope) -> None:
        self.kept.append(relation)
        self.items[id(relation)] = (expressions, scope)

    def note_assigned(self, write: Any, column: str, value: Any, scope: Scope) -> None:
        self.kept.append(write)
        self.assigned.setdefault(id(write), []).append(Assigned(column, value, scope))


class Teller:
    """Walks from a column back to its sources."""

    def __init__(self, run: Run, trace: Trace, pieces: list[Piece]) -> None:
        self.run = run
        self.trace = trace
        self.pieces = pieces
        self.steps: list[Step] = []

    def tell_write(self, table: str, column: str, names: list[str], relation: Relation) -> None:
        """The target's column by its place in the query, since the target may name it otherwise."""
        if column not in names:
            self.tell(Source(table, relation), column, column, set())
            return
        place = names.index(column)
        items = [item for item in relation.columns() if item.__class__ is not Star]
        name = items[place][0] if place < len(items) else column  # type: ignore[index]
        self.tell(Source(table, relation), name, column, set())

    def tell_assigned(self, table: str, column: str, assigned: Assigned) -> None:
        """A branch of MERGE, or a SET of UPDATE: `value` is an expression, or the relation of a star."""
        if isinstance(assigned.value, Relation):
            self.tell_star(table, column, Source("", assigned.value), set())
        elif assigned.column == column:
            read = self.sources_of(assigned.value, assigned.scope)
            for inner, inner_name in read:
                self.tell(inner, inner_name, inner_name, set())
            self.steps.append(self.step(table, column, assigned.value, assigned.value, read, is_assigned=True))

    def tell_star(self, alias: str, name: str, inner: Source, seen: set[tuple[int, str]]) -> None:
        """A column that comes through a star: straight from a table, or made further inside."""
        relation = inner.relation
        if isinstance(relation, TableRelation):
            self.steps.append(Step(alias, name, "*", 0, 0, 0, ((relation.table, name),)))
        elif relation.find(name, PARSED) is not MISSING:
            self.tell(Source(alias, relation), name, name, seen)

    def tell(self, source: Source, name: str, shown: str, seen: set[tuple[int, str]]) -> None:
        """Add the steps that `source`.`name` is made from, and behind them its own."""
        relation = source.relation
        key = (id(relation), name)
        if key in seen or len(self.steps) >= MAX_STEPS or isinstance(relation, TableRelation):
            return
        seen = seen | {key}
        traced = self.trace.items.get(id(relation))
        if traced is not None:
            self.tell_item(source, name, shown, seen, *traced)
            return
        for part in getattr(relation, "made_of", ()):
            self.tell(Source(source.alias, part), self.same_place(relation, part, name), shown, seen)

    def same_place(self, relation: Relation, part: Relation, name: str) -> str:
        """What a branch of a UNION, or a query under other names, itself calls the column."""
        names = [item[0] for item in relation.columns() if item.__class__ is not Star]  # type: ignore[index]
        others = [item[0] for item in part.columns() if item.__class__ is not Star]  # type: ignore[index]
        place = names.index(name) if name in names else -1
        return others[place] if 0 <= place < len(others) else name

    def tell_item(
        self, source: Source, name: str, shown: str, seen: set[tuple[int, str]], nodes: list[Any], scope: Scope
    ) -> None:
        node = self.item_named(source.relation, name, nodes)
        if node is not None:
            value = node.this if isinstance(node, exp.Alias) else node
            read = self.sources_of(value, scope)
            for inner, inner_name in read:
                self.tell(inner, inner_name, inner_name, seen)
            self.steps.append(self.step(source.alias, shown, node, value, read))
            return
        if any(is_star(item) for item in nodes):
            for inner in self.star_sources(name, scope):
                self.tell_star(source.alias, name, inner, seen)

    def star_sources(self, name: str, scope: Scope) -> list[Source]:
        """The sources that a star takes the column from: those that have it by name, else the only one there is."""
        known = [source for source in scope.sources if name in source.relation.names]
        return known or (scope.sources if len(scope.sources) == 1 else [])

    def item_named(self, relation: Relation, name: str, nodes: list[Any]) -> Any:
        """The select item that makes the column: by its name, else by its place where no star shifts it."""
        for node in nodes:
            if is_named(node, name, self.run.language.column):
                return node
        names = [item[0] for item in relation.columns() if item.__class__ is not Star]  # type: ignore[index]
        return nodes[names.index(name)] if name in names and len(names) == len(nodes) else None

    def sources_of(self, node: Any, scope: Scope) -> list[tuple[Source, str]]:
        """(source, column) of each column that an expression names."""
        found: list[tuple[Source, str]] = []
        for part in node.find_all(exp.Column):
            if isinstance(part.this, exp.Identifier):
                source = source_of(part, scope, self.run)
                if source is not None:
                    found.append((source, self.run.language.column(part.this)))
        return list({(id(source), name): (source, name) for source, name in found}.values())

    def step(
        self, alias: str, shown: str, node: Any, value: Any, read: list[tuple[Source, str]], is_assigned: bool = False
    ) -> Step:
        start, end = self.place_of(node, is_assigned)
        text = self.run.rendered.sql
        reads = tuple(
            (source.relation.table if isinstance(source.relation, TableRelation) else source.alias, name)
            for source, name in read
        )
        expression = text[start:end] if end > start else value.sql(dialect=self.run.language.dialect)
        return Step(alias, shown, expression, start, end, self.run.script.line_at(start), reads)

    def place_of(self, node: Any, is_assigned: bool) -> tuple[int, int]:
        """The expression's place in the text: from the comma or keyword before it to that behind it."""
        mark = node.args["alias"] if isinstance(node, exp.Alias) else node
        named = [name for name in mark.find_all(exp.Identifier) if "start" in name.meta]
        name = min(named, key=lambda name: name.meta["start"], default=None)
        offset = name.meta["start"] if name is not None else None
        for piece in self.pieces if offset is not None else ():
            starts = [token.start for token in piece.tokens]
            place = bisect_left(starts, offset)
            if place < len(starts) and starts[place] == offset and piece.tokens[place].text == name.name:  # type: ignore[union-attr]
                first, last = (
                    assigned_bounds(piece.tokens, place)
                    if is_assigned
                    else item_bounds(piece.tokens, place, isinstance(node, exp.Alias))
                )
                return piece.offset + piece.tokens[first].start, piece.offset + piece.tokens[last].end + 1
        return 0, 0


def is_star(node: Any) -> bool:
    return isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star))


def is_named(node: Any, name: str, column: Any) -> bool:
    """The select item makes the column of that name."""
    if isinstance(node, exp.Alias):
        return bool(column(node.args["alias"]) == name)
    last = node.expression if isinstance(node, exp.Dot) else node.this
    return isinstance(last, exp.Identifier) and column(last) == name


def source_of(node: exp.Column, scope: Scope, run: Run) -> Source | None:
    """The source in scope that a column is read from, as the resolver finds it."""
    column = run.language.column
    name = column(node.this)
    qualifier = node.args.get("table")
    for level in scope.upward():
        if qualifier is not None:
            source = level.by_alias(column(qualifier))
            if source is not None:
                return source
            continue
        known = [source for source in level.sources if name in source.relation.names]
        found = known or [s for s in level.sources if s.relation.find(name, PARSED) is not MISSING]
        if len(found) == 1:
            return found[0]
    return None


OPENING = (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.CASE)
CLOSING = (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.END)


def item_bounds(tokens: list[Token], place: int, is_alias: bool) -> tuple[int, int]:
    """First and last token of a select item's expression, from its alias or from the first name in it."""
    if not is_alias:
        first = item_start(tokens, place, stops=BEFORE_ITEM)
        return first, item_end(tokens, first, AFTER_ITEM)
    last = place - 1
    if tokens[last].token_type is TokenType.ALIAS:
        last -= 1
    return item_start(tokens, last, stops=(*BEFORE_ITEM, *OPENING)), last


def assigned_bounds(tokens: list[Token], place: int) -> tuple[int, int]:
    """First and last token of what SET or VALUES gives to a column, from the first name in it."""
    first = item_start(tokens, place, stops=BEFORE_ASSIGNED)
    kinds = [token.token_type for token in tokens[first:place]]
    if TokenType.EQ in kinds:
        first += kinds.index(TokenType.EQ) + 1
    elif first and tokens[first - 1].text.upper() in BEFORE_ASSIGNED:
        first += tokens[first].token_type is TokenType.L_PAREN
    return first, item_end(tokens, first, AFTER_ASSIGNED)


def item_start(tokens: list[Token], place: int, stops: tuple[Any, ...]) -> int:
    """Back to the comma or keyword before the item; brackets that close on the way are passed over."""
    depth = 0
    while place > 0:
        kind = tokens[place].token_type
        depth += (kind in CLOSING) - (kind in OPENING and depth > 0)
        before = tokens[place - 1]
        if depth == 0 and (before.token_type in stops or before.text.upper() in stops):
            break
        place -= 1
    return place


def item_end(tokens: list[Token], place: int, stops: tuple[TokenType, ...]) -> int:
    """On to the comma, keyword or bracket behind the item."""
    depth = 0
    while place + 1 < len(tokens):
        kind = tokens[place].token_type
        depth += (kind in OPENING) - (kind in CLOSING)
        after = tokens[place + 1].token_type
        if depth == 0 and (after in stops or after in CLOSING):
            break
        place += 1
    return place


BEFORE_ITEM = (TokenType.COMMA, TokenType.SELECT, TokenType.DISTINCT)
AFTER_ITEM = (TokenType.COMMA, TokenType.FROM, TokenType.INTO, TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT)
BEFORE_ASSIGNED = (TokenType.COMMA, "SET", "VALUES")  # words, since to some dialects they are names
AFTER_ASSIGNED = (TokenType.COMMA, TokenType.FROM, TokenType.WHEN, TokenType.WHERE, TokenType.SEMICOLON)
