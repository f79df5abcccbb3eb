"""The demo shop is built once for all tests here; its flaws must be true in the file, in the SQL and in the log."""

import datetime as dt
import io
import json
import re
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import duckdb
import pytest
import yaml
from django.core.management import call_command

from audits.checks.models import Check
from audits.practices.models import Finding
from audits.practices.rules import RULES
from demo.build import NIGHT_ENDS, REPO, Built, Story, build, read_pipelines, shop_today, write_runs
from demo.queries import run_queries

DECLARED = yaml.safe_load((REPO / "pipekeeper.yaml").read_text())
WAREHOUSE_TABLES = {table["name"] for table in DECLARED["tables"] if "source" not in table}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("demo") / "warehouse.duckdb")


@pytest.fixture(scope="module")
def warehouse(built: Built):
    with duckdb.connect(str(built.path), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def log(built: Built) -> list[dict[str, str]]:
    path = built.path.with_name("queries.jsonl")
    run_queries(built.path, path, built.story.today)
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple]:
    return connection.execute(sql).fetchall()


def front_comments(path: str) -> str:
    return re.match(r"(--.*\n)+", (REPO / path).read_text())[0]


# What there is


def test_forty_pipelines_sixty_tables_and_seventeen_sources():
    assert len(read_pipelines()) + len(DECLARED["pipelines"]) == 40
    assert len(DECLARED["tables"]) == 60
    assert len(DECLARED["sources"]) == 17


def test_every_storage_kind_of_the_catalog_is_there():
    assert {source["storage"] for source in DECLARED["sources"]} == {
        "warehouse", "lake", "operational_database", "wide_column", "key_value_store",
        "cache", "search_index", "stream", "files", "dashboard",
    }  # fmt: skip


def test_the_file_holds_exactly_the_tables_that_are_declared(warehouse):
    held = rows(warehouse, "SELECT schema_name || '.' || table_name FROM duckdb_tables()")
    views = rows(warehouse, "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal")
    assert {name for (name,) in held + views} == WAREHOUSE_TABLES


def test_declared_keys_and_columns_are_true_of_the_file(warehouse):
    for table in DECLARED["tables"]:
        if "source" in table:
            continue
        columns = {row[0] for row in rows(warehouse, f"DESCRIBE {table['name']}")}
        named = {*table.get("primary_key", []), *table.get("columns", {})}
        assert named <= columns, table["name"]


def test_whatever_is_named_is_declared():
    names = {owner["name"] for owner in DECLARED["owners"]} | {owner["email"] for owner in DECLARED["owners"]}
    sources = {source["name"] for source in DECLARED["sources"]}
    tables = {
        f"{table['source']}:{table['name']}" if "source" in table else table["name"] for table in DECLARED["tables"]
    }
    assert {table["source"] for table in DECLARED["tables"] if "source" in table} <= sources
    for entry in DECLARED["tables"] + DECLARED["pipelines"]:
        assert {entry[key] for key in ("owner", "business_owner") if key in entry} <= names, entry["name"]
    for pipeline in DECLARED["pipelines"]:
        assert {*pipeline["inputs"], *pipeline["outputs"]} <= tables, pipeline["name"]
    for path in REPO.glob("*/*.sql"):
        written = re.findall(r"^-- (?:business_)?owner: (.+)$", path.read_text(), re.MULTILINE)
        assert {name for owners in written for name in owners.split(", ")} <= names, path


def test_the_shop_is_of_a_size_worth_looking_at(warehouse):
    ((orders, first, last),) = rows(warehouse, "SELECT count(*), min(order_date), max(order_date) FROM core.orders")
    assert 100_000 < orders < 250_000
    assert 540 < (last - first).days < 550


def test_only_what_the_story_says_has_failed(built: Built):
    failed = {run.pipeline for run in built.runs if run.state == "failed"}
    assert failed == {"finance.refund_rates", "growth.channel_spend_daily"}


def test_a_build_that_fails_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    path.write_text("old")

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(path, progress=stop)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_runs_are_written_one_json_object_a_line(built: Built, tmp_path: Path):
    write_runs(built.runs, tmp_path / "runs.jsonl")
    lines = (tmp_path / "runs.jsonl").read_text().splitlines()
    assert len(lines) == len(built.runs)
    assert json.loads(lines[0])["state"] == "succeeded"


# The flaws


def test_a_day_was_appended_twice(built: Built, warehouse):
    twice = rows(
        warehouse,
        """SELECT spend_date, count(*) FROM (
             SELECT spend_date FROM growth.channel_spend_daily
             GROUP BY spend_date, channel, country HAVING count(*) > 1
           ) GROUP BY spend_date""",
    )
    assert twice == [(built.story.appended_twice_on, 15)]
    attempts = [run.state for run in built.runs if run.attempt == 2 or run.error.startswith("AirflowTaskTimeout")]
    assert attempts == ["failed", "succeeded"]


def test_the_double_day_makes_advertising_look_twice_as_dear(built: Built, warehouse):
    day = built.story.appended_twice_on
    ((reported,),) = rows(warehouse, f"SELECT sum(spend_eur) FROM growth.channel_performance WHERE day = DATE '{day}'")
    ((true,),) = rows(warehouse, f"SELECT sum(spend_eur) FROM raw.ad_spend WHERE spend_date = DATE '{day}'")
    assert reported == 2 * true


def test_a_renamed_column_broke_the_refund_rates(built: Built, warehouse):
    columns = [row[0] for row in rows(warehouse, "DESCRIBE raw.refunds")]
    assert "reason_code" in columns
    assert "reason" not in columns
    runs = [run for run in built.runs if run.pipeline == "finance.refund_rates"]
    assert {run.state for run in runs if run.logical_date < built.story.renamed_on} == {"succeeded"}
    assert {run.state for run in runs if run.logical_date >= built.story.renamed_on} == {"failed"}
    assert "reason" in runs[-1].error
    ((last,),) = rows(warehouse, "SELECT max(paid_on) FROM finance.refund_rates")
    assert last < built.story.renamed_on


def test_two_pipelines_build_the_segments_and_the_later_one_wins(warehouse):
    builders = [p.name for p in read_pipelines() if "CREATE OR REPLACE TABLE growth.customer_segments" in p.sql]
    assert builders == ["growth.customer_segments", "crm.vip_segments"]
    assert {row[0] for row in rows(warehouse, "SELECT DISTINCT segment FROM growth.customer_segments")} == {
        "vip",
        "regular",
    }


def test_a_slice_by_the_wall_clock_leaves_the_past_empty(built: Built, warehouse):
    ((first,),) = rows(warehouse, "SELECT min(sent_on) FROM growth.email_engagement")
    ((sent,),) = rows(warehouse, "SELECT min(sent_at)::DATE FROM raw.email_sends")
    assert sent < first
    assert (built.story.today - first).days <= 31


def test_nobody_owns_the_ticket_summary():
    comments = front_comments("support/ticket_summary.sql")
    assert "owner:" not in comments
    assert not any(pattern.startswith("support") for pattern in DECLARED["owners_by_path"])


def test_the_attribution_belongs_to_someone_who_left():
    left = {owner["email"] for owner in DECLARED["owners"] if owner.get("status") == "left"}
    assert "jonas.weber@shop.example" in left
    assert "owner: jonas.weber@shop.example" in front_comments("growth/attribution_report.sql")


def test_one_table_and_its_pipeline_have_no_description():
    undescribed = [table["name"] for table in DECLARED["tables"] if not table.get("description")]
    assert undescribed == ["product.funnel_daily"]
    assert "description:" not in front_comments("product/funnel_daily.sql")


# The query log


def test_the_log_covers_the_last_120_days(built: Built, log):
    days = sorted({entry["start_time"][:10] for entry in log})
    assert len(days) == 120
    assert days[-1] < built.story.today.isoformat()


def test_only_the_query_with_the_old_column_fails(log):
    failed = {entry["user"] for entry in log if entry["status"] == "failed"}
    assert failed == {"felix.brandt@shop.example"}
    assert Counter(entry["status"] for entry in log)["success"] > 1_500


def test_two_tables_are_unread_and_one_feeds_only_them(built: Built, log):
    """Reads of the last 90 days, carried up through the SQL files and the declared pipelines."""
    since = (built.story.today.toordinal() - 90, built.story.today.toordinal())
    used = set()
    for entry in log:
        if entry["status"] == "success" and since[0] <= ordinal(entry["start_time"]) < since[1]:
            used |= names_in(entry["query"])
    flows = [(names_in(p.sql) - outputs_of(p.sql), outputs_of(p.sql)) for p in read_pipelines()]
    flows += [(set(p["inputs"]), set(p["outputs"])) for p in DECLARED["pipelines"]]
    outside = {name for _, outputs in flows for name in outputs if name not in WAREHOUSE_TABLES}
    needed = used | outside
    while grown := {name for inputs, outputs in flows if outputs & needed for name in inputs} - needed:
        needed |= grown
    assert {*WAREHOUSE_TABLES} - needed == {
        "growth.attribution_daily", "growth.attribution_monthly", "growth.attribution_touchpoints",
    }  # fmt: skip


def ordinal(moment: str) -> int:
    return date.fromisoformat(moment[:10]).toordinal()


def names_in(sql: str) -> set[str]:
    return set(re.findall(r"\b(?:FROM|JOIN|INTO|TABLE|VIEW)\s+(?:IF NOT EXISTS )?((?:\w+\.)+\w+)", sql))


def outputs_of(sql: str) -> set[str]:
    return set(re.findall(r"\b(?:INTO|TABLE|VIEW)\s+(?:IF NOT EXISTS )?((?:\w+\.)+\w+)", sql))


# What is loaded: its scorecard passes somewhere and fails where the flaws are

FLAWS = {
    "full_refresh": "growth.channel_spend_daily",
    "idempotent": "product.funnel_daily",
    "backfill": "growth.email_engagement",
    "documentation": "support.ticket_summary",
    "unused_outputs": "growth.attribution_report",
    "post_mortems": "finance.refund_rates",
}


@pytest.mark.django_db
def test_each_practice_passes_somewhere_and_fails_where_the_flaws_are(settings, tmp_path: Path, built: Built) -> None:
    settings.VAR_DIR = tmp_path
    out = io.StringIO()
    call_command("load_demo", stdout=out)
    assert digests(tmp_path / "demo" / "warehouse.duckdb") == digests(built.path)  # of one day, the same rows
    pipelines: dict[tuple[str, str], set[str]] = defaultdict(set)
    for practice, standing, name in Finding.objects.with_standing().values_list(
        "practice", "standing", "pipeline__name"
    ):
        pipelines[practice, standing].add(name)
    assert [code for code in RULES if not pipelines[code, "pass"] or not pipelines[code, "fail"]] == []
    assert {code: name for code, name in FLAWS.items() if name not in pipelines[code, "fail"]} == {}
    assert "core.sessions" in pipelines["idempotent", "pass"]
    checks_have_a_true_history()
    again = io.StringIO()
    call_command("score", stdout=again)
    assert "0 findings written" in again.getvalue()


def digests(warehouse: Path) -> dict[str, tuple[int, ...]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        asked = {table: f"SELECT count(*), bit_xor(hash(COLUMNS(*))) FROM {table}" for table in WAREHOUSE_TABLES}
        return {table: connection.execute(sql).fetchone() for table, sql in asked.items()}


def checks_have_a_true_history() -> None:
    """A result for each of fifteen mornings, and what went wrong began when it did."""
    story = Story(shop_today())
    results = {check: list(check.results.order_by("at")) for check in Check.objects.all()}
    assert {len(of_check) for of_check in results.values()} == {len(story.days)}
    by_name = {check.name: check for check in results}
    twice = by_name["duplicate rows"]
    night = dt.datetime.combine(story.appended_twice_on, NIGHT_ENDS, dt.UTC)
    assert twice.failing_since == night + dt.timedelta(days=1)
    usual = results[by_name["usual row count"]]
    assert {result.state for result in usual} == {"pass", "unknown"}  # unknown on weekends, of which too few are known
    assert all(result.low < result.value < result.high for result in usual if result.state == "pass")
    values = [result.value for result in usual]
    assert values == sorted(set(values))  # the shop sells every day
    assert {result.state for result in results[by_name["freshness: ordered_at"]]} == {"pass"}
