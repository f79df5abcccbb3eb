"""REST of the barometer of technical debt."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.postmortems.barometer import MONTHS, MOST_MONTHS, Month, Scope, barometer
from catalog.models import Owner, Pipeline, Source
from catalog.rest import refuse_unknown_parameters


class BarometerParametersSerializer(serializers.Serializer):
    team = serializers.SlugRelatedField(
        slug_field="slug",
        queryset=Owner.objects.filter(kind=Owner.Kind.TEAM),
        required=False,
        help_text="Slug of a team",
    )
    source = serializers.SlugRelatedField(
        slug_field="slug", queryset=Source.objects.all(), required=False, help_text="Slug of a source"
    )
    pipeline = serializers.SlugRelatedField(
        slug_field="name", queryset=Pipeline.objects.all(), required=False, help_text="Name of a pipeline"
    )
    months = serializers.IntegerField(min_value=1, max_value=MOST_MONTHS, default=MONTHS)


class TookSerializer(serializers.Serializer):
    median = serializers.FloatField(help_text="Hours")
    p90 = serializers.FloatField(help_text="Hours")
    number = serializers.IntegerField(help_text="Of how many incidents")


class MonthSerializer(serializers.Serializer):
    month = serializers.CharField(help_text="2026-03")
    incidents = serializers.IntegerField(help_text="That began in it")
    by_severity = serializers.DictField(child=serializers.IntegerField())
    by_root_cause = serializers.DictField(child=serializers.IntegerField())
    recurrences = serializers.IntegerField(help_text="Incidents whose root cause had happened there before")
    took = serializers.DictField(child=TookSerializer(), help_text="detect, acknowledge, mitigate, resolve")
    open_items = serializers.IntegerField(help_text="Action items open at its end")
    overdue_items = serializers.IntegerField()
    item_age = serializers.FloatField(allow_null=True, help_text="Median age of the open ones, in days")
    pipelines = serializers.IntegerField(help_text="At its end")
    tables = serializers.IntegerField()
    dependencies = serializers.IntegerField(help_text="Edges between tables of different sources")
    pipelines_in_debt = serializers.IntegerField(help_text="Hit by an incident whose action items are open")


class BarometerSerializer(serializers.Serializer):
    """The oldest month first; the last one is not over yet."""

    months = MonthSerializer(many=True)


class BarometerView(APIView):
    """What there is to keep, what went wrong, how long it took, and what was decided and not done yet, by month."""

    @extend_schema(
        operation_id="barometer_retrieve",
        tags=["barometer"],
        parameters=[BarometerParametersSerializer],
        responses={200: BarometerSerializer},
    )
    def get(self, request: Request) -> Response:
        parameters = BarometerParametersSerializer(data=request.query_params)
        refuse_unknown_parameters(request, parameters.fields)
        parameters.is_valid(raise_exception=True)
        asked = parameters.validated_data
        names = {name: getattr(asked[name], "slug", None) or asked[name].name for name in _SCOPE if name in asked}
        return Response(
            {"months": [_as_json(each) for each in barometer(Scope(**names), timezone.now(), asked["months"])]}
        )


_SCOPE = ("team", "source", "pipeline")
_COUNTS = ("incidents", "recurrences", "open_items", "overdue_items", "item_age", "pipelines", "tables", "dependencies")


def _as_json(month: Month) -> dict[str, Any]:
    return {
        "month": f"{month.start:%Y-%m}",
        **{name: getattr(month, name) for name in _COUNTS},
        "by_severity": {str(severity): count for severity, count in sorted(month.by_severity.items())},
        "by_root_cause": dict(sorted(month.by_cause.items())),
        "took": {name: vars(took) for name, took in month.took.items()},
        "pipelines_in_debt": month.in_debt,
    }
