"""The `bigquery-etl` layout: a query or view with its metadata, schema and backfills beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.models import Owner, Table
from catalog.queries import owners_of
from lineage.models import SqlVersion
from tests.ingest.folders import column_edges, columns, edges, ingest, pipeline, problems, table, write

pytestmark = pytest.mark.django_db

DAILY = "sql/proj/tel_derived/daily_v1"
VIEW = "sql/proj/tel/daily"
FILES = {
    f"{DAILY}/query.sql": "SELECT submission_date, client.id AS client_id FROM `proj.tel_stable.main_v5`",
    f"{DAILY}/metadata.yaml": """
friendly_name: Daily
description: One row per client and day.
owners: [ann@example.com, org/team]
labels: {application: firefox, incremental: true, level: [gold, silver]}
scheduling: {dag_name: bqetl_main}
bigquery: {time_partitioning: {type: day, expiration_days: 775.0}}
""",
    f"{DAILY}/schema.yaml": """
fields:
- {name: submission_date, type: DATE, mode: NULLABLE, description: Day}
- name: client_id
  type: STRING
  description: !include-field-description {file: x.yaml, field: client_id}
- {name: tags, type: RECORD, mode: REPEATED, fields: [{name: key, type: STRING}, {name: n, type: INTEGER}]}
""",
    f"{DAILY}/backfill.yaml": """
2024-05-01: {start_date: 2024-01-01, end_date: 2024-04-30, reason: "Late\\n  data", status: Complete}
2024-06-01: {start_date: 2024-05-01, end_date: 2024-05-31, reason: Again, status: Initiate}
""",
    f"{VIEW}/view.sql": "CREATE OR REPLACE VIEW `proj.tel.daily` AS SELECT * FROM `proj.tel_derived.daily_v1`",
    f"{VIEW}/metadata.yaml": "deprecated: true\ndeletion_date: 2025-01-31\nowners: [bo@example.com]",
    "sql/proj/ext/load_v1/query.py": "print('not SQL')",
    "sql/proj/ext/load_v1/metadata.yaml": "owners: [cy@example.com]",
    "sql/proj/ext/sheet_v1/metadata.yaml": "owners: [dee@example.com]\nexternal_data: {format: google_sheets}",
    "sql/proj/udf/parse/udf.sql": "CREATE OR REPLACE FUNCTION udf.parse(a STRING) AS (a)",
    "sql/proj/udf/parse/metadata.yaml": "owners: [eve@example.com]",
    "dags.yaml": "bqetl_main: {schedule_interval: 0 2 * * *, tags: [impact/tier_1, repo/bigquery-etl]}",
    "README.md": "not read",
    "tests/sql/proj/x/y/query.sql": "SELECT 1",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write(tmp_path, FILES)


def test_each_query_view_and_script_is_a_pipeline_with_its_metadata(repository: Path) -> None:
    outcome = ingest(repository, "bigquery-etl")
    daily = pipeline("proj.tel_derived.daily_v1")
    assert (daily.catchup, pipeline("proj.tel.daily").catchup) == (False, None)
    assert (daily.dag, daily.orchestrator, daily.schedule, daily.tier) == ("bqetl_main", "airflow", "0 2 * * *", 1)
    assert (daily.load_strategy, daily.kind, daily.kind_is_inferred) == ("incremental", "summary", True)
    assert daily.backfill.splitlines() == [
        "2024-06-01: 2024-05-01 to 2024-05-31 (Initiate). Again",
        "2024-05-01: 2024-01-01 to 2024-04-30 (Complete). Late data",
    ]
    assert {owner.name for owner in owners_of(daily).technical} == {"ann@example.com", "org/team"}
    assert not owners_of(daily).business
    assert sorted(tag.name for tag in daily.tags.all()) == ["firefox", "gold", "silver"]
    assert pipeline("proj.tel.daily").status == "deprecated"
    assert outcome.summary.pipelines == 3
    assert outcome.summary.files == 12
    assert problems() == []


def test_tables_have_retention_columns_and_kinds(repository: Path) -> None:
    ingest(repository, "bigquery-etl")
    daily, view = table("proj.tel_derived.daily_v1"), table("proj.tel.daily")
    assert daily.retention_days == 775
    assert columns("proj.tel_derived.daily_v1") == [
        ("submission_date", "DATE", 1),
        ("client_id", "STRING", 2),
        ("tags", "ARRAY<STRUCT<key STRING, n INTEGER>>", 3),
    ]
    assert (view.kind, view.status, view.ingested["deletion_date"]) == ("view", "deprecated", "2025-01-31")
    assert table("proj.ext.sheet_v1").kind == "external_table"
    assert not owners_of(daily)  # they fall back to the pipeline's
    assert [owner.name for owner in owners_of(table("proj.ext.sheet_v1")).technical] == ["dee@example.com"]


def test_edges_follow_the_sql_and_the_schema_file_expands_the_star(repository: Path) -> None:
    ingest(repository, "bigquery-etl")
    assert edges() == {
        ("proj.tel_stable.main_v5", "proj.tel_derived.daily_v1"),
        ("proj.tel_derived.daily_v1", "proj.tel.daily"),
        ("", "proj.ext.load_v1"),
    }
    assert column_edges("IDENTITY") >= {
        ("proj.tel_stable.main_v5.client", "proj.tel_derived.daily_v1.client_id"),
        ("proj.tel_derived.daily_v1.tags", "proj.tel.daily.tags"),
    }
    assert [name for name, _, _ in columns("proj.tel.daily")] == ["submission_date", "client_id", "tags"]


def test_every_owner_of_metadata_is_an_owner_also_those_of_functions(repository: Path) -> None:
    outcome = ingest(repository, "bigquery-etl")
    emails = {"ann@example.com", "bo@example.com", "cy@example.com", "dee@example.com", "eve@example.com"}
    assert set(Owner.objects.exclude(email="").values_list("email", flat=True)) == emails
    assert Owner.objects.get(name="org/team").kind == "team"
    assert outcome.summary.owners == 6
    assert not Table.objects.filter(name__contains="udf").exists()


def test_a_name_without_project_is_of_the_files_own(tmp_path: Path) -> None:
    write(tmp_path, {f"{DAILY}/query.sql": "SELECT a FROM tel_stable.main_v5"})
    ingest(tmp_path, "bigquery-etl")
    assert edges() == {("proj.tel_stable.main_v5", "proj.tel_derived.daily_v1")}


@pytest.mark.parametrize(("stated", "known"), [("", False), ("catchup: true", True), ("catchup: false", False)])
def test_a_dag_that_says_nothing_of_catchup_has_it_off(tmp_path: Path, stated: str, known: bool) -> None:
    files = {name: FILES[name] for name in (f"{DAILY}/query.sql", f"{DAILY}/metadata.yaml")}
    write(tmp_path, files | {"dags.yaml": f"bqetl_main: {{schedule_interval: 0 2 * * *, {stated}}}"})
    ingest(tmp_path, "bigquery-etl")
    assert pipeline("proj.tel_derived.daily_v1").catchup is known


def test_a_dag_that_is_described_nowhere_is_a_problem(tmp_path: Path) -> None:
    files = {f"{DAILY}/query.sql": "SELECT 1 AS a", f"{DAILY}/metadata.yaml": "scheduling: {dag_name: gone}"}
    write(tmp_path, {**files, "dags.yaml": "other: {schedule_interval: daily}"})
    ingest(tmp_path, "bigquery-etl")
    assert problems() == [(f"{DAILY}/query.sql", "unknown_dag", None)]


@pytest.mark.parametrize(
    ("scheduling", "strategy", "is_idempotent"),
    [
        ("{dag_name: main}", "incremental", True),
        ("{dag_name: main, date_partition_parameter: null}", "full_refresh", True),
        ("{dag_name: main, date_partition_parameter: null, arguments: [--append_table, --noreplace]}", "append", False),
        ("{dag_name: main, date_partition_parameter: null, arguments: [--noreplace]}", "unknown", None),
        (
            "{dag_name: main, date_partition_parameter: null, destination_table: 'daily_v1$20240101'}",
            "incremental",
            True,
        ),
        ("{dag_name: main, destination_table: null}", "unknown", None),  # the query is run as it is
        ("{depends_on_past: true}", "unknown", None),  # nothing runs it
    ],
)
def test_a_scheduled_query_is_loaded_as_its_dag_runs_it(
    tmp_path: Path, scheduling: str, strategy: str, is_idempotent: bool | None
) -> None:
    sql = "SELECT @submission_date AS submission_date, a FROM tel_stable.main_v5"
    write(tmp_path, {f"{DAILY}/query.sql": sql, f"{DAILY}/metadata.yaml": f"scheduling: {scheduling}"})
    ingest(tmp_path, "bigquery-etl")
    read = SqlVersion.objects.get().practices
    assert (read["load_strategy"], read["idempotent"]) == (strategy, is_idempotent)


def test_a_changed_schedule_alone_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, {f"{DAILY}/query.sql": "SELECT 1 AS a", f"{DAILY}/metadata.yaml": "scheduling: {dag_name: main}"})
    ingest(tmp_path, "bigquery-etl")
    write(tmp_path, {f"{DAILY}/metadata.yaml": "scheduling: {dag_name: main, date_partition_parameter: null}"})
    ingest(tmp_path, "bigquery-etl")
    assert SqlVersion.objects.get(valid_to=None).practices["load_strategy"] == "full_refresh"
