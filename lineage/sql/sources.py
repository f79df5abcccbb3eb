"""From a FROM clause to sources: tables, sub-queries, joins, unnested arrays, table functions, pivots."""

import re
from typing import Any

from sqlglot import exp

from . import pivots, query
from .expressions import collect, collect_rows, flow_of, note_clock, owner_flow, path_flow
from .reader import Reader, named_table, path_nodes
from .relations import (
    FILTER,
    JOIN,
    MISSING,
    NOTHING,
    ONLY_CANDIDATE,
    SORT,
    TRANSFORMATION,
    Flow,
    Item,
    QueryRelation,
    Relation,
    Scope,
    Source,
    Star,
    TableRelation,
    ValueRelation,
    add_flow,
    merged,
    used_as,
)
from .volatile import CLOCKS

# Their first argument is a model, which is no table.
MODEL_FUNCTIONS = (exp.Predict, exp.MLForecast, exp.MLTranslate, exp.GenerateText, exp.GenerateEmbedding)


def read_from(reader: Reader, args: dict[str, Any], scope: Scope) -> None:
    """FROM, its joins and lateral views, in order: each sees those before it."""
    from_ = args.get("from_")
    if from_ is not None:
        add_source(reader, from_.this, scope)
    for lateral in args.get("laterals") or ():
        add_source(reader, lateral, scope)
    for join in args.get("joins") or ():
        add_join(reader, join, scope)
    for pivot in args.get("pivots") or ():
        pivots.pivot_last(reader, pivot, scope)
    if args.get("match") is not None and scope.sources:
        match_rows(reader, args["match"], scope)


def add_source(reader: Reader, node: Any, scope: Scope, in_star: bool = True) -> None:
    """Add what one term of a FROM clause gives to the scope."""
    add = ADDERS.get(node.__class__)
    if add is not None:
        add(reader, node, scope)
    elif isinstance(node, exp.Query):
        add_query(reader, node, scope)
    elif isinstance(node, exp.Func | exp.Bracket | exp.Dot | exp.Column):
        add_function(reader, node, node, scope)
    else:
        reader.warn("unsupported_source", f"cannot read a source of the kind {node.key}", node)
        return
    if not in_star:
        scope.sources[-1].in_star = False
    if node.__class__ is exp.Select:
        return
    args = node.args
    sample = args.get("sample")
    if sample is not None and sample.args.get("seed") is None:
        reader.notes["random"] = None
    for part in args.get("laterals") or ():
        add_source(reader, part, scope)
    for part in args.get("joins") or ():
        add_join(reader, part, scope)
    if args.get("pivots") and node.__class__ in (exp.Table, exp.Subquery, exp.Values):
        for pivot in args["pivots"]:
            pivots.pivot_last(reader, pivot, scope)


def alias_of(reader: Reader, node: Any) -> tuple[str, list[str]]:
    """The alias and its column names; "" and [] when there are none."""
    alias = node.args.get("alias")
    if alias is None:
        return "", []
    if alias.__class__ is not exp.TableAlias:
        return reader.language.column(alias), []
    name = alias.args.get("this")
    columns = [reader.language.column(definition_name(column)) for column in alias.args.get("columns") or ()]
    return (reader.language.column(name) if name is not None else ""), columns


def definition_name(node: Any) -> Any:
    """A name, or that of a definition: AS r(a int, b text)."""
    return node.this if node.__class__ is exp.ColumnDef else node


# --- tables and sub-queries


def add_table(reader: Reader, node: exp.Table, scope: Scope) -> None:
    this = node.args.get("this")
    if this.__class__ is not exp.Identifier and this.__class__ is not exp.Dot:
        add_special_table(reader, node, this, scope)
        return
    alias, names = alias_of(reader, node)
    relation, path = relation_at(reader, node, scope)
    if names:
        relation = under_names(relation, names)
    scope.add(Source(alias or path[-1], relation, () if alias else path))
    if relation.__class__ is QueryRelation and path[-1].startswith(query.PIPED):  # aliases live on through |> EXTEND
        scope.sources += [Source(each.alias, each.relation, each.path, False) for each in relation.sources]
    as_of = node.args.get("version") or node.args.get("when")
    if as_of is not None and is_relative(as_of):
        note_clock(reader, FILTER)


def is_relative(as_of: Any) -> bool:
    """A time that moves with the clock: reckoned from now, or AT (OFFSET => -60) of Snowflake."""
    return (as_of.args.get("kind") or "") == "OFFSET" or any(as_of.find_all(*CLOCKS))


def relation_at(reader: Reader, node: exp.Table, scope: Scope) -> tuple[Relation, tuple[str, ...]]:
    """A CTE, a column to be walked (FROM t, t.items), or a table."""
    args = node.args
    name = reader.language.column(args["this"])
    if args.get("db") is None:
        cte = scope.ctes.get(name)
        if cte is not None:
            return cte, (name,)
    elif scope.sources:
        array = walked_array(reader, node, name, scope)
        if array is not None:
            return array, (name,)
    return reader.script.relation_of(reader, node)


def walked_array(reader: Reader, node: exp.Table, name: str, scope: Scope) -> Relation | None:
    """FROM t, t.doc.items: the first part is a source before it, so that the rest is an array of its row."""
    first, *rest = map(reader.language.column, path_nodes(node))
    owner = scope.by_alias(first) if reader.rules.struct_dot else None
    if owner is None:
        return None
    flow = used_as(path_flow(reader, [first, *rest], node, scope), TRANSFORMATION)
    known: dict[str, Flow] = {} if reader.rules.unnest_alias_is_value else {alias_of(reader, node)[0] or name: flow}
    return ValueRelation(flow, known, is_open=True, with_path=True)


def under_names(relation: Relation, names: list[str]) -> Relation:
    copy = QueryRelation(list(relation.columns()))
    copy.reads = [relation]
    return query.renamed(copy, names)


def add_special_table(reader: Reader, node: exp.Table, this: Any, scope: Scope) -> None:
    """A table that is no name: a function, a stage or file, a variable, rows."""
    if isinstance(this, exp.TableFromRows | exp.Values | exp.Unnest | exp.Subquery | exp.Select):
        if node.args.get("alias") is not None and this.args.get("alias") is None:
            this.set("alias", node.args["alias"])
        add_source(reader, this, scope)
        return
    alias, names = alias_of(reader, node)
    text = reader.script.identified(this)
    if text:
        relation, path = reader.relation_of(named_table(text, reader.language.dialect))
        scope.add(Source(alias or path[-1], under_names(relation, names) if names else relation, path))
        return
    if isinstance(this, exp.Var | exp.Literal | exp.Parameter | exp.Placeholder | exp.SessionParameter):
        relation, path = reader.relation_of(node)
        scope.add(Source(alias or path[-1], under_names(relation, names) if names else relation, path))
    else:
        add_function(reader, node, this, scope)


def add_query(reader: Reader, node: Any, scope: Scope, parent: Scope | None = None) -> None:
    """(SELECT …) AS q; brackets around a join show the joined tables themselves."""
    alias, names = alias_of(reader, node)
    inner = node.this if node.__class__ is exp.Subquery else node
    if node.__class__ is exp.Subquery and not alias and isinstance(inner, exp.Table | exp.Subquery):
        add_source(reader, inner, scope)
        return
    is_table = isinstance(inner, exp.Table)  # (t) AS q
    if node.__class__ is exp.Subquery and (is_table or node.args.get("joins") or node.args.get("pivots")):
        relation = query.read_query(reader, inner, parent or scope.parent, ctes_of(reader, node, scope))
    else:
        relation = query.read_query(reader, node, parent or scope.parent, scope.ctes)
    scope.add(Source(alias, query.renamed(relation, names)))


def ctes_of(reader: Reader, node: Any, scope: Scope) -> dict[str, Relation]:
    with_ = node.args.get("with_")
    return query.read_ctes(reader, with_, scope.parent, scope.ctes) if with_ else scope.ctes


def add_values(reader: Reader, node: exp.Values, scope: Scope) -> None:
    """VALUES (…), (…) AS v (a, b): by position, from all rows."""
    alias, names = alias_of(reader, node)
    flows: list[Flow] = []
    for row in node.expressions:
        cells = row.expressions if row.__class__ is exp.Tuple else [row]
        for place, cell in enumerate(cells):
            if place == len(flows):
                flows.append({})
            if cell.__class__ is not exp.Literal:
                collect(reader, cell, 0, flows[place], scope)
    form, fold = reader.rules.values_column, reader.language.fold
    names += [fold(form.format(place=place, number=place + 1)) for place in range(len(names), len(flows))]
    scope.add(Source(alias, QueryRelation([(name, flow, None) for name, flow in zip(names, flows, strict=False)])))


# --- arrays and functions


def add_unnest(reader: Reader, node: exp.Unnest, scope: Scope) -> None:
    """UNNEST(a, b) AS u (x, y): a column for each array; by dialect, UNNEST(a) AS e names the element."""
    alias, names = alias_of(reader, node)
    flows = [used_as(flow_of(reader, array, scope), TRANSFORMATION) for array in node.expressions]
    offset = node.args.get("offset")
    known: dict[str, Flow] = {}
    if reader.rules.unnest_alias_is_value:
        alias, names = names[0] if names and not alias else alias, names[1:]
        value = ValueRelation(flows[0] if flows else NOTHING, known, is_open=True, with_path=True)
    else:
        known = by_position(names, flows)
        value = ValueRelation(merged(flows), known, is_open=not names, with_path=True)
    scope.add(Source(alias, value))
    if offset is not None and offset is not False:
        if isinstance(offset, exp.Identifier) and names:  # AS e (x, position)
            value.known[reader.language.column(offset)] = NOTHING
            return
        name = reader.language.column(offset) if isinstance(offset, exp.Identifier) else reader.language.fold("offset")
        scope.add(Source("", QueryRelation([(name, NOTHING, None)])))


def by_position(names: list[str], flows: list[Flow]) -> dict[str, Flow]:
    """A flow for each name; when there are more names than flows, a map's key and value, the last serves them all."""
    if not flows:
        return dict.fromkeys(names, NOTHING)
    if len(flows) == 1 or len(names) > len(flows):
        return dict.fromkeys(names, merged(flows))
    return dict(zip(names, flows, strict=False))


def add_lateral(reader: Reader, node: exp.Lateral, scope: Scope) -> None:
    """LATERAL (query), CROSS APPLY, LATERAL VIEW explode(a) e AS x, LATERAL FLATTEN(…) f."""
    this = node.this
    if isinstance(this, exp.Subquery | exp.Select | exp.SetOperation):
        alias, names = alias_of(reader, node)
        inner = this.this if this.__class__ is exp.Subquery else this
        relation = query.read_query(reader, inner, scope, scope.ctes)
        scope.add(Source(alias, query.renamed(relation, names)))
    elif isinstance(this, exp.Values | exp.Unnest | exp.Table):
        if node.args.get("alias") is not None and this.args.get("alias") is None:
            this.set("alias", node.args["alias"])
        add_source(reader, this, scope)
    else:
        add_function(reader, node, this, scope)


def add_table_from_rows(reader: Reader, node: exp.TableFromRows, scope: Scope) -> None:
    """TABLE(function(…)), TABLE('name'), TABLE(query)."""
    this = node.this
    if isinstance(this, exp.Literal | exp.Identifier | exp.Column):
        relation, path = reader.relation_of(named_table(this.name, reader.language.dialect))
        alias, _ = alias_of(reader, node)
        scope.add(Source(alias or path[-1], relation, path))
    else:
        add_function(reader, node, this, scope)


def add_function(reader: Reader, node: Any, function: Any, scope: Scope) -> None:
    """A function in FROM is no table: its columns come from its arguments; files that it reads are."""
    alias, names = alias_of(reader, node)
    made = reader.script.functions.get(called_name(reader, node, function)) if reader.script.functions else None
    if made is not None:
        scope.add(Source(alias or function_alias(reader, function), under_names(made, names) if names else made))
        return
    text = named_by_text(reader, function)
    if text:
        relation, path = reader.relation_of(named_table(text, reader.language.dialect))
        scope.add(Source(alias or path[-1], under_names(relation, names) if names else relation))
        return
    files = reader.script.files_of(function)
    if files:
        relations: list[Relation] = [reader.script.file_relation(reader, uri) for uri in files]
        columns = [Star(relations[0], frozenset(), tuple(Star(other) for other in relations[1:]))]
        relation: Relation = relations[0] if len(relations) == 1 else QueryRelation(list(columns))
        scope.add(Source(alias or "", under_names(relation, names) if names else relation))
        return
    if isinstance(function, exp.Anonymous) and function.name.upper() == "TABLE" and function.expressions:
        function = function.expressions[0]
    relation = argument_relation(reader, function, names, scope)
    scope.add(Source(alias or function_alias(reader, function), relation))


def named_by_text(reader: Reader, function: Any) -> str:
    """table_changes('db.t', 2) of Databricks reads db.t: that text, else ""."""
    if not reader.rules.tables_in_text or function.__class__ is not exp.Anonymous:
        return ""
    first = function.expressions[0] if function.expressions else None
    is_table = function.name.lower() in reader.rules.tables_in_text and first.__class__ is exp.Literal
    return str(first.name) if is_table else ""


def called_name(reader: Reader, node: Any, function: Any) -> str:
    """d.f of FROM d.f(3), as CREATE FUNCTION names it."""
    parts = [node.args.get("catalog"), node.args.get("db")] if isinstance(node, exp.Table) else []
    while isinstance(function, exp.Dot):  # dbo.f(…) behind APPLY
        parts.append(function.this)
        function = function.expression
    if not isinstance(function, exp.Anonymous):
        return ""
    db, catalog = ([part for part in reversed(parts) if part is not None] + [None, None])[:2]
    return reader.script.target_name(exp.Table(this=exp.to_identifier(function.this), db=db, catalog=catalog))


def function_alias(reader: Reader, function: Any) -> str:
    """FROM generate_series(1, 3): its columns may be named through the function's name."""
    name = function.name if isinstance(function, exp.Anonymous) else ""
    return reader.language.fold(name) if name else ""


def argument_relation(reader: Reader, function: Any, names: list[str], scope: Scope) -> Relation:
    """Columns of a table function: each may come from every argument; a table argument's own pass through."""
    tables: list[Relation] = []
    sink: Flow = {}
    for argument in arguments_of(function):
        if isinstance(argument, exp.Anonymous) and argument.name.upper() in ("TABLE", "DESCRIPTOR"):
            tables += table_argument(reader, argument, scope)
            continue
        if isinstance(argument, exp.Query):
            tables.append(query.read_query(reader, argument, scope, scope.ctes))
        elif isinstance(argument, exp.Table):
            tables.append(relation_at(reader, argument, scope)[0])
        elif is_query_text(argument):
            add_flow(sink, flow_of_text(reader, function, argument.name, scope), TRANSFORMATION)
        else:
            collect(reader, argument, TRANSFORMATION, sink, scope)
    add_flow(sink, owner_flow(reader, function, scope), TRANSFORMATION)
    if tables:
        items: list[Item | Star] = [item for table in tables for item in table.columns()]
        if isinstance(function, exp.Anonymous) and function.name.lower() == "exclude_columns":
            items = pivots.without(items, frozenset(described(reader, function)))
            sink = NOTHING
        everything = merged([sink, *(used_as(table.whole(), TRANSFORMATION) for table in tables)])
        relation = PassingRelation(items, everything)
        relation.reads = list(tables)
        return relation
    known = dict(row_flows_of(reader, function, names, scope)) if isinstance(function, exp.Stack) else {}
    known = known or dict.fromkeys(names, sink)
    with_path = isinstance(function, exp.Explode | exp.Unnest | exp.Inline | exp.OpenJSON)
    return ValueRelation(sink, known, is_open=not names or isinstance(function, exp.Explode), with_path=with_path)


def table_argument(reader: Reader, argument: exp.Anonymous, scope: Scope) -> list[Relation]:
    """Trino's f(input => TABLE(t)); DESCRIPTOR(a) names columns and reads none. A function may stand inside TABLE()."""
    found: list[Relation] = []
    for inner in argument.expressions if argument.name.upper() == "TABLE" else ():
        if isinstance(inner, exp.Column):
            dialect = reader.language.dialect
            found.append(relation_at(reader, exp.to_table(inner.sql(dialect=dialect), dialect=dialect), scope)[0])
        elif isinstance(inner, exp.Func):
            found.append(argument_relation(reader, inner, [], scope))
        elif isinstance(inner, exp.Query):
            found.append(query.read_query(reader, inner, scope, scope.ctes))
    return found


def described(reader: Reader, function: exp.Anonymous) -> list[str]:
    """The columns that DESCRIPTOR(a, b) names among a call's arguments."""
    found = [part for part in arguments_of(function) if part.name.upper() == "DESCRIPTOR"]
    return [reader.column(column.this) for part in found for column in part.find_all(exp.Column)]


QUERY_TEXT = re.compile(r"\s*(?:select|with)\b", re.IGNORECASE)
READS_HERE = re.compile(r"crosstab[2-4]?|query_to_xml", re.IGNORECASE)


def is_query_text(argument: Any) -> bool:
    return isinstance(argument, exp.Literal) and argument.is_string and QUERY_TEXT.match(argument.name) is not None


def flow_of_text(reader: Reader, function: Any, text: str, scope: Scope) -> Flow:
    """SQL in a string: crosstab('SELECT …') runs it here, EXTERNAL_QUERY and its kin in another system."""
    while function.__class__ is exp.Dot:
        function = function.expression
    name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
    if READS_HERE.fullmatch(name):
        tree = reader.language.parse_text(text)
        if isinstance(tree, exp.Query):
            relation = query.read_query(reader, tree, None, {})
            scope.reads.append(relation)
            return relation.whole()
    reader.warn("remote_query", f"what {name} reads is SQL for another system", function)
    return NOTHING


def row_flows_of(reader: Reader, function: Any, names: list[str], scope: Scope) -> list[tuple[str, Flow]]:
    """The columns that a function makes under these names; stack(2, 'a', a, 'b', b) lays its values out by rows."""
    if not isinstance(function, exp.Stack) or not names:
        return [(name, flow) for flow in [flow_of(reader, function, scope)] for name in names]
    values = [flow_of(reader, value, scope) for value in function.expressions]
    return [(name, merged(values[place :: len(names)])) for place, name in enumerate(names)]


class PassingRelation(QueryRelation):
    """What a table function makes of a table: its columns, and further ones from all of it."""

    __slots__ = ("rest",)

    def __init__(self, items: list[Item | Star], rest: Flow) -> None:
        super().__init__(items)
        self.rest = rest
        self.is_open = True

    def find(self, name: str, basis: int) -> Flow:
        item = self.index.get(name)
        return item[1] if item else self.rest


def arguments_of(function: Any) -> list[Any]:
    """The arguments of a call, whatever sqlglot names them."""
    while function.__class__ is exp.Dot:
        function = function.expression
    if not isinstance(function, exp.Expression):
        return []
    found: list[Any] = []
    for key, value in function.args.items():
        if key == "alias" or (key == "this" and isinstance(function, MODEL_FUNCTIONS)):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, exp.Subquery) and part.args.get("alias") is None:
                part = part.this
            if isinstance(part, exp.Expression) and not isinstance(part, exp.Schema | exp.DataType | exp.Identifier):
                found.append(part.expression if isinstance(part, exp.Kwarg) else part)
    return found


# --- joins


def add_join(reader: Reader, join: exp.Join, scope: Scope) -> None:
    args = join.args
    kind = args.get("kind")
    if kind == "ARRAY":
        join_arrays(reader, [args["this"], *(args.get("expressions") or ())], scope)
        return
    is_half = bool(kind) and kind.upper() in ("SEMI", "ANTI")
    before = len(scope.sources)
    add_source(reader, args["this"], scope, in_star=not is_half)
    using = args.get("using")
    if using or args.get("method"):
        join_on_names(reader, join, scope.sources[:before], scope.sources[before:], scope)
    for key in ("on", "match_condition"):
        condition = args.get(key)
        if condition is None:
            continue
        if is_half:
            with_hidden(reader, condition, scope.sources[before:], scope)
        else:
            collect_rows(reader, condition, JOIN, scope)


def join_arrays(reader: Reader, arrays: list[Any], scope: Scope) -> None:
    """ARRAY JOIN tags AS tag of ClickHouse: a row for each element, named by the alias or as the array itself."""
    for array in arrays:
        value = array.this if isinstance(array, exp.Alias) else array
        if isinstance(value, exp.Table):
            value = exp.column(value.this, table=value.args.get("db"))
        name = array.args["alias"] if isinstance(array, exp.Alias | exp.Table) and array.args.get("alias") else value
        name = name.this if name.__class__ in (exp.TableAlias, exp.Column) else name
        if name.__class__ is exp.Identifier:
            element = ValueRelation(used_as(flow_of(reader, value, scope), TRANSFORMATION), {}, True, with_path=True)
            scope.add(Source(reader.language.column(name), element, in_star=False))


def join_on_names(reader: Reader, join: exp.Join, left: list[Source], right: list[Source], scope: Scope) -> None:
    """USING (a, b), and NATURAL with the columns that both sides are known to have."""
    if (join.args.get("method") or "").upper() == "NATURAL":
        names = common_columns(left, right)
    else:
        nodes = join.args.get("using") or ()
        names = [reader.column(node.this if node.__class__ is exp.Column else node) for node in nodes]
    if names:
        join_using(reader, names, left, right, scope, join)


def with_hidden(reader: Reader, condition: Any, right: list[Source], scope: Scope) -> None:
    """The right side of a semi join is seen by its own condition alone."""
    for source in right:
        source.in_star = True
    collect_rows(reader, condition, JOIN, scope)
    scope.cache.clear()
    for source in right:
        source.in_star = False


def common_columns(left: list[Source], right: list[Source]) -> list[str]:
    """NATURAL: the columns that both sides are known to have, in the left side's order."""
    others = {item[0] for source in right for item in source.relation.columns() if item.__class__ is not Star}  # type: ignore[index]
    mine = [item[0] for source in left for item in source.relation.columns() if item.__class__ is not Star]  # type: ignore[index]
    return [name for name in dict.fromkeys(mine) if name in others]


def join_using(
    reader: Reader, names: list[str], left: list[Source], right: list[Source], scope: Scope, node: Any
) -> None:
    """USING (a): one column of both sides."""
    for name in names:
        before = scope.joined.get(name) or side_flow(reader, left, name, node)
        flow = merged([before, side_flow(reader, right, name, node)])
        is_half = not any(source.in_star for source in right)  # a semi join only looks at its right side
        scope.joined = {**scope.joined, name: before if is_half else flow}
        scope.cache.pop(name, None)
        add_flow(scope.rows, flow, JOIN)


def side_flow(reader: Reader, sources: list[Source], name: str, node: Any) -> Flow:
    """The column of one side of USING: of the sources known to have it, else of the only one that may."""
    known = [source for source in sources if name in source.relation.names]
    found = [flow for flow in (s.relation.find(name, ONLY_CANDIDATE) for s in known or sources) if flow is not MISSING]
    if len(found) > 1:
        reader.warn("ambiguous_column", f"{name} of USING may come from several tables", node)
        return NOTHING
    return found[0] if found else NOTHING


def add_element(reader: Reader, node: exp.AtIndex, scope: Scope) -> None:
    """FROM t, t.items AS o AT i of Redshift: an element of the array, and its position or its key."""
    array = node.this
    value = array.this if isinstance(array, exp.Alias) else array
    alias = reader.language.column(array.args["alias"]) if isinstance(array, exp.Alias) else ""
    flow = used_as(flow_of(reader, value, scope), TRANSFORMATION)
    scope.add(Source(alias, ValueRelation(flow, {}, is_open=True, with_path=True)))
    if isinstance(node.expression, exp.Identifier):
        scope.add(Source("", QueryRelation([(reader.language.column(node.expression), NOTHING, None)])))


def add_final(reader: Reader, node: exp.Final, scope: Scope) -> None:
    """FROM t FINAL of ClickHouse."""
    add_source(reader, node.this, scope)


PATTERN_VARIABLE = re.compile(r"[A-Za-z_]\w*")  # it stands for rows of the source, defined or not


def match_rows(reader: Reader, match: exp.MatchRecognize, scope: Scope) -> None:
    """MATCH_RECOGNIZE: the partition's columns and the measures; all of the source's too where each row is shown."""
    source = scope.sources.pop()
    inner = Scope(scope.parent, scope.ctes)
    inner.sources = [source]
    args = match.args
    for symbol in PATTERN_VARIABLE.findall(args["pattern"].name if args.get("pattern") else ""):
        inner.sources.append(Source(reader.language.fold(symbol), source.relation, in_star=False))
    for symbol in args.get("define") or ():
        collect_rows(reader, symbol.this, FILTER, inner)
    items = query.read_items(reader, args.get("partition_by") or [], inner)
    for term in args["order"].expressions if args.get("order") else ():
        collect_rows(reader, term, SORT, inner)
    measures = query.read_items(reader, [part.this for part in args.get("measures") or ()], inner)
    shows_all = "ALL ROWS" in (args["rows"].name.upper() if args.get("rows") else "")
    front = list(source.relation.columns()) if shows_all else items
    relation = QueryRelation([*front, *measures])
    relation.rows, relation.reads = inner.rows, [source.relation, *inner.reads]
    alias, names = alias_of(reader, match)
    scope.cache.clear()
    scope.add(Source(alias or source.alias, query.renamed(relation, names)))


def add_stream(reader: Reader, node: Any, scope: Scope) -> None:
    """STREAM(t) AS s of Databricks reads t."""
    inner, alias = node.this, node.args.get("alias")
    while inner.__class__ in (exp.Subquery, exp.Paren):
        alias = alias or inner.args.get("alias")
        inner = inner.this
    if inner.__class__ is exp.Column:
        inner = exp.to_table(inner.sql(dialect=reader.language.dialect), dialect=reader.language.dialect)
    if alias is not None and inner.args.get("alias") is None:
        inner.set("alias", alias)
    add_source(reader, inner, scope)


ADDERS: dict[type, Any] = {
    exp.Table: add_table,
    exp.Subquery: add_query,
    exp.Values: add_values,
    exp.Unnest: add_unnest,
    exp.Lateral: add_lateral,
    exp.TableFromRows: add_table_from_rows,
    exp.Pivot: pivots.add_pivot,
    exp.Stream: add_stream,
    exp.Final: add_final,
    exp.AtIndex: add_element,
}

__all__ = ["TableRelation", "add_source", "read_from"]
