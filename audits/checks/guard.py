"""What SQL of people may hold: one reading query, or one condition, of plain parts and functions of a list.

Everything that is not known to be harmless is refused: functions that reach files or the network, that write, that
wait, or that make rows out of nothing; system tables; session variables. What runs is printed from the tree that
was looked at, without its comments, and not the text that was sent. Imports no Django.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from catalog.table_names import identifier, parts_of

LONGEST = 20_000  # characters
DEEPEST = 60  # brackets inside each other, before a parser that recurses sees them
DEEPEST_TREE = 150  # expressions inside each other, not counting a chain of AND and OR


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words(
    # aggregates
    "count count_if sum avg min max median stddev stddev_pop stddev_samp variance var_pop var_samp approx_distinct "
    "any_value logical_and logical_or bool_and bool_or "
    # windows
    "row_number rank dense_rank lag lead first_value last_value "
    # choices and types
    "case if coalesce nullif greatest least cast try_cast safe_cast exists "
    # figures
    "abs round floor ceil ceiling sign mod power sqrt ln log exp is_nan is_inf "
    # texts
    "lower upper trim ltrim rtrim length char_length substring substr left right concat replace starts_with ends_with "
    "contains split_part str_position strpos regexp_like regexp_i_like "
    # days and moments
    "current_date current_timestamp current_time now extract date date_trunc timestamp_trunc date_add date_sub "
    "date_diff datediff timestamp_diff timestamp_add timestamp_sub year month day hour day_of_week day_of_year "
    "week quarter ts_or_ds_to_date ts_or_ds_to_timestamp str_to_date str_to_time to_date to_timestamp timestamp "
    "time_to_str "
    # logic, as sqlglot counts it
    "and or xor all any"
)
_PARTS = _words(
    "Select From Where Join Group Having Order Ordered Limit Offset With CTE TableAlias Table Subquery Union Intersect "
    "Except Column Identifier Literal Alias Star Distinct Paren Tuple And Or Not EQ NEQ GT GTE LT LTE NullSafeEQ "
    "NullSafeNEQ Between In Is Null Boolean Like ILike Add Sub Mul Div IntDiv Mod Neg DPipe Case If Cast TryCast "
    "DataType DataTypeParam Interval Var Window WindowSpec Filter WithinGroup Exists Qualify Dot Any All"
)


class NotAllowed(ValueError):
    """Why a text is refused, in words."""


def checked_query(sql: str, dialect: str, tables: Collection[str]) -> exp.Query:
    """The one query in `sql`, which reads none but these tables (dotted names). NotAllowed says what is wrong."""
    query = _parsed(sql, dialect)
    if not isinstance(query, exp.Select | exp.SetOperation | exp.Subquery):
        raise NotAllowed("It must be one SELECT.")
    _refuse_strange_parts(query)
    known = [(tuple(part.lower() for part in parts_of(name)), name) for name in tables]
    for table in list(query.find_all(exp.Table)):
        if not _is_made_by_query(table):
            table.replace(_named_whole(table, dialect, known))
    return query


def checked_condition(sql: str, dialect: str) -> exp.Expression:
    """The one condition in `sql`, about columns alone. NotAllowed says what is wrong."""
    condition = _parsed(f"SELECT 1 WHERE {sql}", dialect)
    where = condition.args.get("where") if isinstance(condition, exp.Select) else None
    if where is None or {name for name, value in condition.args.items() if value} - {"where", "expressions"}:
        raise NotAllowed("Write one condition, as it would stand after WHERE: day >= CURRENT_DATE.")
    if where.find(exp.Query, exp.Subquery):
        raise NotAllowed("A condition here reads this table's columns alone: no sub-queries.")
    _refuse_strange_parts(where)
    return where.this


def printed(query: exp.Expression, dialect: str) -> str:
    """The query as it is run: what was looked at, and no comment."""
    return query.sql(dialect=dialect or None, pretty=True, comments=False)


def _parsed(sql: str, dialect: str) -> exp.Expression:
    if len(sql) > LONGEST:
        raise NotAllowed(f"It is longer than {LONGEST:,} characters.")
    if _depth(sql) > DEEPEST:
        raise NotAllowed(f"It has more than {DEEPEST} brackets inside each other.")
    try:
        statements = [each for each in sqlglot.parse(sql, dialect=dialect or None) if each is not None]
    except (SqlglotError, RecursionError) as error:
        raise NotAllowed(f"It cannot be read: {str(error).splitlines()[0]}") from error
    if len(statements) != 1:
        raise NotAllowed(f"It must be one statement; these are {len(statements)}.")
    if _tree_depth(statements[0]) > DEEPEST_TREE:
        raise NotAllowed(f"More than {DEEPEST_TREE} expressions stand inside each other.")
    return statements[0]


def _tree_depth(tree: exp.Expression) -> int:
    deepest, open_nodes = 0, [(tree, 0)]
    while open_nodes:
        node, depth = open_nodes.pop()
        deepest = max(deepest, depth)
        below = depth + (not isinstance(node, exp.Connector))
        open_nodes += [(child, below) for child in node.iter_expressions()]
    return deepest


def _depth(sql: str) -> int:
    """How deep brackets go, those in texts among them: a bound, and no parse."""
    depth = deepest = 0
    for letter in sql:
        depth += (letter in "([{") - (letter in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _refuse_strange_parts(tree: exp.Expression) -> None:
    for node in tree.walk():
        name = type(node).__name__
        if isinstance(node, exp.With) and node.recursive:
            raise NotAllowed("WITH RECURSIVE may never end, so it has no place in a check.")
        if isinstance(node, exp.Func):
            if not _names_of(node) & FUNCTIONS:
                raise NotAllowed(f"The function {_called(node)} is not among those that checks may use.")
        elif name not in _PARTS:
            raise NotAllowed(f"{_called(node)} has no place in a check.")


def _names_of(function: exp.Func) -> set[str]:
    if isinstance(function, exp.Anonymous | exp.AnonymousAggFunc):
        return {str(function.this).lower()}
    return {name.lower() for name in function.sql_names()}


def _called(node: exp.Expression) -> str:
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return str(node.this)
    return node.sql_names()[0].lower() if isinstance(node, exp.Func) else type(node).__name__.upper()


def _named_whole(table: exp.Table, dialect: str, known: Iterable[tuple[tuple[str, ...], str]]) -> exp.Expression:
    """The same table under the whole name that the catalog has for it, so that nothing else can be meant."""
    if not isinstance(table.this, exp.Identifier):
        raise NotAllowed(f"{table.sql()} is no table.")
    written = tuple(part.name.lower() for part in table.parts)
    fits = [name for whole, name in known if whole[-len(written) :] == written]
    if len(fits) != 1:
        wrong = (
            "means several tables of this source: write more of its name" if fits else "is no table of this source here"
        )
        raise NotAllowed(f"{'.'.join(written)} {wrong}.")
    whole = identifier(dialect, fits[0])
    return exp.alias_(whole, table.alias or table.name, table=True, quoted=True)


def _is_made_by_query(table: exp.Table) -> bool:
    """Whether the name is one that a WITH around it gives, seen from where it stands."""
    if len(table.parts) > 1:
        return False
    below: exp.Expression = table
    while (above := below.parent) is not None:
        if isinstance(above, exp.With):  # inside a CTE: it sees those before it
            before = above.expressions[: above.expressions.index(below)]
        else:
            before = above.ctes if isinstance(above, exp.Query) and not isinstance(below, exp.With) else []
        if any(cte.alias.lower() == table.name.lower() for cte in before):
            return True
        below = above
    return False
