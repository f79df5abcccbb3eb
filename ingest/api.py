"""REST of ingest runs: the newest first; those who may edit cancel and resume them."""

from __future__ import annotations

from typing import Any

from django_filters import CharFilter, FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.filters import OneOf
from catalog.models import Source
from catalog.serializers import RowSerializer, StrictSerializer
from catalog.viewsets import NounViewSet
from ingest import jobs, runs
from ingest.models import IngestRun


class IngestRunFilter(FilterSet):
    q = CharFilter(field_name="scope", lookup_expr="icontains", label="Part of the scope")
    kind = CharFilter()
    scope = CharFilter(label="The whole scope")
    state = OneOf(IngestRun.State.choices)

    class Meta:
        model = IngestRun
        fields: list[str] = []


class IngestRunSerializer(RowSerializer):
    url = serializers.URLField(read_only=True)
    summary = serializers.DictField(read_only=True, help_text="The counts it ended with")

    class Meta:
        model = IngestRun
        fields = [
            *("id", "url", "kind", "scope", "state", "actor_name", "started_at", "ended_at", "step", "done", "total"),
            *("attempt", "summary", "error"),
        ]


class CrawlSerializer(StrictSerializer):
    source = serializers.SlugRelatedField(
        slug_field="slug", queryset=Source.objects.all(), help_text="Slug of the source"
    )


class IngestRunViewSet(NounViewSet):
    """Runs of ingests, the newest first."""

    order = ("-started_at", "-id")
    queryset = IngestRun.objects.all()
    serializer_class = IngestRunSerializer
    filterset_class = IngestRunFilter

    def list(self, request: Request, **_: Any) -> Response:
        runs.settle()
        return super().list(request)

    def retrieve(self, request: Request, **_: Any) -> Response:
        runs.settle()
        return super().retrieve(request)

    @extend_schema(request=CrawlSerializer, responses={201: IngestRunSerializer})
    @action(detail=False, methods=["post"])
    def crawl(self, request: Request, **_: Any) -> Response:
        """Begin a crawl of a source's live database; its run says how far it is."""
        asked = CrawlSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        run = jobs.start_crawl(actor=request.user, source=asked.validated_data["source"])
        return Response(self.shown(run), status=201)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **_: Any) -> Response:
        """Ask a run that is under way to stop. What it has stored stays, and is whole."""
        run = self.get_object()
        runs.cancel(actor=request.user, run=run)
        return Response(self.shown(run))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, **_: Any) -> Response:
        """Take a run that ended early up again: it passes over what it has stored."""
        run = self.get_object()
        jobs.resume(actor=request.user, run=run)
        return Response(self.shown(run))
