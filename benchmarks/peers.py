"""The peers of the lineage engine: each in a throwaway environment of its own, made on first use and kept."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(tempfile.gettempdir()) / "pipekeeper-peers"

# Environment -> what is installed in it. The product and sqlglot itself run in the product's own environment.
PACKAGES = {
    "tpc": ("duckdb==1.5.5", "duckdb-extension-tpcds==1.5.5", "duckdb-extension-tpch==1.5.5"),
    "datahub": ("acryl-datahub[sql-parser]==1.7.0.17",),
    "sqllineage": ("sqllineage==1.5.9", "pytest==9.2.0"),
    "collate-sqllineage": ("collate-sqllineage==2.1.8",),
}
ENVIRONMENTS = {  # engine -> environment; None is the product's own
    "parse": None,
    "parse, gc at rest": None,
    "pipekeeper": None,
    "sqlglot.lineage": None,
    "datahub": "datahub",
    "sqllineage": "sqllineage",
    "sqllineage (sqlfluff)": "sqllineage",
    "collate-sqllineage": "collate-sqllineage",
}

TPC_SCRIPT = """
import duckdb, json, pathlib, site
packages = pathlib.Path(site.getsitepackages()[0])
rows = duckdb.connect()
for name in ("tpcds", "tpch"):
    file = next(packages.glob(f"duckdb_extension_{name}/**/{name}.duckdb_extension"))
    rows.execute(f"LOAD '{file}'")
rows.execute("CALL dsdgen(sf=0)")
rows.execute("CALL dbgen(sf=0)")
schema = {}
for table, column, kind in rows.execute(
    "SELECT table_name, column_name, data_type FROM information_schema.columns ORDER BY table_name, ordinal_position"
).fetchall():
    schema.setdefault(table, {})[column] = kind
queries = {
    f"{name}_{number}": query
    for name in ("tpcds", "tpch")
    for number, query in rows.execute(f"SELECT query_nr, query FROM {name}_queries()").fetchall()
}
print(json.dumps({"schema": schema, "queries": queries}))
"""


def python_of(environment: str | None, cache: Path = CACHE) -> Path:
    """The interpreter of an environment, which is made the first time (a minute, and up to 250 MB on disk)."""
    if environment is None:
        return Path(sys.executable)
    folder, packages = cache / environment, PACKAGES[environment]
    ready = folder / "installed.json"
    if not ready.exists() or json.loads(ready.read_text()) != list(packages):
        print(f"Making the environment of {environment} in {folder} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", *packages]
        subprocess.run(install, check=True, stdout=sys.stderr)
        ready.write_text(json.dumps(list(packages)))
    return folder / "bin" / "python"


def run_engine(
    engine: str, statements: Sequence[dict[str, Any]], seconds: float, cache: Path = CACHE
) -> dict[str, Any]:
    """{"results": […], "peak_mb": n} of one engine in a process of its own; a process that dies is one failure."""
    python = python_of(ENVIRONMENTS[engine], cache)
    with tempfile.TemporaryDirectory() as folder:
        order, result = Path(folder, "order.json"), Path(folder, "result.json")
        order.write_text(json.dumps({"engine": engine, "seconds": seconds, "statements": list(statements)}))
        environment = os.environ | ({"PYTHONPATH": str(ROOT)} if ENVIRONMENTS[engine] is None else {})
        worker = Path(__file__).with_name("peer_worker.py")
        ended = subprocess.run(
            [str(python), str(worker), str(order), str(result)], env=environment, capture_output=True, text=True
        )
        if ended.returncode:
            reason = ended.stderr.strip().splitlines()[-1:] or [f"exit {ended.returncode}"]
            raise RuntimeError(f"{engine} did not run: {reason[0]}")
        return json.loads(result.read_text())


def tpc_statements(cache: Path = CACHE) -> list[dict[str, Any]]:
    """The 99 TPC-DS and 22 TPC-H queries as CREATE TABLE … AS, with the schema of their tables.

    DuckDB's extensions generate them; they come as Python packages, since `INSTALL` reaches a host of its own.
    """
    script = [str(python_of("tpc", cache)), "-c", TPC_SCRIPT]
    made = json.loads(subprocess.run(script, check=True, capture_output=True, text=True).stdout)
    return [
        {
            "sql": f"CREATE TABLE out_{name} AS {query.strip().rstrip(';')}",
            "dialect": "duckdb",
            "schema": made["schema"],
        }
        for name, query in made["queries"].items()
    ]
