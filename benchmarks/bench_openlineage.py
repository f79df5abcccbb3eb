"""Lineage events a second, beside a bare view that writes the same body into one row: same server, same run.

One gunicorn worker, as `serve` starts it, on a database of its own: SQLite, and PostgreSQL where --postgres names a
server (`postgres://postgres@127.0.0.1:5432`). 32 clients send START and COMPLETE events of 200 jobs, each waiting for
its answer; then four times as many. Nothing may be lost and nothing answered with 5xx.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
JOBS, CLIENTS = 200, 32
RAW, MART = "shop.raw.orders", "shop.mart.orders"


@dataclass
class Load:
    """What came of sending some events."""

    seconds: float = 0.0
    spans: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return len(self.spans) / self.seconds

    def percentile(self, share: float) -> float:
        return sorted(self.spans)[int(len(self.spans) * share)] * 1000


def main() -> None:
    options = _options()
    databases = [("SQLite", "")] + ([("PostgreSQL", options.postgres)] if options.postgres else [])
    print(f"{options.events:,} events, one gunicorn worker with eight threads; clients wait for each answer")
    print(f"{'database':<12}{'what':<26}{'events/s':>10}{'÷ bare':>9}{'p50 ms':>9}{'p99 ms':>9}  answers")
    for name, server in databases:
        with _database(server) as address, _serving(address) as (port, token):
            _warm_up(port, token)
            _measure(name, address, port, token, options.events)


def _measure(name: str, address: str, port: int, token: str, events: int) -> None:
    stored = _count(address)
    bare = asyncio.run(_send(port, _requests("/bare", "", events, "bare"), CLIENTS))
    _tell(name, "bare view, 32 clients", bare, bare)
    load = asyncio.run(_send(port, _requests("/api/v1/lineage", token, events, "one"), CLIENTS))
    _tell(name, "lineage, 32 clients", load, bare)
    wide = asyncio.run(_send(port, _requests("/api/v1/lineage", token, events, "four"), CLIENTS * 4))
    _tell(name, "lineage, 128 clients", wide, bare)
    lost = stored + 2 * events - _count(address)
    print(f"{name:<12}lost: {lost}")


def _tell(name: str, what: str, load: Load, bare: Load) -> None:
    answers = ", ".join(f"{status}: {count:,}" for status, count in sorted(load.statuses.items()))
    print(
        f"{name:<12}{what:<26}{load.rate:>10,.0f}{load.rate / bare.rate:>9.2f}"
        f"{load.percentile(0.5):>9,.0f}{load.percentile(0.99):>9,.0f}  {answers}"
    )


def _warm_up(port: int, token: str) -> None:
    """Every job and table is known before anything is timed, as in a company that has sent events for a day."""
    for path in ("/bare", "/api/v1/lineage"):
        asyncio.run(_send(port, _requests(path, token, 2 * JOBS, "warm"), 4))


def _requests(path: str, token: str, events: int, salt: str) -> list[bytes]:
    """Whole HTTP requests: START and COMPLETE of run after run, over all jobs in turn."""
    return [_request(path, token, _event(number, salt)) for number in range(events)]


def _request(path: str, token: str, event: dict) -> bytes:
    body = json.dumps(event).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _event(number: int, salt: str) -> dict:
    run, ends = divmod(number, 2)
    job = run % JOBS
    day, second = {"warm": 1, "bare": 2, "one": 3, "four": 4}[salt], run
    namespace = "postgres://db:5432"
    producer = {"_producer": "https://example.com/bench", "_schemaURL": "https://openlineage.io/spec/facets"}
    columns = [{"name": f"column_{place}", "type": "int"} for place in range(10)]
    step = {"type": "DIRECT", "subtype": "IDENTITY"}
    made = {
        column["name"]: {
            "inputFields": [
                {"namespace": namespace, "name": f"{RAW}_{job}", "field": column["name"], "transformations": [step]}
            ]
        }
        for column in columns
    }
    return {
        "eventTime": f"2026-03-{day:02}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{ends}00000Z",
        "eventType": "COMPLETE" if ends else "START",
        "producer": "https://example.com/bench",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {
            "runId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{salt}/{run}")),
            "facets": {"nominalTime": {**producer, "nominalStartTime": f"2026-03-{day:02}T00:00:00Z"}},
        },
        "job": {
            "namespace": "bench",
            "name": f"shop.orders_{job}",
            "facets": {
                "sql": {**producer, "query": f"INSERT INTO mart.orders_{job} SELECT * FROM raw.orders_{job}"},
                "ownership": {**producer, "owners": [{"name": "team:finance", "type": "MAINTAINER"}]},
            },
        },
        "inputs": [
            {"namespace": namespace, "name": f"{RAW}_{job}", "facets": {"schema": {**producer, "fields": columns}}}
        ],
        "outputs": [
            {
                "namespace": namespace,
                "name": f"{MART}_{job}",
                "facets": {"columnLineage": {**producer, "fields": made}},
                "outputFacets": {"outputStatistics": {**producer, "rowCount": 1000 + number}},
            }
        ],
    }


async def _send(port: int, requests: list[bytes], clients: int) -> Load:
    load, queue = Load(), iter(requests)
    start = time.perf_counter()
    await asyncio.gather(*(_client(port, queue, load) for _ in range(clients)))
    load.seconds = time.perf_counter() - start
    return load


async def _client(port: int, queue: Iterator[bytes], load: Load) -> None:
    """Takes the next request whenever its last is answered; connects again when the server has closed."""
    reader = writer = None
    for request in queue:
        start = time.perf_counter()
        while True:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                break
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                writer = None
        lower = head.lower()
        if b"content-length:" in lower:
            await reader.readexactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0]))
        if b"connection: close" in lower:
            writer.close()
            writer = None
        load.spans.append(time.perf_counter() - start)
        status = int(head.split(b" ", 2)[1])
        load.statuses[status] = load.statuses.get(status, 0) + 1
    if writer is not None:
        writer.close()


@contextmanager
def _database(server: str) -> Iterator[str]:
    """The address of an empty database, dropped in the end."""
    if not server:
        with tempfile.TemporaryDirectory(prefix="pipekeeper-bench-") as folder:
            yield f"sqlite:///{folder}/bench.sqlite3"
        return
    import psycopg

    name = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _serving(address: str) -> Iterator[tuple[int, str]]:
    """A server on that database; its port, and a token of the scope ingest."""
    environment = {**os.environ, "DATABASE_URL": address, "DEMO": "0"}
    _manage(environment, "migrate", "-v0")
    token = _manage(environment, "shell", "-v0", "-c", _SET_UP).split()[-1]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "benchmarks.openlineage_server:application"]
    command += ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "8", "--log-level", "warning"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        _wait_for(port)
        yield port, token
    finally:
        server.terminate()
        server.wait()


_SET_UP = """
from django.db import connection
from benchmarks.openlineage_server import CREATE
from catalog.models import User
from catalog.tokens import issue_token
key = "bigserial PRIMARY KEY" if connection.vendor == "postgresql" else "integer PRIMARY KEY"
connection.cursor().execute(CREATE.format(key=key))
user = User.objects.create_user("bench", role="editor")
print(issue_token(user=user, name="bench", scope="ingest")[1])
"""


def _count(address: str) -> int:
    counted = "from ingest.models import LineageEvent; print(LineageEvent.objects.count())"
    return int(_manage({**os.environ, "DATABASE_URL": address}, "shell", "-v0", "-c", counted))


def _manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("The server did not start.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4_000, help="sent in each round")
    parser.add_argument("--postgres", metavar="URL", help="a server to make a database on")
    return parser.parse_args()


if __name__ == "__main__":
    main()
