"""From a piece's tokens to its tree; what sqlglot cannot parse but SQL's rules let us read is written another way first.

    REPLACE INTO u SELECT …          ->  INSERT INTO u SELECT …
    CREATE SNAPSHOT TABLE a CLONE b  ->  CREATE TABLE a CLONE b
"""

from typing import Any

from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.tokens import Token, TokenType

from .dialects import Language
from .tokens import CONDITION, DECLARATION, LOOP, Piece

# Statements that move no data. Anything else that sqlglot keeps as a Command is opaque, and so an error.
HARMLESS = frozenset(
    "GRANT REVOKE ANALYZE VACUUM COMMENT SHOW EXPLAIN SET UNSET RESET USE DESCRIBE DESC HELP LOCK UNLOCK SAVEPOINT RELEASE "
    "START BEGIN COMMIT ROLLBACK END ABORT ADD LIST LS REMOVE RM PUT INSTALL LOAD PRAGMA ATTACH DETACH CACHE UNCACHE MSCK "
    "DEALLOCATE PREPARE DISCARD CHECKPOINT CLUSTER REINDEX OPTIMIZE ASSERT CHECK DBCC KILL PRINT WAITFOR REVERT DENY "
    "RESUME SUSPEND DELIMITER SOURCE SIGNAL RAISE XACT LISTEN NOTIFY FLUSH PURGE INVALIDATE REFRESH".split()
)


class Unread(Exception):
    """A statement that could not be read: (code, message, line in the piece's text or None)."""


def parse_piece(piece: Piece, language: Language) -> Any:
    """The tree of a piece, None when it holds nothing that moves data. Raises Unread."""
    try:
        if piece.kind in (CONDITION, LOOP, DECLARATION):
            return parse_condition(piece, language)
        return parse_statement(piece, language)
    except ParseError as error:
        details = error.errors[0] if error.errors else {}
        message = details.get("description") or str(error)
        raise Unread("parse_error", message, details.get("line")) from None
    except RecursionError:
        raise Unread("too_deep", "nested too deep to be parsed", None) from None
    except (SqlglotError, ValueError, TypeError, AttributeError, LookupError) as error:
        # sqlglot's parsers stumble over some broken texts; that costs this statement alone.
        raise Unread("parse_error", f"{type(error).__name__}: {error}", None) from None


def parse_condition(piece: Piece, language: Language) -> Any:
    """IF and WHILE conditions, a loop's query: what they read is an input, but goes nowhere."""
    kinds = {token.token_type for token in piece.tokens}
    if TokenType.SELECT not in kinds and TokenType.WITH not in kinds:
        return None
    first = piece.tokens[0].token_type
    tokens = piece.tokens
    if first not in (TokenType.SELECT, TokenType.WITH):
        tokens = [Token(TokenType.SELECT, "SELECT"), *tokens]
    return language.parse(tokens, piece.text)


def parse_statement(piece: Piece, language: Language) -> Any:
    tokens = rewritten(piece, language)
    if not tokens:
        return None
    if language.rules.retokenize and tokens is piece.tokens:
        text = piece.text[tokens[0].start : tokens[-1].end + 1]
        piece.offset += tokens[0].start
        piece.text = text
        tokens = piece.tokens = language.dialect.tokenize(text)
    tree = language.parse(tokens, piece.text)
    if tree.__class__ is exp.Command:
        word = tokens[0].text.upper()
        raise Unread("unsupported_statement", f"{word} statement is not understood", tokens[0].line)
    if isinstance(tree, exp.Alias | exp.Column | exp.Identifier | exp.Literal | exp.Func) and not piece.words(1) == ["ASSERT"]:
        raise Unread("parse_error", "not a statement", tokens[0].line)
    return tree


def rewritten(piece: Piece, language: Language) -> list[Token]:
    """Tokens that sqlglot can parse; [] for a statement that moves no data."""
    tokens = piece.tokens
    words = piece.words(4)
    head = words[0]
    if head in HARMLESS and not is_needed(words, language):
        return []
    rewrite = REWRITES.get(head)
    return rewrite(tokens, words) if rewrite else tokens


def is_needed(words: list[str], language: Language) -> bool:
    """SET x = (SELECT …), USE, LOAD DATA, REFRESH MATERIALIZED VIEW, CACHE TABLE … AS and BEGIN do matter."""
    head, after = words[0], words[1] if len(words) > 1 else ""
    return (
        head in ("SET", "USE", "BEGIN", "COMMIT", "ROLLBACK", "END", "START")
        or (head == "LOAD" and after == "DATA")
        or (head == "REFRESH" and "VIEW" in words)
        or (head == "CACHE")
    )


def rewrite_replace(tokens: list[Token], words: list[str]) -> list[Token]:
    into = words[1:2] == ["INTO"]
    first = token_like(tokens[0], TokenType.INSERT, "INSERT")
    return [first, *tokens[1:]] if into else [first, token_like(tokens[0], TokenType.INTO, "INTO"), *tokens[1:]]


def rewrite_create(tokens: list[Token], words: list[str]) -> list[Token]:
    """Words of a CREATE that sqlglot does not know and that change nothing for lineage."""
    kept = list(tokens)
    for place, word in enumerate(words[1:4], start=1):
        if word in ("SNAPSHOT", "DEEP", "SHALLOW") and place < 4:
            del kept[place]
            break
    return kept


def token_like(token: Token, kind: TokenType, text: str) -> Token:
    return Token(kind, text, token.line, token.col, token.start, token.end)


REWRITES: dict[str, Any] = {"REPLACE": rewrite_replace, "CREATE": rewrite_create}

__all__ = ["TokenError", "Unread", "parse_piece"]
