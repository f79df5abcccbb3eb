"""REST of ingest runs: read-only, the newest first."""

from __future__ import annotations

from django_filters import CharFilter, FilterSet
from rest_framework import serializers

from catalog.filters import OneOf
from catalog.serializers import RowSerializer
from catalog.viewsets import NounViewSet
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
        fields = ["id", "url", "kind", "scope", "state", "actor_name", "started_at", "ended_at", "summary", "error"]


class IngestRunViewSet(NounViewSet):
    """Runs of ingests, the newest first."""

    order = ("-started_at", "-id")
    queryset = IngestRun.objects.all()
    serializer_class = IngestRunSerializer
    filterset_class = IngestRunFilter
