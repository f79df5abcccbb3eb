"""SQL as a page shows it: highlighted, with line numbers, each problem under its line."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from django.utils.safestring import SafeString, mark_safe
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES, Text, Token, _TokenType

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


Mark = tuple[int, int]  # from and to, in characters


def listing_of(
    version: SqlVersion, problems: Iterable[Problem], marks: Iterable[Mark] = (), anchor: str = "L"
) -> CodeListing:
    """The text of a SQL version with each problem at its line, and the fragments in `marks` marked.

    `anchor` and the number make each line's id; a page with several listings gives each its own.
    """
    rendered = _highlighted(version.sql, version.dialect, _apart(marks))
    shown = rendered[:MOST_LINES]
    at_line: dict[int, list[Problem]] = {}
    elsewhere = []
    for problem in problems:
        if problem.line and problem.line <= len(shown):
            at_line.setdefault(problem.line, []).append(problem)
        else:
            elsewhere.append(problem)
    return CodeListing(list(_blocks(shown, at_line, anchor)), len(rendered) - len(shown), elsewhere)


def excerpt_of(version: SqlVersion, lines: Iterable[int], around: int = 2) -> SafeString:
    """The text of a SQL version around `lines`, which are marked, as escaped HTML; "" where it has none of them."""
    rendered = _highlighted(version.sql, version.dialect, ())
    named = {line for line in lines if line <= len(rendered)}
    shown = sorted({near for line in named for near in range(line - around, line + around + 1)})
    pieces, last = [], 0
    for number in shown:
        if 1 <= number <= len(rendered):
            if last and number > last + 1:
                pieces.append('<span class="line-gap">…</span>')
            marked = " is-named" if number in named else ""
            pieces.append(f'<code class="line{marked}" data-n="{number}">{rendered[number - 1]}\n</code>')
            last = number
    return mark_safe("".join(pieces))  # noqa: S308 `_highlighted` escaped every line


def _blocks(lines: Sequence[str], problems: dict[int, list[Problem]], anchor: str) -> Iterator[Block]:
    """Few long strings instead of thousands of template nodes: a page with 3,000 lines took 0.7 s so."""
    start = 0
    for end in [*sorted(problems), len(lines)]:
        here = problems.get(end, [])
        worst = min((problem.severity for problem in here), default="")
        pieces = [
            _line(f"{anchor}{number}", number, lines[number - 1], worst if number == end else "")
            for number in range(start + 1, end + 1)
        ]
        if pieces:
            yield Block(mark_safe("".join(pieces)), here)  # noqa: S308 `_highlighted` escaped every line
        start = end


def _line(anchor: str, number: int, text: str, severity: str) -> str:
    marked = f" has-{severity}" if severity else ""
    return f'<code class="line{marked}" id="{anchor}" data-n="{number}">{text}\n</code>'


def _apart(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """Marks in order, those that overlap as one."""
    merged: list[Mark] = []
    for start, end in sorted(mark for mark in marks if mark[1] > mark[0]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


@lru_cache(maxsize=64)
def _highlighted(sql: str, dialect: str, marks: tuple[Mark, ...]) -> tuple[str, ...]:
    """Escaped HTML, line by line."""
    tokens = _lexer(dialect).get_tokens_unprocessed(sql) if len(sql) <= LONGEST_HIGHLIGHTED else [(0, Text, sql)]
    lines = [""]
    for start, kind, text in tokens:
        for piece, is_marked in _cut(text, start, marks):
            first, *rest = piece.replace("\r", "").split("\n")
            lines[-1] += _span(kind, first, is_marked)
            lines.extend(_span(kind, line, is_marked) for line in rest)
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines)


def _cut(text: str, start: int, marks: tuple[Mark, ...]) -> Iterator[tuple[str, bool]]:
    """A token's text in pieces that are each inside a mark or outside of all."""
    at, end = start, start + len(text)
    for first, last in marks:
        if last <= at or first >= end:
            continue
        if first > at:
            yield text[at - start : first - start], False
        at = max(at, first)
        yield text[at - start : min(last, end) - start], True
        at = min(last, end)
    if at < end:
        yield text[at - start :], False


def _lexer(dialect: str) -> Lexer:
    return get_lexer_by_name(_LEXERS.get(dialect, "sql"), stripnl=False, ensurenl=False)


def _span(kind: _TokenType, text: str, is_marked: bool) -> str:
    if not text:
        return ""
    name = next(_class_names(kind))
    shown = f'<span class="{name}">{html.escape(text)}</span>' if name else html.escape(text)
    return f"<mark>{shown}</mark>" if is_marked else shown


def _class_names(kind: _TokenType) -> Iterator[str]:
    """The short class of the token, or of the nearest kind above it that has one."""
    while kind is not Token:
        if kind in STANDARD_TYPES:
            yield STANDARD_TYPES[kind] if STANDARD_TYPES[kind] not in {"p", "w", "n", "o"} else ""
        kind = kind.parent
    yield ""
