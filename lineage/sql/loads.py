"""One statement's load of one table, as facts: how rows get in, which slice, and by what key."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from .effects import Effects, Write, write_of
from .keys import is_unique, keys_of
from .model import APPEND, FULL_REFRESH, INCREMENTAL, MERGE, UNKNOWN
from .own_rows import OwnRows
from .reader import named_table
from .relations import FILTER
from .slices import (
    Inserted,
    Predicate,
    branches_of,
    conditions_on_rows,
    ctes_of,
    names_in,
    predicates_in,
    slice_of,
    tables_in,
)


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
    is_new: bool = False  # a CREATE TABLE that fails where the table is there already
    is_whole: bool = False  # a DELETE of all rows
    is_plain: bool = False  # a plain append
    slice: tuple[Predicate, ...] = ()  # of a DELETE
    is_hidden: bool = False  # which rows a DELETE takes does not show
    tables: frozenset[str] = frozenset()  # other tables that a DELETE names
    inserted: Inserted | None = None
    notes: tuple[str, ...] = ()
    partition_by_value: bool = False
    message: str = ""
    doubt: str = ""  # why a run for a past day may leave other rows

    def fills(self, deleted: "Load") -> bool | None:
        """Every row inserted lies in what was deleted; None where nobody can tell."""
        if self.inserted is None:
            return False
        if deleted.is_hidden:
            return None
        if deleted.slice:
            return self.inserted.lies_in(deleted.slice)
        return bool(deleted.tables & self.inserted.tables())


def load_of(script: Any, effect: Effects, inputs: set[str]) -> list[Load]:
    """The loads of one statement, one for each target; dropped tables included."""
    loads = [Load(name, "drop", message="the table is dropped first") for name in effect.drops]
    for write in effect.writes:
        if write.target and not write.is_temporary:
            found = load_of_write(script, effect, write, inputs)
            found.notes = effect.notes if not is_view(effect.tree) else ()
            if is_cut(effect.tree):
                found.notes = (*found.notes, "limit")
            loads.append(found)
    return loads


def is_cut(tree: Any) -> bool:
    """UPDATE … LIMIT 10 of MySQL and UPDATE TOP (10) of T-SQL change some rows, and others in a second run."""
    return tree is not None and (bool(tree.meta.get("top")) or (isinstance(tree, CUT) and bool(tree.args.get("limit"))))


CUT = (exp.Update, exp.Delete)


def is_view(tree: Any) -> bool:
    """A plain view is evaluated when it is read, not when it is made."""
    if not isinstance(tree, exp.Create) or (tree.args.get("kind") or "").upper() != "VIEW":
        return False
    properties = tree.args["properties"].expressions if tree.args.get("properties") else []
    return not any(isinstance(part, exp.MaterializedProperty) for part in properties)


def load_of_write(script: Any, effect: Effects, write: Write, inputs: set[str]) -> Load:
    tree = effect.tree if write.part is None else write.part
    read = LOADS.get(tree.__class__)
    if effect.kind == "SELECT_INTO":
        return created(script, write, tree, inputs, replaces=False, is_conditional=False)
    return read(script, tree, write, inputs) if read else Load(write.target, "whole")


# --- CREATE


def create_load(script: Any, tree: exp.Create, write: Write, inputs: set[str]) -> Load:
    replaces = bool(tree.args.get("replace") or tree.args.get("refresh"))
    if write.made_of is None:
        note_format(script, tree, write.target)
        return Load(write.target, "define", replaces=replaces, is_new=not tree.args.get("exists"))
    if is_view(tree):
        message = "a view is always computed from its sources"
        return Load(write.target, "whole", FULL_REFRESH, True, True, True, True, message=message)
    return created(script, write, tree, inputs, replaces, bool(tree.args.get("exists")))


def created(script: Any, write: Write, tree: Any, inputs: set[str], replaces: bool, is_conditional: bool) -> Load:
    if is_conditional and not replaces:
        return Load(write.target, "define", message="built only if it does not exist yet")
    message = "the whole table is built anew" if replaces else "the whole table is built; a second run finds it there"
    load = Load(write.target, "whole", FULL_REFRESH, True if replaces else None, True, True, replaces, message=message)
    return with_own_rows(script, load, tree, write, inputs)


def with_own_rows(
    script: Any, load: Load, tree: Any, write: Write, inputs: set[str], partition: Iterable[Any] = ()
) -> Load:
    """A table built from itself: its stored rows are carried on, not loaded again. Adding to them grows with every run;
    leaving some out, or putting the same slice in their place, does not; of anything else nobody can tell."""
    if load.target not in inputs:
        return load
    within = frozenset(found for part in partition for found in predicates_in(script, part))
    load.idempotent = OwnRows(script, tree, write, within).are_the_same_again()
    load.backfill = False if load.idempotent is False else None
    load.strategy, load.message = INCREMENTAL, load.message + ", from its own rows too"
    return load


TABLE_FORMATS = frozenset({"DELTA", "ICEBERG", "HUDI"})


def note_format(script: Any, tree: exp.Create, target: str) -> None:
    """Remember that a table is of a format whose overwrites are atomic, and by what key it is partitioned."""
    properties = tree.args["properties"].expressions if tree.args.get("properties") else []
    if any(isinstance(p, exp.FileFormatProperty) and p.name.upper() in TABLE_FORMATS for p in properties):
        script.atomic_tables.add(target)
    key = next((p.this for p in properties if isinstance(p, exp.PartitionedByProperty)), None)
    if key is not None and not isinstance(key, exp.Schema):
        script.partition_keys[target] = key


# --- INSERT


def insert_load(script: Any, tree: exp.Insert, write: Write, inputs: set[str]) -> Load:
    target = write.target
    if tree.args.get("where") is not None:  # REPLACE WHERE of Delta tables
        return Load(target, "whole", INCREMENTAL, True, True, True, message="the rows of one condition are replaced")
    if tree.args.get("using"):  # REPLACE USING (day) of Databricks
        message = "the rows of the same values are replaced"
        return Load(target, "whole", INCREMENTAL, True, True, True, message=message, partition_by_value=True)
    if tree.args.get("overwrite"):
        return overwrite_load(script, tree, write, inputs)
    conflict = tree.args.get("conflict")
    if conflict is not None:
        return conflict_load(script, tree, conflict, write)
    if tree.args.get("ignore") or tree.args.get("alternative") or tree.args.get("stored") or is_replace(tree):
        message = "rows of the same key are replaced or left out; the key is not in the SQL"
        return Load(target, "whole", MERGE, None, None, message=message)
    return (
        added_to_itself(script, tree, write, inputs)
        or deleted_within(script, tree, write)
        or plain_insert(script, tree, write)
    )


def added_to_itself(script: Any, tree: Any, write: Write, inputs: set[str]) -> Load | None:
    """Rows are added by a query that looks at those stored already."""
    target = write.target
    if target not in inputs and not any(table == target for table, *_ in write.rows):  # a variable may hold its newest
        return None
    if is_anti_join(script, tree, target):
        return Load(target, "whole", INCREMENTAL, True, None, message="rows that are there already are left out")
    if any(table == target and mode == FILTER for table, _, _, mode in write.rows):
        if looks_for_the_newest(script, tree, target):
            message = "only rows beyond the newest stored one are added: the past cannot be filled"
            return Load(target, "whole", INCREMENTAL, None, False, message=message)
        message = (
            "which rows are added hangs on those stored already, in a way that does not show what a second run adds"
        )
        return Load(target, "whole", INCREMENTAL, None, None, message=message)
    return None


def looks_for_the_newest(script: Any, tree: Any, target: str) -> bool:
    """A query over the target takes its greatest value, or the last of its rows in some order."""
    names = {name for node in tree.find_all(exp.Column, exp.Parameter) for name in (node.name, "@" + node.name.lower())}
    values = [value for name in names if isinstance(value := script.variable_values.get(name), exp.Expression)]
    for table in (found for one in (tree, *values) for found in one.find_all(exp.Table)):
        query = table.find_ancestor(exp.Select) if script.target_name(table) == target else None
        if query is not None:
            is_last = query.args.get("order") is not None and query.args.get("limit") is not None
            if is_last or any(each.find_ancestor(exp.Select) is query for each in query.find_all(exp.Max)):
                return True
    return False


def deleted_within(script: Any, tree: exp.Insert, write: Write) -> Load | None:
    """WITH gone AS (DELETE FROM t WHERE day = …) INSERT INTO t … of the same day: one statement, so atomic."""
    for gone in ctes_of(tree, {}).values():
        where = gone.args.get("where") if isinstance(gone, exp.Delete) else None
        if where is not None and script.target_name(gone.this) == write.target:
            deleted = slice_of(script, where.this)
            if deleted and Inserted(script, tree, write).lies_in(deleted) is True:
                message = "the slice that is deleted is inserted again"
                return Load(write.target, "whole", INCREMENTAL, True, True, message=message)
    return None


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


DYNAMIC_OVERWRITE = "spark.sql.sources.partitionoverwritemode"


def overwrite_load(script: Any, tree: exp.Insert, write: Write, inputs: set[str]) -> Load:
    table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    partition = table.args.get("partition") if isinstance(table, exp.Table) else None
    atomic = True if script.rules.overwrite_is_atomic or write.target in script.atomic_tables else None
    if partition is None and script.settings.get(DYNAMIC_OVERWRITE, "").lower() == "dynamic":
        message = "the partitions that the query has rows for are overwritten"
        load = Load(write.target, "whole", INCREMENTAL, True, True, atomic, message=message, partition_by_value=True)
        return with_own_rows(script, load, tree, write, inputs)
    if partition is None:
        message = "the whole table is overwritten"
        load = Load(write.target, "whole", FULL_REFRESH, True, True, atomic, True, message=message)
        return with_own_rows(script, load, tree, write, inputs)
    dynamic = any(not isinstance(part, exp.EQ) for part in partition.expressions)
    message = "whole partitions are overwritten"
    load = Load(write.target, "whole", INCREMENTAL, True, True, atomic, message=message, partition_by_value=dynamic)
    return with_own_rows(script, load, tree, write, inputs, partition.expressions)


def conflict_load(script: Any, tree: exp.Insert, conflict: exp.OnConflict, write: Write) -> Load:
    keys = conflict.args.get("conflict_keys") or conflict.args.get("constraint")
    if reads_itself(script, tree, write):
        sure, message = reading_itself(tree)
        return Load(write.target, "whole", MERGE, sure, sure, message=message)
    sure = True if keys else None
    message = "rows of the same key are updated" if keys else "the key is not in the SQL"
    return Load(write.target, "whole", MERGE, sure, sure, message=message)


def reads_itself(script: Any, tree: Any, write: Write) -> bool:
    """A column's new value is made from its stored one, or from that of a column which is set beside it."""
    set_ = [one.this for one in assignments(tree)]
    changed = {script.language.column(node.this if isinstance(node, exp.Column) else node) for node in set_}
    return any(
        table == write.target and (mode != 0 if column == name else name in changed and column in changed)
        for name, flow, _ in write.columns
        for table, column, _, mode in flow
    )


def assignments(tree: Any) -> list[exp.EQ]:
    return [one for one in tree.find_all(exp.EQ) if isinstance(one.parent, GROWN)]


GROWS = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.DPipe, exp.Concat, exp.ArrayConcat)


def reading_itself(tree: Any) -> tuple[bool | None, str]:
    """SET n = n + 1 grows with every run. GREATEST(n, m) does not, and of other functions nobody can tell."""
    named = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    own = {"", named.alias_or_name.lower(), named.name.lower()}
    for one in assignments(tree):
        for node in one.expression.find_all(*GROWS):
            columns = node.find_all(exp.Column)
            if any(c.name.lower() == one.this.name.lower() and c.table.lower() in own for c in columns):
                return False, "the stored value is added to"
    return None, "the stored value is part of the new one"


GROWN = (exp.Update, exp.OnConflict)  # where an EQ is an assignment


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


# --- DELETE, UPDATE, MERGE


def delete_load(script: Any, tree: exp.Delete, write: Write, inputs: set[str]) -> Load:
    if "partitions" in tree.meta:
        return partition_load(script, tree, write)
    where = tree.args.get("where")
    condition = where.this if where is not None else None
    using = tree.args.get("using") or (isinstance(tree.this, exp.Expression) and tree.this.args.get("joins"))
    if not using and (condition is None or is_always(condition)):
        return Load(write.target, "delete", is_whole=True)
    predicates = slice_of(script, condition)
    if predicates and not using:
        return Load(write.target, "delete", slice=predicates)
    return Load(write.target, "delete", tables=tables_in(script, tree, write.target))


def partition_load(script: Any, tree: exp.Delete, write: Write) -> Load:
    """A partition dropped by the value of the key that the script shows; else nobody can tell which rows those are."""
    key = script.partition_keys.get(write.target)
    parts = [part.expressions for part in tree.meta["partitions"]]
    if key is None or len(parts) != 1 or len(parts[0]) != 1:
        return Load(write.target, "delete", is_hidden=True)
    both = (key, parts[0][0])
    keys, values = (one.expressions if isinstance(one, exp.Tuple | exp.Struct) else [one] for one in both)
    pairs = [exp.EQ(this=one.copy(), expression=value.copy()) for one, value in zip(keys, values, strict=False)]
    predicates = slice_of(script, exp.and_(*pairs)) if len(keys) == len(values) else ()
    return Load(write.target, "delete", slice=predicates, is_hidden=not predicates)


def update_load(script: Any, tree: exp.Update, write: Write, inputs: set[str]) -> Load:
    if reads_itself(script, tree, write):
        sure, message = reading_itself(tree)
        return Load(write.target, "whole", UNKNOWN, sure, sure, message=message)
    return Load(write.target, "whole", UNKNOWN, True, None, message="values are set, a second run sets the same")


def merge_load(script: Any, tree: exp.Merge, write: Write, inputs: set[str]) -> Load:
    whens = tree.args["whens"].expressions
    if is_never(tree.args["on"]):
        return never_matching(script, tree, write, whens)
    if reads_itself(script, tree, write):
        sure, message = reading_itself(tree)
        return Load(write.target, "whole", MERGE, sure, sure, message=message)
    keys = keys_of(script, tree)
    if keys and is_unique(script, tree, keys):
        return Load(write.target, "whole", MERGE, True, True, message="rows of one key are updated or inserted")
    message = "whether ON compares a key is not in the SQL" if keys else "ON compares no key"
    return Load(write.target, "whole", MERGE, None, None, message=message)


def is_never(node: Any) -> bool:
    """ON FALSE, ON 1 = 0"""
    return constant(node) is False


def is_always(node: Any) -> bool:
    """WHERE TRUE, WHERE 1 = 1"""
    return constant(node) is True


def constant(node: Any) -> bool | None:
    """What a condition without columns comes to, where that is plain."""
    node = node.unnest()
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    both = (node.this, node.expression) if isinstance(node, exp.EQ) else ()
    if len(both) == 2 and all(isinstance(side, exp.Literal) for side in both):
        return bool(both[0].this == both[1].this)
    return None


def never_matching(script: Any, tree: exp.Merge, write: Write, whens: list[Any]) -> Load:
    """A MERGE that only inserts; when it deletes the slice that it inserts, it replaces the slice."""
    inserted = conditions_on_source(script, tree.args["using"])
    for when in whens:
        if (
            when.args.get("source")
            and when.args.get("condition") is not None
            and isinstance(when.args["then"], exp.Var)
        ):
            deleted = slice_of(script, when.args["condition"])
            if deleted and all(predicate in inserted for predicate in deleted):
                return Load(write.target, "whole", INCREMENTAL, True, True, message="the slice is deleted and inserted")
    return Load(
        write.target, "whole", APPEND, False, False, message="ON never matches, so that rows are added each time"
    )


def conditions_on_source(script: Any, using: Any) -> set[Predicate]:
    """What holds for each row that a MERGE reads."""
    held = [conditions_on_rows(script, query, ctes) for query, ctes in branches_of(using, {})]
    return set.intersection(*held) if held else set()


# --- others


def truncate_load(script: Any, tree: Any, write: Write, inputs: set[str]) -> Load:
    return Load(write.target, "empty", message="the table is emptied first")


def copy_load(script: Any, tree: exp.Copy, write: Write, inputs: set[str]) -> Load:
    """Into a table: files are loaded again, save where the warehouse remembers them. Into files: not told."""
    if not tree.args.get("kind") or not write.target or "/" in write.target or write.target.startswith("@"):
        return Load(write.target, "whole")
    forced = any(literal.name.lower() == "force" for literal in tree.find_all(exp.Literal)) or any(
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


# --- BigQuery's jobs


def job_load(script: Any, config: dict[str, Any], effect: Effects, inputs: set[str]) -> Load:
    """A query's job puts the result into its destination table in one atomic step, as its write disposition says:
    https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationQuery. A table$20240101 is a partition.
    """
    table, is_part, _ = str(config.get("destination_table") or "").partition("$")
    target = script.target_name(named_table(table, script.language.dialect)) if table else ""
    parameter, dated = (str(config.get(name) or "") for name in ("partition_parameter", "run_parameter"))
    disposition = str(config["write_disposition"]).upper()
    if disposition == "WRITE_APPEND":
        write = write_of(target, effect.result)  # type: ignore[arg-type]
        return added_to_itself(script, effect.tree, write, inputs) or plain_insert(script, effect.tree, write)
    if not disposition.startswith("WRITE_TRUNCATE"):
        return Load(target, "whole", message="the job stops where the table holds rows already")
    asked = re.compile("|".join(rf"@{re.escape(name)}\b" for name in (parameter, dated or parameter)), re.IGNORECASE)
    is_asked = asked.search(script.text) is not None  # the query reads the day that it is run for
    if is_part or parameter:
        return replaced_partition(script, effect.tree, target, inputs, parameter, is_asked)
    message = "the job replaces the whole table"
    load = Load(target, "whole", FULL_REFRESH, True, True, True, True, message=message)
    if is_asked:
        load.backfill, load.doubt = None, "the whole table is replaced by what the run's parameters ask for"
    return with_own_rows(script, load, effect.tree, write_of(target, effect.result), inputs)  # type: ignore[arg-type]


def replaced_partition(script: Any, tree: Any, target: str, inputs: set[str], parameter: str, is_asked: bool) -> Load:
    load = Load(target, "whole", INCREMENTAL, True, True, message="the job replaces the partition of its day whole")
    if not is_asked and script.has_template:
        load.backfill, load.doubt = None, "whether the query asks for the run's day, its template does not show here"
    elif not is_asked:
        load.backfill = False
        load.doubt = "the query does not ask for the run's day, so that a past day's partition would get today's rows"
    elif target in inputs:
        load.backfill, load.doubt = None, "it reads what earlier days left: past days must be run in their order"
        if not reads_days_before(script, tree, target, parameter):
            load.idempotent, load.message = None, load.message + ", from its own rows too"
    return load


def reads_days_before(script: Any, tree: Any, target: str, parameter: str) -> bool:
    """Whatever is read of the target lies before the parameter's day: day < @day, or day = DATE_SUB(@day, …)."""
    reads = [table for table in tree.find_all(exp.Table) if script.target_name(table) == target]
    return bool(reads) and all(
        any(
            operator == "LT" and value == f"@{parameter}" or value.startswith(f"date_sub(@{parameter},")
            for _, around, operator, value in predicates_in(script, table.find_ancestor(exp.Select).args.get("where"))
            if around in ("", "date(_)") and operator in ("EQ", "LT", "LTE")
        )
        for table in reads
    )


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
