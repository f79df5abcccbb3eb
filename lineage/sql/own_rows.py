"""A table that is rewritten from its own rows: whether a second run leaves the same rows."""

from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from .effects import Write
from .relations import IDENTITY, TableRelation
from .slices import Ctes, Inserted, Predicate, branches_of, ctes_of, names_in, parts_of, query_of, resolved, slice_of

RANKS = (exp.RowNumber, exp.Rank, exp.DenseRank)
ONE_BY_ONE = ("group", "distinct", "qualify", "joins", "laterals", "limit")  # clauses that may take rows together
OTHERWISE: dict[type, type] = {exp.NEQ: exp.EQ, exp.LT: exp.GTE, exp.LTE: exp.GT, exp.GT: exp.LTE, exp.GTE: exp.LT}


@dataclass(slots=True)
class OwnRows:
    """How a query that fills a table uses the rows that are stored in it; `within` are the conditions that all the rows
    which are replaced meet, those of a partition."""

    script: Any
    tree: Any
    write: Write
    within: frozenset[Predicate]

    def are_the_same_again(self) -> bool | None:
        query, ctes = query_of(self.tree), ctes_of(self.tree, {})
        if self.grow(query, ctes):
            return False
        if self.are_unchanged() and self.are_left_out(query, ctes):
            return True
        return True if self.are_replaced(query, ctes) else None

    # --- growing

    def grow(self, query: Any, ctes: Ctes) -> bool:
        """The query gives all of them and others beside them: a UNION ALL, and nothing behind it that takes rows
        together or leaves some out."""
        ctes = ctes_of(query, ctes)
        if not isinstance(query, exp.Union):
            inner = self.passed_on(query, ctes)
            return inner is not None and not isinstance(inner, exp.Table) and self.grow(inner, ctes)
        if query.args.get("distinct"):
            return False
        sides = ((query.this, query.expression), (query.expression, query.this))
        return any(self.are_kept(one, ctes) and not self.are_read(other, ctes) for one, other in sides) or any(
            self.grow(one, ctes) for one, _ in sides
        )

    def are_kept(self, query: Any, ctes: Ctes) -> bool:
        """Every one of them is a row of the query's."""
        ctes = ctes_of(query, ctes)
        inner = self.passed_on(query, ctes)
        if isinstance(inner, exp.Table):
            return self.is_own(inner)
        return inner is not None and self.are_kept(inner, ctes)

    def passed_on(self, query: Any, ctes: Ctes) -> Any:
        """What a SELECT takes its rows from, one by one: a query or a table; None where it joins, filters or groups."""
        if isinstance(query, exp.Subquery):
            return query.this
        from_ = query.args.get("from_") if isinstance(query, exp.Select) else None
        if from_ is None or any(query.args.get(key) for key in ONE_BY_ONE):
            return None
        where = query.args.get("where")
        asked = slice_of(self.script, where.this) if where is not None else ()
        if where is not None and not (asked and self.within.issuperset(asked)):
            return None
        return resolved(from_.this, ctes)

    def are_read(self, query: Any, ctes: Ctes, seen: frozenset[str] = frozenset()) -> bool:
        """By the query or by a CTE that it names."""
        for table in query.find_all(exp.Table):
            name = table.name.lower() if not table.args.get("db") else ""
            if name in ctes and name not in seen:
                if self.are_read(ctes[name], ctes, seen | {name}):
                    return True
            elif self.is_own(table):
                return True
        return False

    def is_own(self, table: Any) -> bool:
        return bool(self.script.target_name(table) == self.write.target)

    # --- leaving some out: what a second run is given, it gives again

    def are_unchanged(self) -> bool:
        """Each column is the stored one, or comes from no table."""
        own = self.write.target
        return all([*flow] in ([], [(own, name, None, IDENTITY)]) for name, flow, _ in self.write.columns) and all(
            isinstance(star.relation, TableRelation) and star.relation.table == own for star in self.write.stars
        )

    def are_left_out(self, query: Any, ctes: Ctes) -> bool:
        """Some of them are, by conditions on a single row or as the later ones by a rank; nothing else is read."""
        if isinstance(query, exp.Subquery):
            return self.are_left_out(query.this, ctes_of(query, ctes))
        if isinstance(query, exp.Table):
            return self.is_own(query)
        from_ = query.args.get("from_") if isinstance(query, exp.Select) else None
        if from_ is None or any(query.args.get(key) for key in ("group", "joins", "laterals", "limit", "having")):
            return False
        ctes = ctes_of(query, ctes)
        source = resolved(from_.this, ctes)
        ranks = windows_of(query) | windows_of(source)
        conditions = [part for key in ("where", "qualify") for part in parts_of(query.args.get(key))]
        return all(self.holds_again(part, ranks, ctes) for part in conditions) and self.are_left_out(source, ctes)

    def holds_again(self, condition: Any, windows: dict[str, Any], ctes: Ctes) -> bool:
        """Of a row that was kept, whatever became of the others."""
        asked = [windows[c.name.lower()] for c in condition.find_all(exp.Column) if c.name.lower() in windows]
        asked += condition.find_all(exp.Window)
        if not asked:
            names = {table.name.lower() for table in condition.find_all(exp.Table)}
            return not (names & set(ctes) or self.write.target in names_in(self.script, condition))
        is_bounded = isinstance(condition, exp.LT | exp.LTE) and isinstance(condition.expression, exp.Literal)
        is_first = isinstance(condition, exp.EQ) and condition.expression.name == "1"
        left = condition.this if is_first or is_bounded else None
        is_bare = isinstance(left, exp.Window) or (isinstance(left, exp.Column) and left.name.lower() in windows)
        return is_bare and len(asked) == 1 and isinstance(asked[0].this, RANKS)

    # --- replacing a slice

    def are_replaced(self, query: Any, ctes: Ctes) -> bool:
        """The query gives all of them but a slice, or but those that another table has, and beside them nothing else
        than rows of that slice, or of that table."""
        while not isinstance(query, exp.Union):
            ctes, query = ctes_of(query, ctes), self.passed_on(query, ctes_of(query, ctes))
            if query is None or isinstance(query, exp.Table):
                return False
        sides = list(branches_of(query, ctes))
        stored = [side for side in sides if self.are_read(*side)]
        others = [side for side in sides if side not in stored]
        return len(stored) == 1 and bool(others) and self.make_room(*stored[0], others)

    def make_room(self, kept: Any, ctes: Ctes, others: list[tuple[Any, Ctes]]) -> bool:
        """The stored rows that a branch keeps, as they are, are none of the others' kind."""
        source = resolved(kept.args["from_"].this, ctes) if kept.args.get("from_") is not None else None
        if not self.are_columns(kept) or any(kept.args.get(key) for key in ("group", "distinct", "laterals", "limit")):
            return False
        if not isinstance(source, exp.Table):
            inner = source.this if isinstance(source, exp.Subquery) else source
            is_plain = isinstance(inner, exp.Select) and not kept.args.get("where") and not kept.args.get("joins")
            return is_plain and self.make_room(inner, ctes_of(inner, ctes), others)
        parts = list(parts_of(kept.args.get("where")))
        if not self.is_own(source) or len(parts) != 1:
            return False
        given = missing_from(self.script, kept, parts[0])
        if given is not None:
            return all(is_read_from(self.script, other, given) for other, _ in others)
        slice_ = () if kept.args.get("joins") else slice_of(self.script, otherwise(parts[0]))
        inserted = Inserted(self.script, self.tree, self.write)
        return bool(slice_) and all(inserted.branch_lies_in(slice_, *other) is True for other in others)

    def are_columns(self, query: exp.Select) -> bool:
        """The select list is one star, or the target's columns under their own names."""
        items = query.expressions
        if len(items) == 1 and items[0].is_star:
            star = items[0].this if isinstance(items[0], exp.Column) else items[0]
            return not star.args.get("replace") and not star.args.get("rename") and not star.args.get("except_")
        names = [name for name, _, _ in self.write.columns]
        column = self.script.language.column
        return [column(i.this) if isinstance(i, exp.Column) else None for i in items] == names


def windows_of(query: Any) -> dict[str, Any]:
    """The window functions of a select list, by alias."""
    inner = query.this if isinstance(query, exp.Subquery) else query
    items = inner.expressions if isinstance(inner, exp.Select) else []
    return {i.alias.lower(): i.this for i in items if isinstance(i, exp.Alias) and isinstance(i.this, exp.Window)}


def otherwise(condition: Any) -> Any:
    """The condition of the rows that another one leaves out."""
    if isinstance(condition, exp.Not):
        return condition.this.unnest()
    opposite = OTHERWISE.get(condition.__class__)
    if opposite is None:
        return None
    return opposite(this=condition.this.copy(), expression=condition.expression.copy())


def missing_from(script: Any, kept: exp.Select, condition: Any) -> str | None:
    """The table whose rows the kept ones have no match in: k NOT IN (SELECT k FROM s), NOT EXISTS (SELECT … FROM s …),
    LEFT JOIN s … WHERE s.k IS NULL."""
    joins = kept.args.get("joins") or []
    if isinstance(condition, exp.Is) and isinstance(condition.expression, exp.Null):
        is_left = len(joins) == 1 and (joins[0].side or "").upper() == "LEFT"
        source = joins[0].this if is_left and condition.this.table == joins[0].alias_or_name else None
    elif isinstance(condition, exp.Not) and not joins:
        inner = condition.this
        query = inner.args.get("query") if isinstance(inner, exp.In) else inner.this
        query = query.unnest() if isinstance(query, exp.Subquery) else query
        from_ = query.args.get("from_") if isinstance(query, exp.Select) and not query.args.get("joins") else None
        is_whole = from_ is not None and (isinstance(inner, exp.Exists) or not query.args.get("where"))
        source = from_.this if from_ is not None and is_whole else None
    else:
        return None
    return script.target_name(source) if isinstance(source, exp.Table) else None


def is_read_from(script: Any, query: exp.Select, table: str) -> bool:
    """A branch gives rows of that table, joined to nothing."""
    from_ = query.args.get("from_")
    is_alone = from_ is not None and not query.args.get("joins") and not query.args.get("laterals")
    return is_alone and isinstance(from_.this, exp.Table) and script.target_name(from_.this) == table
