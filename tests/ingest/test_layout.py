"""A layout is a file: a third one needs no code, and a wrong one is told of in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.layout import FieldPath, LayoutError, compile_path, known_layouts, read_layout
from tests.ingest.folders import edges, ingest, pipeline, write

THIRD = """
name: athena-jobs
dialect: athena
source: {slug: athena, name: Athena, platform: athena, storage: lake}
pipelines:
  - {path: "jobs/{schema}/{table}/job.sql", builds: "{schema}.{table}"}
metadata:
  - path: jobs/{schema}/{table}/job.yml
    form: facts
    about: "{schema}.{table}"
    fields:
      technical_owners: team.contact
      business_owners: requested_by
      schedule: {path: cron}
      status: {path: enabled, values: {"false": paused}}
"""


@pytest.mark.django_db
def test_a_third_layout_is_a_file(tmp_path: Path) -> None:
    layout = tmp_path / "athena.yaml"
    layout.write_text(THIRD)
    files = {
        "jobs/mart/daily/job.sql": "SELECT a FROM raw.t",
        "jobs/mart/daily/job.yml": "team: {contact: data@example.com}\nrequested_by: Finance\ncron: 0 1 * * *\n"
        "enabled: no",
    }
    ingest(write(tmp_path / "repository", files), str(layout))
    daily = pipeline("jobs.mart.daily.job")
    assert (daily.schedule, daily.status) == ("0 1 * * *", "paused")
    assert {(str(o.owner), o.role) for o in daily.ownerships.all()} == {
        ("data@example.com", "technical"),
        ("Finance", "business"),
    }
    assert edges() == {("raw.t", "mart.daily")}


def test_the_layouts_that_come_along_can_be_read() -> None:
    assert known_layouts() == ["bigquery-etl", "plain"]
    assert [read_layout(name).name for name in known_layouts()] == ["bigquery-etl", "plain"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "line 2"),
        ("name: x", "is not a layout"),
        (THIRD.replace("form: facts", "form: fax"), "form 'fax' is none of"),
    ],
)
def test_a_wrong_layout_is_told_of_in_words(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(LayoutError, match=words):
        read_layout(str(path))


def test_an_unknown_layout_names_the_known_ones() -> None:
    with pytest.raises(LayoutError, match="Known are bigquery-etl, plain"):
        read_layout("dbt")


@pytest.mark.parametrize(
    ("pattern", "path", "parts"),
    [
        ("**/{schema}/{table}.sql", "a/b/c.sql", {"schema": "b", "table": "c"}),
        ("**/{schema}/{table}.sql", "b/c.sql", {"schema": "b", "table": "c"}),
        ("**/{schema}/{table}.sql", "c.sql", None),
        ("{table}.sql", "a/c.sql", None),
        ("sql/{a}/{a}.sql", "sql/x/x.sql", {"a": "x"}),
        ("sql/{a}/{a}.sql", "sql/x/y.sql", None),
        ("sql/*/x.sql", "sql/anything/x.sql", {}),
    ],
)
def test_path_patterns(pattern: str, path: str, parts: dict[str, str] | None) -> None:
    assert compile_path(pattern).match(path) == parts


@pytest.mark.parametrize(
    ("where", "data", "value"),
    [
        (FieldPath(("a.b",)), {"a": {"b": 1}}, 1),
        (FieldPath(("a", "b")), {"b": 2}, 2),
        (FieldPath(("a.b",)), {"a": "text"}, None),
        (FieldPath(("a",), values={"true": "yes"}), {"a": True}, "yes"),
        (FieldPath(("a",), values={"true": "yes"}), {"a": False}, None),
        (FieldPath(("a",), values={"--y": "Y", "--x": "X"}), {"a": ["--z", "--x", "--y"]}, "Y"),
        (FieldPath(("a.b",), default="day"), {"a": {}}, "day"),
        (FieldPath(("a.b",), default="day"), {}, "day"),
        (FieldPath(("a.b",), default="day"), {"a": {"b": None}}, None),
        (FieldPath(("a.b",), values={"--x": "X"}, default="Z"), {"a": {"b": ["--y"]}}, "Z"),
        (FieldPath(("a",), value="airflow"), {"a": "dag"}, "airflow"),
        (FieldPath(("a",), match="tier_([1-4])"), {"a": ["x", "tier_3"]}, "3"),
    ],
)
def test_field_paths(where: FieldPath, data: object, value: object) -> None:
    assert where.read(data) == value
