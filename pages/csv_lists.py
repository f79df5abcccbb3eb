"""Whole lists as CSV: everything that the filters leave, read and written some hundred rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse

from catalog.models import Owner, Pipeline, Table
from catalog.queries import Owners, owner_slugs_of, tag_names_of
from lineage.queries import owner_slugs_of_tables
from pages.csv_rows import csv_response
from pages.lists import Listing

_AT_ONCE = 500
Rows = Callable[[Sequence[Any]], Iterable[Sequence[Any]]]  # of some things

TABLE_HEAD = (
    *("source", "table", "kind", "status", "business owners", "technical owners", "tags", "rows", "bytes"),
    "description",
)
PIPELINE_HEAD = (
    *("pipeline", "kind", "status", "tier", "business owners", "technical owners", "tags", "schedule", "orchestrator"),
    *("dag", "load strategy", "description"),
)
OWNER_HEAD = ("slug", "name", "kind", "status", "email", "team", "pipelines", "tables")


def csv_of(listing: Listing, name: str, head: Sequence[str], rows: Rows) -> StreamingHttpResponse:
    """A download of all that the filters leave, in the order of names; `rows` makes rows of some things at a time."""
    return csv_response(f"{name}.csv", head, _in_parts(listing, rows))


def table_rows(tables: Sequence[Table]) -> Iterator[Sequence[Any]]:
    """Five queries for all of them."""
    ids = [table.pk for table in tables]
    owners, tags = owner_slugs_of_tables(ids), tag_names_of("table", ids)
    for table in tables:
        facts = (table.source.slug, table.name, table.kind, table.status)
        size = (table.row_count, table.size_bytes, table.description)
        yield (*facts, *_words(owners[table.pk]), " ".join(tags[table.pk]), *size)


def pipeline_rows(pipelines: Sequence[Pipeline]) -> Iterator[Sequence[Any]]:
    """Two queries for all of them."""
    ids = [pipeline.pk for pipeline in pipelines]
    owners, tags = owner_slugs_of("pipeline", ids), tag_names_of("pipeline", ids)
    for one in pipelines:
        runs = (one.schedule, one.orchestrator, one.dag, one.load_strategy, one.description)
        facts = (one.name, one.kind, one.status, one.tier)
        yield (*facts, *_words(owners[one.pk]), " ".join(tags[one.pk]), *runs)


def owner_rows(owners: Sequence[Owner]) -> Iterator[Sequence[Any]]:
    for owner in owners:
        facts = (owner.slug, owner.name, owner.kind, owner.status, owner.email, owner.team.slug if owner.team else "")
        yield (*facts, owner.pipeline_count, owner.table_count)


def _words(owners: Owners) -> tuple[str, str]:
    return " ".join(sorted(owners.business)), " ".join(sorted(owners.technical))


def _in_parts(listing: Listing, rows: Rows) -> Iterator[Sequence[Any]]:
    part: list[Any] = []
    for thing in listing.found.prefetch_related(None).defer(None).order_by("name", "pk").iterator(_AT_ONCE):
        part.append(thing)
        if len(part) == _AT_ONCE:
            yield from rows(part)
            part = []
    yield from rows(part)
