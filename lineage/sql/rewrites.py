"""Statements that sqlglot cannot parse, in words that it can: same lineage, other tokens.

REPLACE INTO u SELECT …                    INSERT INTO u SELECT …
CREATE SNAPSHOT TABLE a CLONE b OPTIONS …  CREATE TABLE a CLONE b
CREATE STREAM s ON TABLE t                 CREATE VIEW s AS SELECT * FROM t
ALTER TABLE u APPEND FROM t                INSERT INTO u SELECT * FROM t
UNLOAD ('SELECT …') TO 's3://x'            COPY (SELECT …) TO 's3://x'
"""

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.tokens import Token, TokenType

from .dialects import Language

Tokens = list[Token]
Rewrite = Callable[[Tokens, Language], Any]  # gives tokens or a tree; None for a statement that moves no data

DIALECT_WORDS = {"SELECT": TokenType.SELECT, "INSERT": TokenType.INSERT, "INTO": TokenType.INTO, "*": TokenType.STAR}
DIALECT_WORDS |= {"FROM": TokenType.FROM, "CREATE": TokenType.CREATE, "VIEW": TokenType.VIEW, "AS": TokenType.ALIAS}


def word(token: Token) -> str:
    """The first word of a token, in upper case: 'ADD JAR' is one token."""
    return token.text.upper().split(" ", 1)[0] if token.text else ""


def made(text: str, near: Token) -> Tokens:
    """Tokens of plain words, placed where `near` stands."""
    return [like(near, DIALECT_WORDS[part], part) for part in text.split()]


def like(near: Token, kind: TokenType, text: str) -> Token:
    return Token(kind, text, near.line, near.col, near.start, near.end)


def find_word(tokens: Tokens, *words: str, start: int = 0) -> int:
    """The place of the first of these words outside brackets, or the length."""
    depth = 0
    for place in range(start, len(tokens)):
        kind = tokens[place].token_type
        if kind is TokenType.L_PAREN:
            depth += 1
        elif kind is TokenType.R_PAREN:
            depth -= 1
        elif depth == 0 and tokens[place].text.upper() in words:
            return place
    return len(tokens)


def name_at(tokens: Tokens, start: int) -> int:
    """The place after a dotted name that starts here."""
    place = start
    while place < len(tokens):
        place += 1
        if place >= len(tokens) or tokens[place].token_type not in (TokenType.DOT, TokenType.DASH):
            return place
        place += 1
    return place


def bracket_end(tokens: Tokens, start: int) -> int:
    """The place after the bracket that opens here."""
    depth = 0
    for place in range(start, len(tokens)):
        kind = tokens[place].token_type
        depth += (kind is TokenType.L_PAREN) - (kind is TokenType.R_PAREN)
        if depth == 0:
            return place + 1
    return len(tokens)


# --- CREATE


def rewrite_create(tokens: Tokens, language: Language) -> Any:
    """Drop what sqlglot does not know and lineage does not need."""
    heads = [token.text.upper() for token in tokens[:6]]
    if "LIVE" in heads[1:5] and heads[heads.index("LIVE") + 1] in ("TABLE", "VIEW"):  # Delta Live Tables
        place = heads.index("LIVE")
        tokens = tokens[:place] + tokens[place + 1 :]
    if "VIEW" in heads or (language.rules.optional_semicolons and "EXTERNAL" not in heads[:3]):
        tokens = without_options(tokens)
    scheduled = find_word(tokens, "SCHEDULE", "AS") if "VIEW" in heads or "STREAMING" in heads else len(tokens)
    if scheduled < len(tokens) and tokens[scheduled].text.upper() == "SCHEDULE":  # EVERY 1 HOUR, of Databricks
        tokens = tokens[:scheduled] + tokens[find_word(tokens, "AS", start=scheduled) :]
    if "STREAM" in heads[1:5] and find_word(tokens, "ON") < len(tokens):
        return stream(tokens)
    if "EXTERNAL" in heads[1:5]:
        return external_stage(tokens) or without_partition_columns(tokens)
    if "SNAPSHOT" in heads[1:4]:
        place = heads.index("SNAPSHOT")
        tokens = tokens[:place] + tokens[place + 1 :]
    copied = find_word(tokens, "CLONE", "COPY", "AS")
    if copied < len(tokens) and tokens[copied].text.upper() != "AS":
        return clone(tokens, copied, language)
    if copied < len(tokens) - 1 and tokens[copied + 1].text.upper() in ("PIVOT", "UNPIVOT"):  # AS PIVOT t ON …
        near = tokens[copied]
        opening, closing = ((TokenType.L_PAREN, "("), (TokenType.R_PAREN, ")"))
        front = [*tokens[: copied + 1], *made("SELECT * FROM", near), like(near, *opening)]
        return [*front, *tokens[copied + 1 :], like(near, *closing)]
    if tokens[-1].text.upper() == "DATA" and tokens[-2].text.upper() in ("WITH", "NO"):
        tokens = tokens[: -3 if tokens[-2].text.upper() == "NO" else -2]
    return tokens


def without_options(tokens: Tokens) -> Tokens:
    """CREATE VIEW v WITH (option) AS … WITH CHECK OPTION, CREATE TABLE t WITH (DISTRIBUTION = ROUND_ROBIN) AS …"""
    if [token.text.upper() for token in tokens[-2:]] == ["CHECK", "OPTION"]:
        tokens = tokens[: find_last(tokens, "WITH")]
    place = find_word(tokens, "WITH", "AS")
    if (
        place < len(tokens) - 1
        and tokens[place].text.upper() == "WITH"
        and tokens[place + 1].token_type is TokenType.L_PAREN
    ):
        tokens = tokens[:place] + tokens[bracket_end(tokens, place + 1) :]
    return tokens


CREATE_WORDS = frozenset({"OR", "REPLACE", "ALTER", "TEMP", "TEMPORARY", "EXTERNAL", "MATERIALIZED"})
CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "PRIMARY KEY", "UNIQUE", "FOREIGN", "FOREIGN KEY", "KEY", "INDEX"})
CONSTRAINTS |= frozenset({"CHECK", "EXCLUDE", "PERIOD", "FULLTEXT", "SPATIAL", "CONNECTION", "LIKE", "PROJECTION"})


def plain_create(tokens: Tokens) -> Tokens:
    """CREATE LOCAL TEMP TABLE u (a INT CHECK …, …) ON COMMIT DROP … AS SELECT …: the name, its columns with their types
    and the query or the files; [] for what makes no table."""
    kind = next((place for place, token in enumerate(tokens[:16]) if token.text.upper() in ("TABLE", "VIEW")), 0)
    if not kind:
        return []
    start = kind + 1
    if [token.text.upper() for token in tokens[start : start + 3]] == ["IF", "NOT", "EXISTS"]:
        start += 3
    end = after = name_at(tokens, start)
    columns: Tokens = []
    if end < len(tokens) and tokens[end].token_type is TokenType.L_PAREN:
        after = bracket_end(tokens, end)
        columns = [tokens[end], *plain_columns(tokens[end + 1 : after - 1]), tokens[after - 1]]
    query = find_word(tokens, "AS", start=after)
    while query < len(tokens) - 1 and tokens[query + 1].text.upper() not in ("SELECT", "WITH", "("):
        query = find_word(tokens, "AS", start=query + 1)
    files = tokens[find_word(tokens, "LOCATION", start=after) :][:2] if query >= len(tokens) - 1 else []
    front = [token for token in tokens[1:kind] if token.text.upper() in CREATE_WORDS]
    if not columns and not files and query >= len(tokens) - 1:
        return []
    return [tokens[0], *front, *tokens[kind:end], *columns, *files, *tokens[query : len(tokens) if query else 0]]


def plain_columns(tokens: Tokens) -> Tokens:
    """a VARCHAR(10) COLLATE x, CONSTRAINT …: a VARCHAR(10)."""
    kept: Tokens = []
    for term in terms_of(tokens):
        if term[0].token_type is not TokenType.IDENTIFIER and term[0].text.upper() in CONSTRAINTS:
            continue
        end = 2 if len(term) > 1 and term[1].token_type is not TokenType.ALIAS else 1
        if end < len(term) and term[end].token_type is TokenType.L_PAREN:
            end = bracket_end(term, end)
        elif end < len(term) and term[end].token_type is TokenType.LT:  # ARRAY<…>
            end = len(term)
        kept += [*([like(term[0], TokenType.COMMA, ",")] if kept else []), *term[:end]]
    return kept


def find_last(tokens: Tokens, text: str) -> int:
    return next(place for place in range(len(tokens) - 1, -1, -1) if tokens[place].text.upper() == text)


def stream(tokens: Tokens) -> Tokens:
    """CREATE STREAM s ON TABLE t: a view of t's changes."""
    start = find_word(tokens, "STREAM") + 1
    if tokens[start].text.upper() == "IF":
        start += 3
    on = find_word(tokens, "ON")
    source = on + 2
    while source < len(tokens) - 1 and tokens[source].text.upper() in ("TABLE", "VIEW"):
        source += 1
    front = made("CREATE VIEW", tokens[0]) + tokens[start : name_at(tokens, start)]
    return front + made("AS SELECT * FROM", tokens[on]) + tokens[source : name_at(tokens, source)]


def clone(tokens: Tokens, place: int, language: Language) -> Any:
    """CREATE TABLE a [DEEP | SHALLOW] CLONE b [as of a time], without its options."""
    if place + 1 < len(tokens) and tokens[place + 1].text.upper() == "GRANTS":
        return tokens
    front = tokens[: place - 1] if tokens[place - 1].text.upper() in ("DEEP", "SHALLOW") else tokens[:place]
    end = name_at(tokens, place + 1)
    plain = front + tokens[place:end]
    if end == len(tokens) or tokens[end].text.upper().split(" ")[0] not in TIMES:
        return plain
    tree = language.parse(plain, "")
    options = find_word(tokens, "OPTIONS", "LOCATION", "TBLPROPERTIES", start=end)
    query = language.parse(made("SELECT * FROM", tokens[place]) + tokens[place + 1 : options], "")
    if tree is not None and query is not None and tree.args.get("clone") is not None:
        tree.args["clone"].set("this", query.args["from_"].this)
    return tree


TIMES = ("FOR", "AT", "BEFORE", "TIMESTAMP", "VERSION")  # what a time that is travelled to begins with


def without_partition_columns(tokens: Tokens) -> Tokens:
    """CREATE EXTERNAL TABLE … WITH PARTITION COLUMNS (a DATE) of BigQuery is PARTITIONED BY (a DATE), or nothing where
    the columns are found in the files; TABLE PROPERTIES (…) of Redshift is nothing."""
    for place in words_at(tokens, "WITH", "PARTITION", "COLUMNS"):
        is_listed = place + 3 < len(tokens) and tokens[place + 3].token_type is TokenType.L_PAREN
        by = [like(tokens[place], TokenType.PARTITION_BY, "PARTITIONED BY")] if is_listed else []
        return [*tokens[:place], *by, *tokens[place + 3 :]]
    for place in words_at(tokens, "TABLE", "PROPERTIES"):
        return tokens[:place] + tokens[bracket_end(tokens, place + 2) :]
    return tokens


def words_at(tokens: Tokens, *words: str) -> list[int]:
    """The places where these words follow each other."""
    texts = [token.text.upper() for token in tokens]
    return [place for place in range(len(texts)) if tuple(texts[place : place + len(words)]) == words]


def without_expectations(tokens: Tokens) -> Tokens:
    """CREATE TABLE u (a INT, CONSTRAINT c EXPECT (a > 0) ON VIOLATION DROP ROW) AS … of Delta Live Tables."""
    start = next((place for place, token in enumerate(tokens) if token.token_type is TokenType.L_PAREN), len(tokens))
    end = bracket_end(tokens, start)
    kept = [term for term in terms_of(tokens[start + 1 : end - 1]) if term[0].text.upper() != "CONSTRAINT"]
    if not kept:
        return tokens[:start] + tokens[end:]
    inner = kept[0]
    for term in kept[1:]:
        inner = [*inner, like(term[0], TokenType.COMMA, ","), *term]
    return [*tokens[: start + 1], *inner, *tokens[end - 1 :]]


def external_stage(tokens: Tokens) -> Tokens | None:
    """CREATE EXTERNAL TABLE u … LOCATION = @stage/path: what COPY INTO u FROM @stage/path says."""
    place = find_word(tokens, "LOCATION") + 2
    if place >= len(tokens) or tokens[place].token_type is not TokenType.PARAMETER:
        return None
    end = place + 1
    while end < len(tokens) and tokens[end].start == tokens[end - 1].end + 1:
        end += 1
    start = find_word(tokens, "TABLE") + 1
    if tokens[start].text.upper() == "IF":
        start += 3
    near = tokens[0]
    front = [Token(TokenType.COPY, "COPY", near.line, near.col, near.start, near.end), *made("INTO", near)]
    return [*front, *tokens[start : name_at(tokens, start)], *made("FROM", near), *tokens[place:end]]


# --- INSERT and other changes

QUERY_WORDS = ("SELECT", "WITH", "VALUES", "FROM")


def rewrite_replace(tokens: Tokens, language: Language) -> Any:
    into = 2 if len(tokens) > 1 and tokens[1].text.upper() == "INTO" else 1
    tree = language.parse(made("INSERT INTO", tokens[0]) + tokens[into:], "")
    if tree is not None:
        tree.meta["replaces"] = True
    return tree


def rewrite_insert(tokens: Tokens, language: Language) -> Any:
    if language.rules.optional_semicolons:
        tokens = without_hint(tokens, "SELECT")
    tokens = with_plain_conflict(tokens)
    form = find_word(tokens, "FORMAT", *QUERY_WORDS)
    if form < find_word(tokens, *QUERY_WORDS) and tokens[form - 1].text.upper() != "ROW":
        return insert_of_client(tokens, language)
    start = find_word(tokens, "OVERRIDING", *QUERY_WORDS)
    if start + 2 < len(tokens) and tokens[start].text.upper() == "OVERRIDING":  # SYSTEM VALUE: which ids are taken
        tokens = tokens[:start] + tokens[start + 3 :]
    partition = find_word(tokens, "PARTITION", "DIRECTORY", *QUERY_WORDS)
    head = tokens[partition].text.upper() if partition < len(tokens) else ""
    if head == "PARTITION":  # PARTITION (…) IF NOT EXISTS
        after = bracket_end(tokens, partition + 1)
        if [token.text.upper() for token in tokens[after : after + 3]] == ["IF", "NOT", "EXISTS"]:
            tokens = tokens[:after] + tokens[after + 3 :]
    elif language.rules.optional_semicolons and find_word(tokens, "EXEC", "EXECUTE") < len(tokens):
        return insert_of_procedure(tokens, language)
    elif head == "DIRECTORY":  # DIRECTORY 'x' USING parquet OPTIONS (…), ROW FORMAT DELIMITED …
        using = find_word(tokens, "USING", "ROW", "SELECT", "WITH", "FROM", start=partition)
        if using < len(tokens):
            start = find_word(tokens, "SELECT", "WITH", "FROM", start=using)
            tokens = tokens[:using] + tokens[start:]
    if tokens[1].text.upper() == "OVERWRITE" and tokens[2].text.upper() in ("ALL", "FIRST"):
        return overwriting_inserts(tokens, language)
    return split_output(tokens, language)


def with_plain_conflict(tokens: Tokens) -> Tokens:
    """SELECT … FROM a CROSS JOIN b ON CONFLICT …: WHERE TRUE between them tells that ON from a join's."""
    conflict = find_word(tokens, "CONFLICT")
    if conflict == len(tokens) or tokens[conflict - 1].text.upper() != "ON":
        return tokens
    last, place = "", -1
    while (place := find_word(tokens, "JOIN", *AFTER_JOIN, start=place + 1)) < conflict - 1:
        last = tokens[place].text.upper()
    near = tokens[conflict]
    where = [like(near, TokenType.WHERE, "WHERE"), like(near, TokenType.TRUE, "TRUE")]
    return [*tokens[: conflict - 1], *where, *tokens[conflict - 1 :]] if last == "JOIN" else tokens


AFTER_JOIN = (
    "ON",
    "USING",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "ORDER BY",
    "LIMIT",
    "WINDOW",
    "UNION",
    "EXCEPT",
    "INTERSECT",
)


def overwriting_inserts(tokens: Tokens, language: Language) -> Any:
    """INSERT OVERWRITE ALL INTO a … INTO b … of Snowflake: sqlglot forgets that each is overwritten."""
    tree = language.parse(tokens, "")
    for insert in tree.find_all(exp.Insert) if tree is not None else ():
        insert.set("overwrite", True)
    return tree


def without_hint(tokens: Tokens, *stops: str) -> Tokens:
    """T-SQL: INSERT INTO u WITH (TABLOCK) (a) SELECT …, MERGE u WITH (HOLDLOCK) USING …"""
    place = find_word(tokens, "WITH", *stops)
    is_hint = [token.text.upper() for token in tokens[place : place + 2]] == ["WITH", "("]
    return tokens[:place] + tokens[bracket_end(tokens, place + 1) :] if is_hint else tokens


def rewrite_select(tokens: Tokens, language: Language) -> Any:
    """SELECT … INTO OUTFILE 'path' … FROM t of MySQL."""
    place = find_word(tokens, "OUTFILE")
    if place >= len(tokens) - 1 or tokens[place - 1].text.upper() != "INTO":
        return tokens
    source = find_word(tokens, "FROM", start=place)
    query = language.parse(tokens[: place - 1] + tokens[source:], "")
    if not isinstance(query, exp.Query):
        return tokens
    path = exp.Literal.string(tokens[place + 1].text)
    return exp.Copy(this=exp.Subquery(this=query), kind=False, files=[path])


def named_tables(tokens: Tokens) -> Tokens:
    """f(TABLE d.t, …) is f((SELECT * FROM d.t), …)."""
    kept: Tokens = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        before = tokens[place - 1].token_type if place else None
        is_argument = token.token_type is TokenType.TABLE and before in (TokenType.L_PAREN, TokenType.COMMA)
        if is_argument and place + 1 < len(tokens) and tokens[place + 1].token_type is not TokenType.L_PAREN:
            end = name_at(tokens, place + 1)
            bracketed = [*made("SELECT * FROM", token), *tokens[place + 1 : end]]
            kept += [like(token, TokenType.L_PAREN, "("), *bracketed, like(token, TokenType.R_PAREN, ")")]
            place = end
        else:
            kept.append(token)
            place += 1
    return kept


def rewrite_merge(tokens: Tokens, language: Language) -> Any:
    """MERGE … REMOVE DUPLICATES of Redshift: rows of the source replace those of the same key.

    MERGE WITH SCHEMA EVOLUTION of Databricks: the columns that the target lacks come with it.
    """
    if [token.text.upper() for token in tokens[1:4]] == ["WITH", "SCHEMA", "EVOLUTION"]:
        tree = language.parse([tokens[0], *tokens[4:]], "")
        if isinstance(tree, exp.Merge):
            tree.args["whens"].meta["evolves"] = True
        return tree
    for place in reversed(words_at(tokens, "DELETE", "WHERE")):  # of Oracle, behind UPDATE SET …
        end = find_word(tokens, "WHEN", start=place)
        matched, deleted = (language.tokenize(text) for text in ("WHEN MATCHED AND", "THEN DELETE"))
        tokens = [*tokens[:place], *matched, *tokens[place + 2 : end], *deleted, *tokens[end:]]
    if [token.text.upper() for token in tokens[-2:]] != ["REMOVE", "DUPLICATES"]:
        return split_output(without_hint(tokens, "USING") if language.rules.optional_semicolons else tokens, language)
    tail = language.tokenize("WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")
    return language.parse(tokens[:-2] + tail, "")


def plain_pipes(tokens: Tokens) -> Tokens:
    """BigQuery's |> SET a = x, |> DROP a and |> RENAME a AS b, as the SELECTs that they stand for."""
    kept: Tokens = []
    place = 0
    while place < len(tokens):
        kept.append(tokens[place])
        is_pipe = tokens[place].token_type is TokenType.PIPE_GT and place + 1 < len(tokens)
        write = PIPES.get(tokens[place + 1].text.upper()) if is_pipe else None
        place += 1
        if write is not None:
            end = next((p for p in range(place, len(tokens)) if tokens[p].token_type is TokenType.PIPE_GT), len(tokens))
            kept += write(tokens[place], tokens[place + 1 : end])
            place = end
    return kept


def bracketed(near: Token, word: str, inner: Tokens) -> Tokens:
    front = [like(near, TokenType.VAR, word), like(near, TokenType.L_PAREN, "(")]
    return [*front, *inner, like(near, TokenType.R_PAREN, ")")]


def terms_of(tokens: Tokens) -> list[Tokens]:
    """Parts between commas outside brackets."""
    terms: list[Tokens] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.token_type in OPENING_BRACKETS) - (token.token_type in CLOSING_BRACKETS)
        if token.token_type is TokenType.COMMA and depth == 0:
            terms.append([])
        else:
            terms[-1].append(token)
    return [term for term in terms if term]


FROM_TABLE = re.compile(r"\bFROM [^(]")
OPENING_BRACKETS = (TokenType.L_PAREN, TokenType.L_BRACKET)
CLOSING_BRACKETS = (TokenType.R_PAREN, TokenType.R_BRACKET)


def pipe_set(near: Token, inner: Tokens) -> Tokens:
    replaced: Tokens = []
    for term in terms_of(inner):
        comma = [like(near, TokenType.COMMA, ",")] if replaced else []
        replaced += [*comma, *term[2:], *made("AS", near), term[0]]
    return [*made("SELECT *", near), *bracketed(near, "REPLACE", replaced)]


def pipe_drop(near: Token, inner: Tokens) -> Tokens:
    return [*made("SELECT *", near), like(near, TokenType.EXCEPT, "EXCEPT"), *bracketed(near, "", inner)[1:]]


def pipe_rename(near: Token, inner: Tokens) -> Tokens:
    old: Tokens = []
    for term in terms_of(inner):
        old += [*([like(near, TokenType.COMMA, ",")] if old else []), term[0]]
    return [*pipe_drop(near, old), like(near, TokenType.COMMA, ","), *inner]


PIPES = {"SET": pipe_set, "DROP": pipe_drop, "RENAME": pipe_rename}


def insert_of_procedure(tokens: Tokens, language: Language) -> Any:
    """INSERT INTO u EXEC p: the target is known, what is put in is not."""
    place = find_word(tokens, "EXEC", "EXECUTE")
    tree = language.parse(tokens[:place] + values_of(tokens[place]), "")
    if tree is not None:
        tree.set("expression", None)
        tree.meta["unread"] = "what the procedure returns is not in the text"
    return tree


def insert_of_client(tokens: Tokens, language: Language) -> Any:
    """INSERT INTO u FORMAT CSV of ClickHouse: the rows come with the statement, from no table."""
    place = find_word(tokens, "FORMAT")
    tree = language.parse(tokens[:place] + values_of(tokens[place]), "")
    if tree is not None:
        tree.set("expression", None)
    return tree


def rewrite_update(tokens: Tokens, language: Language) -> Any:
    """T-SQL: SET t.n += s.v is SET t.n = t.n + s.v, and UPDATE STATISTICS changes no row."""
    if not language.rules.optional_semicolons:
        return tokens
    if tokens[0].text.upper() == "UPDATE STATISTICS":
        return None
    return split_output(plain_assignments(tokens), language)


def plain_assignments(tokens: Tokens) -> Tokens:
    """a += 1 is a = a + 1."""
    place = 1
    while place < len(tokens):
        sign = tokens[place - 1]
        if (
            tokens[place].token_type is TokenType.EQ
            and sign.token_type in COMPOUND
            and sign.end + 1 == tokens[place].start
        ):
            start = place - 2
            while start > 1 and tokens[start - 1].token_type is TokenType.DOT:
                start -= 2
            start -= tokens[start - 1].token_type is TokenType.PARAMETER  # @n
            name = tokens[start : place - 1]
            tokens = [*tokens[: place - 1], tokens[place], *name, sign, *tokens[place + 1 :]]
        place += 1
    return tokens


COMPOUND = frozenset({TokenType.PLUS, TokenType.DASH, TokenType.STAR, TokenType.SLASH})


def split_output(tokens: Tokens, language: Language) -> Any:
    """T-SQL: OUTPUT inserted.a INTO log (a) in the middle of a change is read apart from it."""
    if not language.rules.optional_semicolons:
        return tokens
    if len(tokens) > 2 and tokens[1].text.upper() == "TOP" and tokens[2].token_type is TokenType.L_PAREN:
        after = bracket_end(tokens, 2)
        tree = rewritten_tree([tokens[0], *tokens[after + (tokens[after].text.upper() == "PERCENT") :]], language)
        if tree is not None:
            tree.meta["top"] = True
        return tree
    start = find_word(tokens, "OUTPUT")
    if start == len(tokens) or start < 2:
        return tokens
    end = find_word(tokens, "SELECT", "VALUES", "FROM", "WHERE", "DEFAULT", "WITH", "OPTION", start=start + 1)
    into = find_word(tokens, "INTO", start=start + 1)
    tree = language.parse(tokens[:start] + tokens[end:], "")
    listed = language.parse(made("SELECT", tokens[start]) + tokens[start + 1 : min(into, end)], "")
    target = None
    if into < end and listed is not None:
        written = language.parse(
            made("INSERT INTO", tokens[into]) + tokens[into + 1 : end] + values_of(tokens[into]), ""
        )
        target = written.this if written is not None else None
    if tree is not None and listed is not None:
        tree.set("returning", exp.Returning(expressions=listed.expressions, into=target))
    return tree


def values_of(near: Token) -> Tokens:
    kinds = [(TokenType.SELECT, "SELECT"), (TokenType.NUMBER, "1")]
    return [Token(kind, text, near.line, near.col, near.start, near.end) for kind, text in kinds]


def rewrite_with(tokens: Tokens, language: Language) -> Any:
    """T-SQL: WITH c AS (…) MERGE …: sqlglot parses each half."""
    if not language.rules.optional_semicolons:
        return tokens
    place = find_word(tokens, "MERGE")
    if place == len(tokens):
        changes = find_word(tokens, "INSERT", "UPDATE", "DELETE") < len(tokens)
        return split_output(plain_assignments(tokens), language) if changes else tokens
    merge = rewritten_tree(tokens[place:], language)
    front = language.parse(tokens[:place] + values_of(tokens[place]), "")
    if merge is not None and front is not None:
        merge.set("with_", front.args.get("with_"))
    return merge


def rewritten_tree(tokens: Tokens, language: Language) -> Any:
    found = rewrite_merge(tokens, language) if word(tokens[0]) == "MERGE" else split_output(tokens, language)
    return language.parse(found, "") if isinstance(found, list) else found


def open_rowset(tokens: Tokens) -> Tokens:
    """OPENROWSET(BULK 'uri', FORMAT = 'CSV') of T-SQL is OPENROWSET('uri')."""
    kept: Tokens = []
    place = 0
    while place < len(tokens):
        kept.append(tokens[place])
        if (
            tokens[place].text.upper() == "OPENROWSET"
            and place + 3 < len(tokens)
            and tokens[place + 2].text.upper() == "BULK"
        ):
            kept += [tokens[place + 1], tokens[place + 3]]
            place = bracket_end(tokens, place + 1) - 2
        place += 1
    return kept


# --- tables as a whole


def rewrite_alter(tokens: Tokens, language: Language) -> Any:
    """ALTER TABLE u APPEND FROM t of Redshift moves rows; most other ALTERs move none."""
    end = name_at(tokens, 2)
    if words_at(tokens[end : end + 2], "ON", "CLUSTER"):
        tokens = tokens[:end] + tokens[end + 3 :]
    texts = [token.text.upper() for token in tokens]
    table, after = tokens[2:end], texts[end : end + 2]
    if after[:1] in (["DELETE"], ["UPDATE"]) and "WHERE" in texts[end:]:
        return mutation(table, tokens[end:])
    if after == ["APPEND", "FROM"]:
        return moved_rows(table, tokens[end + 2 : name_at(tokens, end + 2)], tokens[0])
    if "SWITCH" in texts and "TO" in texts:  # T-SQL: the rows of one table become another's partition
        place = texts.index("TO") + 1
        return moved_rows(tokens[place : name_at(tokens, place)], table, tokens[0])
    if (
        after[1:] == ["PARTITION"] and after[0] in ("REPLACE", "ATTACH") and FROM_TABLE.search(" ".join(texts))
    ):  # ClickHouse
        place = texts.index("FROM") + 1
        moved = language.parse(moved_rows(table, tokens[place : name_at(tokens, place)], tokens[0]), "")
        if moved is not None and after[0] == "REPLACE":
            moved.set("overwrite", True)
            moved.this.set("partition", exp.Partition(expressions=[exp.column("partition")]))
        return moved
    if after == ["MOVE", "PARTITION"] and "TABLE" in texts[end:]:
        place = texts.index("TABLE", end) + 1
        return moved_rows(tokens[place : name_at(tokens, place)], table, tokens[0])
    if after[:1] == ["EXCHANGE"] and "TABLE" in texts[end:]:
        place = texts.index("TABLE", end) + 1
        return moved_rows(table, tokens[place : name_at(tokens, place)], tokens[0])
    if after[:1] == ["DROP"] and texts[-1] == "PURGE":
        return tokens[:-1]
    if after == ["SET", "SCHEMA"] and end + 2 < len(tokens):
        near = tokens[end]
        rename = [like(near, TokenType.VAR, "RENAME"), like(near, TokenType.VAR, "TO"), tokens[end + 2]]
        return [*tokens[:end], *rename, like(near, TokenType.DOT, "."), table[-1]]
    return tokens


def mutation(table: Tokens, change: Tokens) -> Tokens:
    """ALTER TABLE u UPDATE a = 1 [IN PARTITION p] WHERE … and ALTER TABLE u DELETE … WHERE … of ClickHouse."""
    head, where = change[0], find_word(change, "WHERE")
    cut = next(iter(words_at(change[:where], "IN", "PARTITION")), where)
    front = made("FROM", head) if word(head) == "DELETE" else []
    kind = TokenType.DELETE if front else TokenType.UPDATE
    changed = [] if front else [like(head, TokenType.SET, "SET"), *change[1:cut]]
    end = find_word(change, "SETTINGS", start=where)
    return [like(head, kind, word(head)), *front, *table, *changed, *change[where:end]]


def moved_rows(target: Tokens, source: Tokens, near: Token) -> Tokens:
    return made("INSERT INTO", near) + target + made("SELECT * FROM", near) + source


def rewrite_exchange(tokens: Tokens, language: Language) -> Any:
    """EXCHANGE TABLES a AND b of ClickHouse swaps them."""
    other = find_word(tokens, "AND") + 1
    if other >= len(tokens):
        return tokens
    swap = [like(tokens[other], TokenType.VAR, "SWAP"), like(tokens[other], TokenType.WITH, "WITH")]
    front = [like(tokens[0], TokenType.ALTER, "ALTER"), like(tokens[0], TokenType.TABLE, "TABLE")]
    return [*front, *tokens[2 : other - 1], *swap, *tokens[other : name_at(tokens, other)]]


def rewrite_apply(tokens: Tokens, language: Language) -> Any:
    """APPLY CHANGES INTO u FROM stream(t) KEYS … of Delta Live Tables, AUTO CDC INTO u FROM … of later ones."""
    into, source = find_word(tokens, "INTO"), find_word(tokens, "FROM")
    if into >= source:
        return tokens
    start = source + 1
    if tokens[start].text.upper() == "STREAM":
        start += 2
    target = tokens[into + 1 : source]
    return moved_rows(target, tokens[start : name_at(tokens, start)], tokens[0])


def rewrite_bulk(tokens: Tokens, language: Language) -> Any:
    """BULK INSERT u FROM 'uri' WITH (…) of T-SQL."""
    source = find_word(tokens, "FROM")
    uri = next((token.text for token in tokens[source:] if token.token_type is TokenType.STRING), "")
    query = language.parse(made("SELECT * FROM", tokens[0]) + tokens[2:source], "") if uri else None
    if query is None:
        return tokens
    return exp.Copy(this=query.args["from_"].this, kind=True, files=[exp.Literal.string(uri)])


def rewrite_drop(tokens: Tokens, language: Language) -> Any:
    """DROP SNAPSHOT TABLE, DROP EXTERNAL TABLE, DROP DYNAMIC TABLE: tables like others."""
    kind = tokens[1].text.upper() if len(tokens) > 2 else ""
    return [tokens[0], *tokens[2:]] if kind in ("SNAPSHOT", "EXTERNAL", "DYNAMIC", "TEMPORARY", "TEMP") else tokens


def rewrite_unload(tokens: Tokens, language: Language) -> Any:
    """UNLOAD ('query') TO 'uri' and UNLOAD (query) TO 'uri'."""
    end = bracket_end(tokens, 1)
    inner = tokens[2 : end - 1]
    uri = next((token.text for token in tokens[end:] if token.token_type is TokenType.STRING), "")
    if len(inner) == 1 and inner[0].token_type in (TokenType.STRING, TokenType.HEREDOC_STRING):
        query = language.parse_text(inner[0].text)
    else:
        query = language.parse(inner, "")
    if not isinstance(query, exp.Query) or not uri:
        return tokens
    return exp.Copy(this=exp.Subquery(this=query), kind=False, files=[exp.Literal.string(uri)])


def rewrite_export(tokens: Tokens, language: Language) -> Any:
    """EXPORT TABLE t [PARTITION (…)] TO 'path' of Hive."""
    path = next((token.text for token in tokens[find_word(tokens, "TO") :] if token.token_type is TokenType.STRING), "")
    if tokens[1].text.upper() != "TABLE" or not path:
        return tokens
    query = language.parse(made("SELECT * FROM", tokens[0]) + tokens[2 : name_at(tokens, 2)], "")
    files = [exp.Literal.string(path)]
    return exp.Copy(this=query.args["from_"].this, kind=False, files=files) if query is not None else tokens


def rewrite_load(tokens: Tokens, language: Language) -> Any:
    """LOAD DATA [LOCAL] INFILE 'path' [REPLACE] INTO TABLE u of MySQL."""
    infile, table = find_word(tokens, "INFILE"), find_word(tokens, "TABLE")
    if infile >= len(tokens) - 1 or table >= len(tokens) - 1:
        return tokens
    name = tokens[table + 1 : name_at(tokens, table + 1)]
    query = language.parse(made("SELECT * FROM", tokens[0]) + name, "")
    path = exp.Literal.string(tokens[infile + 1].text)
    return exp.LoadData(this=query.args["from_"].this, inpath=path) if query is not None else tokens


def rewrite_refresh(tokens: Tokens, language: Language) -> Any:
    """REFRESH MATERIALIZED VIEW v"""
    start = find_word(tokens, "VIEW") + 1
    if start < len(tokens) and tokens[start].text.upper() == "CONCURRENTLY":
        start += 1
    name = tokens[start : name_at(tokens, start)]
    query = language.parse(made("SELECT * FROM", tokens[0]) + name, "") if name else None
    return exp.Refresh(this=query.args["from_"].this, kind="TABLE") if query is not None else None


def rewrite_use(tokens: Tokens, language: Language) -> Any:
    """USE x names what x is called, also where that is a word of sqlglot's: USE Warehouse."""
    if len(tokens) != 2:
        return tokens
    name = exp.to_identifier(tokens[1].text, quoted=tokens[1].token_type is TokenType.IDENTIFIER)
    return exp.Use(this=exp.Table(this=name))


def rewrite_set(tokens: Tokens, language: Language) -> Any:
    """SET search_path TO a, b; every other SET as sqlglot reads it."""
    if len(tokens) > 3 and tokens[1].text.upper() in ("SEARCH_PATH", "LOCAL", "SESSION"):
        place = find_word(tokens, "SEARCH_PATH")
        if place < len(tokens) - 2:
            value = exp.Literal.string(tokens[place + 2].text)
            pair = exp.EQ(this=exp.column("search_path"), expression=value)
            return exp.Set(expressions=[exp.SetItem(this=pair)])
    return plain_assignments(tokens) if language.rules.optional_semicolons else tokens


REWRITES: dict[str, Rewrite] = {
    "CREATE": rewrite_create,
    "REPLACE": rewrite_replace,
    "INSERT": rewrite_insert,
    "UPDATE": rewrite_update,
    "APPLY": rewrite_apply,
    "AUTO": rewrite_apply,
    "BULK": rewrite_bulk,
    "DELETE": split_output,
    "MERGE": rewrite_merge,
    "SELECT": rewrite_select,
    "WITH": rewrite_with,
    "ALTER": rewrite_alter,
    "EXCHANGE": rewrite_exchange,
    "DROP": rewrite_drop,
    "UNLOAD": rewrite_unload,
    "EXPORT": rewrite_export,
    "LOAD": rewrite_load,
    "REFRESH": rewrite_refresh,
    "SET": rewrite_set,
    "USE": rewrite_use,
}
