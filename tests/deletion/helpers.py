"""What tests of deletion share: days counted back from today, logs that cover them, reads, builders."""

from __future__ import annotations

import datetime as dt

from audits.deletion import services
from audits.deletion.models import DeletionReview
from audits.usage.models import FailedRead, LogCoverage, LoggedDay, LoggedEdge, Read, Reader
from catalog.models import Pipeline, Source, Table
from tests.factories import make_edge, make_pipeline, make_user

TODAY = dt.datetime.now(dt.UTC).date()


def day(ago: int) -> dt.date:
    return TODAY - dt.timedelta(days=ago)


def moment(ago: int) -> dt.datetime:
    return dt.datetime.combine(day(ago), dt.time(9), dt.UTC)


def cover(source: Source, first: int = 400, last: int = 0, entries: int = 1000, unparsed: int = 0, **facts) -> None:
    """The source's log is there from `first` to `last` days ago."""
    LogCoverage.objects.create(
        source=source, covers_from=moment(first), covers_to=moment(last), format="generic", entries=entries, **facts
    )
    LoggedDay.objects.update_or_create(source=source, day=day(20), defaults={"entries": entries, "unparsed": unparsed})


def read(table: Table, ago: int, by: str = "ann", **reader) -> Read:
    reader, _ = Reader.objects.get_or_create(source=table.source, name=by, defaults={"kind": "human", **reader})
    return Read.objects.create(table=table, day=day(ago), reader=reader, count=1, last_at=moment(ago))


def build(target: Table, *sources: Table, name: str = "", **facts) -> Pipeline:
    """A pipeline that makes `target` of `sources`."""
    pipeline = make_pipeline(name, **facts)
    for source in sources or [None]:
        make_edge(pipeline, source, target)
    return pipeline


def write_by_hand(source: Table, target: Table, ago: int = 50) -> LoggedEdge:
    """Somebody's query, which only the log knows, made `target` of `source`."""
    reader, _ = Reader.objects.get_or_create(source=source.source, name="ben", defaults={"kind": "human"})
    names = {"source": source.source, "source_name": source.name, "target_name": target.name, "reader": reader}
    ends = {"source_table": source, "target_table": target, "first_at": moment(ago), "last_at": moment(ago)}
    return LoggedEdge.objects.create(**names, **ends, count=1)


def fail(source: Source, name: str, at: dt.datetime, by: str = "ben") -> FailedRead:
    """A query that names a table failed."""
    reader, _ = Reader.objects.get_or_create(source=source, name=by, defaults={"kind": "human"})
    return FailedRead.objects.create(source=source, name=name, day=at.date(), reader=reader, count=1, last_at=at)


def agreed(review, jo, steward, editor) -> DeletionReview:
    services.notify(actor=editor, review=review)
    services.agree(actor=make_user(owner=jo), notice=review.notices.get(owner=jo))
    return services.approve(actor=steward, review=review)


def quarantined(review, jo, steward, editor) -> DeletionReview:
    return services.record_quarantine(actor=steward, review=agreed(review, jo, steward, editor))
