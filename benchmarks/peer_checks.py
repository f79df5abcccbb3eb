"""Ten checks by Soda or Great Expectations, each in an environment of its own: `peer_checks.py TOOL FILE`, prints JSON.

Only what a user has to call: connecting is outside the clock, as it is for ours.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

TABLE = "orders"
COUNTRIES = ["KR", "JP", "DE", "FR", "US"]
STATUSES = ["new", "paid", "sent", "done"]
SODA_CHECKS = f"""
checks for {TABLE}:
  - row_count > 1
  - row_count between 1 and 1000000000
  - duplicate_count(id) = 0
  - duplicate_count(day, customer_id, made_at) = 0
  - missing_count(id) = 0
  - missing_count(email) >= 0
  - missing_count(amount) = 0
  - invalid_count(country) = 0:
      valid values: [{", ".join(COUNTRIES)}]
  - invalid_count(status) = 0:
      valid values: [{", ".join(STATUSES)}]
  - max(id) > 0
"""


class Clock:
    """Seconds on the wall, and of all this process's threads."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu


def great_expectations(file: str) -> tuple[Clock, int]:
    """The time of a validation, and how many expectations it answered."""
    import great_expectations as gx
    from great_expectations import expectations as gxe
    from great_expectations.execution_engine import sqlalchemy_execution_engine as engine

    class Name(str):
        value = "duckdb"

    # Without this it closes the connection before it reads the answer, which DuckDB then has no more.
    engine._PERSISTED_CONNECTION_DIALECTS = (*engine._PERSISTED_CONNECTION_DIALECTS, Name("duckdb"))
    context = gx.get_context(mode="ephemeral")
    source = context.data_sources.add_sql("shop", connection_string=f"duckdb:///{file}", create_temp_table=False)
    batch = source.add_table_asset("orders", table_name=TABLE).add_batch_definition_whole_table("all")
    suite = context.suites.add(gx.ExpectationSuite(name="ten"))
    for expectation in (
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectTableRowCountToBeBetween(min_value=1, max_value=10**9),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["day", "customer_id", "made_at"]),
        gxe.ExpectColumnValuesToNotBeNull(column="id"),
        gxe.ExpectColumnValuesToNotBeNull(column="email", mostly=0.9),
        gxe.ExpectColumnValuesToNotBeNull(column="amount"),
        gxe.ExpectColumnValuesToBeInSet(column="country", value_set=COUNTRIES),
        gxe.ExpectColumnValuesToBeInSet(column="status", value_set=STATUSES),
        gxe.ExpectColumnMaxToBeBetween(column="id", min_value=0),
    ):
        suite.add_expectation(expectation)
    validation = context.validation_definitions.add(gx.ValidationDefinition(name="ten", data=batch, suite=suite))
    clock = Clock()
    result = validation.run(result_format="BASIC")
    clock.stop()
    return clock, sum(bool(each.result) for each in result.results)


def soda(file: str) -> tuple[Clock, int]:
    """The time of a scan, and how many checks it answered."""
    import duckdb
    from soda.scan import Scan

    scan = Scan()
    scan.set_data_source_name("shop")
    scan.add_duckdb_connection(duckdb.connect(file, read_only=True), data_source_name="shop")
    scan.add_sodacl_yaml_str(SODA_CHECKS)
    clock = Clock()
    scan.execute()
    clock.stop()
    results: Any = scan.get_scan_results()["checks"]
    return clock, sum(each["outcome"] is not None for each in results)


if __name__ == "__main__":
    clock, answered = {"great_expectations": great_expectations, "soda": soda}[sys.argv[1]](sys.argv[2])
    print(json.dumps({"wall": clock.wall, "cpu": clock.cpu, "answered": answered}))
