"""Dotted names of tables as SQL: `a."b.c".d` in its parts, and as quoted identifiers of a dialect."""

from __future__ import annotations

from sqlglot import exp


def parts_of(name: str) -> list[str]:
    """A dotted name in its parts; one in double quotes may hold dots."""
    parts, rest = [], name
    while rest:
        if rest.startswith('"') and '"' in rest[1:]:
            part, _, rest = rest[1:].partition('"')
            rest = rest.removeprefix(".")
        else:
            part, _, rest = rest.partition(".")
        parts.append(part)
    return parts


def identifier(dialect: str, name: str) -> exp.Table:
    """A dotted name as quoted identifiers. ValueError where it has more parts than the dialect takes."""
    parts = parts_of(name)
    if dialect == "mysql":
        parts = parts[-2:]  # a server is one catalog: what stands before the database is this catalog's word
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise ValueError(f"{name} has {len(parts)} parts, which {dialect or 'no dialect'} takes for no table.")
    if any("\x00" in part or "\n" in part for part in parts):
        raise ValueError(f"{name!r} holds characters that no script should carry.")
    this, db, catalog = (*reversed(parts), None, None)[:3]
    quoted = {key: exp.to_identifier(part, quoted=True) for key, part in (("db", db), ("catalog", catalog)) if part}
    return exp.Table(this=exp.to_identifier(this, quoted=True), **quoted)
