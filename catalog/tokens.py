"""API tokens: shown once, kept as a digest, each with a scope."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

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


def _token(digest: str) -> ApiToken | None:
    """The token of that digest with its user, of whom what is not read here comes when it is asked for.

    One query, written out: every request of a program makes it, and composing it costs more than the database does.
    """
    token = next(iter(ApiToken.objects.raw(_TOKEN, [digest])), None)
    if token is not None:
        token.user = User.from_db(
            None, _USER_FIELDS, [token.user_id, *(getattr(token, f"its_{name}") for name in _READ)]
        )
    return token


# Of the user, in the order of the model's fields, as `from_db` takes them
_READ = ("is_superuser", "username", "is_staff", "is_active", "role", "owner_id")
_USER_FIELDS = ["id", *_READ]
_TOKEN = (
    f"SELECT token.*, {', '.join(f'person.{name} AS its_{name}' for name in _READ)}"
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
        token = _token(digest_of(parts[1]))
        if token is None or not token.user.is_active:
            raise AuthenticationFailed("This token is not known here. Make one on your account page.")
        now = timezone.now()
        if token.last_used_at is None or now - token.last_used_at > _USE_IS_NOTED_EVERY:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
