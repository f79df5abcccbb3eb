"""How long each page takes at the server, beside a bare signed-in view, and the memory of the process that serves them.

    DATABASE_URL=sqlite:////path/to/catalog.sqlite3 python -m benchmarks.bench_pages [--rounds 40] [--port 8123]

Starts gunicorn as `manage.py serve` does (one worker, eight threads) over that catalog and asks for pages one after
the other on one connection, as one person would: of each noun's page other things every time, so that nothing is
answered from memory alone, and of the widest thing there is, again and again. Every round asks for each kind once, so
that a busy moment hits all alike; the worker's time on the processor stands beside the clock's. Adds the person
"bench" and takes them away again.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, islice
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402

COLUMNS = "{:<32}{:>7}{:>8}{:>8}{:>8}{:>9}{:>8}{:>7}"


def bare(request: HttpRequest) -> HttpResponse:
    """The floor: middleware, session, the signed-in person, and three words."""
    return HttpResponse(f"Signed in: {request.user.get_username()}")


def application(environ, start_response):
    """What gunicorn serves: the product with the bare view beside it."""
    return _product()(environ, start_response)


@cache
def _product():
    django.setup()
    settings.ROOT_URLCONF = (path("bare/", bare), path("", include("config.urls")))
    return get_wsgi_application()


@dataclass
class Row:
    """What one kind of page took: milliseconds by the clock and of the processor, and gzipped bytes."""

    milliseconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    size: int = 0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--port", type=int, default=8123)
    asked = options.parse_args()
    django.setup()
    pages = _pages(asked.rounds)
    with _signed_in() as cookie, _served(asked.port) as server:
        connection = http.client.HTTPConnection("127.0.0.1", asked.port, timeout=120)
        for addresses in pages.values():
            _timed(connection, addresses[0], cookie)  # the first request of all compiles templates
        rows = {name: Row() for name in pages}
        for turn in range(asked.rounds):
            for name, addresses in pages.items():
                before = _cpu(server.pid)
                seconds, rows[name].size = _timed(connection, addresses[turn], cookie)
                rows[name].milliseconds.append(seconds * 1000)
                rows[name].cpu.append((_cpu(server.pid) - before) * 1000)
        memory = _memory(server.pid)
    _print(rows)
    print(f"\nResident memory after {asked.rounds * len(pages):,} pages: {memory}")


def _pages(rounds: int) -> dict[str, list[str]]:
    """For each row of the table, the addresses of its rounds."""
    from django.db.models import Count
    from django.db.models.functions import Length

    from catalog.models import Column, Owner, Pipeline, Table
    from lineage.models import SqlVersion, TableEdge

    def spread(things) -> list[str]:
        ids = list(things.order_by("pk").values_list("pk", flat=True))
        chosen = ids[:: max(1, len(ids) // rounds)][:rounds]
        urls = [thing.get_absolute_url() for thing in things.filter(pk__in=chosen)]
        return list(islice(cycle(urls), rounds))

    def widest(end: str) -> str:
        edges = TableEdge.objects.filter(valid_to=None).exclude(**{end: None})
        return edges.values_list(end).annotate(n=Count("pk")).order_by("-n")[0][0]

    always = lambda address: [address] * rounds  # noqa: E731
    tables, pipelines = Table.objects.select_related("source"), Pipeline.objects.all()
    hub = tables.get(pk=widest("source_table")).get_absolute_url()
    longest = SqlVersion.objects.filter(valid_to=None).annotate(n=Length("sql")).order_by("-n")[0].pipeline
    most_columns = tables.annotate(n=Count("columns")).order_by("-n")[0]
    busy = Owner.objects.annotate(n=Count("ownerships")).order_by("-n")[0]
    words = ["clients", "daily", "orders", "v1", "search", "event", "count", "user"]
    traced = [f"{table}lineage/" for table in spread(tables.exclude(edges_in=None).distinct())]
    columns = Column.objects.select_related("table__source").filter(table__in=tables.exclude(edges_in=None))
    column_ids = list(columns.order_by("pk").values_list("pk", flat=True)[:: max(1, columns.count() // rounds)])[
        :rounds
    ]
    column_paths = [
        f"{column.table.get_absolute_url()}lineage/?grain=column&column={column.name}"
        for column in columns.filter(pk__in=column_ids)
    ]
    return {
        "bare signed-in view": always("/bare/"),
        "home": always("/"),
        "search": [f"/search/?q={word}" for word in islice(cycle(words), rounds)],
        "pipelines, first page": always("/pipelines/"),
        "pipelines, without an owner": always("/pipelines/?has_owner=false&role=technical"),
        "pipeline": spread(pipelines),
        "pipeline with the longest SQL": always(longest.get_absolute_url()),
        "tables, first page": always("/tables/"),
        "tables, part of a name": [f"/tables/?q={word}" for word in islice(cycle(words), rounds)],
        "table": spread(tables),
        "table most read": always(hub),
        "table with the most columns": always(most_columns.get_absolute_url()),
        "owners": always("/owners/"),
        "owner of the most": always(busy.get_absolute_url()),
        "problems": always("/problems/"),
        "lineage, 1 hop": traced,
        "lineage, 3 hops": [f"{address}?depth=3" for address in traced],
        "lineage of the hub, 1 hop": always(f"{hub}lineage/"),
        "lineage of the hub, 5 hops": always(f"{hub}lineage/?depth=5"),
        "path of a column, 3 hops": list(islice(cycle(column_paths), rounds)),
    }


@contextmanager
def _signed_in() -> Iterator[str]:
    """The session cookie of a viewer made for the occasion."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    from catalog.models import User

    user = User.objects.create_user("bench", password=None, role="viewer")
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    try:
        yield f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
    finally:
        session.delete()
        user.delete()


@contextmanager
def _served(port: int) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "gunicorn", "benchmarks.bench_pages:application", "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "gthread", "--threads", "8", "--log-level", "warning", "--timeout", "120"]
    server = subprocess.Popen(command, cwd=ROOT)
    try:
        _wait_for(port)
        yield server
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=60).request("GET", "/login/")
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise SystemExit(f"gunicorn does not answer on port {port}. Is it taken? Name another with --port.")


def _timed(connection: http.client.HTTPConnection, address: str, cookie: str) -> tuple[float, int]:
    """Seconds until the last byte, and the bytes."""
    start = time.perf_counter()
    connection.request("GET", address, headers={"Cookie": cookie, "Accept-Encoding": "gzip"})
    response = connection.getresponse()
    body = response.read()
    seconds = time.perf_counter() - start
    if response.status != 200:
        raise SystemExit(f"{address} answered {response.status}")
    return seconds, len(body)


def _worker(master: int) -> int:
    return int(Path(f"/proc/{master}/task/{master}/children").read_text().split()[0])


def _cpu(master: int) -> float:
    """Seconds of the processor that the worker's threads have had: true also on a busy machine."""
    threads = Path(f"/proc/{_worker(master)}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def _memory(master: int) -> str:
    """RSS of gunicorn's master and of its worker, in MB."""
    return f"worker {_rss(_worker(master)):.0f} MB, gunicorn's master {_rss(master):.0f} MB"


def _rss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def _print(rows: dict[str, Row]) -> None:
    floor = statistics.median(rows["bare signed-in view"].cpu)
    print(COLUMNS.format("milliseconds", "rounds", "median", "p95", "CPU", "CPU p95", "× bare", "KB gz"))
    for name, row in rows.items():
        middle, cpu = statistics.median(row.milliseconds), statistics.median(row.cpu)
        figures = [middle, _p95(row.milliseconds), cpu, _p95(row.cpu), cpu / floor]
        print(COLUMNS.format(name, len(row.cpu), *(f"{figure:.1f}" for figure in figures), f"{row.size / 1024:.0f}"))


def _p95(figures: list[float]) -> float:
    return statistics.quantiles(figures, n=20)[-1]


if __name__ == "__main__":
    main()
