"""Who may what: the only place that decides. Default deny: a person without a role may nothing.

| role    | may                                                                   |
|---------|-----------------------------------------------------------------------|
| viewer  | read everything, and change the things they own                       |
| editor  | also register and change sources, tables, columns, pipelines, owners; |
|         | send files to be ingested, cancel and resume ingests                  |
| steward | also retire, approve deletions, and name the connections of sources   |
| admin   | also manage people and roles                                          |

A token acts in the role of its person, within its scope (`catalog.rest`): `read` only reads, `ingest` only sends
OpenLineage events, for which its person must be an editor, and `write` does all that the person may.
"""

from __future__ import annotations

import enum
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Q

from catalog.models import Column, Owner, Pipeline, Role, Run, Table, User
from catalog.queries import ownerships_in_force


class Action(enum.Enum):
    """What can be asked for, with the least role that is always allowed to."""

    VIEW = Role.VIEWER
    EDIT = Role.EDITOR
    RETIRE = Role.STEWARD
    CONNECT = Role.STEWARD  # noqa: PIE796 - another deed of the same role
    ADMINISTER = Role.ADMIN


_RANK = {Role.NONE: 0, Role.VIEWER: 1, Role.EDITOR: 2, Role.STEWARD: 3, Role.ADMIN: 4}


def role_of(user: Any) -> Role:
    """The role a signed-in person acts in; superusers are admins, inactive and anonymous people have none."""
    if not isinstance(user, User) or not user.is_active:
        return Role.NONE
    return Role.ADMIN if user.is_superuser else Role(user.role)


def owns(user: User, thing: Any) -> bool:
    """Whether the person, or their team, is an owner of this pipeline or table, or of the one this is a part of.

    Only owners in force count: whom a person has replaced may no longer. Things of the apps above say themselves who
    answers for them (`answered_by()`, ids of owners). Runs one query.
    """
    if user.owner_id is None or getattr(thing, "pk", None) is None:
        return False
    if isinstance(thing, Owner):
        return thing.pk == user.owner_id
    if isinstance(thing, Column):
        thing = thing.table
    if isinstance(thing, Run):
        thing = thing.pipeline
    team = Owner.objects.filter(pk=user.owner_id).values("team")
    mine = Owner.objects.filter(Q(pk=user.owner_id) | Q(pk__in=team))
    if hasattr(thing, "answered_by"):
        return not thing.answered_by().isdisjoint(mine.values_list("pk", flat=True))
    if not isinstance(thing, Pipeline | Table):
        return False
    noun = thing._meta.model_name
    return ownerships_in_force(noun, owner__in=mine, **{noun: thing}).exists()


def may(user: Any, action: Action, thing: Any = None) -> bool:
    """Whether `user` may do `action`, to `thing` where one is given."""
    role = role_of(user)
    if _RANK[role] >= _RANK[action.value]:
        return True
    return action is Action.EDIT and role is not Role.NONE and thing is not None and owns(user, thing)


def require(user: Any, action: Action, thing: Any = None) -> None:
    """Raise PermissionDenied, in words, unless `user` may."""
    if may(user, action, thing):
        return
    role = role_of(user)
    have = f"your role is {role.value}" if role else "you have no role yet"
    raise PermissionDenied(f"This needs the role {action.value.value}; {have}. An admin can change it.")
