"""Queries without their literals, so that a million log entries become the few thousand texts that were really written.

Two steps, because the exact one is too slow for every entry:

1. `split_sql`, `bare_sql` and `key_sql`: SQL that DuckDB computes for each entry. It drops strings, comments and
   numbers by the cheapest means that are right for nearly all texts, and leaves a mark where each of them stood; only
   from WHERE on where the head before it is known (`head_fingerprint`).
2. `is_doubtful`: looks at each distinct key and says where the cheap means may have dropped more than literals, as in
   `"fiscal year 2024"` or `ds.2024`. Only entries with such keys are read again, by `exact_sql`.

Why checking the keys is enough: every dropped piece is a whole string, comment or number if it begins outside of
quotes. Reading a key from the left, each mark that lies outside of quotes shows that its piece did begin there, so the
rest of the text is read as the rest of the key is. A mark inside of quotes is what `is_doubtful` finds.

`fingerprint` then makes the text that is stored: no literals, no comments, one space for any white space.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from sqlglot.dialects.dialect import Dialect

from ingest.redact import redact

LONGEST_TEXT = 20_000  # characters of a fingerprint that are stored; longer ones are generated
_TEXT, _NUMBER = "\x01", "\x02"  # the marks that dropped strings, comments and numbers leave
_DIGITS = r"\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b"
_DIGIT_LISTS = rf"{_DIGITS}(?:\s*,\s*-?\d+(?:\.\d+)?\b)*"
# Strings that name what is read: their text is part of what the query is.
_BEFORE_NAMES = (
    r"\b(?:from|join|into|to|location|execute(?:\s+immediate)?|unload\s*\(|identifier\s*\(|read_\w+\s*\(|\w+_scan\s*\()"
    r"\s*[(\[]?\s*"
)
_FILES = r"'(?:[\w.+-]+:/[^']*|@[^']*|[^'\s]*\.(?:parquet|csv|tsv|jsonl?|ndjson|avro|orc|txt)(?:\.\w+)?)'"
_SQL_AFTER = re.compile(r"(?:\bas|\bdo|\bimmediate|\bexecute|\blanguage\s+\w+)\s*$", re.IGNORECASE)
_MANY = re.compile(r"\?(?:\s*,\s*-?\?)+")
_SPACES = re.compile("  +")
_MANY_ROWS = re.compile(r"\(\?\)(?:\s*,\s*\(\?\))+")


@dataclass(frozen=True)
class Lexis:
    """How a dialect writes strings, comments and quoted names, as regular expressions for DuckDB (RE2) and Python."""

    dialect: str
    double_quoted_strings: bool  # "x" is a string, not a name
    triple_quoted_strings: bool
    backslash_escapes: bool
    quoted_names: tuple[tuple[str, str], ...]
    comment_starts: tuple[str, ...]
    dashed_names: bool  # my-project-123.dataset.table needs no quotes

    @cached_property
    def strings(self) -> str:
        """Every form of string; one that is not closed goes to the end, since a log may cut it."""
        quotes = "'\"" if self.double_quoted_strings else "'"
        triple = [f"{quote * 3}.*?(?:{quote * 3}|$)" for quote in quotes if self.triple_quoted_strings]
        escape = r"|\\." if self.backslash_escapes else ""
        plain = [f"{q}(?:[^{q}{_escaped(escape)}]{escape}|{q}{q})*(?:{q}|$)" for q in quotes]
        escaping = [] if self.backslash_escapes else [r"\b[eE]'(?:[^'\\]|\\.|'')*(?:'|$)"]
        return "|".join([*triple, *escaping, *plain])

    @cached_property
    def comments(self) -> str:
        lines = [f"{re.escape(start)}[^\n]*" for start in self.comment_starts]
        return "|".join([*lines, r"/\*(?:[^*]|\*+[^*/])*(?:\*+/|$)"])

    @cached_property
    def names(self) -> str:
        """Quoted names."""
        return "|".join(
            f"{re.escape(start)}(?:[^{re.escape(end)}]|{re.escape(end * 2)})*{re.escape(end)}"
            for start, end in self.quoted_names
        )

    @cached_property
    def kept(self) -> str:
        """What looks like literals or holds them, and is part of a name."""
        parts = [self.names, r"[A-Za-z_]\w*\.\d\w*", r"[^\x00-\x7F]\w*", f"(?i:{_BEFORE_NAMES}){_FILES}"]
        parts.append(r"(?i:\b(?:identifier\s*\(|unload\s*\(|execute(?:\s+immediate)?)\s*)'(?:[^']|'')*'")
        parts.append(r"\$\$.*?(?:\$\$|$)|\$[A-Za-z_]\w*\$.*?\$[A-Za-z_]\w*\$")
        if self.dashed_names:
            parts.append(r"[A-Za-z_]\w*(?:-\w+)+\.[A-Za-z_`]")
        return "|".join(parts)

    @cached_property
    def doubts(self) -> re.Pattern[str]:
        """In a key with its quoted names taken out: a mark, or a quote, that may be part of a name."""
        open_quotes = "".join(sorted({re.escape(start) for start, _ in self.quoted_names}))
        parts = [
            rf"(?:\w|\x03)\.{_NUMBER}",
            rf"[^\x00-\x7F]{_NUMBER}|{_NUMBER}[^\x00-\x7F]",
            r"\$\w*\$",
            rf"(?i:{_BEFORE_NAMES}){_TEXT}",
            f"[{open_quotes}]",
        ]
        if self.dashed_names:
            parts.append(rf"\w-{_NUMBER}(?:-\w+)*\.[A-Za-z_\x03]")
        return re.compile("|".join(parts))

    @cached_property
    def opens(self) -> re.Pattern[str]:
        """What may begin a quoted name or a string in dollars."""
        return re.compile("|".join(re.escape(start) for start, _ in self.quoted_names) + r"|\$")

    @cached_property
    def quoted(self) -> re.Pattern[str]:
        return re.compile(self.names)

    def is_rare(self, query: str) -> bool:
        """Whether more than a quoted name may have to be kept."""
        return not query.isascii() or "$" in query or self._rare.search(query) is not None

    @cached_property
    def _rare(self) -> re.Pattern[str]:
        dashed = r"|(?<=\w)-\d" if self.dashed_names else ""
        return re.compile(
            r"[eE][xX][eE][cC]|[iI][dD][eE][nN][tT][iI]|[uU][nN][lL][oO]|:/|'@|\.(?:parquet|[ct]sv|json|ndjson|avro|orc|txt)"
            + dashed
        )

    @cached_property
    def all_tokens(self) -> re.Pattern[str]:
        """What `fingerprint` replaces, one named group for each treatment."""
        return re.compile(f"(?P<kept>{self.kept})|{self._replaced}", re.DOTALL)

    @cached_property
    def plain_tokens(self) -> re.Pattern[str]:
        """The same for texts that are not rare, three times as fast: every token begins with a telling character."""
        starts = "".join(re.escape(start[0]) for start, _ in self.quoted_names)
        starts += "".join(re.escape(start[0]) for start in self.comment_starts) + "/'\""
        starts = rf"[{starts}]|(?<![\w.])\d|[^\S ]|[eE]'"
        return re.compile(rf"(?={starts})(?:(?P<kept>{self.names})|{self._replaced})", re.DOTALL)

    @property
    def _replaced(self) -> str:
        number = r"(?<![\w.])(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?!\w)"
        groups = {"string": self.strings, "comment": self.comments, "number": number, "space": r"[^\S ]+"}
        return "|".join(f"(?P<{name}>{expression})" for name, expression in groups.items())


def _escaped(escape: str) -> str:
    return r"\\" if escape else ""


@lru_cache(maxsize=64)
def lexis(dialect: str) -> Lexis:
    """The lexis of a dialect of sqlglot's, read off its tokenizer. Raises ValueError for an unknown dialect."""
    tokenizer = Dialect.get_or_raise(dialect or None).tokenizer_class
    names = [(part, part) if isinstance(part, str) else part for part in tokenizer.IDENTIFIERS]
    names_are_double_quoted = any(start == '"' for start, _ in names)
    return Lexis(
        dialect=dialect,
        double_quoted_strings='"' in tokenizer.QUOTES and not names_are_double_quoted,
        triple_quoted_strings="'''" in tokenizer.QUOTES,
        backslash_escapes="\\" in tokenizer.STRING_ESCAPES,
        quoted_names=tuple(names),
        comment_starts=tuple(start for start in tokenizer.COMMENTS if isinstance(start, str)),
        dashed_names=dialect == "bigquery",
    )


def split_sql(of: Lexis, rows: str) -> str:
    """SELECT of `rows` with their column `query` as `note`, `head` and `tail`, which are the query again when joined.

    `note` are the comments it begins with, `tail` begins at the first WHERE. Heads come again and again, literals stand
    in tails: what is said of a head need be worked out but once.
    """
    comments = rf"^(?:\s*(?:{of.comments}))+"
    note = f"CASE WHEN {_contains('query', _openers(of))} THEN regexp_extract(query, {literal(comments)}) ELSE '' END"
    noted = f"SELECT *, {note} AS note FROM ({rows})"
    headless = f"SELECT *, CASE note WHEN '' THEN query ELSE query[length(note) + 1:] END AS said FROM ({noted})"
    where = f"SELECT *, CASE WHEN contains(said, 'WHERE') THEN 'WHERE' ELSE 'where' END AS word FROM ({headless})"
    heads = f"SELECT *, split_part(said, word, 1) AS head FROM ({where})"
    return f"SELECT *, decode(encode(said)[strlen(head) + 1:]) AS tail FROM ({heads})"


def bare_sql(of: Lexis, query: str) -> str:
    """The DuckDB expression of the column `query` without strings and comments: the first half of the cheap key.

    Splitting at quotes costs a fifth of what a regular expression for strings does, so texts are split that have no
    comments, no escapes and no other kind of quotes.
    """
    quotes = "'\"" if of.double_quoted_strings else "'"
    simple = "|".join([*(f"{quote}[^{quote}]*(?:{quote}|$)" for quote in quotes), of.comments])
    mixed = [*_openers(of), *(['"'] if of.double_quoted_strings else [])]
    return (
        f"CASE WHEN {_is_odd(of, query)} THEN {exact_sql(of, query)} "
        f"WHEN {_contains(query, mixed)} THEN regexp_replace({query}, {literal(simple)}, chr(1), 'g') "
        f"ELSE array_to_string(string_split({query}, '''')[1:-1:2], chr(1)) END"
    )


def _openers(of: Lexis) -> list[str]:
    return [*of.comment_starts, "/*"]


def key_sql(of: Lexis, query: str, bare: str) -> str:
    """The DuckDB expression of the cheap key: equal for texts that differ in literals alone.

    `bare` is a column with `bare_sql`; a column, because DuckDB would work it out again for each place it stands in.
    """
    return f"CASE WHEN {_is_odd(of, query)} THEN {bare} ELSE {_without_numbers(bare)} END"


def _is_odd(of: Lexis, query: str) -> str:
    return _contains(query, ["\\", *(["'''", '"""'] if of.triple_quoted_strings else [])])


def _without_numbers(text: str) -> str:
    return f"regexp_replace({text}, {literal(_DIGIT_LISTS)}, chr(2), 'g')"


def exact_sql(of: Lexis, query: str) -> str:
    """The DuckDB expression of a key that is right for every text, at three times the cost."""
    expression = f"({of.kept})|{of.strings}|{of.comments}|{_DIGIT_LISTS}"
    return f"regexp_replace({query}, {literal(expression)}, concat('\\1', chr(1)), 'gs')"


def is_doubtful(of: Lexis, key: str) -> bool:
    """Whether the cheap key may stand for texts that differ in more than literals."""
    names = of.quoted.findall(key)
    if any(_TEXT in name or _NUMBER in name for name in names):
        return True
    return of.doubts.search(of.quoted.sub("\x03", key)) is not None


def head_fingerprint(of: Lexis, head: str) -> str:
    """The fingerprint of a query up to a WHERE; empty where that may be within a string, a comment or a quoted name.

    If it is not, `head` and what follows may be read apart, and the key of the second need not hold the first.
    """
    text = fingerprint(of, f"{head}WHERE")
    return text if text.endswith("WHERE") and not of.opens.search(of.quoted.sub("", text)) else ""


def fingerprint(of: Lexis, query: str) -> str:
    """The query without literals and comments, as it may be stored. Long lists of literals become one `?`.

    SELECT a FROM t -- daily
    WHERE b IN (1, 2, 3) AND c = 'x'   ->   SELECT a FROM t WHERE b IN (?) AND c = ?
    """
    is_rare = of.is_rare(query)
    tokens = of.all_tokens if is_rare else of.plain_tokens
    text = tokens.sub(lambda token: _replaced(of, token), query)
    text = _SPACES.sub(" ", _MANY_ROWS.sub("(?)", _MANY.sub("?", text))).strip()
    return redact(text) if is_rare else text  # only kept strings can hold a secret


def _replaced(of: Lexis, token: re.Match[str]) -> str:
    kind = token.lastgroup
    if kind == "kept":
        return _without_inner_literals(of, token)
    return "?" if kind in ("string", "number") else " "


def _without_inner_literals(of: Lexis, token: re.Match[str]) -> str:
    """A kept token; SQL inside of a string loses its own literals, and text that is not SQL goes altogether.

    EXECUTE IMMEDIATE 'DELETE FROM t WHERE a = 5'   ->   EXECUTE IMMEDIATE 'DELETE FROM t WHERE a = ?'
    """
    kept = token[0]
    if kept.startswith("$"):
        start = kept[: kept.index("$", 1) + 1]
        if not _SQL_AFTER.search(token.string[max(0, token.start() - 40) : token.start()]):
            return "?"
        return f"{start}{fingerprint(of, kept[len(start) :].removesuffix(start))}{start}"
    if re.match(r"(?i)(?:execute|unload)\b", kept):
        head, _, inner = kept.partition("'")
        return f"{head}'{fingerprint(of, inner[:-1].replace(chr(39) * 2, chr(39)))}'"
    return kept


def _contains(column: str, texts: list[str]) -> str:
    return " OR ".join(f"contains({column}, {literal(text)})" for text in texts)


def literal(text: str) -> str:
    """`text` as a string of DuckDB's."""
    return "'" + text.replace("'", "''") + "'"
