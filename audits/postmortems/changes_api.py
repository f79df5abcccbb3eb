"""REST of what changed upstream of a table."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.postmortems.changes import KINDS, MOST_SHOWN, Change, UpstreamChanges, upstream_changes
from audits.postmortems.windows import DAYS, read_window
from catalog.models import Table
from catalog.rest import refuse_unknown_parameters
from lineage.upstream import Step

_KINDS = sorted(KINDS)


class WayStepSerializer(serializers.Serializer):
    table = serializers.CharField(help_text="Node id")
    by = serializers.CharField(
        allow_null=True, help_text="Name of the pipeline that carries its data on; null at the end"
    )


class ChangeSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(_KINDS)
    at = serializers.DateTimeField()
    last_at = serializers.DateTimeField(allow_null=True, help_text="The last time, of what happened more than once")
    count = serializers.IntegerField(help_text="How often it happened within the window")
    hops = serializers.IntegerField(help_text="0 for the table itself and the pipelines that write it")
    pipeline = serializers.CharField(allow_null=True)
    words = serializers.CharField()
    details = serializers.ListField(child=serializers.CharField())
    page = serializers.URLField(allow_null=True, help_text="The page for people")
    way = WayStepSerializer(many=True, help_text="From the table it reaches first down to the one asked about")


class UpstreamChangesSerializer(serializers.Serializer):
    """Nearest first, then newest."""

    table = serializers.CharField(help_text="Node id")
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    upstream_tables = serializers.IntegerField(help_text="How many were looked at")
    capped = serializers.BooleanField(help_text="Whether there are more tables, farther away")
    total = serializers.IntegerField(help_text="How many changes there are; `limit` bounds those shown")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="By kind, whatever kinds were asked for")
    changes = ChangeSerializer(many=True)


class ChangesParametersSerializer(serializers.Serializer):
    kind = serializers.MultipleChoiceField(choices=_KINDS, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=MOST_SHOWN, default=100)


class UpstreamChangesView(APIView):
    """What changed upstream of a table: SQL, schemas, runs, row counts, checks, owners, deletions, incidents."""

    @extend_schema(
        operation_id="tables_upstream_changes",
        tags=["tables"],
        parameters=[
            OpenApiParameter("from", str, description=f"Day or moment; {DAYS} days before `to`, if left out"),
            OpenApiParameter("to", str, description="Day or moment; now, if left out"),
            OpenApiParameter("kind", str, enum=_KINDS, many=True, description="Repeat it for several"),
            OpenApiParameter("limit", int, description=f"1 to {MOST_SHOWN}; 100, if left out"),
        ],
        responses={200: UpstreamChangesSerializer},
    )
    def get(self, request: Request, pk: int) -> Response:
        table = get_object_or_404(Table.objects.select_related("source"), pk=pk)
        refuse_unknown_parameters(request, ("from", "to", "kind", "limit"))
        asked = ChangesParametersSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        window = read_window(request.query_params)
        kinds = asked.validated_data.get("kind", ())
        found = upstream_changes(table, window.since, window.until, kinds=kinds, limit=asked.validated_data["limit"])
        return Response(_as_json(found, request))


def _as_json(found: UpstreamChanges, request: Request) -> dict[str, Any]:
    return {
        "table": found.table.node,
        "since": found.since,
        "until": found.until,
        "upstream_tables": found.tables,
        "capped": found.is_capped,
        "total": found.total,
        "counts": found.counts,
        "changes": [_change_as_json(change, request) for change in found.items],
    }


def _change_as_json(change: Change, request: Request) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "at": change.at,
        "last_at": change.last_at,
        "count": change.count,
        "hops": change.hops,
        "pipeline": change.pipeline.name if change.pipeline else None,
        "words": change.told.words,
        "details": list(change.told.details),
        "page": request.build_absolute_uri(change.told.url) if change.told.url else None,
        "way": [_step_as_json(step) for step in change.way],
    }


def _step_as_json(step: Step) -> dict[str, Any]:
    return {"table": step.table.node, "by": step.by.name if step.by else None}
