"""The jobs and datasets that events name: found, made where they are new, and tied to a pipeline or a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from catalog import ingested
from catalog.facts import SourceFact
from catalog.ingested import REPORTED
from catalog.models import Origin, Pipeline, Source
from ingest.models import ReportedDataset, ReportedJob
from ingest.openlineage.events import Name
from ingest.openlineage.merge import GONE
from ingest.openlineage.naming import fitted, is_address, kind_of, source_of, table_of
from ingest.openlineage.rows import find_datasets, find_jobs


def the_jobs(names: Collection[Name]) -> dict[Name, ReportedJob]:
    """The jobs of those names, held until the transaction ends, and by all in the same order. One query where they are
    known; `facets` stay unread."""
    found = find_jobs(names)
    if missing := sorted(set(names) - found.keys()):
        for name in missing:
            _make_job(name)
        found |= find_jobs(missing)
    return found


def _make_job(name: Name) -> None:
    pipeline, _ = Pipeline.objects.get_or_create(
        name=_pipeline_name(name), defaults={"origin": Origin.INGEST, "stated_in": REPORTED}
    )
    new = ReportedJob(namespace=name[0], name=name[1], pipeline=pipeline)
    ReportedJob.objects.bulk_create([new], ignore_conflicts=True)


def _pipeline_name(name: Name) -> str:
    """A pipeline is called as its job; where two namespaces have one of that name, each has its namespace in front."""
    namespace, job = name
    others = list(ReportedJob.objects.filter(name=job).exclude(namespace=namespace).select_related("pipeline"))
    for other in others:
        if other.pipeline.name == fitted(job) and other.pipeline.stated_in == REPORTED:
            Pipeline.objects.filter(pk=other.pipeline_id).update(name=fitted(f"{other.namespace}/{job}"))
    return fitted(f"{namespace}/{job}" if others else job)


def the_datasets(names: Collection[Name]) -> dict[Name, ReportedDataset]:
    """The same for datasets."""
    found = find_datasets(names)
    if missing := set(names) - found.keys():
        tables = own_tables(missing)
        new = [ReportedDataset(namespace=name[0], name=name[1], table_id=tables[name]) for name in sorted(missing)]
        ReportedDataset.objects.bulk_create(new, ignore_conflicts=True)
        found |= find_datasets(missing)
    return found


def own_tables(names: Collection[Name]) -> dict[Name, int]:
    """Ids of the tables that datasets are by their own names, made where they are new, with their sources."""
    sources = list(Source.objects.all())
    facts = {namespace: source_of(namespace, sources) for namespace in sorted({name[0] for name in names})}
    ids = ingested.store_sources(facts.values())
    _note_namespaces(facts, ids, {source.slug for source in sources})
    keys = {name: (facts[name[0]].slug, table_of(name[0], name[1])) for name in names}
    tables = ingested.ensure_tables(set(keys.values()), ids, REPORTED)
    kinds = {tables[key]: kind_of(facts[name[0]]) for name, key in keys.items()}
    ingested.set_table_kinds({table: kind for table, kind in kinds.items() if kind != "table"})
    return {name: tables[key] for name, key in keys.items()}


def _note_namespaces(facts: Mapping[str, SourceFact], ids: Mapping[str, int], known: Collection[str]) -> None:
    """A source made for a namespace says so, so that people see what it stands for and may give it to another."""
    for namespace, fact in facts.items():
        if fact.slug not in known and not is_address(namespace):
            Source.objects.filter(pk=ids[fact.slug]).update(namespaces=[namespace])


def alias_of(dataset: ReportedDataset) -> Name | None:
    """The name under which a dataset is known instead: a symlink, or its new name until it is named again itself."""
    stamp = dataset.stamps.get("@alias")
    if stamp is None or stamp[1] == GONE:
        return None
    sort, namespace, name = dataset.facets["@alias"]
    return None if sort == "rename" and dataset.seen_at > stamp[0] else (namespace, name)


def is_dropped(dataset: ReportedDataset) -> bool:
    """Whether the newest word on it is that it was dropped."""
    stamp = dataset.stamps.get("lifecycleStateChange")
    if stamp is None or stamp[1] == GONE or dataset.seen_at > stamp[0]:
        return False
    change = dataset.facets["lifecycleStateChange"].get("lifecycleStateChange")
    return str(change).upper() == "DROP"


def standing_for(dataset: ReportedDataset, others: Mapping[Name, ReportedDataset]) -> ReportedDataset:
    """The dataset at the end of the names under which this one is known; of names in a circle the least."""
    passed = {(dataset.namespace, dataset.name): dataset}
    while (alias := alias_of(dataset)) and alias not in passed:
        dataset = others.get(alias) or the_datasets([alias])[alias]
        passed[alias] = dataset
    if not alias:
        return dataset
    circle = list(passed)
    return passed[min(circle[circle.index(alias) :])]
