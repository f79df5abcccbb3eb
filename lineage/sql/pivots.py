"""PIVOT and UNPIVOT: what they make of the source before them."""

from typing import Any

from sqlglot import exp

from . import query, sources
from .expressions import collect, flow_of
from .reader import Reader
from .relations import (
    AGGREGATION,
    CONDITIONAL,
    GROUP_BY,
    NOTHING,
    ONLY_CANDIDATE,
    Flow,
    Item,
    QueryRelation,
    Scope,
    Source,
    Star,
    ValueRelation,
    add_flow,
    merged,
    used_as,
)
from .selection import expand_columns, name_of, text_of


def pivot_last(reader: Reader, pivot: exp.Pivot, scope: Scope) -> None:
    """Replace the last source by what PIVOT or UNPIVOT makes of it."""
    source = scope.sources.pop()
    inner = Scope(scope.parent, scope.ctes)
    inner.sources = [source]
    inner.rows = scope.rows
    items = unpivoted(reader, pivot, inner) if pivot.args.get("unpivot") else pivoted(reader, pivot, inner)
    relation = QueryRelation(items)
    relation.reads = [source.relation]
    alias, names = sources.alias_of(reader, pivot)
    scope.cache.clear()
    scope.add(Source(alias or source.alias, query.renamed(relation, names), () if alias else source.path))


def pivoted(reader: Reader, pivot: exp.Pivot, scope: Scope) -> list[Item | Star]:
    """The source's other columns group the rows; each value of FOR gets a column for each aggregate."""
    source = scope.sources[0]
    aggregates = [flow_of(reader, node, scope) for node in pivot.args.get("using") or pivot.expressions]
    keys: Flow = {}
    for field in pivot.args.get("fields") or ():
        collect(reader, field.this, 0, keys, scope)
    used = {name for _, name, _, _ in merged([*aggregates, keys])} | names_in(reader, pivot)
    rest = without(source.relation.columns(), frozenset(used))
    names = [reader.language.column(name) for name in pivot.args.get("columns") or ()]
    step = max(len(aggregates), 1)
    made: list[Item | Star] = []
    for place, name in enumerate(names):
        flow = dict(aggregates[place % step]) if aggregates else {}
        add_flow(flow, keys, CONDITIONAL)
        made.append((name, flow, None))
    if not names and aggregates:  # FOR q IN (ANY): the columns are data
        value = merged([*aggregates, used_as(keys, CONDITIONAL)])
        made.append(Star(ValueRelation(value, {}, is_open=True, with_path=False)))  # type: ignore[arg-type]
    for item in rest:
        if item.__class__ is not Star:
            add_flow(scope.rows, item[1], GROUP_BY)  # type: ignore[index]
    return rest + made


def names_in(reader: Reader, pivot: exp.Pivot) -> set[str]:
    """Columns that the pivot uses up, by the names it gives them."""
    nodes = [*pivot.expressions, *(field.this for field in pivot.args.get("fields") or ())]
    return {reader.language.column(column.this) for node in nodes for column in node.find_all(exp.Column)}


def unpivoted(reader: Reader, pivot: exp.Pivot, scope: Scope) -> list[Item | Star]:
    """UNPIVOT (v FOR n IN (a, b)): v comes from a and b, n from nowhere, the rest stays."""
    source = scope.sources[0]
    column = reader.language.column
    into = pivot.args.get("into")
    if into is not None:
        return unpivoted_into(reader, pivot.expressions, into, scope)
    values = [column(name_of(node)) for node in flat_names(pivot.expressions)]
    flows: list[Flow] = [{} for _ in values]
    used: set[str] = set()
    labels: list[str] = []
    for field in pivot.args.get("fields") or ():
        labels.append(column(name_of(field.this)))
        for node in field.expressions:
            inner = node.this if isinstance(node, exp.PivotAlias | exp.Alias) else node
            members = inner.expressions if isinstance(inner, exp.Tuple) else [inner]
            for place, member in enumerate(members):
                name = column(name_of(member))
                used.add(name)
                if flows:
                    add_flow(flows[min(place, len(flows) - 1)], source.relation.find(name, ONLY_CANDIDATE), 0)
    rest = without(source.relation.columns(), frozenset(used))
    made = [(label, NOTHING, None) for label in labels]
    return [*rest, *made, *((name, flow, None) for name, flow in zip(values, flows, strict=True))]


def unpivoted_into(reader: Reader, nodes: list[Any], into: exp.UnpivotColumns, scope: Scope) -> list[Item | Star]:
    """UNPIVOT t ON a, (b + 1) AS c INTO NAME n VALUE v, a statement of DuckDB."""
    column = reader.language.column
    nodes = [part for node in nodes for part in columns_of(reader, node, scope)]
    values = [column(name_of(node)) for node in into.expressions]
    rows = [node.expressions if isinstance(node, exp.Tuple) else [node] for node in nodes]
    flows = [
        merged(flow_of(reader, row[place], scope) for row in rows if place < len(row)) for place in range(len(values))
    ]
    used = frozenset(column(found.this) for node in nodes for found in node.find_all(exp.Column))
    rest = without(scope.sources[0].relation.columns(), used)
    return [
        *rest,
        (column(name_of(into.this)), NOTHING, None),
        *((name, flow, None) for name, flow in zip(values, flows, strict=True)),
    ]


def columns_of(reader: Reader, node: Any, scope: Scope) -> list[Any]:
    """COLUMNS(* EXCLUDE (id)) as the columns that it stands for, as far as they are known."""
    if node.__class__ is not exp.Columns:
        return [node]
    return [exp.column(item[0]) for item in expand_columns(reader, node, scope) if item.__class__ is not Star]  # type: ignore[index]


def flat_names(nodes: list[Any]) -> list[Any]:
    return [part for node in nodes for part in (node.expressions if isinstance(node, exp.Tuple) else [node])]


def without(items: list[Item | Star], names: frozenset[str]) -> list[Item | Star]:
    kept: list[Item | Star] = []
    for item in items:
        if item.__class__ is Star:
            kept.append(item.without(names))  # type: ignore[union-attr]
        elif item[0] not in names:  # type: ignore[index]
            kept.append(item)
    return kept


def add_pivot(reader: Reader, node: exp.Pivot, scope: Scope) -> None:
    """DuckDB's PIVOT t ON x IN ('a', 'b') USING sum(y) GROUP BY k as a source of its own."""
    sources.add_source(reader, node.this, scope)
    if isinstance(node.this, exp.AtIndex):
        return  # UNPIVOT t.doc AS v AT k of Redshift: the values of an object, and their keys
    if node.args.get("unpivot"):
        pivot_last(reader, node, scope)
        return
    source = scope.sources[-1]
    inner = Scope(scope.parent, scope.ctes)
    inner.sources, inner.rows = [source], scope.rows
    using = node.args.get("using") or []
    flows = [
        (
            part.alias or (text_of(part, reader) if len(using) > 1 else ""),
            used_as(flow_of(reader, part, inner), AGGREGATION),
        )
        for part in using
    ]
    keys: Flow = {}
    for part in node.expressions:
        collect(reader, part.this if isinstance(part, exp.In) else part, CONDITIONAL, keys, inner)
    labels = [item for part in node.expressions if isinstance(part, exp.In) for item in part.expressions]
    made: list[Item | Star] = [
        (
            reader.language.fold("_".join(filter(None, (item.alias_or_name or item.name, name)))),
            merged([flow, keys]),
            None,
        )
        for item in labels
        for name, flow in flows or [("", NOTHING)]
    ]
    if not made:
        value = merged([keys, *(flow for _, flow in flows)])
        made = [Star(ValueRelation(value, {}, is_open=True, with_path=False))]
    group = node.args.get("group")
    if group is not None:
        rest = query.read_items(reader, group.expressions, inner)
        query.collect_clause(reader, group.expressions, GROUP_BY, inner, rest)
    else:
        used = {reader.column(c.this) for part in [*node.expressions, *using] for c in part.find_all(exp.Column)}
        rest = without(source.relation.columns(), frozenset(used))
    relation = QueryRelation([*rest, *made])
    relation.reads = [source.relation]
    scope.sources[-1] = Source(source.alias, relation, source.path)
