"""REST of the plan of what to run again after an incident."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.postmortems.backfill import BackfillPlan, BackfillStep, BuiltTable, backfill_plan
from audits.postmortems.models import Incident
from catalog.rest import refuse_unknown_parameters


class ProofSerializer(serializers.Serializer):
    check_id = serializers.IntegerField()
    name = serializers.CharField()
    is_given = serializers.BooleanField(help_text="Whether it passed since the table was built again")


class BuiltTableSerializer(serializers.Serializer):
    table = serializers.CharField(help_text="Node id")
    is_right = serializers.BooleanField(help_text="All its checks have passed since; false where it has none")
    proofs = ProofSerializer(many=True)


class BackfillStepSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    pipeline = serializers.CharField()
    tables = BuiltTableSerializer(many=True)
    is_whole = serializers.BooleanField(help_text="A full refresh: one run does")
    is_safe = serializers.BooleanField(allow_null=True, help_text="Null where its SQL does not tell")
    warnings = serializers.ListField(child=serializers.CharField())
    commands = serializers.ListField(child=serializers.CharField())
    days = serializers.IntegerField()
    done = serializers.IntegerField(help_text="Days, or of a full refresh runs, that succeeded since it was noticed")
    is_done = serializers.BooleanField()


class BackfillPlanSerializer(serializers.Serializer):
    first_day = serializers.DateField()
    last_day = serializers.DateField()
    is_dated = serializers.BooleanField(help_text="Whether somebody stated the days of wrong data")
    steps = BackfillStepSerializer(many=True)
    unbuilt = serializers.ListField(child=serializers.CharField(), help_text="Hit tables that no pipeline writes")


class BackfillPlanView(APIView):
    """What to run again for the tables that an incident hit, in the order of the data."""

    @extend_schema(operation_id="incidents_backfill_plan", tags=["incidents"], responses={200: BackfillPlanSerializer})
    def get(self, request: Request, pk: int) -> Response:
        refuse_unknown_parameters(request, ())
        return Response(_as_json(backfill_plan(get_object_or_404(Incident, pk=pk), timezone.now().date())))


def _as_json(plan: BackfillPlan) -> dict[str, Any]:
    return {
        "first_day": plan.first,
        "last_day": plan.last,
        "is_dated": plan.is_dated,
        "steps": [_step_as_json(step) for step in plan.steps],
        "unbuilt": [table.node for table in plan.unbuilt],
    }


def _step_as_json(step: BackfillStep) -> dict[str, Any]:
    return {
        "number": step.number,
        "pipeline": step.pipeline.name,
        "tables": [_table_as_json(built) for built in step.tables],
        "is_whole": step.is_whole,
        "is_safe": step.is_safe,
        "warnings": list(step.warnings),
        "commands": list(step.commands),
        "days": step.days,
        "done": step.done,
        "is_done": step.is_done,
    }


def _table_as_json(built: BuiltTable) -> dict[str, Any]:
    proofs = [
        {"check_id": proof.check.pk, "name": proof.check.name, "is_given": proof.is_given} for proof in built.proofs
    ]
    return {"table": built.table.node, "is_right": built.is_right, "proofs": proofs}
