"""A reviewed table as the scripts want it, and the scripts of a review, one pair for each source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import sqlglot
from django.utils import timezone
from sqlglot import exp

from audits.deletion import scripts
from audits.deletion.live import said_of_scans
from audits.deletion.models import DeletionReview, ReviewedPipeline, ReviewedTable
from audits.deletion.scripts import Grant, Order, Script, Stop, Target
from catalog.models import Source, Table
from lineage.models import SqlVersion

State = DeletionReview.State


@dataclass(frozen=True)
class SourceScript:
    """The script for one source; `problem` says why there is none."""

    source: Source
    script: Script | None
    problem: str = ""


def target_of(reviewed: ReviewedTable, evidence: Iterable[str] = ()) -> Target:
    """A reviewed table, with the SQL that makes it where it is a view. One query for a view."""
    table = reviewed.table
    return Target(
        name=table.name,
        quarantine_name=reviewed.quarantine_name,
        kept_name=reviewed.kept_name,
        kind=table.kind,
        definition=_definition(table) if table.kind == Table.Kind.VIEW else "",
        description=table.description,
        evidence=tuple(evidence),
        grants=[Grant(**grant) for grant in reviewed.grants],
    )


def _definition(table: Table) -> str:
    """CREATE VIEW as its only builder states it; nothing where that is not plain."""
    versions = SqlVersion.objects.filter(valid_to__isnull=True, statements=1, statements_read=1)
    found = list(versions.filter(pipeline__table_edges__target_table=table).distinct()[:2])
    if len(found) != 1:
        return ""
    dialect, sql = table.source.dialect, found[0].sql
    try:
        statement = sqlglot.parse_one(sql, dialect=dialect)
    except sqlglot.errors.SqlglotError:
        return ""
    if isinstance(statement, exp.Create) and statement.kind == "VIEW":
        return sql
    return f"CREATE VIEW {scripts.quoted(dialect, table.name)} AS\n{sql}" if isinstance(statement, exp.Query) else ""


def quarantine_scripts(review: DeletionReview, evidence: dict[int, list[str]]) -> list[SourceScript]:
    """`evidence` gives the sentences by table id."""
    return _by_source(review, evidence, scripts.quarantine_script)


def delete_scripts(review: DeletionReview, evidence: dict[int, list[str]]) -> list[SourceScript]:
    """The same for the drop; in quarantine the live sources are asked whether the tables were read meanwhile."""
    written = _by_source(review, evidence, scripts.delete_script)
    return [_with_live_notes(review, each) for each in written] if review.state == State.QUARANTINED else written


def _with_live_notes(review: DeletionReview, written: SourceScript) -> SourceScript:
    if written.script is None:
        return written
    said = said_of_scans(written.source, review.tables.filter(table__source=written.source))
    return replace(written, script=replace(written.script, notes=[*said, *written.script.notes]))


def forget_scripts(review: DeletionReview) -> list[SourceScript]:
    """For later: drop what was kept."""
    return _by_source(review, {}, lambda order: Script(scripts.forget_script(order), ""))


def _by_source(
    review: DeletionReview, evidence: dict[int, list[str]], write: Callable[[Order], Script]
) -> list[SourceScript]:
    groups: dict[Source, list[ReviewedTable]] = {}
    for reviewed in review.tables.select_related("table__source"):
        groups.setdefault(reviewed.table.source, []).append(reviewed)
    stops, now = _stops(review), timezone.now()
    return [_of_source(review, source, group, evidence, stops, now, write) for source, group in groups.items()]


def _of_source(
    review: DeletionReview,
    source: Source,
    group: list[ReviewedTable],
    evidence: dict[int, list[str]],
    stops: list[Stop],
    now: dt.datetime,
    write: Callable[[Order], Script],
) -> SourceScript:
    without = [each.table.name for each in group if not scripts.can_script(source.dialect, each.table.kind)]
    if without:
        return SourceScript(source, None, f"No script can be written for {', '.join(without)}: do it by hand.")
    order = Order(
        review=review.pk,
        dialect=source.dialect,
        targets=[target_of(each, evidence.get(each.table_id, ())) for each in group],
        stops=stops,
        written_at=now,
        evidence_until=review.evidence_until,
    )
    try:
        return SourceScript(source, write(order))
    except scripts.NoScript as error:
        return SourceScript(source, None, str(error))


def _stops(review: DeletionReview) -> list[Stop]:
    going = set(review.tables.values_list("table_id", flat=True))
    return [_stop(each, going) for each in review.pipelines.select_related("pipeline")]


def _stop(reviewed: ReviewedPipeline, going: set[int]) -> Stop:
    pipeline = reviewed.pipeline
    where = [pipeline.orchestrator, pipeline.dag and f"DAG {pipeline.dag}", pipeline.repository_path]
    how = f"It runs in {', '.join(part for part in where if part)}." if any(where) else "Where it runs is not known."
    if reviewed.action == ReviewedPipeline.Action.DELETE:
        return Stop(pipeline.name, how)
    outputs = Table.objects.filter(edges_in__pipeline=pipeline, edges_in__valid_to__isnull=True, pk__in=going)
    return Stop(pipeline.name, how, sorted(set(outputs.values_list("name", flat=True))))
