"""Ingests on real Celery workers, real brokers and PostgreSQL: one worker is killed, and nothing is lost or twice."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.ingest.folders import write
from tests.live import WORKER, PostgreSQL

ROOT = Path(__file__).parents[2]
BROKERS = {"redis": ("redis://127.0.0.1:6379/13", 6379), "rabbitmq": ("amqp://guest:guest@127.0.0.1:5672//", 5672)}
FILES = 400
FACTS = {  # everything that an ingest states, by natural keys
    "pipelines": "SELECT name, status FROM catalog_pipeline",
    "tables": "SELECT name, status FROM catalog_table",
    "columns": (
        "SELECT t.name, c.name, c.position, c.type FROM catalog_column c JOIN catalog_table t ON t.id = c.table_id"
    ),
    "versions": "SELECT p.name, v.digest FROM lineage_sqlversion v JOIN catalog_pipeline p ON p.id = v.pipeline_id",
    "table edges": (
        "SELECT p.name, s.name, t.name, e.valid_to IS NULL FROM lineage_tableedge e "
        "JOIN catalog_pipeline p ON p.id = e.pipeline_id "
        "LEFT JOIN catalog_table s ON s.id = e.source_table_id LEFT JOIN catalog_table t ON t.id = e.target_table_id"
    ),
    "column edges": (
        "SELECT p.name, f.name, s.name, t.name, e.kind, e.statement, e.valid_to IS NULL "
        "FROM lineage_columnedge e JOIN catalog_pipeline p ON p.id = e.pipeline_id "
        "JOIN catalog_table f ON f.id = e.source_table_id "
        "LEFT JOIN catalog_column s ON s.id = e.source_column_id "
        "LEFT JOIN catalog_column t ON t.id = e.target_column_id"
    ),
    "problems": "SELECT path, code FROM lineage_problem",
}


class Site:
    """A Pipekeeper of its own: a database, a queue, and processes that are really started."""

    def __init__(self, folder: Path, name: str, broker: str = "") -> None:
        self.database, self.folder = PostgreSQL(folder, name), folder
        self.url = f"{PostgreSQL.server}/{self.database.database}"
        self.environment = os.environ | {
            "DATABASE_URL": self.url,
            "SECRET_KEY": "one for all processes",
            "CELERY_BROKER_URL": broker,
            "CELERY_QUEUE": f"test_{WORKER}_{os.getpid()}",
            "CELERY_VISIBILITY_TIMEOUT": "6",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        self.workers: list[subprocess.Popen] = []
        self.manage("migrate", "-v0")

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_worker(self, name: str) -> Path:
        """Start a Celery worker; its log."""
        log = self.folder / f"{name}.log"
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "config",
            "worker",
            "-n",
            f"{name}@%h",
            "-c",
            "2",
            "-l",
            "INFO",
        ]
        self.workers.append(
            subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log.open("w"), stderr=subprocess.STDOUT)
        )
        return log

    def query(self, sql: str) -> list[tuple]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql).fetchall()

    def facts(self) -> dict[str, list[tuple]]:
        return {noun: sorted(map(repr, self.query(sql))) for noun, sql in FACTS.items()}

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.database.drop()


def until(what: str, holds: Callable[[], object], seconds: float = 150.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not after {seconds:.0f} seconds"
        time.sleep(0.1)


@pytest.fixture
def repository(tmp_path) -> Path:
    """Layers of tables, each built from the one before, so that chunks wait for each other."""
    files = {}
    for number in range(FILES):
        source = f"src.raw_{number}" if number < 40 else f"mart.t_{number - 40}"
        columns = ", ".join(f"coalesce(sum(c{k} * {k}), 0) AS c{k}" for k in range(12))
        files[f"mart/t_{number}.sql"] = f"SELECT id, {columns} FROM {source} WHERE day > '2026-01-01' GROUP BY id"
    folder = tmp_path / "repository"
    write(folder, files)
    return folder


@pytest.fixture
def site(broker_name, tmp_path) -> Iterator[Site]:
    broker, port = BROKERS[broker_name]
    with socket.socket() as asked:
        if asked.connect_ex(("127.0.0.1", port)):
            pytest.skip(f"no {broker_name} at 127.0.0.1:{port}")
    site = Site(tmp_path, "pk_celery", broker)
    yield site
    site.end()


START = """
from ingest.jobs import start
from ingest.models import IngestRun
told = {{"folder": {folder!r}, "dialect": "duckdb", "jobs": 1, "allow_retire": False, "again": False}}
start(IngestRun.objects.create(kind="repo", scope="repository", state="waiting", actor_name="test", options=told))
"""


@pytest.mark.parametrize(("broker_name", "held"), [("redis", "chunks of it"), ("rabbitmq", "the run")])
def test_a_killed_worker_loses_nothing_and_does_nothing_twice(held, site, repository, tmp_path) -> None:
    logs = [site.start_worker("one"), site.start_worker("two")]
    until("workers are ready", lambda: all("ready." in log.read_text() for log in logs))
    site.manage("shell", "-c", START.format(folder=str(repository)))

    until("some of it is stored", lambda: site.query("SELECT count(*) FROM lineage_sqlversion")[0][0] > 0)
    doing = next(number for number, log in enumerate(logs) if "Task ingest.run" in log.read_text())
    killed = doing if held == "the run" else 1 - doing
    assert "Task ingest.chunk" in logs[1 - doing].read_text()
    site.workers[killed].send_signal(signal.SIGKILL)
    assert site.query("SELECT state FROM ingest_ingestrun") == [("running",)]  # in the middle

    until("the other has done it", lambda: site.query("SELECT state FROM ingest_ingestrun") == [("done",)])
    ((attempt, error),) = site.query("SELECT attempt, error FROM ingest_ingestrun")
    assert (attempt, error) == (2 if held == "the run" else 1, "")

    alone = Site(tmp_path, "pk_celery_alone")
    try:
        alone.manage("ingest_repo", str(repository), "--dialect", "duckdb", "--jobs", "0")
        assert site.facts() == alone.facts()
        assert len(alone.facts()["pipelines"]) == FILES
        assert len(alone.facts()["column edges"]) > FILES * 12
    finally:
        alone.end()


def test_a_broker_that_is_away_is_told_and_an_ingest_under_way_goes_on_without(tmp_path) -> None:
    site = Site(tmp_path, "pk_celery_away", "redis://127.0.0.1:9/0")
    try:
        folder = write(tmp_path / "small", {"mart/a.sql": "SELECT x FROM src.a", "mart/b.sql": "SELECT x FROM mart.a"})
        site.manage("ingest_repo", str(folder), "--dialect", "duckdb", "--jobs", "1")
        assert site.query("SELECT count(*) FROM lineage_tableedge") == [(2,)]
        assert site.query("SELECT count(*) FROM ingest_ingestchunk") == [(0,)]
        site.manage("shell", "-c", START.format(folder=str(folder)))
        ((state, error),) = site.query("SELECT state, error FROM ingest_ingestrun ORDER BY id DESC LIMIT 1")
        assert (state, "does not answer" in error) == ("failed", True)
    finally:
        site.end()


def test_without_a_broker_nothing_of_celery_is_imported() -> None:
    code = "import sys, django; django.setup(); import ingest.spread, config.urls; print('celery' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "CELERY_BROKER_URL"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_a_broker_with_sqlite_is_refused() -> None:
    environment = os.environ | {"CELERY_BROKER_URL": "redis://127.0.0.1:6379/13", "DATABASE_URL": "sqlite://:memory:"}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "cannot share SQLite" in done.stderr
