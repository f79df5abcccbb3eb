"""SQL as a page shows it: highlighted, with line numbers, each problem under its line."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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
class Block:
    """Lines up to and with one that has problems, as escaped HTML, and those problems."""

    html: SafeString
    problems: list[Problem]


@dataclass(frozen=True)
class CodeListing:
    """A text by blocks; `left_out` counts lines beyond the cap, `elsewhere` holds problems without a shown line."""

    blocks: list[Block]
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
    return CodeListing(list(_blocks(shown, at_line)), len(rendered) - len(shown), elsewhere)


def _blocks(lines: Sequence[str], problems: dict[int, list[Problem]]) -> Iterator[Block]:
    """Few long strings instead of thousands of template nodes: a page with 3,000 lines took 0.7 s so."""
    start = 0
    for end in [*sorted(problems), len(lines)]:
        here = problems.get(end, [])
        worst = min((problem.severity for problem in here), default="")
        pieces = [
            _line(number, lines[number - 1], worst if number == end else "") for number in range(start + 1, end + 1)
        ]
        if pieces:
            yield Block(mark_safe("".join(pieces)), here)  # noqa: S308 `_highlighted` escaped every line
        start = end


def _line(number: int, text: str, severity: str) -> str:
    marked = f" has-{severity}" if severity else ""
    return f'<code class="line{marked}" id="L{number}" data-n="{number}">{text}\n</code>'


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
