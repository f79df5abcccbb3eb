"""`ingest_dbt`: bring the catalog to what a dbt project's `target` folder states, and take down what dbt did last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog import ingested
from catalog.facts import SourceFact
from catalog.models import Source
from ingest.dbt.freshness import FILE as FRESHNESS
from ingest.dbt.freshness import read_freshness, store_freshness
from ingest.dbt.json_files import BadArtifact, part
from ingest.dbt.manifest import FILE, project_of
from ingest.dbt.project import dialect_of
from ingest.dbt.reading import DbtReading
from ingest.dbt.results import FILE as RESULTS
from ingest.dbt.results import read_results, store_runs
from ingest.dbt.test_results import store_test_results
from ingest.owners import slug_of
from ingest.runs import Recorder
from ingest.services import Outcome, read_and_store

_NAMES = {"bigquery": "BigQuery", "duckdb": "DuckDB", "postgres": "PostgreSQL", "sqlserver": "SQL Server"}


@dataclass(frozen=True)
class Ingested:
    """How it ended: the outcome of the project's facts, and the runs and test results that are on record now."""

    outcome: Outcome
    runs: int
    test_results: int

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        facts = self.outcome.summary.to_dict()
        return {"nodes": facts.pop("files"), **facts, "runs": self.runs, "test_results": self.test_results}


def ingest_dbt(
    *,
    target: Path,
    recorder: Recorder,
    source: str = "",
    run_results: Path | None = None,
    jobs: int = 0,
    allow_retire: bool = False,
    again: bool = False,
) -> Ingested:
    """The work of a recorded run; nothing is written unless every file is whole. Raises BadArtifact, AlreadyRunning."""
    recorder("Reading manifest", 0, 1)
    reading = DbtReading(target, source_for(source, target))
    path = run_results or target / RESULTS
    results = read_results(path) if run_results or path.exists() else []
    ages = read_freshness(target / FRESHNESS) if (target / FRESHNESS).exists() else []
    outcome = read_and_store(reading, recorder, jobs=jobs, allow_retire=allow_retire, again=again)
    ingested.set_table_sizes(_sizes(reading))
    tested = store_test_results(results) + store_freshness(ages, reading.project)
    done = Ingested(outcome, store_runs(results), tested)
    recorder.summary = done.to_dict()
    return done


def scope_of(target: Path) -> str:
    """What a project's facts are stated in: `dbt shop`. Raises BadArtifact when there is no manifest."""
    manifest = target / FILE
    if not manifest.is_file():
        raise BadArtifact(
            f"{target} holds no {FILE}. Give dbt's target folder, once `dbt build` or `dbt docs generate` wrote it."
        )
    return f"dbt {project_of(manifest) or target.resolve().parent.name}"


def source_for(slug: str, target: Path) -> SourceFact:
    """The source that the project builds its tables in: the one named, or the only one that speaks the adapter's SQL.

    One that is not in the catalog yet is made. Raises BadArtifact where several would fit.
    """
    adapter = str(part(target / FILE, "metadata").get("adapter_type") or "")
    dialect = dialect_of(adapter)
    rows = Source.objects.filter(slug=slug_of(slug)) if slug else Source.objects.filter(dialect=dialect, dialect__gt="")
    known = list(rows.order_by("slug")[:20])
    if len(known) > 1:
        names = ", ".join(source.slug for source in known)
        raise BadArtifact(f"Several sources speak {dialect}: {names}. Say with --source which of them dbt builds in.")
    if known:
        source = known[0]
        return SourceFact(source.slug, source.name, source.platform, source.storage, source.dialect or dialect)
    name = slug or _NAMES.get(adapter, adapter.capitalize()) or "Warehouse"
    return SourceFact(slug_of(slug or adapter or "warehouse"), name, adapter or "dbt", "warehouse", dialect)


def _sizes(reading: DbtReading) -> dict[tuple[str, str], tuple[int | None, int | None]]:
    keys, counted = reading.project.keys, reading.tables.items()
    sizes = ((node, table) for node, table in counted if table.rows is not None or table.size is not None)
    return {keys[node]: (table.rows, table.size) for node, table in sizes if node in keys}
