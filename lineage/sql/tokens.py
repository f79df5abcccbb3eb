"""Text to pieces: tokenize once, bound size and depth, and cut scripts into the statements they hold.

    IF x > 0 THEN INSERT INTO u SELECT a FROM t; END IF;
    condition (x > 0) | statement (INSERT INTO u SELECT a FROM t)

Blocks, loops, handlers, procedure headers and bodies quoted by $$ are opened, so that each statement inside is a piece.
"""

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from sqlglot.errors import TokenError
from sqlglot.tokens import Token, TokenType

from .bounds import CLOSING, MAX_DEPTH, MAX_OPEN_FROMS, MAX_OPEN_JOINS, OPENING, TooLarge, bounded
from .clients import sql_of
from .dialects import Language, words

MAX_CHARACTERS = 6_000_000
MAX_BODIES = 3  # quoted bodies inside each other

STATEMENT, CONDITION, LOOP, DECLARATION, OPAQUE = "statement", "condition", "loop", "declaration", "opaque"
CALL = "call"  # of a routine that the script itself makes, and whose body is read there

FROM_FIRST = re.compile(r"(?:\(|\bLATERAL\b)\s*FROM\b")  # in upper case
TEXTS = frozenset({TokenType.STRING, TokenType.RAW_STRING, TokenType.HEREDOC_STRING, TokenType.NATIONAL_STRING})
STARTERS = words(
    "SELECT INSERT UPDATE DELETE MERGE DROP CREATE ALTER TRUNCATE EXEC EXECUTE DECLARE SET IF WHILE PRINT RETURN "
    "BEGIN END COMMIT ROLLBACK WITH USE GO ELSE THROW RAISERROR BREAK CONTINUE"
)
SILENT = words(
    "LEAVE BREAK CONTINUE ITERATE RAISE NULL EXIT PRINT GO THROW RAISERROR SIGNAL RESIGNAL GOTO OPEN CLOSE FETCH "
    "GET PERFORM NOTIFY LISTEN"
)
MEMBERS = words("PROCEDURE FUNCTION")  # of a package's body
CURSOR_WORDS = words("OPEN FETCH CLOSE DEALLOCATE")
GOES_ON = words("UNION ALL EXCEPT INTERSECT THEN AS FOR AFTER OF BULK WITH , ( .")  # no statement begins behind these
RIGHTS = words("GRANT REVOKE DENY")
LINE_STARTERS = RIGHTS | words("GOTO RECONFIGURE RENAME")
ALL_STARTERS = STARTERS | CURSOR_WORDS | LINE_STARTERS
EXECUTES = words("EXECUTE EXEC")
BLOCKS = words("BEGIN LOOP WHILE FOR REPEAT")
ROUTINE_KINDS = words("PROCEDURE PROC TASK")
AFTER_END = words("IF LOOP WHILE FOR REPEAT CASE TRY CATCH")
TRANSACTION_WORDS = words("TRANSACTION TRAN DISTRIBUTED WORK ISOLATION DEFERRED IMMEDIATE EXCLUSIVE READ")


Name = tuple[str, ...]  # of a routine, in upper case


@dataclass(slots=True)
class Piece:
    """One statement, or a condition or loop's query; `offset` is that of `text` in the rendered SQL."""

    kind: str
    tokens: list[Token]
    text: str
    offset: int
    name: str = ""  # a loop's variable, or a declaration's
    message: str = ""  # of an opaque piece
    code: str = "unsupported_statement"
    is_anew: bool = False  # tokenized again, by the kind of statement
    body: int | None = None  # the quoted body that it stands in, by its place in the text

    @property
    def start(self) -> int:
        return self.offset + self.tokens[0].start if self.tokens else self.offset

    @property
    def end(self) -> int:
        return self.offset + self.tokens[-1].end + 1 if self.tokens else self.offset + len(self.text)

    def words(self, count: int) -> list[str]:
        return [token.text.upper() for token in self.tokens[:count]]


def split(text: str, language: Language) -> list[Piece]:
    """The pieces of a script in order; what cannot be tokenized is an opaque piece."""
    if len(text) > MAX_CHARACTERS:
        message = f"{len(text):,} characters; at most {MAX_CHARACTERS:,} are read"
        return [Piece(OPAQUE, [], text, 0, message=message, code="too_large")]
    routines: list[Name] = []
    if not language.rules.client:
        return with_calls(split_text(text, 0, language, 0, routines), routines)
    text, copies = sql_of(text, language.rules.client)
    pieces = split_text(text, 0, language, 0, routines)
    for place, sql in copies:
        pieces += split_text(sql, place, language, 0, routines)
    return with_calls(sorted(pieces, key=lambda piece: piece.start) if copies else pieces, routines)


def with_calls(pieces: list[Piece], routines: list[Name]) -> list[Piece]:
    """CALL p(1), EXEC p, EXECUTE TASK p and, in a block of Oracle, p(1): calls of a routine that the script makes."""
    for piece in pieces if routines else ():
        called = called_by(piece)
        if called and any(called[-len(made) :] == made or made[-len(called) :] == called for made in routines):
            piece.kind = CALL
    return pieces


def called_by(piece: Piece) -> Name:
    """What a piece calls, if it is a call; else ()."""
    if piece.kind not in (STATEMENT, OPAQUE):
        return ()
    head = piece.words(2)
    start = 2 if head == ["EXECUTE", "TASK"] else 1 if head[:1] in (["CALL"], ["EXEC"], ["EXECUTE"]) else 0
    called, end = name_from(piece.tokens, start)
    is_call = start > 0 or end == len(piece.tokens) or piece.tokens[end].token_type is TokenType.L_PAREN
    return called if is_call else ()


def has_plain_arguments(piece: Piece) -> bool:
    """A call's arguments are values and variables, none made by a function."""
    texts = piece.words(len(piece.tokens))
    return texts.count("(") < 2 and not any(text.startswith(("CURRENT", "SYSDATE", "SYSTIMESTAMP")) for text in texts)


def name_from(tokens: list[Token], start: int) -> tuple[Name, int]:
    """The parts of the dotted name that starts here, and the place after it."""
    parts: list[str] = []
    while start < len(tokens):
        parts.append(tokens[start].text.upper())
        if start + 1 >= len(tokens) or tokens[start + 1].token_type is not TokenType.DOT:
            return tuple(parts), start + 1
        start += 2
    return tuple(parts), start


def split_text(text: str, offset: int, language: Language, level: int, routines: list[Name]) -> list[Piece]:
    """Pieces of a text that stands at `offset`; `level` counts bodies inside bodies, `routines` are those it makes."""
    try:
        tokens = language.tokenize(text)
    except TokenError as error:
        return split_broken(text, offset, language, level, routines, str(error))
    return Splitter(tokens, text, offset, language, level, routines).run()


def split_broken(
    text: str, offset: int, language: Language, level: int, routines: list[Name], message: str
) -> list[Piece]:
    """One unterminated quote must not cost the whole script: read again, semicolon by semicolon."""
    parts = [part for part in re.split(r"(?<=;)[ \t]*\n", text) if part.strip()]
    if len(parts) < 2:
        parts = [part for part in re.split(r"(?<=;)", text) if part.strip()]
    if len(parts) < 2:
        return [Piece(OPAQUE, [], text, offset, message=message, code="parse_error")]
    pieces, position = [], 0
    for part in parts:
        position = text.index(part, position)
        pieces += split_text(part, offset + position, language, level, routines)
        position += len(part)
    return pieces


class Splitter:
    """Cuts the tokens of one text into pieces; each method consumes from `self.at` on."""

    def __init__(
        self, tokens: list[Token], text: str, offset: int, language: Language, level: int, routines: list[Name]
    ) -> None:
        self.tokens, self.text, self.offset = tokens, text, offset
        self.language, self.level, self.routines = language, level, routines
        self.package: Name = ()  # whose body is open
        self.at = 0
        self.size = len(tokens)
        self.semicolons = self.find_semicolons()
        self.blocks = 0
        self.pieces: list[Piece] = []
        self.has_many_brackets = sum(map(text.count, "([{")) > MAX_DEPTH
        upper = text.upper()
        self.has_many_joins = upper.count("JOIN") > MAX_OPEN_JOINS
        has_many = upper.count("FROM") > MAX_OPEN_FROMS  # most texts are spared the search
        self.has_many_froms = has_many and len(FROM_FIRST.findall(upper)) > MAX_OPEN_FROMS
        self.declares = False  # inside a DECLARE section

    def run(self) -> list[Piece]:
        while self.at < self.size:
            before = self.at
            self.step()
            if self.at == before:
                self.at += 1
        return self.pieces

    def find_semicolons(self) -> list[int]:
        """Their places; most texts hold none or end with the only one, which needs no search."""
        count = self.text.count(";")
        if count == 0 or not self.tokens:
            return []
        if count == 1 and self.tokens[-1].token_type is TokenType.SEMICOLON:
            return [self.size - 1]
        semicolon = TokenType.SEMICOLON
        return [place for place, token in enumerate(self.tokens) if token.token_type is semicolon]

    # --- looking

    def word(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place].text.upper() if place < self.size else ""

    def is_kind(self, kind: TokenType, ahead: int = 0) -> bool:
        place = self.at + ahead
        return place < self.size and self.tokens[place].token_type is kind

    def is_text(self, place: int) -> bool:
        return place < self.size and self.tokens[place].token_type in TEXTS

    def find(self, stops: frozenset[str], start: int) -> int:
        """The place of the first of these words outside brackets and CASE … END, or of the end of the statement."""
        depth = 0
        end = self.end_of_statement(start)
        for place in range(start, end):
            token = self.tokens[place]
            kind = token.token_type
            if depth == 0 and token.text.upper() in stops and kind not in TEXTS and kind is not TokenType.IDENTIFIER:
                return place
            if kind in OPENING:
                depth += 1
            elif kind in CLOSING and depth:
                depth -= 1
        return end

    def end_of_statement(self, start: int) -> int:
        """The place of the next semicolon, or the end: a bracket left open costs no other statement."""
        place = bisect_left(self.semicolons, start)
        return self.semicolons[place] if place < len(self.semicolons) else self.size

    # --- cutting

    def add(self, kind: str, start: int, end: int, name: str = "") -> None:
        """Add the tokens start..end as a piece, unless there are none."""
        tokens = self.tokens[start:end]
        if not tokens:
            return
        piece = Piece(kind, tokens, self.text, self.offset, name)
        try:
            piece.tokens = bounded(tokens, self.has_many_brackets, self.has_many_joins, self.has_many_froms)
        except TooLarge as bound:
            piece = Piece(OPAQUE, tokens[:1], self.text, self.offset, name, bound.args[1], bound.args[0])
        self.pieces.append(piece)

    def add_body(self, texts: list[Token]) -> None:
        """Open a string that holds statements: EXECUTE IMMEDIATE '…', AS $$ … $$."""
        body = "".join(token.text for token in texts)
        if self.level > MAX_BODIES or not body.strip():
            return
        first = texts[0]
        inside = self.text[first.start : first.end + 1].find(first.text)
        start = self.offset + first.start + max(inside, 0)
        for piece in split_text(body, start, self.language, self.level + 1, self.routines):
            piece.body = start if piece.body is None else piece.body
            self.pieces.append(piece)

    def step(self) -> None:
        """Consume one control word or one statement."""
        token = self.tokens[self.at]
        if token.token_type is TokenType.SEMICOLON:
            self.at += 1
            return
        word = token.text.upper()
        if token.token_type in TEXTS or token.token_type is TokenType.IDENTIFIER:
            self.take_statement()
        elif self.declares and word not in STARTERS and word not in MEMBERS:
            self.take_declaration()
        elif word in SILENT:
            self.take_silent(word)
        else:
            CONTROL.get(word, Splitter.take_statement)(self)

    def take_silent(self, word: str) -> None:
        """Words that steer a script and move no data; GO ends with its line."""
        if word == "GO":
            line = self.tokens[self.at].line
            while self.at < self.size and self.tokens[self.at].line == line:
                self.at += 1
        else:
            self.at = self.find_end(self.at)

    def take_statement(self) -> None:
        if self.is_label():
            self.at += 2
            return
        if self.is_kind(TokenType.COLON_EQ, 1) or (self.blocks and self.is_kind(TokenType.EQ, 1)):  # x := expression
            self.take_declaration()
            return
        if self.tokens[self.at].text.startswith("<"):  # <<label>>
            self.at += next((ahead for ahead in range(1, 8) if self.word(ahead - 1).endswith(">")), 1)
            self.at += self.word() == ">"
            return
        end = self.find_end(self.at)
        self.add(STATEMENT, self.at, end)
        self.at = end

    def is_label(self) -> bool:
        """name: of a block or loop; of any statement in T-SQL."""
        is_block = self.language.rules.optional_semicolons or self.word(2) in BLOCKS
        return is_block and self.is_kind(TokenType.COLON, 1)

    def find_end(self, start: int) -> int:
        """Where the statement that starts here ends: at its semicolon; in T-SQL at the next one's first word."""
        if not self.language.rules.optional_semicolons:
            return self.end_of_statement(start)
        place = start
        seen_select = self.tokens[start].text.upper() not in ("INSERT", "WITH", "CREATE", "ALTER", "EXPLAIN")
        while True:
            place = self.find(ALL_STARTERS, place + 1)
            if place >= self.size or self.tokens[place].token_type is TokenType.SEMICOLON:
                return place
            word = self.tokens[place].text.upper()
            if word == "SELECT" and not seen_select:
                seen_select = True
            elif self.starts_statement(start, place, word):
                return place

    def starts_statement(self, start: int, place: int, word: str) -> bool:
        """A starter that does not go on with the statement before it."""
        before, head = self.tokens[place - 1].text.upper(), self.tokens[start].text.upper()
        if before in RIGHTS or (head in RIGHTS and before == ","):  # GRANT SELECT, INSERT ON t
            return False
        if word in LINE_STARTERS:
            return self.starts_line(place)
        if before in GOES_ON:
            return False
        if word in ("SET", "UPDATE", "DELETE", "INSERT", "MERGE") and head in (
            "UPDATE",
            "MERGE",
            "WITH",
            "ALTER",
            "CREATE",
        ):
            return word != "SET" and head == "UPDATE"
        if word == "END" and self.blocks:
            return True
        if word in CURSOR_WORDS:
            following = [token.text.upper() for token in self.tokens[place + 1 : place + 3]]
            is_limit = word == "FETCH" and following[:1] in (["NEXT"], ["FIRST"]) and following[1:] != ["FROM"]
            return self.starts_line(place) and not is_limit
        if word == "WITH" and not self.begins_ctes(place):
            return False
        if word in ("WITH", "IF", "END", "SET", "DROP", "ALTER", "EXEC", "EXECUTE", "USE", "RETURN"):
            return self.starts_line(place) and not (head == "ALTER" and word in ("DROP", "ALTER", "SET"))
        return True

    def begins_ctes(self, place: int) -> bool:
        """WITH name AS, WITH name (…); not WITH (options) of a table, a hint or OPENJSON."""
        return place + 2 < self.size and self.tokens[place + 2].text.upper() in ("AS", "(")

    def starts_line(self, place: int) -> bool:
        return self.tokens[place].line > self.tokens[place - 1].line

    # --- control words

    def take_begin(self) -> None:
        after = self.word(1)
        if after in TRANSACTION_WORDS or (self.blocks == 0 and not self.declares and after in ("", ";")):
            self.take_statement()
            return
        self.declares = False
        self.blocks += 1
        self.at += 2 if after in ("TRY", "CATCH", "ATOMIC") else 1
        if after == "ATOMIC" and self.word() == "WITH":  # (TRANSACTION ISOLATION LEVEL = SNAPSHOT, …)
            self.at = self.find(STARTERS, self.at + 1)
        if self.is_kind(TokenType.SEMICOLON) and after == "CATCH":
            self.at += 1

    def take_end(self) -> None:
        if self.blocks == 0 and self.word(1) in ("", ";"):
            self.take_statement()  # PostgreSQL's END is COMMIT
            return
        after = self.word(1)
        if after not in AFTER_END:
            self.blocks -= self.blocks > 0
            self.at += 1
            if not self.language.rules.optional_semicolons or self.word() == "CONVERSATION":
                self.at = self.end_of_statement(self.at)
            return
        self.blocks -= after in ("TRY", "CATCH") and self.blocks > 0
        self.at += 2
        if not self.language.rules.optional_semicolons:
            self.at = self.end_of_statement(self.at)  # END LOOP label

    def take_condition(self) -> None:
        """IF, ELSEIF, WHILE, WHEN, UNTIL: the condition up to THEN, DO or LOOP; in T-SQL up to the next statement."""
        start = self.at + 1
        if self.language.rules.optional_semicolons:
            end = self.find(STARTERS - {"SELECT", "IF"} | {"BEGIN"}, start)
            self.add(CONDITION, start, end)
            self.at = end
            return
        end = self.find(frozenset({"THEN", "DO", "LOOP", "END"}), start)
        if end >= self.size or self.tokens[end].token_type is TokenType.SEMICOLON:
            self.take_statement()
            return
        self.add(CONDITION, start, end)
        self.at = end + (self.tokens[end].text.upper() != "END")

    def take_assertion(self) -> None:
        """ASSERT condition AS 'message' of BigQuery."""
        end = self.end_of_statement(self.at)
        self.add(CONDITION, self.at + 1, min(self.find(frozenset({"AS"}), self.at + 1), end))
        self.at = end

    def take_handler(self) -> None:
        """EXCEPTION WHEN … THEN, CASE x WHEN … THEN, and a further WHEN … THEN."""
        self.at = self.find(frozenset({"THEN"}), self.at + 1) + 1

    def take_word(self) -> None:
        self.at += 1

    def take_loop(self) -> None:
        """FOR r IN (query) DO, FOR r IN query LOOP, FOR r AS query DO."""
        end = self.find(frozenset({"DO", "LOOP"}), self.at)
        if end >= self.size or self.word(2) not in ("IN", "AS"):
            self.take_statement()
            return
        start, last = self.at + 3, end
        if self.tokens[start].token_type is TokenType.L_PAREN and self.tokens[last - 1].token_type is TokenType.R_PAREN:
            start, last = start + 1, last - 1  # the rows themselves, not a value made of them
        self.add(LOOP, start, last, self.tokens[self.at + 1].text)
        self.at = end + 1

    def take_declare(self) -> None:
        """A DECLARE section runs to BEGIN (Snowflake, PL/pgSQL); elsewhere each DECLARE is a statement."""
        if self.word(1) in ("CONTINUE", "EXIT", "UNDO"):  # DECLARE EXIT HANDLER FOR … statement
            self.at = self.find(frozenset({"BEGIN"}), self.at)
        elif self.language.rules.declare_sections:
            self.declares = True
            self.at += 1
        elif self.language.rules.optional_semicolons and "CURSOR" in (self.word(ahead) for ahead in (2, 3, 4)):
            self.at += 1
            self.take_cursor()
        elif self.language.rules.declares_by_statement:
            self.take_statement()
        else:
            self.at += 1
            self.take_declaration()

    def take_declaration(self) -> None:
        """c1 CURSOR FOR SELECT …; CURSOR c1 IS SELECT …; res RESULTSET DEFAULT (SELECT …); n INT := 0"""
        end = self.find(frozenset({"BEGIN"}), self.at)
        is_named_first = self.word() == "CURSOR"  # Oracle
        self.at += is_named_first
        place = self.find(frozenset({"FOR", "DEFAULT", ":=", "="} | ({"IS"} if is_named_first else set())), self.at)
        if place < end:
            self.add(DECLARATION, place + 1, end, self.tokens[self.at].text)
        self.at = end

    def take_cursor(self) -> None:
        """T-SQL: DECLARE c CURSOR LOCAL FAST_FORWARD FOR SELECT …, without a semicolon behind it."""
        end = self.find_end(self.at)
        place = self.find(frozenset({"FOR"}), self.at)
        if place < end:
            self.add(DECLARATION, place + 1, end, self.tokens[self.at].text)
        self.at = end

    def take_let(self) -> None:
        """LET x := expression; of Snowflake."""
        self.at += 1
        self.take_declaration()

    def take_return(self) -> None:
        """RETURN QUERY SELECT …, RETURN (SELECT …), RETURN TABLE(SELECT …)."""
        end = self.find_end(self.at)
        start = self.at + 1
        while start < end and self.tokens[start].text.upper() in ("QUERY", "TABLE"):
            start += 1
        if any(token.token_type is TokenType.SELECT for token in self.tokens[start:end]):
            self.add(CONDITION, start, end)
        self.at = end

    def take_execute(self) -> None:
        """EXECUTE IMMEDIATE 'text' [INTO …] [USING …]: a literal is opened, anything else is opaque."""
        place = self.at + 1 + (self.word(1) in ("IMMEDIATE", "SP_EXECUTESQL"))
        end = self.find_end(self.at)
        while place < end and self.tokens[place].token_type is TokenType.L_PAREN:
            place += 1
        texts, place = self.literals(place, end)
        after = self.tokens[place].text.upper() if place < end else ""
        if texts and after in ("", ")", "INTO", "USING", ","):
            self.add_body(texts)
        elif self.word(1) == "IMMEDIATE" or not self.language.rules.optional_semicolons:
            self.pieces.append(self.opaque(end, "the SQL that it runs is not in the text"))
        else:
            self.add(STATEMENT, self.at, end)
        self.at = end

    def literals(self, place: int, end: int) -> tuple[list[Token], int]:
        """'a' || 'b': the literals joined, and the place after them."""
        texts: list[Token] = []
        while place < end and self.tokens[place].token_type in TEXTS:
            texts.append(self.tokens[place])
            place += 1
            if place + 1 < end and self.tokens[place].token_type in (TokenType.DPIPE, TokenType.PLUS):
                place += 1
        return texts, place

    def take_call(self) -> None:
        end = self.find_end(self.at)
        self.pieces.append(self.opaque(end, "what the called procedure reads and writes is not in the text"))
        self.at = end

    def take_do(self) -> None:
        """DO $$ … $$ of PostgreSQL."""
        end = self.end_of_statement(self.at)
        for token in self.tokens[self.at : end]:
            if token.token_type in TEXTS and token.text.strip().lower() not in ("plpgsql",):
                self.add_body([token])
        self.at = end

    def opaque(self, end: int, message: str) -> Piece:
        return Piece(OPAQUE, self.tokens[self.at : end], self.text, self.offset, message=message)

    # --- CREATE

    def take_create(self) -> None:
        """Open what CREATE wraps: procedures, triggers, tasks; everything else is one statement."""
        kind = self.created_kind()
        if kind in ROUTINE_KINDS:
            self.note_routine(kind)
        if kind in ("PROCEDURE", "PROC", "TRIGGER", "EVENT"):
            self.take_routine()
        elif self.language.rules.has_packages and "PACKAGE" in [self.word(ahead) for ahead in range(1, 5)]:
            self.take_package()
        elif kind == "FUNCTION":
            self.take_function()
        elif kind in ("TASK", "ALERT", "PIPE", "FLOW"):
            self.take_after(frozenset({"AS", "THEN"}))
        else:
            self.take_statement()

    def note_routine(self, kind: str) -> None:
        """Keep the name of what is made here: its body stands in the script, so that a call of it hides nothing."""
        place = self.find(frozenset({kind}), self.at) + 1
        if [token.text.upper() for token in self.tokens[place : place + 3]] == ["IF", "NOT", "EXISTS"]:
            place += 3
        self.routines.append(self.package + name_from(self.tokens, place)[0])

    def take_member(self) -> None:
        """PROCEDURE p (…) IS … of a package's body; in the package itself, and ahead of the body, only its head."""
        if not self.language.rules.has_packages:
            self.take_statement()
            return
        if self.find(frozenset({"IS", "AS"}), self.at) < self.end_of_statement(self.at):
            self.note_routine(self.word())
        self.take_routine()

    def take_package(self) -> None:
        """CREATE PACKAGE BODY p AS …: declarations, and procedures and functions that are opened."""
        end = self.end_of_statement(self.at)
        start = self.find(frozenset({"PACKAGE"}), self.at) + 1
        self.package = name_from(self.tokens, start + (self.tokens[start].text.upper() == "BODY"))[0]
        place = self.find(frozenset({"AS", "IS"}), start)
        self.at = min(place + 1, end)
        self.blocks += 1
        self.declares = True

    def created_kind(self) -> str:
        """'CREATE OR REPLACE TEMP FUNCTION f' -> 'FUNCTION'; "" when none of the first words wraps SQL."""
        for ahead in range(1, 8):
            word = self.word(ahead)
            if word in ("PROCEDURE", "PROC", "TRIGGER", "EVENT", "FUNCTION", "TASK", "ALERT", "PIPE", "FLOW"):
                return "" if self.word(ahead - 1) == "TABLE" and word != "FUNCTION" else word
            if word in ("TABLE", "VIEW", "AS", "(") and self.word(ahead + 1) != "FUNCTION":
                return ""
        return ""

    def take_after(self, words: frozenset[str]) -> None:
        """CREATE TASK … AS statement: the statement is what matters."""
        place = self.find(words, self.at)
        if place >= self.size or self.tokens[place].token_type is TokenType.SEMICOLON:
            self.take_statement()
            return
        self.at = place + 1

    def take_routine(self) -> None:
        """CREATE PROCEDURE p(…) … BEGIN | AS BEGIN | AS $$ … $$ | AS statement."""
        stops = frozenset({"BEGIN", "AS", "IS", "DECLARE", "DO"})
        place = self.at
        while True:
            place = self.find(stops, place + 1)
            if place >= self.size or self.tokens[place].token_type is TokenType.SEMICOLON:
                self.take_statement_or_body(place)
                return
            word = self.tokens[place].text.upper()
            before = self.tokens[place - 1].text.upper()
            if word == "AS" and (self.tokens[place - 2].token_type is TokenType.PARAMETER or before in EXECUTES):
                continue  # @p AS INT, EXECUTE AS OWNER
            if word == "AS" and self.is_text(place + 1):
                self.take_statement_or_body(self.end_of_statement(place))
                return
            if word in ("BEGIN", "DECLARE"):
                self.at = place
                return
            self.at = place + 1
            self.declares = self.language.rules.declare_sections and self.word() not in STARTERS
            return

    def take_statement_or_body(self, end: int) -> None:
        """A routine without BEGIN: open the body that is quoted, if its language is SQL."""
        tokens = self.tokens[self.at : end]
        if self.language_of(tokens) not in ("SQL", "PLPGSQL", ""):
            self.pieces.append(self.opaque(end, f"a body in {self.language_of(tokens)} is not read"))
        else:
            for before, token in zip(tokens, tokens[1:], strict=False):
                if token.token_type in TEXTS and before.text.upper() in ("AS", "DO"):
                    self.add_body([token])
        self.at = end

    def language_of(self, tokens: list[Token]) -> str:
        for place, token in enumerate(tokens[:-1]):
            if token.text.upper() == "LANGUAGE":
                return tokens[place + 1].text.upper()
        return ""

    def take_function(self) -> None:
        """A function is no table and moves no data by itself, but a PL/pgSQL one may write."""
        end = self.find_end(self.at)
        tokens = self.tokens[self.at : end]
        spoken = self.language_of(tokens)
        before = len(self.pieces)
        if spoken == "PLPGSQL":
            self.take_statement_or_body(end)
            return
        if spoken in ("SQL", ""):
            self.take_query_function(end)
        else:
            self.at = end
        for piece in self.pieces[before:]:
            if piece.kind == STATEMENT and piece.words(1) != ["CREATE"]:
                piece.kind = CONDITION  # what the function reads goes to its caller

    def take_query_function(self, end: int) -> None:
        """A function in SQL reads the tables of its query."""
        place = self.find(frozenset({"BEGIN", "AS", "IS"}), self.at)
        word = self.tokens[place].text.upper() if place < end else ""
        if word == "BEGIN" or (word and self.language.rules.declare_sections and not self.is_text(place + 1)):
            self.take_routine()
        elif self.language.rules.optional_semicolons and (place := self.find(frozenset({"BEGIN"}), self.at)) < end:
            self.at = place
        elif any(token.token_type is TokenType.SELECT for token in self.tokens[self.at : end]):
            self.add(STATEMENT, self.at, end)
            self.at = end
        else:
            self.take_statement_or_body(end)

    def take_rename(self) -> None:
        """RENAME TABLE a TO b, c TO d: one ALTER TABLE … RENAME TO for each pair; RENAME OBJECT a TO b of Synapse."""
        end = self.find_end(self.at)
        first = self.tokens[self.at]
        place = self.at + 2
        while place < end:
            comma = min(self.find(frozenset({","}), place), end)
            to = self.find(frozenset({"TO"}), place)
            if to >= comma:
                break
            words = ((TokenType.ALTER, "ALTER"), (TokenType.TABLE, "TABLE"))
            front = [Token(kind, text, first.line, first.col, first.start, first.end) for kind, text in words]
            rename = Token(TokenType.VAR, "RENAME", first.line, first.col, first.start, first.end)
            tokens = [*front, *self.tokens[place:to], rename, *self.tokens[to:comma]]
            self.pieces.append(Piece(STATEMENT, tokens, self.text, self.offset))
            place = comma + 1
        self.at = end


CONTROL: dict[str, Callable[[Splitter], None]] = {
    "BEGIN": Splitter.take_begin,
    "END": Splitter.take_end,
    "IF": Splitter.take_condition,
    "ELSEIF": Splitter.take_condition,
    "ELSIF": Splitter.take_condition,
    "WHILE": Splitter.take_condition,
    "UNTIL": Splitter.take_condition,
    "ASSERT": Splitter.take_assertion,
    "ELSE": Splitter.take_word,
    "LOOP": Splitter.take_word,
    "REPEAT": Splitter.take_word,
    "DO": Splitter.take_do,
    "CASE": Splitter.take_handler,
    "WHEN": Splitter.take_handler,
    "EXCEPTION": Splitter.take_handler,
    "FOR": Splitter.take_loop,
    "DECLARE": Splitter.take_declare,
    "RETURN": Splitter.take_return,
    "EXECUTE": Splitter.take_execute,
    "EXEC": Splitter.take_execute,
    "CALL": Splitter.take_call,
    "CREATE": Splitter.take_create,
    "PROCEDURE": Splitter.take_member,
    "FUNCTION": Splitter.take_member,
    "RENAME": Splitter.take_rename,
    "LET": Splitter.take_let,
}
