"""`checks.sql` of the bigquery-etl layout: macros and SQL under #fail and #warn become checks of their table."""

from __future__ import annotations

from pathlib import Path

import pytest

from audits.checks.models import Check
from audits.checks.queries import runnable, statement_of
from audits.checks.services import create_check
from audits.practices.services import judge_pipelines
from catalog.models import Table
from ingest.checks.assertions import read_assertions
from tests.ingest.folders import ingest, pipeline, problems, table, write

TABLE = {"database": "proj", "schema": "shop", "table": "orders_v1"}
CHECKS = """
{% set day = "day = @submission_date" %}
#fail
-- One row for each order
{{ is_unique(columns=["order_id"], where=day) }}

#warn
{{ not_null(["order_id", "country"], day) }}
{# #fail
{{ is_unique("nothing") }} #}
#warn
{{ min_row_count(where="day = @submission_date", threshold=10) }}
#fail
{{ value_length(column="country", expected_length=2) }}
#warn
SELECT IF(COUNTIF(amount < 0) > 0, ERROR("An amount is below zero."), NULL)
FROM `{{ project_id }}.{{ dataset_id }}.{{ table_name }}`;
#warn
ASSERT (SELECT COUNT(*) FROM `proj.shop.orders_v1`) > 0 AS "Nobody ordered";
"""


def test_macros_are_checks_of_our_kinds_and_sql_stays_sql() -> None:
    stated = read_assertions(CHECKS, TABLE)
    assert stated.faults == []
    day = "day = @submission_date"
    assert [(check.severity, check.kind, dict(check.parameters)) for check in stated.checks[:5]] == [
        ("fail", "unique_key", {"columns": ["order_id"], "where": day}),
        ("warn", "not_null", {"where": day, "column": "order_id", "max": 0}),
        ("warn", "not_null", {"column": "country", "where": day, "max": 0}),
        ("warn", "row_count", {"min": 10, "where": day}),
        ("fail", "external", {"what": "country is 2 characters long"}),
    ]
    assert stated.checks[0].description == "One row for each order"
    written, asserted = stated.checks[5:]
    assert (written.kind, written.name) == ("custom_sql", "An amount is below zero.")
    assert written.parameters["sql"].endswith("FROM `proj.shop.orders_v1`")
    assert asserted.name == "Nobody ordered"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ not_null('a') }}", "before the first #fail or #warn"),
        ("#fail\n{{ is_unique() }}", "missing a required argument: 'columns'"),
        ("#fail\n{{ is_unique('a', colour=1) }}", "colour"),
        ("#fail\n{{ is_lovely('a') }}", "No macro is_lovely is known"),
        ("#fail\n{{ not_null(", "cannot be rendered"),
        ("#fail\n{% for n in range(10**9) %}x{% endfor %}", "cannot be rendered"),
        ("#fail\n{{ ''.__class__.__mro__ }}", "unsafe"),
        ("#fail\n{{ min_row_count(-1) }}", "row_count: min"),
        ("#warn\n-- to do\n", "Nothing stands under a #warn"),
    ],
)
def test_what_is_not_understood_is_said(text: str, words: str) -> None:
    stated = read_assertions(text, TABLE)
    assert stated.checks == []
    assert words in " ".join(stated.faults)


FILES = {
    "sql/proj/shop/orders_v1/query.sql": "SELECT order_id, country, amount, day FROM `proj.raw.orders`",
    "sql/proj/shop/orders_v1/metadata.yaml": "scheduling: {dag_name: shop}",
    "sql/proj/shop/orders_v1/checks.sql": CHECKS + "\n#fail\n{{ is_lovely('a') }}\n",
    "dags.yaml": "shop: {schedule_interval: 0 2 * * *, tags: [impact/tier_2]}",
}


def stated_of(of: Table) -> list[tuple[str, str, bool]]:
    return list(of.checks.order_by("name").values_list("name", "severity", "is_active"))


@pytest.mark.django_db
def test_checks_follow_their_file(tmp_path: Path) -> None:
    repository = write(tmp_path, FILES)
    ingest(repository, "bigquery-etl")
    orders = table("proj.shop.orders_v1")
    assert len(stated_of(orders)) == 7
    check = orders.checks.get(kind="custom_sql", name="Nobody ordered")
    assert (check.origin, check.is_run_here, check.state) == ("repository", False, "unknown")
    assert statement_of(check).startswith("ASSERT")
    assert runnable() == []
    assert problems() == [("sql/proj/shop/orders_v1/checks.sql", "unread_check", None)]
    before = list(orders.checks.values())
    ingest(repository, "bigquery-etl")
    assert list(orders.checks.values()) == before
    write(
        tmp_path,
        {"sql/proj/shop/orders_v1/checks.sql": "#fail\n{{ min_row_count(5) }}\n#warn\n{{ not_null('country') }}"},
    )
    ingest(repository, "bigquery-etl")
    active = [(name, severity) for name, severity, is_active in stated_of(orders) if is_active]
    assert active == [("not null: country", "warn"), ("row count", "fail")]
    (tmp_path / "sql/proj/shop/orders_v1/checks.sql").unlink()
    ingest(repository, "bigquery-etl")
    assert not orders.checks.filter(is_active=True).exists()


@pytest.mark.django_db
def test_a_check_that_a_person_made_keeps_its_facts(tmp_path: Path) -> None:
    repository = write(tmp_path, {**FILES, "sql/proj/shop/orders_v1/checks.sql": "#warn\n{{ not_null('country') }}"})
    ingest(write(tmp_path, {"sql/proj/shop/orders_v1/checks.sql": ""}), "bigquery-etl")
    mine = create_check(
        actor=None, of=table("proj.shop.orders_v1"), kind="not_null", parameters={"column": "country", "max": 9}
    )
    write(tmp_path, {"sql/proj/shop/orders_v1/checks.sql": "#warn\n{{ not_null('country') }}"})
    ingest(repository, "bigquery-etl")
    assert Check.objects.get() == mine
    assert (Check.objects.get().severity, Check.objects.get().parameters["max"]) == ("fail", 9)


@pytest.mark.django_db
def test_stated_checks_prove_nothing_until_a_result_arrives(tmp_path: Path) -> None:
    ingest(write(tmp_path, FILES), "bigquery-etl")
    orders = pipeline("proj.shop.orders_v1")
    judge_pipelines([orders.pk])
    finding = orders.findings.get(practice="checked")
    said = "7 checks are stated for proj.shop.orders_v1, and none has reported a result."
    assert (finding.outcome, finding.evidence[0][0]) == ("unknown", said)
