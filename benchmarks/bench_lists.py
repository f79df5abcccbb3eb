"""What a page of a list costs beside the bare rows: `.values()` by keyset, and JsonResponse.

    python -m benchmarks.bench_lists [--tables 10000 1000000] [--directory DIR] [--rounds 40]

Uses the catalogs of bench_graph, makes them where they are not there, and gives each thing on the pages measured two
owners and a tag for as long as it runs; every other table has its owners from the pipelines that build it. Both sides
are requests of a signed-in person through the same middleware, 50 rows each, in turn: the first page, one in the
middle, and one of a filter. The bare view reads the thing's own columns alone; ours also its owners, tags and, of
pipelines, tables. Milliseconds of the processor (SQLite runs in the process), medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import bench_graph  # sets up Django

from django.conf import settings  # isort: skip
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import include, path

from catalog.models import Owner, Ownership, Pipeline, Table, Tag, User
from catalog.paging import page_of
from lineage.models import TableEdge

COLUMNS = "{:>9}  {:<10}{:<22}{:>9}{:>9}{:>8}{:>9}{:>8}"
SIZE = 50
FILTERS = {"q": "mart_7"}
LISTS: dict[str, QuerySet] = {"tables": Table.objects.all(), "pipelines": Pipeline.objects.all()}


def bare(request: HttpRequest, noun: str) -> HttpResponse:
    """The floor: the rows as they lie, by keyset."""
    rows = LISTS[noun].filter(name__icontains=request.GET["q"]) if "q" in request.GET else LISTS[noun]
    page = page_of(rows.values(), ("name", "id"), request.GET.get("cursor", ""), SIZE)
    return JsonResponse({"next": page.next, "results": page.items})


settings.ROOT_URLCONF = (path("bare/<str:noun>/", bare), path("", include("config.urls")))
settings.ALLOWED_HOSTS = ["testserver"]
settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"


@contextmanager
def furnished() -> Iterator[Client]:
    """A signed-in viewer; owners and tags on what is shown; nothing of it stays."""
    with transaction.atomic():
        client = Client()
        client.force_login(User.objects.create_user("bench", password=None, role="viewer"))
        owners = [Owner.objects.create(slug=f"bench-{n}", name=f"Bench {n}") for n in range(20)]
        tag = Tag.objects.create(name="bench")
        shown = {
            noun: {thing["id"] for asked in places(noun).values() for thing in page(client, noun, asked)["results"]}
            for noun in LISTS
        }
        builders = TableEdge.objects.filter(target_table__in=shown["tables"], valid_to=None).values_list("pipeline")
        owned = {"tables": sorted(shown["tables"])[::2], "pipelines": shown["pipelines"].union(*builders)}
        for noun, rows in LISTS.items():
            singular = noun.removesuffix("s")
            Ownership.objects.bulk_create(
                Ownership(owner=owners[(pk + n) % 20], role=role, origin="person", **{singular: rows.model(pk=pk)})
                for pk in owned[noun]
                for n, role in enumerate(Ownership.Role.values)
            )
            through = rows.model.tags.through
            through.objects.bulk_create(through(tag=tag, **{singular: rows.model(pk=pk)}) for pk in shown[noun])
        yield client
        transaction.set_rollback(True)


def places(noun: str) -> dict[str, dict[str, str]]:
    """Parameters of the pages to measure."""
    rows = LISTS[noun].order_by("name", "id")
    middle = page_of(rows.filter(name__gte="m"), ("name", "id"), size=SIZE).next or ""
    return {"first page": {}, "in the middle": {"cursor": middle}, "part of a name": FILTERS}


def page(client: Client, noun: str, asked: dict[str, str]) -> dict:
    return client.get(f"/bare/{noun}/", asked).json()


def timed(rounds: int, ways: Sequence[Callable[[], object]]) -> list[float]:
    """Median milliseconds of each way, all in turn."""
    taken: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds + 2):
        for spent, ask in zip(taken, ways, strict=True):
            start = time.process_time()
            ask()
            if turn > 1:
                spent.append((time.process_time() - start) * 1000)
    return [statistics.median(spent) for spent in taken]


def get(client: Client, address: str, asked: dict[str, str]) -> Callable[[], object]:
    def ask() -> None:
        response = client.get(address, asked)
        assert response.status_code == 200, (address, asked, response.content[:300])

    return ask


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tables", type=int, nargs="+", default=[10_000])
    options.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "pipekeeper-graph")
    options.add_argument("--rounds", type=int, default=40)
    asked = options.parse_args()
    asked.directory.mkdir(parents=True, exist_ok=True)
    print(COLUMNS.format("tables", "list", "page", "bare", "REST", "÷ bare", "HTML", "÷ bare"))
    for tables in asked.tables:
        bench_graph.open_catalog(asked.directory, tables)
        with furnished() as client:
            for noun in LISTS:
                for name, parameters in places(noun).items():
                    ways = [f"/bare/{noun}/", f"/api/v1/{noun}/", f"/{noun}/"]
                    floor, rest, html = timed(asked.rounds, [get(client, way, parameters) for way in ways])
                    figures = [
                        f"{floor:.1f}",
                        f"{rest:.1f}",
                        f"{rest / floor:.2f}",
                        f"{html:.1f}",
                        f"{html / floor:.1f}",
                    ]
                    print(COLUMNS.format(tables, noun, name, *figures), flush=True)


if __name__ == "__main__":
    main()
