"""Writes to the catalog by people: one verb each, atomic, through `catalog.policy`, each with its history entry.

`actor` is the signed-in user; None is the product itself (first set-up, commands run at the machine's own prompt).
A field that a person sets is remembered in `stated_fields`: from then on an ingest only notes what it read beside it.
Invalid facts raise `django.core.exceptions.ValidationError` naming the field; missing rights raise PermissionDenied.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.text import slugify

from catalog import policy, search_index
from catalog.models import Column, HistoryEntry, Origin, Owner, Ownership, Pipeline, Run, Source, Table, Tag, User
from catalog.policy import Action

_NOT_RECORDED = {"stated_fields", "ingested", "created_at"}


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
        pipeline.kind_is_inferred = False
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
    stated = thing.ownerships.filter(role=role, origin=Origin.PERSON)
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
    record_history(actor, "changed", thing, {f"{role}_owners": before}, {f"{role}_owners": after})
    search_index.index(noun, [thing.pk])


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
    tags = facts.pop("tags", None)
    tags_before = sorted(thing.tags.values_list("name", flat=True)) if tags is not None else []
    changed = [field for field, value in facts.items() if getattr(thing, field) != value]
    before = _facts_of(thing, changed)
    for field in changed:
        setattr(thing, field, facts[field])
    if changed:
        beside = [field for field in ("stated_fields", "kind_is_inferred") if hasattr(thing, field)]
        if "stated_fields" in beside:
            thing.stated_fields = sorted({*thing.stated_fields, *changed})
        thing.full_clean()
        thing.save(update_fields=[*changed, *beside])  # what another changed meanwhile stays
    after = _facts_of(thing, changed)
    if tags is not None and (tags_after := sorted(set(tags))) != tags_before:
        _set_tags(thing, tags_after)
        before["tags"], after["tags"] = tags_before, tags_after
    if after:
        record_history(actor, "changed", thing, before, after)
        _index(thing)
    return thing


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


def record_history(actor: User | None, action: str, thing: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
    """One history entry: who did what to which thing, with the facts before and after."""
    HistoryEntry.objects.create(
        actor=actor,
        actor_name=actor.get_username() if actor else "pipekeeper",
        action=action,
        noun=thing._meta.model_name,
        object_id=thing.pk,
        object_name=str(thing),
        before=before,
        after=after,
    )
