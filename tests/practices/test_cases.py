"""Findings against pipelines judged by hand: what is read off SQL, over all dialects. No guess where nobody can tell.

A case has its `sql` and `dialect`, what people `declared` beside it, and the `truth` of full_refresh, idempotent and
backfill, in this order. It is judged from what the SQL does, never from what the engine answers. Unless a case says
otherwise Airflow runs it. Whether a full refresh would fit is not in the SQL; `test_rules` holds that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from audits.practices.facts import Facts
from audits.practices.gather import sql_facts
from audits.practices.rules import RULES
from lineage.sql import analyze

FILES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
CASES = [(file.stem, case) for file in FILES for case in yaml.safe_load(file.read_text())]
READ_OFF_SQL = ("full_refresh", "idempotent", "backfill")


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{stem}::{case['name']}") for stem, case in CASES])
def test_case(case: dict[str, Any]) -> None:
    practices = analyze(case["sql"], case["dialect"]).to_dict()["practices"]
    declared = {"orchestrator": "airflow", **case.get("declared", {})}
    facts = Facts(case["name"], sql=sql_facts(1, practices), **declared)
    judged = {practice: RULES[practice].judge(facts).outcome for practice in READ_OFF_SQL}
    assert judged == dict(zip(READ_OFF_SQL, case["truth"].split(), strict=True)), case["sql"]


def test_there_are_a_hundred_over_all_dialects() -> None:
    assert len(CASES) >= 100
    assert len({case["name"] for _, case in CASES}) == len(CASES)
    assert {case["dialect"] for _, case in CASES} >= {
        *("bigquery", "snowflake", "redshift", "postgres", "spark", "databricks", "hive", "trino", "athena", "mysql"),
        *("duckdb", "tsql"),
    }
