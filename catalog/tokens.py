"""API tokens: shown once, kept as a digest, each with a scope."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets

from django.db import connection
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from catalog.bulk import as_stored
from catalog.models import ApiToken, User

_USE_IS_NOTED_EVERY = dt.timedelta(minutes=5)  # a write per call would make every read wait for the database


def digest_of(secret: str) -> str:
    """How a token is stored: tokens are long and random, so a plain SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def issue_token(*, user: User, name: str, scope: str) -> tuple[ApiToken, str]:
    """A new token of `user` and its secret, which is never shown again."""
    secret = "pk_" + secrets.token_urlsafe(32)
    token = ApiToken(user=user, name=name, scope=scope, digest=digest_of(secret))
    token.full_clean()
    token.save()
    return token, secret


def _token(digest: str, now: dt.datetime) -> tuple[ApiToken, bool] | None:
    """The token of that digest with its user, and whether its use is to be noted; what is not read here of the two
    comes when it is asked for.

    One query, written out: every request of a program makes it, and composing it costs more than the database does.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TOKEN, [as_stored(now - _USE_IS_NOTED_EVERY), digest])
        row = cursor.fetchone()
    if row is None:
        return None
    token = ApiToken.from_db(None, _OF_TOKEN, row[1 : 1 + len(_OF_TOKEN)])
    token.user = User.from_db(None, _OF_USER, row[1 + len(_OF_TOKEN) :])
    return token, bool(row[0])


# In the order of the models' fields, as `from_db` takes them
_OF_TOKEN = ("id", "user_id", "name", "scope")
_OF_USER = ("id", "is_superuser", "username", "is_staff", "is_active", "role", "owner_id")
_TOKEN = (
    f"SELECT token.last_used_at IS NULL OR token.last_used_at < %s,"
    f" {', '.join(f'token.{name}' for name in _OF_TOKEN)}, {', '.join(f'person.{name}' for name in _OF_USER)}"
    f" FROM {ApiToken._meta.db_table} token JOIN {User._meta.db_table} person ON person.id = token.user_id"
    " WHERE token.digest = %s"
)


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer pk_…`; the token itself is `request.auth`."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        parts = get_authorization_header(request).decode("latin-1").split()
        if not parts or parts[0].lower() != "bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("Write the header as: Authorization: Bearer <token>.")
        now = timezone.now()
        token, is_to_note = _token(digest_of(parts[1]), now) or (None, False)
        if token is None or not token.user.is_active:
            raise AuthenticationFailed("This token is not known here. Make one on your account page.")
        if is_to_note:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
