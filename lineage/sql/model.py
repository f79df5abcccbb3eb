"""The typed values of an analysis. `Analysis.to_dict()` is the contract that storage, pages and the API rely on."""

from typing import Any, NamedTuple

VERSION = 1  # of the shape of to_dict()

IDENTITY, TRANSFORMATION, AGGREGATION = "IDENTITY", "TRANSFORMATION", "AGGREGATION"
CONDITIONAL, WINDOW = "CONDITIONAL", "WINDOW"
FILTER, JOIN, GROUP_BY, SORT = "FILTER", "JOIN", "GROUP_BY", "SORT"

DIRECT_KINDS = (IDENTITY, TRANSFORMATION, AGGREGATION)
COLUMN_INDIRECT_KINDS = (CONDITIONAL, WINDOW)
ROW_INDIRECT_KINDS = (FILTER, JOIN, GROUP_BY, SORT)
KINDS = DIRECT_KINDS + COLUMN_INDIRECT_KINDS + ROW_INDIRECT_KINDS

PARSED, SCHEMA, ONLY_CANDIDATE = "parsed", "schema", "only_candidate"
BASES = (PARSED, SCHEMA, ONLY_CANDIDATE)

ERROR, WARNING = "error", "warning"

FULL_REFRESH, INCREMENTAL, APPEND, MERGE, UNKNOWN = "full_refresh", "incremental", "append", "merge", "unknown"
LOAD_STRATEGIES = (FULL_REFRESH, INCREMENTAL, APPEND, MERGE, UNKNOWN)


class ColumnEdge(NamedTuple):
    """Data flows from a source (table, column) to a target (table, column).

    Subtypes of `kind` are OpenLineage's. An edge of a row-wide kind has the target column "*"; the target table of a
    bare SELECT is "". `path` is what follows the top-level column when a struct field is read.
    """

    source: tuple[str, str]
    target: tuple[str, str]
    kind: str
    basis: str
    statement: int
    path: str | None = None


class Statement(NamedTuple):
    """One statement of the script; `start` and `end` are character offsets into the rendered text."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    start: int
    end: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "start": self.start,
            "end": self.end,
        }


class OutputColumns(NamedTuple):
    """The columns an output now has, as (name, type or None); `complete` is False when there may be more."""

    complete: bool
    columns: tuple[tuple[str, str | None], ...]

    def to_dict(self) -> dict[str, Any]:
        return {"complete": self.complete, "columns": [list(column) for column in self.columns]}


class Problem(NamedTuple):
    """What could not be read (error) or not be resolved with certainty (warning); `line` counts from 1."""

    code: str
    severity: str
    message: str
    statement: int | None
    line: int | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "statement": self.statement,
            "line": self.line,
        }


class PracticeReason(NamedTuple):
    """Why a practice was judged so, and where in the SQL; `output` is the table it was judged for."""

    practice: str
    message: str
    statement: int | None
    line: int | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "practice": self.practice,
            "message": self.message,
            "statement": self.statement,
            "line": self.line,
        }


class OutputPractices(NamedTuple):
    """How one output is loaded; None means that the SQL alone cannot tell."""

    load_strategy: str
    idempotent: bool | None
    atomic: bool | None
    backfill_safe: bool | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "load_strategy": self.load_strategy,
            "idempotent": self.idempotent,
            "atomic": self.atomic,
            "backfill_safe": self.backfill_safe,
        }


class Practices(NamedTuple):
    """The script's worst, the same per output, and the reasons in words."""

    overall: OutputPractices
    by_output: dict[str, OutputPractices]
    reasons: tuple[PracticeReason, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.overall.to_dict(),
            "by_output": {name: judged.to_dict() for name, judged in self.by_output.items()},
            "reasons": [reason.to_dict() for reason in self.reasons],
        }


NO_PRACTICES = Practices(OutputPractices(UNKNOWN, None, None, None), {}, ())


class Analysis(NamedTuple):
    """Everything read off one SQL text."""

    rendered: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    columns: dict[str, OutputColumns]
    column_edges: tuple[ColumnEdge, ...]
    statements: tuple[Statement, ...]
    problems: tuple[Problem, ...]
    practices: Practices

    def to_dict(self) -> dict[str, Any]:
        """The analysis as plain lists, dicts, strings, numbers, booleans and None, ready for JSON."""
        return {
            "version": VERSION,
            "rendered": self.rendered,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "columns": {name: columns.to_dict() for name, columns in self.columns.items()},
            "column_edges": [  # a script has hundreds: no call for each
                {
                    "source": [*source],
                    "target": [*target],
                    "kind": kind,
                    "basis": basis,
                    "statement": statement,
                    "path": path,
                }
                for source, target, kind, basis, statement, path in self.column_edges
            ],
            "statements": [statement.to_dict() for statement in self.statements],
            "problems": [problem.to_dict() for problem in self.problems],
            "practices": self.practices.to_dict(),
        }
