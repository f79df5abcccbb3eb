"""A shop's orders in a real DuckDB file, and the source that says where it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from audits.checks import run as runner
from catalog.connections import open_source
from catalog.models import Source, Table
from tests.factories import make_column, make_source, make_table
from tests.live import DuckDB

ORDERS = (
    "CREATE SCHEMA shop",
    "CREATE TABLE shop.customers (id INTEGER, email VARCHAR)",
    "INSERT INTO shop.customers VALUES (1, 'ann@x.example'), (2, NULL), (3, 'bo@x.example')",
    "CREATE TABLE shop.orders (id INTEGER, customer_id INTEGER, country VARCHAR, day DATE, made_at TIMESTAMP)",
    "INSERT INTO shop.orders VALUES (1, 1, 'KR', '2026-03-01', '2026-03-01 09:00'),"
    " (2, 2, 'JP', '2026-03-01', '2026-03-01 10:00'), (2, 2, 'JP', '2026-03-01', '2026-03-01 10:00'),"
    " (3, 9, NULL, '2026-03-02', '2026-03-02 11:00'), (4, NULL, 'XX', '2026-03-02', '2026-03-02 12:00')",
)


@pytest.fixture
def file(tmp_path, monkeypatch) -> Iterator[DuckDB]:
    database = DuckDB(tmp_path, "warehouse")
    database.run(*ORDERS)
    monkeypatch.setenv("WAREHOUSE_URL", database.address)
    yield database
    database.drop()


@pytest.fixture
def warehouse(file, db) -> Source:
    return make_source("warehouse", dialect="duckdb", connection="WAREHOUSE_URL")


@pytest.fixture
def customers(warehouse) -> Table:
    table = make_table("warehouse.shop.customers", source=warehouse)
    make_column("id", table, is_primary_key=True)
    make_column("email", table, is_sensitive=True)
    return table


@pytest.fixture
def orders(warehouse, customers) -> Table:
    table = make_table("warehouse.shop.orders", source=warehouse)
    for name in ("id", "customer_id", "country", "day", "made_at"):
        make_column(name, table)
    return table


@pytest.fixture
def statements(monkeypatch) -> list[str]:
    """What is sent to a source, which is asked all the same."""
    sent: list[str] = []

    class Listening:
        def __init__(self, connection: Any) -> None:
            self.connection, self.dialect = connection, connection.dialect

        def run(self, sql: str, *args: Any) -> Any:
            sent.append(sql)
            return self.connection.run(sql, *args)

    class Opened:
        def __init__(self, source: Source) -> None:
            self.opened = open_source(source)

        def __enter__(self) -> Listening:
            return Listening(self.opened.__enter__())

        def __exit__(self, *error: Any) -> None:
            self.opened.__exit__(*error)

    monkeypatch.setattr(runner, "open_source", Opened)
    return sent
