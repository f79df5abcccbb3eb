"""Databases that really run, for tests of what reads them: each test gets one of its own, or is skipped with a word."""

from __future__ import annotations

import os
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest

PASSWORD = "s3cret-Passw0rd"  # of the user that the addresses name
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")  # tests run side by side


class DuckDB:
    """A file."""

    dialect, schema = "duckdb", "main"

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.duckdb"
        self.address, self.database = f"duckdb:///{self.path}", name
        self.run("SELECT 1")

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            return [connection.execute(sql).fetchall() for sql in statements][-1]

    def drop(self) -> None:
        self.path.unlink()


class PostgreSQL:
    """A database of a server, with a user who may read it and has a password."""

    dialect, schema = "postgres", "public"
    server = os.environ.get("TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432")

    def __init__(self, folder: Path, name: str) -> None:
        self.database, self.user = f"{name}_{WORKER}", f"reader_{name}_{WORKER}"
        try:
            with psycopg.connect(f"{self.server}/postgres", connect_timeout=3, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
                connection.execute(f"DROP ROLE IF EXISTS {self.user}")
                connection.execute(f"CREATE DATABASE {self.database}")
                connection.execute(f"CREATE ROLE {self.user} LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_read_all_data")
        except psycopg.OperationalError:
            pytest.skip("no PostgreSQL at 127.0.0.1:5432 (or where TEST_POSTGRESQL says)")
        place = re.sub(r"^\w+://([^@]*@)?", "", self.server)
        self.address = f"postgresql://{self.user}:{PASSWORD}@{place}/{self.database}"

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(f"{self.server}/{self.database}", autocommit=True) as connection:
            for sql in statements:
                result = connection.execute(sql)
            return result.fetchall() if result.description else []

    def drop(self) -> None:
        with psycopg.connect(f"{self.server}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
            connection.execute(f"DROP ROLE IF EXISTS {self.user}")


class MariaDB:
    """A database of a server, MariaDB's or MySQL's, with a user who may read it and has a password."""

    dialect = "mysql"
    server = os.environ.get("TEST_MYSQL", "127.0.0.1:3306")

    def __init__(self, folder: Path, name: str) -> None:
        self.database = self.schema = f"{name}_{WORKER}"
        self.user = f"r_{name}_{WORKER}"
        try:
            self.run(
                f"DROP DATABASE IF EXISTS {self.database}",
                f"CREATE DATABASE {self.database}",
                f"DROP USER IF EXISTS {self.user}@'%'",
                f"CREATE USER {self.user}@'%' IDENTIFIED BY '{PASSWORD}'",
                f"GRANT SELECT, SHOW VIEW ON {self.database}.* TO {self.user}@'%'",
            )
        except pymysql.err.OperationalError:
            pytest.skip("no MariaDB at 127.0.0.1:3306 (or where TEST_MYSQL says) that lets root in")
        self.address = f"mysql://{self.user}:{PASSWORD}@{self.server}/{self.database}"

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        host, _, port = self.server.partition(":")
        connection = pymysql.connect(host=host, port=int(port or 3306), user="root", connect_timeout=3, autocommit=True)
        with closing(connection), connection.cursor() as cursor:
            if cursor.execute("SHOW DATABASES LIKE %s", [self.database]):
                connection.select_db(self.database)
            for sql in statements:
                cursor.execute(sql)
            return list(cursor.fetchall())

    def drop(self) -> None:
        self.run(f"DROP DATABASE IF EXISTS {self.database}", f"DROP USER IF EXISTS {self.user}@'%'")
