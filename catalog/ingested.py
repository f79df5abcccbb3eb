"""Writes of what an ingest read into the catalog: many rows at once, and a person's word is never overwritten.

Where a person stated a field (`stated_fields`), the ingested value is only noted beside it in `ingested`. What an
ingest no longer states goes back to the field's default, unless `keep_missing` says that the evidence is suspect.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from catalog.bulk import among, as_stored, chunks, insert_new, insert_rows, merge_rows, update_rows
from catalog.facts import ColumnFact, Measures, Owned, OwnerFact, PipelineFact, SourceFact, TableFact
from catalog.models import Column, Origin, Owner, Ownership, Pipeline, SchemaChange, Source, Table, Tag
from catalog.schema_changes import Place, changes_between

TableKey = tuple[str, str]  # (slug of the source, name of the table)
REPORTED = "openlineage"  # the scope of what OpenLineage events alone tell of: any other ingest may state it too

_SOURCE_FIELDS = ("name", "platform", "storage", "dialect", "description")
_OWNER_FIELDS = ("name", "kind", "email", "status")
_TABLE_FIELDS = ("kind", "status", "description", "provenance", "retention_days", "keep_forever")
_PIPELINE_FIELDS = (
    *("kind", "kind_is_inferred", "status", "description", "schedule", "orchestrator", "dag", "repository_path"),
    *("tier", "load_strategy", "catchup", "backfill"),
)
_RETENTION = {"retention_days", "keep_forever"}
_KEPT_UNLESS_STATED = {"kind", "kind_is_inferred"}  # read off SQL, which may not have been looked at again


def store_sources(facts: Iterable[SourceFact]) -> dict[str, int]:
    """Ids of the sources by slug, made or brought up to date. Two queries when nothing is new."""
    facts = list(facts)
    known = Source.objects.in_bulk([fact.slug for fact in facts], field_name="slug")
    for fact in facts:
        source = known.setdefault(fact.slug, Source(slug=fact.slug))
        read = {field: getattr(fact, field) for field in _SOURCE_FIELDS}
        if (source.pk is None or fact.declared) and _lay_over(source, read, _SOURCE_FIELDS):
            source.save()
    return {slug: source.pk for slug, source in known.items()}


def store_owners(facts: Iterable[OwnerFact]) -> dict[str, int]:
    """Ids of the owners by the slug the ingest gives them; the same e-mail address is the same owner."""
    facts = list(facts)
    known = _owners_by_slug(facts)
    new = []
    for fact in facts:
        owner = known.setdefault(fact.slug, Owner(slug=fact.slug))
        read = {field: getattr(fact, field) for field in _OWNER_FIELDS}
        if owner.pk is None:
            _lay_over(owner, read, _OWNER_FIELDS)
            new.append(owner)
        elif fact.declared and _lay_over(owner, read, _OWNER_FIELDS):
            owner.save()
    Owner.objects.bulk_create(new)
    _set_teams(facts, known)
    return {slug: owner.pk for slug, owner in known.items()}


def stated_elsewhere(names: Iterable[str], scope: str) -> dict[str, int]:
    """Of these names of pipelines those that other scopes state, with their ids."""
    theirs = Pipeline.objects.exclude(stated_in__in=("", REPORTED, scope)).order_by()
    return {name: pk for part in chunks(names) for name, pk in theirs.filter(name__in=part).values_list("name", "pk")}


def store_pipelines(
    facts: Sequence[PipelineFact], owners: Mapping[str, int], scope: str, *, keep_missing: bool = False
) -> dict[str, int]:
    """Ids of the pipelines by name, with their owners and tags. A name stated by another scope is left out."""
    known: dict[str, Pipeline] = {}
    for names in chunks(fact.name for fact in facts):
        known |= Pipeline.objects.in_bulk(names, field_name="name")
    free = ("", REPORTED, scope)
    facts = [fact for fact in facts if known.get(fact.name) is None or known[fact.name].stated_in in free]
    wanted = [((fact.name,), known.get(fact.name), fact) for fact in facts]
    ids = _store_things(Pipeline, ("name",), wanted, _PIPELINE_FIELDS, owners, scope, keep_missing)
    return {fact.name: pk for fact, pk in zip(facts, ids, strict=True)}


def store_tables(
    facts: Sequence[TableFact],
    sources: Mapping[str, int],
    owners: Mapping[str, int],
    scope: str,
    *,
    keep_missing: bool = False,
) -> dict[TableKey, int]:
    """Ids of the described tables, with their owners, tags and columns.

    Of a table that another scope describes, a live database only says which columns it has.
    """
    known = _tables_by_key([(fact.source, fact.name) for fact in facts], sources)
    elsewhere = {key for key, table in known.items() if _is_described_elsewhere(table, scope)}
    mine = {_key_of(fact): fact for fact in facts if not (fact.is_live and _key_of(fact) in elsewhere)}
    wanted = [((sources[key[0]], key[1]), known.get(key), fact) for key, fact in mine.items()]
    made = _store_things(Table, ("source", "name"), wanted, _TABLE_FIELDS, owners, scope, keep_missing)
    ids = {key: table.pk for key, table in known.items()} | dict(zip(mine, made, strict=True))
    new = {ids[key] for key in mine.keys() - known.keys()}
    for is_live in (False, True):
        listed = {ids[_key_of(fact)]: fact.columns for fact in facts if fact.columns and fact.is_live is is_live}
        store_columns(listed, is_live=is_live, described_elsewhere=listed.keys() - set(made), new=new)
    return ids


def _key_of(fact: TableFact) -> TableKey:
    return fact.source, fact.name


def _is_described_elsewhere(table: Table, scope: str) -> bool:
    return table.stated_in not in ("", scope) and table.status != Table.Status.RETIRED


def note_live_tables(source: Source, measures: Mapping[int, Measures], at: dt.datetime, *, is_all: bool) -> None:
    """Note what a crawl measured of the tables (by id) that it saw; `is_all` says that there are no others.

    What a person stated stays, and so does what the database does not say.
    """
    fields = tuple(field.name for field in dataclasses.fields(Measures))
    rows, now = [], as_stored(at)
    tables = Table.objects.filter(pk__in=among(measures)).order_by()
    for pk, stated, *known in tables.values_list("pk", "stated_fields", *fields):
        new = [getattr(measures[pk], field) for field in fields]
        kept = (
            old if value is None or field in stated else value
            for field, old, value in zip(fields, known, new, strict=True)
        )
        rows.append((pk, *(as_stored(value) if isinstance(value, dt.datetime) else value for value in kept), now))
    update_rows(Table, (*fields, "crawled_at"), rows)
    if is_all:
        Source.objects.filter(pk=source.pk).update(crawled_at=at)


def ensure_tables(keys: Collection[TableKey], sources: Mapping[str, int], scope: str) -> dict[TableKey, int]:
    """Ids of tables that SQL names; one seen for the first time is made, one that was retired is there again."""
    known = _tables_by_key(keys, sources)
    new = [key for key in keys if key not in known]
    rows = [(sources[source], name, Origin.INGEST.value, scope) for source, name in new]
    ids = insert_new(Table, ("source", "name", "origin", "stated_in"), rows)
    back = [table for table in known.values() if table.status == Table.Status.RETIRED and _may_retire(table, scope)]
    _set_status(Table, back, Table.Status.ACTIVE)
    return {key: table.pk for key, table in known.items()} | dict(zip(new, ids, strict=True))


def retire(things: Iterable[Pipeline | Table], scope: str) -> int:
    """Mark things that nothing in `scope` states any more; those a person registered, or spoke of, stay. How many."""
    by_model: dict[type[models.Model], list[Any]] = defaultdict(list)
    for thing in things:
        if thing.status != "retired" and _may_retire(thing, scope):
            by_model[type(thing)].append(thing)
    for model, gone in by_model.items():
        _set_status(model, gone, "retired")
    return sum(map(len, by_model.values()))


def _may_retire(thing: Pipeline | Table, scope: str) -> bool:
    return thing.origin == Origin.INGEST and thing.stated_in == scope and "status" not in thing.stated_fields


def _set_status(model: type[models.Model], things: Sequence[Any], status: str) -> None:
    for thing in things:
        thing.status = status
        thing.ingested = {**thing.ingested, "status": status}
    model.objects.bulk_update(things, ["status", "ingested"], 200)


def set_table_kinds(kinds: Mapping[int, str]) -> None:
    """What SQL makes tables as (view, …), where neither a person nor a file says otherwise."""
    for ids in chunks(kinds):
        changed = []
        for table in Table.objects.filter(pk__in=ids):
            if table.kind != kinds[table.pk] and "kind" not in table.stated_fields and "kind" not in table.ingested:
                table.kind = kinds[table.pk]
                changed.append(table)
        Table.objects.bulk_update(changed, ["kind"])


def set_table_sizes(sizes: Mapping[TableKey, tuple[int | None, int | None]]) -> None:
    """Rows and bytes of tables as their source counted them, except where a person stated them."""
    slugs = {slug for slug, _ in sizes}
    sources = dict(Source.objects.filter(slug__in=slugs).values_list("slug", "pk"))
    changed = []
    for key, table in _tables_by_key([key for key in sizes if key[0] in sources], sources).items():
        counted = {"row_count": sizes[key][0], "size_bytes": sizes[key][1]}
        new = {field: value for field, value in counted.items() if value is not None and value != getattr(table, field)}
        for field, value in new.items():
            if field not in table.stated_fields:
                setattr(table, field, value)
                changed.append(table)
    Table.objects.bulk_update(dict.fromkeys(changed), ["row_count", "size_bytes"], 200)


def store_columns(
    listed: Mapping[int, Collection[ColumnFact]],
    *,
    is_live: bool = False,
    described_elsewhere: Collection[int] = (),
    new: Collection[int] = (),
) -> None:
    """The columns of tables (by id) as a schema lists them: places, types, descriptions.

    Once a crawl has seen a table, places and types come from crawls alone (`is_live`), or they would change to and fro
    with each ingest. In tables that are `described_elsewhere` it fills in descriptions only where there are none.

    A column that the schema no longer lists loses its place; it stays, because lineage of other days may speak of it.
    Where a table's columns were listed before, what changed is recorded with its date. Tables that are `new` have none.
    """
    for ids in chunks(listed):
        known: dict[int, dict[str, Column]] = defaultdict(dict)
        older = [table_id for table_id in ids if table_id not in new]
        for column in Column.objects.filter(table_id__in=among(older)) if older else ():
            known[column.table_id][column.name] = column
        facts = {table_id: list(listed[table_id]) for table_id in ids}
        for table_id in () if is_live else _crawled(older):
            facts[table_id] = [fact._replace(listed=False, type=None) for fact in facts[table_id]]
        for table_id in set(ids).intersection(described_elsewhere):
            facts[table_id] = [_without_description(fact, known[table_id].get(fact.name)) for fact in facts[table_id]]
        places = {table_id: _places(columns.values()) for table_id, columns in known.items()}
        rows, changed = [], []
        for table_id in ids:
            new, old = _columns_compared(table_id, facts[table_id], known.get(table_id, {}))
            rows += new
            changed += old
        _record_schema_changes({table: (before, _listed_places(facts[table])) for table, before in places.items()})
        insert_rows(Column, _COLUMN_FIELDS, rows)
        Column.objects.bulk_update(changed, ["position", "type", "description", "is_primary_key", "ingested"], 200)


def _crawled(tables: Collection[int]) -> list[int]:
    return list(Table.objects.filter(pk__in=tables, crawled_at__isnull=False).order_by().values_list("pk", flat=True))


def _without_description(fact: ColumnFact, column: Column | None) -> ColumnFact:
    return fact._replace(description=None) if column and (column.description or not fact.description) else fact


def _places(columns: Iterable[Column]) -> dict[str, Place]:
    """Where a table's columns stand in the catalog, with the types that were read, not those that people stated."""
    return {
        column.name: Place(
            column.position, column.ingested.get("type", "") if "type" in column.stated_fields else column.type
        )
        for column in columns
        if column.position is not None
    }


def _listed_places(facts: Iterable[ColumnFact]) -> dict[str, Place]:
    named = (fact for fact in facts if fact.listed)
    return {fact.name[:MAX_COLUMN]: Place(place, _cut(fact.type) or "") for place, fact in enumerate(named, 1)}


def _record_schema_changes(schemas: Mapping[int, tuple[dict[str, Place], dict[str, Place]]]) -> None:
    """Record what changed in tables (by id) whose columns were listed before and are listed now, differently."""
    changed = {
        table: (before, after)
        for table, (before, after) in schemas.items()
        if before and after and {name: place.type for name, place in before.items()} != _types(after, before)
    }
    if not changed:
        return
    dialects = dict(Table.objects.filter(pk__in=changed).order_by().values_list("pk", "source__dialect"))
    SchemaChange.objects.bulk_create(
        SchemaChange(table_id=table, change=one.change, column=one.column, before=one.before, after=one.after)
        for table, (before, after) in changed.items()
        for one in changes_between(before, after, dialects[table])
    )


def _types(after: Mapping[str, Place], before: Mapping[str, Place]) -> dict[str, str]:
    """Types by name; one that is not said now is what it was."""
    return {name: place.type or getattr(before.get(name), "type", "") for name, place in after.items()}


def ensure_columns(
    names: Mapping[int, Collection[str]], known: dict[int, dict[str, int]] | None = None
) -> dict[int, dict[str, int]]:
    """Ids of the columns of tables (by id), by name; those that only lineage names are made, without a place.

    Tables that are among `known` from an earlier call are not looked up again; what is found is added there.
    """
    known = {} if known is None else known
    known |= _column_ids([table for table in names if table not in known])
    missing = {table: {name[:MAX_COLUMN] for name in wanted} - known[table].keys() for table, wanted in names.items()}
    rows = [(table, name, None, "", "", False, "[]", "{}") for table, new in missing.items() for name in sorted(new)]
    if rows:
        insert_rows(Column, _COLUMN_FIELDS, rows)
        known |= _column_ids([table for table, new in missing.items() if new])
    for table, wanted in names.items():
        known[table] |= {name: known[table][name[:MAX_COLUMN]] for name in wanted if len(name) > MAX_COLUMN}
    return known


MAX_COLUMN = 300  # characters of a column's name
_COLUMN_FIELDS = ("table", "name", "position", "type", "description", "is_primary_key", "stated_fields", "ingested")
_MAX_TYPE = Column._meta.get_field("type").max_length or 1000


def _column_ids(tables: Collection[int]) -> dict[int, dict[str, int]]:
    """{table id: {name of column: id}}"""
    found: dict[int, dict[str, int]] = {table: {} for table in tables}
    for ids in chunks(tables):
        rows = Column.objects.filter(table_id__in=ids).order_by().values_list("table_id", "name", "id")
        for table, name, pk in rows:
            found[table][name] = pk
    return found


def _columns_compared(
    table_id: int, facts: Collection[ColumnFact], known: Mapping[str, Column]
) -> tuple[list[tuple[Any, ...]], list[Column]]:
    """(rows to insert, columns to update) of one table."""
    rows, changed = [], []
    places = {fact.name: place for place, fact in enumerate((fact for fact in facts if fact.listed), 1)}
    for name, fact in {fact.name[:MAX_COLUMN]: fact for fact in facts}.items():
        place, type_ = places.get(fact.name), _cut(fact.type)
        column = known.get(name)
        if column is None:
            described = (type_ or "", fact.description or "", bool(fact.is_primary_key))
            rows.append((table_id, name, place, *described, "[]", "{}"))
        elif _lay_column_over(column, place, type_, fact):
            changed.append(column)
    if places:
        listed = {name[:MAX_COLUMN] for name in places}
        changed += [column for name, column in known.items() if name not in listed and _lose_place(column)]
    return rows, changed


def _cut(type_: str | None) -> str | None:
    """A type too long for its field, cut with a mark."""
    return type_ if type_ is None or len(type_) <= _MAX_TYPE else type_[: _MAX_TYPE - 1] + "…"


def _lay_column_over(column: Column, place: int | None, type_: str | None, fact: ColumnFact) -> bool:
    read = {"position": place, "type": type_, "description": fact.description, "is_primary_key": fact.is_primary_key}
    changed = False
    for field, value in read.items():
        if value is None:
            continue
        if field in column.stated_fields:
            changed |= column.ingested.get(field) != value
            column.ingested[field] = value
        elif getattr(column, field) != value:
            setattr(column, field, value)
            changed = True
    return changed


def _lose_place(column: Column) -> bool:
    if column.position is None or "position" in column.stated_fields:
        return False
    column.position = None
    return True


def _tables_by_key(keys: Collection[TableKey], sources: Mapping[str, int]) -> dict[TableKey, Table]:
    by_source: dict[str, list[str]] = defaultdict(list)
    for source, name in keys:
        by_source[source].append(name)
    return {
        (source, table.name): table
        for source, names in by_source.items()
        for part in chunks(names)
        for table in Table.objects.filter(source_id=sources[source], name__in=part).order_by()
    }


def _owners_by_slug(facts: Sequence[OwnerFact]) -> dict[str, Owner]:
    known: dict[str, Owner] = {}
    for part in chunks(facts, 400):
        slugs, emails = [fact.slug for fact in part], [fact.email.casefold() for fact in part if fact.email]
        named = Owner.objects.annotate(lower_email=Lower("email"))
        for owner in named.filter(Q(slug__in=slugs) | Q(lower_email__in=emails)):
            known.setdefault(owner.slug, owner)
            known.setdefault(owner.email.casefold(), owner)
    return {fact.slug: owner for fact in facts if (owner := _same_owner(fact, known))}


def _same_owner(fact: OwnerFact, known: Mapping[str, Owner]) -> Owner | None:
    """The owner of that e-mail address, or of that slug unless the addresses tell two people apart."""
    owner = known.get(fact.email.casefold()) if fact.email else None
    if owner is None:
        owner = known.get(fact.slug)
    return owner


def _set_teams(facts: Sequence[OwnerFact], owners: Mapping[str, Owner]) -> None:
    for fact in facts:
        owner, team = owners[fact.slug], owners.get(fact.team)
        if team and owner.team_id != team.pk and "team" not in owner.stated_fields:
            owner.team = team
            owner.save(update_fields=["team"])


def _store_things(
    model: type[models.Model],
    key_fields: Sequence[str],
    wanted: Sequence[tuple[Sequence[Any], Any, Any]],
    fields: Sequence[str],
    owners: Mapping[str, int],
    scope: str,
    keep_missing: bool,
) -> list[int]:
    """Ids of pipelines or tables with the facts laid over, their owners and their tags.

    Each is given by its key, itself where it is known, and what was read of it.
    """
    known = [(thing, fact) for _, thing, fact in wanted if thing is not None]
    tags_before = {} if keep_missing else {thing.pk: thing.ingested.get("tags", []) for thing, _ in known}
    changed = [
        thing
        for thing, fact in known
        if _lay_over(thing, _read_facts(fact), fields, keep_missing=keep_missing, scope=scope)
    ]
    model._default_manager.bulk_update(changed, [*fields, "ingested", "stated_in"], 100)
    new = [(key, fact) for key, thing, fact in wanted if thing is None]
    made = iter(_insert_things(model, key_fields, new, fields, scope))
    ids = [next(made) if thing is None else thing.pk for _, thing, _ in wanted]
    facts = [fact for _, _, fact in wanted]
    _store_ownerships(model._meta.model_name, ids, facts, owners, keep_missing, [thing.pk for thing, _ in known])
    _store_tags(model, [(pk, tags_before.get(pk, ()), fact.tags) for pk, fact in zip(ids, facts, strict=True)])
    return ids


def _insert_things(
    model: type[models.Model],
    key_fields: Sequence[str],
    new: Iterable[tuple[Sequence[Any], Any]],
    fields: Sequence[str],
    scope: str,
) -> list[int]:
    """Ids of new things with the facts that were read of them; no objects are made of so many."""
    fitted, rows = [model._meta.get_field(field) for field in fields], []
    for key, fact in new:
        read = _read_facts(fact)
        rows.append((*key, *(_fitting(field, read) for field in fitted), json.dumps(read), scope, Origin.INGEST.value))
    return insert_new(model, (*key_fields, *fields, "ingested", "stated_in", "origin"), rows)


def _read_facts(fact: PipelineFact | TableFact) -> dict[str, Any]:
    return {**fact.facts, "tags": sorted(fact.tags)} if fact.tags else dict(fact.facts)


def _lay_over(
    thing: Any, read: dict[str, Any], fields: Sequence[str], *, keep_missing: bool = False, scope: str | None = None
) -> bool:
    """Put what was read into `thing`, except where a person spoke; whether it changed, so that it must be saved."""
    if keep_missing:
        read = {**thing.ingested, **read}
    is_new = thing._state.adding
    if not is_new and thing.ingested == read and (scope is None or scope == thing.stated_in):
        return False
    stated = set(thing.stated_fields)
    if stated & _RETENTION:
        stated |= _RETENTION  # a number of days and for ever contradict each other: who says one says both
    for field in fields:
        if field not in stated and (field in read or field not in _KEPT_UNLESS_STATED):
            setattr(thing, field, _fitting(thing._meta.get_field(field), read))
    thing.ingested = read
    if scope is not None:
        thing.stated_in = scope
    return True


def _fitting(field: models.Field, read: Mapping[str, Any]) -> Any:
    """The value read for a field, or the field's default; a text too long for it is cut."""
    value = read[field.name] if field.name in read else field.get_default()
    return value[: field.max_length] if isinstance(value, str) and field.max_length else value


def _store_ownerships(
    noun: str,
    ids: Sequence[int],
    facts: Sequence[Any],
    owners: Mapping[str, int],
    keep_missing: bool,
    known: Sequence[int],
) -> None:
    """Only things that were `known` before can have owners already."""
    wanted = {
        (pk, role, owners[slug])
        for pk, fact in zip(ids, facts, strict=True)
        for role, slugs in _by_role(fact.owners)
        for slug in slugs
    }
    ingested = Ownership.objects.filter(**{f"{noun}__in": among(known)}, origin=Origin.INGEST)
    rows = ingested.values_list(noun, "role", "owner", "pk") if known else ()
    have = {(of, role, owner): pk for of, role, owner, pk in rows}
    gone = [] if keep_missing else [pk for key, pk in have.items() if key not in wanted]
    if gone:
        Ownership.objects.filter(pk__in=among(gone)).delete()
    rows = [(*key, Origin.INGEST.value) for key in sorted(wanted - have.keys())]
    insert_rows(Ownership, (noun, "role", "owner", "origin"), rows)


def _by_role(owned: Owned) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (Ownership.Role.BUSINESS.value, owned.business), (Ownership.Role.TECHNICAL.value, owned.technical)


def _store_tags(model: type[models.Model], changes: Iterable[tuple[int, Collection[str], Collection[str]]]) -> None:
    """Give tags that are newly stated, take those no longer stated; tags that people gave or took stay as they are."""
    given = [(pk, name) for pk, before, after in changes for name in after if name not in before]
    taken = [(pk, name) for pk, before, after in changes for name in before if name not in after]
    if not given and not taken:
        return
    ids = _tag_ids({name for _, name in (*given, *taken)})
    through = model.tags.through  # type: ignore[attr-defined]
    noun = model._meta.model_name
    merge_rows(through, (noun, "tag"), [(pk, ids[name]) for pk, name in given], {})
    for pk, name in taken:
        through.objects.filter(**{f"{noun}_id": pk, "tag_id": ids[name]}).delete()


def _tag_ids(names: Collection[str]) -> dict[str, int]:
    Tag.objects.bulk_create([Tag(name=name) for name in sorted(names)], ignore_conflicts=True)
    return {
        name: pk for part in chunks(names) for name, pk in Tag.objects.filter(name__in=part).values_list("name", "id")
    }
