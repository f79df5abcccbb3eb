"""What dbt's last command found of its tests: results of checks, which are made where they are new."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from audits.checks.dbt_tests import as_check, name_of, severity_of
from audits.checks.models import Check, State
from audits.checks.services import Reported, record_results
from catalog.models import Table
from ingest.dbt.results import Result

_STATES = {"pass": State.PASS, "warn": State.WARN, "fail": State.FAIL, "error": State.ERROR}


def store_test_results(results: Iterable[Result]) -> int:
    """Results of tests of single tables, each once however often it is read; how many there are."""
    ran = [result for result in results if result.status in _STATES]
    if not ran:
        return 0
    tests = _tests_by_id()
    reported = [_reported(result, *tests[result.node]) for result in ran if result.node in tests]
    record_results(actor=None, origin=Check.Origin.DBT, results=reported)
    return len(reported)


def _tests_by_id() -> dict[str, tuple[Table, dict[str, Any]]]:
    """Tests by dbt's id of them, which names the project, each with its table. One query."""
    tables = Table.objects.filter(ingested__has_key="tests").select_related("source")
    return {test["id"]: (table, test) for table in tables for test in table.ingested["tests"]}


def _reported(result: Result, table: Table, test: dict[str, Any]) -> Reported:
    kind, parameters = as_check(test)
    return Reported(
        of=table,
        kind=kind,
        parameters=parameters,
        at=result.ended_at,
        key=f"dbt {result.invocation}",
        state=_STATES[result.status],
        value=None if result.failures is None else float(result.failures),
        words=result.message[:1000] or f"dbt says {result.status}.",
        name=name_of(test),
        severity=severity_of(test),
        facts={"stated_in": table.stated_in},
    )
