"""Datasets onto tables: which names are one table, and what events say of it together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from catalog import ingested
from catalog.facts import Owned, TableFact
from catalog.ingested import REPORTED
from catalog.models import Table
from ingest.models import ReportedDataset
from ingest.openlineage import facets as read
from ingest.openlineage.events import Name
from ingest.openlineage.known import is_dropped, own_tables, standing_for
from ingest.owners import OwnerBook


def store_datasets(changed: Mapping[ReportedDataset, set[str]]) -> set[int]:
    """Bring the tables of datasets up to date; ids of those of which other things may depend: columns and names."""
    moved = _move(changed)
    tables = {dataset.table_id for dataset in changed} | moved
    _describe(tables)
    reread = {dataset.table_id for dataset, facets in changed.items() if facets & {"schema", "columnLineage"}}
    return moved | reread


def _move(changed: Collection[ReportedDataset]) -> set[int]:
    """Give each dataset the table of the name it is known by; tables that lost or gained one."""
    if not any("@alias" in dataset.stamps for dataset in changed):
        return set()
    others = ReportedDataset.objects.filter(table__in={dataset.table_id for dataset in changed})
    datasets: dict[Name, ReportedDataset] = {(one.namespace, one.name): one for one in [*others, *changed]}
    moved = set()
    for dataset in datasets.values():
        standing = standing_for(dataset, datasets)
        its_name = (standing.namespace, standing.name)
        table = own_tables([its_name])[its_name]
        if table != dataset.table_id:
            moved |= {table, dataset.table_id}
            dataset.table_id = table
            ReportedDataset.objects.filter(pk=dataset.pk).update(table=table)
    return moved


def _describe(tables: Collection[int]) -> None:
    """What events say of tables, where no other ingest states them; those that no dataset is any more are retired."""
    members: dict[int, list[ReportedDataset]] = defaultdict(list)
    for dataset in ReportedDataset.objects.filter(table__in=tables).order_by("namespace", "name"):
        members[dataset.table_id].append(dataset)
    rows = Table.objects.filter(pk__in=tables).select_related("source")
    mine = [table for table in rows if table.stated_in in ("", REPORTED)]
    ingested.retire([table for table in mine if table.pk not in members], REPORTED)
    book = OwnerBook()
    facts = {table: _fact(table, members[table.pk], book) for table in mine if table.pk in members}
    sources = {table.source.slug: table.source_id for table in mine}
    owners = ingested.store_owners(book.owners())
    ingested.store_tables(list(facts.values()), sources, owners, REPORTED)
    for table in facts:
        _store_size(table, members[table.pk])


def together(members: Iterable[ReportedDataset]) -> dict[str, Any]:
    """The facets of a table that several names mean: the newest word of each."""
    newest: dict[str, tuple[list[Any], Any]] = {}
    for dataset in members:
        for name, stamp in dataset.stamps.items():
            if name not in newest or newest[name][0] < stamp:
                newest[name] = (stamp, dataset.facets.get(name))
    return {name: value for name, (_, value) in newest.items() if value is not None}


def _fact(table: Table, members: Collection[ReportedDataset], book: OwnerBook) -> TableFact:
    facets = together(members)
    business, technical = read.owners(facets.get("ownership"), "ownership")
    said = {
        "description": read.documentation(facets.get("documentation"), "documentation"),
        "kind": read.table_kind(facets.get("datasetType"), "datasetType"),
        "status": "retired" if all(map(is_dropped, members)) else "",
    }
    return TableFact(
        table.source.slug,
        table.name,
        facts={name: value for name, value in said.items() if value},
        columns=read.columns(facets.get("schema"), "schema"),
        owners=Owned(book.slugs(business), book.slugs(technical)),
        tags=read.tags(facets.get("tags"), "tags"),
    )


def _store_size(table: Table, members: Collection[ReportedDataset]) -> None:
    """Rows and bytes, as the newest run that measured the table found them."""
    found = read.metrics(together(members).get("dataQualityMetrics"), "dataQualityMetrics")
    said = {"row_count": found.rows, "size_bytes": found.size_bytes}
    new = {name: value for name, value in said.items() if value is not None and name not in table.stated_fields}
    if new:
        Table.objects.filter(pk=table.pk).update(**new)
