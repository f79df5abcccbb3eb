"""compose.yaml holds together: what it names exists, and every setting it gives is one that the guide explains."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
GUIDE = (ROOT / "docs" / "configuration.md").read_text()
SERVICES = COMPOSE["services"]


def test_it_starts_web_worker_clock_postgresql_and_redis() -> None:
    assert set(SERVICES) == {"web", "worker", "clock", "postgres", "redis"}
    assert SERVICES["worker"]["command"][:4] == ["celery", "-A", "config", "worker"]
    assert (ROOT / "Dockerfile").exists()


def test_what_a_service_waits_for_says_when_it_is_healthy() -> None:
    for name, service in SERVICES.items():
        for other in service.get("depends_on", {}):
            assert "healthcheck" in SERVICES[other], f"{name} waits for {other}"


def test_the_clock_calls_what_the_crontab_does() -> None:
    script = SERVICES["clock"]["command"][-1].replace("$$", "$")
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0
    crontab = GUIDE.partition("## What runs by the clock")[2]
    assert set(re.findall(r"run (\w+)", script)) == set(re.findall(r"manage\.py (\w+)", crontab)) >= {"send_notices"}


def test_every_volume_is_declared() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {name for name in used if not name.startswith(("$", ".", "/"))} == set(COMPOSE["volumes"])


def test_web_and_worker_are_given_the_same_settings_and_each_is_documented() -> None:
    web, worker = SERVICES["web"]["environment"], SERVICES["worker"]["environment"]
    assert worker.items() <= web.items()
    assert [name for name in web if f"`{name}`" not in GUIDE] == []


def test_the_image_is_built_from_the_pinned_requirements() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "settings.env" in (ROOT / ".dockerignore").read_text().split()  # secrets are given, not built in
    assert "RUN pip install -r requirements.txt" in lines
    assert not any(line.startswith("USER root") for line in lines)
    assert any(line.startswith("USER ") for line in lines)
