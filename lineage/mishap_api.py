"""REST of mishaps, and of what is stale or wrong now."""

from __future__ import annotations

from typing import Any

from django_filters import FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.bulk import among
from catalog.filters import YesNoFilter
from catalog.models import Pipeline, Table
from catalog.rest import refuse_unknown_parameters
from catalog.serializers import StrictSerializer
from catalog.viewsets import NounViewSet
from lineage.mishaps import declare_mishap, end_mishap
from lineage.models import Mishap
from lineage.planned import PlannedChange
from lineage.standing import Badge, planned, standing


class MishapSerializer(serializers.ModelSerializer):
    url = serializers.URLField(read_only=True)
    change = serializers.CharField(help_text="As `impact/` takes it")
    words = serializers.CharField()

    class Meta:
        model = Mishap
        fields = ["id", "url", "change", "words", "declared_at", "declared_by", "ended_at", "ended_by"]
        read_only_fields = fields

    def to_representation(self, mishap: Mishap) -> dict[str, Any]:
        change = planned(mishap)
        made = {"url": f"{self.context['url']}{mishap.pk}/", "change": str(change), "words": change.words}
        facts = {name: getattr(mishap, name) for name in self.Meta.fields if name not in made}
        return {name: (made | facts)[name] for name in self.Meta.fields}


class DeclaredMishapSerializer(StrictSerializer):
    change = serializers.CharField(
        max_length=5000, help_text="not_refreshed, run_failed or wrong_rows, a node id, and since when or which days"
    )

    def validate_change(self, text: str) -> PlannedChange:
        try:
            return PlannedChange.parse(text)
        except (ValueError, LookupError) as error:
            raise serializers.ValidationError(str(error)) from error


class MishapFilter(FilterSet):
    is_open = YesNoFilter(method="that_are_open", label="Nobody has ended it")

    class Meta:
        model = Mishap
        fields: list[str] = []

    def that_are_open(self, mishaps: Any, _: str, answer: str) -> Any:
        return mishaps.filter(ended_at__isnull=answer == "true")


class MishapViewSet(NounViewSet):
    """What went wrong, as people declared it, the newest first; what is downstream counts as stale or wrong by it."""

    order = ("-declared_at", "-id")
    created_inside = True  # whoever may change the table or pipeline may
    http_method_names = ["get", "post", "head", "options"]
    queryset = Mishap.objects.select_related("table__source", "column__table__source", "pipeline")
    serializer_class = MishapSerializer
    filterset_class = MishapFilter

    def check_object_permissions(self, request: Request, mishap: Mishap) -> None:
        """A mishap belongs to what it is about."""
        super().check_object_permissions(request, mishap.thing)

    @extend_schema(request=DeclaredMishapSerializer, responses={201: MishapSerializer})
    def create(self, request: Request, **_: Any) -> Response:
        """Declare one; the same again while it is open changes nothing."""
        refuse_unknown_parameters(request, ())
        sent = DeclaredMishapSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        mishap = declare_mishap(actor=request.user, change=sent.validated_data["change"])
        return Response(self.shown(mishap), status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=MishapSerializer)
    @action(detail=True, methods=["post"], filterset_class=None)
    def end(self, request: Request, **_: Any) -> Response:
        """Say that it is right again."""
        refuse_unknown_parameters(request, ())
        return Response(self.shown(end_mishap(actor=request.user, mishap=self.get_object())))


class StandingEntrySerializer(serializers.Serializer):
    node = serializers.CharField(help_text="Node id of a table or pipeline")
    level = serializers.CharField(help_text="stale or wrong")
    change = serializers.CharField(help_text="By what, as `impact/` takes it")
    words = serializers.CharField()
    since = serializers.DateTimeField()
    page = serializers.URLField()


class StandingSerializer(serializers.Serializer):
    tables = StandingEntrySerializer(many=True)
    pipelines = StandingEntrySerializer(many=True)


class StandingView(APIView):
    """Everything that is stale or wrong now, by declared mishaps and by runs that failed in the last 7 days."""

    @extend_schema(operation_id="standing_retrieve", tags=["standing"], responses=StandingSerializer)
    def get(self, request: Request) -> Response:
        refuse_unknown_parameters(request, ())
        now = standing()
        tables = Table.objects.select_related("source").filter(pk__in=among(now.tables)).order_by("name", "pk")
        pipelines = Pipeline.objects.filter(pk__in=among(now.pipelines)).order_by("name")
        return Response(
            {
                "tables": [_entry(table, now.tables[table.pk], request) for table in tables],
                "pipelines": [_entry(pipeline, now.pipelines[pipeline.pk], request) for pipeline in pipelines],
            }
        )


def _entry(thing: Table | Pipeline, badge: Badge, request: Request) -> dict[str, Any]:
    page = request.build_absolute_uri(thing.get_absolute_url())
    return {"node": thing.node, "level": badge.word, "page": page} | {
        name: getattr(badge, name) for name in ("change", "words", "since")
    }
