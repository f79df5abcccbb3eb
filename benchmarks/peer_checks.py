"""Ten checks by Soda, inside an environment of its own: `peer_checks.py FILE`, prints JSON.

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
    clock, answered = soda(sys.argv[1])
    print(json.dumps({"wall": clock.wall, "cpu": clock.cpu, "answered": answered}))
