"""Which rows a DELETE takes away and which an INSERT puts in, by comparisons with values: whether one fills the other.

Only what holds for every inserted row counts: a condition in one branch of a UNION, or on what is merely joined by an
outer join, says nothing of the rest.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from .effects import Write

# A column; the expression around it, "" for the column itself; the operator; the other side as text. A condition that
# compares nothing is ("", its text, "HOLDS", "").
Predicate = tuple[str, str, str, str]
Result = tuple[str, str, str]  # an expression as text, the operator, the other side
Ctes = dict[str, Any]

FLIPPED = {exp.EQ: exp.EQ, exp.GT: exp.LT, exp.LT: exp.GT, exp.GTE: exp.LTE, exp.LTE: exp.GTE}


@dataclass(slots=True)
class Inserted:
    """What an INSERT puts in, looked at only when something was deleted before it."""

    script: Any
    tree: exp.Insert
    write: Write

    def lies_in(self, deleted: tuple[Predicate, ...]) -> bool | None:
        """Each condition of the DELETE holds for the rows of every branch: by a condition that is no wider, on a column
        that the value comes from or on the very expression that makes it, or because it is a constant. None where a
        condition is of another form, so that nobody can tell."""
        ctes = ctes_of(self.tree, {})
        found = [self.branch_lies_in(deleted, *branch) for branch in branches_of(self.tree.expression, ctes)]
        return False if False in found or not found else None if None in found else True

    def branch_lies_in(self, deleted: tuple[Predicate, ...], query: exp.Select, ctes: Ctes) -> bool | None:
        conditions = conditions_on_rows(self.script, query, ctes)
        results = conditions_on_results(self.script, query)
        names = [name for name, _, _ in self.write.columns]
        items = dict(zip(names, (item.unalias() for item in query.expressions), strict=False))
        items |= partition_values(self.script, self.tree)
        columns = {name: {column for _, column, _, _ in flow} for name, flow, _ in self.write.columns}
        answers = []
        for predicate in deleted:
            sources = columns.get(predicate[0], set()) | {predicate[0]}
            is_met = self.is_made_so(predicate, items.get(predicate[0]), results)
            answers.append(True if is_met else held(predicate, sources, conditions))
        return False if False in answers else None if None in answers else True

    def is_made_so(self, predicate: Predicate, item: Any, results: set[Result]) -> bool:
        """The expression that makes the column is compared alike, or it is the constant itself."""
        _, around, operator, value = predicate
        if item is None or around:
            return False
        if (shape_of(item), operator, value) in results:
            return True
        return operator == "EQ" and item.find(exp.Column) is None and value_of(item) == value

    def tables(self) -> frozenset[str]:
        return tables_in(self.script, self.tree, self.write.target)


def partition_values(script: Any, tree: exp.Insert) -> dict[str, Any]:
    """INSERT INTO t PARTITION (day = 'x'): the column and its constant."""
    table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    partition = table.args.get("partition") if isinstance(table, exp.Table) else None
    parts = [part for part in partition.expressions if isinstance(part, exp.EQ)] if partition is not None else []
    return {script.language.column(part.this.this): part.expression for part in parts}


def held(wanted: Predicate, sources: set[str], conditions: set[Predicate]) -> bool | None:
    """Whether conditions on the rows say what is wanted; None where they say something else of the same column."""
    if wanted in conditions:
        return True
    _, around, operator, value = wanted
    alike = [each for each in conditions if each[0] in sources and each[1] == around]
    if any(implies(each[2], each[3], operator, value) for each in alike):
        return True
    is_other = not alike and any(each[0] in sources or each[2] == "HOLDS" for each in conditions)
    return None if is_other else False


def implies(operator: str, value: str, wanted: str, bound: str) -> bool:
    """Whether a comparison with a value is no wider than another: > 5 than >= 3, = 'a' than IN ('a', 'b')."""
    if (operator, value) == (wanted, bound):
        return True
    if wanted == "In":
        return operator in ("EQ", "In") and set(value.split(", ")) <= set(bound.split(", "))
    if operator not in _SIDES.get(wanted, ()) or not are_comparable(value, bound):
        return False
    mine, theirs = (value, bound) if value.startswith("'") else (float(value), float(bound))
    is_strict = wanted in ("GT", "LT") and operator not in ("GT", "LT")
    if mine == theirs:
        return not is_strict
    return mine > theirs if wanted in ("GT", "GTE") else mine < theirs  # type: ignore[operator]


_SIDES = {
    "GT": ("EQ", "GT", "GTE"),
    "GTE": ("EQ", "GT", "GTE"),
    "LT": ("EQ", "LT", "LTE"),
    "LTE": ("EQ", "LT", "LTE"),
}
_DAY = re.compile(r"'\d{4}-\d\d-\d\d'")
_NUMBER = re.compile(r"\d+(\.\d+)?")


def are_comparable(value: str, other: str) -> bool:
    """Two days, or two numbers, written out."""
    return any(form.fullmatch(value) and form.fullmatch(other) for form in (_DAY, _NUMBER))


# --- what holds for every row of a query


def branches_of(query: Any, ctes: Ctes) -> Iterator[tuple[exp.Select, Ctes]]:
    """The SELECTs whose rows a query puts together, each with the CTEs that it may name."""
    while isinstance(query, exp.Subquery):
        ctes = ctes_of(query, ctes)
        query = query.this
    if isinstance(query, exp.SetOperation):
        ctes = ctes_of(query, ctes)
        yield from branches_of(query.this, ctes)
        if isinstance(query, exp.Union):
            yield from branches_of(query.expression, ctes)
    elif isinstance(query, exp.Select):
        yield query, ctes_of(query, ctes)


def query_of(tree: Any) -> Any:
    """What fills a table: SELECT … INTO is the query itself, CREATE and INSERT hold one."""
    return tree if isinstance(tree, exp.Query) else tree.expression


def ctes_of(node: Any, known: Ctes) -> Ctes:
    """The CTEs in reach inside a node."""
    with_ = node.args.get("with_")
    return {**known, **{cte.alias.lower(): cte.this for cte in with_.expressions}} if with_ else known


def resolved(source: Any, ctes: Ctes) -> Any:
    """The query behind a CTE's name; every other source is itself."""
    is_name = isinstance(source, exp.Table) and not source.args.get("db")
    return ctes.get(source.name.lower(), source) if is_name else source


def conditions_on_rows(
    script: Any, query: exp.Select, ctes: Ctes, seen: frozenset[int] = frozenset()
) -> set[Predicate]:
    """Comparisons of one column with a value that hold for each row of a SELECT, those of what it reads included."""
    seen |= {id(query)}
    found = set(predicates_in(script, query.args.get("where")))
    joins = query.args.get("joins") or []
    sides = {(join.side or "").upper() for join in joins}
    read = [] if sides & {"RIGHT", "FULL"} else [part.this for part in (query.args.get("from_"),) if part]
    for join in joins:
        if not join.side and not sides & {"RIGHT", "FULL"}:
            found |= set(predicates_in(script, join.args.get("on")))
            read.append(join.this)
    for source in read:
        found |= conditions_of_source(script, source, ctes, seen)
    return found


def conditions_of_source(script: Any, source: Any, ctes: Ctes, seen: frozenset[int]) -> set[Predicate]:
    """What holds for each row of a sub-query, a CTE or a temp table, in all of its branches."""
    queries = [source] if isinstance(source, exp.Subquery) else []
    if isinstance(source, exp.Table):
        name = source.name.lower() if not source.args.get("db") else ""
        temp = script.temps.get(script.target_name(source))
        if name in ctes:
            queries, ctes = [ctes[name]], {key: query for key, query in ctes.items() if key != name}
        elif temp is not None:
            queries = [query_of(made) for made in temp.trees]
    branches = [branch for query in queries for branch in branches_of(query, ctes)]
    if any(id(query) in seen for query, _ in branches):
        return set()
    held = [conditions_on_rows(script, query, known, seen) for query, known in branches]
    return set.intersection(*held) if held else set()


def conditions_on_results(script: Any, query: exp.Select) -> set[Result]:
    """Comparisons of an expression, as text, with a value in WHERE, HAVING and QUALIFY; an alias stands for its item.

    >>> SELECT CAST(MIN(at) AS DATE) AS day … HAVING day = '2026-01-01'    # date(min(at)), EQ, '2026-01-01'
    """
    aliases = {item.alias.lower(): shape_of(item.this) for item in query.expressions if isinstance(item, exp.Alias)}
    found = set()
    for clause in ("where", "having", "qualify"):
        for left, operator, value in comparisons_in(script, query.args.get(clause)):
            is_alias = clause != "where" and isinstance(left, exp.Column) and not left.table
            text = shape_of(left)
            found.add((aliases.get(left.name.lower(), text) if is_alias else text, operator, value))
    return found


# --- comparisons


def predicates_in(script: Any, clause: Any) -> Iterator[Predicate]:
    """What a condition demands, part by part; what asks other tables is left out."""
    for part in parts_of(clause):
        compared = [(columns_of(script, left), left, *rest) for left, *rest in comparisons_of(script, part)]
        if compared and all(len(names) == 1 for names, *_ in compared):
            for names, left, operator, value in compared:
                yield names.pop(), "" if isinstance(left, exp.Column) else shape_of(left, "_"), operator, value
        elif part.find(exp.Query) is None and part.find(exp.Column) is not None:
            yield "", shape_of(part), "HOLDS", ""


def slice_of(script: Any, condition: Any) -> tuple[Predicate, ...]:
    """The comparisons of one column with a value that a condition consists of; empty where it asks for more."""
    found = [tuple(predicates_in(script, part)) for part in parts_of(condition)]
    return tuple(predicate for each in found for predicate in each) if all(found) else ()


def comparisons_in(script: Any, clause: Any) -> Iterator[tuple[Any, str, str]]:
    for part in parts_of(clause):
        yield from comparisons_of(script, part)


def parts_of(clause: Any) -> Iterable[Any]:
    """The parts of a clause, or of a condition, that all must hold."""
    condition = clause.this if isinstance(clause, exp.Where | exp.Having | exp.Qualify | exp.Paren) else clause
    if isinstance(condition, exp.And | exp.Paren):
        for part in condition.flatten() if isinstance(condition, exp.And) else [condition.this]:
            yield from parts_of(part)
    elif condition is not None:
        yield condition


def comparisons_of(script: Any, node: Any) -> list[tuple[Any, str, str]]:
    """An expression with columns, the operator, and the value it is compared with, as text; BETWEEN is two of them."""
    if isinstance(node, exp.Between):
        ends = ((exp.GTE, node.args["low"]), (exp.LTE, node.args["high"]))
        return [found for kind, end in ends for found in compared(script, node.this, kind, [end])]
    if isinstance(node, exp.In):
        return compared(script, node.this, exp.In, node.expressions)
    if isinstance(node, exp.Or):
        return one_of(script, node)
    if node.__class__ in FLIPPED:
        if not columns_of(script, node.this):
            return compared(script, node.expression, FLIPPED[node.__class__], [node.this])
        return compared(script, node.this, node.__class__, [node.expression])
    return []


def one_of(script: Any, node: exp.Or) -> list[tuple[Any, str, str]]:
    """day = 'a' OR day = 'b' is day IN ('a', 'b')."""
    each = [comparisons_of(script, part) for part in node.flatten()]
    if any(len(found) != 1 or found[0][1] != "EQ" for found in each) or len({shape_of(f[0][0]) for f in each}) > 1:
        return []
    return [(each[0][0][0], "In", ", ".join(found[0][2] for found in each))]


def compared(script: Any, left: Any, kind: type, values: list[Any]) -> list[tuple[Any, str, str]]:
    """A sub-query that gives one value is a value."""
    has_columns = any(columns_of(script, value) and not isinstance(value, exp.Subquery) for value in values)
    if not values or has_columns or not columns_of(script, left):
        return []
    return [(left, kind.__name__, ", ".join(value_of(value) for value in values))]


def value_of(node: Any) -> str:
    """A value as text; a literal or parameter that is cast to a day or a moment counts as itself."""
    inner = node
    while isinstance(inner, exp.Cast | exp.Date | exp.TsOrDsToDate | exp.Paren) and inner.this is not None:
        if isinstance(inner, exp.Cast) and not inner.is_type(*exp.DataType.TEMPORAL_TYPES, *exp.DataType.TEXT_TYPES):
            break
        inner = inner.this
    return text_of(inner if isinstance(inner, exp.Literal | exp.Parameter | exp.Placeholder) else node)


def shape_of(node: Any, column: str = "") -> str:
    """An expression as text without the tables that its columns name, DATE(x) for CAST(x AS DATE); `column` stands for
    every column where it is given."""

    def plain(part: Any) -> Any:
        if isinstance(part, exp.Column):
            return exp.column(column or part.name)
        if isinstance(part, exp.TsOrDsToDate) or isinstance(part, exp.Cast) and part.is_type("date"):
            return exp.Date(this=part.this)
        return part

    return text_of(node.copy().transform(plain))


def text_of(node: Any) -> str:
    return str(node.sql()).lower()


def columns_of(script: Any, node: Any) -> set[str]:
    """Column names in an expression, script variables left out."""
    names = {script.language.column(column.this) for column in node.find_all(exp.Column)}
    return {name for name in names if name not in script.variables}


def names_in(script: Any, node: Any) -> set[str]:
    return {script.target_name(table) for table in node.find_all(exp.Table)}


def tables_in(script: Any, tree: Any, target: str) -> frozenset[str]:
    return frozenset(names_in(script, tree) - {target, ""})
