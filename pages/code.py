"""SQL as a page shows it: highlighted, with line numbers, each problem under its line."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from django.utils.safestring import SafeString, mark_safe
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES, Token, _TokenType

from lineage.models import Problem, SqlVersion

LONGEST_HIGHLIGHTED = 100_000  # characters: about 0.3 s of highlighting; longer texts are shown plain
MOST_LINES = 3_000

_LEXERS = {"postgres": "postgresql", "redshift": "postgresql", "mysql": "mysql", "tsql": "tsql"}


@dataclass(frozen=True)
class Line:
    """One line of code; `html` is escaped."""

    number: int
    html: SafeString
    problems: list[Problem] = field(default_factory=list)

    @property
    def severity(self) -> str:
        """The worst of its problems, empty without."""
        return min((problem.severity for problem in self.problems), default="")


@dataclass(frozen=True)
class CodeListing:
    """A text by lines; `left_out` counts those beyond the cap, `elsewhere` holds problems without a shown line."""

    lines: list[Line]
    left_out: int
    elsewhere: list[Problem]


def listing_of(version: SqlVersion, problems: Iterable[Problem]) -> CodeListing:
    """The text of a SQL version with each problem at its line."""
    rendered = _highlighted(version.sql, version.dialect)
    shown = rendered[:MOST_LINES]
    at_line: dict[int, list[Problem]] = {}
    elsewhere = []
    for problem in problems:
        if problem.line and problem.line <= len(shown):
            at_line.setdefault(problem.line, []).append(problem)
        else:
            elsewhere.append(problem)
    lines = [Line(number, mark_safe(text), at_line.get(number, [])) for number, text in enumerate(shown, 1)]  # noqa: S308
    return CodeListing(lines, len(rendered) - len(shown), elsewhere)


@lru_cache(maxsize=64)
def _highlighted(sql: str, dialect: str) -> tuple[str, ...]:
    if len(sql) > LONGEST_HIGHLIGHTED:
        return tuple(html.escape(line) for line in sql.splitlines())
    lines = [""]
    for kind, text in _lexer(dialect).get_tokens(sql):
        first, *rest = text.split("\n")
        lines[-1] += _span(kind, first)
        lines.extend(_span(kind, piece) for piece in rest)
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines)


def _lexer(dialect: str) -> Lexer:
    return get_lexer_by_name(_LEXERS.get(dialect, "sql"), stripnl=False, ensurenl=False)


def _span(kind: _TokenType, text: str) -> str:
    if not text:
        return ""
    name = next(_class_names(kind))
    return f'<span class="{name}">{html.escape(text)}</span>' if name else html.escape(text)


def _class_names(kind: _TokenType) -> Iterator[str]:
    """The short class of the token, or of the nearest kind above it that has one."""
    while kind is not Token:
        if kind in STANDARD_TYPES:
            yield STANDARD_TYPES[kind] if STANDARD_TYPES[kind] not in {"p", "w", "n", "o"} else ""
        kind = kind.parent
    yield ""
