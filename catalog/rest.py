"""What the settings give every REST view: rights, paging, filters, and one shape for every error.

An error is always `{"error": {"code", "message", "fields"}}`: `code` for programs, `message` for people, `fields` the
faults by field or parameter, empty where the fault is not of one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, RequestDataTooBig, ValidationError
from django.db import IntegrityError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import exceptions, parsers, status
from rest_framework.pagination import BasePagination
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.utils.urls import remove_query_param, replace_query_param

from catalog import policy
from catalog.models import ApiToken
from catalog.paging import PAGE_SIZE, BadCursor, page_of
from catalog.policy import Action

LARGEST_PAGE = 500
_WRITES = {"POST": Action.EDIT, "PUT": Action.EDIT, "PATCH": Action.EDIT}


class RolePermission(BasePermission):
    """Asks `catalog.policy`: reading needs VIEW, a write EDIT and a token that may write, all else an admin.

    A change is asked for the object itself, since owners may change what they hold. A view of things that belong to
    another (`created_inside`) leaves creation to its service, which asks for the thing they belong to. Tokens of the
    scope ingest get in where a view `takes_events`, and only to send some. To a view that `only_asks`, a POST is a
    question too long for an address, and so a read.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        policy.require(request.user, Action.VIEW)
        if getattr(view, "action", "") is None:
            raise exceptions.MethodNotAllowed(request.method)
        is_read = request.method in SAFE_METHODS or (request.method == "POST" and getattr(view, "only_asks", False))
        _require_scope(request, is_read, getattr(view, "takes_events", False))
        if is_read:
            return True
        leave_to_object = getattr(view, "detail", False) or getattr(view, "created_inside", False)
        if not leave_to_object or request.method not in _WRITES:
            policy.require(request.user, _WRITES.get(request.method, Action.ADMINISTER))
        return True

    def has_object_permission(self, request: Request, view: Any, thing: Any) -> bool:
        action = Action.VIEW if request.method in SAFE_METHODS else Action.EDIT
        policy.require(request.user, action, thing)
        return True


def _require_scope(request: Request, is_read: bool, takes_events: bool) -> None:
    token = request.auth
    if not isinstance(token, ApiToken) or token.scope == ApiToken.Scope.WRITE:
        return
    if token.scope == ApiToken.Scope.INGEST and (is_read or not takes_events):
        raise PermissionDenied(f"The token {token.name!r} may only send OpenLineage events, to /api/v1/lineage.")
    if token.scope == ApiToken.Scope.READ and not is_read:
        wanted = "ingest" if takes_events else "write"
        raise PermissionDenied(f"The token {token.name!r} may only read. Make one with the scope {wanted}.")


class KeysetPagination(BasePagination):
    """`{"next", "previous", "results"}`, in the view's `order`; `cursor` and `limit` choose the page."""

    parameters = ("cursor", "limit")

    def paginate_queryset(self, queryset: QuerySet, request: Request, view: Any = None) -> list[Any]:
        self._url = request.build_absolute_uri()
        try:
            cursor = request.query_params.get("cursor", "")
            self._page = page_of(queryset, view.order, cursor, _limit(request))
        except BadCursor as error:
            raise exceptions.ValidationError({"cursor": [str(error)]}) from error
        return self._page.items

    def get_paginated_response(self, data: list[Any]) -> Response:
        page = self._page
        return Response({"next": self._link(page.next), "previous": self._link(page.previous), "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE_SIZE}
        return [
            _query_parameter(
                "cursor", "The page to show, out of the `next` or `previous` of another", {"type": "string"}
            ),
            _query_parameter("limit", "Rows a page", limit),
        ]

    def _link(self, cursor: str | None) -> str | None:
        return cursor and replace_query_param(remove_query_param(self._url, "cursor"), "cursor", cursor)


def _limit(request: Request) -> int:
    raw = request.query_params.get("limit", str(PAGE_SIZE))
    if not (raw.isascii() and raw.isdigit() and len(raw) < 6 and 1 <= int(raw) <= LARGEST_PAGE):
        raise exceptions.ValidationError({"limit": [f"Write a number from 1 to {LARGEST_PAGE}."]})
    return int(raw)


def _query_parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


class StrictFilterBackend(DjangoFilterBackend):
    """Narrows lists by the view's filter set; a parameter nobody knows is refused instead of passed over."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        if view.detail:
            refuse_unknown_parameters(request, ())
            return queryset
        filters = view.filterset_class.base_filters if getattr(view, "filterset_class", None) else {}
        refuse_unknown_parameters(request, {*filters, *view.paginator.parameters})
        if not any(name in request.query_params for name in filters):
            return queryset  # building a filter set costs more than the query of a page
        return super().filter_queryset(request, queryset, view)


def refuse_unknown_parameters(request: Request | HttpRequest, known: Collection[str]) -> None:
    """Raise ValidationError naming each query parameter that is not `known`, and those that are."""
    would_do = f"Known here: {', '.join(sorted(known))}." if known else "This address takes none."
    unknown = {name: [f"There is no such parameter. {would_do}"] for name in request.GET if name not in known}
    if unknown:
        raise exceptions.ValidationError(unknown)


class BoundedJSONParser(parsers.JSONParser):
    """JSON up to DATA_UPLOAD_MAX_MEMORY_SIZE bytes, nested no deeper than Python can read."""

    def parse(self, stream: Any, media_type: str, parser_context: dict[str, Any]) -> Any:
        request = parser_context["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge()
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise exceptions.ParseError("JSON parse error - nested too deeply") from error


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"

    def __init__(self, most: int | None = None) -> None:
        super().__init__(f"A request may hold {most or settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes at most.")


class Conflict(exceptions.APIException):
    """Somebody else was there first."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"
    default_detail = "Somebody else registered or changed the same thing just now. Read it again, then repeat."


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """The one error shape; None for faults of the product itself, which Django reports as 500."""
    known = _as_api_exception(error)
    if known is None:
        return None
    headers = {"WWW-Authenticate": known.auth_header} if getattr(known, "auth_header", None) else None
    return Response({"error": _described(known)}, status=known.status_code, headers=headers)


def _as_api_exception(error: Exception) -> exceptions.APIException | None:
    match error:
        case exceptions.APIException():
            return error
        case ValidationError():
            return exceptions.ValidationError(_by_field(error))
        case PermissionDenied():
            return exceptions.PermissionDenied(str(error) or None)
        case Http404():
            return exceptions.NotFound("There is no such thing here.")
        case IntegrityError():
            return Conflict()
        case RequestDataTooBig():
            return TooLarge()
    return None


def _by_field(error: ValidationError) -> dict[str, list[str]]:
    faults = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
    return {api_settings.NON_FIELD_ERRORS_KEY if name == NON_FIELD_ERRORS else name: faults[name] for name in faults}


def _described(error: exceptions.APIException) -> dict[str, Any]:
    if not isinstance(error, exceptions.ValidationError):
        return {"code": _code(error), "message": str(error.detail), "fields": {}}
    fields = dict(_flat(error.detail))
    general = fields.pop(api_settings.NON_FIELD_ERRORS_KEY, [])
    by_field = [f"{name}: {' '.join(faults)}" for name, faults in fields.items()]
    return {"code": "invalid", "message": " ".join([*general, *by_field]), "fields": fields}


def _code(error: exceptions.APIException) -> str:
    code = error.default_code
    names = {"not_authenticated": "unauthenticated", "authentication_failed": "unauthenticated"}
    return names.get(code, "forbidden" if code == "permission_denied" else code)


def _flat(detail: Any, path: str = "") -> Iterable[tuple[str, list[str]]]:
    """`{"owners": {"business": ["…"]}}` as `("owners.business", ["…"])`."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif any(isinstance(each, dict) for each in detail):
        for place, inner in enumerate(detail):
            yield from _flat(inner, f"{path}.{place}")
    else:
        yield path or api_settings.NON_FIELD_ERRORS_KEY, [str(each) for each in detail]
