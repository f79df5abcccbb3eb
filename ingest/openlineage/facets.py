"""What facets say, as the catalog's small typed values. Each function reads one facet and raises BadEvent at its place.

A facet that is not there, or was taken away, reads as one that says nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.facts import ColumnFact
from ingest.openlineage.reading import BadEvent, a_count, a_moment, a_text, an_object, objects
from ingest.owners import slug_of

_DIRECT = {"IDENTITY", "TRANSFORMATION", "AGGREGATION"}
_INDIRECT = {"CONDITIONAL", "WINDOW", "FILTER", "JOIN", "GROUP_BY", "SORT"}
_BUSINESS = ("BUSINESS", "STAKEHOLDER", "REQUESTER", "CONSUMER", "PRODUCT")
_NO_SCHEDULE = ("", "None", "null")
_TABLE_KINDS = {
    "TABLE": "table",
    "VIEW": "view",
    "MATERIALIZED_VIEW": "materialized_view",
    "EXTERNAL": "external_table",
    "EXTERNAL_TABLE": "external_table",
    "TOPIC": "topic",
    "STREAM": "topic",
    "FILE": "files",
    "INDEX": "index",
    "DASHBOARD": "dashboard",
}


@dataclass(frozen=True)
class Parent:
    """The run that a run is a part of, and its job."""

    job: tuple[str, str]
    run: str


@dataclass(frozen=True)
class InputField:
    """One column that a column or table is made from, and by what kind of transformation."""

    dataset: tuple[str, str]
    column: str
    kind: str


@dataclass(frozen=True)
class Lifecycle:
    """What happened to a dataset; `previous` is its old name after a rename."""

    change: str
    previous: tuple[str, str] | None


@dataclass(frozen=True)
class ColumnMetrics:
    """What a column was found to hold: rows without a value, and distinct values besides."""

    nulls: int | None = None
    distinct: int | None = None


@dataclass(frozen=True)
class Metrics:
    """How large a dataset was found to be, and what its columns hold, by their names in lower case."""

    rows: int | None = None
    size_bytes: int | None = None
    columns: Mapping[str, ColumnMetrics] = field(default_factory=dict)

    def column(self, name: str) -> ColumnMetrics:
        return self.columns.get(name.lower(), ColumnMetrics())


@dataclass(frozen=True)
class Assertion:
    """What a run asserted of a dataset or one of its columns, and whether that holds."""

    what: str
    column: str
    success: bool
    only_warns: bool

    @property
    def name(self) -> str:
        return f"{self.what}({self.column})" if self.column else self.what


def parent_of(facets: Mapping[str, Any]) -> Parent | None:
    place = "run.facets.parent"
    facet = an_object(facets.get("parent"), place)
    if not facet or facet.get("_deleted"):
        return None
    job, run = an_object(facet.get("job"), f"{place}.job"), an_object(facet.get("run"), f"{place}.run")
    name = a_text(job.get("namespace"), f"{place}.job.namespace"), a_text(job.get("name"), f"{place}.job.name")
    return Parent(name, a_text(run.get("runId"), f"{place}.run.runId")[:200].lower()) if all(name) else None


def nominal_start(facets: Mapping[str, Any]) -> dt.datetime | None:
    place = "run.facets.nominalTime"
    facet = an_object(facets.get("nominalTime"), place)
    value = facet.get("nominalStartTime")
    if facet.get("nominalEndTime") is not None:
        a_moment(facet["nominalEndTime"], f"{place}.nominalEndTime")
    return a_moment(value, f"{place}.nominalStartTime") if value is not None else None


def error_message(facets: Mapping[str, Any]) -> str:
    place = "run.facets.errorMessage"
    return a_text(an_object(facets.get("errorMessage"), place).get("message"), f"{place}.message")


def airflow_dag(facets: Mapping[str, Any]) -> dict[str, str]:
    """The DAG's name and schedule, which Airflow tells in run facets of its own."""
    for name in ("airflow", "airflowDagRun"):
        facet = facets.get(name)
        dag = facet.get("dag") if isinstance(facet, dict) else None
        if isinstance(dag, dict) and isinstance(dag.get("dag_id"), str):
            schedule = dag.get("timetable_summary", dag.get("schedule_interval"))
            schedule = schedule.strip("'\"") if isinstance(schedule, str) else ""
            return {"dag": dag["dag_id"], "schedule": "" if schedule in _NO_SCHEDULE else schedule}
    return {}


def rows_counted(facets: Mapping[str, Any], place: str) -> int | None:
    for name in ("outputStatistics", "inputStatistics"):
        if name in facets:
            facet = an_object(facets[name], f"{place}.{name}")
            return a_count(facet.get("rowCount"), f"{place}.{name}.rowCount")
    return None


def sql_of(facet: Any, place: str) -> tuple[str, str]:
    """The SQL and its dialect, as far as stated."""
    facet = an_object(facet, place)
    return a_text(facet.get("query"), f"{place}.query"), a_text(facet.get("dialect"), f"{place}.dialect").lower()


def documentation(facet: Any, place: str) -> str:
    return a_text(an_object(facet, place).get("description"), f"{place}.description")


def job_type(facet: Any, place: str) -> tuple[str, str]:
    """The integration (AIRFLOW, SPARK, …) and what the job is to it (DAG, TASK, …)."""
    facet = an_object(facet, place)
    return a_text(facet.get("integration"), f"{place}.integration"), a_text(facet.get("jobType"), f"{place}.jobType")


def code_location(facet: Any, place: str) -> str:
    """Where the job's code lies: its path in the repository, or else the address."""
    facet = an_object(facet, place)
    return a_text(facet.get("path"), f"{place}.path") or a_text(facet.get("url"), f"{place}.url")


def owners(facet: Any, place: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(business owners, technical owners) by name; who is not stated to have asked for it keeps it running."""
    business, technical = [], []
    for owner, at in objects(an_object(facet, place).get("owners"), f"{place}.owners"):
        name = a_text(owner.get("name"), f"{at}.name").strip()
        kind = a_text(owner.get("type"), f"{at}.type").upper()
        if name:
            (business if any(word in kind for word in _BUSINESS) else technical).append(_plain(name))
    return tuple(business), tuple(technical)


def _plain(name: str) -> str:
    """`team:finance` and `user:ann@x.org` without the sort of owner in front."""
    head, colon, rest = name.partition(":")
    return rest.strip() if colon and head.isalpha() and rest.strip() else name


def tags(facet: Any, place: str) -> tuple[str, ...]:
    """Tags of the whole thing, as the catalog writes them: `finance`, `tier-1` for a key with a value."""
    found = []
    for tag, at in objects(an_object(facet, place).get("tags"), f"{place}.tags"):
        key, value = a_text(tag.get("key"), f"{at}.key"), a_text(tag.get("value"), f"{at}.value")
        if key and not tag.get("field"):
            found.append(slug_of(key if value in ("", key, "true", "True") else f"{key}-{value}")[:100])
    return tuple(dict.fromkeys(found))


def columns(facet: Any, place: str) -> tuple[ColumnFact, ...]:
    found = {}
    for item, at in objects(an_object(facet, place).get("fields"), f"{place}.fields"):
        name = a_text(item.get("name"), f"{at}.name")
        if not name:
            raise BadEvent(f"{at}.name", "A column needs its name.")
        description = a_text(item.get("description"), f"{at}.description")
        found[name] = ColumnFact(name, a_text(item.get("type"), f"{at}.type") or None, description or None)
    return tuple(found.values())


def table_kind(facet: Any, place: str) -> str:
    facet = an_object(facet, place)
    words = (a_text(facet.get(key), f"{place}.{key}").upper() for key in ("subType", "datasetType"))
    return next((_TABLE_KINDS[word] for word in words if word in _TABLE_KINDS), "")


def metrics(facet: Any, place: str) -> Metrics:
    facet = an_object(facet, place)
    rows, size = (a_count(facet.get(name), f"{place}.{name}") for name in ("rowCount", "bytes"))
    return Metrics(rows, size, dict(_column_metrics(facet.get("columnMetrics"), f"{place}.columnMetrics")))


def _column_metrics(value: Any, place: str) -> Iterator[tuple[str, ColumnMetrics]]:
    for name, found in an_object(value, place).items():
        at = f"{place}.{name}"
        found = an_object(found, at)
        counts = (a_count(found.get(each), f"{at}.{each}") for each in ("nullCount", "distinctCount"))
        yield name.lower(), ColumnMetrics(*counts)


def assertions(facet: Any, place: str) -> Iterator[Assertion]:
    """What was asserted of a dataset; one without a name or an answer asserts nothing."""
    for item, at in objects(an_object(facet, place).get("assertions"), f"{place}.assertions"):
        what, column = a_text(item.get("assertion"), f"{at}.assertion"), a_text(item.get("column"), f"{at}.column")
        if what and isinstance(item.get("success"), bool):
            yield Assertion(what, column, item["success"], a_text(item.get("severity"), f"{at}.severity") == "warn")


def lifecycle(facet: Any, place: str) -> Lifecycle | None:
    facet = an_object(facet, place)
    change = a_text(facet.get("lifecycleStateChange"), f"{place}.lifecycleStateChange").upper()
    previous = an_object(facet.get("previousIdentifier"), f"{place}.previousIdentifier")
    name = _identifier(previous, f"{place}.previousIdentifier")
    return Lifecycle(change, name if change == "RENAME" and all(name) else None) if change else None


def symlinks(facet: Any, place: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Other names of a dataset, each with its sort: TABLE for a name in a catalog, LOCATION for where it lies."""
    for item, at in objects(an_object(facet, place).get("identifiers"), f"{place}.identifiers"):
        name = _identifier(item, at)
        if all(name):
            yield name, a_text(item.get("type"), f"{at}.type").upper()


def _identifier(item: dict[str, Any], place: str) -> tuple[str, str]:
    return a_text(item.get("namespace"), f"{place}.namespace"), a_text(item.get("name"), f"{place}.name")


def column_lineage(facet: Any, place: str) -> dict[str, tuple[InputField, ...]]:
    """What each column is made from; under "*" what decides on every row."""
    facet = an_object(facet, place)
    found = {"*": tuple(_input_fields(facet.get("dataset"), f"{place}.dataset", {}))}
    for column, made in an_object(facet.get("fields"), f"{place}.fields").items():
        at = f"{place}.fields.{column}"
        made = an_object(made, at)
        found[column] = tuple(_input_fields(made.get("inputFields"), f"{at}.inputFields", made))
    return found


def _input_fields(value: Any, place: str, around: dict[str, Any]) -> Iterator[InputField]:
    for item, at in objects(value, place):
        name, column = _identifier(item, at), a_text(item.get("field"), f"{at}.field")
        if not all(name) or not column:
            raise BadEvent(at, "An input column needs namespace, name and field.")
        steps = [step for step, _ in objects(item.get("transformations"), f"{at}.transformations")]
        for kind in dict.fromkeys(_kind(step) for step in steps or [_old_style(around)]):
            yield InputField(name, column, kind)


def _kind(step: dict[str, Any]) -> str:
    """Our kind of edge; a sort that is not known counts as what it is least."""
    subtype = str(step.get("subtype") or "").upper()
    if step.get("type") == "INDIRECT":
        return subtype if subtype in _INDIRECT else "CONDITIONAL"
    return subtype if subtype in _DIRECT else "TRANSFORMATION"


def _old_style(around: dict[str, Any]) -> dict[str, Any]:
    """Before version 1-1-0 the kind stood beside the list of inputs."""
    return {"type": "DIRECT", "subtype": around.get("transformationType")}


_OF_A_JOB = {
    "documentation": documentation,
    "jobType": job_type,
    "ownership": owners,
    "sourceCodeLocation": code_location,
    "sql": sql_of,
    "tags": tags,
}
_OF_A_DATASET = {
    "columnLineage": column_lineage,
    "dataQualityAssertions": lambda facet, place: list(assertions(facet, place)),
    "dataQualityMetrics": metrics,
    "datasetType": table_kind,
    "documentation": documentation,
    "lifecycleStateChange": lifecycle,
    "ownership": owners,
    "schema": columns,
    "tags": tags,
}

UNDERSTOOD = frozenset(_OF_A_JOB)  # facets of a job that become facts of its pipeline


def check_job(facets: Mapping[str, Any], place: str) -> None:
    """Raise BadEvent for the first facet of a job that could not be read; those that are not known here are kept."""
    for name, facet in facets.items():
        if name in _OF_A_JOB:
            _OF_A_JOB[name](facet, f"{place}.{name}")
        elif name.startswith("@columnLineage"):
            column_lineage(facet, "outputs.facets.columnLineage")


def check_dataset(facets: Mapping[str, Any], place: str) -> None:
    """The same for facets of a dataset."""
    for name, facet in facets.items():
        if name in _OF_A_DATASET:
            _OF_A_DATASET[name](facet, f"{place}.{name}")
