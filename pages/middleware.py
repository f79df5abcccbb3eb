"""What holds for every page: who may read at all, and what a browser may load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed

from catalog import policy
from catalog.models import ApiToken
from catalog.policy import Action
from catalog.tokens import TokenAuthentication
from catalog.undo import one_act
from pages.undo import offer
from pages.zones import zone_of

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


def for_everyone(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Mark a page that also a person without a role may see."""
    view.for_everyone = True  # type: ignore[attr-defined]
    return view


DOWNLOADS = {"scorecard-csv", "post-mortem-export", "attachment"}  # besides pages with ?as= or ?format=


class TokenMiddleware:
    """Lets programs fetch what pages offer for download: a GET with a token, in place of a session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_page = response.status_code == 200 and response.headers.get("Content-Type", "").startswith("text/html")
        if getattr(request, "auth", None) and is_page:
            return _refusal(400, "bad_request", "There is no such download here: see the menus of the page.")
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """Sign the token's person in for this one request."""
        is_asked = request.resolver_match.url_name in DOWNLOADS or not {"as", "format"}.isdisjoint(request.GET)
        if request.method != "GET" or not is_asked or not view.__module__.startswith("pages."):
            return None
        try:
            found = TokenAuthentication().authenticate(request)
        except AuthenticationFailed as error:
            return _refusal(401, "unauthenticated", str(error.detail))
        if found:
            request.user, request.auth = found
            if request.auth.scope == ApiToken.Scope.INGEST:
                return _refusal(403, "forbidden", f"The token {request.auth.name!r} may only send OpenLineage events.")
        return None


def _refusal(status: int, code: str, message: str) -> JsonResponse:
    """An error in the shape of REST's."""
    return JsonResponse({"error": {"code": code, "message": message, "fields": {}}}, status=status)


class PagesMiddleware:
    """Asks the policy before any page of ours is shown, and tells the browser to load from here alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._answer(request)
        brings_inline_script = request.path.startswith("/api/") or (settings.DEBUG and response.status_code >= 400)
        if not brings_inline_script:  # the Swagger page, and Django's own error pages while DEBUG is on
            response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        """Pages speak of times in the reader's zone, and offer to take back what a click did; programs get UTC."""
        if request.path.startswith("/api/"):
            return self.get_response(request)
        with timezone.override(zone_of(request)), one_act() as act:
            response = self.get_response(request)
        offer(request, act)
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Default deny: reading any page needs the right to view. Raises PermissionDenied, Http404."""
        if "\0" in request.path and not request.path.startswith("/api/"):  # PostgreSQL refuses to compare with it
            raise Http404("No name holds a null character.")
        if view.__module__.startswith("pages.") and not getattr(view, "for_everyone", False):
            policy.require(request.user, Action.VIEW)
