"""Two versions of a small repository: what the newer one breaks, what it mends, and what cannot be told."""

import json
import subprocess

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from ingest.changes import compare, read_version
from ingest.settings import prepared
from tests.ingest.folders import write

SETTINGS = """
dialect: duckdb
source: warehouse
default_database: wh
default_schema: main
"""
ORDERS = "-- owner: ann@shop.example\nSELECT raw.id, raw.amount, raw.country FROM raw.orders AS raw\n"
REVENUE = "-- business_owner: Finance\nSELECT o.country, sum(o.amount) AS revenue FROM core.orders AS o GROUP BY 1\n"
FILES = {
    "pipekeeper.yaml": SETTINGS,
    "core/orders.sql": ORDERS,
    "mart/revenue.sql": REVENUE,
    "mart/everything.sql": "SELECT * FROM core.orders",
    "mart/top.sql": "SELECT revenue.country FROM mart.revenue AS revenue WHERE revenue.revenue > 10",
}


def version(folder, **changed):
    """The files above with some changed: `core__orders="SELECT …"`, None for one that is gone."""
    files = {**FILES, **{path.replace("__", "/") + ".sql": text for path, text in changed.items()}}
    return write(folder, {path: text for path, text in files.items() if text is not None})


def read(folder, before=None):
    options = dict.fromkeys(("layout", "dialect", "source", "default_database", "default_schema"))
    settings, layout = prepared(folder, options)
    return read_version(folder, layout, settings, 0, before)


@pytest.fixture
def check(tmp_path, capsys):
    """A function: files changed -> (report, exit status)."""
    base = version(tmp_path / "base")

    def run(*arguments, **changed):
        new = version(tmp_path / "new", **changed)
        status = 0
        try:
            call_command("check_change", str(new), *(arguments or ["--base", str(base), "--json"]), "--jobs", "0")
        except SystemExit as error:
            status = error.code
        out = capsys.readouterr().out
        return (json.loads(out) if out.startswith("{") else out), status

    return run


def pipelines(hits):
    return sorted({hit["pipeline"] for hit in hits})


def test_nothing_changed_breaks_nothing(check):
    assert check() == ({"breaks": [], "affected": [], "unknown": []}, 0)


def test_a_dropped_column_breaks_who_names_it_and_reaches_what_is_built_from_that(check):
    report, status = check(core__orders=ORDERS.replace("raw.amount", "raw.amount AS amount_eur"))
    assert status == 1
    [broken] = report["breaks"]
    assert broken == {
        "change": "column amount of wh.core.orders is gone",
        "node": "table:warehouse:wh.mart.revenue",
        "pipeline": "mart.revenue",
        "path": [
            "column:warehouse:wh.core.orders:amount",
            "pipeline:mart.revenue",
            "table:warehouse:wh.mart.revenue",
        ],
        "owners": ["Finance"],
    }
    assert pipelines(report["affected"]) == ["mart.everything", "mart.top"]


def test_a_star_does_not_break_but_passes_the_loss_on(check):
    report, _ = check(
        core__orders=ORDERS.replace(", raw.amount", ""),
        mart__named="SELECT e.amount FROM mart.everything AS e",
    )
    assert {(hit["pipeline"], hit["change"]) for hit in report["breaks"]} == {
        ("mart.revenue", "column amount of wh.core.orders is gone"),
        ("mart.named", "column amount of wh.core.orders is gone"),
    }
    assert next(hit["path"] for hit in report["breaks"] if hit["pipeline"] == "mart.named") == [
        "column:warehouse:wh.core.orders:amount",
        "pipeline:mart.everything",
        "table:warehouse:wh.mart.everything",
        "pipeline:mart.named",
        "table:warehouse:wh.mart.named",
    ]


def test_what_a_broken_pipeline_no_longer_builds_keeps_its_columns(tmp_path):
    filtered = {
        "mart__everything": "SELECT * FROM core.orders AS o WHERE o.amount > 0",
        "mart__named": "SELECT e.amount FROM mart.everything AS e",
    }
    base = version(tmp_path / "base", **filtered)
    new = version(tmp_path / "new", **filtered, core__orders=ORDERS.replace(", raw.amount", ""))
    older = read(base)
    report = compare(older, read(new, older))
    assert [hit.pipeline for hit in report.breaks] == ["mart.everything", "mart.revenue"]
    assert "mart.named" in {hit.pipeline for hit in report.affected}


def test_a_column_used_only_in_a_filter_breaks_too(check):
    report, status = check(mart__revenue=REVENUE.replace("AS revenue FROM", "AS total FROM"))
    assert pipelines(report["breaks"]) == ["mart.top"]
    assert status == 1


def test_a_change_that_mends_its_readers_breaks_nothing(check):
    report, status = check(
        core__orders=ORDERS.replace("raw.amount", "raw.amount AS amount_eur"),
        mart__revenue=REVENUE.replace("o.amount", "o.amount_eur"),
    )
    assert (report["breaks"], status) == ([], 0)


def test_a_dropped_table_breaks_its_readers(check):
    report, status = check(core__orders="CREATE TABLE core.orders_v2 AS SELECT raw.id FROM raw.orders AS raw")
    assert pipelines(report["breaks"]) == ["mart.everything", "mart.revenue"]
    assert {hit["change"] for hit in report["breaks"]} == {"table wh.core.orders is gone"}
    assert status == 1


def test_what_did_not_change_is_taken_from_the_older_version_and_comes_to_the_same(tmp_path):
    base, new = version(tmp_path / "base"), version(tmp_path / "new", core__orders=ORDERS.replace(", raw.amount", ""))
    older = read(base)
    again = read(new, older)
    assert again.lineages == read(new).lineages
    kept = {name for name in again.lineages if again.lineages[name] is older.lineages[name]}
    assert kept == {"mart.top"}  # what reads core.orders has other columns to read


def test_a_column_that_a_star_leaves_out_by_name_is_named(check):
    less = "SELECT * EXCLUDE (amount) FROM core.orders"
    report, _ = check(core__orders=ORDERS.replace(", raw.amount", ""), mart__everything=less)
    assert "mart.everything" in pipelines(report["breaks"])


def test_a_star_breaks_to_which_nothing_is_left(check):
    less = "SELECT * EXCLUDE (id, country) FROM core.orders"
    report, _ = check(core__orders=ORDERS.replace(", raw.amount", ""), mart__amounts=less)
    assert "mart.amounts" in pipelines(report["breaks"])


def test_another_type_is_felt_but_breaks_nothing(check):
    cast = "SELECT raw.id, cast(raw.amount AS {}) AS amount, raw.country FROM raw.orders AS raw"
    _, before = check(core__orders=cast.format("DECIMAL"))
    report, status = check(core__orders=cast.format("VARCHAR"))
    assert before == status == 0
    assert report["breaks"] == []


def test_sql_that_cannot_be_read_is_never_passed_blind(check):
    report, status = check(mart__revenue="SELECT FROM WHERE (")
    assert {(hit["pipeline"], hit["change"].split(":")[0]) for hit in report["unknown"]} == {
        ("mart.revenue", "mart/revenue.sql"),
        ("mart.top", "the columns of wh.mart.revenue cannot be told any more"),
    }
    assert status == 3


def test_markdown_names_the_pipeline_and_whom_to_ask(check, tmp_path):
    text, status = check(
        "--base", str(tmp_path / "base"), "--format", "markdown", core__orders=ORDERS.replace(", raw.amount", "")
    )
    assert "| column amount of wh.core.orders is gone | mart.revenue | Finance |" in text
    assert status == 1


def test_the_older_version_can_be_a_commit(check, tmp_path):
    repository = version(tmp_path / "new")
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(repository), *words], check=True)
    report, status = check("--git", "HEAD", "--json", core__orders=ORDERS.replace(", raw.amount", ""))
    assert pipelines(report["breaks"]) == ["mart.revenue"]
    assert status == 1


def test_a_commit_that_is_not_there_is_said(check, tmp_path):
    version(tmp_path / "new")
    subprocess.run(["git", "-C", str(tmp_path / "new"), "init", "-q"], check=True)
    with pytest.raises(CommandError, match="git has no such version") as error:
        check("--git", "nowhere")
    assert error.value.returncode == 2


def test_a_changed_macro_breaks_what_reads_the_columns_it_wrote(tmp_path) -> None:
    project = {
        "dbt_project.yml": "name: shop",
        "macros/keys.sql": "{% macro keys() %}id, customer_id{% endmacro %}",
        "core/orders.sql": "SELECT {{ keys() }}, amount FROM raw.orders",
        "mart/by_customer.sql": "SELECT customer_id, sum(amount) AS total FROM {{ ref('orders') }} GROUP BY 1",
        "mart/ids.sql": "SELECT id FROM {{ ref('orders') }}",
    }
    before = read(write(tmp_path / "old", project))
    after = read(write(tmp_path / "new", project | {"macros/keys.sql": "{% macro keys() %}id{% endmacro %}"}), before)
    assert [found.pipeline for found in compare(before, after).breaks] == ["mart.by_customer"]
