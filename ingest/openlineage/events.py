"""An OpenLineage event as typed values: what all events need is checked here, facets where they are first used."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from django.utils import timezone

from ingest.openlineage.facets import airflow_dag, lifecycle, parent_of, rows_counted, symlinks
from ingest.openlineage.merge import Offer
from ingest.openlineage.reading import BadEvent, a_moment, a_name, a_text, an_object, objects

MOST_NAMESPACE, MOST_NAME = 500, 2_000  # bytes
EVENT_TYPES = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")
Name = tuple[str, str]  # namespace and name, as OpenLineage identifies jobs and datasets
Side = Literal["inputs", "outputs"]

_OF_A_RUN = {"inputStatistics", "outputStatistics"}  # another in every run, and kept with it
_ANEW = ("CREATE", "OVERWRITE", "TRUNCATE")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Dataset:
    """A dataset as an event names it; `facets` are all those of it, wherever in the event they stood."""

    name: Name
    place: str
    facets: Mapping[str, Any]

    @property
    def rows(self) -> int | None:
        """Rows that the run read or wrote of it."""
        return rows_counted(self.facets, f"{self.place}.facets")

    @property
    def is_overwritten(self) -> bool:
        """Whether the run made it anew, so that the rows that it wrote are all there are."""
        facet = self.facets.get("lifecycleStateChange")
        change = lifecycle(facet, f"{self.place}.facets.lifecycleStateChange") if facet else None
        return change is not None and change.change in _ANEW

    def offers(self, beside_job: bool) -> dict[str, Offer]:
        """Facets of the dataset itself. Beside a job, column lineage is the job's: others may build the same table."""
        left_out = _OF_A_RUN | ({"columnLineage"} if beside_job else set())
        return {name: Offer.of(value) for name, value in self.facets.items() if name not in left_out}


@dataclass(frozen=True)
class Event:
    """One event. `job` is None for a DatasetEvent, whose only dataset is `outputs[0]`; `run` is "" except for runs."""

    kind: Literal["run", "job", "dataset"]
    type: str
    at: dt.datetime
    producer: str
    job: Name | None = None
    job_facets: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    run_facets: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    names_data: bool = False  # whether it says at all what is read and written

    @property
    def micros(self) -> int:
        """Its time as registers keep it."""
        return micros_of(self.at)

    def datasets(self) -> Iterator[tuple[Side, Dataset]]:
        yield from (("inputs", dataset) for dataset in self.inputs)
        yield from (("outputs", dataset) for dataset in self.outputs)

    def names(self) -> set[Name]:
        """The datasets that it names, also as other names of them."""
        return {dataset.name for _, dataset in self.datasets()} | self.aliases.keys()

    @cached_property
    def aliases(self) -> dict[Name, dict[str, Offer]]:
        """Datasets that it says to be known by another name: the register @alias of each. Raises BadEvent."""
        aliases: dict[Name, dict[str, Offer]] = {}
        for _, dataset in self.datasets():
            if "symlinks" in dataset.facets:
                aliases |= _symlinked(dataset)
            if "lifecycleStateChange" in dataset.facets:
                place = f"{dataset.place}.facets.lifecycleStateChange"
                change = lifecycle(dataset.facets["lifecycleStateChange"], place)
                if change and change.previous and change.previous != dataset.name:
                    aliases[change.previous] = {"@alias": Offer.of(["rename", *dataset.name])}
        return aliases

    def job_offers(self) -> dict[str, Offer]:
        """What it says of its job: facets, and under @ what the run and the datasets tell of it."""
        offers = {name: Offer.of(value) for name, value in self.job_facets.items()}
        for dataset in self.outputs:
            if "columnLineage" in dataset.facets:
                offers[column_lineage_of(dataset.name)] = Offer.of(dataset.facets["columnLineage"])
        if parent := parent_of(self.run_facets):
            offers["@parent"] = Offer.of(list(parent.job))
        if dag := airflow_dag(self.run_facets):
            offers["@airflow"] = Offer.of(dag)
        if self.kind == "job" and self.names_data:
            named = {side: sorted({dataset.name for dataset in getattr(self, side)}) for side in ("inputs", "outputs")}
            offers["@data"] = Offer.of(named)
        return offers


def _symlinked(dataset: Dataset) -> dict[Name, dict[str, Offer]]:
    """A dataset goes by its name in a catalog (TABLE); where it lies (LOCATION) goes by the dataset's name."""
    found = symlinks(dataset.facets["symlinks"], f"{dataset.place}.facets.symlinks")
    others = [(other, sort) for other, sort in found if other != dataset.name]
    aliases = {other: {"@alias": Offer.of(["symlink", *dataset.name])} for other, sort in others if sort == "LOCATION"}
    if tables := [other for other, sort in others if sort != "LOCATION"]:
        aliases[dataset.name] = {"@alias": Offer.of(["symlink", *min(tables)])}
    return aliases


def micros_of(moment: dt.datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def at_last_now(at: dt.datetime) -> dt.datetime:
    """A moment of an event as checks take it, which refuse results of the future: a client's clock may run ahead."""
    return min(at, timezone.now() + dt.timedelta(minutes=1))


def moment_of(micros: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=micros)


def column_lineage_of(dataset: Name) -> str:
    """The register of a job's column lineage of one of its outputs."""
    return f"@columnLineage {dataset[0]} {dataset[1]}"


def read_event(data: Any) -> Event:
    """The event that JSON holds. Raises BadEvent."""
    if not isinstance(data, dict):
        raise BadEvent("event", "This should be one object: an event. Send lists to /api/v1/lineage/batch.")
    at = a_moment(_needed(data, "eventTime"), "eventTime")
    producer = a_text(_needed(data, "producer"), "producer")[:500]
    _needed(data, "schemaURL")
    if data.get("run") is not None:
        return _run_event(data, at, producer)
    if data.get("job") is not None:
        return _job_event(data, at, producer)
    if data.get("dataset") is not None:
        dataset = _dataset(an_object(data["dataset"], "dataset"), "dataset")
        return Event("dataset", "", at, producer, outputs=(dataset,))
    raise BadEvent("event", "It names neither a run and its job, nor a job, nor a dataset: one of them is needed.")


def _run_event(data: dict[str, Any], at: dt.datetime, producer: str) -> Event:
    run = an_object(data["run"], "run")
    kind = a_text(data.get("eventType"), "eventType").upper() or "OTHER"
    if kind not in EVENT_TYPES:
        raise BadEvent("eventType", f"{kind!r} should be one of {', '.join(EVENT_TYPES)}.")
    return Event(
        "run",
        kind,
        at,
        producer,
        **_job(data),
        run=_run_id(run.get("runId")),
        run_facets=_facets(run.get("facets"), "run.facets"),
        **_data(data),
    )


def _job_event(data: dict[str, Any], at: dt.datetime, producer: str) -> Event:
    return Event("job", "", at, producer, **_job(data), **_data(data))


def _job(data: dict[str, Any]) -> dict[str, Any]:
    job = an_object(_needed(data, "job"), "job")
    return {"job": _name(job, "job"), "job_facets": _facets(job.get("facets"), "job.facets")}


def _data(data: dict[str, Any]) -> dict[str, Any]:
    named = any(data.get(side) is not None for side in ("inputs", "outputs"))
    sides = {
        side: tuple(_dataset(item, place) for item, place in objects(data.get(side), side))
        for side in ("inputs", "outputs")
    }
    return {**sides, "names_data": named}


def _dataset(item: dict[str, Any], place: str) -> Dataset:
    facets: dict[str, Any] = {}
    for key in ("facets", "inputFacets", "outputFacets"):
        facets |= _facets(item.get(key), f"{place}.{key}")
    return Dataset(_name(item, place), place, facets)


def _facets(value: Any, place: str) -> dict[str, Any]:
    facets = an_object(value, place)
    return {name: facet for name, facet in facets.items() if facet is not None and not name.startswith("@")}


def _name(item: dict[str, Any], place: str) -> Name:
    namespace = a_name(item.get("namespace"), f"{place}.namespace", MOST_NAMESPACE)
    return namespace, a_name(item.get("name"), f"{place}.name", MOST_NAME)


def _run_id(value: Any) -> str:
    text = a_text(value, "run.runId")
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise BadEvent(
            "run.runId", f"{text!r} is no UUID. Write it like 018cc251-f400-7c75-918b-11a3ed69ce99."
        ) from error


def _needed(data: dict[str, Any], key: str) -> Any:
    value = data.get(key)
    if value in (None, ""):
        raise BadEvent(key, "This is missing: every event needs eventTime, producer and schemaURL.")
    return value
