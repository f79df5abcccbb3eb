"""What a live source itself says of reads while its tables are in quarantine: PostgreSQL counts scans of each table.

It does not say whose they are. A backup counts too, so this is told to the steward beside the script and stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from audits.deletion.models import ReviewedTable
from audits.deletion.scripts import NoScript, quoted, text
from catalog.addresses import ConnectionProblem
from catalog.connections import OpenSource, open_source
from catalog.models import Source


def note_scans(reviewed: Iterable[ReviewedTable]) -> None:
    """Keep how often each table was scanned until now, where its source can be asked."""
    for each in reviewed:
        try:
            each.scans = _asked(each.table.source, each)
        except (ConnectionProblem, NoScript):
            each.scans = None
        each.save(update_fields=["scans"])


def said_of_scans(source: Source, reviewed: Iterable[ReviewedTable]) -> list[str]:
    """Sentences on tables of one source that were scanned since `note_scans`, or that it cannot be asked about."""
    said = []
    for each in reviewed:
        if each.scans is None:
            continue
        try:
            now = _asked(source, each)
        except (ConnectionProblem, NoScript) as problem:
            return [*said, f"{source.name} could not be asked whether it was read in quarantine. {problem}"]
        if now is not None and now != each.scans:
            said.append(
                f"{source.name} counts {abs(now - each.scans):,} more scans of {each.quarantine_name} than when the "
                "quarantine began. Find out whether that was a backup or a reader before you drop it."
            )
    return said


def _asked(source: Source, reviewed: ReviewedTable) -> int | None:
    if not source.connection:
        return None
    with open_source(source) as opened:
        return _scans(opened, reviewed.quarantine_name)


def _scans(source: OpenSource, name: str) -> int | None:
    """None where the source keeps no count."""
    if source.dialect != "postgres":
        return None
    place = f"to_regclass({text('postgres', quoted('postgres', name))})"
    counted = f"SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relid = {place}"
    rows = source.run(counted).rows
    return int(rows[0][0]) if rows else None
