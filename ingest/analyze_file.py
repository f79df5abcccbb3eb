"""One SQL text in, its lineage out in the form that is stored. Runs in worker processes: no Django, no database."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ingest.redact import redact
from lineage.facts import ERROR, ColumnEdgeRow, FileProblem, SqlLineage
from lineage.sql import Analysis, analyze
from lineage.sql.dialects import language
from lineage.sql.tokens import split

_VIEW = re.compile(
    r"\s*create\s+(?:or\s+(?:replace|alter)\s+)?(?:\w+\s+){0,3}?(?P<what>materialized\s+view|external\s+table|view)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class SqlText:
    """What a worker is given: the text and all that `analyze` needs to know around it.

    `columns` holds the known columns, with types, of the tables that the text may read or fill; `builds` is the table
    that a bare SELECT fills, by dbt as `config` says; `macros` and `variables` are those that its template asks for.
    """

    path: str
    sql: str
    dialect: str
    database: str
    schema: str
    builds: str = ""
    relations: Mapping[str, str] = field(default_factory=dict)
    macros: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


_NOT_FOUND = ("ambiguous_column", "unresolved_column", "unresolved_star")  # problems of one column, or one star, each
Span = tuple[int, int]  # from and to, in characters


def analyze_file(text: SqlText) -> SqlLineage:
    """The lineage of one text, with secrets masked and a bare SELECT's columns given to the table it builds."""
    analysis = analyze(
        text.sql,
        text.dialect,
        schema=text.columns,
        default_database=text.database or None,
        default_schema=text.schema or None,
        relations=text.relations,
        macros=text.macros,
        variables=text.variables,
        config=text.config,
    )
    if "\0" in analysis.rendered:
        return unread(text, "gave a NUL character, which no database keeps, out of a template")
    return lineage_of(analysis, text)


def unread(text: SqlText, how: str) -> SqlLineage:
    """The answer for a text whose worker died: nothing read but the fact, as a problem."""
    problem = FileProblem(text.path, "worker_died", ERROR, f"Reading this file {how}.")
    sql = redact(text.sql)
    return SqlLineage(text.path, sql, _digest(sql), 1, 0, 0, 0, (), (), {}, {}, {}, (problem,))


def lineage_of(analysis: Analysis, text: SqlText) -> SqlLineage:
    """An analysis in the form that is stored."""
    builds = "" if any(analysis.outputs) else text.builds
    sql = redact(analysis.rendered)
    total, read = _coverage(analysis)
    found = {(edge.statement, *edge.source) for edge in analysis.column_edges if edge.source[1] != "*"}
    return SqlLineage(
        path=text.path,
        sql=sql,
        digest=_digest(sql),
        statements=total,
        statements_read=read,
        columns_named=len(found) + sum(problem.code in _NOT_FOUND for problem in analysis.problems),
        columns_found=len(found),
        table_edges=_table_edges(analysis, builds),
        column_edges=_column_edges(analysis, builds),
        columns={
            name or builds: (known.complete, tuple((column, type_ or "") for column, type_ in known.columns))
            for name, known in analysis.columns.items()
            if name or builds
        },
        table_kinds=_table_kinds(analysis),
        practices=_practices(analysis, builds),
        problems=tuple(
            FileProblem(
                text.path, problem.code, problem.severity, redact(problem.message), problem.line, problem.statement
            )
            for problem in analysis.problems
        ),
    )


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode("utf-8", "surrogatepass")).hexdigest()


def _coverage(analysis: Analysis) -> tuple[int, int]:
    """(statements that can carry lineage, those of them read without an error)."""
    failed = {problem.statement for problem in analysis.problems if problem.severity == ERROR}
    numbers = set(range(len(analysis.statements))) | (failed - {None})
    total = len(numbers) or len(failed)
    return total, max(0, total - len(failed))


def _table_edges(analysis: Analysis, builds: str) -> tuple[tuple[str, str], ...]:
    """Pairs (source, target), statement by statement, with tables that do not outlive the script collapsed away.

    A table that is only read has the pair (source, ""), one that is filled from nowhere ("", target).
    """
    lasting = {*analysis.inputs, *analysis.outputs}
    passing: dict[str, set[str]] = {}  # a temporary table -> what it was filled from
    pairs: dict[tuple[str, str], None] = {}
    for statement in analysis.statements:
        sources = {name for read in statement.inputs for name in (passing.get(read) or {read})} & lasting
        for target in statement.outputs or ((builds,) if builds and sources else ()):
            if target in lasting or target == builds:
                pairs.update(((source, target), None) for source in sorted(sources))
            elif target:
                passing.setdefault(target, set()).update(sources)
    read = {source for source, _ in pairs}
    filled = {target for _, target in pairs}
    pairs.update(((name, ""), None) for name in analysis.inputs if name and name not in read)
    outputs = [*filter(None, analysis.outputs), *([builds] if builds and analysis.statements else [])]
    pairs.update((("", name), None) for name in outputs if name not in filled)
    return tuple(pairs)


def _column_edges(analysis: Analysis, builds: str) -> tuple[ColumnEdgeRow, ...]:
    """Edges between lasting tables; those of a bare SELECT that builds nothing have no target and are left out."""
    return tuple(
        (source, column, target or builds, target_column, kind, basis, statement, path and path[:500])
        for (source, column), (target, target_column), kind, basis, statement, path in analysis.column_edges
        if source and (target or builds)
    )


def _table_kinds(analysis: Analysis) -> dict[str, str]:
    """Outputs that the SQL makes as something else than a table."""
    kinds = {}
    for statement in analysis.statements:
        if statement.outputs and statement.kind.startswith("CREATE"):
            found = _VIEW.match(analysis.rendered, statement.start, min(statement.end, statement.start + 300))
            if found:
                kinds |= dict.fromkeys(statement.outputs, re.sub(r"\s+", "_", found["what"].lower()))
    return kinds


def _practices(analysis: Analysis, builds: str) -> dict[str, Any]:
    practices = analysis.practices.to_dict()
    if builds and "" in practices["by_output"]:
        practices["by_output"] = {name or builds: judged for name, judged in practices["by_output"].items()}
    return practices


def statement_spans(text: SqlText) -> list[Span]:
    """Where each statement of a text begins and ends."""
    return [(piece.start, piece.end) for piece in split(text.sql, language(text.dialect))]


def blanked(sql: str, spans: list[Span]) -> str:
    """`sql` with nothing but line ends left of the spans, so that every other line keeps its number."""
    for start, end in spans:
        sql = sql[:start] + re.sub(r"[^\n]", " ", sql[start:end]) + sql[end:]
    return sql


def with_unread(lineage: SqlLineage, text: SqlText, spans: list[Span], how: str) -> SqlLineage:
    """The lineage of a text some of whose statements were blanked, with those counted and told of as not read."""
    sql = redact(text.sql)
    problems = tuple(
        FileProblem(
            text.path, "worker_died", ERROR, f"Reading this statement {how}.", text.sql.count("\n", 0, start) + 1
        )
        for start, _ in spans
    )
    return replace(
        lineage,
        sql=sql,
        digest=_digest(sql),
        statements=lineage.statements + len(spans),
        problems=(*lineage.problems, *problems),
    )
