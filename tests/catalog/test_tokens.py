"""API tokens: shown once, kept as a digest, their use noted now and then."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from catalog.models import ApiToken
from catalog.tokens import digest_of, issue_token
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def test_the_secret_is_kept_nowhere(viewer) -> None:
    token, secret = issue_token(user=viewer, name="nightly", scope="read")
    stored = ApiToken.objects.values().get()
    assert secret.startswith("pk_") and len(secret) > 40
    assert secret not in str(stored)
    assert stored["digest"] == digest_of(secret) == token.digest


def test_a_scope_that_is_none_is_refused(viewer) -> None:
    with pytest.raises(ValidationError):
        issue_token(user=viewer, name="nightly", scope="everything")


def test_use_is_noted_but_not_at_every_call(viewer, with_token, django_assert_num_queries) -> None:
    program = with_token(viewer)
    program.get("/api/v1/tags/")
    noted = ApiToken.objects.get().last_used_at
    assert noted is not None
    with django_assert_num_queries(2):  # the token with its person, and the list
        program.get("/api/v1/tags/")
    ApiToken.objects.update(last_used_at=NOON)
    program.get("/api/v1/tags/")
    assert ApiToken.objects.get().last_used_at >= noted
