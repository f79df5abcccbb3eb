"""`differences`: what changed from one text of a script to the next, in words.

    … WHERE status = 'paid'   ->   … WHERE status = 'paid' AND NOT is_test
    ("WHERE condition added: NOT is_test",)

Statements are paired by what they write, queries by their names, clauses by their place. Where both sides have a part,
`sqlglot.diff` tells whether only names and values in it are others. Its cost grows with the product of both trees, so
that it is asked for parts, never for whole scripts.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import zip_longest

import sqlglot
from sqlglot import exp
from sqlglot.diff import Update
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from .dialects import Language, language
from .parse import Unread, parse_piece
from .tokens import OPAQUE, split

MOST_NODES = 400  # of a part that is compared node by node
LONGEST = 160  # characters of SQL in a sentence
_CONDITIONS = {"where": "WHERE", "having": "HAVING", "qualify": "QUALIFY"}
_WHOLE = {"distinct": "DISTINCT", "group": "GROUP BY", "order": "ORDER BY", "limit": "LIMIT"}
_LEAVES = (exp.Column, exp.Literal, exp.Table, exp.DataType, exp.Boolean, exp.Var)
_PLACES = (exp.From, exp.Join, exp.CTE, exp.With, exp.Subquery, exp.SetOperation, exp.Lateral)


def differences(before: str, after: str, dialect: str | None = None) -> tuple[str, ...]:
    """Sentences on what the second text does otherwise; () where both say the same but for layout and comments.

    What cannot be read is said as well.
    """
    try:
        spoken = language(dialect)
    except ValueError:
        spoken = language("")
    (old, unread_before), (new, unread_now) = _statements(before, spoken), _statements(after, spoken)
    pairs = list(_paired(old, new))
    teller = _Teller(spoken, is_script=max(len(old), len(new)) > 1)
    words = [sentence for was, now in pairs for sentence in teller.of_statement(was, now)]
    if unread_before != unread_now:
        words.append(f"{unread_now} statement{'s' * (unread_now != 1)} cannot be read, {unread_before} before")
    elif unread_now:
        words.append(f"{unread_now} statement{'s' * (unread_now != 1)} cannot be read and may be another")
    return tuple(dict.fromkeys(words))


def _statements(sql: str, spoken: Language) -> tuple[list[exp.Expression], int]:
    """The trees of the statements that move data, and the number of those that cannot be read."""
    trees, unread = [], 0
    for piece in split(sql, spoken):
        try:
            tree = None if piece.kind == OPAQUE else parse_piece(piece, spoken)
            unread += piece.kind == OPAQUE
        except Unread:
            tree, unread = None, unread + 1
        if tree is not None:
            trees.append(normalize_identifiers(tree, dialect=spoken.dialect))
    return trees, unread


def _paired(
    old: list[exp.Expression], new: list[exp.Expression]
) -> Iterator[tuple[exp.Expression | None, exp.Expression | None]]:
    """Statements that differ, in the new order: by equal kind and target first, then by target alone."""
    left = [tree for tree in old if tree not in new]
    changed = [tree for tree in new if tree not in old]
    for key in (lambda tree: (type(tree), _target(tree)), _target):
        by_key: dict[object, list[exp.Expression]] = defaultdict(list)
        for tree in left:
            by_key[key(tree)].append(tree)
        for tree in list(changed):
            if same := by_key[key(tree)]:
                was = same.pop(0)
                left = [each for each in left if each is not was]
                changed = [each for each in changed if each is not tree]
                yield was, tree
    yield from zip_longest(left, (), fillvalue=None)
    yield from ((None, tree) for tree in changed)


def _target(tree: exp.Expression) -> str:
    """The table that a statement writes, "" for a bare query."""
    if isinstance(tree, exp.Query):
        return ""
    table = tree.this if isinstance(tree.this, exp.Table) else tree.find(exp.Table)
    return table.sql() if table is not None else ""


class _Teller:
    """Says what differs, in one dialect; `is_script` names the statement as well."""

    def __init__(self, spoken: Language, is_script: bool) -> None:
        self.dialect = spoken.dialect
        self.is_script = is_script

    def of_statement(self, was: exp.Expression | None, now: exp.Expression | None) -> Iterator[str]:
        if was is None or now is None:
            yield f"statement {'added' if was is None else 'removed'}: {self.head(was or now)}"
            return
        found = list(self.of_pair(was, now)) or ["changed in a way that only the text shows"]
        where = f"{self.head(now)}: " if self.is_script else ""
        yield from (f"{where}{sentence}" for sentence in found)

    def of_pair(self, was: exp.Expression, now: exp.Expression) -> Iterator[str]:
        if self.head(was) != self.head(now):
            yield f"is now {self.head(now)} instead of {self.head(was)}"
        if not isinstance(now, exp.Query):
            yield from self.of_conditions(was, now)
            yield from self.of_actions(was, now)
        old, new = _queries(was), _queries(now)
        for name in dict.fromkeys([*old, *new]):
            where = f"in {name}: " if name else ""
            if name not in new or name not in old:
                yield f"query {name or 'body'} {'added' if name in new else 'removed'}"
            elif old[name] != new[name]:
                yield from (f"{where}{sentence}" for sentence in self.of_query(old[name], new[name]))

    def of_actions(self, was: exp.Expression, now: exp.Expression) -> Iterator[str]:
        """What UPDATE sets, and what MERGE does when."""
        old, new = _actions(was), _actions(now)
        yield from (f"{self.sql(each)} added" for each in new if each not in old)
        yield from (f"{self.sql(each)} removed" for each in old if each not in new)

    def head(self, tree: exp.Expression) -> str:
        """How a statement begins: "INSERT INTO mart.sales"."""
        if isinstance(tree, exp.Query):
            return "SELECT"
        words = [tree.key.upper()]
        if isinstance(tree, exp.Create):
            words = [
                *(["CREATE OR REPLACE"] if tree.args.get("replace") else ["CREATE"]),
                str(tree.args.get("kind", "")),
            ]
        elif isinstance(tree, exp.Insert):
            words = ["INSERT OVERWRITE" if tree.args.get("overwrite") else "INSERT INTO"]
        return " ".join(filter(None, [*words, _target(tree)]))

    def of_query(self, was: exp.Select, now: exp.Select) -> Iterator[str]:
        yield from self.of_columns(was, now)
        yield from self.of_sources(was, now)
        yield from self.of_conditions(was, now)
        for key, word in _WHOLE.items():
            yield from self.of_whole(word, was.args.get(key), now.args.get(key))

    def of_columns(self, was: exp.Select, now: exp.Select) -> Iterator[str]:
        old, new = ({self.name(item): item for item in query.expressions} for query in (was, now))
        for name in dict.fromkeys([*new, *old]):
            if name not in old:
                yield f"column {name} added{self.made_of(new[name])}"
            elif name not in new:
                yield f"column {name} removed"
            elif old[name] != new[name]:
                yield self.of_column(name, old[name].unalias(), new[name].unalias())

    def of_column(self, name: str, was: exp.Expression, now: exp.Expression) -> str:
        swaps = self.swaps(was, now)
        if swaps and all(isinstance(end, exp.Column) for swap in swaps for end in swap):
            return f"column {name} now reads {self.as_words(swaps)}"
        was, now = self.narrowed(was, now)
        return f"column {name} is now {self.sql(now)} instead of {self.sql(was)}"

    def narrowed(self, was: exp.Expression, now: exp.Expression) -> tuple[exp.Expression, exp.Expression]:
        """Of expressions too long to be shown, the parts that differ, as long as that is one."""
        while type(was) is type(now) and max(len(self.whole(each)) for each in (was, now)) > LONGEST:
            pairs = [pair for pair in zip_longest(was.iter_expressions(), now.iter_expressions()) if pair[0] != pair[1]]
            if len(pairs) != 1 or None in pairs[0]:
                break
            was, now = pairs[0]
        return was, now

    def made_of(self, item: exp.Expression) -> str:
        return f": {self.sql(item.unalias())}" if isinstance(item, exp.Alias) else ""

    def of_sources(self, was: exp.Select, now: exp.Select) -> Iterator[str]:
        """Tables read, and how they are joined, by alias; a table under another alias is told as another."""
        old, new = self.sources(was), self.sources(now)
        gone, come = ([alias for alias in one if alias not in other] for one, other in ((old, new), (new, old)))
        if len(gone) == len(come) == 1 and self.how(old[gone[0]]) == self.how(new[come[0]]):
            yield f"reads {self.table(new[come[0]])} instead of {self.table(old[gone[0]])}"
            del old[gone[0]], new[come[0]]
        for alias in dict.fromkeys([*old, *new]):
            if alias not in old:
                yield f"{self.joined(new[alias])} added"
            elif alias not in new:
                yield f"{self.joined(old[alias])} removed"
            else:
                yield from self.of_source(alias, old[alias], new[alias])

    def of_source(self, alias: str, was: exp.Expression, now: exp.Expression) -> Iterator[str]:
        old, new = self.table(was), self.table(now)
        if old != new:
            yield f"reads {new} instead of {old}"
        if (how := self.how(now)) != (before := self.how(was)):
            yield f"{alias} is now read by {how} instead of {before}"
        yield from self.of_condition(f"JOIN {alias} condition", was.args.get("on"), now.args.get("on"))
        if was.args.get("using") != now.args.get("using"):
            yield f"JOIN {alias} is now {self.sql(now)} instead of {self.sql(was)}"

    def sources(self, query: exp.Select) -> dict[str, exp.Expression]:
        first = query.args.get("from_") or query.args.get("from")
        nodes = [first] if first is not None else []
        return {node.this.alias_or_name or self.sql(node.this): node for node in [*nodes, *query.args.get("joins", ())]}

    def table(self, node: exp.Expression) -> str:
        """The table of FROM or JOIN; of a sub-query only its name, since it is compared by itself."""
        return node.this.alias_or_name if isinstance(node.this, exp.Subquery) else self.sql(_without_alias(node.this))

    def how(self, node: exp.Expression) -> str:
        if isinstance(node, exp.From):
            return "FROM"
        parts = [node.args.get(key) for key in ("method", "side", "kind")]
        return " ".join([*(str(part).upper() for part in parts if part and str(part).upper() != "INNER"), "JOIN"])

    def joined(self, node: exp.Expression) -> str:
        on = node.args.get("on")
        return f"{self.how(node)} {self.table(node)}" + (f" ON {self.sql(on)}" if on is not None else "")

    def of_conditions(self, was: exp.Expression, now: exp.Expression) -> Iterator[str]:
        for key, word in _CONDITIONS.items():
            old, new = (tree.args.get(key) for tree in (was, now))
            yield from self.of_condition(f"{word} condition", old and old.this, new and new.this)

    def of_condition(self, what: str, was: exp.Expression | None, now: exp.Expression | None) -> Iterator[str]:
        """Conditions that AND ties together, one by one."""
        old, new = _conjuncts(was), _conjuncts(now)
        gone = [each for each in old if each not in new]
        added = [each for each in new if each not in old]
        for before in list(gone):
            if after := next((each for each in added if len(self.swaps(before, each)) == 1), None):
                yield f"{what} changed: {self.sql(after)} instead of {self.sql(before)}"
                gone.remove(before)
                added.remove(after)
        yield from (f"{what} added: {self.sql(each)}" for each in added)
        yield from (f"{what} removed: {self.sql(each)}" for each in gone)

    def of_whole(self, word: str, was: exp.Expression | None, now: exp.Expression | None) -> Iterator[str]:
        if was == now:
            return
        if was is None or now is None:
            shown = self.sql(now or was)
            yield f"{shown if shown.upper().startswith(word) else word} {'added' if was is None else 'removed'}"
        else:
            yield f"now {self.sql(now)} instead of {self.sql(was)}"

    def swaps(self, was: exp.Expression, now: exp.Expression) -> list[tuple[exp.Expression, exp.Expression]]:
        """The names and values that are others, where that is all that differs; else nothing."""
        if isinstance(was, _LEAVES) and type(was) is type(now):
            return [(was, now)]
        if max(sum(1 for _ in tree.walk()) for tree in (was, now)) > MOST_NODES:
            return []
        edits = sqlglot.diff(was, now, delta_only=True, f=0, t=0)  # alike enough, whatever the share: they are a pair
        if not all(isinstance(edit, Update) for edit in edits):
            return []
        pairs = [(edit.source, edit.target) for edit in edits if isinstance(edit.source, _LEAVES)]
        return pairs if len(pairs) == len(edits) else []

    def as_words(self, swaps: Iterable[tuple[exp.Expression, exp.Expression]]) -> str:
        return ", ".join(dict.fromkeys(f"{self.sql(now)} instead of {self.sql(was)}" for was, now in swaps))

    def name(self, item: exp.Expression) -> str:
        return item.alias_or_name or self.sql(item)

    def sql(self, node: exp.Expression) -> str:
        text = self.whole(node)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"

    def whole(self, node: exp.Expression) -> str:
        return node.sql(dialect=self.dialect, comments=False)


def _queries(tree: exp.Expression) -> dict[str, exp.Select]:
    """The queries of a statement by name: a CTE's or sub-query's, "" for its body; those in expressions are left out,
    since they are compared with what holds them."""
    found: dict[str, exp.Select] = {}
    for query in tree.find_all(exp.Select):
        if (name := _name_of(query)) is None:
            continue
        numbered, number = name, 1
        while numbered in found:
            number += 1
            numbered = f"{name or 'branch'} {number}"
        found[numbered] = query
    return found


def _name_of(query: exp.Select) -> str | None:
    names, node = [], query.parent
    while node is not None and not isinstance(node, exp.DML | exp.DDL):
        if isinstance(node, exp.CTE | exp.Subquery) and node.alias:
            names.append(node.alias)
        elif not isinstance(node, (*_PLACES, exp.Select)):
            return None
        node = node.parent
    return ".".join(reversed(names))


def _actions(tree: exp.Expression) -> list[exp.Expression]:
    if isinstance(tree, exp.Merge):
        return list(tree.args["whens"].expressions)
    return list(tree.expressions) if isinstance(tree, exp.Update) else []


def _without_alias(table: exp.Expression) -> exp.Expression:
    bare = table.copy()
    bare.set("alias", None)
    return bare


def _conjuncts(condition: exp.Expression | None) -> list[exp.Expression]:
    if condition is None:
        return []
    return list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
