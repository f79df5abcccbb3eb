"""The door for OpenLineage clients, `/api/v1/lineage` and `/api/v1/lineage/batch`, and the list of what came in."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django_filters import CharFilter, FilterSet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.bulk import chunks
from catalog.filters import Moment, OneOf
from catalog.rest import RolePermission, TooLarge, refuse_unknown_parameters
from catalog.serializers import RowSerializer
from catalog.tokens import TokenAuthentication
from catalog.viewsets import NounViewSet
from ingest.models import LineageEvent
from ingest.openlineage.bodies import TooLong, parsed, read_body
from ingest.openlineage.events import EVENT_TYPES
from ingest.openlineage.marquez_api import NodeParametersSerializer, lineage_answer
from ingest.openlineage.reading import BadEvent
from ingest.openlineage.store import MOST_AT_ONCE, Answer, take, take_all

MOST_EVENTS = 1_000  # in one batch


class _EventsView(APIView):
    """Takes events. Those sent with a token pass by the framework's layers, which cost more than storing an event."""

    takes_events = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST" or "HTTP_AUTHORIZATION" not in request.META:
            return super().dispatch(request, *args, **kwargs)
        try:
            if (found := TokenAuthentication().authenticate(request)) is None:
                return super().dispatch(request, *args, **kwargs)
            request.user, request.auth = found
            if not RolePermission().has_permission(request, self):
                return super().dispatch(request, *args, **kwargs)
            return self.post(request)
        except Exception as error:
            self.headers = self.default_response_headers
            return self.finalize_response(self.initialize_request(request), self.handle_exception(error))


def _sent(request: Request | HttpRequest) -> Any:
    """The JSON in a request's body, plain or gzip, of at most LINEAGE_MAX_BYTES."""
    request, most = getattr(request, "_request", request), settings.LINEAGE_MAX_BYTES
    if request.content_type != "application/json":
        raise exceptions.UnsupportedMediaType(request.content_type)
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > most:
            raise TooLong(most)
        return parsed(read_body(_stream(request), request.META.get("HTTP_CONTENT_ENCODING", ""), most))
    except TooLong as error:
        raise TooLarge(most) from error
    except BadEvent as error:
        raise _invalid(error) from error


def _stream(request: HttpRequest) -> Any:
    """The body. Of one whose length is not told beforehand Django reads nothing, though the server knows its end."""
    is_in_chunks = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    return request.META["wsgi.input"] if is_in_chunks and request.META.get("wsgi.input_terminated") else request


def _invalid(error: BadEvent) -> exceptions.ValidationError:
    return exceptions.ValidationError({error.place or "event": [error.message]})


def _without_words(status: int) -> HttpResponse:
    response = HttpResponse(status=status)
    del response.headers["Content-Type"]
    return response


class FailedEventSerializer(serializers.Serializer):
    index = serializers.IntegerField(help_text="Its place in the list, from 0")
    reason = serializers.CharField()
    retriable = serializers.BooleanField(help_text="Whether sending the same again may help")


class BatchSummarySerializer(serializers.Serializer):
    received = serializers.IntegerField()
    successful = serializers.IntegerField()
    failed = serializers.IntegerField()


class BatchAnswerSerializer(serializers.Serializer):
    status = serializers.ChoiceField(["success", "partial_success"])
    summary = BatchSummarySerializer()
    failed_events = FailedEventSerializer(many=True)


class LineageView(_EventsView):
    """OpenLineage events, one a request; the same event again changes nothing. And Marquez's graph, to read."""

    @extend_schema(
        operation_id="lineage_retrieve",
        tags=["lineage"],
        parameters=[NodeParametersSerializer],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Jobs and datasets around one, in Marquez's shape."""
        return lineage_answer(request)

    @extend_schema(
        operation_id="lineage_create",
        tags=["lineage"],
        request=OpenApiTypes.OBJECT,
        responses={201: OpenApiResponse(description="It is stored, or was before")},
    )
    def post(self, request: Request | HttpRequest) -> HttpResponse:
        refuse_unknown_parameters(request, ())
        try:
            take(_sent(request))
        except BadEvent as error:
            raise _invalid(error) from error
        return _without_words(status.HTTP_201_CREATED)


class LineageBatchView(_EventsView):
    """A list of OpenLineage events; each is stored, or refused, by itself."""

    @extend_schema(
        operation_id="lineage_batch_create",
        tags=["lineage"],
        request={"application/json": {"type": "array", "items": {"type": "object"}, "maxItems": MOST_EVENTS}},
        responses={204: OpenApiResponse(description="All are stored"), 200: BatchAnswerSerializer},
    )
    def post(self, request: Request | HttpRequest) -> HttpResponse:
        refuse_unknown_parameters(request, ())
        events = _sent(request)
        if not isinstance(events, list) or len(events) > MOST_EVENTS:
            message = f"Send a list of at most {MOST_EVENTS:,} events; a single event goes to /api/v1/lineage."
            raise exceptions.ValidationError({"events": [message]})
        answers = [answer for part in chunks(events, MOST_AT_ONCE) for answer in take_all(part)]
        failed = [fault for index, answer in enumerate(answers) if (fault := _refused(index, answer))]
        if not failed:
            return _without_words(status.HTTP_204_NO_CONTENT)
        summary = {"received": len(events), "successful": len(events) - len(failed), "failed": len(failed)}
        return JsonResponse({"status": "partial_success", "summary": summary, "failed_events": failed})


def _refused(index: int, answer: Answer) -> dict[str, Any] | None:
    """Why an event of a batch was not stored; None where it was."""
    match answer:
        case bool():
            return None
        case BadEvent() | ValidationError():
            return {"index": index, "reason": str(answer), "retriable": False}
        case DatabaseError():
            return {"index": index, "reason": "The database did not take it.", "retriable": True}
    raise answer


class LineageEventFilter(FilterSet):
    kind = OneOf(LineageEvent.Kind.choices)
    event_type = OneOf([(name, name.title()) for name in EVENT_TYPES])
    namespace = CharFilter(field_name="job__namespace", label="Namespace of the job")
    job = CharFilter(field_name="job__name", label="Name of the job")
    pipeline = CharFilter(field_name="job__pipeline__name", label="Name of the job's pipeline")
    run_id = CharFilter(label="The run's id")
    since = Moment(field_name="event_time", lookup_expr="gte", label="At or after")
    until = Moment(field_name="event_time", lookup_expr="lt", label="Before")

    class Meta:
        model = LineageEvent
        fields: list[str] = []


class LineageEventSummarySerializer(RowSerializer):
    """All but the event itself, which can be long."""

    lookups = {"namespace": "job__namespace", "job": "job__name", "pipeline": "job__pipeline__name"}
    url = serializers.URLField(read_only=True)
    namespace = serializers.CharField(allow_null=True, help_text="Namespace of the job; null for a DatasetEvent")
    job = serializers.CharField(allow_null=True)
    pipeline = serializers.CharField(allow_null=True, help_text="Name of the job's pipeline")

    class Meta:
        model = LineageEvent
        fields = [
            *("id", "url", "kind", "event_type", "event_time", "received_at", "namespace", "job", "pipeline", "run_id"),
            *("producer", "digest"),
        ]


class LineageEventSerializer(LineageEventSummarySerializer):
    event = serializers.JSONField(help_text="As it came, but for secrets")
    made = ("url", "event")
    needs = ("id", "body")

    class Meta(LineageEventSummarySerializer.Meta):
        fields = [*LineageEventSummarySerializer.Meta.fields, "event"]

    def make(self, row: dict[str, Any]) -> dict[str, Any]:
        return {**super().make(row), "event": json.loads(row["body"])}


class LineageEventViewSet(NounViewSet):
    """OpenLineage events as they came in, the newest first; the event itself is in each one's detail."""

    order = ("-id",)
    queryset = LineageEvent.objects.all()
    filterset_class = LineageEventFilter

    def get_serializer_class(self) -> type[serializers.BaseSerializer]:
        return LineageEventSerializer if self.detail else LineageEventSummarySerializer
