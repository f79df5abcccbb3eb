"""REST of handing over what an owner holds: look first, then do it."""

from __future__ import annotations

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.postmortems.handover import hand_over, holdings_of
from catalog.models import Owner
from catalog.rest import refuse_unknown_parameters
from catalog.serializers import StrictSerializer


class HandOverSerializer(StrictSerializer):
    """To whom."""

    to = serializers.SlugRelatedField(slug_field="slug", queryset=Owner.objects.all(), help_text="Slug of an owner")


class HandedOverSerializer(serializers.Serializer):
    """How many things go, or went, from an owner to another."""

    pipelines = serializers.IntegerField()
    tables = serializers.IntegerField()
    checks = serializers.IntegerField()
    action_items = serializers.IntegerField()


class HandOverView(APIView):
    """GET counts what an owner holds; POST hands it all to another."""

    @extend_schema(operation_id="owners_hand_over_preview", tags=["owners"], responses=HandedOverSerializer)
    def get(self, request: Request, pk: int) -> Response:
        refuse_unknown_parameters(request, ())
        return Response(holdings_of(get_object_or_404(Owner, pk=pk)).counts)

    @extend_schema(
        operation_id="owners_hand_over", tags=["owners"], request=HandOverSerializer, responses=HandedOverSerializer
    )
    def post(self, request: Request, pk: int) -> Response:
        refuse_unknown_parameters(request, ())
        owner = get_object_or_404(Owner, pk=pk)
        sent = HandOverSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        return Response(hand_over(actor=request.user, owner=owner, to=sent.validated_data["to"]).counts)
