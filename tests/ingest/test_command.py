"""`manage.py ingest_repo`: exit codes, the object that --json prints, words for everything else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from ingest.locks import only_one
from tests.ingest.folders import write

pytestmark = pytest.mark.django_db


def run(*arguments: Any) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)"""
    out, err = StringIO(), StringIO()
    try:
        call_command("ingest_repo", *map(str, arguments), "--jobs=0", stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_json_is_one_object_with_the_counts(tmp_path: Path) -> None:
    write(
        tmp_path, {"mart/a.sql": "-- owner: ann@example.com\nSELECT x FROM src.t", "mart/b.sql": "SELECT x FROM mart.a"}
    )
    code, out, _ = run(tmp_path, "--json")
    summary = json.loads(out)
    assert code == 0
    assert isinstance(summary.pop("seconds"), float)
    assert summary == {
        "files": 2,
        "pipelines": 2,
        "tables": 3,
        "columns": 3,
        "edges": 2,
        "owners": 1,
        "unowned": 1,
        "problems": {},
        "parse_coverage": 1.0,
    }


def test_words_for_a_person_and_again_when_nothing_changed(tmp_path: Path) -> None:
    write(tmp_path, {"mart/a.sql": "SELECT x FROM src.t"})
    _, out, _ = run(tmp_path)
    assert "1 pipelines, 1 of them without an owner" in out
    assert "100.00% of statements" in out
    _, out, _ = run(tmp_path)
    assert "No file has changed" in out


def test_errors_recorded_end_with_3(tmp_path: Path) -> None:
    write(tmp_path, {"a.sql": "SELEC x FRM", "b.sql": "SELECT 1 AS x"})
    assert run(tmp_path)[0] == 3
    assert run(tmp_path)[0] == 3  # also when they are the errors of last time


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layout", "dbt"], "There is no layout 'dbt'"),
        (["--dialect", "snowflak"], "Did you mean snowflake"),
        (["--jobs", "-1"], "--jobs must be"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_right(tmp_path: Path, arguments: list[str], words: str) -> None:
    out = StringIO()
    with pytest.raises(CommandError, match=words) as error:
        call_command("ingest_repo", str(tmp_path), *arguments, stdout=out)
    assert error.value.returncode == 2


def test_a_folder_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    assert run(tmp_path / "nowhere")[::2] == (2, f"{tmp_path / 'nowhere'} is not a folder.")


def test_a_second_ingest_of_the_same_at_the_same_time_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "twice", {"a.sql": "SELECT 1 AS x"})
    write(tmp_path / "other", {"b.sql": "SELECT 1 AS x"})
    with only_one("twice"):
        assert run(folder)[::2] == (2, "Another ingest of twice is running. Wait for it to end.")
        assert run(tmp_path / "other")[0] == 0
    assert run(folder)[0] == 0


def test_broken_settings_end_with_2_and_name_the_line(tmp_path: Path) -> None:
    write(tmp_path, {"pipekeeper.yaml": "dialect: duckdb\nsource: ["})
    code, _, words = run(tmp_path)
    assert code == 2
    assert words.startswith("pipekeeper.yaml, line 3 is not valid YAML")


def test_too_much_gone_ends_with_1(tmp_path: Path) -> None:
    write(tmp_path, {f"a/t{n}.sql": "SELECT 1 AS x" for n in range(10)})
    run(tmp_path)
    for n in range(7):
        (tmp_path / f"a/t{n}.sql").unlink()
    code, _, words = run(tmp_path)
    assert code == 1
    assert "7 files that were known are gone. Nothing was retired" in words
    assert run(tmp_path, "--allow-retire")[0] == 0


def test_the_commands_start_without_what_other_kinds_of_work_need() -> None:
    others = "{'sqlalchemy', 'duckdb', 'networkx', 'scipy', 'celery'}"
    commands = "ingest.management.commands.ingest_repo, ingest.management.commands.ingest_dbt"
    code = f"import sys, django; django.setup(); import {commands}; print({others} & sys.modules.keys())"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "CELERY_BROKER_URL": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
