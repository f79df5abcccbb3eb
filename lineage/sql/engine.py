"""`analyze`: the one door of the engine."""

from collections.abc import Mapping
from typing import Any

from .model import NO_PRACTICES, Analysis

ENGINE_VERSION = 1  # raised whenever the same text may give another answer, so that stored answers are read again


def analyze(
    sql: str,
    dialect: str | None = None,
    schema: Any = None,
    default_database: str | None = None,
    default_schema: str | None = None,
    *,
    relations: Mapping[str, str] | None = None,
) -> Analysis:
    """Read `sql` and return its lineage; whatever cannot be read is a problem in the result, never an exception.

    `schema` is `{"table": {"column": "TYPE"}}` with names of one to three parts, or an object with `columns(table)`.
    `relations` names what templates refer to: {"orders": "shop.mart.orders"} for ref('orders'), {"raw.orders": …} for
    source('raw', 'orders'), {"this": …} for the model itself.
    """
    return Analysis(sql, (), (), {}, (), (), (), NO_PRACTICES)
