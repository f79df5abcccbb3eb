"""An ingest killed by the system in the middle: seen as interrupted, and taken up where it was, by real processes."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

FILES = 700
SQL = (
    "SELECT a.id, sum(b.amount) AS amount, max(c.x) AS x FROM s.a JOIN s.b USING (id) JOIN s.c USING (id) GROUP BY a.id"
)
RESUME = """
from catalog.models import User
from ingest import jobs, runs
from ingest.models import IngestRun
runs.settle()
run = IngestRun.objects.get()
print(run.state)
jobs.resume(actor=User.objects.create_user("ed", role="editor"), run=run)
"""


@pytest.fixture
def manage(tmp_path: Path, monkeypatch) -> Callable[..., list[str]]:
    """A command line whose process, and those that it starts, have a database file of their own."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/catalog.sqlite3")
    return lambda *words: [sys.executable, str(settings.BASE_DIR / "manage.py"), *words]


def rows(tmp_path: Path, query: str) -> list[Any]:
    with sqlite3.connect(f"file:{tmp_path}/catalog.sqlite3?mode=ro", uri=True, timeout=30) as connection:
        return connection.execute(query).fetchall()


def until(is_so: Callable[[], Any], seconds: float = 120) -> Any:
    """What `is_so` answers, once it is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := is_so():
            return answer
        time.sleep(0.02)
    raise AssertionError("it has not come to that")


def test_what_was_stored_before_the_kill_is_passed_over_by_the_process_that_resumes(
    tmp_path: Path, manage: Callable[..., list[str]]
) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"t{number}.sql").write_text(SQL)
    subprocess.run(manage("migrate", "-v0"), check=True)
    command = manage("ingest_repo", str(folder), "--jobs", "0", "--json")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: rows(tmp_path, "SELECT 1 FROM ingest_ingestedfile LIMIT 1"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    [(stored,)] = rows(tmp_path, "SELECT count(*) FROM ingest_ingestedfile")
    assert 0 < stored < FILES
    [(last_id,)] = rows(tmp_path, "SELECT max(id) FROM lineage_sqlversion")

    shell = subprocess.run(manage("shell", "-v0", "-c", RESUME), check=True, capture_output=True, text=True)
    assert shell.stdout.strip() == "interrupted"
    ended = "SELECT summary, attempt FROM ingest_ingestrun WHERE state = 'done'"
    [(summary, attempt)] = until(lambda: rows(tmp_path, ended))
    assert (json.loads(summary)["pipelines"], attempt) == (FILES, 2)
    counts = "SELECT count(*), count(DISTINCT pipeline_id), sum(id <= ?) FROM lineage_sqlversion".replace(
        "?", str(last_id)
    )
    assert rows(tmp_path, counts) == [(FILES, FILES, stored)]
