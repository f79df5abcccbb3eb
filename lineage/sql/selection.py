"""Select items that are more or less than one expression: stars, patterns of columns, and items without a name."""

import re
from typing import Any

from sqlglot import exp

from .expressions import collect, column_flow, flow_of, path_flow
from .reader import Reader
from .relations import (
    AGGREGATION,
    CONDITIONAL,
    MISSING,
    NOTHING,
    TRANSFORMATION,
    WINDOW,
    Flow,
    Item,
    Relation,
    Scope,
    Star,
    StructFlow,
    ValueRelation,
    below,
    combine_rest,
    used_as,
)
from .structs import built_struct, fields_of_type


def expand_star(reader: Reader, node: Any, scope: Scope) -> list[Item | Star]:
    """*, t.*, s.field.* with EXCEPT, REPLACE and RENAME, to named columns as far as they are known."""
    star, items = node, None
    if node.__class__ is exp.Column:
        star, items = node.this, qualified_star(reader, node, scope)
    elif node.__class__ is exp.Dot:
        star, items = node.expression, struct_star(reader, node.this, scope)
    if items is None:
        items = all_columns(scope)
    return modified(reader, star, items, scope) if star.args else items


def all_columns(scope: Scope) -> list[Item | Star]:
    """Every source's columns in order; a column merged by USING comes first, and once."""
    shown = [source for source in scope.sources if source.in_star]
    joined = scope.joined
    items: list[Item | Star] = [(name, flow, None) for name, flow in joined.items()]
    if not joined and len(shown) == 1:
        return list(shown[0].relation.columns())
    hidden = frozenset(joined)
    for source in shown:
        for item in source.relation.columns():
            if item.__class__ is Star:
                items.append(item.without(hidden) if hidden else item)  # type: ignore[union-attr]
            elif item[0] not in joined:  # type: ignore[index]
                items.append(item)
    return items


def qualified_star(reader: Reader, node: exp.Column, scope: Scope) -> list[Item | Star]:
    """t.* is that source's columns, s.* a struct's fields."""
    names = [reader.language.column(node.args[key]) for key in ("catalog", "db", "table") if node.args.get(key)]
    for level in scope.upward():
        source = level.by_alias(names[-1]) if len(names) == 1 else None
        if source is None:
            source = next((s for s in level.sources if s.path[-len(names) :] == tuple(names)), None)
        if source is not None:
            return list(source.relation.columns())
    if len(names) > 1:
        return struct_items(path_flow(reader, names, node, scope), None)
    kinds = [source.relation.type_of(names[0]) for source in scope.sources]
    flow = column_flow(reader, exp.Column(this=node.args["table"]), scope)
    return struct_items(flow, next((kind for kind in kinds if kind is not None), None))


def struct_items(flow: Flow, kind: Any) -> list[Item | Star]:
    """Fields as they were built, or by their type, where it is known; else a star over the value."""
    if flow.__class__ is StructFlow:
        return [(name, field, None) for name, field in flow.fields.items()]  # type: ignore[attr-defined]
    fields = fields_of_type(str(kind)) if kind is not None else []
    if fields and flow:
        return [(name, below(flow, name), field) for name, field in fields]
    return [Star(ValueRelation(flow, {}, is_open=True, with_path=True))]


def struct_star(reader: Reader, node: Any, scope: Scope) -> list[Item | Star]:
    """(expression).*: by the fields of the structs or rows that the expression chooses from, where they are known."""
    fields = fields_of_value(reader, node, scope)
    return fields if fields is not None else struct_items(flow_of(reader, node, scope), None)


def fields_of_value(reader: Reader, node: Any, scope: Scope) -> list[Item | Star] | None:
    """The fields of a row of a source, taken as it is or by an aggregate, or of a struct that is built here."""
    relation = row_source(reader, node, scope) if reader.rules.row_values else None
    if relation is not None:
        return list(relation.columns())
    for rows in (chosen_rows(reader, node, scope), aggregated_row(reader, node, scope)):
        if rows is not None:
            return rows
    struct = built_struct(reader, node, scope)
    if struct is not None:
        return struct_items(struct, None)
    called = node.expression if isinstance(node, exp.Dot) else node
    if isinstance(called, exp.Anonymous):  # a function of somebody's: any field may be in what it makes
        return [Star(ValueRelation(flow_of(reader, node, scope), {}, is_open=True, with_path=False))]
    return None


def aggregated_row(reader: Reader, node: Any, scope: Scope) -> list[Item | Star] | None:
    """ARRAY_AGG(t ORDER BY c LIMIT 1)[OFFSET(0)].* and ANY_VALUE(t).*: each column of the source t, of one row."""
    orders: list[Any] = []
    is_aggregate = False
    while node.__class__ in ROW_WRAPPERS:
        is_aggregate = is_aggregate or isinstance(node, exp.AggFunc)
        orders += node.expressions if node.__class__ is exp.Order else []
        node = node.this
    relation = row_source(reader, node, scope) if is_aggregate and reader.rules.row_values else None
    if relation is None:
        return None
    sort: Flow = {}
    for term in orders:
        collect(reader, term, WINDOW, sort, scope)
    return [
        item if item.__class__ is Star else (item[0], {**used_as(item[1], AGGREGATION), **sort}, item[2])  # type: ignore[index]
        for item in relation.columns()
    ]


ROW_WRAPPERS = (exp.Paren, exp.Bracket, exp.ArrayAgg, exp.AnyValue, exp.Limit, exp.Order, exp.IgnoreNulls)


def chosen_rows(reader: Reader, node: Any, scope: Scope) -> list[Item | Star] | None:
    """IF(condition, a, b).* over whole rows of the sources a and b: each column, by its name, from either."""
    while node.__class__ is exp.Paren:
        node = node.this
    if node.__class__ is not exp.If or not reader.rules.row_values:
        return None
    branches = [node.args.get("true"), node.args.get("false")]
    relations = [row_source(reader, branch, scope) for branch in branches]
    if any(relation is None for relation in relations):
        return None
    chosen: Flow = {}
    collect(reader, node.this, CONDITIONAL, chosen, scope)
    combined = combine_rest([list(relation.columns()) for relation in relations if relation is not None])
    return [
        item if item.__class__ is Star else (item[0], {**used_as(item[1], TRANSFORMATION), **chosen}, item[2])
        for item in combined
    ]  # type: ignore[index]


def row_source(reader: Reader, node: Any, scope: Scope) -> Relation | None:
    """The source whose whole row a bare name stands for."""
    if node.__class__ is not exp.Column or node.args.get("table") is not None:
        return None
    source = scope.by_alias(reader.column(node.this))
    return source.relation if source is not None and source.relation.__class__ is not ValueRelation else None


def modified(reader: Reader, star: Any, items: list[Item | Star], scope: Scope) -> list[Item | Star]:
    """The star's columns without the excepted, with the replaced, under new names."""
    column = reader.language.column
    excepted = frozenset(column(name_of(node)) for node in star.args.get("except_") or ())
    replaced = {
        column(node.args["alias"]): node.this for node in star.args.get("replace") or () if isinstance(node, exp.Alias)
    }
    pairs = [node for node in star.args.get("rename") or () if isinstance(node, exp.Alias)]
    renames = {column(name_of(node.this)): column(node.args["alias"]) for node in pairs}
    flows = {name: flow_of(reader, node, scope) for name, node in replaced.items()}
    hidden = excepted | frozenset(replaced) | frozenset(renames)
    result: list[Item | Star] = []
    for item in items:
        if item.__class__ is Star:
            result.append(item.without(hidden))  # type: ignore[union-attr]
        elif item[0] not in excepted:  # type: ignore[index]
            name, flow, kind = item  # type: ignore[misc]
            result.append((renames.get(name, name), flows.get(name, flow), None if name in flows else kind))
    result += unplaced(result, items, flows, renames)
    pattern = star.args.get("ilike")
    return [item for item in result if matches(item, pattern)] if pattern is not None else result


def unplaced(
    result: list[Item | Star], items: list[Item | Star], flows: dict[str, Flow], renames: dict[str, str]
) -> list[Item | Star]:
    """Replaced and renamed columns that lie inside an unexpanded star."""
    stars = [item for item in items if item.__class__ is Star]
    if not stars:
        return []
    known = {item[0] for item in result if item.__class__ is not Star}  # type: ignore[index]
    added: list[Item | Star] = [(name, flow, None) for name, flow in flows.items() if name not in known]
    for old, new in renames.items():
        if new not in known:
            found = [flow for flow in (star.find(old) for star in stars) if flow is not MISSING]  # type: ignore[union-attr]
            added.append((new, found[0] if len(found) == 1 else NOTHING, None))
    return added


def matches(item: Item | Star, pattern: Any) -> bool:
    """SELECT * ILIKE '%id%'"""
    if item.__class__ is Star:
        return True
    regex = re.escape(pattern.name).replace("%", ".*").replace("_", ".")
    return re.fullmatch(regex, item[0], re.IGNORECASE) is not None  # type: ignore[index]


def name_of(node: Any) -> Any:
    """The name of a column or a name, whatever brackets stand around it."""
    while node.__class__ is exp.Paren:
        node = node.this
    return node.this if node.__class__ is exp.Column else node


def expand_columns(reader: Reader, node: exp.Columns, scope: Scope) -> list[Item | Star]:
    """COLUMNS('pattern') and COLUMNS(*) of DuckDB."""
    items = all_columns(scope)
    if node.this.__class__ is exp.Star:
        return modified(reader, node.this, items, scope)
    if node.this.__class__ is exp.Lambda:
        return chosen_columns(reader, node.this, items)
    if node.this.__class__ is not exp.Literal:
        return items
    try:
        pattern = re.compile(node.this.name)
    except re.error:
        return items
    return [item for item in items if item.__class__ is Star or pattern.search(item[0])]  # type: ignore[index]


def expand_applied(reader: Reader, node: exp.Apply, scope: Scope) -> list[Item | Star]:
    """* APPLY(sum) and COLUMNS('pattern') APPLY(sum) of ClickHouse: the function of each column, sum(a)."""
    inner = node.this
    expand = EXPANDED.get(inner.__class__, expand_star)
    function = node.expression.name
    is_aggregate = isinstance(exp.func(function, exp.Star(), dialect=reader.language.dialect), exp.AggFunc)
    return [
        item
        if item.__class__ is Star
        else (f"{function}({item[0]})", used_as(item[1], AGGREGATION if is_aggregate else TRANSFORMATION), None)  # type: ignore[index]
        for item in expand(reader, inner, scope)
    ]


EXPANDED: dict[type, Any] = {exp.Apply: expand_applied, exp.Columns: expand_columns}


def chosen_columns(reader: Reader, chooser: exp.Lambda, items: list[Item | Star]) -> list[Item | Star]:
    """COLUMNS(c -> c LIKE '%_at'), by a pattern on the name; a lambda of another form is not read."""
    like = chooser.this
    negated = like.__class__ is exp.Not
    like = like.this if negated else like
    if like.__class__ not in (exp.Like, exp.ILike) or like.expression.__class__ is not exp.Literal:
        reader.warn("unresolved_star", "which columns the lambda of COLUMNS chooses is not read", chooser)
        return []
    return [item for item in items if item.__class__ is Star or matches(item, like.expression) is not negated]


def expand_around(reader: Reader, node: Any, scope: Scope) -> list[Item | Star]:
    """max(COLUMNS(*)): the expression once for each column, under the column's own name."""
    pattern = node.find(exp.Columns)
    around: Flow = {}
    collect(reader, node, 0, around, scope)
    mode = AGGREGATION if pattern.find_ancestor(exp.AggFunc) is not None else TRANSFORMATION
    return [
        item if item.__class__ is Star else (item[0], {**used_as(item[1], mode), **around}, None)  # type: ignore[index]
        for item in expand_columns(reader, pattern, scope)
    ]


def output_name(reader: Reader, node: Any, place: int) -> str:
    """The name of an item without an alias: a field's or column's own, else what the dialect gives it."""
    rules = reader.rules
    whole = node
    while node.__class__ in (exp.Paren, exp.Cast, exp.TryCast) and (rules.names_casts or node.__class__ is exp.Paren):
        node = node.this
    if node.__class__ is exp.Column or node.__class__ is exp.Dot:
        last = node.expression if node.__class__ is exp.Dot else node.this
        if last.__class__ is exp.Identifier:
            return reader.language.column(last)
    if rules.unnamed == "{text}":
        return "" if is_unseen(whole) else reader.column(text_of(whole, reader))
    return rules.unnamed.format(place=place, function=function_name(node))


def is_unseen(item: Any) -> bool:
    """An item of a sub-query that is compared or reckoned with: nobody can name it, and its text takes time."""
    query = item.parent
    around = query.parent if query.__class__ is exp.Select and query.args.get("kind") is None else None
    return around.__class__ is exp.Subquery and isinstance(around.parent, RECKONING)


RECKONING = (exp.Predicate, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.If, exp.Case)


MAX_NAME = 200  # characters of a name made from an expression's text


def text_of(node: Any, reader: Reader) -> str:
    """What most dialects call a column without a name: the text of its expression."""
    try:
        return str(node.sql(dialect=reader.language.dialect, comments=False))[:MAX_NAME]
    except RecursionError:
        return ""


def function_name(node: Any) -> str:
    """What PostgreSQL and its kin call the column of sum(x): sum."""
    while node.__class__ in (exp.Window, exp.Filter, exp.WithinGroup):
        node = node.this
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else "?column?"
