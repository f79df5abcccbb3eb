"""From a query to its columns: WITH, SELECT, and set operations, each to a relation."""

from typing import Any

from sqlglot import exp

from . import dml, sources
from .expressions import collect, collect_rows, flow_of
from .reader import Reader
from .relations import (
    ALIASES_FIRST,
    ALIASES_LAST,
    FILTER,
    GROUP_BY,
    NO_ALIASES,
    NOTHING,
    SORT,
    TRANSFORMATION,
    Flow,
    Item,
    QueryRelation,
    Relation,
    Scope,
    Star,
    ValueRelation,
    add_flow,
    combine_rest,
    merged,
    used_as,
)
from .render import is_placeholder
from .selection import expand_applied, expand_around, expand_columns, expand_star, fields_of_value, output_name

Ctes = dict[str, Relation]

PIPED = "__tmp"  # what sqlglot calls the rows before a |> of BigQuery
MAX_ROUNDS = 5  # of a recursive CTE, until its columns depend on nothing new


def read_query(reader: Reader, node: Any, parent: Scope | None, ctes: Ctes) -> QueryRelation:
    """The result of a SELECT, a set operation, a bracketed query, VALUES or a data-modifying CTE."""
    kind = node.__class__
    if kind is exp.Select:
        return read_select(reader, node, parent, ctes)
    if kind is exp.Subquery:
        return read_bracketed(reader, node, parent, ctes)
    if isinstance(node, exp.SetOperation):
        return read_set_operation(reader, node, parent, ctes)
    if kind in (exp.Insert, exp.Update, exp.Delete, exp.Merge):
        return dml.read_returning(reader, node, parent, ctes)
    scope = Scope(parent, ctes)
    sources.add_source(reader, node, scope)
    return finish(scope, expand_star(reader, exp.Star(), scope))


def finish(scope: Scope, items: list[Item | Star]) -> QueryRelation:
    relation = QueryRelation(items)
    relation.rows = scope.rows
    relation.reads = scope.reads
    relation.sources = scope.sources
    return relation


def read_bracketed(reader: Reader, node: exp.Subquery, parent: Scope | None, ctes: Ctes) -> QueryRelation:
    """(query) with a WITH, ORDER BY or LIMIT of its own; (a JOIN b) as a query; brackets in brackets."""
    args = node.args
    if args.get("with_"):
        ctes = read_ctes(reader, args["with_"], parent, ctes)
    if args.get("joins") or args.get("pivots") or isinstance(node.this, exp.Table):
        scope = Scope(parent, ctes)
        sources.add_source(reader, node, scope)
        return finish(scope, expand_star(reader, exp.Star(), scope))
    relation = read_query(reader, node.this, parent, ctes)
    sort_result(reader, args.get("order"), relation, parent, ctes)
    return relation


# --- WITH


def read_ctes(reader: Reader, with_: exp.With, parent: Scope | None, ctes: Ctes) -> Ctes:
    """The names in scope after a WITH clause; a CTE sees those before it."""
    ctes = dict(ctes)
    recursive = bool(with_.args.get("recursive"))
    for cte in with_.expressions:
        alias = cte.args["alias"]
        name = reader.language.column(alias.this)
        names = [reader.language.column(column) for column in alias.args.get("columns") or ()]
        if cte.args.get("scalar"):  # ClickHouse: WITH expression AS name
            reader.script.variables[name] = flow_of(reader, cte.this, Scope(parent, ctes))
        elif isinstance(cte.this, exp.SetOperation) and (recursive or reader.rules.implicit_recursion):
            ctes[name] = read_recursive(reader, name, names, cte.this, parent, ctes)
        else:
            ctes[name] = renamed(read_query(reader, cte.this, parent, ctes), names)
            if name.startswith(PIPED) and not any(item.__class__ is exp.Star for item in cte.this.expressions):
                ctes[name].sources = ()  # |> SELECT and |> AGGREGATE make rows that no alias of before names
    return ctes


def renamed(relation: QueryRelation, names: list[str]) -> QueryRelation:
    """Under the names of an alias's column list, by position up to the first unexpanded star."""
    if not names:
        return relation
    items: list[Item | Star] = []
    for place, item in enumerate(relation.items):
        if item.__class__ is Star:
            items += relation.items[place:]
            break
        items.append((names[place], item[1], item[2]) if place < len(names) else item)  # type: ignore[index]
    result = QueryRelation(items)
    result.rows, result.reads = relation.rows, relation.reads
    result.made_of = (relation,)
    return result


def read_recursive(
    reader: Reader, name: str, names: list[str], node: Any, parent: Scope | None, ctes: Ctes
) -> QueryRelation:
    """WITH RECURSIVE r AS (anchor UNION ALL step over r): read the step again until r's flows grow no more."""
    first, *steps = branches_of(node)
    relation = renamed(read_query(reader, first[0], parent, ctes), names)
    seen = QueryRelation(relation.items)
    for _ in range(MAX_ROUNDS):
        inside = {**ctes, name: seen}
        parts = [relation, *(read_query(reader, step, parent, inside) for step, _ in steps)]
        combined = renamed(combine(parts, by_name=False), names)
        if [item[1] for item in seen.items if item.__class__ is not Star] == [  # type: ignore[index]
            item[1]
            for item in combined.items
            if item.__class__ is not Star  # type: ignore[index]
        ]:
            break
        seen = QueryRelation(combined.items)
    return combined


# --- set operations


def branches_of(node: Any) -> list[tuple[Any, Any]]:
    """(query, the operation it is the right side of), left to right; long chains are walked, not recursed into."""
    branches: list[tuple[Any, Any]] = []
    while isinstance(node, exp.SetOperation):
        branches.append((node.expression, node))
        node = node.this
        if isinstance(node, exp.SetOperation) and (node.args.get("with_") or node.args.get("order")):
            break
    branches.append((node, None))
    return branches[::-1]


def read_set_operation(reader: Reader, node: Any, parent: Scope | None, ctes: Ctes) -> QueryRelation:
    """Columns by position under the first query's names, or BY NAME."""
    if node.args.get("with_"):
        ctes = read_ctes(reader, node.args["with_"], parent, ctes)
    branches = branches_of(node)
    parts = [read_query(reader, branch, parent, ctes) for branch, _ in branches]
    operations = [operation for _, operation in branches[1:]]
    by_name = any(operation.args.get("by_name") for operation in operations)
    values = [parts[0]]
    for part, operation in zip(parts[1:], operations, strict=True):
        if isinstance(operation, exp.Except):
            parts[0].rows = {**parts[0].rows, **used_as(part.whole(), FILTER)}
            parts[0].reads = [*parts[0].reads, part]
        else:
            values.append(part)
    relation = combine(values, by_name)
    sort_result(reader, node.args.get("order"), relation, parent, ctes)
    return relation


def combine(parts: list[QueryRelation], by_name: bool) -> QueryRelation:
    """One relation of several stacked ones."""
    if len(parts) == 1:
        return parts[0]
    relation = QueryRelation(combine_by_name(parts) if by_name else combine_by_position(parts))
    relation.reads = list(parts)
    relation.made_of = tuple(parts)
    return relation


def combine_by_name(parts: list[QueryRelation]) -> list[Item | Star]:
    names = dict.fromkeys(name for part in parts for name in part.index)
    items: list[Item | Star] = [(name, merged(part.find(name, 0) for part in parts), None) for name in names]
    return items + [star for part in parts for star in part.stars]


def combine_by_position(parts: list[QueryRelation]) -> list[Item | Star]:
    """As long as every branch's columns are known; from the first star on, columns can only be asked for by name."""
    items: list[Item | Star] = []
    for column in zip(*(part.items for part in parts), strict=False):
        if any(item.__class__ is Star for item in column):
            break
        name, _, kind = column[0]
        items.append((name, merged(item[1] for item in column), kind if all(i[2] is kind for i in column) else None))
    place = len(items)
    rest = [part.items[place:] for part in parts]
    if not any(item.__class__ is Star for items in rest for item in items):
        return items
    return items + combine_rest(rest)


def sort_result(reader: Reader, order: Any, relation: QueryRelation, parent: Scope | None, ctes: Ctes) -> None:
    """ORDER BY after a set operation or bracket names the result's columns, or their positions."""
    if order is None:
        return
    scope = Scope(parent, ctes)
    scope.aliases = {name: item[1] for name, item in relation.index.items()}
    scope.alias_use = ALIASES_FIRST
    collect_clause(reader, order.expressions, SORT, scope, relation.items)
    relation.rows = {**relation.rows, **scope.rows}
    relation.reads = [*relation.reads, *scope.reads]


# --- SELECT


def read_select(reader: Reader, node: exp.Select, parent: Scope | None, ctes: Ctes) -> QueryRelation:
    args = node.args
    if args.get("with_"):
        ctes = read_ctes(reader, args["with_"], parent, ctes)
    scope = Scope(parent, ctes)
    sources.read_from(reader, args, scope)
    name_values(reader, args, scope)
    if args.get("windows"):
        scope.windows = {reader.column(window.this): window for window in args["windows"]}
    items = value_items(reader, args, scope) or read_items(reader, args["expressions"], scope)
    if not items and args.get("from_") and not args["expressions"]:
        items = expand_star(reader, exp.Star(), scope)
    if args.get("exclude"):
        hidden = {reader.language.column(column.this) for column in args["exclude"]}
        items = [item for item in items if item.__class__ is Star or item[0] not in hidden]  # type: ignore[index]
    read_clauses(reader, args, scope, items)
    relation = finish(scope, items)
    if reader.trace is not None:
        reader.trace.note(relation, args["expressions"], scope)
    return relation


# What a hierarchical query numbers its rows with; they are columns of no table.
HIERARCHY = ("level", "connect_by_isleaf", "connect_by_iscycle")


def name_values(reader: Reader, args: dict[str, Any], scope: Scope) -> None:
    """Names that mean no column of a source: ClickHouse's WITH sum(x) AS s, over the query's own sources, and LEVEL."""
    if args.get("with_"):
        for cte in args["with_"].expressions:
            if cte.args.get("scalar"):
                scope.aliases[reader.language.column(cte.args["alias"].this)] = flow_of(reader, cte.this, scope)
    if args.get("connect") is not None:
        scope.cache.update(dict.fromkeys(map(reader.language.fold, HIERARCHY), NOTHING))


def value_items(reader: Reader, args: dict[str, Any], scope: Scope) -> list[Item | Star] | None:
    """SELECT AS VALUE: the fields of the one struct or row are the columns."""
    selected = args["expressions"]
    if args.get("kind") != "VALUE" or len(selected) != 1:
        return None
    return fields_of_value(reader, selected[0], scope)


def read_items(reader: Reader, expressions: list[Any], scope: Scope) -> list[Item | Star]:
    """The select list in order; each item may name an earlier one where the dialect lets it."""
    items: list[Item | Star] = []
    scope.alias_use = ALIASES_LAST if reader.rules.lateral_alias else NO_ALIASES
    aliases = scope.aliases
    for place, node in enumerate(expressions):
        kind = node.__class__
        if reader.has_template and is_macro(node):
            items.append(Star(ValueRelation(NOTHING, {}, is_open=True, with_path=False)))
            continue
        if kind is exp.Alias:
            item = read_item(reader, reader.language.column(node.args["alias"]), node.this, scope)
        elif kind is exp.Column and node.args["this"].__class__ is exp.Identifier:
            item = read_item(reader, reader.language.column(node.args["this"]), node, scope)
        elif kind is exp.Star or is_star(node):
            items += expand_star(reader, node, scope)
            continue
        elif kind is exp.Aliases:
            names = [reader.language.column(name) for name in node.expressions]
            items += [(name, flow, None) for name, flow in sources.row_flows_of(reader, node.this, names, scope)]
            continue
        elif kind is exp.QueryTransform:
            items += transformed(reader, node, scope)
            continue
        elif kind is exp.Columns:
            items += expand_columns(reader, node, scope)
            continue
        elif kind is exp.Apply:
            items += expand_applied(reader, node, scope)
            continue
        elif reader.rules.columns_function and node.find(exp.Columns) is not None:
            items += expand_around(reader, node, scope)
            continue
        else:
            item = read_item(reader, output_name(reader, node, place), node, scope)
        items.append(item)
        aliases[item[0]] = item[1]
    return items


def transformed(reader: Reader, node: exp.QueryTransform, scope: Scope) -> list[Item | Star]:
    """SELECT TRANSFORM(a, b) USING 'script' AS (x, y) of Spark and Hive: each column may come from every value."""
    flow = merged(used_as(flow_of(reader, value, scope), TRANSFORMATION) for value in node.expressions)
    schema = node.args.get("schema")
    named = [part.this if part.__class__ is exp.ColumnDef else part for part in schema.expressions] if schema else []
    return [(reader.language.column(name), flow, None) for name in named or ("key", "value")]


def is_macro(node: Any) -> bool:
    """{{ columns_of(…) }}, or several such in a row: a macro that nobody knows may give any columns."""
    named = node.args.get("alias") if node.__class__ is exp.Alias else node if node.__class__ is exp.Column else None
    return named is not None and is_placeholder(named.name)


def is_star(node: Any) -> bool:
    """t.*, s.field.*"""
    return (node.__class__ is exp.Column and node.this.__class__ is exp.Star) or (
        node.__class__ is exp.Dot and node.expression.__class__ is exp.Star
    )


def read_item(reader: Reader, name: str, node: Any, scope: Scope) -> Item:
    kind = node.__class__
    if kind in (exp.Cast, exp.TryCast):
        return name, flow_of(reader, node, scope), node.args["to"]
    if kind is exp.Column:
        return name, flow_of(reader, node, scope), (scope, node)  # its type, should anybody ask
    if kind is exp.Literal or kind is exp.Null:
        return name, NOTHING, None
    return name, flow_of(reader, node, scope), None


def read_clauses(reader: Reader, args: dict[str, Any], scope: Scope, items: list[Item | Star]) -> None:
    """WHERE to ORDER BY: what each reads, every row depends on."""
    scope.alias_use = ALIASES_LAST if reader.rules.lateral_alias else NO_ALIASES
    for key in ("where", "prewhere"):
        if args.get(key) is not None:
            collect_rows(reader, args[key].this, FILTER, scope)
    connect = args.get("connect")
    if connect is not None:
        collect_rows(reader, connect, FILTER, scope)
    scope.alias_use = ALIASES_LAST
    group = args.get("group")
    if group is not None:
        read_group(reader, group, scope, items, args["expressions"])
    for key in ("having", "qualify"):
        if args.get(key) is not None:
            collect_rows(reader, args[key].this, FILTER, scope)
    scope.alias_use = ALIASES_FIRST
    for key in ("order", "sort", "cluster", "distribute"):
        if args.get(key) is not None:
            collect_clause(reader, args[key].expressions, SORT, scope, items)
    distinct = args.get("distinct")
    if distinct is not None and distinct.args.get("on") is not None:
        if args.get("order") is None:
            reader.notes["limit"] = None  # any row of each group
        collect_clause(reader, distinct.args["on"].expressions, GROUP_BY, scope, items)
    limit = args.get("limit")
    if limit is not None and args.get("order") is None and args.get("from_") is not None:
        reader.notes["limit"] = None
    if limit is not None and limit.args.get("expressions"):  # LIMIT 1 BY key
        collect_clause(reader, limit.args["expressions"], GROUP_BY, scope, items)


def read_group(reader: Reader, group: exp.Group, scope: Scope, items: list[Item | Star], selected: list[Any]) -> None:
    args = group.args
    collect_clause(reader, group.expressions, GROUP_BY, scope, items)
    for key in ("grouping_sets", "cube", "rollup"):
        for part in args.get(key) or ():
            if isinstance(part, exp.Expression):
                collect_clause(reader, part.expressions, GROUP_BY, scope, items)
    if args.get("all"):
        for node, item in zip(selected, items, strict=False):
            if item.__class__ is not Star and node.find(exp.AggFunc) is None:
                add_flow(scope.rows, item[1], GROUP_BY)  # type: ignore[index]


def collect_clause(reader: Reader, nodes: list[Any], mode: int, scope: Scope, items: list[Item | Star]) -> None:
    """GROUP BY and ORDER BY terms; a plain number is the position of a select item."""
    for node in nodes:
        term = node.this if node.__class__ is exp.Ordered else node
        if term.__class__ is exp.Literal and not term.is_string and term.name.isdigit():
            add_flow(scope.rows, flow_at(items, int(term.name)), mode)
        elif term.__class__ is exp.Tuple or term.__class__ is exp.Paren:
            collect_clause(reader, term.expressions or [term.this], mode, scope, items)
        else:
            collect(reader, term, mode, scope.rows, scope)


def flow_at(items: list[Item | Star], position: int) -> Flow:
    """The flow of the item at that position, counted from 1; NOTHING behind an unexpanded star."""
    for place, item in enumerate(items[:position], start=1):
        if item.__class__ is Star:
            return NOTHING
        if place == position:
            return item[1]  # type: ignore[index]
    return NOTHING
