"""REST of ingest runs: the newest first; those who may edit cancel and resume them."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import reverse
from django_filters import CharFilter, FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.checks.queries import checks
from catalog.filters import OneOf
from catalog.models import Source, Table
from catalog.rest import refuse_unknown_parameters
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


def _shown(run: IngestRun, request: Request) -> Response:
    """A run that was just begun: where to ask how far it is."""
    url = request.build_absolute_uri(reverse("api:ingest-run-list"))
    shown = IngestRunSerializer(context={"url": url}).to_representation(
        IngestRun.objects.values(*IngestRunSerializer.reads()).get(pk=run.pk)
    )
    return Response(shown, status=201, headers={"Location": shown["url"]})


class RunCheckView(APIView):
    """Run one check now."""

    created_inside = True

    @extend_schema(operation_id="checks_run", tags=["checks"], request=None, responses={201: IngestRunSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Begin a run of the check; it says how far it is, and ends with the state. One that is under way stays."""
        refuse_unknown_parameters(request, ())
        return _shown(jobs.start_checks(actor=request.user, of=get_object_or_404(checks(), pk=pk)), request)


class RunChecksOfTableView(APIView):
    """Run all checks of a table now."""

    created_inside = True

    @extend_schema(
        operation_id="tables_run_checks", tags=["tables"], request=None, responses={201: IngestRunSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        """Begin a run of the table's checks that are measured here; it ends with the worst state."""
        refuse_unknown_parameters(request, ())
        return _shown(jobs.start_checks(actor=request.user, of=get_object_or_404(Table, pk=pk)), request)


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
