"""Who may what, role by role; the table in `catalog/policy.py` is what these hold to."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied

from catalog.models import Origin, Role
from catalog.policy import Action, may, require, role_of
from tests.factories import make_column, make_owner, make_pipeline, make_run, make_source, make_table, make_user, own

pytestmark = pytest.mark.django_db

ALLOWED = {
    Role.NONE: [],
    Role.VIEWER: [Action.VIEW],
    Role.EDITOR: [Action.VIEW, Action.EDIT],
    Role.STEWARD: [Action.VIEW, Action.EDIT, Action.RETIRE],
    Role.ADMIN: [Action.VIEW, Action.EDIT, Action.RETIRE, Action.ADMINISTER],
}


@pytest.mark.parametrize("role", Role)
def test_each_role_may_its_share_and_no_more(role: Role) -> None:
    user = make_user(role)
    assert [action for action in Action if may(user, action)] == ALLOWED[role]
    assert [action for action in Action if may(user, action, make_table())] == ALLOWED[role]


def test_nobody_who_is_not_signed_in_or_no_longer_here_may_anything() -> None:
    gone = make_user(Role.ADMIN, is_active=False)
    gone_superuser = make_user(Role.ADMIN, is_active=False, is_superuser=True)
    for user in (AnonymousUser(), None, gone, gone_superuser):
        assert not any(may(user, action) for action in Action)


def test_a_superuser_is_an_admin() -> None:
    assert role_of(make_user(Role.NONE, is_superuser=True)) is Role.ADMIN


def test_an_owner_may_change_what_they_hold_and_its_parts_but_not_retire_it() -> None:
    keeper = make_owner()
    person = make_user(Role.VIEWER, owner=keeper)
    table, pipeline = make_table(owner=keeper), make_pipeline(owner=keeper, role="business")
    for thing in (table, pipeline, keeper, make_column(table=table), make_run(pipeline)):
        assert may(person, Action.EDIT, thing)
        assert not may(person, Action.RETIRE, thing)
    for thing in (make_table(), make_pipeline(), make_owner(), make_column(), make_run(), make_source(), None):
        assert not may(person, Action.EDIT, thing)


def test_the_team_of_a_person_holds_for_them() -> None:
    team = make_owner(kind="team")
    member = make_user(Role.VIEWER, owner=make_owner(team=team))
    assert may(member, Action.EDIT, make_table(owner=team))
    assert not may(member, Action.EDIT, team)


def test_owning_without_a_role_opens_nothing() -> None:
    keeper = make_owner()
    person = make_user(Role.NONE, owner=keeper)
    assert not any(may(person, action, make_table(owner=keeper)) for action in Action)


def test_only_owners_in_force_count_role_by_role() -> None:
    read, stated = make_owner(), make_owner()
    person, pipeline = make_user(Role.VIEWER, owner=read), make_pipeline()
    own(pipeline, read, "technical", Origin.INGEST)
    own(pipeline, stated, "business")
    assert may(person, Action.EDIT, pipeline)
    own(pipeline, stated, "technical")
    assert not may(person, Action.EDIT, pipeline)


def test_a_refusal_says_what_is_needed_and_who_can_help() -> None:
    with pytest.raises(PermissionDenied, match="needs the role steward; your role is editor. An admin"):
        require(make_user(Role.EDITOR), Action.RETIRE)
    with pytest.raises(PermissionDenied, match="no role yet"):
        require(AnonymousUser(), Action.VIEW)
