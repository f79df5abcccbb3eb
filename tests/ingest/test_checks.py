"""Checks out of YAML files, and results out of files of Soda and Great Expectations."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audits.checks import services
from audits.checks.models import Check, CheckResult
from catalog.models import Table
from ingest.checks.definitions import read_definitions
from tests.factories import make_owner, make_pipeline, make_source, make_table

pytestmark = pytest.mark.django_db


@pytest.fixture
def orders() -> Table:
    make_source("warehouse", dialect="duckdb")
    make_table("warehouse.shop.customers")
    return make_table("warehouse.shop.orders")


def ingest(*args: Any) -> tuple[dict[str, Any], int]:
    """What it says as JSON, and the code it ends with."""
    out = StringIO()
    try:
        call_command("ingest_checks", *map(str, args), "--json", stdout=out)
    except SystemExit as ended:
        return json.loads(out.getvalue()), ended.code
    return json.loads(out.getvalue()), 0


def write(folder: Path, text: str, name: str = "checks.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


GOOD = """
source: warehouse
tables:
  shop.orders:
    - unique_key: {columns: [order_id]}
      severity: warn
      schedule: "0 6 * * *"
      owner: ann@shop.example
      description: Counted twice.
    - duplicate_rows
    - referential: {columns: [customer_id], to_table: shop.customers, to_columns: [id]}
  warehouse:shop.customers:
    - row_count: {min: 1}
      name: somebody buys
pipelines:
  nightly:
    - in_out_ratio: {input: shop.orders, output: shop.customers, max: 1}
"""


def test_a_file_becomes_checks_once(orders, tmp_path) -> None:
    make_pipeline("nightly")
    owner = make_owner(email="ann@shop.example")
    file = write(tmp_path, GOOD)
    summary, code = ingest(file)
    assert (code, summary["made"], summary["faults"]) == (0, 5, [])
    key = Check.objects.get(kind="unique_key")
    assert (key.table, key.severity, key.owner, key.origin) == (orders, "warn", owner, "yaml")
    assert (key.schedule, key.description, key.stated_in) == ("0 6 * * *", "Counted twice.", str(file))
    assert Check.objects.get(kind="referential").parameters["to_table"] == "warehouse:warehouse.shop.customers"
    assert Check.objects.get(kind="in_out_ratio").parameters["input"] == "warehouse:warehouse.shop.orders"
    assert Check.objects.get(kind="row_count").name == "somebody buys"
    again, code = ingest(file)
    assert (code, again["made"], again["unchanged"]) == (0, 0, 5)


def test_what_changes_in_the_file_changes_and_what_is_gone_is_switched_off(orders, tmp_path) -> None:
    first = "source: warehouse\ntables:\n  shop.orders:\n    - row_count: {min: 1}\n    - duplicate_rows\n"
    ingest(write(tmp_path, first))
    summary, _ = ingest(write(tmp_path, first.replace("min: 1", "min: 7").replace("    - duplicate_rows\n", "")))
    assert (summary["changed"], summary["switched_off"]) == (1, 1)
    assert Check.objects.get(kind="row_count").parameters == {"min": 7}
    assert not Check.objects.get(kind="duplicate_rows").is_active
    summary, _ = ingest(write(tmp_path, first))
    assert summary["changed"] == 2
    assert Check.objects.get(kind="duplicate_rows").is_active


def test_one_wrong_entry_harms_no_other(orders, tmp_path) -> None:
    file = write(
        tmp_path,
        """
source: warehouse
tables:
  shop.orders:
    - uniqe_key: {columns: [order_id]}
    - row_count: {min: 5, max: 1}
    - not_null: {column: a}
      owner: nobody
    - custom_sql: {sql: DROP TABLE orders}
    - {not_null: {column: a}, duplicate_rows: {}}
    - 7
    - duplicate_rows
  shop.nowhere:
    - duplicate_rows
  shop.orders2: nonsense
""",
    )
    summary, code = ingest(file)
    assert (code, summary["made"], Check.objects.get().kind) == (3, 1, "duplicate_rows")
    words = [
        "shop.orders, entry 1: there is no check 'uniqe_key'. Did you mean unique_key?",
        "shop.orders, entry 2: row_count: max: It lies below min, which is 5.",
        "shop.orders, entry 3: not_null: there is no owner nobody.",
        "shop.orders, entry 4: custom_sql: sql: It must be one SELECT.",
        "shop.orders, entry 5: one entry is one check; here are not_null, duplicate_rows.",
        "shop.orders, entry 6: write a check",
        "shop.nowhere, entry 1: duplicate_rows: the source warehouse has no table shop.nowhere",
        "shop.orders2, entry 1: there is no check 'nonsense'. There are: row_count",
    ]
    said = "\n".join(summary["faults"])
    assert [each for each in words if each not in said] == []
    assert said.count(str(file)) == len(words)


def test_while_something_cannot_be_read_nothing_is_switched_off(orders, tmp_path) -> None:
    ingest(write(tmp_path, "source: warehouse\ntables: {shop.orders: [duplicate_rows]}"))
    summary, code = ingest(write(tmp_path, "source: warehouse\ntables: {shop.orders: [duplicate_rose]}"))
    assert (code, summary["switched_off"], Check.objects.get().is_active) == (3, 0, True)


def test_many_that_vanish_at_once_are_kept_until_a_person_allows_it(orders, tmp_path) -> None:
    columns = "".join(f"\n    - not_null: {{column: c{number}}}" for number in range(8))
    ingest(write(tmp_path, f"source: warehouse\ntables:\n  shop.orders:{columns}"))
    empty = write(tmp_path, "source: warehouse\ntables: {shop.orders: [duplicate_rows]}")
    summary, code = ingest(empty)
    assert (code, summary["held_back"], Check.objects.filter(is_active=True).count()) == (1, 8, 9)
    summary, code = ingest(empty, "--allow-retire")
    assert (code, summary["switched_off"], Check.objects.filter(is_active=True).count()) == (0, 8, 1)


def test_a_check_that_a_person_made_keeps_its_facts(orders, editor, tmp_path) -> None:
    services.create_check(actor=editor, of=orders, kind="duplicate_rows", parameters={"max": 5})
    ingest(write(tmp_path, "source: warehouse\ntables: {shop.orders: [duplicate_rows]}"))
    check = Check.objects.get()
    assert (check.parameters, check.origin) == ({"max": 5}, "form")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tables: [", "line 2: is not valid YAML"),
        ("- a", "no mapping"),
        ("tables: []\nchecks: {}", "checks: unknown here"),
        ("tables: [a]", "tables: write a mapping"),
        ("tables: {shop.orders: [duplicate_rows]}", "of which source?"),
    ],
)
def test_a_file_that_is_none_says_why(text, words) -> None:
    said = read_definitions(text)
    assert said.found == []
    assert words in " ".join(said.faults)


def test_a_folder_is_searched_and_wrong_use_is_said(orders, tmp_path) -> None:
    (tmp_path / "team").mkdir()
    write(tmp_path / "team", "source: warehouse\ntables: {shop.orders: [duplicate_rows]}", "orders.checks.yaml")
    write(tmp_path, "kind: else", "other.yaml")
    assert ingest(tmp_path, "--scope", "shop")[0]["made"] == 1
    assert Check.objects.get().stated_in == "shop/team/orders.checks.yaml"
    with pytest.raises(CommandError, match="no folder with a checks.yaml"):
        ingest(tmp_path / "nowhere")


# Results of other tools

SODA = {
    "dataTimestamp": "2026-03-02T06:00:00+00:00",
    "scanEndTimestamp": "2026-03-02T06:00:05+00:00",
    "checks": [
        {"name": "row_count > 0", "table": "orders", "column": None, "outcome": "pass", "diagnostics": {"value": 5}},
        {"name": "duplicate_count(order_id) = 0", "table": "orders", "column": "order_id", "outcome": "fail"}
        | {"diagnostics": {"value": 2}},
        {"name": "missing_count(country) = 0", "table": "orders", "column": "country", "outcome": "warn"}
        | {"diagnostics": {"value": 1}},
        {"name": "freshness(at) < 1d", "table": "orders", "outcome": None, "diagnostics": {}},
        {"name": "row_count > 0", "table": "unknown", "outcome": "pass"},
    ],
}
EXPECTATIONS = {
    "success": False,
    "meta": {
        "run_id": {"run_name": "nightly", "run_time": "2026-03-02T06:00:00+00:00"},
        "active_batch_definition": {"data_asset_name": "orders"},
    },
    "results": [
        {
            "success": False,
            "expectation_config": {
                "type": "expect_column_values_to_not_be_null",
                "kwargs": {"column": "country", "batch_id": "x"},
            },
            "result": {"element_count": 5, "unexpected_count": 1},
        },
        {
            "success": True,
            "expectation_config": {
                "expectation_type": "expect_table_row_count_to_be_between",
                "kwargs": {"min_value": 1, "max_value": 9},
            },
            "result": {"observed_value": 5},
        },
        {
            "success": False,
            "expectation_config": {
                "type": "expect_compound_columns_to_be_unique",
                "kwargs": {"column_list": ["a", "b"]},
                "severity": "warning",
            },
            "exception_info": {"m": {"raised_exception": True, "exception_message": "no such column"}},
        },
        {
            "success": True,
            "expectation_config": {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "a"}},
            "result": {"observed_value": float("nan")},
        },
    ],
}


def test_results_of_soda(orders, tmp_path) -> None:
    file = write(tmp_path, json.dumps(SODA), "scan.json")
    summary, code = ingest(file, "--source", "warehouse")
    assert (code, summary["made"], summary["results"]) == (3, 4, 4)
    assert "warehouse has no table 'unknown'" in summary["faults"][0]
    found = {check.name: (check.kind, check.state, check.origin) for check in Check.objects.all()}
    assert found == {
        "row_count > 0": ("external", "pass", "soda"),
        "duplicate_count(order_id) = 0": ("unique_key", "fail", "soda"),
        "missing_count(country) = 0": ("not_null", "warn", "soda"),
        "freshness(at) < 1d": ("freshness", "error", "soda"),
    }
    assert CheckResult.objects.get(check_of__kind="unique_key").value == 2
    assert ingest(file, "--source", "warehouse")[0]["known_results"] == 4


def soda_check(sodacl: str, value: float, fail: dict[str, float] | None = None, **facts: Any) -> dict[str, Any]:
    """A check as Soda 3.5 writes it."""
    text = sodacl.strip().lstrip("- ")
    said = {"name": text.partition("\n")[0].rstrip(":"), "definition": f"checks for orders:\n  {sodacl}"}
    diagnostics = {"blocks": [], "value": value} | ({"fail": fail} if fail else {})
    return {"table": "orders", "column": None, "outcome": "pass", "outcomeReasons": [], **said} | {
        "identity": sodacl,
        "diagnostics": diagnostics,
        **facts,
    }


def test_checks_of_soda_are_known_by_their_definition_and_not_by_their_name(orders, tmp_path) -> None:
    named = "- duplicate_count(a, b) = 0:\n      name: Keys are there once\n"
    checks = [
        soda_check("row_count between 1 and 5", 7, {"greaterThan": 5.0, "lessThan": 1.0}, outcome="fail"),
        soda_check("row_count > 10", 11, {"lessThanOrEqual": 10.0}),
        soda_check(named, 0, {"greaterThan": 0.0, "lessThan": 0.0}, name="Keys are there once"),
        soda_check("duplicate_count(a) < 10", 3, {"greaterThanOrEqual": 10.0}, column="a"),
        soda_check("missing_count(b) < 3", 1, {"greaterThanOrEqual": 3.0}, column="b"),
        soda_check("- invalid_count(c) = 0:\n      valid values: [KR, JP]\n", 1, {"greaterThan": 0.0}, column="c"),
        soda_check("- invalid_count(c) = 0:\n      valid regex: .+\n", 0, {"greaterThan": 0.0}, column="c"),
        soda_check("freshness(at) < 1d12h", 5_400_000, column="at"),
        soda_check("change for row_count > 1", 0, outcome=None),
    ]
    file = write(tmp_path, json.dumps(SODA | {"checks": checks}), "scan.json")
    summary, code = ingest(file, "--source", "warehouse")
    assert (code, summary["made"], summary["faults"]) == (0, 9, [])
    found = {check.name: (check.kind, check.parameters) for check in Check.objects.all()}
    assert found["row_count between 1 and 5"] == ("row_count", {"min": 1, "max": 5})
    assert found["row_count > 10"] == ("row_count", {"min": 11})
    assert found["Keys are there once"] == ("unique_key", {"columns": ["a", "b"]})
    assert found["duplicate_count(a) < 10"][0] == "external"
    assert found["missing_count(b) < 3"] == ("not_null", {"column": "b", "max": 2})
    assert found["freshness(at) < 1d12h"] == ("freshness", {"column": "at", "hours": 36})
    values, regex = (found[name] for name in sorted(found) if name.startswith("invalid_count(c) = 0: "))
    assert values[0] == "external"
    assert regex == ("accepted_values", {"column": "c", "values": ["KR", "JP"]})
    assert CheckResult.objects.get(check_of__kind="freshness").value == 1.5
    assert CheckResult.objects.get(check_of__name="change for row_count > 1").words == "Soda did not evaluate it."


def test_two_expectations_that_differ_in_more_than_their_column_are_two_checks(orders, tmp_path) -> None:
    def expectation(success: bool, **kwargs: Any) -> dict[str, Any]:
        config = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a", "batch_id": "x", **kwargs}}
        return {"success": success, "expectation_config": config, "result": {"unexpected_count": 1}}

    of_two = EXPECTATIONS | {"results": [expectation(False), expectation(True, mostly=0.5)]}
    ingest(write(tmp_path, json.dumps(of_two), "result.json"), "--source", "warehouse")
    found = {check.name: (check.kind, check.state) for check in Check.objects.all()}
    assert found == {
        "expect_column_values_to_not_be_null(a)": ("not_null", "fail"),
        "expect_column_values_to_not_be_null(a): mostly = 0.5": ("external", "pass"),
    }


@pytest.mark.parametrize("document", [EXPECTATIONS, {"run_results": {"a": {"validation_result": EXPECTATIONS}}}])
def test_results_of_great_expectations(document, orders, tmp_path) -> None:
    file = write(tmp_path, json.dumps(document), "result.json")
    summary, code = ingest(file, "--source", "warehouse")
    assert (code, summary["made"], summary["faults"]) == (0, 4, [])
    found = {check.name: (check.kind, check.state, check.severity) for check in Check.objects.all()}
    assert found == {
        "expect_column_values_to_not_be_null(country)": ("not_null", "fail", "fail"),
        "expect_table_row_count_to_be_between": ("row_count", "pass", "fail"),
        "expect_compound_columns_to_be_unique(a, b)": ("unique_key", "error", "warn"),
        "expect_column_mean_to_be_between(a)": ("external", "pass", "fail"),
    }
    assert CheckResult.objects.get(check_of__kind="unique_key").words == "no such column"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "neither Soda"),
        ('{"checks": [], "dataTimestamp": "soon"}', "cannot be read"),
        ('{"checks": [], "dataTimestamp": "2026-03-02T06:00:00Z", "hasErrors": true}', "ended in an error"),
        ('{"success": false, "validation_results": [{"success": false, "expectations": []}]}', "to_json_dict()"),
    ],
)
def test_a_result_file_that_is_none_says_why(text, words, orders, tmp_path) -> None:
    summary, code = ingest(write(tmp_path, text, "a.json"), "--source", "warehouse")
    assert code == 3
    assert words in summary["faults"][0]
