"""`ingest_checks`: bring checks to what YAML files state, and store what other tools' result files say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from audits.checks.kinds import BadParameters
from audits.checks.models import Check
from audits.checks.services import Reported, change_check, create_check, record_results
from audits.usage.names import match_names
from catalog.models import Owner, Pipeline, Source, Table
from catalog.touched import told_together
from ingest.checks.definitions import MAX_BYTES, Definition, read_definitions
from ingest.checks.results import NoResults, ToolResult, read_results
from ingest.owners import slug_of

_NAMES = ("checks.yaml", "checks.yml")
_MOST_GONE = 5  # checks that may vanish from a file without a question, or a tenth of what it stated


@dataclass
class Summary:
    """What came of an ingest; `faults` are what could not be read, each with its place."""

    made: int = 0
    changed: int = 0
    unchanged: int = 0
    switched_off: int = 0
    held_back: int = 0
    results: int = 0
    known_results: int = 0
    faults: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def files_in(path: Path) -> Iterator[Path]:
    """The file itself, or every checks.yaml and *.checks.yaml under a folder, in order."""
    if path.is_file():
        yield path
        return
    for each in sorted(path.rglob("*.y*ml")):
        if each.name in _NAMES or each.name.endswith((".checks.yaml", ".checks.yml")):
            yield each


@told_together()
def ingest_file(path: Path, *, source: str, scope: str, allow_retire: bool, into: Summary) -> None:
    """One file, of definitions or of results; every fault is added with the file's name."""
    faults: list[str] = []
    try:
        if path.stat().st_size > MAX_BYTES:
            raise NoResults(f"It is larger than {MAX_BYTES:,} bytes.")
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            faults += store_results(read_results(json.loads(text)), source, into)
        else:
            said = read_definitions(text, source)
            faults += said.faults
            faults += store_definitions(said.found, scope, into, is_whole=not said.faults, allow_retire=allow_retire)
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        faults.append(f"It cannot be read: {error}")
    except json.JSONDecodeError as error:
        faults.append(f"It is not valid JSON: {error}")
    except NoResults as error:
        faults.append(str(error))
    into.faults += [f"{path}: {fault}" for fault in faults]


# Definitions


def store_definitions(
    definitions: Iterable[Definition], scope: str, into: Summary, *, is_whole: bool, allow_retire: bool
) -> list[str]:
    """Make and change checks as stated in `scope`, and switch off those that it states no longer. Faults in words.

    A check that a person made keeps its facts. Nothing is switched off while anything in the file could not be read.
    """
    faults, kept = [], set()
    definitions = list(definitions)
    tables = _tables(definitions)
    for definition in definitions:
        try:
            with transaction.atomic():
                kept.add(_store(definition, tables, scope, into).pk)
        except (ValidationError, BadParameters, LookupError) as error:
            words = " ".join(error.messages) if isinstance(error, ValidationError) else str(error.args[0])
            faults.append(f"{definition.place}: {definition.kind}: {words}")
    if is_whole and not faults:
        _switch_off(scope, kept, into, allow_retire)
    return faults


def _switch_off(scope: str, kept: set[int], into: Summary, allow_retire: bool) -> None:
    stated = Check.objects.filter(stated_in=scope, is_active=True)
    gone = list(stated.exclude(pk__in=kept).select_related("table", "pipeline"))
    if len(gone) > max(_MOST_GONE, stated.count() // 10) and not allow_retire:
        into.held_back += len(gone)
        return
    for check in gone:
        change_check(actor=None, check=check, is_active=False)
        into.switched_off += 1


def _store(definition: Definition, tables: dict[tuple[str, str], Table], scope: str, into: Summary) -> Check:
    of = _thing(definition, tables)
    parameters = {name: _whole(name, value, tables) for name, value in definition.parameters.items()}
    facts: dict[str, Any] = dict(definition.facts)
    name = facts.pop("name", "")
    facts["owner"] = _owner(facts["owner"]) if "owner" in facts else None
    new = Check(kind=definition.kind, parameters=parameters)
    name = (name or new.typed.title())[:300]
    check = Check.objects.filter(**{definition.noun: of}, name=name).first()
    if check is None:
        facts |= {"name": name, "origin": Check.Origin.YAML, "stated_in": scope}
        check = create_check(actor=None, of=of, kind=definition.kind, parameters=parameters, **facts)
        into.made += 1
        return check
    if check.stated_in != scope:
        into.unchanged += 1
        return check
    facts |= {"severity": facts.get("severity", Check.Severity.FAIL), "is_active": True}
    facts |= {key: facts.get(key, "") for key in ("schedule", "description")}
    before = {key: getattr(check, key) for key in (*facts, "parameters")}
    change_check(actor=None, check=check, kind=definition.kind, parameters=new.typed.to_dict(), **facts)
    is_changed = before != {key: getattr(check, key) for key in before}
    into.changed, into.unchanged = into.changed + is_changed, into.unchanged + (not is_changed)
    return check


def _thing(definition: Definition, tables: dict[tuple[str, str], Table]) -> Table | Pipeline:
    if definition.noun == "pipeline":
        pipeline = Pipeline.objects.filter(name=definition.of).first()
        if pipeline is None:
            raise LookupError(f"there is no pipeline {definition.of}.")
        return pipeline
    table = tables.get((definition.source, definition.of))
    if table is None:
        raise LookupError(f"the source {definition.source} has no table {definition.of}, or several that end so.")
    return table


def _whole(name: str, value: Any, tables: dict[tuple[str, str], Table]) -> Any:
    """A parameter in which a table is named in full."""
    if name not in ("input", "output", "to_table") or not isinstance(value, str):
        return value
    slug, _, table = value.partition(":")
    found = tables.get((slug, table))
    return f"{slug}:{found.name}" if found else value


def _tables(definitions: Iterable[Definition]) -> dict[tuple[str, str], Table]:
    """Tables by source and the name that a file writes, which may leave out its front. A few queries a source."""
    wanted: dict[str, set[str]] = {}
    for definition in definitions:
        if definition.noun == "table":
            wanted.setdefault(definition.source, set()).add(definition.of)
        for name in ("input", "output", "to_table"):
            slug, _, table = str(definition.parameters.get(name, "")).partition(":")
            if table:
                wanted.setdefault(slug, set()).add(table)
    found = {}
    for slug, names in wanted.items():
        found |= {(slug, name): table for name, table in tables_called(slug, names).items()}
    return found


def tables_called(slug: str, names: Iterable[str]) -> dict[str, Table]:
    """Tables of a source by names that may leave out their front, where they mean one table."""
    source = Source.objects.filter(slug=slug).first()
    if source is None:
        return {}
    ids = match_names(source, {name: [name] for name in names})
    tables = Table.objects.select_related("source").in_bulk(ids.values())
    return {name: tables[pk] for name, pk in ids.items() if tables[pk].source_id == source.pk}


def _owner(name: str) -> Owner:
    owner = Owner.objects.filter(email__iexact=name).first() or Owner.objects.filter(slug=slug_of(name)).first()
    if owner is None:
        raise LookupError(f"there is no owner {name}.")
    return owner


# Results


def store_results(results: Iterable[ToolResult], source: str, into: Summary) -> list[str]:
    """Store what a tool measured, making its checks where they are new. Faults in words."""
    results = list(results)
    if not source:
        return ["Say with --source whose tables these are."]
    if not Source.objects.filter(slug=source).exists():
        return [f"There is no source with the slug {source}."]
    tables = tables_called(source, {result.table for result in results})
    faults = [f"{source} has no table {name!r}." for name in sorted({each.table for each in results} - tables.keys())]
    for result in results:
        if result.table in tables:
            try:
                recorded = record_results(
                    actor=None, origin=result.tool, results=[_reported(result, tables[result.table])]
                )
            except (ValidationError, BadParameters) as error:
                words = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
                faults.append(f"{result.name}: {words}")
                continue
            into.results += recorded.new
            into.known_results += recorded.known
            into.made += recorded.checks_made
    return faults


def _reported(result: ToolResult, table: Table) -> Reported:
    names = ("kind", "parameters", "at", "key", "state", "value", "words", "name", "severity")
    return Reported(of=table, **{name: getattr(result, name) for name in names})
