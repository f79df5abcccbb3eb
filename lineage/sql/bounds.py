"""Bounds on one statement's tokens, checked before a parser that recurses sees them; literal lists are cut."""

from sqlglot.tokens import Token, TokenType

MAX_TOKENS = 400_000  # of one statement, after long literal lists are cut
MAX_DEPTH = 120  # brackets and CASEs inside each other
MAX_INDEXES = 200  # a[0][0]…
MAX_RUN = 1_000  # operators in front of one operand
MAX_OPEN_JOINS = 12  # JOINs without ON: the parser reads what follows one twice, to see whether an ON comes for it
MAX_OPEN_FROMS = 12  # queries inside each other that begin with FROM: where one does not fit, each is read twice
LONG_LIST = 20_000  # a statement with more tokens than this has its literal lists cut

OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE})
CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END})


class TooLarge(Exception):
    """A bound was passed: (code, message)."""


def bounded(tokens: list[Token], has_many_brackets: bool, has_many_joins: bool, has_many_froms: bool) -> list[Token]:
    """The tokens to parse, long literal lists cut. Raises TooLarge."""
    if len(tokens) > LONG_LIST:
        tokens = cut_lists(tokens)
    if len(tokens) > MAX_TOKENS:
        raise TooLarge("too_large", f"{len(tokens):,} tokens; at most {MAX_TOKENS:,} are read")
    if has_many_brackets or len(tokens) > MAX_RUN:
        check_depth(tokens)
    if has_many_joins:
        check_joins(tokens)
    if has_many_froms:
        check_froms(tokens)
    return tokens


def check_depth(tokens: list[Token]) -> None:
    """Raise TooLarge before a parser that recurses would. Most tokens are passed over at once."""
    marked = [kind for kind in [token.token_type for token in tokens] if kind in MARKED]
    check_brackets(marked)
    if len(marked) > MAX_RUN:
        check_runs(tokens)
    if marked.count(TokenType.L_BRACKET) > MAX_INDEXES:
        check_indexes(tokens)


def check_brackets(marked: list[TokenType]) -> None:
    depth = 0
    for kind in marked:
        if kind in OPENING:
            depth += 1
            if depth > MAX_DEPTH:
                raise TooLarge("too_deep", f"brackets nested deeper than {MAX_DEPTH}")
        elif kind in CLOSING:
            depth -= depth > 0


def check_runs(tokens: list[Token]) -> None:
    run = 0
    for token in tokens:
        run = run + 1 if token.token_type in PREFIXES else 0
        if run > MAX_RUN:
            raise TooLarge("too_deep", f"more than {MAX_RUN} operators in a row")


def check_indexes(tokens: list[Token]) -> None:
    """sqlglot reads the whole chain a[0][0]… again for each of its indexes."""
    kinds = [token.token_type for token in tokens]
    pairs = zip(kinds, kinds[1:], strict=False)
    if sum(pair == (TokenType.R_BRACKET, TokenType.L_BRACKET) for pair in pairs) > MAX_INDEXES:
        raise TooLarge("too_deep", f"more than {MAX_INDEXES} indexes behind indexes")


def check_froms(tokens: list[Token]) -> None:
    """A query may begin with FROM: sqlglot tries that at each bracket, and at LATERAL, which nothing closes."""
    begins_with_from: list[bool] = []  # by bracket
    laterals = 0
    for token, following in zip(tokens, tokens[1:], strict=False):
        kind = token.token_type
        if kind is TokenType.L_PAREN:
            begins_with_from.append(following.token_type is TokenType.FROM)
        elif kind is TokenType.R_PAREN and begins_with_from:
            begins_with_from.pop()
        elif kind is TokenType.LATERAL:
            laterals += following.token_type is TokenType.FROM
        if sum(begins_with_from) + laterals > MAX_OPEN_FROMS:
            raise TooLarge("too_deep", f"more than {MAX_OPEN_FROMS} queries that begin with FROM inside each other")


def check_joins(tokens: list[Token]) -> None:
    """Raise TooLarge where JOINs that wait for an ON would double the parser's work too often.

    Those of the queries around one count too. NATURAL and CROSS JOIN wait for none.
    """
    waiting = [0]  # by bracket
    before = None
    for token in tokens:
        kind = token.token_type
        if kind not in JOINING:
            before = kind
            continue
        if kind is TokenType.L_PAREN:
            waiting.append(0)
        elif kind is TokenType.R_PAREN and len(waiting) > 1:
            waiting.pop()
        elif kind is TokenType.SELECT or kind is TokenType.WHERE:
            waiting[-1] = 0
        elif kind is TokenType.ON or kind is TokenType.USING:
            waiting[-1] -= waiting[-1] > 0
        elif kind is TokenType.JOIN and before is not TokenType.NATURAL and before is not TokenType.CROSS:
            waiting[-1] += 1
            if sum(waiting) > MAX_OPEN_JOINS:
                raise TooLarge("too_deep", f"more than {MAX_OPEN_JOINS} JOINs without ON")
        before = kind


JOINING = frozenset(
    {
        TokenType.L_PAREN,
        TokenType.R_PAREN,
        TokenType.SELECT,
        TokenType.WHERE,
        TokenType.ON,
        TokenType.USING,
        TokenType.JOIN,
    }
)
PREFIX_NAMES = (
    "NOT",
    "DASH",
    "PLUS",
    "TILDE",
    "BANG",
    "SELECT",
    "DESCRIBE",
    "EXISTS",
    "INTERVAL",
    "CASE",
    "ANY",
    "ALL",
    "DISTINCT",
)
PREFIXES = frozenset(kind for kind in TokenType if kind.name in PREFIX_NAMES) | OPENING
MARKED = PREFIXES | CLOSING


def cut_lists(tokens: list[Token]) -> list[Token]:
    """Drop all but the first of equal neighbours in long literal lists: they cannot change lineage.

    x IN (1, 2, 3)                ->  x IN (1)
    VALUES (1, 'a'), (2, 'b')     ->  VALUES (1, 'a')
    """
    kept: list[Token] = []
    place, size, comma = 0, len(tokens), TokenType.COMMA
    while place < size:
        token = tokens[place]
        if token.token_type is comma and kept:
            after = skip_literals(tokens, place, size, kept)
            if after > place:
                place = after
                continue
        kept.append(token)
        place += 1
    return kept


LITERALS = frozenset(
    {TokenType.NUMBER, TokenType.STRING, TokenType.NULL, TokenType.TRUE, TokenType.FALSE, TokenType.RAW_STRING}
)
AROUND = frozenset({TokenType.COMMA, TokenType.R_PAREN, TokenType.R_BRACKET})


def skip_literals(tokens: list[Token], comma: int, size: int, kept: list[Token]) -> int:
    """The place after ", literal" or ", (literals)" when it repeats what was kept just before; else `comma`."""
    last = kept[-1].token_type
    place = comma + 1
    if place >= size:
        return comma
    if last in LITERALS and tokens[place].token_type in LITERALS:
        before = kept[-2].token_type if len(kept) > 1 else None
        is_list = before in (TokenType.L_PAREN, TokenType.L_BRACKET) and is_in_list(kept)
        return place + 1 if is_list and place + 1 < size and tokens[place + 1].token_type in AROUND else comma
    if last is TokenType.R_PAREN and tokens[place].token_type is TokenType.L_PAREN:
        place += 1
        while place < size and tokens[place].token_type in ROW_TOKENS:
            place += 1
        is_row = place < size and tokens[place].token_type is TokenType.R_PAREN
        return place + 1 if is_row and is_values_row(kept) else comma
    return comma


ROW_TOKENS = LITERALS | {TokenType.COMMA, TokenType.DASH}


def is_in_list(kept: list[Token]) -> bool:
    """The bracket two tokens back belongs to IN ( or is an array [."""
    return kept[-2].token_type is TokenType.L_BRACKET or (len(kept) > 2 and kept[-3].token_type is TokenType.IN)


def is_values_row(kept: list[Token]) -> bool:
    """The row that was kept last follows VALUES directly."""
    place, depth = len(kept) - 1, 0
    while place >= 0 and len(kept) - place < 2_000:
        kind = kept[place].token_type
        depth += (kind is TokenType.R_PAREN) - (kind is TokenType.L_PAREN)
        if depth == 0:
            return place > 0 and kept[place - 1].token_type is TokenType.VALUES
        place -= 1
    return False
