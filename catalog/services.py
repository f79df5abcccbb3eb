"""Writes to the catalog by people: one verb each, atomic, through `catalog.policy`, each with its history entry.

`actor` is the signed-in user; None is the product itself (first set-up, commands run at the machine's own prompt).
A field that a person sets is remembered in `stated_fields`: from then on an ingest only notes what it read beside it.
Invalid facts raise `django.core.exceptions.ValidationError` naming the field; missing rights raise PermissionDenied.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import QuerySet
from django.utils.text import slugify

from catalog import policy, search_index
from catalog.models import Column, HistoryEntry, Origin, Owner, Ownership, Pipeline, Run, Source, Table, Tag, User
from catalog.policy import Action
from catalog.touched import touch
from catalog.undo import Undo, belongs, puts_back, revived, stored

_NOT_RECORDED = {"stated_fields", "ingested", "created_at", "kind_is_inferred"}


def register_source(*, actor: User | None, name: str, platform: str, slug: str = "", **facts: Any) -> Source:
    """A new source; its slug, used in addresses, comes from the name unless given. Its connection needs a steward."""
    if facts.get("connection"):
        policy_checked(actor, Action.CONNECT)
    return _register(Source(slug=slug or slugify(name), name=name, platform=platform), actor, facts)


def change_source(*, actor: User | None, source: Source, **facts: Any) -> Source:
    """Set facts of a source by hand; its connection needs a steward."""
    if facts.get("connection", source.connection) != source.connection:
        policy_checked(actor, Action.CONNECT)
    return _change(source, actor, facts)


def register_table(*, actor: User | None, source: Source, name: str, **facts: Any) -> Table:
    """A new table of a source, under its dotted name; `tags` takes tag names."""
    return _register(Table(source=source, name=name.strip()), actor, facts)


def change_table(*, actor: User | None, table: Table, **facts: Any) -> Table:
    """Set facts of a table by hand; `tags` takes tag names. Retiring needs a steward."""
    return _change(table, actor, facts)


def register_column(*, actor: User | None, table: Table, name: str, **facts: Any) -> Column:
    """A new column of a table."""
    policy_checked(actor, Action.EDIT, table)
    return _register(Column(table=table, name=name.strip()), actor, facts, checked=True)


def change_column(*, actor: User | None, column: Column, **facts: Any) -> Column:
    """Set facts of a column by hand; whoever may change its table may."""
    policy_checked(actor, Action.EDIT, column.table)
    return _change(column, actor, facts, checked=True)


def register_pipeline(*, actor: User | None, name: str, **facts: Any) -> Pipeline:
    """A new pipeline; `tags` takes tag names."""
    return _register(Pipeline(name=name.strip()), actor, facts)


def change_pipeline(*, actor: User | None, pipeline: Pipeline, **facts: Any) -> Pipeline:
    """Set facts of a pipeline by hand; a kind set here is no longer inferred. Retiring needs a steward."""
    if facts.get("kind", pipeline.kind) != pipeline.kind:
        facts.setdefault("kind_is_inferred", False)
    return _change(pipeline, actor, facts)


def register_owner(*, actor: User | None, name: str, slug: str = "", **facts: Any) -> Owner:
    """A new person or team."""
    return _register(Owner(slug=slug or slugify(name), name=name.strip()), actor, facts)


def change_owner(*, actor: User | None, owner: Owner, **facts: Any) -> Owner:
    """Set facts of an owner by hand, also that they left. Nobody joins a team on their own word: it may own things."""
    if facts.get("team", owner.team) != owner.team:
        policy_checked(actor, Action.EDIT)
    return _change(owner, actor, facts)


def register_tag(*, actor: User | None, name: str, description: str = "") -> Tag:
    """A new tag."""
    return _register(Tag(name=name), actor, {"description": description})


def change_tag(*, actor: User | None, tag: Tag, **facts: Any) -> Tag:
    """Rename or describe a tag."""
    return _change(tag, actor, facts)


@transaction.atomic
def set_owners(*, actor: User | None, thing: Pipeline | Table, role: str, owners: Iterable[Owner]) -> None:
    """State who owns `thing` in `role`; with nobody given, what an ingest read counts again."""
    policy_checked(actor, Action.EDIT, thing)
    noun = thing._meta.model_name
    stated = _stated_owners(thing, role)
    have = {ownership.owner_id: ownership.owner for ownership in stated.select_related("owner")}
    wanted = {owner.pk: owner for owner in owners}
    if have.keys() == wanted.keys():
        return
    stated.exclude(owner__in=wanted).delete()
    Ownership.objects.bulk_create(
        Ownership(owner=owner, role=role, origin=Origin.PERSON, **{noun: thing})
        for pk, owner in wanted.items()
        if pk not in have
    )
    before, after = (sorted(owner.name for owner in group.values()) for group in (have, wanted))
    way = Undo(f"owners of a {noun}", {role: sorted(have)}, {role: sorted(wanted)})
    record_history(actor, "changed", thing, {f"{role}_owners": before}, {f"{role}_owners": after}, way)
    search_index.index(noun, [thing.pk])


def _stated_owners(thing: Pipeline | Table, role: str) -> QuerySet[Ownership]:
    return thing.ownerships.filter(role=role, origin=Origin.PERSON)


def _stated_now(thing: Pipeline | Table, roles: Iterable[str]) -> dict[str, list[int]]:
    return {role: sorted(_stated_owners(thing, role).values_list("owner", flat=True)) for role in roles}


@puts_back("owners of a pipeline", Pipeline, _stated_now)
@puts_back("owners of a table", Table, _stated_now)
def _put_owners_back(actor: User | None, thing: Pipeline | Table, had: dict[str, list[int]]) -> None:
    for role, owners in had.items():
        set_owners(actor=actor, thing=thing, role=role, owners=Owner.objects.filter(pk__in=owners))


@transaction.atomic
def record_run(
    *,
    actor: User | None,
    pipeline: Pipeline,
    external_id: str,
    state: str,
    started_at: dt.datetime,
    **facts: Any,
) -> Run:
    """One execution of a pipeline; the same external id again updates it, so that a report may be repeated."""
    policy_checked(actor, Action.EDIT, pipeline)
    run = Run.objects.filter(pipeline=pipeline, external_id=external_id).first()
    run = run or Run(pipeline=pipeline, external_id=external_id)
    run.state, run.started_at = state, started_at
    for field, value in facts.items():
        setattr(run, field, value)
    run.full_clean()
    run.save()
    return run


def policy_checked(actor: User | None, action: Action, thing: Any = None) -> None:
    """Ask the policy for a person; the product itself may."""
    if actor is not None:
        policy.require(actor, action, thing)


@transaction.atomic
def _register(thing: Any, actor: User | None, facts: dict[str, Any], *, checked: bool = False) -> Any:
    if not checked:
        policy_checked(actor, Action.EDIT)
    tags = facts.pop("tags", None)
    for field, value in facts.items():
        setattr(thing, field, value)
    if hasattr(thing, "stated_fields"):
        thing.stated_fields = sorted(field for field, value in facts.items() if value not in ("", None))
    thing.full_clean()
    thing.save()
    if tags is not None:
        _set_tags(thing, tags)
    record_history(actor, "registered", thing, {}, _facts_of(thing, [*facts]))
    _index(thing)
    return thing


@transaction.atomic
def _change(thing: Any, actor: User | None, facts: dict[str, Any], *, checked: bool = False) -> Any:
    if not checked:
        policy_checked(actor, Action.EDIT, thing)
    if facts.get("status") == "retired" and thing.status != "retired":
        policy_checked(actor, Action.RETIRE, thing)
    tags, stated = facts.pop("tags", None), facts.pop("stated_fields", None)
    tags_before = sorted(thing.tags.values_list("name", flat=True)) if tags is not None else []
    changed = [field for field, value in facts.items() if getattr(thing, field) != value]
    before, exact = _facts_of(thing, changed), stored(thing, changed)
    if hasattr(thing, "stated_fields"):
        exact["stated_fields"] = sorted({*thing.stated_fields} & {*changed})
        now_stated = {*(changed if stated is None else stated)} - _NOT_RECORDED
        thing.stated_fields = sorted({*thing.stated_fields} - {*changed} | now_stated)
    for field in changed:
        setattr(thing, field, facts[field])
    if changed:
        beside = ["stated_fields"] if hasattr(thing, "stated_fields") else []
        thing.full_clean()
        thing.save(update_fields=[*changed, *beside])  # what another changed meanwhile stays
    after, exact_after = _facts_of(thing, changed), stored(thing, changed)
    if tags is not None and (tags_after := sorted(set(tags))) != tags_before:
        _set_tags(thing, tags_after)
        before["tags"], after["tags"] = tags_before, tags_after
        exact["tags"], exact_after["tags"] = tags_before, tags_after
    if after:
        record_history(actor, "changed", thing, before, after, Undo(thing._meta.model_name, exact, exact_after))
        _index(thing)
    return thing


def _facts_now(thing: Any, names: Iterable[str]) -> dict[str, Any]:
    facts = stored(thing, [name for name in names if name != "tags"])
    return facts | ({"tags": sorted(thing.tags.values_list("name", flat=True))} if "tags" in names else {})


def _put_facts_back(change: Callable[..., Any], actor: User | None, thing: Any, had: dict[str, Any]) -> None:
    """Also whether a person had stated them: what only an ingest had read may change again by an ingest."""
    beside = {name: had[name] for name in ("tags", "stated_fields") if name in had}
    facts = revived(type(thing), {name: value for name, value in had.items() if name not in beside})
    change(actor=actor, **{thing._meta.model_name: thing}, **facts, **beside)


for _model, _change_of in (
    (Source, change_source),
    (Table, change_table),
    (Column, change_column),
    (Pipeline, change_pipeline),
    (Owner, change_owner),
    (Tag, change_tag),
):
    puts_back(_model._meta.model_name, _model, _facts_now)(partial(_put_facts_back, _change_of))


def _index(thing: Any) -> None:
    """Let search find it as it is now; a column is found in its table's document."""
    if isinstance(thing, Column):
        search_index.index("table", [thing.table_id])
    else:
        search_index.index(thing._meta.model_name, [thing.pk])


def _set_tags(thing: Pipeline | Table, names: Iterable[str]) -> None:
    wanted = set(names)
    found = list(Tag.objects.filter(name__in=wanted))
    new = [Tag(name=name) for name in sorted(wanted - {tag.name for tag in found})]
    for tag in new:
        try:
            tag.full_clean()
        except ValidationError as error:
            raise ValidationError({"tags": f"{tag.name!r} cannot be a tag: {' '.join(error.messages)}"}) from error
        tag.save()
    search_index.index("tag", [tag.pk for tag in new])
    thing.tags.set([*found, *new])


def _facts_of(thing: Any, fields: Iterable[str]) -> dict[str, Any]:
    """Field values as JSON can keep them; a related object by its name."""
    facts = {field: getattr(thing, field) for field in fields if field not in _NOT_RECORDED}
    return {
        field: str(value) if isinstance(value, models.Model | dt.datetime) else value for field, value in facts.items()
    }


def record_history(
    actor: User | None,
    action: str,
    thing: Any,
    before: dict[str, Any],
    after: dict[str, Any],
    undo: Undo | None = None,
) -> None:
    """One history entry: who did what to which thing, with the facts before and after, and how to take it back."""
    entry = HistoryEntry(
        actor=actor,
        actor_name=actor.get_username() if actor else "pipekeeper",
        action=action,
        noun=thing._meta.model_name,
        object_id=thing.pk,
        object_name=str(thing),
        before=before,
        after=after,
        undo=asdict(undo) if undo else None,
    )
    belongs(entry)
    entry.save()
    touch(thing)
