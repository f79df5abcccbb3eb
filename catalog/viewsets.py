"""The two shapes of a noun's REST view: read-only, and writable through services.

Apart from `catalog.rest`, which Django REST framework loads while its own views are still being defined.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from catalog.rest import refuse_unknown_parameters
from catalog.serializers import RowSerializer


class NounViewSet(GenericViewSet):
    """The things of one noun: the list in `order`, and each at its number."""

    order: tuple[str, ...] = ("name", "id")
    lookup_value_converter = "int"

    def list(self, request: Request, **_: Any) -> Response:
        page = self.paginate_queryset(self.read(self.filter_queryset(self.get_queryset())))
        return self.get_paginated_response(self.represent(page))

    def retrieve(self, request: Request, **_: Any) -> Response:
        return Response(self.shown(self.get_object()))

    def shown(self, thing: Any) -> dict[str, Any]:
        """One thing as it is now."""
        return self.represent([self.read(self.get_queryset()).get(pk=thing.pk)])[0]

    def read(self, things: QuerySet) -> QuerySet:
        """Rows of plain values, for the serializers that show those."""
        serializer = self.get_serializer_class()
        return things.values(*serializer.reads()) if issubclass(serializer, RowSerializer) else things

    def represent(self, things: list[Any]) -> list[dict[str, Any]]:
        """Things as plain dicts, through one serializer for them all."""
        serializer = self.get_serializer_class()(context=self.context_for(things))
        return [serializer.to_representation(thing) for thing in things]

    def context_for(self, things: list[Any]) -> dict[str, Any]:
        """What representing these things needs, asked for all of them at once."""
        return {"url": self.request.build_absolute_uri(reverse(f"api:{self.basename}-list"))}


class WritableNounViewSet(NounViewSet):
    """A noun that people register and change: `register(facts)` and `change(thing, facts)` call its services."""

    http_method_names = ["get", "post", "put", "patch", "head", "options"]

    def create(self, request: Request, **_: Any) -> Response:
        refuse_unknown_parameters(request, ())
        with transaction.atomic():
            thing = self.register(self._facts(request.data))
        shown = self.shown(thing)
        return Response(shown, status=status.HTTP_201_CREATED, headers={"Location": shown["url"]})

    def update(self, request: Request, *, partial: bool = False, **_: Any) -> Response:
        thing = self.get_object()
        with transaction.atomic():
            self.change(thing, self._facts(request.data, thing, partial))
        return Response(self.shown(thing))

    def partial_update(self, request: Request, **_: Any) -> Response:
        return self.update(request, partial=True)

    def _facts(self, data: Any, thing: Any = None, partial: bool = False) -> dict[str, Any]:
        serializer = self.get_serializer_class()(thing, data=data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data
