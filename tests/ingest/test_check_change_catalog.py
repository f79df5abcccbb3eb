"""A change of a repository held against a catalog that is really served: other repositories, dashboards, reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from audits.usage.models import ColumnRead, Reader
from catalog.models import Table
from catalog.tokens import issue_token
from tests.factories import make_edge, make_owner, make_pipeline, make_table
from tests.ingest.folders import ingest, write
from tests.ingest.test_check_change import ORDERS, REVENUE, pipelines, version

pytestmark = pytest.mark.django_db(transaction=True)

LESS = ORDERS.replace(", raw.amount", "")
TOP = "SELECT o.amount, o.id FROM wh.core.orders AS o"


@pytest.fixture
def company(tmp_path, live_server, viewer, monkeypatch):
    """The catalog's address: it knows the repository, another one that reads core.orders, and a dashboard."""
    ingest(version(tmp_path / "base"), scope="shop")
    other = {"pipekeeper.yaml": "dialect: duckdb\nsource: warehouse\ndefault_database: wh\ndefault_schema: fin\n"}
    ingest(write(tmp_path / "other", other | {"fin/top.sql": TOP}), scope="other")
    show = make_pipeline("show_board", owner=make_owner("Bea"))
    make_edge(show, Table.objects.get(name="wh.mart.revenue"), make_table("board", kind="dashboard"))
    _, secret = issue_token(user=viewer, name="ci", scope="read")
    monkeypatch.setenv("PIPEKEEPER_TOKEN", secret)
    return live_server.url


@pytest.fixture
def check(tmp_path, capsys):
    """A function: catalog, files changed -> (report, exit status, what stands on the error stream)."""

    def run(catalog, **changed):
        new, base, status = version(tmp_path / "new", **changed), str(tmp_path / "base"), 0
        try:
            call_command("check_change", str(new), "--base", base, "--json", "--jobs", "0", "--catalog", catalog)
        except SystemExit as error:
            status = error.code
        told = capsys.readouterr()
        return json.loads(told.out), status, told.err

    return run


def test_nothing_changed_asks_nobody(company, check):
    assert check("http://127.0.0.1:9")[:2] == ({"breaks": [], "affected": [], "unknown": []}, 0)


def test_other_repositories_and_dashboards_are_told_of(company, check):
    report, status, _ = check(company, core__orders=LESS)
    assert status == 1
    assert pipelines(report["breaks"]) == ["fin.top", "mart.revenue"]
    [foreign] = [hit for hit in report["breaks"] if hit["pipeline"] == "fin.top"]
    assert foreign == {
        "change": "column amount of wh.core.orders is gone",
        "node": "table:warehouse:wh.fin.top",
        "pipeline": "fin.top",
        "path": ["column:warehouse:wh.core.orders:amount", "pipeline:fin.top", "table:warehouse:wh.fin.top"],
        "owners": [],
    }
    [board] = [hit for hit in report["affected"] if hit["node"] == "table:warehouse:board"]
    assert (board["pipeline"], board["change"]) == ("show_board", "column amount of wh.core.orders is gone")
    assert len(report["breaks"]) == 2  # the catalog has nothing to say on this repository's own


def test_what_the_change_mends_the_catalog_does_not_break(company, check):
    report, status, _ = check(
        company,
        core__orders=ORDERS.replace("raw.amount,", "raw.amount, raw.amount AS amount_eur,"),
        mart__revenue=REVENUE.replace("o.amount", "o.amount_eur"),
    )
    assert (report["breaks"], report["unknown"], status) == ([], [], 0)


def test_a_column_really_read_breaks(company, check):
    column = Table.objects.get(name="wh.mart.revenue").columns.get(name="revenue")
    reader = Reader.objects.create(source=column.table.source, name="tableau", kind="service")
    month = timezone.now().date().replace(day=1)
    ColumnRead.objects.create(column=column, month=month, reader=reader, count=7, days=1)
    gone = REVENUE.replace(", sum(o.amount) AS revenue", "")
    report, status, _ = check(company, mart__revenue=gone, mart__top="SELECT r.country FROM mart.revenue AS r")
    assert [hit["change"] for hit in report["breaks"]] == [
        "column revenue of wh.mart.revenue is gone: 7 queries in 90 days, not of pipelines, name it"
    ]
    assert status == 1


def test_a_table_that_the_catalog_does_not_know_is_in_doubt(company, check, tmp_path):
    version(tmp_path / "base", core__new="SELECT raw.id FROM raw.orders AS raw")
    report, status, _ = check(company)
    assert status == 3
    assert [hit["node"] for hit in report["unknown"]] == ["table:warehouse:wh.core.new"]


@pytest.mark.parametrize(
    ("path", "token", "words"),
    [
        ("", "pk_wrong", "refuses the token in PIPEKEEPER_TOKEN (401)"),
        ("/nowhere", "", "is of another version than this command"),
    ],
)
def test_a_catalog_that_does_not_answer_is_never_taken_for_a_yes(company, check, monkeypatch, path, token, words):
    if token:
        monkeypatch.setenv("PIPEKEEPER_TOKEN", token)
    report, status, told = check(company + path, core__orders=LESS, mart__revenue=REVENUE.replace("o.amount", "o.id"))
    assert (status, report["breaks"]) == (3, [])
    assert words in told and words in report["unknown"][-1]["change"]


def test_an_answer_of_another_version_is_not_guessed_at(company, check, monkeypatch):
    monkeypatch.setattr("audits.usage.impact_api.VERSION", 2)
    report, status, told = check(company, core__orders=LESS, mart__revenue=REVENUE.replace("o.amount", "o.id"))
    assert status == 3 and "is of another version" in told


def test_one_that_cannot_be_reached_is_said_and_the_token_is_not(company, check, monkeypatch):
    monkeypatch.setenv("PIPEKEEPER_TOKEN", "pk_secret")
    report, status, told = check("http://127.0.0.1:9", core__orders=LESS)
    assert status == 1 and "cannot be reached" in report["unknown"][-1]["change"]
    assert "pk_secret" not in told + json.dumps(report)


def test_without_a_token_it_is_wrong_use(tmp_path):
    folder = version(tmp_path / "base")
    command = [sys.executable, "manage.py", "check_change", str(folder), "--base", str(folder), "--catalog", "http://x"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, env={})
    assert done.returncode == 2 and "PIPEKEEPER_TOKEN" in done.stderr
