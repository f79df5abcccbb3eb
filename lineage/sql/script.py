"""A script's memory from statement to statement: temp tables, columns of what was made, variables, names, writes."""

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from .dialects import Language, dotted
from .dml import merge_columns
from .effects import Effects, Write, write_of
from .model import OutputColumns
from .reader import Reader, Schemas, identified, named_table, path_nodes, table_parts
from .relations import NOTHING, Flow, Relation, Scope, Star, TableRelation, TempRelation, ValueRelation
from .render import is_placeholder

# A date at the end of a table's name is a shard's, and so is a star: events_20240101, events_*, events_2024*.
SHARD = re.compile(r"_?(?:(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|(?:(?<=_)\d{1,7})?\*)$")
PARTITION = re.compile(r"\$\w+$")
URI = re.compile(r"[a-z][a-z0-9+]*://", re.IGNORECASE)
FILE_NAME = re.compile(
    r"://|^[/~.]|\.(?:csv|tsv|parquet|json|jsonl|ndjson|avro|orc|xlsx|txt|db)(?:\.\w+)?$", re.IGNORECASE
)
LONG_TEXT = 50_000  # characters
NAME_KEYS = ("catalog", "db", "this")
IDENTIFIER = exp.Identifier
FORMATS = frozenset({"parquet", "csv", "json", "orc", "avro", "delta", "text", "binaryfile", "iceberg", "xml"})


@dataclass(slots=True)
class Record:
    """A write that outlives its statement."""

    statement: int
    write: Write


class Script:
    """Runs over the statements in order; each reads what those before it left."""

    def __init__(
        self, text: str, language: Language, schemas: Schemas, database: str | None, schema: str | None
    ) -> None:
        self.text = text
        self.language = language
        self.rules = language.rules
        self.schemas = schemas
        self.database = self._given(database)
        self.schema = self._given(schema)
        self.has_template = False  # placeholders stand for names that the template leaves unknown
        self.is_job = False  # a BigQuery job runs the text, and gives each parameter a value
        self._lines: list[int] | None = None  # ends of lines, in a long text
        self.trace: Any = None  # for explain: which expression each column is made by
        self.base = 0  # where the current piece's text stands
        self.temps: dict[str, TempRelation] = {}
        self.variables: dict[str, Flow] = {}
        self.variable_values: dict[str, Any] = {}  # the expression that each was set to last
        self.settings: dict[str, str] = {}  # what SET gave the session as a literal
        self.variable_notes: dict[str, dict[str, None]] = {}
        self.atomic_tables: set[str] = set()  # of a format whose overwrites are atomic
        self.partition_keys: dict[str, Any] = {}  # what PARTITION BY of a CREATE TABLE says
        self.functions: dict[str, Relation] = {}  # table functions in SQL that the script makes
        self.rows_of: dict[str, Relation] = {}  # variables that hold a row: FOR r IN (SELECT …)
        self.made: dict[str, dict[str, Any]] = {}  # columns of tables that this script defines
        self.outputs: dict[str, OutputColumns] = {}
        self.records: list[Record] = []
        self.renamed: list[tuple[int, str, str]] = []  # before that statement, the old name meant the new one
        # Tables that outlive the script by the parts of their names as written, as they are read now.
        self._seen: dict[tuple[Any, ...], tuple[TableRelation, tuple[str, ...]]] = {}
        self.moved: dict[str, tuple[str, int]] = {}  # new name: old name of a table that the script did not make
        self.transient: set[int] = set()  # statements that make a table which the script drops again

    def _given(self, name: str | None) -> str:
        if not name:
            return ""
        return name if self.rules.tables_keep_case else self.language.fold(name)

    # --- places in the text

    def line_at(self, offset: int) -> int:
        """The line, counted from 1, of a character of the rendered text."""
        if len(self.text) < LONG_TEXT:
            return self.text.count("\n", 0, offset) + 1
        if self._lines is None:
            self._lines = [found.start() for found in re.finditer("\n", self.text)]
        return bisect_left(self._lines, offset) + 1

    def line_of(self, node: Any) -> int | None:
        """The line of the first name inside a node."""
        if not isinstance(node, exp.Expression):
            return None
        for identifier in node.find_all(exp.Identifier):
            start = identifier.meta.get("start")
            if start is not None:
                return self.line_at(self.base + start)
        return None

    # --- names

    def parts_of(self, table: exp.Table) -> list[str]:
        parts = table_parts(table, self.language)
        if self.rules.own_schema and len(parts) == 2 and parts[0].lower() == self.rules.own_schema:
            return parts[1:]
        if self.rules.sharded:
            parts[-1] = PARTITION.sub("", parts[-1])
            if len(parts[-1]) > 1:
                parts[-1] = SHARD.sub("", parts[-1]) or parts[-1]
            if "INFORMATION_SCHEMA." in parts[-1].upper():
                parts[-1:] = parts[-1].split(".")
            if parts[0].upper() == "_SESSION":
                parts = parts[1:]
        return parts

    def full(self, parts: list[str]) -> str:
        """The name with the defaults in front, where it has too few parts."""
        front = []
        if len(parts) == 1 and self.schema:
            front = [self.database, self.schema] if self.database else [self.schema]
        elif len(parts) == 2 and self.database and self.rules.parts > 2:
            front = [self.database]
        return dotted([*front, *parts])

    def target_name(self, table: Any) -> str:
        """The name of a written table: a temp table by its own, others in full."""
        if not isinstance(table, exp.Table):
            return ""
        this = table.this
        if isinstance(this, exp.Parameter):
            return "@" + this.name.lower()
        text = self.identified(this)
        if text:
            return self.target_name(named_table(text, self.language.dialect))
        if not isinstance(this, exp.Identifier | exp.Dot):
            return self.uri(this.name) if isinstance(this, exp.Literal | exp.Var) else ""
        parts = self.parts_of(table)
        raw = dotted(parts)
        return raw if raw in self.temps else self.full(parts)

    def created_name(self, table: exp.Table, is_temporary: bool) -> str:
        """The name of a table that is made: temp tables lie outside all schemas."""
        text = self.identified(table.this)
        if not text and isinstance(table.this, exp.DynamicIdentifier):
            return ""
        parts = self.parts_of(named_table(text, self.language.dialect) if text else table)
        return dotted(parts) if is_temporary else self.full(parts)

    def identified(self, node: Any) -> str:
        """The name that IDENTIFIER('db.t') stands for, or IDENTIFIER($t) of a variable that was set to it; else ""."""
        text = identified(node)
        if not text and isinstance(node, exp.DynamicIdentifier) and isinstance(node.this, exp.Parameter):
            text = self.settings.get(node.this.name.lower(), "")
        return text

    def renamed_to(self, old: str, table: Any) -> str:
        """ALTER TABLE s.a RENAME TO b: a bare new name stays in the old one's schema."""
        parts = self.parts_of(table)
        if len(parts) > 1:
            return self.full(parts)
        front = old[: len(old) - len(last_part(old))]
        return front + dotted(parts)

    def uri(self, text: str) -> str:
        return text.rstrip("/") or text

    def use(self, tree: exp.Use) -> None:
        """USE x, USE SCHEMA a.b, USE DATABASE x, USE CATALOG x."""
        self._seen.clear()
        kind = tree.text("kind").upper()
        table = tree.this
        if kind in ("ROLE", "WAREHOUSE", "SECONDARY ROLES") or not isinstance(table, exp.Table):
            return
        parts = table_parts(table, self.language)
        if len(parts) == 2:
            self.database, self.schema = parts
        elif (
            kind in ("DATABASE", "CATALOG") and self.rules.parts > 2 or (not kind and self.rules.use_sets == "database")
        ):
            self.database = parts[0]
        else:
            self.schema = parts[0]

    # --- variables

    def is_variable(self, name: str) -> bool:
        return self.language.fold(name) in self.variables

    def set_variable(self, node: Any, flow: Flow, value: Any, notes: dict[str, None]) -> None:
        """Also the session's own: search_path, @@dataset_id."""
        kept = {"clock_rows" if note == "clock_value" else note: None for note in notes}
        for key in (self.language.fold(node.name), "@" + node.name.lower()):
            self.variable_notes[key] = kept
            self.variable_values[key] = value
        if isinstance(node, exp.Parameter | exp.SessionParameter):
            self.variables["@" + node.name.lower()] = flow
        name = node.name
        if name.lower() == "search_path":
            self.set_path(value)
        elif name.lower() in ("dataset_id", "dataset_project_id") and isinstance(value, exp.Literal):
            if name.lower() == "dataset_id":
                self.schema = value.name
            else:
                self.database = value.name
        else:
            self.variables[self.language.fold(name)] = flow
            self.variables["@" + name.lower()] = flow

    def set_path(self, value: Any) -> None:
        first = value.expressions[0] if isinstance(value, exp.Tuple | exp.Array) and value.expressions else value
        name = first.name.split(",")[0].strip() if first is not None else ""
        if name and name != "$user":
            self.schema = self.language.fold(name)

    # --- reading

    def relation_of(self, reader: Reader, table: exp.Table) -> tuple[Relation, tuple[str, ...]]:
        """What a table's name means at this point: a temp table, a file, or a table that outlives the script."""
        args = table.args
        key: tuple[Any, ...] = ()
        for name in NAME_KEYS:
            part = args.get(name)
            if part.__class__ is IDENTIFIER:
                key = (*key, part.args["this"], part.args.get("quoted"))
        seen = self._seen.get(key)
        if seen is None:
            return self.named_relation(reader, table, key)
        reader.inputs.add(seen[0].table)
        return seen

    def named_relation(
        self, reader: Reader, table: exp.Table, key: tuple[Any, ...]
    ) -> tuple[Relation, tuple[str, ...]]:
        """The same for a name that is met for the first time."""
        this = table.args.get("this")
        if not isinstance(this, exp.Identifier | exp.Dot):
            return self.special_relation(reader, this)
        parts = self.parts_of(table)
        path = tuple(
            [self.language.column(part) for part in path_nodes(table)] if self.rules.tables_keep_case else parts
        )
        raw = dotted(parts)
        name = raw if raw in self.temps else self.full(parts)
        temp = self.temps.get(name)
        if temp is not None:
            reader.inputs |= temp.inputs
            reader.notes.update(temp.notes)
            return temp, path
        if self.rules.has_dual and parts[-1].upper() == "DUAL" and parts[:-1] in ([], ["SYS"]):
            return ValueRelation(NOTHING, {}, is_open=False, with_path=False), path
        uri = self.file_of(table, parts)
        if uri:
            return self.file_relation(reader, uri), path
        if self.has_template and is_placeholder(parts[-1]):
            reader.warn("template_placeholder", f"the table {raw} is named by the template", table)
            return ValueRelation(NOTHING, {}, is_open=True, with_path=False), path
        reader.inputs.add(name)
        found = TableRelation(name, self.known_columns(name), self.rules.pseudo_columns), path
        if isinstance(this, exp.Identifier):
            self._seen[key] = found
        return found

    def special_relation(self, reader: Reader, this: Any) -> tuple[Relation, tuple[str, ...]]:
        """@t of T-SQL, @stage of Snowflake, 'file' of DuckDB; a parameter that stands for a table is unknown."""
        if isinstance(this, exp.Parameter):
            name = "@" + this.name.lower()
            temp = self.temps.get(name)
            if temp is not None:
                reader.inputs |= temp.inputs
                return temp, (name,)
        if isinstance(this, exp.Var | exp.Literal):
            return self.file_relation(reader, self.uri(this.name)), (this.name,)
        reader.warn(
            "unresolved_table", f"{this.sql() if this is not None else 'a source'} stands for an unknown table", this
        )
        return ValueRelation(NOTHING, {}, is_open=True, with_path=False), ("",)

    def file_relation(self, reader: Reader, uri: str) -> Relation:
        reader.inputs.add(uri)
        return TableRelation(uri, None, frozenset())

    def file_of(self, table: exp.Table, parts: list[str]) -> str:
        """FROM 'x.parquet' of DuckDB, FROM parquet.`path` of Spark; "" for a table."""
        this = table.this
        if self.rules.files_in_from and len(parts) == 1 and this.args.get("quoted") and FILE_NAME.search(this.name):
            return self.uri(this.name)
        if self.rules.formats_in_from and len(parts) == 1 and "://" in this.name:
            return self.uri(this.name)
        if self.rules.formats_in_from and len(parts) == 2 and parts[0].lower() in FORMATS and "/" in this.name:
            return self.uri(this.name)
        return ""

    def files_of(self, function: Any) -> list[str]:
        """The files of read_csv('…'), read_parquet(['…', '…']) and the like, and of s3('https://…')."""
        name = (function.name if isinstance(function, exp.Anonymous) else function.key).lower()
        if not name.startswith(
            ("read", "scan", "parquet_scan", "delta_scan", "iceberg_scan", "openrowset")
        ) and not name.endswith("_scan"):
            values = [value for value in function.expressions[:1] if URI.match(value.name)]
        else:
            this = function.this
            first = this if isinstance(this, exp.Expression) else next(iter(function.expressions), None)
            values = first.expressions if isinstance(first, exp.Array) else [first]
        return [self.uri(value.name) for value in values if isinstance(value, exp.Literal) and value.is_string]

    def known_columns(self, table: str) -> dict[str, Any] | None:
        """Of a table that this script made, else of the schema given."""
        temp = self.temps.get(table)
        if temp is not None:
            return None if temp.is_open else {name: item[2] for name, item in temp.index.items()}
        made = self.made.get(table)
        return made if made is not None else self.schemas.columns(table)

    def name_row(self, row: str, cursor: str) -> None:
        """FOR r IN c: each row of a cursor that was declared before."""
        rows = self.rows_of.get(self.language.fold(cursor))
        if rows is not None:
            name = self.language.fold(row)
            self.rows_of[name], self.variables[name] = rows, rows.whole()

    # --- writing

    def apply(self, number: int, effects: Effects, writes: list[Write], reader: Reader) -> list[str]:
        """Keep what a statement did; returns the outputs that outlive it."""
        outputs = []
        self._seen.clear()  # names may mean something else from here on
        for write in writes:
            if not write.target:
                reader.warn("unresolved_table", "the table that is written is named at run time", effects.tree)
                continue
            write.columns = merge_columns(write.columns)
            if self.is_passing(number, write):
                self.fill(write, reader, effects.tree)
            else:
                self.keep(number, write)
                outputs.append(write.target)
        for old, new in effects.renames:
            self.rename(number, {old: new})
        for one, other in effects.swaps:
            self.rename(number, {one: other, other: one})
        for name in effects.drops:
            self.drop(name)
        return outputs

    def is_passing(self, number: int, write: Write) -> bool:
        """The target does not outlive the script."""
        if write.is_definition and not write.is_temporary and number not in self.transient:
            return False
        return write.is_temporary or number in self.transient or write.target in self.temps

    def fill(self, write: Write, reader: Reader, tree: Any) -> None:
        """Make a temp table, or add to it; who read it before keeps what he read."""
        before = None if write.is_definition else self.temps.get(write.target)
        columns = [*(before.index.values() if before else ()), *write.columns]
        stars: list[Star] = [*(before.stars if before else ()), *write.stars]
        relation = TempRelation([*merge_columns(columns), *stars])
        relation.rows = {**(before.rows if before else {}), **write.rows}
        relation.reads = list(before.reads) if before else []
        relation.made_of = (*(before.made_of if before else ()), *([write.made_of] if write.made_of else ()))
        relation.inputs = reader.inputs | (before.inputs if before else set())
        relation.notes = {**(before.notes if before else {}), **reader.notes}
        relation.trees = [*(before.trees if before else ()), tree]
        self.temps[write.target] = relation

    def keep(self, number: int, write: Write) -> None:
        self.records.append(Record(number, write))
        if write.is_definition:
            self.temps.pop(write.target, None)
            known = {name: kind for name, _, kind in write.columns}
            is_complete = bool(known) and not write.stars  # LIKE a table that nobody knows shows no columns
            if is_complete:
                self.made[write.target] = known
            else:
                self.made.pop(write.target, None)
            self.outputs[write.target] = self.typed(known, is_complete)
            return
        known_columns = self.known_columns(write.target)
        if known_columns:
            self.outputs[write.target] = self.typed(known_columns, is_complete=True)
        else:
            before = self.outputs.get(write.target)
            names = dict(before.columns) if before else {}
            names |= {name: None for name, _, _ in write.columns if name not in names}
            self.outputs[write.target] = self.typed(names, is_complete=False)

    def typed(self, columns: dict[str, Any], is_complete: bool) -> OutputColumns:
        pairs = ((name, self.type_name(kind)) for name, kind in columns.items())
        return OutputColumns(is_complete, tuple(pairs))

    def type_name(self, kind: Any) -> str | None:
        """A type in the dialect's words; of (scope, column), the type of the source's column."""
        while kind.__class__ is tuple:
            kind = column_type(self.language, *kind)
        return self.language.type_name(kind) if isinstance(kind, exp.Expression) else kind

    # --- renames and drops

    def rename(self, number: int, names: dict[str, str]) -> None:
        """Lineage belongs to the final name; a swap renames both ways at once."""
        written = {record.write.target for record in self.records}
        self.move_others(number, names, written)
        self.renamed += [(number, old, new) for old, new in names.items() if old in written]
        for record in self.records:
            record.write.target = names.get(record.write.target, record.write.target)
        for kept in (self.temps, self.made, self.outputs):
            moved = {new: kept.pop(old) for old, new in names.items() if old in kept}
            kept.update(moved)

    def move_others(self, number: int, names: dict[str, str], written: set[str]) -> None:
        """A table that was there before moves to its new name, with all that is stored in it."""
        before = {old: self.moved.pop(old, (old, number)) for old in names}
        for old, new in names.items():
            if old not in written and old not in self.temps:
                self.moved[new] = before[old]

    def finish(self) -> dict[int, set[str]]:
        """After the last statement: content that was moved aside comes from the name it had, where that name is in use
        again; otherwise the table just has another name. Returns what those moves read, by statement."""
        read: dict[int, set[str]] = {}
        in_use = {record.write.target for record in self.records} | set(self.moved)
        for new, (old, number) in self.moved.items():
            if old in in_use and old != new:
                relation = TableRelation(old, self.schemas.columns(old), frozenset())
                self.keep(number, write_of(new, relation, is_definition=True))
                read.setdefault(number, set()).add(old)
        return read

    def rename_column(self, table: str, old: str, new: str) -> None:
        for record in self.records:
            if record.write.target == table:
                record.write.columns = [(new if n == old else n, flow, kind) for n, flow, kind in record.write.columns]
        if table in self.made:
            self.made[table] = {new if name == old else name: kind for name, kind in self.made[table].items()}
        if table in self.outputs:
            before = self.outputs[table]
            columns = tuple((new if name == old else name, kind) for name, kind in before.columns)
            self.outputs[table] = OutputColumns(before.complete, columns)
        temp = self.temps.get(table)
        if temp is not None:
            temp.items = [
                item if item.__class__ is Star or item[0] != old else (new, *item[1:])  # type: ignore[index,misc]
                for item in temp.items
            ]
            temp.build_index()

    def drop(self, name: str) -> None:
        self.temps.pop(name, None)
        self.made.pop(name, None)
        self.outputs.pop(name, None)
        self.moved.pop(name, None)
        self.records = [record for record in self.records if record.write.target != name]

    # --- looking ahead

    def look_ahead(self, trees: list[Any]) -> None:
        """Find the statements that make a table which the script itself drops again in the end."""
        if not any(isinstance(tree, exp.Drop) for tree in trees):
            return
        session = self.database, self.schema
        makers: dict[str, int] = {}
        for number, tree in enumerate(trees):
            if isinstance(tree, exp.Use):
                self.use(tree)
            elif isinstance(tree, exp.Create):
                table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
                if isinstance(table, exp.Table):
                    makers[self.target_name(table)] = number
            elif isinstance(tree, exp.Select) and tree.args.get("into") is not None:
                makers[self.target_name(tree.args["into"].this)] = number
            elif isinstance(tree, exp.Drop):
                for table in tree.args.get("tables") or [tree.this]:
                    number_of = makers.pop(self.target_name(table), None)
                    if number_of is not None:
                        self.transient.add(number_of)
            elif isinstance(tree, exp.Alter):
                self.look_at_rename(tree, makers)
        self.database, self.schema = session

    def look_at_rename(self, tree: exp.Alter, makers: dict[str, int]) -> None:
        name = self.target_name(tree.this)
        for action in tree.args.get("actions") or ():
            if isinstance(action, exp.AlterRename):
                number = makers.pop(name, None)
                if number is not None:
                    makers[self.renamed_to(name, action.this)] = number
            elif isinstance(action, exp.SwapTable):
                other = self.target_name(action.this)
                pair = makers.pop(name, None), makers.pop(other, None)
                makers |= {key: value for key, value in ((other, pair[0]), (name, pair[1])) if value is not None}


def column_type(language: Language, scope: Scope, node: exp.Column) -> Any:
    """A column keeps its type where one source is sure to have it."""
    name = language.column(node.args["this"])
    qualifier = node.args.get("table")
    if qualifier is not None:
        source = scope.by_alias(language.column(qualifier))
        return source.relation.type_of(name) if source else None
    kinds = [kind for kind in (source.relation.type_of(name) for source in scope.sources) if kind is not None]
    return kinds[0] if len(kinds) == 1 else None


def last_part(name: str) -> str:
    """The last part of a dotted name, its quotes included."""
    if name.endswith('"'):
        return name[name.rindex('"', 0, -1) :]
    return name.rsplit(".", 1)[-1]
