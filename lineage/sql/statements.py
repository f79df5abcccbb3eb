"""From a statement's tree to its effects: what it writes, renames, drops, and what it is called."""

from typing import Any

from sqlglot import exp

from . import query, sources
from .dml import read_dml
from .effects import Effects, Write, write_of
from .expressions import collect, flow_of
from .reader import Reader, named_table
from .relations import FILTER, NOTHING, Item, QueryRelation, Relation, Scope, Source, Star, TempRelation
from .selection import name_of

STORED = ("TABLE", "VIEW", "MATERIALIZED VIEW", "DYNAMIC TABLE")


def read_statement(reader: Reader, tree: Any) -> Effects:
    """The effects of one statement; a kind that moves no data has none."""
    read = READERS.get(tree.__class__)
    if read is not None:
        return read(reader, tree)
    if isinstance(tree, exp.Query):
        return read_select(reader, tree)
    return Effects(tree.key.upper())


def read_select(reader: Reader, tree: Any) -> Effects:
    """A bare SELECT has a result and no target; SELECT … INTO writes a table."""
    relation = query.read_query(reader, tree, None, {})
    into = into_of(tree)
    if into is not None:
        return read_into(reader, into, relation)
    if is_assignment(tree):
        return assign_variables(reader, tree, relation)
    return Effects("SELECT", result=relation)


def into_of(tree: Any) -> Any:
    """SELECT a INTO u FROM t UNION ALL …: INTO stands in the first query."""
    while isinstance(tree, exp.SetOperation | exp.Subquery):
        tree = tree.this
    return tree.args.get("into") if isinstance(tree, exp.Select) else None


def read_into(reader: Reader, into: exp.Into, relation: QueryRelation) -> Effects:
    table = into.args.get("this")
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
        return Effects("SELECT")  # into variables
    in_routine = reader.in_body and reader.rules.declare_sections
    if in_routine or reader.rules.into_is_variable or reader.script.is_variable(table.name):
        reader.script.variables[reader.language.column(table.this)] = relation.whole()
        return Effects("SELECT")
    temporary = bool(into.args.get("temporary")) or is_hash(table)
    target = reader.script.created_name(table, temporary)
    return Effects("SELECT_INTO", [write_of(target, relation, is_definition=True, is_temporary=temporary)])


def is_hash(table: exp.Table) -> bool:
    """#t and ##t of T-SQL and Redshift are temporary."""
    this = table.this
    return bool(this.args.get("temporary") or this.args.get("global_")) or table.name.startswith("#")


def is_assignment(tree: Any) -> bool:
    """T-SQL: SELECT @x = MAX(a) FROM t."""
    items = tree.expressions if isinstance(tree, exp.Select) else []
    return bool(items) and all(isinstance(item, exp.EQ) and isinstance(item.this, exp.Parameter) for item in items)


def assign_variables(reader: Reader, tree: exp.Select, relation: QueryRelation) -> Effects:
    for item, column in zip(tree.expressions, relation.items, strict=False):
        if column.__class__ is not Star:
            reader.script.variables["@" + item.this.name.lower()] = column[1]  # type: ignore[index]
    return Effects("SET")


# --- CREATE


def read_create(reader: Reader, tree: exp.Create) -> Effects:
    kind = (tree.args.get("kind") or "").upper()
    if kind in ("FUNCTION", "MACRO"):
        return read_function(reader, tree)
    if kind not in STORED and not kind.endswith(("TABLE", "VIEW")):
        return Effects(f"CREATE_{kind}".replace(" ", "_"))
    this = tree.this
    table = this.this if isinstance(this, exp.Schema | exp.UserDefinedFunction) else this
    if not isinstance(table, exp.Table):
        return Effects("CREATE")
    properties = tree.args["properties"].expressions if tree.args.get("properties") else []
    temporary = any(isinstance(p, exp.TemporaryProperty) for p in properties) or is_hash(table)
    target = reader.script.created_name(table, temporary)
    write = create_write(reader, tree, target, this, properties)
    write.is_definition, write.is_temporary = True, temporary
    writes = [write]
    into = next((p for p in properties if isinstance(p, exp.ToTableProperty)), None)
    if into is not None:  # ClickHouse: a materialized view that fills a table
        second = write_of(reader.script.target_name(into.this), QueryRelation([*write.columns, *write.stars]))
        second.rows = write.rows
        writes.append(second)
    return Effects("CREATE", writes)


def create_write(reader: Reader, tree: exp.Create, target: str, this: Any, properties: list[Any]) -> Write:
    """Of a query, a clone, another table's columns, or a list of columns."""
    defined = defined_columns(reader, this)
    expression = tree.args.get("expression")
    like = like_of(this, properties)
    is_named = isinstance(expression, exp.Table) and isinstance(expression.this, exp.Identifier)
    if is_named and reader.rules.as_table_is_like:
        like = expression
    elif isinstance(expression, exp.Query | exp.Table):
        relation = read_body(reader, tree, expression)
        by_name = reader.rules.ctas_by_name and (tree.args.get("kind") or "").upper() == "TABLE"
        names = [] if by_name else [name for name, _, _ in defined]
        write = write_of(target, query.renamed(relation, names))
        if by_name:
            made = {name for name, _, _ in write.columns}
            write.columns = [*(item for item in defined if item[0] not in made), *write.columns]
        kinds = {name: kind for name, _, kind in defined if kind is not None}
        write.columns = [(name, flow, kinds.get(name, kind)) for name, flow, kind in write.columns]
        return write
    clone = tree.args.get("clone")
    if clone is not None:
        scope = Scope(None, {})
        sources.add_source(reader, clone.this, scope)
        return write_of(target, scope.sources[-1].relation)
    if like is not None:
        known = reader.script.known_columns(reader.script.target_name(like)) or {}
        return Write(target, [(name, NOTHING, kind) for name, kind in known.items()])
    write = Write(target, [*defined, *(partition_columns(reader, properties) if defined else ())])
    read_files(reader, properties, write)
    return write


def partition_columns(reader: Reader, properties: list[Any]) -> list[Item]:
    """PARTITIONED BY (day DATE) of external tables: columns beside those of the list."""
    found = next((p.this for p in properties if isinstance(p, exp.PartitionedByProperty)), None)
    columns = found.expressions if isinstance(found, exp.Schema) else ()
    return [
        (reader.language.column(column.this), NOTHING, column.args["kind"])
        for column in columns
        if isinstance(column, exp.ColumnDef) and column.args.get("kind") is not None
    ]


def read_function(reader: Reader, tree: exp.Create) -> Effects:
    """A function in SQL reads the tables that its queries name; its parameters are no columns."""
    parameters = tree.this.expressions if isinstance(tree.this, exp.UserDefinedFunction) else []
    for parameter in parameters:
        if isinstance(parameter, exp.ColumnDef | exp.Identifier):
            name = parameter.this if isinstance(parameter, exp.ColumnDef) else parameter
            reader.script.set_variable(name, NOTHING, None, {})
    body = tree.expression.this if isinstance(tree.expression, exp.Return) else tree.expression
    if isinstance(body, exp.Query) and isinstance(tree.this, exp.UserDefinedFunction):  # a table function
        name = reader.script.target_name(tree.this.this)
        reader.script.functions[name] = query.read_query(reader, body, None, {})
    elif isinstance(body, exp.Expression):
        flow_of(reader, body, Scope(None, {}))
    return Effects("CREATE_FUNCTION")


def read_body(reader: Reader, tree: exp.Create, expression: Any) -> QueryRelation:
    ctes: dict[str, Relation] = {}
    if tree.args.get("with_"):
        ctes = query.read_ctes(reader, tree.args["with_"], None, ctes)
    return query.read_query(reader, expression, None, ctes)


def defined_columns(reader: Reader, this: Any) -> list[Item]:
    """(name, no flow, type) of a list of columns, typed or not."""
    if not isinstance(this, exp.Schema):
        return []
    found: list[Item] = []
    for part in this.expressions:
        if isinstance(part, exp.ColumnDef):
            found.append((reader.language.column(part.this), NOTHING, part.args.get("kind")))
        elif isinstance(part, exp.Identifier | exp.Column):
            found.append((reader.language.column(part.this if isinstance(part, exp.Column) else part), NOTHING, None))
    return found


def like_of(this: Any, properties: list[Any]) -> Any:
    parts = [*properties, *(this.expressions if isinstance(this, exp.Schema) else [])]
    like = next((part for part in parts if isinstance(part, exp.LikeProperty)), None)
    return like.this if like is not None else None


def read_files(reader: Reader, properties: list[Any], write: Write) -> None:
    """An external table's location or files are its input; a managed table's location is its own."""
    options = [part for p in properties if isinstance(p, exp.OptionsProperty) for part in p.expressions]
    is_external = any(isinstance(p, exp.ExternalProperty) for p in properties)
    for uri in file_names([*properties, *options]) if is_external or options else ():
        relation = reader.script.file_relation(reader, reader.script.uri(uri))
        if not write.columns and not is_external:
            write.stars.append(Star(relation))


def file_names(properties: list[Any]) -> list[str]:
    """The URIs of LOCATION, uris = […] and the like."""
    found: list[str] = []
    for part in properties:
        if isinstance(part, exp.LocationProperty):
            found.append(text_of(part.this))
        elif isinstance(part, exp.Property) and part.name.lower() in ("uris", "uri", "location", "path"):
            value = part.args.get("value")
            values = value.expressions if isinstance(value, exp.Array) else [value]
            found += [text_of(item) for item in values if item is not None]
    return [uri for uri in found if uri]


def text_of(node: Any) -> str:
    return node.name if isinstance(node, exp.Literal | exp.Var | exp.Identifier) else ""


# --- names


def read_alter(reader: Reader, tree: exp.Alter) -> Effects:
    effects = Effects("ALTER")
    table = tree.this
    if not isinstance(table, exp.Table):
        return effects
    name = reader.script.target_name(table)
    for action in tree.args.get("actions") or ():
        if isinstance(action, exp.AlterRename):
            effects.renames.append((name, reader.script.renamed_to(name, action.this)))
        elif isinstance(action, exp.SwapTable):
            effects.swaps.append((name, reader.script.target_name(action.this)))
        elif isinstance(action, exp.RenameColumn):
            old, new = (reader.language.column(name_of(action.args[key])) for key in ("this", "to"))
            reader.script.rename_column(name, old, new)
    return effects


def read_drop(reader: Reader, tree: exp.Drop) -> Effects:
    effects = Effects("DROP")
    if (tree.args.get("kind") or "").upper() in ("TABLE", "VIEW", "MATERIALIZED VIEW"):
        tables = tree.args.get("tables") or [tree.this]
        effects.drops = [reader.script.target_name(table) for table in tables if isinstance(table, exp.Table)]
    return effects


def read_truncate(reader: Reader, tree: exp.TruncateTable) -> Effects:
    tables = [table for table in tree.expressions if isinstance(table, exp.Table)]
    return Effects("TRUNCATE", [Write(reader.script.target_name(table)) for table in tables])


# --- variables and session


def read_set(reader: Reader, tree: exp.Set) -> Effects:
    for item in tree.expressions:
        pair = item.this if isinstance(item, exp.SetItem) else item
        if isinstance(pair, exp.EQ):
            set_variable(reader, pair)
    return Effects("SET")


def set_variable(reader: Reader, pair: exp.EQ) -> None:
    names = pair.this.expressions if isinstance(pair.this, exp.Tuple) else [pair.this]
    value = pair.expression
    scope = Scope(None, {})
    if isinstance(value, exp.Query):
        relation = query.read_query(reader, value, scope, {})
        flows = [item[1] for item in relation.items if item.__class__ is not Star]  # type: ignore[index]
    else:
        flows = [flow_of(reader, value, scope)] if value is not None else []
    for place, name in enumerate(names):
        flow = flows[place] if place < len(flows) else NOTHING
        reader.script.set_variable(name, flow, value, reader.notes)
    if isinstance(value, exp.Literal | exp.Var) and not reader.in_body:
        reader.script.settings[pair.this.sql().lower().lstrip("@")] = value.name


def read_declare(reader: Reader, tree: exp.Declare) -> Effects:
    for item in tree.expressions:
        names = item.this if isinstance(item.this, list) else [item.this]
        kind = item.args.get("kind")
        for name in names:
            if isinstance(kind, exp.Schema):  # T-SQL: DECLARE @t TABLE (…)
                reader.script.temps["@" + name.name.lower()] = TempRelation(list(defined_columns(reader, kind)))
                continue
            default = item.args.get("default")
            flow = flow_of(reader, default, Scope(None, {})) if default is not None else NOTHING
            reader.script.set_variable(name, flow, default, reader.notes)
    return Effects("DECLARE")


def read_use(reader: Reader, tree: exp.Use) -> Effects:
    reader.script.use(tree)
    return Effects("USE")


# --- files


def read_copy(reader: Reader, tree: exp.Copy) -> Effects:
    """COPY and COPY INTO: into a table (kind true) from files, or out of a table or query into one."""
    this = tree.this
    files = tree.args.get("files") or []
    if tree.args.get("kind") and not is_file(this):
        table = this.this if isinstance(this, exp.Schema) else this
        names = [name for name, _, _ in defined_columns(reader, this)]
        write = Write(reader.script.target_name(table))
        for file in files:
            copy_from(reader, file, names, write)
        return Effects("COPY", [write])
    relation = copied_out(reader, files[0] if is_file(this) and files else this)
    target = this if is_file(this) else (files[0] if files else None)
    name = file_name(reader, target)
    return Effects("COPY", [write_of(name, relation)] if name else [])


def is_file(node: Any) -> bool:
    return isinstance(node, exp.Literal | exp.Var) or (
        isinstance(node, exp.Table) and isinstance(node.this, exp.Literal | exp.Var | exp.Parameter)
    )


def file_name(reader: Reader, node: Any) -> str:
    """The URI of a file or stage; "" for STDIN, STDOUT and the like."""
    inner = node.this if isinstance(node, exp.Table) else node
    text = inner.name if isinstance(inner, exp.Literal | exp.Var | exp.Identifier) else ""
    return "" if text.upper() in ("STDIN", "STDOUT", "PROGRAM", "") else reader.script.uri(text)


def copy_from(reader: Reader, file: Any, names: list[str], write: Write) -> None:
    if isinstance(file, exp.Query):
        relation = query.read_query(reader, file, None, {})
        known = names or list(reader.script.known_columns(write.target) or ())
        made = write_of(write.target, query.renamed(relation, known))
        write.columns += made.columns
        write.stars += made.stars
        write.rows.update(made.rows)
    elif isinstance(file, exp.Table) and isinstance(file.this, exp.Identifier) and not is_quoted_file(file):
        reader.relation_of(file)
    else:
        name = file_name(reader, file)
        if name:
            reader.inputs.add(name)


def is_quoted_file(table: exp.Table) -> bool:
    return "/" in table.name or table.name.upper() in ("STDIN", "STDOUT")


def copied_out(reader: Reader, node: Any) -> Relation:
    if isinstance(node, exp.Query):
        return query.read_query(reader, node, None, {})
    scope = Scope(None, {})
    table = node.this if isinstance(node, exp.Schema) else node
    sources.add_source(reader, table, scope)
    items = scope.sources[-1].relation.columns()
    if isinstance(node, exp.Schema):
        wanted = {name for name, _, _ in defined_columns(reader, node)}
        items = [item for item in items if item.__class__ is Star or item[0] in wanted]  # type: ignore[index]
    return QueryRelation(list(items))


def read_export(reader: Reader, tree: exp.Export) -> Effects:
    relation = query.read_query(reader, tree.this, None, {})
    uris = file_names(tree.args["options"].expressions)
    return Effects("EXPORT", [write_of(reader.script.uri(uri), relation) for uri in uris])


def read_load(reader: Reader, tree: exp.LoadData) -> Effects:
    files = tree.args.get("files")
    uris = file_names(files.expressions) if isinstance(files, exp.Expression) else []
    if isinstance(tree.args.get("inpath"), exp.Expression):
        uris.append(text_of(tree.args["inpath"]))
    reader.inputs |= {reader.script.uri(uri) for uri in uris}
    table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    return Effects("LOAD", [Write(reader.script.target_name(table))])


# --- others


def read_multi_insert(reader: Reader, tree: exp.MultitableInserts) -> Effects:
    """Snowflake's INSERT ALL … SELECT, Hive's FROM t INSERT … INSERT …"""
    source = tree.args["source"]
    effects = Effects("INSERT")
    with_ = tree.args.get("with_")
    ctes = query.read_ctes(reader, with_, None, {}) if with_ is not None else {}
    if isinstance(source, exp.Query) and tree.args.get("kind"):
        relation: Relation = query.read_query(reader, source, None, ctes)
        conditions: list[Any] = []
        taken: list[Any] = []
        for part in tree.expressions:
            if part.args.get("expression") is not None and isinstance(part, exp.ConditionalInsert):
                taken = [part.args["expression"]]
                conditions += taken
            elif part.args.get("else_"):
                taken = conditions
            effects.writes.append(conditional_insert(reader, part, relation, taken))
        return effects
    for insert in tree.expressions:
        if not isinstance(insert, exp.Insert):
            continue
        select = insert.expression
        if isinstance(select, exp.Select) and select.args.get("from_") is None:
            select.set("from_", exp.From(this=source.copy()))
        writes = read_dml(reader, insert, None, ctes).writes
        for write in writes:
            write.part = insert
        effects.writes += writes
    return effects


def conditional_insert(reader: Reader, part: Any, relation: Relation, conditions: list[Any]) -> Write:
    """One INTO: the rows that its WHEN takes, which may have several; of ELSE those that no condition took."""
    insert = part.this if isinstance(part, exp.ConditionalInsert) else part
    scope = Scope(None, {})
    scope.add(Source("", relation))
    for condition in conditions:
        collect(reader, condition, FILTER, scope.rows, scope)
    this = insert.this
    table = this.this if isinstance(this, exp.Schema) else this
    target = reader.script.target_name(table)
    names = [name for name, _, _ in defined_columns(reader, this)] or list(reader.script.known_columns(target) or ())
    items = list(relation.columns())
    values = insert.expression
    if isinstance(values, exp.Values):
        row = values.expressions[0]
        cells = row.expressions if isinstance(row, exp.Tuple) else [row]
        items = [
            (query.output_name(reader, cell, place), flow_of(reader, cell, scope), None)
            for place, cell in enumerate(cells)
        ]
    made = query.renamed(QueryRelation(items), names)
    made.rows, made.reads = scope.rows, scope.reads
    return write_of(target, made, part=insert)


def read_refresh(reader: Reader, tree: exp.Refresh) -> Effects:
    table = tree.this
    is_table = isinstance(table, exp.Table)
    return Effects("REFRESH", [Write(reader.script.target_name(table))] if is_table else [])


def read_cache(reader: Reader, tree: exp.Cache) -> Effects:
    """CACHE TABLE x AS SELECT … of Spark names a query for the session."""
    if tree.expression is None or not isinstance(tree.this, exp.Table):
        return Effects("CACHE")
    relation = query.read_query(reader, tree.expression, None, {})
    name = reader.script.created_name(tree.this, is_temporary=True)
    return Effects("CACHE", [write_of(name, relation, is_definition=True, is_temporary=True)])


def read_execute(reader: Reader, tree: exp.Execute) -> Effects:
    """EXEC sp_rename 'a', 'b' of T-SQL; for a column, 't.a', 'b', 'COLUMN'."""
    texts = [
        text_of(argument.expression if isinstance(argument, exp.EQ) else argument) for argument in tree.expressions
    ]
    effects = Effects("ALTER")
    if len(texts) < 2 or not all(texts[:2]):
        return effects
    old = named_table(texts[0], reader.language.dialect)
    if len(texts) > 2 and texts[2].upper() == "COLUMN":
        table = exp.Table(this=old.args["db"], db=old.args.get("catalog")) if old.args.get("db") else old
        names = reader.language.column(old.this), reader.language.fold(texts[1])
        reader.script.rename_column(reader.script.target_name(table), *names)
    else:
        name = reader.script.target_name(old)
        effects.renames.append((name, reader.script.renamed_to(name, named_table(texts[1], reader.language.dialect))))
    return effects


READERS: dict[type, Any] = {
    exp.Pivot: read_select,
    exp.Execute: read_execute,
    exp.Create: read_create,
    exp.Insert: read_dml,
    exp.Update: read_dml,
    exp.Delete: read_dml,
    exp.Merge: read_dml,
    exp.Alter: read_alter,
    exp.Drop: read_drop,
    exp.TruncateTable: read_truncate,
    exp.Set: read_set,
    exp.Declare: read_declare,
    exp.Use: read_use,
    exp.Copy: read_copy,
    exp.Export: read_export,
    exp.LoadData: read_load,
    exp.MultitableInserts: read_multi_insert,
    exp.Refresh: read_refresh,
    exp.Cache: read_cache,
}
