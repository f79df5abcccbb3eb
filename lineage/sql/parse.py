"""From a piece's tokens to its tree, by sqlglot, one statement at a time."""

import re
from typing import Any

from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.tokens import Token, TokenType

from .dialects import Language, words
from .render import is_placeholder
from .rewrites import (
    REWRITES,
    find_word,
    named_tables,
    open_rowset,
    plain_create,
    plain_pipes,
    without_expectations,
    word,
)
from .tokens import CONDITION, DECLARATION, LOOP, Piece

# Statements that move no data. Anything else that sqlglot keeps as a Command is opaque, and so an error.
HARMLESS = words(
    "GRANT REVOKE ANALYZE VACUUM COMMENT SHOW EXPLAIN SET UNSET RESET USE DESCRIBE DESC HELP LOCK UNLOCK "
    "SAVEPOINT RELEASE START BEGIN COMMIT ROLLBACK END ABORT ADD LIST LS REMOVE RM PUT INSTALL LOAD PRAGMA ATTACH "
    "DETACH CACHE UNCACHE MSCK DEALLOCATE PREPARE DISCARD CHECKPOINT CLUSTER REINDEX OPTIMIZE ASSERT CHECK DBCC "
    "KILL PRINT WAITFOR REVERT DENY RESUME SUSPEND DELIMITER SOURCE SIGNAL RAISE XACT LISTEN NOTIFY FLUSH PURGE "
    "INVALIDATE REFRESH ANALYSE CHECKSUM REPAIR RECONFIGURE RESTORE BACKUP SAVE UNDROP IMPORT SYSTEM SECURITY"
)


# In upper case.
TABLE_IN_CALL = re.compile(r"[(,]\s*TABLE\s")
# https://learn.microsoft.com/sql/relational-databases/system-stored-procedures: those that describe, set and list
SYSTEM_PROCEDURE = re.compile(
    r"sp_(?:(?:add|update|drop)(?:extendedproperty|type|message|role|rolemember|user|login|linkedserver|srvrolemember"
    r"|linkedsrvlogin|server)|configure|dboption|tableoption|serveroption|refreshview|refreshsqlmodule|recompile"
    r"|updatestats|settriggerorder|bindrule|binddefault|help\w*|spaceused|columns|who2?|lock|getapplock|releaseapplock)$",
    re.IGNORECASE,
)
SYSTEM_SCHEMAS = ("", "sys", "dbo")  # a name that begins with sp_ is looked for in sys before dbo
SYSTEM_CALL = re.compile(r"(?:DBMS_|UTL_|SYS\.DBMS_|OWA_|HTP\.|APEX_|RAISE_APPLICATION_ERROR\b|RAISE_ERROR\b)")
EXPECTATION = re.compile(r"CONSTRAINT\s+\S+\s+EXPECT\s*\(")


class Unread(Exception):
    """A statement that could not be read: (code, message, place in the piece's text or None, tree of what could be)."""


def parse_piece(piece: Piece, language: Language, has_comments: bool = True) -> Any:
    """The tree of a piece, None when it holds nothing that moves data. Raises Unread."""
    try:
        if piece.kind in (CONDITION, LOOP, DECLARATION):
            return parse_condition(piece, language)
        return parse_statement(piece, language)
    except ParseError as error:
        if has_comments and drop_comments(piece, language):
            return parse_piece(piece, language, has_comments=False)
        if settle_placeholders(piece) or settle_into(piece) or settle_create(piece):
            return parse_piece(piece, language, has_comments=False)
        if moves_nothing(piece):
            return None
        details = error.errors[0] if error.errors else {}
        message = details.get("description") or str(error)
        raise Unread("parse_error", message, place_of(piece, details), None) from None
    except RecursionError:
        raise Unread("too_deep", "nested too deep to be parsed", None, None) from None
    except (SqlglotError, ValueError, TypeError, AttributeError, LookupError) as error:
        # sqlglot's parsers stumble over some broken texts; that costs this statement alone.
        raise Unread("parse_error", f"{type(error).__name__}: {error}", None, None) from None


def place_of(piece: Piece, details: dict[str, Any]) -> int | None:
    """Where the token stands that sqlglot stumbled over. It names that by a line and a column, which it counts wrongly
    behind some texts of several lines: they tell the tokens apart, and no more."""
    at = details.get("line"), details.get("col")
    return next((token.start for token in piece.tokens if (token.line, token.col) == at), None)


def drop_comments(piece: Piece, language: Language) -> bool:
    """sqlglot trips over a comment inside PARTITION BY and the like: tokenize again with blanks in its place."""
    parts, position, found = [], 0, False
    for token in piece.tokens:
        gap = piece.text[position : token.start]
        found = found or (position > 0 and not gap.isspace() and bool(gap))
        parts += [gap if gap.isspace() else re.sub(r"[^\n]", " ", gap), piece.text[token.start : token.end + 1]]
        position = token.end + 1
    if not found:
        return False
    text = "".join(parts)
    try:
        piece.tokens = language.tokenize(text)
    except TokenError:
        return False
    piece.text = text
    return True


OPERANDS = frozenset({TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING, TokenType.R_PAREN})


def settle_placeholders(piece: Piece) -> bool:
    """A macro that nobody knows need not stand for a name: CAST(a AS {{ macro }}) asks for a type, and what directly
    follows an operand, PARTITION BY a {{ macro }}, can only go on from it. Says whether anything was settled."""
    kept: list[Token] = []
    casts: list[bool] = []  # whether each open bracket is that of a cast
    for place, token in enumerate(piece.tokens):
        before = kept[-1] if kept else token
        if token.token_type is TokenType.L_PAREN:
            casts.append(before.text.upper().endswith("CAST"))
        elif token.token_type is TokenType.R_PAREN and casts:
            casts.pop()
        elif is_placeholder(token.text) and token.token_type is TokenType.VAR:
            after = piece.tokens[place + 1].token_type if place + 1 < len(piece.tokens) else None
            if before.token_type is TokenType.ALIAS and after is TokenType.R_PAREN and casts and casts[-1]:
                token = Token(TokenType.VARCHAR, "VARCHAR", token.line, token.col, token.start, token.end)
            elif before.token_type in OPERANDS and not is_placeholder(before.text):
                continue
        kept.append(token)
    changed = kept != piece.tokens
    piece.tokens = kept
    return changed


def settle_into(piece: Piece) -> bool:
    """SELECT INTO x, y a, b FROM t of PL/pgSQL and SELECT a FROM t INTO x of MySQL: the variables are left out."""
    if piece.words(1) == ["SELECT"] and find_word(piece.tokens, "FROM") < (last := find_word(piece.tokens, "INTO")):
        is_last = last < len(piece.tokens)
        piece.tokens = piece.tokens[:last]
        return is_last
    if piece.words(2) != ["SELECT", "INTO"] or len(piece.tokens) < 4:
        return False
    place = 3
    while place < len(piece.tokens) - 1 and piece.tokens[place].token_type in (TokenType.COMMA, TokenType.DOT):
        place += 2
    piece.tokens = [piece.tokens[0], *piece.tokens[place:]]
    return True


def settle_create(piece: Piece) -> bool:
    """CREATE TABLE with constraints and options that sqlglot does not know: names, types and the query are left."""
    plain = plain_create(piece.tokens) if piece.words(1) == ["CREATE"] else []
    changed = bool(plain) and len(plain) < len(piece.tokens)
    if changed:
        piece.tokens = plain
    return changed


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
    tokens = piece.tokens
    head = word(tokens[0])
    if head in HARMLESS and not is_needed(head, piece) and not is_named_alike(piece, language):
        return None
    own = piece.text[tokens[0].start : tokens[-1].end + 1].upper()  # a search here costs less than one of the tokens
    if language.rules.optional_semicolons and "OPENROWSET" in own:
        tokens = open_rowset(tokens)
    if language.rules.names_tables_in_calls and "TABLE" in own and TABLE_IN_CALL.search(own):
        tokens = named_tables(tokens)
    if "|>" in own:
        tokens = plain_pipes(tokens)
    if head == "CREATE" and EXPECTATION.search(own):
        tokens = without_expectations(tokens)
    rewrite = REWRITES.get(head) if head != "SELECT" or "OUTFILE" in own else None
    found = rewrite(tokens, language) if rewrite else tokens
    if not isinstance(found, list):
        if found is not None and found.meta.get("unread"):
            raise Unread("unsupported_statement", found.meta["unread"], None, found)
        return found
    if language.rules.retokenize and found is tokens and not piece.is_anew:
        found = tokens_anew(piece, language)
    tree = language.parse(found, piece.text)
    if tree.__class__ is exp.Command and head == "CREATE" and (plain := plain_create(found)):
        tree = language.parse(plain, piece.text)
    if tree.__class__ is exp.Command:
        if head in HARMLESS or head in ("ALTER", "DROP") or (head == "CREATE" and holds_nothing(piece)):
            return None
        raise Unread("unsupported_statement", f"{head} statement is not understood", None, None)
    if isinstance(tree, exp.Alter | exp.TruncateTable):
        tree = deleted_partitions(tree)
    is_system = isinstance(tree, exp.Execute) and tree.this.text("db").lower() in SYSTEM_SCHEMAS
    if is_system and SYSTEM_PROCEDURE.match(tree.this.name):
        return None
    if isinstance(tree, exp.Execute) and not (is_system and tree.this.name.lower() == "sp_rename"):
        raise Unread("unsupported_statement", f"what {tree.this.name} reads and writes is not in the text", None, None)
    if isinstance(tree, CHANGES) and not (tree.args.get("this") or tree.args.get("tables")):
        raise Unread("parse_error", f"{head} names no table", None, None)
    if isinstance(tree, NOT_STATEMENTS) and not isinstance(tree, exp.Query):
        if SYSTEM_CALL.match(own):
            return None
        if is_placeholder(tokens[0].text):
            raise Unread("unsupported_statement", "a macro that nobody knows writes the statement", None, None)
        if language.rules.has_packages and isinstance(tree, CALLS):
            message = "what the called procedure reads and writes is not in the text"
            raise Unread("unsupported_statement", message, None, None)
        raise Unread("parse_error", "not a statement", None, None)
    return tree


def is_named_alike(piece: Piece, language: Language) -> bool:
    """load.run of Oracle, or purge(1): a procedure whose name begins like a statement that moves no data."""
    after = piece.tokens[1].token_type if len(piece.tokens) > 1 else None
    return language.rules.has_packages and after in (TokenType.DOT, TokenType.L_PAREN)


def deleted_partitions(tree: Any) -> Any:
    """ALTER TABLE t DROP PARTITION (day = 'x'), TRUNCATE TABLE t PARTITION (day = 'x'): a DELETE of those rows.
    DROP PARTITION 'x' of ClickHouse names a value of the key that CREATE TABLE says."""
    if isinstance(tree, exp.Alter):
        drops = tree.args.get("actions") or []
        parts = [part for drop in drops if isinstance(drop, exp.DropPartition) for part in drop.expressions]
        table = tree.this if all(isinstance(drop, exp.DropPartition) for drop in drops) else None
    else:
        parts = [tree.args["partition"]] if tree.args.get("partition") else []
        table = tree.expressions[0] if tree.expressions else None
    if table is None or not parts:
        return tree
    if not all(isinstance(one, exp.EQ) for part in parts for one in part.expressions):
        deleted = exp.Delete(this=table)
        deleted.meta["partitions"] = parts  # by values of the table's partition key, or by other comparisons
        return deleted
    condition = exp.or_(*(exp.and_(*part.expressions) for part in parts))
    return exp.Delete(this=table, where=exp.Where(this=condition))


CHANGES = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
CALLS = (exp.Func, exp.Dot, exp.Column)
NOT_STATEMENTS = (
    exp.Alias,
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Func,
    exp.Binary,
    exp.Paren,
    exp.Tuple,
    exp.Dot,
)


def tokens_anew(piece: Piece, language: Language) -> list[Token]:
    """Athena: what is a name depends on the kind of statement."""
    piece.offset, piece.text = piece.start, piece.text[piece.tokens[0].start : piece.tokens[-1].end + 1]
    piece.tokens = language.dialect.tokenize(piece.text)
    piece.is_anew = True
    return piece.tokens


# What CREATE makes that has no rows.
EMPTY_KINDS = words(
    "USER ROLE LOGIN GROUP TYPE DOMAIN SCHEMA DATABASE INDEX STATISTICS SEQUENCE SYNONYM RULE DEFAULT EXTENSION POLICY "
    "CREDENTIAL CERTIFICATE KEY SOURCE FORMAT SERVER WAREHOUSE INTEGRATION SECRET CONNECTION STAGE CATALOG VOLUME "
    "PUBLICATION SUBSCRIPTION SCHEME COLLATION CAST OPERATOR PROFILE QUOTA RESERVATION ASSIGNMENT CAPACITY ENDPOINT "
    "AGGREGATE WRAPPER LANGUAGE CONFIGURATION DICTIONARY MONITOR PROJECT SERVICE DATASHARE LIBRARY MODEL STOPLIST TAG"
)
# What DROP takes away besides; it moves no data either.
ROUTINES = words("FUNCTION PROCEDURE PROC TRIGGER MACRO TASK STREAM PIPE EVENT PACKAGE CONSTRAINT")


def holds_nothing(piece: Piece) -> bool:
    """CREATE USER, CREATE EXTERNAL DATA SOURCE, CREATE UNIQUE INDEX … and the like move no data."""
    heads = piece.words(7)[1:]
    stored = next((place for place, head in enumerate(heads) if head in ("TABLE", "VIEW", "(", "AS", "ON")), len(heads))
    return any(head in EMPTY_KINDS for head in heads[:stored])


def moves_nothing(piece: Piece) -> bool:
    """DDL of an object without rows, or of a table's options: sqlglot need not read it."""
    heads = piece.words(len(piece.tokens))
    if heads[:1] == ["CREATE"]:
        return holds_nothing(piece)
    if heads[:1] == ["DROP"]:
        return any(head in EMPTY_KINDS or head in ROUTINES for head in heads[1:4])
    if heads[:1] == ["ALTER"]:
        return heads[1] in EMPTY_KINDS or (heads[1:2] == ["TABLE"] and not MOVERS.intersection(heads))
    return heads[:2] in (["SET", "TRANSACTION"], ["SET", "SESSION"])


# With these ALTER TABLE moves rows or names.
MOVERS = words("RENAME SWAP EXCHANGE SWITCH APPEND ATTACH PARTITION PARTITIONS MOVE SCHEMA COLUMN")


def is_needed(head: str, piece: Piece) -> bool:
    """SET x = (SELECT …), USE, LOAD DATA, REFRESH MATERIALIZED VIEW, CACHE TABLE … AS and transactions do matter."""
    after = piece.words(2)[-1]
    return (
        head in ("SET", "USE", "BEGIN", "COMMIT", "ROLLBACK", "END", "START", "CACHE")
        or (head == "LOAD" and after == "DATA")
        or (head == "REFRESH" and "VIEW" in piece.words(3))
    )
