"""Lineage at scale: neighbourhoods beside bare rows and Graphviz, all that a hub reaches beside CSR and networkx.

    python -m benchmarks.bench_graph [--tables 10000 1000000] [--directory DIR] [--networkx] [--rounds 7]

Makes one SQLite catalog per size, kept in DIR and used again: about 4 edges a table and a power law, as warehouses have
it: most tables are read by few, one by tens of thousands (a million tables take four minutes and 1 GB). Milliseconds of
CPU, medians; layouts are not taken from memory. --networkx adds networkx, which needs a minute and 4 GB for a million.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django  # noqa: E402

django.setup()

import networkx as nx  # noqa: E402
import numpy as np  # noqa: E402
import pygraphviz  # noqa: E402
import scipy.sparse  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, models, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from catalog.bulk import insert_rows  # noqa: E402
from catalog.models import Pipeline, Source, Table  # noqa: E402
from lineage import layout  # noqa: E402
from lineage.models import EdgeOrigin, TableEdge  # noqa: E402
from lineage.queries import CAP, Lineage, impact_of, lineage_of  # noqa: E402
from lineage.snapshot import build_snapshot, bump_graph_version, current_snapshot  # noqa: E402

EDGES_PER_TABLE = 4
SKEW = 3  # a table reads early ones far more often than late ones: 4 % of a million read the first
COLUMNS = "{:>9}  {:<16}{:>6}{:>6}{:>9}{:>9}{:>10}{:>9}{:>8}"
HUB_COLUMNS = "{:>9}  {:<44}{:>10}{:>10}{:>8}"


def edges_of(tables: int) -> tuple[np.ndarray, np.ndarray]:
    """Sources and targets, from 0, each pair once; a table reads only tables before it."""
    random = np.random.default_rng(7)
    fan_in = np.minimum(random.zipf(1.9, tables), 200)
    fan_in = np.maximum(1, fan_in * EDGES_PER_TABLE * tables // fan_in.sum())
    targets = np.repeat(np.arange(tables), fan_in)
    sources = (targets * random.random(len(targets)) ** SKEW).astype(np.int64)
    targets, sources = np.divmod(np.unique(targets * tables + sources), tables)
    return sources[sources != targets], targets[sources != targets]


def open_catalog(directory: Path, tables: int) -> None:
    """Connect to the catalog of that size, made if it is not there."""
    path = directory / f"{tables}.sqlite3"
    connection.close()
    connection.settings_dict["NAME"] = str(path)
    settings.VAR_DIR = directory
    if path.exists():
        return
    print(f"Making {path} …", file=sys.stderr)
    try:
        call_command("migrate", verbosity=0)
        fill(tables)
    except BaseException:
        connection.close()
        path.unlink()
        raise


@transaction.atomic
def fill(tables: int) -> None:
    """A catalog with one pipeline per table that is built."""
    sources, targets = edges_of(tables)
    source = Source.objects.create(slug="warehouse", name="Warehouse", platform="duckdb")
    names = ([t + 1, f"shop_{t % 97}.mart_{t % 1013}.table_{t:07}"] for t in range(tables))
    insert_like(Table(source=source, origin="ingest"), ["id", "name"], names)
    jobs = ([t + 1, f"dags/mart_{t % 1013}/build_{t:07}"] for t in np.unique(targets).tolist())
    insert_like(Pipeline(kind="summary", origin="ingest"), ["id", "name"], jobs)
    edges = ([s + 1, t + 1, t + 1] for s, t in zip(sources.tolist(), targets.tolist(), strict=True))
    edge = TableEdge(origin=EdgeOrigin.SQL, valid_from=timezone.now())
    insert_like(edge, ["source_table", "target_table", "pipeline"], edges)
    bump_graph_version()


def insert_like(thing: models.Model, varying: Sequence[str], rows: Iterator[list[Any]]) -> None:
    """Rows that are as `thing` but for the fields in `varying`."""
    same = [f for f in thing._meta.concrete_fields if f.name not in (*varying, "id")]
    values = [field.get_db_prep_save(getattr(thing, field.attname), connection) for field in same]
    fields = [*varying, *(field.name for field in same)]
    insert_rows(type(thing), fields, [[*row, *values] for row in rows])


def timed(rounds: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """Median milliseconds of CPU (SQLite runs in the process), after a round not counted, and the last answer."""
    answer = work()
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        answer = work()
        taken.append((time.process_time() - started) * 1000)
    return statistics.median(taken), answer


def bare_rows(table: int, depth: int) -> None:
    """The floor of a neighbourhood: the rows of each hop by index up to the cap, and the names of what is drawn."""
    found, pipelines = {table}, set()
    with connection.cursor() as cursor:
        for near, far in (("source_table_id", "target_table_id"), ("target_table_id", "source_table_id")):
            frontier = [table]
            for _ in range(depth):
                room = CAP - len(found)
                if not frontier or room <= 0:
                    break
                marks = ", ".join(["%s"] * len(frontier))
                cursor.execute(
                    f"SELECT {far}, pipeline_id FROM lineage_tableedge"
                    f" WHERE {near} IN ({marks}) AND valid_to IS NULL LIMIT {room}",
                    frontier,
                )
                rows = cursor.fetchall()
                pipelines |= {pipeline for _, pipeline in rows}
                frontier = list({key for key, _ in rows} - found)
                found |= set(frontier)
        for name, keys in (("catalog_table", found), ("catalog_pipeline", pipelines)):
            marks = ", ".join(["%s"] * len(keys))
            cursor.execute(f"SELECT id, name, kind, status FROM {name} WHERE id IN ({marks})", list(keys))
            cursor.fetchall()


def bare_layout(lineage: Lineage) -> None:
    """Graphviz on the same nodes and edges, as it comes."""
    drawing = pygraphviz.AGraph(directed=True, rankdir="LR")
    drawing.node_attr.update(shape="box")
    drawing.add_nodes_from([node.label for node in lineage.nodes])
    labels = {node.id: node.label for node in lineage.nodes}
    drawing.add_edges_from([(labels[edge.source], labels[edge.target]) for edge in lineage.edges])
    drawing.layout(prog="dot")
    drawing.close()


def ours(table: Table, depth: int) -> Lineage:
    layout._placed.cache_clear()
    lineage = lineage_of(table, "both", depth)
    layout.layout(lineage.nodes, lineage.edges)
    return lineage


def print_neighbourhoods(tables: int, starts: dict[str, int], rounds: int) -> None:
    for (name, key), depth in ((start, depth) for start in starts.items() for depth in (1, 2)):
        table = Table.objects.select_related("source").get(pk=key)
        total, lineage = timed(rounds, lambda table=table, depth=depth: ours(table, depth))
        walk, _ = timed(rounds, lambda table=table, depth=depth: lineage_of(table, "both", depth))
        rows, _ = timed(rounds, lambda key=key, depth=depth: bare_rows(key, depth))
        drawn, _ = timed(rounds, lambda lineage=lineage: bare_layout(lineage))
        times = [f"{each:.1f}" for each in (rows, drawn, walk, total)]
        start = f"{name}, {depth} hop{'s' * (depth > 1)}"
        print(
            COLUMNS.format(
                tables, start, len(lineage.nodes), len(lineage.edges), *times, f"{total / (rows + drawn):.2f}"
            )
        )


def print_reach(tables: int, hub: int, rounds: int, with_networkx: bool) -> None:
    started = time.process_time()
    build_snapshot()
    built = (time.process_time() - started) * 1000
    snapshot = current_snapshot()
    assert snapshot is not None
    rows, place = snapshot.downstream, int(np.searchsorted(snapshot.keys, hub * 2))
    matrix = scipy.sparse.csr_array((np.ones(len(rows.nodes), np.int8), np.array(rows.nodes), np.array(rows.start)))
    floor, order = timed(
        rounds, lambda: scipy.sparse.csgraph.breadth_first_order(matrix, place, return_predecessors=False)
    )
    table = Table(pk=hub)
    reach, _ = timed(rounds, lambda: snapshot.reach([hub], "downstream"))
    total, impact = timed(rounds, lambda: impact_of(table))
    assert impact is not None and impact.tables + impact.exports == len(order) - 1
    lines = [
        ("scipy breadth_first_order, bare CSR in memory", floor),
        ("ours: the walk on the snapshot's mapped files", reach),
        ("ours: impact_of, with its queries", total),
    ]
    if with_networkx:
        sources, targets = edges_of(tables)
        graph = nx.DiGraph()
        graph.add_edges_from(zip(sources.tolist(), targets.tolist(), strict=True))
        lines.append(("networkx descendants, graph in memory", timed(1, lambda: nx.descendants(graph, hub - 1))[0]))
    for name, taken in lines:
        print(HUB_COLUMNS.format(tables, name, impact.tables, f"{taken:.1f}", f"{taken / floor:.1f}"))
    print(HUB_COLUMNS.format(tables, "ours: building the snapshot, once per ingest", "", f"{built:.0f}", ""))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tables", type=int, nargs="+", default=[10_000])
    options.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "pipekeeper-graph")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--networkx", action="store_true")
    asked = options.parse_args()
    asked.directory.mkdir(parents=True, exist_ok=True)
    print(COLUMNS.format("tables", "around", "nodes", "edges", "rows", "Graphviz", "our walk", "+layout", "× floor"))
    hubs = {}
    for tables in asked.tables:
        open_catalog(asked.directory, tables)
        widest = np.argsort(np.bincount(edges_of(tables)[0], minlength=tables))[::-1] + 1
        hubs[tables] = int(widest[0])
        starts = {"widest": hubs[tables], "1 in 1,000": int(widest[tables // 1000]), "middle": int(widest[tables // 2])}
        print_neighbourhoods(tables, starts, asked.rounds)
    print("\n" + HUB_COLUMNS.format("tables", "all downstream of the widest", "reached", "ms", "× floor"))
    for tables in asked.tables:
        open_catalog(asked.directory, tables)
        print_reach(tables, hubs[tables], asked.rounds, asked.networkx)


if __name__ == "__main__":
    main()
