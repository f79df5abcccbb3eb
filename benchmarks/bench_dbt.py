"""How long `ingest_dbt` takes for a project of 10,000 models, against parsing their compiled SQL alone; and the memory
that a manifest of 200 MB needs.

    python -m benchmarks.bench_dbt [--models 10000] [--megabytes 200]

Two projects are generated: staging models on sources, marts that join three of those before them, each documented and
owned; in one the marts have 50 lines, in the other 15, as those of real projects. Parsing runs on as many warm
processes as the ingest; the ingest is the whole command, on an empty SQLite file. CPU seconds are those of all
processes together. Memory is seen every 50 ms: what is resident of the command at its peak, and of it and its workers,
where pages that they share count once (Linux's proportional set size).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.bench_ingest import Took, measured, new_database, parse
from ingest.workers import Workers, cores

ROOT = Path(__file__).parent.parent
STAGING_SHARE = 0.3
COLUMNS = ("order_id", "customer_id", "amount", "tax", "country", "channel", "status", "ordered_at")


Mart = Callable[[int, list[int]], str]


def staging(number: int) -> str:
    return f"""with source as (
    select * from "shop"."raw"."events_{number}"
), renamed as (
    select
        id as order_id, cust as customer_id, cast(amount as decimal(18, 2)) as amount,
        cast(tax as decimal(18, 2)) as tax, upper(country) as country, lower(channel) as channel,
        case when state = 'p' then 'paid' when state = 'o' then 'open' else 'other' end as status,
        cast(ts as timestamp) as ordered_at
    from source
    where ts is not null and not is_test
)
select order_id, customer_id, amount, tax, country, channel, status, ordered_at from renamed
"""


def mart(number: int, others: list[int]) -> str:
    a, b, c = others
    return f"""with a as (
    select * from "shop"."mart"."model_{a}"
), b as (
    select customer_id, country, sum(amount) as total, max(ordered_at) as last_at, count(*) as n
    from "shop"."mart"."model_{b}"
    where status <> 'open'
    group by customer_id, country
), c as (
    select order_id, channel, tax, row_number() over (partition by order_id order by ordered_at desc) as place
    from "shop"."mart"."model_{c}"
), shipped as (
    select
        c.order_id, min(case when a.status = 'paid' then a.ordered_at end) as first_paid_at,
        sum(case when a.channel in ('web', 'app') then a.amount else 0 end) as online_amount,
        sum(case when a.channel not in ('web', 'app') then a.amount else 0 end) as shop_amount,
        avg(nullif(a.tax, 0) / nullif(a.amount, 0)) as tax_share
    from c
    join a on a.order_id = c.order_id and a.country is not null
    group by c.order_id
), rated as (
    select
        b.customer_id, b.country, b.total, b.last_at, b.n,
        case
            when b.n >= 50 and b.total / b.n > 100 then 'gold'
            when b.n >= 20 or b.total > 1000 then 'silver'
            when b.last_at > timestamp '2026-01-01' then 'new'
            else 'sleeping'
        end as rating,
        sum(b.total) over (partition by b.country order by b.last_at rows between 6 preceding and current row) as week
    from b
    where b.customer_id is not null and b.country in ('NO', 'SE', 'DK', 'FI', 'DE')
), joined as (
    select
        a.order_id, a.customer_id, coalesce(b.total, 0) + a.amount as amount, c.tax,
        b.country, coalesce(c.channel, a.channel, 'none') as channel,
        case when b.rating = 'gold' then 'regular' when b.n > {number} then 'known' else a.status end as status,
        greatest(a.ordered_at, b.last_at, coalesce(s.first_paid_at, a.ordered_at)) as ordered_at
    from a
    left join rated as b on a.customer_id = b.customer_id and a.country = b.country
    left join c on a.order_id = c.order_id and c.place = 1
    left join shipped as s on s.order_id = a.order_id and s.online_amount + s.shop_amount > 0
    where a.amount > 0 and (s.tax_share is null or s.tax_share < 0.5) and b.week >= b.total
)
select order_id, customer_id, amount, tax, country, channel, status, ordered_at from joined
"""


def short_mart(number: int, others: list[int]) -> str:
    a, b, c = others
    return f"""select
    a.order_id, a.customer_id, coalesce(b.total, 0) + a.amount as amount, c.tax,
    a.country, coalesce(c.channel, a.channel, 'none') as channel,
    case when b.n > {number} then 'known' else a.status end as status,
    greatest(a.ordered_at, c.ordered_at) as ordered_at
from "shop"."mart"."model_{a}" as a
left join (
    select customer_id, sum(amount) as total, count(*) as n
    from "shop"."mart"."model_{b}"
    where status <> 'open'
    group by customer_id
) as b on a.customer_id = b.customer_id
left join "shop"."mart"."model_{c}" as c on a.order_id = c.order_id
where a.amount > 0
"""


def models(count: int, mart: Mart = mart) -> Iterator[tuple[int, str, list[str]]]:
    """(number, compiled SQL, ids it depends on), in an order that a project could be built in."""
    chance, first_marts = random.Random(7), max(3, int(count * STAGING_SHARE))
    for number in range(count):
        if number < first_marts:
            yield number, staging(number), [f"source.shop.raw.events_{number}"]
        else:
            others = chance.sample(range(max(0, number - 400), number), 3)
            yield number, mart(number, others), [f"model.shop.model_{other}" for other in others]


def node(number: int, sql: str, depends_on: list[str]) -> dict[str, Any]:
    name = f"model_{number}"
    column = {
        "description": "What it says, in the words of those who use it.",
        "data_type": None,
        "meta": {},
        "tags": [],
    }
    return {
        "resource_type": "model",
        "package_name": "shop",
        "original_file_path": f"models/{name}.sql",
        "name": name,
        "database": "shop",
        "schema": "mart",
        "relation_name": f'"shop"."mart"."{name}"',
        "raw_code": sql,
        "compiled_code": sql,
        "language": "sql",
        "config": {"materialized": "table", "meta": {}, "tags": []},
        "columns": {column_name: {"name": column_name, **column} for column_name in COLUMNS},
        "depends_on": {"macros": ["macro.dbt.default__x"], "nodes": depends_on},
        "description": f"The orders as team {number % 40} needs them.",
        "group": f"team_{number % 40}",
        "primary_key": ["order_id"],
        "tags": ["nightly"],
    }


def write_target(folder: Path, count: int, megabytes: int, mart: Mart) -> None:
    """The artifacts of a project of `count` models; macros fill the manifest up to its size."""
    groups = {f"group.shop.team_{n}": {"name": f"team_{n}", "owner": {"name": f"Team {n}"}} for n in range(40)}
    sources = {
        f"source.shop.raw.events_{n}": {
            "resource_type": "source",
            "package_name": "shop",
            "original_file_path": "models/sources.yml",
            "source_name": "raw",
            "name": f"events_{n}",
            "relation_name": f'"shop"."raw"."events_{n}"',
        }
        for n in range(max(3, int(count * STAGING_SHARE)))
    }
    version = "https://schemas.getdbt.com/dbt/manifest/v12.json"
    metadata = {"dbt_schema_version": version, "project_name": "shop", "adapter_type": "duckdb"}
    macro = {"name": "x", "macro_sql": "{% macro x(a) %} select {{ a }} from {{ ref('b') }} {% endmacro %}\n" * 60}
    with (folder / "manifest.json").open("w") as file:
        file.write(f'{{"metadata": {json.dumps(metadata)}, "nodes": {{')
        for place, (number, sql, depends_on) in enumerate(models(count, mart)):
            file.write(f"{', ' if place else ''}{json.dumps(f'model.shop.model_{number}')}: ")
            file.write(json.dumps(node(number, sql, depends_on)))
        file.write(f'}}, "sources": {json.dumps(sources)}, "groups": {json.dumps(groups)}, "macros": {{"macro.x": {{}}')
        number = 0
        while file.tell() < megabytes * 1_000_000:
            file.write(f', "macro.shop.x{number}": {json.dumps(macro)}')
            number += 1
        file.write("}}")
    tables = {
        f"model.shop.model_{n}": {
            "metadata": {"type": "BASE TABLE"},
            "columns": {
                name: {"name": name, "type": "VARCHAR", "index": place} for place, name in enumerate(COLUMNS, 1)
            },
            "stats": {},
        }
        for n in range(count)
    }
    (folder / "catalog.json").write_text(json.dumps({"nodes": tables, "sources": {}}))


def parse_alone(texts: list[str], jobs: int) -> Took:
    """Parsing every compiled text, on warm processes."""
    batches = {number: ("duckdb", texts[number::200]) for number in range(200)}
    with Workers(jobs, ["sqlglot"]) as workers:
        warm: dict[int, set[int]] = {number: set() for number in range(jobs * 4)}
        list(workers.run(parse, warm, lambda _: ("duckdb", ["SELECT 1"]), 60))
        start = time.perf_counter()
        answers = list(workers.run(parse, {key: set() for key in batches}, batches.__getitem__, 600))
        return Took(time.perf_counter() - start, sum(cpu for _, cpu in answers))


def command(target: Path, database: Path, jobs: int) -> tuple[Took, dict[str, Any], tuple[int, int]]:
    """The whole command, the summary it prints, and its memory in MB: of itself, and of its workers with it."""
    arguments = [sys.executable, "manage.py", "ingest_dbt", str(target), "--json", f"--jobs={jobs}"]
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{database}"}
    peak = [0, 0]

    def run() -> tuple[int, str]:
        process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        watch = threading.Thread(target=follow_memory, args=(process, peak), daemon=True)
        watch.start()
        out, _ = process.communicate()
        watch.join()
        return process.returncode, out

    took, (code, out) = measured(run)
    if code not in (0, 3):
        raise SystemExit(f"ingest_dbt ended with {code}")
    return took, json.loads(out), (peak[0], peak[1])


def follow_memory(process: subprocess.Popen[str], peak: list[int]) -> None:
    while process.poll() is None:
        own, together = _kilobytes(process.pid, "Rss"), _kilobytes(process.pid, "Pss")
        together += sum(_kilobytes(pid, "Pss") for pid in _children(process.pid))
        peak[:] = max(peak[0], own // 1000), max(peak[1], together // 1000)
        time.sleep(0.05)


def _kilobytes(pid: int, what: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--models", type=int, default=10_000)
    arguments.add_argument("--megabytes", type=int, default=200, help="size of the manifest")
    arguments.add_argument("--only", choices=("", "long", "short"), default="", help="one of the two projects")
    arguments.add_argument("--jobs", type=int, default=cores())
    asked = arguments.parse_args()
    print(f"{'':34}{'seconds':>9}{'CPU s':>9}{'÷ parse':>9}{'÷ CPU':>9}{'MB':>7}{'with workers':>14}")
    for name, mart_of, megabytes in (("long", mart, asked.megabytes), ("short", short_mart, 0)):
        if asked.only in ("", name):
            compare(asked.models, mart_of, megabytes, asked.jobs)


def compare(count: int, mart_of: Mart, megabytes: int, jobs: int) -> None:
    """One project: its parse, its ingest, and its ingest again."""
    with tempfile.TemporaryDirectory(prefix="bench-dbt-") as temporary:
        target = Path(temporary)
        write_target(target, count, megabytes, mart_of)
        texts = [sql for _, sql, _ in models(count, mart_of)]
        size, length = (target / "manifest.json").stat().st_size / 1e6, sum(map(len, texts)) / 1e3
        database = new_database(target)
        parsed = parse_alone(texts, jobs)
        first, found, memory = command(target, database, jobs)
        second, _, _ = command(target, database, jobs)
    print(f"{count:,} models of {length / count:.2f} KB, manifest of {size:.0f} MB")
    print(f"{'parse of the compiled SQL':34}{parsed.wall:9.1f}{parsed.cpu:9.1f}{1:9.2f}{1:9.2f}")
    for name, took, size_of in (("ingest_dbt", first, memory), ("again, nothing changed", second, None)):
        ratios = f"{took.wall / parsed.wall:9.2f}{took.cpu / parsed.cpu:9.2f}"
        print(
            f"{name:34}{took.wall:9.1f}{took.cpu:9.1f}{ratios}" + (f"{size_of[0]:7}{size_of[1]:14}" if size_of else "")
        )
    print({key: found[key] for key in ("pipelines", "tables", "columns", "edges", "parse_coverage", "problems")})


if __name__ == "__main__":
    main()
