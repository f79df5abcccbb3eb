"""REST of the impact of planned changes and mishaps."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.rest import refuse_unknown_parameters
from lineage.impact import Hit, Impact, impact_of_changes, message_to
from lineage.planned import MOST_CHANGES, VERBS, PlannedChange

_LEVELS = ["breaks", "stale", "wrong", "affected", "unknown"]


class HitColumnSerializer(serializers.Serializer):
    name = serializers.CharField()
    level = serializers.ChoiceField(_LEVELS)


class ImpactHitSerializer(serializers.Serializer):
    node = serializers.CharField(help_text="Node id of a table or pipeline")
    level = serializers.ChoiceField(_LEVELS)
    change = serializers.CharField(help_text="Which of the changes")
    why = serializers.CharField()
    columns = HitColumnSerializer(many=True, help_text="Empty where the whole table is hit")
    path = serializers.ListField(child=serializers.CharField(), help_text="Node ids from the changed thing to this one")
    owners = serializers.ListField(child=serializers.CharField(), help_text="Slugs")
    is_end = serializers.BooleanField(help_text="A dashboard or an export")
    page = serializers.URLField()


class OwnerMessageSerializer(serializers.Serializer):
    owner = serializers.CharField(help_text="Slug")
    name = serializers.CharField()
    email = serializers.CharField(allow_blank=True)
    message = serializers.CharField()


class ImpactSerializer(serializers.Serializer):
    """Each list in the order in which things would fail, dashboards and exports at the end."""

    changes = serializers.ListField(child=serializers.CharField())
    breaks = ImpactHitSerializer(many=True)
    stale = ImpactHitSerializer(many=True, help_text="Stale or wrong")
    affected = ImpactHitSerializer(many=True)
    unknown = ImpactHitSerializer(many=True, help_text="What cannot be resolved; not the same as unaffected")
    unaffected = serializers.ListField(
        child=serializers.CharField(), help_text="Pipelines that read a changed table but nothing that changes of it"
    )
    capped = serializers.BooleanField(help_text="Whether there is more than could be followed")
    messages = OwnerMessageSerializer(many=True)
    page = serializers.URLField(help_text="The same for people")


class ImpactView(APIView):
    """What changes would break, make stale or wrong, or affect downstream, at column grain."""

    @extend_schema(
        operation_id="impact_retrieve",
        tags=["impact"],
        parameters=[
            OpenApiParameter(
                "change",
                str,
                many=True,
                required=True,
                description=f"What happens, a node id and what comes of it, parted by blanks: `rename_column "
                f"column:warehouse:mart.orders:reason reason_code`. One of {', '.join(VERBS)}. "
                f"Repeat it for several, {MOST_CHANGES} at most.",
            )
        ],
        responses={200: ImpactSerializer},
    )
    def get(self, request: Request) -> Response:
        refuse_unknown_parameters(request, ("change",))
        changes = read_changes(request.query_params)
        impact = impact_of_changes(changes)
        return Response(_as_json(impact, request))


def read_changes(asked: QueryDict) -> list[PlannedChange]:
    """The changes in an address; ValidationError names those that cannot be read, and why."""
    texts = [text for text in asked.getlist("change") if text.strip()]
    if not texts:
        raise serializers.ValidationError({"change": ["Say what changes: drop_table table:<source>:<name>, …"]})
    if len(texts) > MOST_CHANGES:
        raise serializers.ValidationError({"change": [f"{MOST_CHANGES} changes at most."]})
    changes, faults = [], []
    for text in texts:
        try:
            changes.append(PlannedChange.parse(text))
        except ValueError as error:
            faults.append(f"{text[:200]}: {error}")
    if faults:
        raise serializers.ValidationError({"change": faults})
    return changes


def _as_json(impact: Impact, request: Request) -> dict[str, Any]:
    page = request.build_absolute_uri(impact_url(impact.changes))
    return {
        "changes": [str(change) for change in impact.changes],
        **{name: [_hit_as_json(hit, request) for hit in getattr(impact, name)] for name in _LISTS},
        "unaffected": [pipeline.name for pipeline in impact.unaffected],
        "capped": impact.is_capped,
        "messages": [
            {
                "owner": owner.slug,
                "name": owner.name,
                "email": owner.email,
                "message": message_to(owner, hits, impact, page),
            }
            for owner, hits in impact.by_owner().items()
        ],
        "page": page,
    }


_LISTS = ("breaks", "stale", "affected", "unknown")


def impact_url(changes: list[PlannedChange]) -> str:
    """The page that shows the impact of these changes."""
    query = QueryDict(mutable=True)
    query.setlist("change", [str(change) for change in changes])
    return f"{reverse('impact')}?{query.urlencode(safe=':')}"


def _hit_as_json(hit: Hit, request: Request) -> dict[str, Any]:
    return {
        "node": hit.node,
        "level": hit.word,
        "change": hit.change,
        "why": hit.why,
        "columns": [{"name": name, "level": level.name.lower()} for name, level in hit.columns],
        "path": list(hit.path),
        "owners": [owner.slug for owner in hit.owners],
        "is_end": hit.is_end,
        "page": request.build_absolute_uri(hit.thing.get_absolute_url()),
    }
