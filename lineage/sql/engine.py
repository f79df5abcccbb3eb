"""`analyze`: the one door of the engine, and the assembly of its answer."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from .dialects import Language, language
from .effects import Effects, Write, write_of
from .model import (
    BASES,
    ERROR,
    KINDS,
    NO_PRACTICES,
    WARNING,
    Analysis,
    ColumnEdge,
    OutputColumns,
    Problem,
    Statement,
)
from .parse import Unread, parse_piece
from .practices import Judge
from .reader import Reader, Schemas
from .relations import AGGREGATION, IDENTITY, TRANSFORMATION, Flow, Relation, Star
from .render import PLACEHOLDER, Rendered, World, render
from .script import Script
from .statements import read_statement
from .tokens import CALL, CONDITION, DECLARATION, LOOP, OPAQUE, Piece, has_plain_arguments, split

ENGINE_VERSION = 13  # raised whenever the same text may give another answer, so that stored answers are read again


def analyze(
    sql: str,
    dialect: str | None = None,
    schema: Any = None,
    default_database: str | None = None,
    default_schema: str | None = None,
    *,
    relations: Mapping[str, str] | None = None,
    macros: str = "",
    variables: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Analysis:
    """Read `sql` and return its lineage; whatever cannot be read is a problem in the result, never an exception.

    `schema` is `{"table": {"column": "TYPE"}}` with names of one to three parts, or an object with `columns(table)`.
    `relations` names what templates refer to: {"orders": "shop.mart.orders"} for ref('orders'), {"raw.orders": …} for
    source('raw', 'orders'), {"this": …} for the model itself; `macros` holds definitions of macros, `variables` what
    var() gives. `config` is what else is known of how a bare SELECT is loaded: dbt's words (materialized,
    incremental_strategy, unique_key), where the compiled text has lost them, or those of a BigQuery job
    (write_disposition, destination_table) with the query parameter that names the partition to write
    (partition_parameter) and another one that hangs on the day of the run (run_parameter).
    """
    with rested_collector():
        try:
            world = World(relations or {}, macros, variables or {}, dialect or "")
            return finish(start(sql, world, schema, default_database, default_schema, config))
        except Exception as error:  # a fault of ours must not end what the caller reads besides
            problem = Problem("internal_error", ERROR, f"{type(error).__name__}: {error}", None, None)
            return Analysis(sql, (), (), {}, (), (), (problem,), NO_PRACTICES)


def start(
    sql: str,
    world: World,
    schema: Any,
    default_database: str | None,
    default_schema: str | None,
    config: Mapping[str, Any] | None = None,
) -> "Run":
    """An analysis with its text rendered and nothing read yet."""
    problems: list[Problem] = []
    try:
        spoken = language(world.dialect)
    except ValueError:
        spoken = language("")
        message = f"unknown dialect {world.dialect!r}, read as standard SQL"
        problems.append(Problem("unknown_dialect", ERROR, message, None, None))
    schemas = Schemas(schema, spoken)
    rendered = render(sql.removeprefix("\ufeff"), replace(world, dialect=spoken.name, columns=schemas.columns))
    rendered.config.update(config or {})
    script = Script(rendered.sql, spoken, schemas, default_database, default_schema)
    script.is_job = bool(rendered.config.get("write_disposition"))
    script.has_template = rendered.sql is not sql and PLACEHOLDER in rendered.sql
    run = Run(script, rendered)
    run.problems += problems
    return run


def finish(run: "Run") -> Analysis:
    """Read all and answer; with the return, nothing holds the trees any more."""
    run.read_all()
    return run.answer()


@contextmanager
def rested_collector() -> Iterator[None]:
    """Trees are full of cycles and live as long as their analysis: to look for garbage meanwhile costs a tenth more."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Run:
    """One analysis under way: each piece is parsed, read and applied to the script."""

    def __init__(self, script: Script, rendered: Rendered) -> None:
        self.script = script
        self.rendered = rendered
        self.language: Language = script.language
        self.problems: list[Problem] = []
        self.statements: list[Statement] = []
        self.unread: set[int] = set()
        self.judge = Judge(script)
        self.results: list[tuple[int, Relation]] = []

    def read_all(self) -> None:
        self.note_template()
        pieces = split(self.rendered.sql, self.language)
        parsed = [(piece, self.parse(piece, number)) for number, piece in enumerate(pieces)]
        self.script.look_ahead([tree for _, tree in parsed])
        for number, (piece, tree) in enumerate(parsed):
            self.read(number, piece, tree)
        for number, names in self.script.finish().items():
            statement = self.statements[number]
            self.statements[number] = statement._replace(inputs=tuple(sorted({*statement.inputs, *names})))

    def note_template(self) -> None:
        if self.rendered.error:
            self.problems.append(Problem("template_error", ERROR, self.rendered.error, None, None))
        for name in dict.fromkeys(self.rendered.unknown):
            message = f"the template's {name} is unknown here"
            self.problems.append(Problem("template_placeholder", WARNING, message, None, None))

    def parse(self, piece: Piece, number: int) -> Any:
        """The piece's tree; what cannot be read is noted and None."""
        if piece.kind == OPAQUE:
            self.fail(number, piece.code, piece.message, self.script.line_at(piece.start))
            return None
        if piece.kind == CALL:
            if not has_plain_arguments(piece):  # a day by the clock, say: what the body does hangs on it
                self.unread.add(number)
            return None
        try:
            return parse_piece(piece, self.language)
        except Unread as unread:
            code, message, place, tree = unread.args
            at = piece.start if place is None else piece.offset + place
            self.fail(number, code, message, self.script.line_at(at))
            return tree

    def fail(self, number: int, code: str, message: str, line: int | None) -> None:
        self.problems.append(Problem(code, ERROR, message, number, line))
        self.unread.add(number)

    def read(self, number: int, piece: Piece, tree: Any) -> None:
        """Read one parsed piece and keep what it did."""
        self.script.base = piece.offset
        reader = Reader(self.language, self.script, number, in_body=piece.body is not None)
        effects = None
        if tree is not None:
            try:
                effects = self.effects_of(reader, piece, tree)
            except RecursionError:
                self.fail(number, "too_deep", "nested too deep to be read", self.script.line_at(piece.start))
            except Exception as error:  # a fault of ours costs this statement, never the caller's run
                message = f"{type(error).__name__}: {error}"
                self.fail(number, "internal_error", message, self.script.line_at(piece.start))
        elif piece.kind == LOOP and len(piece.tokens) == 1:
            self.script.name_row(piece.name, piece.tokens[0].text)
        if effects is None:
            effects = Effects(piece.kind.upper() if piece.kind == OPAQUE else piece.words(1)[0] if piece.tokens else "")
        effects.tree = tree
        effects.notes = tuple(reader.notes)
        effects.is_unread = number in self.unread
        effects.body = piece.body if self.language.rules.bodies_are_atomic else None
        self.judge.take(number, effects, reader.inputs)
        writes = reader.written + effects.writes
        outputs = self.script.apply(number, effects, writes, reader)
        self.problems += reader.problems.values()
        if effects.result is not None:
            self.results.append((number, effects.result))
        self.statements.append(
            Statement(effects.kind, tuple(sorted(reader.inputs)), tuple(dict.fromkeys(outputs)), piece.start, piece.end)
        )

    def effects_of(self, reader: Reader, piece: Piece, tree: Any) -> Effects:
        effects = read_statement(reader, tree)
        if piece.kind not in (CONDITION, LOOP, DECLARATION):
            return effects
        result, effects.result = effects.result, None
        effects.kind = {CONDITION: "IF", LOOP: "FOR", DECLARATION: "DECLARE"}[piece.kind]
        if piece.name and result is not None:
            name = self.language.fold(piece.name)
            self.script.variables[name] = result.whole()
            self.script.rows_of[name] = result
        return effects

    # --- the answer

    def answer(self) -> Analysis:
        edges = self.edges()
        outputs = sorted({record.write.target for record in self.script.records})
        columns = {name: self.script.outputs[name] for name in outputs if name in self.script.outputs}
        for _, result in self.results:
            columns[""] = self.result_columns(result)
        return Analysis(
            rendered=self.rendered.sql,
            inputs=tuple(sorted(self.inputs())),
            outputs=tuple(outputs),
            columns=columns,
            column_edges=tuple(edges),
            statements=tuple(self.statements),
            problems=tuple(self.problems),
            practices=self.judge.answer(self.statements, self.rendered.config),
        )

    def inputs(self) -> set[str]:
        if not self.script.renamed:
            return {name for statement in self.statements for name in statement.inputs}
        return {self.final(name, number) for number, s in enumerate(self.statements) for name in s.inputs}

    def final(self, name: str, statement: int) -> str:
        """The name that a table read by that statement has at the end, if the script itself made it."""
        for number, old, new in self.script.renamed:
            if statement < number and name == old:
                name = new
        return name

    def result_columns(self, result: Relation) -> OutputColumns:
        items = result.columns()
        named = {item[0]: item[2] for item in items if item.__class__ is not Star}  # type: ignore[index]
        return self.script.typed(named, is_complete=len(named) == len(items))

    def edges(self) -> list[ColumnEdge]:
        """All edges: those of each kept write, then those of bare results, whose target table is ""."""
        edges: list[ColumnEdge] = []
        for record in self.script.records:
            self.add_edges(edges, record.statement, record.write)
        for number, result in self.results:
            self.add_edges(edges, number, write_of("", result))
        return edges

    def add_edges(self, edges: list[ColumnEdge], number: int, write: Write) -> None:
        target = write.target
        for name, flow, _ in write.columns:
            if flow:
                self.add_flow(edges, number, flow, (target, name))
        everything = (target, "*")
        for star in write.stars:
            flow = star.flow()
            for table in dict.fromkeys(key[0] for key in flow):
                message = f"the columns of {table} are unknown, its star is not expanded"
                self.problems.append(Problem("unresolved_star", WARNING, message, number, None))
            self.add_flow(edges, number, flow, everything)
        if write.rows:
            self.add_flow(edges, number, write.rows, everything)

    def add_flow(self, edges: list[ColumnEdge], number: int, flow: Flow, target: tuple[str, str]) -> None:
        renamed = bool(self.script.renamed)
        single = len(flow) == 1
        for (table, column, path, mode), basis in flow.items():
            if not single and mode < AGGREGATION and is_outdone(flow, table, column, path, mode):
                continue
            source = (self.final(table, number) if renamed else table, column)
            edges.append(new_edge((source, target, KINDS[mode], BASES[basis], number, path)))


new_edge = partial(tuple.__new__, ColumnEdge)  # of its six parts; half the time of the class's own constructor


def is_outdone(flow: Flow, table: str, column: str, path: str | None, mode: int) -> bool:
    """The same source comes in a stronger direct kind too."""
    if (table, column, path, AGGREGATION) in flow:
        return True
    return mode == IDENTITY and (table, column, path, TRANSFORMATION) in flow
