"""REST of earlier incidents like one."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.postmortems.models import Incident
from audits.postmortems.similar import Similar, similar_to
from catalog.rest import refuse_unknown_parameters


class DecidedSerializer(serializers.Serializer):
    """An action item of the earlier incident."""

    title = serializers.CharField()
    status = serializers.CharField(help_text="open, in_progress, done or dropped")
    owner = serializers.CharField(help_text="Name of the owner")
    due = serializers.DateField()
    is_overdue = serializers.BooleanField()


class SimilarSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    title = serializers.CharField()
    page = serializers.URLField()
    severity = serializers.IntegerField()
    status = serializers.CharField(help_text="open, mitigated or resolved")
    started_at = serializers.DateTimeField()
    score = serializers.FloatField(help_text="Higher is more alike; a recurrence is above 1")
    tables = serializers.ListField(child=serializers.CharField(), help_text="Hit by both, as source:name")
    causes = serializers.ListField(child=serializers.CharField(), help_text="Causes in common")
    words = serializers.FloatField(help_text="How well its report answers to the words of this one, 0 to 1")
    is_recurrence = serializers.BooleanField(help_text="The same root cause, where either began")
    action_items = DecidedSerializer(many=True)


class SimilarListSerializer(serializers.Serializer):
    """The most alike first."""

    results = SimilarSerializer(many=True)


class SimilarView(APIView):
    """Has this happened before? Earlier incidents like one, and whether what was decided then was done."""

    @extend_schema(operation_id="incidents_similar", tags=["incidents"], responses={200: SimilarListSerializer})
    def get(self, request: Request, pk: int) -> Response:
        refuse_unknown_parameters(request, ())
        incident = get_object_or_404(Incident, pk=pk)
        return Response({"results": [_as_json(each, request) for each in similar_to(incident)]})


def _as_json(similar: Similar, request: Request) -> dict[str, Any]:
    incident = similar.incident
    return {
        "id": incident.pk,
        "title": incident.title,
        "page": request.build_absolute_uri(incident.get_absolute_url()),
        "severity": incident.severity,
        "status": incident.status,
        "started_at": incident.started_at,
        "score": similar.score,
        "tables": list(similar.tables),
        "causes": list(similar.causes),
        "words": similar.words,
        "is_recurrence": similar.is_recurrence,
        "action_items": [
            {
                "title": item.title,
                "status": item.status,
                "owner": item.owner_name,
                "due": item.due,
                "is_overdue": item.is_overdue,
            }
            for item in similar.items
        ],
    }
