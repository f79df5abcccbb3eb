"""A pipeline's kind, where nobody states it, from where its data comes from and goes to."""

from __future__ import annotations

from collections.abc import Collection

_OUTSIDE = {
    "operational_database",
    "wide_column",
    "key_value_store",
    "cache",
    "search_index",
    "stream",
    "dashboard",
    "files",
}
_INSIDE = {"warehouse", "lake"}


def inferred_kind(inputs: Collection[str], outputs: Collection[str]) -> str:
    """The kind for the storage of a pipeline's inputs and outputs; "" where they do not tell.

    Data that leaves the warehouse and lake is a production export; data that enters from anywhere but the warehouse is
    raw ingest; data made of the warehouse's own is a summary. An A/B-test analysis cannot be told from a summary so.
    """
    if set(outputs) & _OUTSIDE:
        return "production_export"
    if not inputs or not set(outputs) & _INSIDE:
        return ""
    return "summary" if "warehouse" in inputs else "raw_ingest"
