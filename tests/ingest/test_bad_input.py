"""Bad input: each is a recorded problem, or a clear error naming file and line; nothing else is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.db import DataError

from ingest import read_files
from ingest import services as ingest_services
from ingest.layout import read_layout
from ingest.read_files import read_file
from ingest.settings import SettingsError, check_dialect, read_settings
from lineage.models import Problem
from lineage.services import store_lineage
from tests.ingest.folders import edges, ingest, pipeline, problems, write

GOOD = {"mart/good.sql": "SELECT a FROM src.t"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"SELECT a\nFROM \xff\xfe", ("mart/bad.sql", "not_utf8", 2)),
        (b"SELECT a\n\nFROM t\0", ("mart/bad.sql", "not_utf8", 3)),
        ("SELECT a FROM t".encode("utf-16"), ("mart/bad.sql", "not_utf8", 1)),
        ("  \n\n", ("mart/bad.sql", "empty_file", None)),
        ("", ("mart/bad.sql", "empty_file", None)),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem_of_its_pipeline(
    tmp_path: Path, content: str | bytes, problem: tuple[str, str, int | None]
) -> None:
    write(tmp_path, {**GOOD, "mart/bad.sql": content})
    ingest(tmp_path)
    assert problems() == [problem]
    assert Problem.objects.get().pipeline == pipeline("mart.bad")
    assert edges() == {("src.t", "mart.good")}
    write(tmp_path, {"mart/bad.sql": "SELECT b FROM src.u"})
    ingest(tmp_path)
    assert problems() == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sql", ["SELECT " + "(" * 20_000 + "1" + ")" * 20_000, "SELECT a FROM (" * 5_000, "SELECT 'open"]
)
def test_sql_that_cannot_be_parsed_costs_only_itself(tmp_path: Path, sql: str) -> None:
    write(tmp_path, {**GOOD, "mart/bad.sql": sql})
    outcome = ingest(tmp_path)
    assert {path for path, _, _ in problems(severity="error")} == {"mart/bad.sql"}
    assert edges() >= {("src.t", "mart.good")}
    assert outcome.has_errors
    assert outcome.summary.parse_coverage == 0.5


@pytest.mark.django_db
def test_one_broken_statement_costs_only_itself(tmp_path: Path) -> None:
    sql = "INSERT INTO mart.a (x) SELECT x FROM src.t;\nSELEC x FRM;\nINSERT INTO mart.b (x) SELECT x FROM src.u;"
    write(tmp_path, {"mart/x.sql": sql})
    ingest(tmp_path, dialect="postgres")
    assert edges() == {("src.t", "mart.a"), ("src.u", "mart.b")}
    assert [(path, line) for path, _, line in problems(severity="error")] == [("mart/x.sql", 2)]


def test_a_file_beyond_the_bound_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_files, "MAX_BYTES", 1_000)
    facts = read_file("x.sql", b"SELECT 1 " * 200, read_layout("plain"))
    assert [problem.code for problem in facts.problems] == ["file_too_large"]
    assert not facts.is_readable


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "line"),
    [("owners: [ann@example.com\nlabels: {}", 2), ("owners:\n- a\n b: c", 3), ("- a list", 1)],
)
def test_broken_yaml_is_a_problem_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    folder = "sql/p/d/t"
    files = {f"{folder}/query.sql": "SELECT a FROM p.d.u", f"{folder}/metadata.yaml": text}
    write(tmp_path, files)
    ingest(tmp_path, "bigquery-etl")
    assert problems() == [(f"{folder}/metadata.yaml", "broken_yaml", line)]
    assert edges() == {("p.d.u", "p.d.t")}


@pytest.mark.django_db
def test_escapes_that_no_database_keeps_are_dropped(tmp_path: Path) -> None:
    files = {
        "sql/p/d/t/query.sql": "SELECT 1 AS a",
        "sql/p/d/t/metadata.yaml": 'description: "a\\0b"\nowners: ["x\\0@y.z"]',
    }
    write(tmp_path, files)
    ingest(tmp_path, "bigquery-etl")
    assert pipeline("p.d.t").description == "ab"
    assert problems() == []


@pytest.mark.django_db
def test_what_the_database_refuses_costs_only_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def strict(lineages: Any, at: Any) -> None:
        if any("bad" in lineage.read.path for lineage in lineages):
            raise DataError("out of range")
        store_lineage(lineages, at)

    monkeypatch.setattr(ingest_services, "store_lineage", strict)
    write(tmp_path, {**GOOD, "mart/bad.sql": "SELECT b FROM src.u", "mart/other.sql": "SELECT c FROM src.v"})
    ingest(tmp_path)
    assert problems() == [("mart/bad.sql", "not_stored", None)]
    assert edges() == {("src.t", "mart.good"), ("src.v", "mart.other")}
    monkeypatch.undo()
    ingest(tmp_path)
    assert problems() == []
    assert ("src.u", "mart.bad") in edges()


def test_a_bomb_of_aliases_is_no_fact() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    text = "\n".join([*lines, "description: *a11", "owners: *a11", "fields: *a11"])
    for name in ("metadata.yaml", "schema.yaml"):
        facts = read_file(f"sql/p/d/t/{name}", text.encode(), read_layout("bigquery-etl"))
        assert not facts.facts.get("description")
        assert len(facts.columns) == 0


def test_a_schema_without_end_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_files, "MAX_FIELDS", 50)
    fields = "\n".join(f"- {{name: c{n}, type: STRING}}" for n in range(60))
    facts = read_file("sql/p/d/t/schema.yaml", f"fields:\n{fields}".encode(), read_layout("bigquery-etl"))
    assert [problem.code for problem in facts.problems] == ["broken_yaml"]


@pytest.mark.django_db
def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "outside", {"secret/x.sql": "SELECT a FROM secret.t", "y.sql": "SELECT a FROM secret.u"})
    folder = write(tmp_path / "repository", GOOD)
    os.symlink(tmp_path / "outside" / "secret", folder / "linked")
    os.symlink(tmp_path / "outside" / "y.sql", folder / "y.sql")
    os.symlink(tmp_path / "nowhere", folder / "gone.sql")
    os.symlink(folder / "mart" / "good.sql", folder / "again.sql")
    os.symlink(folder, folder / "mart" / "round")
    ingest(folder)
    assert problems() == [(name, "outside_folder", None) for name in ("gone.sql", "linked", "y.sql")]
    assert edges() == {("src.t", "mart.good"), ("src.t", "again")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dialect: [", "pipekeeper.yaml, line 2"),
        ("- a", "must hold keys"),
        ("dialekt: bigquery", "unknown key dialekt. Known are default_database"),
        ("sources: [{name: x, storage: cellar}]", "storage 'cellar'; use one of warehouse"),
        ("owners: [{name: x, kind: robot}]", "'robot' should be person or team"),
        ("tables: {a: b}", "`tables` must be a list"),
        ('table_name: "{schema}.{file}"', "may hold {folder} and {file}"),
    ],
)
def test_wrong_settings_are_told_of_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path, {"pipekeeper.yaml": text})
    with pytest.raises(SettingsError, match=words.replace("[", r"\[")):
        read_settings(tmp_path)


def test_an_unknown_dialect_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="Unknown dialect 'bigqery'. Did you mean bigquery"):
        check_dialect("bigqery")


@pytest.mark.django_db
def test_a_wrong_declaration_is_a_problem_and_the_rest_is_read(tmp_path: Path) -> None:
    settings = """
tables:
- {name: mart.a, retention: a while, kind: heap, colour: red}
- {name: mart.b, source: nowhere}
pipelines:
- {name: mart.good, outputs: [mart.c]}
- {name: other, tier: 9, outputs: [mart.d]}
"""
    write(tmp_path, {**GOOD, "pipekeeper.yaml": settings})
    ingest(tmp_path)
    codes = sorted(code for _, code, _ in problems())
    assert codes == ["bad_metadata"] * 3 + ["declared_twice", "unknown_key", "unknown_source"]
    assert edges() == {("src.t", "mart.good"), ("", "mart.d")}
