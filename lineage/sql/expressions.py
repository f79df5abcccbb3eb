"""From an expression to the columns it reads and how: one walk with a stack of its own, so that no depth can end it.

CASE WHEN a > 0 THEN b + 1 END      a CONDITIONAL, b TRANSFORMATION
SUM(x) OVER (PARTITION BY k)        x AGGREGATION, k WINDOW
"""

from typing import Any

from sqlglot import exp

from . import query, structs
from .reader import Reader, named_table
from .relations import (
    AGGREGATION,
    ALIASES_FIRST,
    AMBIGUOUS,
    CONDITIONAL,
    FILTER,
    JOIN,
    MISSING,
    NO_ALIASES,
    NOTHING,
    ONLY_CANDIDATE,
    PARSED,
    SCHEMA,
    TRANSFORMATION,
    WINDOW,
    Flow,
    Scope,
    Source,
    ValueRelation,
    add_flow,
    below,
)
from .render import is_placeholder
from .volatile import CHANCE, CHANCE_NAMES, CLOCK_NAMES, CLOCKS

Stack = list[tuple[Any, Any, int]]  # (what to do, node, mode)

# What to do with a node: nothing (SKIP), go on to its children with the same or a stronger mode, or a handler below.
SKIP = None
SAME, PLAIN, AGGREGATE = 1, 2, 3
LIST = "list"  # of nodes

LEAVES = (
    exp.Literal,
    exp.Identifier,
    exp.DataType,
    exp.Boolean,
    exp.Null,
    exp.Var,
    exp.JSONPath,
    exp.IntervalSpan,
    exp.Placeholder,
    exp.TableAlias,
    exp.WindowSpec,
    exp.RawString,
    exp.National,
    exp.HexString,
    exp.ByteString,
    exp.PseudoType,
    exp.ObjectIdentifier,
    exp.Table,
)
SAME_VALUE = (exp.Paren, exp.Alias, exp.PivotAlias, exp.Ordered, exp.Distinct, exp.Prior, exp.Aliases)
# Aggregates by class that pick one value of the window.
PICKING = (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue, exp.IgnoreNulls, exp.RespectNulls)


def collect(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope) -> None:
    """Add to `sink` what `node` reads, used as `mode`; what sub-queries do to rows goes to the scope."""
    stack: Stack = []
    push(stack, node, mode)
    actions, identifier = ACTIONS, exp.Identifier
    while stack:
        action, node, mode = stack.pop()
        if action.__class__ is not int:
            action(reader, node, mode, sink, scope, stack)
            continue
        if action > SAME and mode < action - 1:
            mode = action - 1  # PLAIN makes TRANSFORMATION, AGGREGATE makes AGGREGATION
        for value in node.args.values():
            action = actions[value.__class__]
            if action is None:
                continue
            if action is read_column:  # by far the most frequent: no detour over the stack
                if value.args["this"].__class__ is identifier:
                    flow = column_flow(reader, value, scope)
                    if flow:
                        add_flow(sink, flow, mode)
            elif action is LIST:
                for child in value:
                    action = actions[child.__class__]
                    if action is not None:
                        stack.append((action, child, mode))
            else:
                stack.append((action, value, mode))


def flow_of(reader: Reader, node: Any, scope: Scope) -> Flow:
    """The flow of an expression's value; shared with the column when it is nothing but a column."""
    if node.__class__ is exp.Column and node.args["this"].__class__ is exp.Identifier:
        return column_flow(reader, node, scope)
    if node.__class__ in structs.BUILDERS:
        struct = structs.built_struct(reader, node, scope)
        if struct is not None:
            return struct
    sink: Flow = {}
    collect(reader, node, 0, sink, scope)
    return sink


class Actions(dict[type, Any]):
    """What to do with nodes of each class; a class met for the first time is classified once."""

    def __missing__(self, kind: type) -> Any:
        self[kind] = action = classify(kind)
        return action


def classify(kind: type) -> Any:
    action: Any = PLAIN
    if not issubclass(kind, exp.Expression) or issubclass(kind, LEAVES):
        action = SKIP
    elif issubclass(kind, SAME_VALUE):
        action = SAME
    elif issubclass(kind, PICKING):
        action = PLAIN
    elif issubclass(kind, exp.Query):
        action = read_subquery
    elif issubclass(kind, CLOCKS):
        action = read_clock
    elif issubclass(kind, CHANCE):
        action = read_chance
    elif issubclass(kind, exp.AggFunc):
        action = AGGREGATE
    return action


# --- columns


def column_flow(reader: Reader, node: Any, scope: Scope) -> Flow:
    """The flow of a column by its name and qualifiers: t.c, db.t.c, c, or c.field where the dialect has structs."""
    args = node.args
    column = reader.column
    name = column(args["this"])
    qualifier = args.get("table")
    if qualifier is None:
        found = scope.cache.get(name) if scope.alias_use != ALIASES_FIRST else None
        return unqualified(reader, name, node, scope) if found is None else found
    if args.get("db") is None:
        alias = column(qualifier)
        level: Scope | None = scope
        while level is not None:
            for source in level.sources:
                if source.alias == alias:
                    found = source.relation.find(name, PARSED)
                    return found if found else qualified_empty(reader, source, name, node, found)
            level = level.parent
    return path_flow(
        reader, [column(args[key]) for key in ("catalog", "db", "table", "this") if args.get(key)], node, scope
    )


def qualified(reader: Reader, source: Source, name: str, node: Any) -> Flow:
    """The column of that source, as the SQL names it."""
    found = source.relation.find(name, PARSED)
    return found if found else qualified_empty(reader, source, name, node, found)


def qualified_empty(reader: Reader, source: Source, name: str, node: Any, found: Flow) -> Flow:
    """A column without a source is nothing to warn of; a missing or ambiguous one is."""
    if (found is not MISSING and found is not AMBIGUOUS) or is_placeholder(name):
        return NOTHING
    if found is AMBIGUOUS:
        reader.warn("ambiguous_column", f"{source.alias}.{name} may come from several tables", node)
    else:
        reader.warn("unresolved_column", f"{source.alias} has no column {name}", node)
    return NOTHING


def path_flow(reader: Reader, parts: list[str], node: Any, scope: Scope) -> Flow:
    """The flow of a.b.c: the longest front that names a source, then a column, then fields of a struct."""
    for level in scope.upward():
        for length in range(min(3, len(parts) - 1), 0, -1):
            source = source_named(level, parts[:length])
            if source is not None:
                flow = qualified(reader, source, parts[length], node)
                rest = parts[length + 1 :]
                return source.relation.fields(flow, ".".join(rest)) if rest else flow
    row = reader.script.rows_of.get(parts[0])
    if row is not None:
        return row.find(parts[1], PARSED)
    if reader.rules.struct_dot:
        flow = unqualified(reader, parts[0], node, scope)
        return below(flow, ".".join(parts[1:])) if flow else NOTHING
    reader.warn("unresolved_column", f"{'.'.join(parts)} names no source in scope", node)
    return NOTHING


def source_named(scope: Scope, names: list[str]) -> Source | None:
    if len(names) == 1:
        return scope.by_alias(names[0])
    tail = tuple(names)
    for source in scope.sources:
        if source.path[-len(tail) :] == tail:
            return source
    return None


def unqualified(reader: Reader, name: str, node: Any, scope: Scope) -> Flow:
    """The flow of a bare name: the innermost scope that has it, then script variables."""
    if (reader.has_template and is_placeholder(name)) or name in reader.rules.no_columns:
        return NOTHING
    level: Scope | None = scope
    while level is not None:
        found = find_in(reader, level, name)
        if found is AMBIGUOUS:
            names = ", ".join(source.alias or "a sub-query" for source in level.sources if source.relation.is_open)
            reader.warn("ambiguous_column", f"{name} may come from several of: {names}", node)
            return NOTHING
        if found is not None:
            return found
        level = level.parent
    variable = reader.variable(name)
    if variable is not None:
        return variable
    if any(level.sources for level in scope.upward()):
        reader.warn("unresolved_column", f"no source in scope has a column {name}", node)
    return NOTHING


def find_in(reader: Reader, scope: Scope, name: str) -> Flow | None:
    """In one scope: an alias or a source's column, by the clause's order; None when it is not there."""
    if scope.alias_use == ALIASES_FIRST and name in scope.aliases:
        return scope.aliases[name]
    found = scope.cache.get(name)
    if found is not None:
        return found
    found = scope.joined.get(name)
    if found is None:
        found = known_in(scope, name)
    if found is None and scope.alias_use != NO_ALIASES:
        found = scope.aliases.get(name)
        if found is not None:
            return found
    if found is None:
        found = row_of(reader, scope, name)
    if found is None:
        if reader.variable(name) is not None:
            return None
        found = guessed_in(scope, name)
        if (found is None or found is AMBIGUOUS) and reader.rules.row_values:
            found = row_under(scope, name) or found
        if found is None:
            return scope.aliases.get(name)  # no source has it, so that an earlier item must be meant
    if found is not None and found is not AMBIGUOUS:
        scope.cache[name] = found
    return found


def known_in(scope: Scope, name: str) -> Flow | None:
    """The column of the one source known to have it."""
    having = None
    for source in scope.sources:
        if name in source.relation.names and source.in_star:
            if having is not None:
                return AMBIGUOUS
            having = source.relation
    return having.find(name, SCHEMA) if having is not None else None


def row_of(reader: Reader, scope: Scope, name: str) -> Flow | None:
    """A source's own name as a value: the element of an array, or the whole row where an alias names it."""
    source = scope.by_alias(name)
    if source is None:
        return None
    is_row = source.relation.__class__ is ValueRelation or (reader.rules.row_values and not source.path)
    return source.relation.whole() if is_row else None


def row_under(scope: Scope, name: str) -> Flow | None:
    """The whole row of a table named without an alias, where no column can be meant."""
    source = scope.by_alias(name)
    return source.relation.whole() if source else None


def guessed_in(scope: Scope, name: str) -> Flow | None:
    """The column of the only source that may have it; a field of a value given an alias is named through it."""
    found, weak = [], []
    for source in scope.sources:
        if source.in_star:
            flow = source.relation.find(name, ONLY_CANDIDATE)
            if flow is not MISSING:
                is_named = source.alias and not source.path  # by the SQL, not by its own last part
                is_value = source.relation.__class__ is ValueRelation and (is_named or not flow)
                (weak if is_value else found).append(flow)
    found = found or weak
    if len(found) > 1:
        return AMBIGUOUS
    return found[0] if found else None


# --- what a second run cannot repeat


def note_clock(reader: Reader, mode: int) -> None:
    """It decides which rows are read, or else only what they hold: also in a CASE, or among the keys of GROUP BY."""
    reader.notes["clock_rows" if mode in (WINDOW, FILTER, JOIN) else "clock_value"] = None


def read_clock(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    note_clock(reader, mode)


def read_chance(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    reader.notes["random"] = None


def read_any_row(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """ANY_VALUE(x), and ARRAY_AGG(x LIMIT 1) without ORDER BY: which row is taken is open, save by HAVING MAX y."""
    if not isinstance(node.this, exp.Order | exp.HavingMax):
        reader.notes["limit"] = None
    stack.append((AGGREGATE if isinstance(node, exp.AggFunc) else SAME, node, mode))


# --- handlers: (reader, node, mode, sink, scope, stack)


def push(stack: Stack, node: Any, mode: int) -> None:
    action = ACTIONS[node.__class__]
    if action is not None:
        stack.append((action, node, mode))


def read_star(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """OBJECT_CONSTRUCT(*): every column there is."""
    for source in scope.sources:
        if source.in_star:
            add_flow(sink, source.relation.whole(), mode)


def read_columns_pattern(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """COLUMNS(…) inside an expression: `selection.expand_around` reads the expression once for each column."""


def read_count(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """COUNT(*) and COUNT(t.*) count rows, whatever is in them."""
    counted = node.args.get("this")
    if counted.__class__ is not exp.Star and not (
        counted.__class__ is exp.Column and counted.this.__class__ is exp.Star
    ):
        stack.append((AGGREGATE, node, mode))


def read_column(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    if node.args["this"].__class__ is exp.Literal:  # tuple.1 of ClickHouse
        parts = [reader.column(node.args[key]) for key in ("catalog", "db", "table") if node.args.get(key)]
        found = path_flow(reader, parts, node, scope) if len(parts) > 1 else unqualified(reader, parts[0], node, scope)
        add_flow(sink, found, mode or TRANSFORMATION)
        return
    if node.args["this"].__class__ is not exp.Identifier:  # to_json(t.*)
        source = scope.by_alias(reader.column(node.args["table"])) if node.args.get("table") is not None else None
        if source is not None:
            add_flow(sink, source.relation.whole(), mode)
        return
    flow = column_flow(reader, node, scope)
    if flow:
        add_flow(sink, flow, mode)


def read_subquery(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    relation = query.read_query(reader, node, scope, scope.ctes)
    scope.reads.append(relation)
    add_flow(sink, relation.whole(), mode)


def read_exists(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """EXISTS (SELECT …): what the sub-query selects does not matter, its conditions do."""
    inner = node.this
    if isinstance(inner, exp.Query):
        scope.reads.append(query.read_query(reader, inner, scope, scope.ctes))
    else:
        push(stack, inner, max(mode, TRANSFORMATION))
        push(stack, node.args.get("expression"), max(mode, TRANSFORMATION))


def as_condition(mode: int, kind: int = CONDITIONAL) -> int:
    return kind if mode <= AGGREGATION else mode


def read_case(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    args = node.args
    push(stack, args.get("this"), as_condition(mode))
    value = mode or TRANSFORMATION
    for branch in args.get("ifs") or ():
        stack.append((read_if, branch, value))
    push(stack, args.get("default"), value)


def read_if(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """IF, IIF, NVL2 and the branches of CASE."""
    args = node.args
    push(stack, args.get("this"), as_condition(mode))
    if reader.script.is_job and asks_for_parameter(args.get("this")):
        kept = dict(reader.notes)
        collect(reader, args.get("true"), mode or TRANSFORMATION, sink, scope)
        reader.notes = kept  # what never happens leaves nothing to chance or clock
    else:
        push(stack, args.get("true"), mode or TRANSFORMATION)
    push(stack, args.get("false"), mode or TRANSFORMATION)


def asks_for_parameter(node: Any) -> bool:
    """@day IS NULL: not so where a job runs the query, which gives each parameter a value."""
    asked = node.this if node.__class__ is exp.Is and node.expression.__class__ is exp.Null else None
    while asked.__class__ in (exp.Cast, exp.Paren):
        asked = asked.this
    return asked.__class__ is exp.Parameter


def read_decode(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """DECODE(x, s1, r1, s2, r2, default)"""
    parts = node.expressions
    for place, part in enumerate(parts):
        is_value = place > 1 and (place % 2 == 0 or place == len(parts) - 1)
        push(stack, part, (mode or TRANSFORMATION) if is_value else as_condition(mode))


def read_window(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    args = node.args
    function = args.get("this")
    push(stack, function, mode or TRANSFORMATION)
    has_order = push_window(reader, args, as_condition(mode, WINDOW), scope, stack)
    if not has_order and (function.this if function.__class__ in NULL_RULES else function).__class__ in BY_ORDER:
        reader.notes["limit"] = None


NULL_RULES = (exp.IgnoreNulls, exp.RespectNulls)
BY_ORDER = (exp.RowNumber, exp.FirstValue, exp.LastValue, exp.NthValue, exp.Lag, exp.Lead)


def push_window(reader: Reader, args: dict[str, Any], mode: int, scope: Scope, stack: Stack) -> bool:
    """PARTITION BY and ORDER BY, written here or under a name in the WINDOW clause; whether there is an ORDER BY."""
    for part in args.get("partition_by") or ():
        push(stack, part, mode)
    order = args.get("order")
    push(stack, order, mode)
    alias = args.get("alias")
    named = scope.windows.get(reader.language.column(alias)) if alias is not None else None
    if named is not None and named.args is not args:
        return push_window(reader, named.args, mode, scope, stack) or order is not None
    return order is not None


def read_ordered_list(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """ARRAY_AGG(x ORDER BY y): y orders the window of x's rows."""
    push(stack, node.args.get("this"), mode)
    order = as_condition(mode, WINDOW) if node.args.get("this") is not None else mode
    for ordered in node.expressions:
        push(stack, ordered, order)


def read_within_group(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY x) is of x; LISTAGG(x) WITHIN GROUP (ORDER BY y) of x by y."""
    function, order = node.this, node.expression
    push(stack, function, mode)
    of_order = function.find(exp.Column) is None
    for ordered in order.expressions if order else ():
        push(stack, ordered, max(mode, AGGREGATION) if of_order else as_condition(mode, WINDOW))


def read_filter(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """SUM(x) FILTER (WHERE condition)"""
    push(stack, node.this, mode)
    push(stack, node.expression, as_condition(mode))


def json_path(node: Any) -> str:
    """'$.a.b[0]' -> 'a.b'; "" for one that is computed."""
    if node.__class__ is not exp.JSONPath:
        return ""
    keys = [part.this for part in node.expressions if part.__class__ is exp.JSONPathKey]
    return ".".join(key for key in keys if isinstance(key, str))


def read_access(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """A part of a value: a.b.c.d.e, (x).field, items[0].name, doc['key'], v:a.b, doc -> 'a', JSON_VALUE(doc, '$.a.b').

    The source is the column, with the path as far as it is plain. Chains of any length are walked, not recursed into.
    """
    names: list[str] = []
    base = node
    while True:
        kind = base.__class__
        if kind is exp.Dot:
            last = base.args["expression"]
            if last.__class__ is not exp.Identifier:
                read_method(reader, base, last, mode, sink, scope, stack)
                return
            names.append(reader.column(last))
        elif kind in JSON_ACCESS:
            names.append(json_path(base.args.get("expression")))
        elif kind is exp.Bracket:
            index = base.expressions[0] if base.expressions else None
            is_key = index.__class__ is exp.Literal and index.is_string
            names.append(index.name if is_key else "")
        elif kind is not exp.Paren:
            break
        if kind is not exp.Dot and kind is not exp.Paren:
            mode = mode or TRANSFORMATION
            for part in base.args.get("expressions") or ():
                push(stack, part, mode)
        base = base.this
    parts = [name for name in reversed(names) if name]
    if base.__class__ is exp.Column and base.args.get("catalog") and names[-1]:
        front = [reader.column(base.args[key]) for key in ("catalog", "db", "table", "this")]
        add_flow(sink, path_flow(reader, front + parts, base, scope), mode)
        return
    inner: Flow = {}
    struct = structs.built_struct(reader, base, scope) if base.__class__ in structs.OWN_FIELDS and parts else None
    if struct is not None:
        add_flow(sink, below(struct, ".".join(parts)), mode)
        chosen_by = {part: basis for part, basis in struct.items() if part[3] == WINDOW}  # which element it is
        add_flow(sink, chosen_by, mode)
    elif base.__class__ is exp.Column:
        inner = flow_of(reader, base, scope)
        add_flow(sink, below(inner, ".".join(parts)) if parts else inner, mode)
    elif base.__class__ is exp.Placeholder and parts and (row := reader.script.rows_of.get(reader.column(base.name))):
        add_flow(sink, row.find(parts[0], PARSED), mode)  # :r.a of Snowflake
    else:
        collect(reader, base, mode, inner, scope)
        sink.update(inner)


JSON_ACCESS = (exp.JSONExtract, exp.JSONExtractScalar, exp.StructExtract)


def read_method(reader: Reader, node: exp.Dot, last: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """dataset.function(x): the arguments are what is read; value.method(x): the value too."""
    push(stack, last, mode or TRANSFORMATION)
    base = node.this
    while base.__class__ is exp.Dot:
        base = base.this
    if base.__class__ is exp.Identifier:
        add_flow(sink, owner_flow(reader, node, scope), mode or TRANSFORMATION)
    elif base.__class__ is not exp.Column:
        push(stack, base, mode or TRANSFORMATION)


def owner_flow(reader: Reader, call: Any, scope: Scope) -> Flow:
    """t.doc.nodes('…') and doc.value('…') of T-SQL are of the column doc; a dataset's function is of none."""
    names: list[str] = []
    part = call.this if call.__class__ is exp.Dot else None
    while part.__class__ is exp.Dot:
        names.append(reader.column(part.expression))
        part = part.this
    if part.__class__ is exp.Identifier:
        names.append(reader.column(part))
    if len(names) > 1 and scope.by_alias(names[-1]) is not None:
        return path_flow(reader, names[::-1], call, scope)
    return known_in(scope, names[0]) or NOTHING if len(names) == 1 else NOTHING


def read_parameter(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """@x, $x: a variable of the script, else from outside."""
    flow = reader.variable("@" + node.name.lower())
    if flow:
        add_flow(sink, flow, mode)


def read_named(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """name => value, name := value inside a call: the name is no column."""
    push(stack, node.args.get("expression"), mode or TRANSFORMATION)


def read_in(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """x IN (1, 2, 3), x IN (SELECT …): literals are passed over at once."""
    mode = mode or TRANSFORMATION
    args = node.args
    push(stack, args["this"], mode)
    for key in ("query", "unnest", "field"):
        push(stack, args.get(key), mode)
    for item in args.get("expressions") or ():
        if item.__class__ is not exp.Literal:
            push(stack, item, mode)


def read_comprehension(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """[x * k FOR x IN xs IF x > 0]: x is an element of xs, not a column."""
    args = node.args
    mode = mode or TRANSFORMATION
    inner = Scope(scope, scope.ctes)
    element = ValueRelation(flow_of(reader, args["iterator"], scope), {}, is_open=False, with_path=True)
    inner.sources.append(Source(reader.column(args["expression"]), element))
    collect(reader, args["this"], mode, sink, inner)
    if args.get("condition") is not None:
        collect(reader, args["condition"], as_condition(mode), sink, inner)


def read_call(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """A function that sqlglot has no class for. VALUES(c) in ON DUPLICATE KEY UPDATE is the row to be inserted."""
    name = node.name.upper()
    if name in CLOCK_NAMES:
        note_clock(reader, mode)
    elif name in CHANCE_NAMES:
        reader.notes["random"] = None
    if name == "VALUES" and len(node.expressions) == 1 and node.expressions[0].__class__ is exp.Identifier:
        excluded = scope.by_alias(reader.language.fold("excluded"))
        if excluded:
            add_flow(sink, excluded.relation.find(reader.language.column(node.expressions[0]), PARSED), mode)
        return
    if reader.rules.lookups and name.startswith(reader.rules.lookups) and len(node.expressions) > 1:
        look_up(reader, node.expressions, max(mode, TRANSFORMATION), sink, scope, stack)
        return
    stack.append((PLAIN, node, mode))


def read_lambda(reader: Reader, node: Any, mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """x -> x + k reads k. coalesce(doc -> 'a' ->> 'b', '') has no function in it, though sqlglot parses one: what
    follows the arrow begins with a literal, which is a key of doc."""
    first = node.this
    while isinstance(first, exp.Binary | exp.Cast):
        first = first.this
    if reader.rules.arrow_is_access and first.__class__ is exp.Literal and len(node.expressions) == 1:
        path = reader.language.dialect.to_json_path(first.copy())
        first.replace(exp.JSONExtract(this=exp.Column(this=node.expressions[0]), expression=path))
    stack.append((PLAIN, node, mode))


def look_up(reader: Reader, arguments: list[Any], mode: int, sink: Flow, scope: Scope, stack: Stack) -> None:
    """dictGet('db.dictionary', 'column', key) of ClickHouse reads a column of the dictionary, or a tuple of columns."""
    named, columns, *keys = arguments
    text = named.name if named.__class__ is exp.Literal else named.sql()
    relation, _ = reader.relation_of(named_table(text, reader.language.dialect))
    scope.reads.append(relation)
    for column in columns.expressions if columns.__class__ is exp.Tuple else [columns]:
        if column.__class__ is exp.Literal:
            add_flow(sink, relation.find(column.name, PARSED), mode)
        else:
            push(stack, column, mode)
    for key in keys:
        push(stack, key, mode)


HANDLERS: dict[type, Any] = {
    exp.Column: read_column,
    exp.Star: read_star,
    exp.Count: read_count,
    exp.Columns: read_columns_pattern,
    exp.Exists: read_exists,
    exp.Case: read_case,
    exp.If: read_if,
    exp.Nvl2: read_if,
    exp.DecodeCase: read_decode,
    exp.Window: read_window,
    exp.Order: read_ordered_list,
    exp.WithinGroup: read_within_group,
    exp.Filter: read_filter,
    exp.AnyValue: read_any_row,
    exp.First: read_any_row,
    exp.Last: read_any_row,
    exp.Limit: read_any_row,
    exp.Bracket: read_access,
    exp.Dot: read_access,
    **dict.fromkeys(JSON_ACCESS, read_access),
    exp.Parameter: read_parameter,
    exp.SessionParameter: read_parameter,
    exp.Kwarg: read_named,
    exp.In: read_in,
    exp.Comprehension: read_comprehension,
    exp.Anonymous: read_call,
    exp.Lambda: read_lambda,
}
ACTIONS = Actions({**HANDLERS, list: LIST})


def collect_rows(reader: Reader, node: Any, mode: int, scope: Scope) -> None:
    """Add what a clause reads to what the scope does to every row."""
    if node is not None:
        collect(reader, node, mode, scope.rows, scope)
