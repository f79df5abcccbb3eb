"""From what each file states to what the folder states: pipelines, tables, owners, sources, and what is wrong.

Pure: no database, no file is opened here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from catalog.facts import ColumnFact, Owned, OwnerFact, PipelineFact, SourceFact, TableFact
from ingest.front_comments import CHOICES
from ingest.layout import Layout
from ingest.names import MAX_NAME, Names, TableKey
from ingest.owners import OwnerBook, slug_of
from ingest.read_files import FileFacts
from ingest.settings import FILE, Settings, names_in, path_regex
from lineage.facts import ERROR, WARNING, FileProblem

_PIPELINE_FIELDS = (
    *("kind", "status", "description", "schedule", "orchestrator", "dag", "tier", "load_strategy", "catchup"),
    "backfill",
)
_TABLE_KINDS = (
    *("table", "view", "materialized_view", "external_table", "topic", "index", "key_space", "files", "dashboard"),
)
_TABLE_KEYS = {
    *("name", "source", "kind", "description", "status", "provenance", "retention", "primary_key", "columns", "tags"),
    *("owner", "owners", "business_owner"),
}
_PIPELINE_KEYS = {*_PIPELINE_FIELDS, "name", "inputs", "outputs", "tags", "owner", "owners", "business_owner"}
_MEANS: Mapping[str, Callable[[str], Any]] = {"tier": int, "catchup": "true".__eq__}
_CHOICES: Mapping[str, Mapping[str, Any]] = {  # values by how files write them
    name: {text: _MEANS.get(name, str)(text) for text in texts} for name, texts in CHOICES.items()
}


@dataclass(frozen=True)
class Repository:
    """Everything a folder states, before its SQL is analysed; keyed by path, by (source, name), by slug."""

    pipelines: Mapping[str, PipelineFact]
    tables: Mapping[TableKey, TableFact]
    owners: tuple[OwnerFact, ...]
    names: Names
    problems: tuple[FileProblem, ...]

    @property
    def sources(self) -> tuple[SourceFact, ...]:
        """Every source that a name has led to so far."""
        return tuple(self.names.sources.values())


@dataclass
class _Draft:
    """What is being put together."""

    settings: Settings
    layout: Layout
    names: Names
    book: OwnerBook
    pipelines: dict[str, PipelineFact] = field(default_factory=dict)
    tables: dict[TableKey, TableFact] = field(default_factory=dict)
    problems: list[FileProblem] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)  # names of pipelines

    def complain(self, path: str, code: str, message: str, severity: str = WARNING) -> None:
        self.problems.append(FileProblem(path, code, severity, message))


def combine(files: Iterable[FileFacts], layout: Layout, settings: Settings, names: Names) -> Repository:
    """The folder's facts: files that speak of one table are put together, then what `pipekeeper.yaml` declares."""
    files = sorted(files, key=lambda facts: facts.path)
    draft = _Draft(settings, layout, names, OwnerBook(settings.owners))
    draft.problems += [problem for facts in files for problem in facts.problems]
    about = _about(files)
    dags = {dag: details for facts in files if facts.form == "dags" for dag, details in facts.facts.items()}
    for facts in files:
        if facts.form == "pipeline":
            _add_pipeline(draft, facts, about.get(facts.about, {}), dags)
    functions = {_folder(facts.path) for facts in files if facts.form == "function"}
    _add_described_tables(draft, files, about, functions)
    for entry in settings.tables:
        _declare_table(draft, entry)
    for entry in settings.pipelines:
        _declare_pipeline(draft, entry)
    return Repository(draft.pipelines, draft.tables, tuple(draft.book.owners()), names, tuple(draft.problems))


def source_of(layout: Layout, settings: Settings) -> SourceFact:
    """The source whose tables the SQL builds: as declared, or the layout's under the name and dialect given."""
    declared = {known.slug: known for known in settings.sources} | {known.name: known for known in settings.sources}
    if settings.source in declared:
        return declared[settings.source]
    dialect = settings.dialect or layout.dialect
    platform = dialect or layout.source.platform
    if not settings.source:
        return replace(layout.source, dialect=dialect, platform=platform)
    return SourceFact(slug_of(settings.source), settings.source, platform, "warehouse", dialect)


def _about(files: Iterable[FileFacts]) -> dict[str, dict[str, Any]]:
    """Facts of metadata files by the table they speak of."""
    about: dict[str, dict[str, Any]] = defaultdict(dict)
    for facts in files:
        if facts.form in ("facts", "backfills"):
            about[facts.about].update(facts.facts)
    return about


def _add_pipeline(draft: _Draft, facts: FileFacts, beside: Mapping[str, Any], dags: Mapping[str, Any]) -> None:
    said = {**dags.get(beside.get("dag", ""), {}), **beside, **facts.facts}
    if dags and said.get("dag") and said["dag"] not in dags:
        draft.complain(facts.path, "unknown_dag", f"The DAG {said['dag']} is described nowhere in this folder.")
    fields, tags = _pipeline_fields(draft, facts.path, said), _tags(said)
    owners = _owners(draft, said)
    if not owners.technical:
        owners = replace(owners, technical=draft.book.slugs(_owners_by_path(draft.settings, facts.path)))
    builds = draft.names.qualified(_builds(draft.settings, facts)) if facts.about else ""
    name = _free_name(draft, facts)
    draft.pipelines[facts.path] = PipelineFact(
        name=name,
        path=facts.path,
        facts={**fields, "repository_path": facts.path},
        owners=owners,
        tags=tags,
        builds=builds,
        config=_job(said, builds),
        table_kind=facts.table_kind,
        language=facts.language,
        outputs=(draft.names.of_sql(builds),) if facts.language != "sql" and builds else (),
    )


_JOB = ("destination_table", "partition_parameter", "run_parameter", "write_disposition")


def _job(said: Mapping[str, Any], builds: str) -> dict[str, str]:
    """How the job that a scheduler starts stores what a query gives; nothing where none does, or it stores nothing."""
    if not said.get("dag") or not said.get("write_disposition") or not said.get("destination_table"):
        return {}
    return {key: str(said[key]).replace("{builds}", builds) for key in _JOB if said.get(key)}


def _free_name(draft: _Draft, facts: FileFacts) -> str:
    """A pipeline is called by its file's place, `finance.daily_revenue`; by its whole path where that is taken."""
    name = facts.about if facts.about.count(".") > 1 else facts.path.rsplit(".", 1)[0].replace("/", ".")
    name = facts.path if name in draft.taken or len(name) > MAX_NAME else name
    draft.taken.add(name)
    return name[-MAX_NAME:]


def _builds(settings: Settings, facts: FileFacts) -> str:
    if not settings.table_name:
        return facts.about
    folder, file = _folder(facts.path).rsplit("/", 1)[-1], facts.path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return settings.table_name.format(folder=folder, file=file).strip(".")


def _add_described_tables(
    draft: _Draft, files: list[FileFacts], about: Mapping[str, dict[str, Any]], functions: set[str]
) -> None:
    """Tables that a metadata or schema file describes; owners stay with the pipeline where the folder has one."""
    built = {facts.about for facts in files if facts.form == "pipeline"}
    columns = {facts.about: facts.columns for facts in files if facts.form == "columns"}
    kinds = {facts.about: facts.table_kind for facts in files if facts.form == "pipeline" and facts.table_kind}
    described = {facts.about: facts.path for facts in files if facts.form in ("facts", "columns")}
    for name, path in described.items():
        said = about.get(name, {})
        if _folder(path) in functions:
            _owners(draft, said)  # enters them in the book: they own a function, which is no table
            continue
        key = draft.names.of_sql(draft.names.qualified(name))
        draft.tables[key] = TableFact(
            *key,
            facts=_table_fields({"table_kind": kinds.get(name), **said}),
            columns=_folded(draft, columns.get(name, ())),
            owners=Owned() if name in built else _owners(draft, said),
            tags=_tags(said),
        )


def _table_fields(said: Mapping[str, Any]) -> dict[str, Any]:
    fields = {key: said[key] for key in ("description", "deletion_date") if said.get(key)}
    if said.get("table_kind"):
        fields["kind"] = said["table_kind"]
    if said.get("status") == "deprecated":
        fields["status"] = "deprecated"
    days = said.get("retention_days")
    if isinstance(days, int | float) and 0 < days < 1_000_000:
        fields["retention_days"] = int(days)
    return fields


def _folded(draft: _Draft, columns: Iterable[ColumnFact]) -> tuple[ColumnFact, ...]:
    folded = {}
    for column in columns:
        name = draft.names.fold_column(column.name)
        folded[name] = column._replace(name=name)
    return tuple(folded.values())


def _pipeline_fields(draft: _Draft, path: str, said: Mapping[str, Any]) -> dict[str, Any]:
    fields = {}
    for name in _PIPELINE_FIELDS:
        value = said.get(name)
        if value in (None, ""):
            continue
        choices, text = _CHOICES.get(name), str(value)
        if choices is None:
            fields[name] = text
        elif text.lower() in choices:
            fields[name] = choices[text.lower()]
        else:
            draft.complain(path, "bad_metadata", f"`{name}: {text}` should be one of {', '.join(choices)}.")
    return fields


def _tags(said: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(slug_of(tag)[:100] for tag in names_in(_as_list(said.get("tags")))))


def _owners(draft: _Draft, said: Mapping[str, Any]) -> Owned:
    technical = [*_as_list(said.get("technical_owners")), *names_in(said.get("owner")), *names_in(said.get("owners"))]
    business = [*_as_list(said.get("business_owners")), *names_in(said.get("business_owner"))]
    return Owned(draft.book.slugs(business), draft.book.slugs(technical))


def _owners_by_path(settings: Settings, path: str) -> tuple[str, ...]:
    return next((owners for pattern, owners in settings.owners_by_path if path_regex(pattern).fullmatch(path)), ())


def _declare_table(draft: _Draft, entry: Mapping[str, Any]) -> None:
    """An entry of `tables:` in the settings; it adds to what files say of the same table."""
    _report_unknown_keys(draft, entry, _TABLE_KEYS, "table")
    source = str(entry.get("source") or "")
    if source and draft.names.find_source(source) is None:
        draft.complain(FILE, "unknown_source", f"Table {entry['name']}: no source is called {source}.", ERROR)
        return
    key = draft.names.of_text(str(entry["name"]), source)
    known = draft.tables.get(key, TableFact(*key))
    draft.tables[key] = replace(
        known,
        facts={**known.facts, **_declared_table_fields(draft, entry)},
        columns=_with_declared_columns(draft, known.columns, entry),
        owners=_owners(draft, entry) or known.owners,
        tags=_tags(entry) or known.tags,
    )


def _declared_table_fields(draft: _Draft, entry: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, allowed in (
        ("kind", _TABLE_KINDS),
        ("provenance", ("original", "rebuildable")),
        ("status", ("active", "deprecated", "retired")),
        ("description", None),
    ):
        value = entry.get(key)
        if value is not None and allowed is not None and value not in allowed:
            wanted = ", ".join(allowed)
            draft.complain(FILE, "bad_metadata", f"Table {entry['name']}: {key} {value!r} should be one of {wanted}.")
        elif value is not None:
            fields[key] = str(value).strip()
    return fields | _retention(draft, entry)


def _retention(draft: _Draft, entry: Mapping[str, Any]) -> dict[str, Any]:
    text = str(entry.get("retention") or "")
    if not text:
        return {}
    if text == "forever":
        return {"keep_forever": True}
    if found := re.fullmatch(r"(\d{1,6})( days?)?", text):
        return {"retention_days": int(found[1])}
    message = f"Table {entry['name']}: retention {text!r} should be `30 days` or `forever`."
    draft.complain(FILE, "bad_metadata", message)
    return {}


def _with_declared_columns(
    draft: _Draft, columns: tuple[ColumnFact, ...], entry: Mapping[str, Any]
) -> tuple[ColumnFact, ...]:
    """Descriptions and primary key laid over the columns; those no schema lists come after, in the order given."""
    described = entry.get("columns") if isinstance(entry.get("columns"), dict) else {}
    primary = {draft.names.fold_column(name) for name in names_in(entry.get("primary_key"))}
    texts = {draft.names.fold_column(str(name)): str(text or "").strip() for name, text in described.items()}
    by_name = {column.name: column for column in columns}
    for name in [*primary, *texts]:
        by_name.setdefault(name, ColumnFact(name, listed=False))
    if "primary_key" in entry:
        by_name = {name: column._replace(is_primary_key=name in primary) for name, column in by_name.items()}
    return tuple(column._replace(description=texts.get(name, column.description)) for name, column in by_name.items())


def _declare_pipeline(draft: _Draft, entry: Mapping[str, Any]) -> None:
    """An entry of `pipelines:` in the settings: a pipeline without SQL, with its inputs and outputs."""
    _report_unknown_keys(draft, entry, _PIPELINE_KEYS, "pipeline")
    name = str(entry["name"])
    if name in draft.taken:
        message = f"Pipeline {name} is declared, but a file of that name exists; the file counts."
        draft.complain(FILE, "declared_twice", message, ERROR)
        return
    draft.taken.add(name)
    draft.pipelines[f"{FILE}#{name}"] = PipelineFact(
        name=name,
        path=FILE,
        facts=_pipeline_fields(draft, FILE, entry),
        owners=_owners(draft, entry),
        tags=_tags(entry),
        inputs=tuple(draft.names.of_text(text) for text in names_in(entry.get("inputs"))),
        outputs=tuple(draft.names.of_text(text) for text in names_in(entry.get("outputs"))),
    )


def _report_unknown_keys(draft: _Draft, entry: Mapping[str, Any], known: set[str], noun: str) -> None:
    for key in entry:
        if key not in known:
            message = f"The {noun} {entry['name']} has the key {key!r}, which means nothing here."
            draft.complain(FILE, "unknown_key", message)


def _as_list(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
