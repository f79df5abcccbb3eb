"""Structs that a query builds: each field keeps its own flow, through arrays, IF and CASE, until it is taken out again.

ARRAY_AGG(STRUCT(a AS p, b AS q)) AS arr … UNNEST(arr) AS e … e.p      only from a
"""

import re
from typing import Any

from sqlglot import exp

from . import expressions, query
from .reader import Reader
from .relations import (
    AGGREGATION,
    CONDITIONAL,
    TRANSFORMATION,
    WINDOW,
    Flow,
    Scope,
    Star,
    StructFlow,
    add_flow,
    used_as,
)

STRUCT_TYPE = re.compile(r"^\s*(?:STRUCT|ROW)\s*[<(](.*)[>)]\s*$", re.IGNORECASE | re.DOTALL)


def built_struct(reader: Reader, node: Any, scope: Scope) -> StructFlow | None:
    """The flow of a struct, or of an array of structs, with its fields; None for what builds none."""
    build = BUILDERS.get(node.__class__)
    return build(reader, node, scope) if build is not None else None


def of_struct(reader: Reader, node: exp.Struct, scope: Scope) -> StructFlow | None:
    """STRUCT(a AS x, b): a field without a name has that of its column, else its place for one."""
    fields: dict[str, Flow] = {}
    for place, part in enumerate(node.expressions):
        if isinstance(part, exp.PropertyEQ):
            name, value = part.this, part.expression
        elif isinstance(part, exp.Alias):
            name, value = part.args["alias"], part.this
        else:
            name, value = last_name(part) or str(place), part
        fields[reader.column(name)] = expressions.flow_of(reader, value, scope)
    return StructFlow(fields) if fields else None


def last_name(node: Any) -> Any:
    """The name that a.b.c gives a field; None for what is no name."""
    name = node.this if isinstance(node, exp.Column) else node.expression if isinstance(node, exp.Dot) else None
    return name if isinstance(name, exp.Identifier) else None


def of_paren(reader: Reader, node: exp.Paren, scope: Scope) -> StructFlow | None:
    return built_struct(reader, node.this, scope)


def of_subquery(reader: Reader, node: Any, scope: Scope) -> StructFlow | None:
    """(SELECT AS STRUCT a, b FROM t)"""
    inner = node.this if isinstance(node, exp.Subquery) else node
    if not isinstance(inner, exp.Select) or inner.args.get("kind") != "STRUCT":
        return None
    relation = query.read_query(reader, node, scope, scope.ctes)
    scope.reads.append(relation)
    if relation.stars:
        return None
    return StructFlow({item[0]: item[1] for item in relation.items if item.__class__ is not Star})  # type: ignore[index]


def of_array(reader: Reader, node: exp.Array, scope: Scope) -> StructFlow | None:
    """[STRUCT(…), …] and ARRAY(SELECT AS STRUCT …): field by field, from all elements."""
    if len(node.expressions) != 1:
        return of_choice(reader, node.expressions, [], scope)
    found = built_struct(reader, node.expressions[0], scope)
    return as_struct(found, TRANSFORMATION)


def of_aggregate(reader: Reader, node: Any, scope: Scope) -> StructFlow | None:
    """ARRAY_AGG(STRUCT(…) ORDER BY c LIMIT 1)"""
    inner, orders = node, []
    while isinstance(inner, WRAPPERS):
        if isinstance(inner, exp.Order):
            orders += inner.expressions
        elif isinstance(inner, exp.HavingMax):
            orders.append(inner.expression)
        elif isinstance(inner, exp.AnyValue | exp.Limit) and not isinstance(inner.this, exp.HavingMax | exp.Order):
            reader.notes["limit"] = None
        inner = inner.expressions[0] if isinstance(inner, exp.Distinct) and inner.expressions else inner.this
    struct = of_struct(reader, inner, scope) if isinstance(inner, exp.Struct) else of_row(reader, inner, scope)
    found = as_struct(struct, AGGREGATION)
    for ordered in orders if found is not None else ():
        expressions.collect(reader, ordered, WINDOW, found, scope)  # type: ignore[arg-type]
    return found


def of_row(reader: Reader, node: Any, scope: Scope) -> StructFlow | None:
    """ARRAY_AGG(t): the row of the source t, where its columns are known."""
    if not reader.rules.row_values or node.__class__ is not exp.Column or node.args.get("table") is not None:
        return None
    source = scope.by_alias(reader.column(node.this)) if node.this.__class__ is exp.Identifier else None
    items = list(source.relation.columns()) if source is not None else []
    if not items or any(item.__class__ is Star for item in items):
        return None
    return StructFlow({item[0]: item[1] for item in items})  # type: ignore[index]


def of_element(reader: Reader, node: exp.Bracket, scope: Scope) -> StructFlow | None:
    """ARRAY_AGG(STRUCT(…))[OFFSET(0)]: the fields of an element are those of the array."""
    return built_struct(reader, node.this, scope)


def as_struct(found: StructFlow | None, mode: int) -> StructFlow | None:
    changed = used_as(found, mode) if found is not None else None
    return changed if isinstance(changed, StructFlow) else None


def of_if(reader: Reader, node: exp.If, scope: Scope) -> StructFlow | None:
    return of_choice(reader, [node.args.get("true"), node.args.get("false")], [node.this], scope)


def of_case(reader: Reader, node: exp.Case, scope: Scope) -> StructFlow | None:
    branches = node.args["ifs"]
    values = [*(branch.args["true"] for branch in branches), node.args.get("default")]
    return of_choice(reader, values, [node.args.get("this"), *(branch.this for branch in branches)], scope)


def of_choice(reader: Reader, values: list[Any], conditions: list[Any], scope: Scope) -> StructFlow | None:
    """Field by field, by the first struct's names; ('a', 1) without names goes by position."""
    if not any(isinstance(value, exp.Struct | exp.Paren) for value in values):
        return None
    structs = [built_struct(reader, value, scope) for value in values]
    names = next((list(found.fields) for found in structs if found is not None), None)
    if names is None:
        return None
    chosen: Flow = {}
    for condition in conditions:
        expressions.collect(reader, condition, CONDITIONAL, chosen, scope)
    joined: dict[str, Flow] = {name: dict(chosen) for name in names}
    for value, found in zip(values, structs, strict=True):
        for name, flow in (found.fields if found is not None else by_place(reader, value, names, scope)).items():
            add_flow(joined.setdefault(name, {}), flow, TRANSFORMATION)
    return StructFlow(joined)


def by_place(reader: Reader, value: Any, names: list[str], scope: Scope) -> dict[str, Flow]:
    parts = value.expressions if isinstance(value, exp.Tuple) else []
    return {name: expressions.flow_of(reader, part, scope) for name, part in zip(names, parts, strict=False)}


AGGREGATES = (exp.ArrayAgg, exp.AnyValue, exp.IgnoreNulls)
WRAPPERS = (*AGGREGATES, exp.Limit, exp.Order, exp.Distinct, exp.HavingMax)
OWN_FIELDS = (exp.Struct, *AGGREGATES)  # a field of what they make is one of the fields they were given
BUILDERS: dict[type, Any] = {
    exp.Struct: of_struct,
    exp.Paren: of_paren,
    exp.Subquery: of_subquery,
    exp.Select: of_subquery,
    exp.Array: of_array,
    exp.Bracket: of_element,
    **dict.fromkeys(AGGREGATES, of_aggregate),
    exp.If: of_if,
    exp.Case: of_case,
}


def fields_of_type(kind: str) -> list[tuple[str, str]]:
    """'STRUCT<a INT64, b ARRAY<STRING>>' -> [('a', 'INT64'), ('b', 'ARRAY<STRING>')]; also STRUCT(…) and ROW(…)"""
    found = STRUCT_TYPE.match(kind)
    fields: list[tuple[str, str]] = []
    depth, start = 0, 0
    text = f"{found[1]}," if found else ""
    for place, character in enumerate(text):
        depth += (character in "<(") - (character in ">)")
        if character == "," and depth == 0:
            name, _, field = text[start:place].strip().replace(":", " ", 1).partition(" ")
            fields.append((name.strip("`").lower(), field.strip()))
            start = place + 1
    return fields
