"""What the reading of one statement needs and finds: the dialect, known columns, tables read, problems."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError

from .dialects import Language
from .model import WARNING, Problem
from .relations import Flow, Relation


class Schemas:
    """Columns of tables by name, whatever form the caller has them in."""

    def __init__(self, schema: Any, language: Language) -> None:
        self._language = language
        self._found: dict[str, dict[str, Any] | None] = {}
        self._ask: Callable[[str], Mapping[str, Any] | None] | None = getattr(schema, "columns", None)
        self._given: Mapping[str, Any] = {}
        self._tables: dict[str, Any] | None = None  # all of them in normal form, once a name is not found as it is
        if isinstance(schema, Mapping):
            self._ask = None
            self._given = schema

    def columns(self, table: str) -> dict[str, Any] | None:
        """{column: type or None} in order, or None when the table's columns are unknown."""
        if table not in self._found:
            raw = self._ask(table) if self._ask else self._look_up(table)
            self._found[table] = read_columns(raw, self._language)
        return self._found[table]

    def _look_up(self, table: str) -> Any:
        """By the full name, else by the one known name of which either is the other's end: 't' is 'db.t'."""
        if not self._given:
            return None
        found = self._given.get(table)
        if found and not is_level(found):
            return found
        if self._tables is None:
            normal = str if self._language.rules.tables_keep_case else self._language.fold
            self._tables = {normal(name): columns for name, columns in flat(self._given)}
        found = self._tables.get(table)
        if found is not None:
            return found
        ends = [columns for name, columns in self._tables.items() if is_end(name, table) or is_end(table, name)]
        return ends[0] if len(ends) == 1 else None


def is_level(inner: Any) -> bool:
    """Tables by name, not columns by name."""
    return isinstance(inner, dict) and isinstance(next(iter(inner.values()), None), dict)


def is_end(name: str, of: str) -> bool:
    return of.endswith(name) and of[-len(name) - 1 : -len(name)] == "."


def flat(schema: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """{"db": {"t": {"c": "INT"}}} and {"db.t": {"c": "INT"}} -> [("db.t", {"c": "INT"})]"""
    tables: list[tuple[str, Any]] = []
    for name, inner in schema.items():
        if is_level(inner):
            tables += [(f"{name}.{rest}", columns) for rest, columns in flat(inner)]
        else:
            tables.append((str(name), inner))
    return tables


def read_columns(raw: Any, language: Language) -> dict[str, Any] | None:
    """Columns in normal form from {name: type}, [(name, type)] or [name]."""
    if not raw:
        return None
    fold = language.fold
    if isinstance(raw, dict):
        names = "\n".join(raw)
        return raw if fold(names) == names else {fold(name): kind for name, kind in raw.items()}
    if isinstance(raw, Mapping):
        return {fold(str(name)): kind for name, kind in raw.items()}
    pairs = [(column, None) if isinstance(column, str) else tuple(column)[:2] for column in raw]
    return {fold(str(name)): kind for name, kind in pairs}


class Reader:
    """Reads one statement: resolves its names and keeps what it finds on the way."""

    def __init__(self, language: Language, script: Any, number: int, in_body: bool = False) -> None:
        self.in_body = in_body  # of a routine, quoted
        self.language = language
        self.rules = language.rules
        self.column = language.column
        self.trace = script.trace
        self.has_template = script.has_template
        self.script = script  # the statements before this one: temp tables, variables, defaults, schemas
        self.number = number
        self.inputs: set[str] = set()
        self.problems: dict[tuple[str, str], Problem] = {}
        self.notes: dict[str, None] = {}  # what a second run cannot repeat
        self.written: list[Any] = []  # what data-modifying CTEs write

    def warn(self, code: str, message: str, node: Any = None) -> None:
        """Note a warning, once per code and message, at the line of `node`."""
        if (code, message) not in self.problems:
            line = self.script.line_of(node)
            self.problems[code, message] = Problem(code, WARNING, message, self.number, line)

    def variable(self, name: str) -> Flow | None:
        """The flow of a script variable; one that was set from the clock carries the clock along."""
        flow: Flow | None = self.script.variables.get(name)
        if flow is not None:
            self.notes.update(self.script.variable_notes.get(name, {}))
        return flow

    def relation_of(self, node: exp.Table) -> tuple[Relation, tuple[str, ...]]:
        """The table a FROM clause names, temp or not, and the parts of its name as columns are folded."""
        return self.script.relation_of(self, node)


def table_parts(node: Any, language: Language) -> list[str]:
    """The parts of a table's name, in normal form and in order."""
    args = node.args
    this = args.get("this")
    if this.__class__ is exp.Identifier and args.get("db") is None:
        return [language.part(this)]
    parts = [language.part(args[key]) for key in ("catalog", "db") if args.get(key)]
    while this.__class__ is exp.Dot:  # a name of four parts
        parts.append(language.part(this.this))
        this = this.expression
    return [*parts, language.part(this)]


def path_nodes(table: exp.Table) -> list[Any]:
    """The nodes of a name's parts, in order."""
    args = table.args
    nodes = [args[key] for key in ("catalog", "db") if args.get(key)]
    this = args["this"]
    while this.__class__ is exp.Dot:
        nodes.append(this.this)
        this = this.expression
    return [*nodes, this]


def named_table(text: str, dialect: str) -> exp.Table:
    """The table that a text names; a text that is no name is one part."""
    try:
        return exp.to_table(text, dialect=dialect)
    except (SqlglotError, TypeError, ValueError):
        return exp.Table(this=exp.Identifier(this=text, quoted=True))


def identified(node: Any) -> str:
    """IDENTIFIER('db.t') names a table by a literal: that text, else ""."""
    if isinstance(node, exp.DynamicIdentifier):
        named = node.this
    elif isinstance(node, exp.Anonymous) and node.name.upper() == "IDENTIFIER" and node.expressions:
        named = node.expressions[0]
    else:
        return ""
    return str(named.name) if isinstance(named, exp.Literal) else ""
