"""What every test shares: cheap passwords, static files as they lie, and people of each role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from hypothesis import settings as hypothesis_settings

from catalog.models import Role, User
from catalog.tokens import issue_token
from tests.factories import make_user

# Examples made at random are the same in every run, so that a test fails for what was changed and not by chance.
# To look for new ones: --hypothesis-profile=new
hypothesis_settings.register_profile("same", derandomize=True)
hypothesis_settings.register_profile("new", derandomize=False)
hypothesis_settings.load_profile("same")


class Program(Client):
    """A test client that sends JSON."""

    def post(self, path: str, data: Any = None, content_type: str = "application/json", **options: Any) -> Any:
        return super().post(path, data, content_type, **options)

    def put(self, path: str, data: Any = None, content_type: str = "application/json", **options: Any) -> Any:
        return super().put(path, data, content_type, **options)

    def patch(self, path: str, data: Any = None, content_type: str = "application/json", **options: Any) -> Any:
        return super().patch(path, data, content_type, **options)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each generated operation an id of its own: of tests with one id, only one runs side by side with others."""
    for item in items:
        _, bracket, params = item.name.partition("[")
        if bracket and item.id.params is None:
            item._id = item.id.with_params(params.removesuffix("]"))


@pytest.fixture(autouse=True)
def _test_settings(settings) -> None:
    settings.DEMO = False  # whatever the shell that runs the tests says
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # real hashing takes 0.3 s a person
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def viewer(db: None) -> User:
    return make_user(Role.VIEWER, username="vera")


@pytest.fixture
def editor(db: None) -> User:
    return make_user(Role.EDITOR, username="edith")


@pytest.fixture
def steward(db: None) -> User:
    return make_user(Role.STEWARD, username="stefan")


@pytest.fixture
def admin(db: None) -> User:
    return make_user(Role.ADMIN, username="ada", is_staff=True)


@pytest.fixture
def stranger(db: None) -> User:
    """Somebody signed in whom nobody gave a role."""
    return make_user(Role.NONE, username="sam")


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    """`signed_in(user)` is a browser with that person's session."""

    def client_of(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return client_of


@pytest.fixture
def with_token() -> Callable[..., Program]:
    """`with_token(user, scope="read")` is a program that sends a token of that person."""

    def client_of(user: User, scope: str = "read") -> Program:
        _, secret = issue_token(user=user, name="test", scope=scope)
        return Program(headers={"Authorization": f"Bearer {secret}"})

    return client_of
