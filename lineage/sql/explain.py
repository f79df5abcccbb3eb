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
from .relations import MISSING, PARSED, QueryRelation, Relation, Scope, Source, Star, TableRelation
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

    `table` is an output as `analyze` names it, "" for a bare SELECT; the other arguments are those of `analyze`.
    """
    run = start(sql, dialect, schema, default_database, default_schema, relations)
    trace = run.script.trace = Trace()
    run.read_all()
    teller = Teller(run, trace, split(run.rendered.sql, run.language))
    for record in run.script.records:
        if record.write.target == table and record.write.made_of is not None:
            names = [name for name, _, _ in record.write.columns]
            teller.tell_write(table, column, names, record.write.made_of)
    for _, result in run.results if not table else ():
        teller.tell(Source("", result), column, column, set())
    return tuple(reversed(list(dict.fromkeys(teller.steps))))


class Trace:
    """Which select item, read in which scope, makes each column of each query."""

    def __init__(self) -> None:
        self.items: dict[int, tuple[list[Any], Scope]] = {}
        self.kept: list[Relation] = []  # so that no identity is used twice

    def note(self, relation: QueryRelation, expressions: list[Any], scope: Scope) -> None:
        self.kept.append(relation)
        self.items[id(relation)] = (expressions, scope)


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
            return
        place = names.index(column)
        items = [item for item in relation.columns() if item.__class__ is not Star]
        name = items[place][0] if place < len(items) else column  # type: ignore[index]
        self.tell(Source(table, relation), name, column, set())

    def tell(self, source: Source, name: str, shown: str, seen: set[tuple[int, str]]) -> None:
        """Add the step of `source`.`name`, and before it (the list is turned in the end) those that it is made from."""
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
            self.steps.append(self.step(source.alias, shown, node, value, read))
            for inner, inner_name in read:
                self.tell(inner, inner_name, inner_name, seen)
            return
        for inner in scope.sources:  # through a star
            if inner.relation.find(name, PARSED) is not MISSING:
                self.tell(Source(source.alias, inner.relation), name, shown, seen)

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

    def step(self, alias: str, shown: str, node: Any, value: Any, read: list[tuple[Source, str]]) -> Step:
        start, end = self.place_of(node, value)
        text = self.run.rendered.sql
        reads = tuple(
            (source.relation.table if isinstance(source.relation, TableRelation) else source.alias, name)
            for source, name in read
        )
        expression = text[start:end] if end > start else value.sql(dialect=self.run.language.dialect)
        return Step(alias, shown, expression, start, end, self.run.script.line_at(start), reads)

    def place_of(self, node: Any, value: Any) -> tuple[int, int]:
        """The select item's place in the text: from the comma or keyword before it to that behind it."""
        mark = node.args["alias"] if isinstance(node, exp.Alias) else node
        name = next(iter(mark.find_all(exp.Identifier)), None)
        offset = name.meta.get("start") if name is not None else None
        for piece in self.pieces if offset is not None else ():
            starts = [token.start for token in piece.tokens]
            place = bisect_left(starts, offset)
            if place < len(starts) and starts[place] == offset and piece.tokens[place].text == name.name:  # type: ignore[union-attr]
                first, last = item_bounds(piece.tokens, place, isinstance(node, exp.Alias))
                return piece.offset + piece.tokens[first].start, piece.offset + piece.tokens[last].end + 1
        return 0, 0


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


OPENING = (TokenType.L_PAREN, TokenType.L_BRACKET)
CLOSING = (TokenType.R_PAREN, TokenType.R_BRACKET)


def item_bounds(tokens: list[Token], place: int, is_alias: bool) -> tuple[int, int]:
    """First and last token of a select item's expression, from its alias or from the first name in it."""
    if not is_alias:
        first = item_start(tokens, place, stops=BEFORE_ITEM)
        return first, item_end(tokens, first)
    last = place - 1
    if tokens[last].token_type is TokenType.ALIAS:
        last -= 1
    return item_start(tokens, last, stops=(*BEFORE_ITEM, *OPENING)), last


def item_start(tokens: list[Token], place: int, stops: tuple[TokenType, ...]) -> int:
    """Back to the comma or keyword before the item; brackets that close on the way are passed over."""
    depth = 0
    while place > 0:
        kind = tokens[place].token_type
        depth += (kind in CLOSING) - (kind in OPENING and depth > 0)
        if depth == 0 and tokens[place - 1].token_type in stops:
            break
        place -= 1
    return place


def item_end(tokens: list[Token], place: int) -> int:
    """On to the comma, keyword or bracket behind the item."""
    depth = 0
    while place + 1 < len(tokens):
        kind = tokens[place].token_type
        depth += (kind in OPENING) - (kind in CLOSING)
        after = tokens[place + 1].token_type
        if depth == 0 and (after in AFTER_ITEM or after in CLOSING):
            break
        place += 1
    return place


BEFORE_ITEM = (TokenType.COMMA, TokenType.SELECT, TokenType.DISTINCT)
AFTER_ITEM = (TokenType.COMMA, TokenType.FROM, TokenType.INTO, TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT)
