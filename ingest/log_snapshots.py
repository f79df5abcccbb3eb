"""Histories that count and know no times: each import is a snapshot, and what was added since the last one is reads."""

from __future__ import annotations

import datetime as dt

import duckdb

from audits.usage import services
from audits.usage.models import Counter
from catalog.models import Source
from ingest.log_files import BadLog, Notes
from ingest.log_formats import View


def taken_at(database: duckdb.DuckDBPyConnection, view: View, stated: dt.datetime | None) -> dt.datetime:
    """When the snapshot was taken: as the command states, or by its column captured_at. Raises BadLog."""
    if stated is not None:
        return stated
    row = database.execute("SELECT max(epoch_us(try_cast(captured_at AS TIMESTAMPTZ))) FROM log").fetchone()
    if row is None or row[0] is None:
        raise BadLog(
            f"{view.name} knows how often, not when: say when this snapshot was taken with --covers-to, or "
            "add a column captured_at to it. Reads are counted from the second snapshot on."
        )
    return dt.datetime.fromtimestamp(row[0] / 1e6, tz=dt.UTC)


def count_since_last(
    database: duckdb.DuckDBPyConnection, source: Source, view: View, taken: dt.datetime, notes: Notes
) -> dt.datetime:
    """Let `counter` of table `entry` be what was added since the snapshot before, and say when that one was taken.

    Of the first snapshot only rows that state a time of their own count, once. An older one than the last adds nothing.
    """
    known = {each.key: each for each in Counter.objects.filter(source=source, key__startswith=f"{view.name}:")}
    last = max((counter.taken_at for counter in known.values()), default=None)
    is_old = last is not None and taken <= last
    if is_old:
        notes.add(f"A snapshot of {last:%Y-%m-%d %H:%M} UTC or later is already counted; this older one adds nothing.")
    digests, added, counters = [], [], []
    for d, value, is_dated in database.execute(
        "SELECT d, coalesce(counter, 0), moment < ?::TIMESTAMP FROM entry", [taken.replace(tzinfo=None)]
    ).fetchall():
        key = f"{view.name}:{d:016x}"
        before = known[key].value if key in known else 0
        digests.append(d)
        new = int(is_dated and value > 0) if last is None else value - before if value >= before else value
        added.append(0 if is_old else new)
        counters.append((key, value))
    database.execute(
        "CREATE TABLE added AS SELECT unnest(?::UBIGINT[]) AS d, unnest(?::BIGINT[]) AS n", [digests, added]
    )
    database.execute(
        "UPDATE entry SET counter = added.n, d = md5_number_lower(concat_ws('@', entry.d, ?)) FROM added "
        "WHERE entry.d = added.d",
        [taken.isoformat()],
    )
    if not is_old:
        services.note_counters(source, counters, taken)
    return last or taken
