"""Which table of the catalog a logged name means. A name that may mean several means none: it stays a seen name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from catalog.models import Column, Source, Table

_AT_ONCE = 500


def match_names(source: Source, candidates: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Table ids by logged name, for the names that mean exactly one table.

    `candidates` are the full names that a logged name may stand for, the likeliest first: the first that the source
    has counts, else the one that a single other source has (a warehouse's log also names tables of the lake). What is
    left may differ in case, or in how much of the front of the name is written. Few queries; the last step reads the
    names of the source once.
    """
    wanted = {name for names in candidates.values() for name in names}
    here, elsewhere = _tables_called(source, wanted)
    found: dict[str, int] = {}
    for logged, names in candidates.items():
        own = [here[name] for name in names if name in here]
        others = {table for name in names if name.count(".") for table in elsewhere.get(name, ())}
        if own or len(others) == 1:
            found[logged] = own[0] if own else others.pop()
    return found | _by_end(source, {logged: names for logged, names in candidates.items() if logged not in found})


def match_columns(table_ids: Iterable[int]) -> dict[tuple[int, str], int]:
    """Column ids by (table id, column name in lower case)."""
    found: dict[tuple[int, str], int] = {}
    ids = sorted(set(table_ids))
    for start in range(0, len(ids), _AT_ONCE):
        rows = Column.objects.filter(table__in=ids[start : start + _AT_ONCE]).values_list("table_id", "name", "pk")
        found |= {(table, name.lower()): pk for table, name, pk in rows.order_by()}
    return found


def _tables_called(source: Source, names: Iterable[str]) -> tuple[dict[str, int], dict[str, list[int]]]:
    here: dict[str, int] = {}
    elsewhere: dict[str, list[int]] = {}
    ordered = sorted(names)
    for start in range(0, len(ordered), _AT_ONCE):
        rows = Table.objects.filter(name__in=ordered[start : start + _AT_ONCE]).order_by()
        for pk, source_id, name in rows.values_list("pk", "source_id", "name"):
            if source_id == source.pk:
                here[name] = pk
            else:
                elsewhere.setdefault(name, []).append(pk)
    return here, elsewhere


def _by_end(source: Source, candidates: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """shop.orders for warehouse.shop.orders, ORDERS for shop.orders, when only one table of the source fits."""
    if not candidates:
        return {}
    last_parts = {_last_part(name) for names in candidates.values() for name in names}
    by_last_part: dict[str, list[tuple[str, int]]] = {}
    for pk, name in Table.objects.filter(source=source).order_by().values_list("pk", "name").iterator(chunk_size=5000):
        if _last_part(name) in last_parts:
            by_last_part.setdefault(_last_part(name), []).append((name.lower(), pk))
    found = {}
    for logged, names in candidates.items():
        fits = {
            pk
            for name in names
            for table, pk in by_last_part.get(_last_part(name), ())
            if _ends_alike(name.lower(), table)
        }
        if len(fits) == 1:
            found[logged] = fits.pop()
    return found


def _last_part(name: str) -> str:
    return name.rsplit(".", 1)[-1].strip('"').lower()


def _ends_alike(one: str, other: str) -> bool:
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")
