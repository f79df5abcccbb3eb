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


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer pk_…`; the token itself is `request.auth`."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        parts = get_authorization_header(request).decode("latin-1").split()
        if not parts or parts[0].lower() != "bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("Write the header as: Authorization: Bearer <token>.")
        token = ApiToken.objects.select_related("user__owner").filter(digest=digest_of(parts[1])).first()
        if token is None or not token.user.is_active:
            raise AuthenticationFailed("This token is not known here. Make one on your account page.")
        now = timezone.now()
        if token.last_used_at is None or now - token.last_used_at > _USE_IS_NOTED_EVERY:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
