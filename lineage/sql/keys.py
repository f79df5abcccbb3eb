"""Whether a MERGE's source has one row for each key that ON compares."""

from typing import Any

from sqlglot import exp

from .slices import Ctes, branches_of, comparisons_in, ctes_of, parts_of, query_of, resolved, text_of


def keys_of(script: Any, tree: exp.Merge) -> set[str]:
    """The source's columns that ON compares for equality with the target's."""
    alias = tree.args["using"].alias_or_name
    found: set[str] = set()
    on = tree.args["on"]
    while isinstance(on, exp.Paren):
        on = on.this
    for part in on.flatten() if isinstance(on, exp.And) else [on]:
        if isinstance(part, exp.EQ):
            sides = [side for side in (part.this, part.expression) if isinstance(side, exp.Column)]
            found |= {
                script.language.column(s.this) for s in sides if len(sides) == 2 and s.table.lower() == alias.lower()
            }
    return found


def is_unique(script: Any, tree: exp.Merge, keys: set[str]) -> bool:
    """The source's query has one row for each key."""
    return has_key(script, tree.args["using"], {key.lower() for key in keys}, ctes_of(tree, {}))


def has_key(script: Any, source: Any, keys: set[str], ctes: Ctes) -> bool:
    """A sub-query, CTE or temp table that is grouped, made distinct or cut to row number one by no more than the keys,
    or that only passes such rows on."""
    if isinstance(source, exp.Table):
        name = source.name.lower()
        temp = script.temps.get(script.target_name(source))
        if name in ctes and not source.args.get("db"):
            source, ctes = ctes[name], {key: query for key, query in ctes.items() if key != name}
        elif temp is not None and len(temp.trees) == 1:
            source = query_of(temp.trees[0])
    branches = list(branches_of(source, ctes))
    if len(branches) != 1:
        return False
    query, known = branches[0]
    items = {item.alias.lower(): item.this for item in query.expressions if isinstance(item, exp.Alias)}
    behind = keys | {text_of(items[key]) for key in keys if key in items}
    group, qualify = query.args.get("group"), query.args.get("qualify")
    if group is not None:
        return bool(group.expressions) and all(term_name(term, query) in behind for term in group.expressions)
    distinct = query.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is not None:
        on = distinct.args["on"]
        return all(term_name(term, query) in behind for term in (on.expressions or [on.unnest()]))
    if distinct is not None:
        return all(item.alias_or_name.lower() in keys for item in query.expressions)
    ones = [part.this for part in parts_of(qualify) if isinstance(part, exp.EQ) and text_of(part.expression) == "1"]
    if any(is_row_number(one, behind, query) for one in ones):
        return True
    return passes_on(script, query, keys, items, known)


def is_row_number(node: Any, keys: set[str], query: exp.Select) -> bool:
    """ROW_NUMBER() OVER (PARTITION BY keys, or some of them)"""
    if not isinstance(node, exp.Window) or not isinstance(node.this, exp.RowNumber):
        return False
    return all(term_name(term, query) in keys for term in node.args.get("partition_by") or ())


def passes_on(script: Any, query: exp.Select, keys: set[str], items: dict[str, Any], ctes: Ctes) -> bool:
    """One source, not joined, whose keys come through under a name: unique already, or cut to row number one here."""
    from_ = query.args.get("from_")
    if from_ is None or query.args.get("joins") or query.args.get("laterals"):
        return False
    inner_keys = {inner_name(key, items) for key in keys}
    if "" in inner_keys:
        return False
    for left, operator, value in comparisons_in(script, query.args.get("where")):
        if isinstance(left, exp.Column) and (operator, value) == ("EQ", "1"):
            for inner, _ in branches_of(resolved(from_.this, ctes), ctes):
                made = next((item.this for item in inner.expressions if item.alias.lower() == left.name.lower()), None)
                if is_row_number(made, inner_keys, inner):
                    return True
    is_derived = isinstance(from_.this, exp.Subquery) or from_.this.name.lower() in ctes
    return is_derived and has_key(script, from_.this, inner_keys, ctes)


def inner_name(key: str, items: dict[str, Any]) -> str:
    """What a key is called in the source; "" where it is made here."""
    made = items.get(key)
    if made is None:
        return key
    return made.name.lower() if isinstance(made, exp.Column) else ""


def term_name(term: Any, query: exp.Select) -> str:
    """A GROUP BY term as text; a position stands for its item."""
    if isinstance(term, exp.Literal) and term.is_int and 0 < int(term.this) <= len(query.expressions):
        term = query.expressions[int(term.this) - 1].unalias()
    if isinstance(term, exp.Column):
        return term.name.lower()
    return text_of(term)
