"""A real Airflow, in an environment of its own, reports a DAG to a running Pipekeeper, step by step as the guide says.

Its first run installs Airflow under var/, which takes some minutes and 300 MB: `pytest -n 0 -m airflow`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from catalog.models import Pipeline, Run
from catalog.tokens import issue_token
from ingest.digests import digest
from lineage.models import TableEdge

pytestmark = [pytest.mark.airflow, pytest.mark.django_db(transaction=True)]
HERE = Path(__file__).parent
PINS = HERE / "requirements.txt"


@pytest.fixture(scope="module")
def airflow() -> Path:
    """The `airflow` command of an environment with the pinned Airflow, made once."""
    environment = settings.VAR_DIR / f"airflow-{digest(PINS.read_text())[:12]}"
    done = environment / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        install = [environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-r", PINS]
        subprocess.run(install, check=True)
        done.touch()
    return environment / "bin" / "airflow"


@pytest.fixture
def run_airflow(airflow, tmp_path, live_server, editor) -> Callable[..., None]:
    """`run_airflow("dags", "test", …)` with the settings of the guide and a home of its own."""
    _, secret = issue_token(user=editor, name="airflow", scope="ingest")
    transport = {
        "type": "http",
        "url": live_server.url,
        "endpoint": "api/v1/lineage",
        "auth": {"type": "api_key", "api_key": secret},
    }
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "DATABASE"))},
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "airflow",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
    }

    def run(*arguments: str) -> None:
        done = subprocess.run(
            [airflow, *arguments], env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]

    return run


def test_a_dag_its_tasks_owner_runs_and_datasets_are_on_the_pages(run_airflow, viewer, signed_in) -> None:
    run_airflow("db", "migrate")
    run_airflow("dags", "test", "orders_daily", "2024-01-01")
    browser = signed_in(viewer)

    def page(path: str) -> str:
        response = browser.get(path)
        assert response.status_code == 200, path
        return response.content.decode()

    dag, tasks = Pipeline.objects.get(name="orders_daily"), ["orders_daily.extract", "orders_daily.load"]
    assert list(Pipeline.objects.exclude(pk=dag.pk).values_list("name", flat=True)) == tasks
    assert (dag.schedule, dag.orchestrator) == ("0 3 * * *", "airflow")
    for name in (dag.name, *tasks):
        text = page(f"/pipelines/{name}/")
        assert "team-finance" in text and "finance" in text and "succeeded" in text, name
    assert "raw_orders.csv" in page("/pipelines/orders_daily.extract/")
    assert "mart_orders.csv" in page("/pipelines/orders_daily.load/")
    assert "raw_orders.csv" in page("/tables/")
    assert "echo hi" in page("/pipelines/orders_daily.extract/events/")
    flow = TableEdge.objects.get(pipeline__name="orders_daily.load", valid_to=None)
    assert (flow.source_table.name, flow.target_table.name) == (
        "file:///srv/data/raw_orders.csv",
        "file:///srv/data/mart_orders.csv",
    )
    dag_run = Run.objects.get(pipeline=dag)
    assert dag_run.nominal_at is not None and dag_run.nominal_at.year == 2024
    parts = page(f"/runs/{dag_run.pk}/")
    assert all(name.rpartition(".")[2] in parts for name in tasks)
