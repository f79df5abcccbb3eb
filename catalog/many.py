"""Owners and tags of many pipelines or tables at once: first what would change, then the change itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction

from catalog.models import Owner, Ownership, Pipeline, Table, User
from catalog.queries import owners_of
from catalog.services import change_pipeline, change_table, set_owners

Thing = Pipeline | Table


@dataclass(frozen=True)
class Wish:
    """What should be so of every thing: an owner more or fewer in a role, tags more or fewer."""

    role: str = Ownership.Role.TECHNICAL
    add_owners: Sequence[Owner] = ()
    remove_owners: Sequence[Owner] = ()
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.add_owners or self.remove_owners or self.add_tags or self.remove_tags)


@dataclass(frozen=True)
class Planned:
    """What a wish does to one thing; `owners` and `tags` are those afterwards, None where they stay as they are."""

    thing: Thing
    owners_before: Sequence[Owner]
    tags_before: Sequence[str]
    owners: Sequence[Owner] | None
    tags: Sequence[str] | None

    def __bool__(self) -> bool:
        return self.owners is not None or self.tags is not None


def plan(things: Iterable[Thing], wish: Wish) -> list[Planned]:
    """What would change of each; things with `with_owners` and tags prefetched cost no query."""
    return [_planned(thing, wish) for thing in things]


@transaction.atomic
def carry_out(*, actor: User | None, things: Iterable[Thing], wish: Wish) -> int:
    """Do it: all of it or nothing, with the rights and the history of each single change. How many things changed."""
    planned = [each for each in plan(things, wish) if each]
    for each in planned:
        if each.owners is not None:
            set_owners(actor=actor, thing=each.thing, role=wish.role, owners=each.owners)
        if each.tags is not None:
            change = change_pipeline if isinstance(each.thing, Pipeline) else change_table
            change(actor=actor, **{each.thing._meta.model_name: each.thing}, tags=list(each.tags))
    return len(planned)


def _planned(thing: Thing, wish: Wish) -> Planned:
    owners = list(getattr(owners_of(thing), wish.role))
    tags = sorted(tag.name for tag in thing.tags.all())
    removed = {owner.pk for owner in wish.remove_owners}
    new_owners = list(dict.fromkeys([*(owner for owner in owners if owner.pk not in removed), *wish.add_owners]))
    new_tags = sorted({*tags, *wish.add_tags} - set(wish.remove_tags))
    return Planned(
        thing,
        owners,
        tags,
        new_owners if {owner.pk for owner in new_owners} != {owner.pk for owner in owners} else None,
        new_tags if new_tags != tags else None,
    )
