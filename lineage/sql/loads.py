"""One statement's load of one table, as facts: how rows get in, which slice, and by what key."""

from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from .effects import Effects, Write
from .model import APPEND, FULL_REFRESH, INCREMENTAL, MERGE, UNKNOWN
from .relations import FILTER

Predicate = tuple[str, str, str]  # column, operator, the other side as text

COMPARISONS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)


@dataclass(slots=True)
class Load:
    """How one statement changes one table; None where it alone cannot tell.

    `kind`: drop, empty (TRUNCATE), define (columns only), delete, insert, copy, whole (judged by itself).
    """

    target: str
    kind: str
    strategy: str = UNKNOWN
    idempotent: bool | None = None
    backfill: bool | None = None
    atomic: bool | None = True
    replaces: bool = False
    is_whole: bool = False  # a DELETE of all rows
    is_plain: bool = False  # a plain append
    slice: tuple[Predicate, ...] = ()  # of a DELETE
    tables: frozenset[str] = frozenset()  # other tables that a DELETE names
    inserted: "Inserted | None" = None
    notes: tuple[str, ...] = ()
    partition_by_value: bool = False
    message: str = ""

    def fills(self, deleted: "Load") -> bool:
        """Every row inserted lies in what was deleted."""
        if self.inserted is None:
            return False
        if deleted.slice:
            return self.inserted.lies_in(deleted.slice)
        return bool(deleted.tables & self.inserted.tables())


@dataclass(slots=True)
class Inserted:
    """What an INSERT puts in, looked at only when something was deleted before it."""

    script: Any
    tree: exp.Insert
    write: Write

    def lies_in(self, deleted: tuple[Predicate, ...]) -> bool:
        """Each condition of the DELETE holds for the inserted rows: by the same condition, or a constant."""
        conditions = set(predicates_of(self.script, self.tree))
        constants = constants_of(self.tree, [name for name, _, _ in self.write.columns])
        columns = {name: {column for _, column, _, _ in flow} for name, flow, _ in self.write.columns}
        for column, operator, value in deleted:
            sources = columns.get(column, set()) | {column}
            is_same = any((source, operator, value) in conditions for source in sources)
            if not is_same and not (operator == "EQ" and constants.get(column) == value):
                return False
        return True

    def tables(self) -> frozenset[str]:
        return tables_in(self.script, self.tree, self.write.target)


def load_of(script: Any, effect: Effects, inputs: set[str]) -> list[Load]:
    """The loads of one statement, one for each target; dropped tables included."""
    loads = [Load(name, "drop", message="the table is dropped first") for name in effect.drops]
    for write in effect.writes:
        if write.target and not write.is_temporary:
            found = load_of_write(script, effect, write, inputs)
            found.notes = effect.notes if not is_view(effect.tree) else ()
            loads.append(found)
    return loads


def is_view(tree: Any) -> bool:
    """A plain view is evaluated when it is read, not when it is made."""
    if not isinstance(tree, exp.Create) or (tree.args.get("kind") or "").upper() != "VIEW":
        return False
    properties = tree.args["properties"].expressions if tree.args.get("properties") else []
    return not any(isinstance(part, exp.MaterializedProperty) for part in properties)


def load_of_write(script: Any, effect: Effects, write: Write, inputs: set[str]) -> Load:
    tree = effect.tree
    read = LOADS.get(tree.__class__)
    if effect.kind == "SELECT_INTO":
        return created(write, tree, inputs, replaces=False, is_conditional=False)
    return read(script, tree, write, inputs) if read else Load(write.target, "whole")


# --- CREATE


def create_load(script: Any, tree: exp.Create, write: Write, inputs: set[str]) -> Load:
    replaces = bool(tree.args.get("replace") or tree.args.get("refresh"))
    if tree.args.get("expression") is None and tree.args.get("clone") is None:
        note_format(script, tree, write.target)
        return Load(write.target, "define", replaces=replaces)
    if is_view(tree):
        message = "a view is always computed from its sources"
        return Load(write.target, "whole", FULL_REFRESH, True, True, True, True, message=message)
    return created(write, tree, inputs, replaces, bool(tree.args.get("exists")))


def created(write: Write, tree: Any, inputs: set[str], replaces: bool, is_conditional: bool) -> Load:
    if is_conditional and not replaces:
        return Load(write.target, "whole", message="built only if it does not exist yet")
    message = "the whole table is built anew" if replaces else "the whole table is built; a second run finds it there"
    load = Load(write.target, "whole", FULL_REFRESH, True if replaces else None, True, True, replaces, message=message)
    return with_own_rows(load, tree, inputs)


def with_own_rows(load: Load, tree: Any, inputs: set[str]) -> Load:
    """A table built from itself: adding to itself grows with every run, anything else cannot be told."""
    if load.target in inputs:
        adds = tree.find(exp.Union) is not None
        load.idempotent, load.backfill = (False, False) if adds else (None, None)
        load.message += ", from its own rows too"
    return load


TABLE_FORMATS = frozenset({"DELTA", "ICEBERG", "HUDI"})


def note_format(script: Any, tree: exp.Create, target: str) -> None:
    """Remember that a table is of a format whose overwrites are atomic."""
    properties = tree.args["properties"].expressions if tree.args.get("properties") else []
    if any(isinstance(p, exp.FileFormatProperty) and p.name.upper() in TABLE_FORMATS for p in properties):
        script.atomic_tables.add(target)


# --- INSERT


def insert_load(script: Any, tree: exp.Insert, write: Write, inputs: set[str]) -> Load:
    target = write.target
    if tree.args.get("where") is not None:  # REPLACE WHERE of Delta tables
        return Load(target, "whole", INCREMENTAL, True, True, True, message="the rows of one condition are replaced")
    if tree.args.get("overwrite"):
        return overwrite_load(script, tree, write, inputs)
    conflict = tree.args.get("conflict")
    if conflict is not None:
        return conflict_load(conflict, write)
    if tree.args.get("ignore") or tree.args.get("alternative") or tree.args.get("stored") or is_replace(tree):
        message = "rows of the same key are replaced or left out; the key is not in the SQL"
        return Load(target, "whole", MERGE, None, None, message=message)
    if target in inputs:
        if is_anti_join(script, tree, target):
            message = "rows that are there already are left out"
            return Load(target, "whole", INCREMENTAL, True, None, message=message)
        if any(table == target and mode == FILTER for table, _, _, mode in write.rows):
            message = "only rows beyond the newest stored one are added: the past cannot be filled"
            return Load(target, "whole", INCREMENTAL, None, False, message=message)
    return plain_insert(script, tree, write)


def is_replace(tree: exp.Insert) -> bool:
    return bool(tree.meta.get("replaces"))


def plain_insert(script: Any, tree: exp.Insert, write: Write) -> Load:
    return Load(
        write.target,
        "insert",
        APPEND,
        False,
        False,
        is_plain=True,
        inserted=Inserted(script, tree, write),
        message="rows are added, a second run adds them again",
    )


def overwrite_load(script: Any, tree: exp.Insert, write: Write, inputs: set[str]) -> Load:
    table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    partition = table.args.get("partition") if isinstance(table, exp.Table) else None
    atomic = True if script.rules.overwrite_is_atomic or write.target in script.atomic_tables else None
    if partition is None:
        message = "the whole table is overwritten"
        load = Load(write.target, "whole", FULL_REFRESH, True, True, atomic, True, message=message)
        return with_own_rows(load, tree, inputs)
    dynamic = any(not isinstance(part, exp.EQ) for part in partition.expressions)
    message = "whole partitions are overwritten"
    load = Load(write.target, "whole", INCREMENTAL, True, True, atomic, message=message, partition_by_value=dynamic)
    return with_own_rows(load, tree, inputs)


def conflict_load(conflict: exp.OnConflict, write: Write) -> Load:
    keys = conflict.args.get("conflict_keys") or conflict.args.get("constraint")
    adds = reads_itself(write)
    if adds:
        return Load(write.target, "whole", MERGE, False, False, message="the stored value is added to")
    sure = True if keys else None
    message = "rows of the same key are updated" if keys else "the key is not in the SQL"
    return Load(write.target, "whole", MERGE, sure, sure, message=message)


def reads_itself(write: Write) -> bool:
    """A column's new value is made from its stored one."""
    return any(
        table == write.target and column == name and mode != 0
        for name, flow, _ in write.columns
        for table, column, _, mode in flow
    )


def is_anti_join(script: Any, tree: Any, target: str) -> bool:
    """NOT EXISTS or NOT IN over the target, EXCEPT what it holds, or LEFT JOIN target … WHERE … IS NULL."""
    if any(target in names_in(script, removed.expression) for removed in tree.find_all(exp.Except)):
        return True
    for negation in tree.find_all(exp.Not):
        inner = negation.this
        if isinstance(inner, exp.Exists | exp.In) and target in names_in(script, inner):
            return True
    joined = any(
        (join.args.get("side") or "").upper() == "LEFT" and target in names_in(script, join.this)
        for join in tree.find_all(exp.Join)
    )
    return joined and any(isinstance(part.expression, exp.Null) for part in tree.find_all(exp.Is))


def names_in(script: Any, node: Any) -> set[str]:
    return {script.target_name(table) for table in node.find_all(exp.Table)}


def tables_in(script: Any, tree: Any, target: str) -> frozenset[str]:
    return frozenset(names_in(script, tree) - {target, ""})


def constants_of(tree: exp.Insert, names: list[str]) -> dict[str, str]:
    """Target columns that the query sets to one value for all rows."""
    query = tree.expression
    if not isinstance(query, exp.Select):
        return {}
    pairs = zip(names, (item.unalias() for item in query.expressions), strict=False)
    return {name: text_of(item) for name, item in pairs if item.find(exp.Column) is None}


# --- slices


def text_of(node: Any) -> str:
    return str(node.sql()).lower()


def predicates_of(script: Any, tree: Any, seen: frozenset[int] = frozenset()) -> list[Predicate]:
    """Comparisons of one column with a value, in every WHERE of a statement and of the temp tables it reads."""
    found: list[Predicate] = []
    seen |= {id(tree)}
    for where in tree.find_all(exp.Where):
        for part in where.this.flatten() if isinstance(where.this, exp.And) else [where.this]:
            predicate = predicate_of(script, part)
            if predicate:
                found.append(predicate)
    for table in tree.find_all(exp.Table):
        temp = script.temps.get(script.target_name(table))
        if temp is not None:
            for made in temp.trees:
                found += predicates_of(script, made, seen) if id(made) not in seen else []
    return found


def predicate_of(script: Any, node: Any) -> Predicate | None:
    if not isinstance(node, COMPARISONS):
        return None
    left = node.this
    if isinstance(node, exp.Between):
        values = [node.args["low"], node.args["high"]]
    elif isinstance(node, exp.In):
        values = node.expressions
    else:
        values = [node.expression]
    if not columns_of(script, left) and len(values) == 1:
        left, values = values[0], [left]
    names = columns_of(script, left)
    if len(names) != 1 or not values or any(columns_of(script, value) for value in values):
        return None
    return names.pop(), node.__class__.__name__, ", ".join(text_of(value) for value in values)


def columns_of(script: Any, node: Any) -> set[str]:
    """Column names in an expression, script variables left out."""
    names = {script.language.column(column.this) for column in node.find_all(exp.Column)}
    return {name for name in names if name not in script.variables}


# --- DELETE, UPDATE, MERGE


def delete_load(script: Any, tree: exp.Delete, write: Write, inputs: set[str]) -> Load:
    where = tree.args.get("where")
    condition = where.this if where is not None else None
    using = tree.args.get("using") or (isinstance(tree.this, exp.Expression) and tree.this.args.get("joins"))
    if not using and (condition is None or isinstance(condition, exp.Boolean) and condition.this):
        return Load(write.target, "delete", is_whole=True)
    parts = (
        list(condition.flatten()) if isinstance(condition, exp.And) else [condition] if condition is not None else []
    )
    predicates = [predicate_of(script, part) for part in parts]
    if predicates and all(predicates) and not using:
        return Load(write.target, "delete", slice=tuple(p for p in predicates if p))
    return Load(write.target, "delete", tables=tables_in(script, tree, write.target))


def update_load(script: Any, tree: exp.Update, write: Write, inputs: set[str]) -> Load:
    if reads_itself(write):
        return Load(write.target, "whole", UNKNOWN, False, False, message="the stored value is changed by itself")
    return Load(write.target, "whole", UNKNOWN, True, None, message="values are set, a second run sets the same")


def merge_load(script: Any, tree: exp.Merge, write: Write, inputs: set[str]) -> Load:
    whens = tree.args["whens"].expressions
    if is_never(tree.args["on"]):
        return never_matching(script, tree, write, whens)
    if reads_itself(write):
        return Load(write.target, "whole", MERGE, False, False, message="a branch adds to the stored value")
    keys = keys_of(script, tree)
    if keys and is_unique(script, tree, keys):
        return Load(write.target, "whole", MERGE, True, True, message="rows of one key are updated or inserted")
    message = "whether ON compares a key is not in the SQL" if keys else "ON compares no key"
    return Load(write.target, "whole", MERGE, None, None, message=message)


def is_never(node: Any) -> bool:
    """ON FALSE, ON 1 = 0"""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Boolean):
        return not node.this
    both = (node.this, node.expression) if isinstance(node, exp.EQ) else ()
    return len(both) == 2 and all(isinstance(side, exp.Literal) for side in both) and both[0].this != both[1].this


def never_matching(script: Any, tree: exp.Merge, write: Write, whens: list[Any]) -> Load:
    """A MERGE that only inserts; when it deletes the slice that it inserts, it replaces the slice."""
    inserted = predicates_of(script, tree.args["using"])
    for when in whens:
        if (
            when.args.get("source")
            and when.args.get("condition") is not None
            and isinstance(when.args["then"], exp.Var)
        ):
            condition = when.args["condition"]
            parts = list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
            deleted = [predicate_of(script, part) for part in parts]
            if all(predicate in inserted for predicate in deleted):
                return Load(write.target, "whole", INCREMENTAL, True, True, message="the slice is deleted and inserted")
    return Load(
        write.target, "whole", APPEND, False, False, message="ON never matches, so that rows are added each time"
    )


def keys_of(script: Any, tree: exp.Merge) -> set[str]:
    """The source's columns that ON compares for equality with the target's."""
    alias = tree.args["using"].alias_or_name
    found: set[str] = set()
    on = tree.args["on"]
    while isinstance(on, exp.Paren):
        on = on.this
    for part in on.flatten() if isinstance(on, exp.And) else [on]:
        if isinstance(part, exp.EQ):
            sides = [side for side in (part.this, part.expression) if isinstance(side, exp.Column)]
            found |= {
                script.language.column(s.this) for s in sides if len(sides) == 2 and s.table.lower() == alias.lower()
            }
    return found


def is_unique(script: Any, tree: exp.Merge, keys: set[str]) -> bool:
    """The source's query has one row for each key: GROUP BY, DISTINCT, or a row number of one."""
    source = tree.args["using"]
    query = source.this if isinstance(source, exp.Subquery) else None
    if not isinstance(query, exp.Select):
        return False
    names = {
        script.language.column(item.args["alias"]): item.this
        for item in query.expressions
        if isinstance(item, exp.Alias)
    }
    behind = {text_of(names[key]) if key in names else key.lower() for key in keys} | {key.lower() for key in keys}
    group = query.args.get("group")
    if group is not None:
        return bool(group.expressions) and all(term_name(term, query) in behind for term in group.expressions)
    if query.args.get("distinct") is not None:
        return all(item.alias_or_name.lower() in {key.lower() for key in keys} for item in query.expressions)
    qualify = query.args.get("qualify")
    window = qualify.find(exp.Window) if qualify is not None else None
    if window is None or not isinstance(window.this, exp.RowNumber) or not isinstance(qualify.this, exp.EQ):
        return False
    return all(term_name(term, query) in behind for term in window.args.get("partition_by") or ())


def term_name(term: Any, query: exp.Select) -> str:
    """A GROUP BY term as text; a position stands for its item."""
    if isinstance(term, exp.Literal) and term.is_int and 0 < int(term.this) <= len(query.expressions):
        term = query.expressions[int(term.this) - 1].unalias()
    if isinstance(term, exp.Column):
        return term.name.lower()
    return text_of(term)


# --- others


def truncate_load(script: Any, tree: Any, write: Write, inputs: set[str]) -> Load:
    return Load(write.target, "empty", message="the table is emptied first")


def copy_load(script: Any, tree: exp.Copy, write: Write, inputs: set[str]) -> Load:
    """Into a table: files are loaded again, save where the warehouse remembers them. Into files: not told."""
    if not tree.args.get("kind") or not write.target or "/" in write.target or write.target.startswith("@"):
        return Load(write.target, "whole")
    forced = any(
        part.name.upper() == "FORCE" and is_true(part.args.get("expression")) for part in tree.args.get("params") or ()
    )
    if script.rules.copy_remembers and not forced:
        message = "files loaded before are skipped, as long as the warehouse remembers them"
        return Load(write.target, "copy", APPEND, None, None, message=message)
    return Load(
        write.target, "copy", APPEND, False, False, is_plain=True, message="files are loaded again on every run"
    )


def is_true(node: Any) -> bool:
    return node is not None and str(node.name or node.sql()).upper() == "TRUE"


def data_load(script: Any, tree: exp.LoadData, write: Write, inputs: set[str]) -> Load:
    if not tree.args.get("overwrite"):
        return Load(
            write.target, "copy", APPEND, False, False, is_plain=True, message="files are loaded again on every run"
        )
    strategy = INCREMENTAL if tree.args.get("partition") else FULL_REFRESH
    return Load(write.target, "whole", strategy, True, True, None, message="files replace what was there")


def refresh_load(script: Any, tree: Any, write: Write, inputs: set[str]) -> Load:
    return Load(write.target, "whole", FULL_REFRESH, True, True, True, True, message="the view is computed anew")


LOADS: dict[type, Any] = {
    exp.Create: create_load,
    exp.Insert: insert_load,
    exp.Delete: delete_load,
    exp.Update: update_load,
    exp.Merge: merge_load,
    exp.TruncateTable: truncate_load,
    exp.Copy: copy_load,
    exp.LoadData: data_load,
    exp.Refresh: refresh_load,
}
