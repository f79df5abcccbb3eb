"""INSERT, UPDATE, DELETE and MERGE: which target column gets what, and on what the change depends."""

from typing import Any

from sqlglot import exp

from . import query, sources
from .effects import Effects, Write, write_of
from .expressions import collect_rows, flow_of
from .reader import Reader
from .relations import (
    FILTER,
    JOIN,
    PARSED,
    Flow,
    Item,
    QueryRelation,
    Relation,
    Scope,
    Source,
    Star,
    TableRelation,
    add_flow,
    row_flows,
)
from .selection import name_of

Ctes = dict[str, Relation]


def read_dml(reader: Reader, node: Any, parent: Scope | None = None, ctes: Ctes | None = None) -> Effects:
    """The effects of one data-changing statement, its WITH clause included."""
    ctes = ctes or {}
    if node.args.get("with_"):
        ctes = query.read_ctes(reader, node.args["with_"], parent, ctes)
    return READERS[node.__class__](reader, node, parent, ctes)


def read_returning(reader: Reader, node: Any, parent: Scope | None, ctes: Ctes) -> QueryRelation:
    """A data-modifying CTE: its writes are noted, its RETURNING list is the relation."""
    effects = read_dml(reader, node, parent, ctes)
    reader.written += effects.writes
    returning = node.args.get("returning")
    if returning is None:
        return QueryRelation([])
    scope = returning_scope(reader, node, effects, parent, ctes)
    items = query.read_items(reader, returning.expressions, scope)
    relation = QueryRelation(items)
    relation.rows = effects.writes[0].rows if effects.writes else {}
    if isinstance(node, exp.Delete | exp.Update) and effects.writes:
        reader.inputs.add(effects.writes[0].target)
    return relation


def returning_scope(reader: Reader, node: Any, effects: Effects, parent: Scope | None, ctes: Ctes) -> Scope:
    """RETURNING sees the changed table; of an INSERT, the rows put in."""
    scope = Scope(parent, ctes)
    if isinstance(node, exp.Insert):
        write = effects.writes[0]
        scope.add(Source(last_part(write.target), changed_rows(reader, write)))
    else:
        table = node.this
        alias, _ = sources.alias_of(reader, table)
        relation, path = target_relation(reader, table)
        scope.add(Source(alias or path[-1], relation, path))
        for extra in ("using", "from_"):
            part = node.args.get(extra)
            for source in part if isinstance(part, list) else [part.this] if part else []:
                sources.add_source(reader, source, scope)
    return scope


def changed_rows(reader: Reader, write: Write) -> Relation:
    """The rows that a statement put in: what it set, and the target's own values for the rest."""
    names = frozenset(name for name, _, _ in write.columns)
    rest = TableRelation(write.target, None, frozenset())
    return QueryRelation([*write.columns, *(write.stars or [Star(rest, names)])])


def last_part(name: str) -> str:
    return name.rsplit(".", 1)[-1]


# --- targets


def target_relation(reader: Reader, table: Any) -> tuple[Relation, tuple[str, ...]]:
    """The written table as a source of its own columns; being written does not make it an input."""
    before = set(reader.inputs)
    relation, path = reader.relation_of(table)
    reader.inputs = before
    return relation, path


def target_name(reader: Reader, table: Any) -> str:
    name: str = reader.script.target_name(table)
    return name


# --- INSERT


def read_insert(reader: Reader, node: exp.Insert, parent: Scope | None, ctes: Ctes) -> Effects:
    this = node.this
    if isinstance(this, exp.Directory):
        relation = insert_source(reader, node, parent, ctes)
        return Effects("INSERT", [write_of(reader.script.uri(this.this.name), relation)])
    table = this.this if isinstance(this, exp.Schema) else this
    target = target_name(reader, table)
    relation = insert_source(reader, node, parent, ctes)
    listed = [reader.language.column(name_node(column)) for column in this.expressions] if this is not table else []
    items = named_items(reader, node, table, target, listed, relation)
    write = write_of(target, relation, items)
    if node.args.get("conflict") is not None:
        read_conflict(reader, node, table, write, parent, ctes)
    where = node.args.get("where")
    if where is not None:  # REPLACE WHERE of Databricks
        scope = Scope(parent, ctes)
        scope.add(Source(last_part(target), target_relation(reader, table)[0]))
        collect_rows(reader, where, FILTER, scope)
        write.rows.update(scope.rows)
    return Effects("INSERT", [write, *output_into(reader, node, write)])


def name_node(node: Any) -> Any:
    """A target column of a list: a name, a struct's field, a definition."""
    while node.__class__ in (exp.Column, exp.ColumnDef, exp.Dot):
        node = node.this
    return node


def insert_source(reader: Reader, node: exp.Insert, parent: Scope | None, ctes: Ctes) -> QueryRelation:
    expression = node.expression
    if expression is None:
        source = node.args.get("source")
        return query.read_query(reader, source, parent, ctes) if isinstance(source, exp.Query) else QueryRelation([])
    if isinstance(expression, exp.Table):
        scope = Scope(parent, ctes)
        sources.add_source(reader, expression, scope)
        return query.finish(scope, query.expand_star(reader, exp.Star(), scope))
    return query.read_query(reader, expression, parent, ctes)


def named_items(
    reader: Reader, node: exp.Insert, table: Any, target: str, listed: list[str], relation: QueryRelation
) -> list[Item | Star]:
    """The query's columns under the target's names: its list, its known columns in order, else their own names."""
    if node.args.get("by_name"):
        return relation.items
    names = listed
    if not names:
        known = reader.script.known_columns(target)
        names = without_static(reader, table, list(known)) if known else []
    if not names:
        return relation.items
    return query.renamed(relation, names).items[: max(len(names), first_star(relation.items) + 1)]


def first_star(items: list[Item | Star]) -> int:
    return next((place for place, item in enumerate(items) if item.__class__ is Star), -1)


def without_static(reader: Reader, table: Any, names: list[str]) -> list[str]:
    """The columns a query fills: PARTITION (day = '…') is given, PARTITION (hour) comes last."""
    partition = table.args.get("partition") if isinstance(table, exp.Table) else None
    if partition is None:
        return names
    column = reader.language.column
    static = {column(part.this.this) for part in partition.expressions if isinstance(part, exp.EQ)}
    dynamic = [column(part.this) for part in partition.expressions if isinstance(part, exp.Column | exp.Identifier)]
    return [name for name in names if name not in static and name not in dynamic] + dynamic


def read_conflict(reader: Reader, node: exp.Insert, table: Any, write: Write, parent: Scope | None, ctes: Ctes) -> None:
    """ON CONFLICT DO UPDATE SET n = u.n + EXCLUDED.n; ON DUPLICATE KEY UPDATE n = VALUES(n)."""
    conflict = node.args["conflict"]
    scope = Scope(parent, ctes)
    alias, _ = sources.alias_of(reader, table)
    relation, path = target_relation(reader, table)
    scope.add(Source(alias or path[-1], relation, path))
    excluded = QueryRelation([*write.columns, *write.stars])
    row_alias = node.expression.args.get("alias") if isinstance(node.expression, exp.Values) else None
    for name in ("excluded", *([row_alias.name] if row_alias is not None else [])):  # VALUES (…) AS new of MySQL
        scope.sources.append(Source(reader.language.fold(name), excluded, in_star=False))
    if isinstance(node.expression, exp.Select):  # MySQL: the query's own tables may be named too
        inner = Scope(parent, ctes)
        before = set(reader.inputs)
        sources.read_from(reader, node.expression.args, inner)
        reader.inputs = before
        scope.sources += [Source(source.alias, source.relation, source.path, False) for source in inner.sources]
    read_assignments(reader, conflict.args.get("expressions") or [], scope, {"": write})
    where = conflict.args.get("where")
    if where is not None:
        collect_rows(reader, where.this, FILTER, scope)
    write.rows.update(scope.rows)


def output_into(reader: Reader, node: Any, write: Write) -> list[Write]:
    """T-SQL: OUTPUT INSERTED.id INTO log (id) writes a second table with the rows of the first."""
    returning = node.args.get("returning")
    into = returning.args.get("into") if returning is not None else None
    if not isinstance(into, exp.Expression):
        return []
    table = into.this if isinstance(into, exp.Schema) else into
    names = [reader.language.column(name_node(column)) for column in into.expressions] if table is not into else []
    scope = Scope(None, {})
    scope.sources.append(Source("inserted", changed_rows(reader, write)))
    scope.sources.append(Source("deleted", TableRelation(write.target, None, frozenset())))
    items = query.read_items(reader, returning.expressions, scope)
    second = write_of(target_name(reader, table), query.renamed(QueryRelation(items), names))
    second.rows = dict(write.rows)
    return [second]


# --- UPDATE


def read_update(reader: Reader, node: exp.Update, parent: Scope | None, ctes: Ctes) -> Effects:
    args = node.args
    scope = Scope(parent, ctes)
    from_ = args.get("from_")
    writes = update_targets(reader, node.this, from_.this if from_ else None, scope)
    read_assignments(reader, args.get("expressions") or [], scope, writes)
    where = args.get("where")
    if where is not None:
        collect_rows(reader, where.this, FILTER, scope)
    return Effects("UPDATE", finished(reader, node, writes, scope))


def finished(reader: Reader, node: Any, writes: dict[str, Write], scope: Scope) -> list[Write]:
    """The targets that were changed, each with all that the statement does to rows."""
    rows = scope_rows(scope)
    main = writes[""]
    changed = [write for write in {id(write): write for write in writes.values()}.values() if write.columns] or [main]
    for write in changed:
        write.rows.update(rows)
    return [*changed, *output_into(reader, node, main)]


def scope_rows(scope: Scope) -> Flow:
    relation = QueryRelation([])
    relation.rows, relation.reads = scope.rows, scope.reads
    return row_flows(relation)


def update_targets(reader: Reader, target: Any, from_: Any, scope: Scope) -> dict[str, Write]:
    """Targets by alias, the main one under "" too. The main one may be an alias of FROM (T-SQL), a CTE, or joined."""
    name_in_from = None
    if isinstance(target, exp.Table):
        alias = sources.alias_of(reader, target)[0] or reader.language.column(target.this)
        name_in_from = table_with_alias(reader, from_, target, alias) if from_ is not None else None
    if name_in_from is not None:
        return targets_in_from(reader, name_in_from, from_, scope, alias)
    return targets_before_from(reader, target, from_, scope)


def table_with_alias(reader: Reader, from_: Any, target: exp.Table, alias: str) -> exp.Table | None:
    """The table of FROM that the target's name stands for."""
    for table in tables_of(from_):
        known_as = sources.alias_of(reader, table)[0]
        same = known_as == alias and not target.args.get("db")
        if same or (not known_as and target_name(reader, table) == target_name(reader, target)):
            return table
    return None


def tables_of(from_: Any) -> list[exp.Table]:
    found = [from_] if isinstance(from_, exp.Table) else []
    return found + [join.this for join in from_.args.get("joins") or () if isinstance(join.this, exp.Table)]


def targets_in_from(reader: Reader, table: exp.Table, from_: Any, scope: Scope, alias: str) -> dict[str, Write]:
    """UPDATE t SET … FROM u AS t JOIN s: u is the target, s alone is read."""
    before = set(reader.inputs)
    sources.add_source(reader, from_, scope)
    target = target_name(reader, table)
    mentions = [other for other in tables_of(from_) if other is not table and target_name(reader, other) == target]
    if target not in before and not mentions and not in_subquery(reader, from_, target):
        reader.inputs.discard(target)
    write = Write(target)
    return {"": write, alias: write}


def in_subquery(reader: Reader, from_: Any, target: str) -> bool:
    direct = {id(table) for table in tables_of(from_)}
    return any(
        id(table) not in direct and isinstance(table.this, exp.Identifier) and target_name(reader, table) == target
        for table in from_.find_all(exp.Table)
    )


def targets_before_from(reader: Reader, target: Any, from_: Any, scope: Scope) -> dict[str, Write]:
    """UPDATE u [AS t] [JOIN s ON …] SET …: every table before SET may be changed."""
    alias, _ = sources.alias_of(reader, target)
    cte = scope.ctes.get(reader.language.column(target.this)) if not target.args.get("db") else None
    if cte is not None:
        write = Write(underlying_table(cte))
        scope.add(Source(alias or reader.language.column(target.this), cte))
        if write.target:
            reader.inputs.discard(write.target)
        writes = {"": write, "*cte": write}
    else:
        relation, path = target_relation(reader, target)
        name = alias or path[-1]
        scope.add(Source(name, relation, path))
        write = Write(target_name(reader, target))
        writes = {"": write, name: write}
    for join in target.args.get("joins") or ():
        sources.add_join(reader, join, scope)
        if isinstance(join.this, exp.Table) and isinstance(join.this.this, exp.Identifier):
            writes[scope.sources[-1].alias] = Write(target_name(reader, join.this))
    if from_ is not None:
        sources.add_source(reader, from_, scope)
    return writes


def underlying_table(relation: Relation) -> str:
    """The one table that an updatable CTE stands for."""
    tables = {table for table, _, _, _ in relation.whole()}
    return tables.pop() if len(tables) == 1 else ""


def read_assignments(reader: Reader, assignments: list[Any], scope: Scope, writes: dict[str, Write]) -> None:
    """SET a = expression, (b, c) = (SELECT …), struct.field = expression."""
    for node in assignments:
        if not isinstance(node, exp.EQ | exp.PropertyEQ):
            continue
        left, value = node.this, node.expression
        names = left.expressions if isinstance(left, exp.Tuple) else [left]
        for place, column in enumerate(names):
            write, name = assigned(reader, column, writes, scope)
            flow = assigned_flow(reader, value, place, len(names), scope)
            if name:
                write.columns.append((name, flow, None))
                if reader.trace is not None:
                    part = value.expressions[place] if isinstance(value, exp.Tuple) else value
                    reader.trace.note_assigned(write, name, part, scope)


def assigned(reader: Reader, node: Any, writes: dict[str, Write], scope: Scope) -> tuple[Write, str]:
    """The target and top-level column that a SET names."""
    names: list[str] = []
    while node.__class__ is exp.Dot:
        node = node.this
    if node.__class__ is exp.Column:
        keys = ("catalog", "db", "table", "this")
        names = [reader.language.column(node.args[key]) for key in keys if node.args.get(key)]
    elif isinstance(node, exp.Identifier):
        names = [reader.language.column(node)]
    if not names:
        return writes[""], ""
    write = writes[""]
    if len(names) > 1:
        for length in range(len(names) - 1, 0, -1):
            if names[length - 1] in writes:
                write, names = writes[names[length - 1]], names[length:]
                break
    cte = writes.get("*cte")
    if cte is not None:
        source = scope.sources[0].relation.find(names[0], PARSED)
        return write, next((column for _, column, _, _ in source), names[0])
    return write, names[0]


def assigned_flow(reader: Reader, value: Any, place: int, count: int, scope: Scope) -> Flow:
    if count == 1:
        return flow_of(reader, value, scope)
    if isinstance(value, exp.Tuple):
        return flow_of(reader, value.expressions[place], scope) if place < len(value.expressions) else {}
    if isinstance(value, exp.Query):
        if place == 0:
            relation = query.read_query(reader, value, scope, scope.ctes)
            scope.reads.append(relation)
        else:
            relation = scope.reads[-1]
        return query.flow_at(relation.columns(), place + 1)
    return flow_of(reader, value, scope)


# --- DELETE


def read_delete(reader: Reader, node: exp.Delete, parent: Scope | None, ctes: Ctes) -> Effects:
    args = node.args
    scope = Scope(parent, ctes)
    main = node.this
    named = args.get("tables") or []
    if named and not isinstance(main, exp.Expression):  # DELETE u AS t WHERE …
        main, named = named[0], []
    if named:  # DELETE a, b FROM t AS a JOIN u AS b
        writes = {}
        before = reader.inputs
        read = []
        for table in named:
            reader.inputs = set(before)
            alias = reader.language.column(table.this)
            found = table_with_alias(reader, main, table, alias)
            scope = Scope(parent, ctes)
            writes |= targets_in_from(reader, found or table, main, scope, alias)
            read.append(reader.inputs)
        reader.inputs = set.intersection(*read)  # a target is read only where it is named once more
        writes = {alias: write for alias, write in writes.items() if alias}
        targets = list(writes.values())
    else:
        targets = [update_targets(reader, main, None, scope)[""]]
    using = args.get("using")
    for source in using if isinstance(using, list) else [using] if using else []:
        sources.add_source(reader, source, scope)
    where = args.get("where")
    if where is not None:
        collect_rows(reader, where.this, FILTER, scope)
    rows = scope_rows(scope)
    for write in targets:
        write.rows.update(rows)
    return Effects("DELETE", [*targets, *output_into(reader, node, targets[0])])


# --- MERGE


def read_merge(reader: Reader, node: exp.Merge, parent: Scope | None, ctes: Ctes) -> Effects:
    args = node.args
    target = node.this
    alias, _ = sources.alias_of(reader, target)
    relation, path = target_relation(reader, target)
    scope = Scope(parent, ctes)
    scope.add(Source(alias or path[-1], relation, path))
    inner = Scope(parent, ctes)
    sources.add_source(reader, args["using"], inner)
    source = inner.sources[-1]
    scope.add(source)
    inner.reads = []
    collect_rows(reader, args.get("on"), JOIN, scope)
    write = Write(target_name(reader, target))
    for when in args["whens"].expressions:
        read_when(reader, when, write, scope, inner, source)
    write.rows = {**scope_rows(scope), **inner.rows}
    return Effects("MERGE", [write, *output_into(reader, node, write)])


def read_when(reader: Reader, when: exp.When, write: Write, scope: Scope, inner: Scope, source: Source) -> None:
    """One branch. In NOT MATCHED only the source has a row, so that bare names are its columns."""
    matched = when.args.get("matched") or when.args.get("source")
    seen = scope if matched else inner
    then = when.args.get("then")
    where = then.args.get("where") if isinstance(then, exp.Update | exp.Insert) else None  # of Oracle
    for condition in (when.args.get("condition"), where):
        if condition is not None:
            collect_rows(reader, condition, FILTER, seen)
    if isinstance(then, exp.Update):
        parts = then.args.get("expressions") or []
        parts = parts if isinstance(parts, list) else [parts]
        if any(isinstance(part, exp.Star) for part in parts):
            add_all(reader, write, source, True, bool(when.parent.meta.get("evolves")))
        else:
            read_assignments(reader, parts, scope, {"": write, scope.sources[0].alias: write})
    elif isinstance(then, exp.Insert):
        read_merge_insert(reader, then, write, inner, source)


def read_merge_insert(reader: Reader, then: exp.Insert, write: Write, scope: Scope, source: Source) -> None:
    values = then.args.get("expression")
    listed = then.this.expressions if isinstance(then.this, exp.Tuple) else []
    if not values and len(listed) == 1 and isinstance(listed[0], exp.Anonymous):  # INSERT VALUES (…) without a list
        values, then = exp.Tuple(expressions=listed[0].expressions), exp.Insert()
    if not isinstance(values, exp.Tuple):
        evolves = bool(then.find_ancestor(exp.Whens).meta.get("evolves"))
        add_all(reader, write, source, isinstance(then.this, exp.Star), evolves)
        return
    columns = then.this.expressions if isinstance(then.this, exp.Tuple | exp.Schema) else []
    names = [reader.language.column(name_node(name_of(column))) for column in columns]
    names = names or list(reader.script.known_columns(write.target) or ())
    for place, value in enumerate(values.expressions):
        flow = flow_of(reader, value, scope)
        if place < len(names):
            write.columns.append((names[place], flow, None))
            if reader.trace is not None:
                reader.trace.note_assigned(write, names[place], value, scope)
        elif flow:
            reader.warn(
                "unresolved_column", f"column {place + 1} of INSERT has no name: {write.target} is unknown", value
            )


def add_all(reader: Reader, write: Write, source: Source, by_name: bool, evolves: bool) -> None:
    """INSERT ROW goes by position where the target is known, SET * and INSERT * go by name."""
    if reader.trace is not None:
        reader.trace.note_assigned(write, "", source.relation, None)
    items = list(source.relation.columns())
    known = list(reader.script.known_columns(write.target) or ())
    if known and by_name and not evolves:  # what the target lacks is left out
        items = [item for item in items if item.__class__ is Star or item[0] in known]  # type: ignore[index]
    elif known and not by_name:
        items = query.renamed(QueryRelation(items), known).items
    for item in items:
        (write.stars if item.__class__ is Star else write.columns).append(item)  # type: ignore[arg-type]


def merge_columns(columns: list[Item]) -> list[Item]:
    """One entry for each name, with the flows of all branches."""
    found: dict[str, Item] = {}
    for name, flow, kind in columns:
        before = found.get(name)
        if before is None:
            found[name] = (name, flow, kind)
        elif flow is not before[1]:
            both = dict(before[1])
            add_flow(both, flow, 0)
            found[name] = (name, both, before[2] or kind)
    return list(found.values())


READERS: dict[type, Any] = {
    exp.Insert: read_insert,
    exp.Update: read_update,
    exp.Delete: read_delete,
    exp.Merge: read_merge,
}
