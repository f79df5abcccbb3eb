"""Checks measured on real databases: exact figures, one scan, and what goes wrong costs the others nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from audits.checks import services
from audits.checks.models import Check
from audits.checks.run import Measured, run
from audits.checks.samples import MASK
from catalog.models import Table, Tag
from tests.factories import make_edge, make_pipeline, make_source, make_table
from tests.live import DuckDB, MariaDB, PostgreSQL

pytestmark = pytest.mark.django_db


def make_check(of: Any, kind: str, severity: str = "fail", **parameters: Any) -> Check:
    return services.create_check(actor=None, of=of, kind=kind, parameters=parameters, severity=severity)


def measured(*checks: Check) -> list[Measured]:
    """The checks' results, in the order of the checks."""
    found = {each.check.pk: each for each in run(checks, timeout=20)}
    return [found[check.pk] for check in checks]


# Figures, on each engine

ROWS = (
    "CREATE TABLE parents (a integer, b varchar(10))",
    "INSERT INTO parents VALUES (1, 'x'), (2, 'y')",
    "CREATE TABLE rows_ (id integer, a integer, b varchar(10), word varchar(10), made_at timestamp NULL)",
    "INSERT INTO rows_ VALUES (1, 1, 'x', 'one', '2026-03-01 00:00:00'), (2, 2, NULL, 'two', '2026-03-02 06:00:00'),"
    " (3, 2, NULL, NULL, NULL), (NULL, 1, 'x', 'three', NULL), (NULL, 3, 'y', 'two', NULL),"
    " (4, NULL, NULL, 'x''y', NULL), (4, NULL, NULL, 'x''y', NULL)",
)


@pytest.fixture(params=[DuckDB, PostgreSQL, MariaDB], ids=lambda engine: engine.__name__)
def engine(request, tmp_path, monkeypatch) -> Iterator[Any]:
    engine = request.param(tmp_path, "pk_checks")
    engine.run(*ROWS)
    monkeypatch.setenv("LIVE_URL", engine.address)
    yield engine
    engine.drop()


@pytest.fixture
def live(engine) -> dict[str, Table]:
    source = make_source("live", dialect=engine.dialect, connection="LIVE_URL")
    names = {"rows": "rows_", "parents": "parents"}
    prefix = f"{engine.database}." if engine.database == engine.schema else f"{engine.database}.{engine.schema}."
    return {key: make_table(prefix + name, source=source) for key, name in names.items()}


FIGURES = [
    ("row_count", {"min": 1}, 7),
    ("unique_key", {"columns": ["id"]}, 2),  # the second NULL, the second 4
    ("unique_key", {"columns": ["a", "b"]}, 3),  # (1, x), (2, NULL) and (NULL, NULL) twice
    ("unique_key", {"columns": ["id", "a", "b"]}, 1),
    ("duplicate_rows", {}, 1),
    ("not_null", {"column": "word"}, 1),
    ("accepted_values", {"column": "word", "values": ["one", "two", "x'y"]}, 1),
    ("accepted_values", {"column": "a", "values": [1, 2]}, 1),
    ("row_count", {"min": 1, "where": "a = 2"}, 2),
    ("not_null", {"column": "b", "where": "a = 2"}, 2),
    ("unique_key", {"columns": ["a", "b"], "where": "a = 2"}, 1),
    ("custom_sql", {"sql": "select count(*) from rows_ where word is null", "max": 9}, 1),
]


def test_figures_are_exact_with_nulls_and_several_columns(live) -> None:
    checks = [make_check(live["rows"], kind, **parameters) for kind, parameters, _ in FIGURES]
    assert [each.value for each in measured(*checks)] == [figure for _, _, figure in FIGURES]


def test_references_by_one_and_several_columns(live) -> None:
    to = f"live:{live['parents'].name}"
    one = make_check(live["rows"], "referential", columns=["a"], to_table=to, to_columns=["a"])
    both = make_check(live["rows"], "referential", columns=["a", "b"], to_table=to, to_columns=["a", "b"])
    results = measured(one, both)
    assert [(each.state, each.value) for each in results] == [("fail", 1), ("fail", 1)]
    assert results[0].sample == [{"a": 3, "times": 1}]
    assert results[1].sample == [{"a": 3, "b": "y", "times": 1}]


def test_freshness_counts_from_the_newest_moment(live) -> None:
    result = measured(make_check(live["rows"], "freshness", column="made_at", hours=1))[0]
    age = (result.at - dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC)).total_seconds() / 3600
    assert result.value == pytest.approx(age, abs=0.1)
    assert result.state == "fail"


def test_samples_name_the_keys(live) -> None:
    key = make_check(live["rows"], "unique_key", columns=["a", "b"])
    word = make_check(live["rows"], "accepted_values", column="word", values=["one"])
    by_key, by_word = measured(key, word)
    assert {(row["a"], row["b"], row["times"]) for row in by_key.sample} == {(1, "x", 2), (2, None, 2), (None, None, 2)}
    assert by_word.sample[0] in ({"word": "two", "times": 2}, {"word": "x'y", "times": 2})


def test_what_takes_too_long_is_cancelled_and_is_an_error(live, engine) -> None:
    slowly = {
        "duckdb": "SELECT count(*) AS n FROM range(100000000) a, range(100000) b WHERE a.range + b.range = 7",
        "postgres": "SELECT count(*) AS n FROM pg_sleep(60)",
        "mysql": "SELECT SLEEP(60) AS n",
    }
    engine.run(f"CREATE VIEW slow AS {slowly[engine.dialect]}")
    prefix = live["rows"].name.removesuffix("rows_")
    slow = make_check(make_table(f"{prefix}slow", source=live["rows"].source), "not_null", column="n")
    quick = make_check(live["rows"], "row_count", min=1)
    results = {each.check.pk: each for each in run([slow, quick], timeout=1)}
    assert results[slow.pk].state == "error"
    assert "stopped after 1 seconds" in results[slow.pk].words
    assert results[quick.pk].state == "pass"


# One scan


def test_checks_of_one_table_share_a_scan(orders, statements) -> None:
    checks = [
        make_check(orders, "row_count", min=1),
        make_check(orders, "unique_key", columns=["day", "customer_id", "country"]),
        make_check(orders, "not_null", column="day"),
        make_check(orders, "accepted_values", column="country", values=["KR", "JP", "XX"]),
        make_check(orders, "freshness", column="made_at", hours=10**6),
        make_check(orders, "usual_row_count"),
    ]
    measured(*checks)
    assert sum("COUNT(*) AS row_count" in each for each in statements) == 1
    # the columns, the ranges of the key's, whether it rises, whether a column of it tells, the scan, a sample of what
    # is there twice
    assert len(statements) == 6


def test_checks_with_another_condition_keep_it(orders, statements) -> None:
    narrow = "day >= DATE '2026-03-02'"
    one = make_check(orders, "row_count", min=1)
    other = make_check(orders, "not_null", column="customer_id", where=narrow, max=1)
    another = make_check(orders, "unique_key", columns=["id"], where=narrow)
    assert [each.value for each in measured(one, other, another)] == [5, 1, 0]
    assert sum("COUNT(*) AS row_count" in each for each in statements) == 2


def test_duplicates_need_no_scan_where_a_key_is_unique(orders, file, statements) -> None:
    file.run("DELETE FROM shop.orders WHERE id = 2")
    key, rows = make_check(orders, "unique_key", columns=["id"]), make_check(orders, "duplicate_rows")
    assert [each.state for each in measured(key, rows)] == ["pass", "pass"]
    assert not any("DISTINCT\n" in each for each in statements)


# What goes wrong


def test_a_column_that_went_away_is_an_error_and_costs_the_others_nothing(orders, file) -> None:
    gone = make_check(orders, "not_null", column="country")
    there = make_check(orders, "unique_key", columns=["id"])
    file.run("ALTER TABLE shop.orders RENAME country TO land")
    lost, kept = measured(gone, there)
    assert (lost.state, lost.value) == ("error", None)
    assert "has no column country any more. It has: id, customer_id, land" in lost.words
    assert (kept.state, kept.value) == ("fail", 1)


def test_a_table_that_went_away_is_an_error(orders, customers, file) -> None:
    checks = make_check(orders, "row_count", max=10), make_check(customers, "row_count", min=3)
    file.run("DROP TABLE shop.orders")
    lost, kept = measured(*checks)
    assert lost.state == "error"
    assert "cannot be read" in lost.words
    assert kept.state == "pass"


def test_one_that_the_database_refuses_costs_the_others_nothing(orders) -> None:
    refused = make_check(orders, "accepted_values", column="id", values=["one", "two"])
    kept = make_check(orders, "not_null", column="day")
    bad, good = measured(refused, kept)
    assert bad.state == "error"
    assert "DuckDB answered" in bad.words
    assert (good.state, good.value) == ("pass", 0)


def test_a_source_that_cannot_be_reached_makes_errors(orders, monkeypatch) -> None:
    check = make_check(orders, "row_count", max=10)
    monkeypatch.delenv("WAREHOUSE_URL")
    result = measured(check)[0]
    assert result.state == "error"
    assert "WAREHOUSE_URL is not set" in result.words


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT 'NaN'::DOUBLE", "nan, which is no figure"),
        ("SELECT 'Infinity'::DOUBLE", "inf, which is no figure"),
        ("SELECT NULL", "gave NULL"),
        ("SELECT country FROM orders WHERE id = 1", "'KR', which is no figure"),
        ("SELECT id FROM orders", "several rows"),
        ("SELECT id FROM orders WHERE id = 77", "no row"),
    ],
)
def test_what_is_no_figure_is_an_error(sql, words, orders) -> None:
    result = measured(make_check(orders, "custom_sql", sql=sql))[0]
    assert (result.state, result.value) == ("error", None)
    assert words in result.words


def test_a_moment_in_the_future_or_none_at_all_is_an_error(orders, file) -> None:
    check = make_check(orders, "freshness", column="made_at", hours=1)
    file.run("INSERT INTO shop.orders (made_at) VALUES (TIMESTAMP 'infinity')")
    assert "in the future" in measured(check)[0].words
    file.run("UPDATE shop.orders SET made_at = NULL")
    assert "No row has a moment" in measured(check)[0].words
    assert measured(check)[0].state == "error"


# Samples


def test_sensitive_values_never_reach_a_sample(customers, file) -> None:
    file.run("INSERT INTO shop.customers VALUES (4, 'ann@x.example')")
    check = make_check(customers, "unique_key", columns=["email"])
    assert measured(check)[0].sample == [{"email": MASK, "times": 2}]
    customers.tags.add(Tag.objects.create(name="pii"))
    file.run("INSERT INTO shop.customers VALUES (4, 'cy@x.example')")
    ids = make_check(customers, "unique_key", columns=["id"])
    assert measured(ids)[0].sample == [{"id": MASK, "times": 2}]


def test_what_the_database_says_of_an_error_quotes_no_sensitive_value(customers) -> None:
    check = make_check(customers, "accepted_values", column="email", values=[1, 2])
    result = measured(check)[0]
    assert result.state == "error"
    assert "ann@x.example" not in result.words
    assert MASK in result.words


def test_missing_values_are_named_by_the_primary_key(customers, orders) -> None:
    named, nameless = (
        make_check(customers, "not_null", column="email"),
        make_check(orders, "not_null", column="country"),
    )
    by_key, without = measured(named, nameless)
    assert by_key.sample == [{"id": 2}]
    assert without.sample == ()


# Pipelines


def test_rows_out_for_each_row_in(orders, customers) -> None:
    pipeline = make_pipeline("count_customers")
    make_edge(pipeline, orders, customers)
    facts = {"input": "warehouse:warehouse.shop.orders", "output": "warehouse:warehouse.shop.customers"}
    check = make_check(pipeline, "in_out_ratio", min=0.5, **facts)
    strict = make_check(pipeline, "in_out_ratio", min=1, max=1, severity="warn", **(facts | {"output": facts["input"]}))
    results = measured(check, strict)
    assert [(each.state, each.value) for each in results] == [("pass", 0.6), ("pass", 1.0)]


def test_no_rows_in_are_no_ratio(orders, customers, file) -> None:
    file.run("DELETE FROM shop.orders")
    facts = {"input": "warehouse:warehouse.shop.orders", "output": "warehouse:warehouse.shop.customers"}
    result = measured(make_check(make_pipeline(), "in_out_ratio", min=0.5, **facts))[0]
    assert result.state == "error"
    assert "has no rows" in result.words
