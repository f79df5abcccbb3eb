"""REST of scorecards, findings and waivers: the same verbs as the pages, as the person who asks."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from audits.practices import filters, queries, scores, serializers, services
from audits.practices.models import Finding, Waiver
from catalog.models import Owner, Pipeline, Source
from catalog.rest import refuse_unknown_parameters
from catalog.viewsets import NounViewSet
from lineage.filters import PipelineFilter


class FindingViewSet(NounViewSet):
    """What the rule of each practice says of each pipeline, with the evidence; the weightiest first."""

    order = ("-weight", "-id")
    queryset = queries.findings()
    serializer_class = serializers.FindingSerializer
    filterset_class = filters.FindingFilter

    def get_queryset(self) -> Any:
        return queries.findings()  # anew each time: what is waived depends on the day


class WaiverViewSet(NounViewSet):
    """That a pipeline need not keep a practice until a day, the newest first. Whoever may change the pipeline may."""

    order = ("-stated_at", "-id")
    http_method_names = ["get", "post", "head", "options"]
    created_inside = True
    queryset = Waiver.objects.select_related("pipeline", "owner")
    serializer_class = serializers.WaiverSerializer
    filterset_class = filters.WaiverFilter

    def check_object_permissions(self, request: Request, waiver: Waiver) -> None:
        super().check_object_permissions(request, waiver.pipeline)

    def create(self, request: Request, **_: Any) -> Response:
        """Waive a practice of a pipeline."""
        refuse_unknown_parameters(request, ())
        sent = self.get_serializer_class()(data=request.data)
        sent.is_valid(raise_exception=True)
        shown = self.shown(services.waive(actor=request.user, **sent.validated_data))
        return Response(shown, status=status.HTTP_201_CREATED, headers={"Location": shown["url"]})

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def lift(self, request: Request, **_: Any) -> Response:
        """End a waiver before its day."""
        return Response(self.shown(services.lift(actor=request.user, waiver=self.get_object())))


class ScorecardViewSet(NounViewSet):
    """How sound each pipeline is: its score and how it stands in each practice. Each one's own, in no order of merit.

    A pipeline's whole card, with its trend and what to do next, is at its number; those of a team, a source and the
    whole company beside it.
    """

    http_method_names = ["get", "post", "head", "options"]
    queryset = Pipeline.objects.exclude(status=Pipeline.Status.RETIRED)
    serializer_class = serializers.PipelineScoreSerializer
    filterset_class = PipelineFilter

    def context_for(self, pipelines: list[Pipeline]) -> dict[str, Any]:
        of_these = Finding.objects.filter(pipeline__in=[pipeline.pk for pipeline in pipelines])
        standings: dict[int, dict[str, str]] = {}
        for pk, practice, standing in of_these.with_standing().values_list("pipeline_id", "practice", "standing"):
            standings.setdefault(pk, {})[practice] = standing
        context = {"tallies": scores.tallies_by_pipeline(of_these), "standings": standings}
        return super().context_for(pipelines) | context

    @extend_schema(responses=serializers.ScorecardSerializer)
    def retrieve(self, request: Request, **_: Any) -> Response:
        """The whole card of a pipeline."""
        return _card(self.get_object())

    @extend_schema(request=None, responses=serializers.ScorecardSerializer)
    @action(detail=True, methods=["post"])
    def judge(self, request: Request, **_: Any) -> Response:
        """Judge a pipeline anew, as of now."""
        pipeline = self.get_object()
        services.judge_pipelines([pipeline.pk])
        return _card(pipeline)

    @extend_schema(responses=serializers.ScorecardSerializer, filters=False, parameters=[])
    @action(detail=False)
    def company(self, request: Request) -> Response:
        """The card of the whole company."""
        refuse_unknown_parameters(request, ())
        return _card(None)

    @extend_schema(responses=serializers.ScorecardSerializer, filters=False)
    @action(detail=False, url_path="teams/<slug:slug>")
    def team(self, request: Request, slug: str) -> Response:
        """The card of a team: of the pipelines that it, or a member of it, keeps running."""
        refuse_unknown_parameters(request, ())
        return _card(_found(Owner.objects.filter(slug=slug, kind=Owner.Kind.TEAM).first()))

    @extend_schema(responses=serializers.ScorecardSerializer, filters=False)
    @action(detail=False, url_path="sources/<slug:slug>")
    def source(self, request: Request, slug: str) -> Response:
        """The card of a source: of the pipelines that write to it."""
        refuse_unknown_parameters(request, ())
        return _card(_found(Source.objects.filter(slug=slug).first()))


def _found(thing: Owner | Source | None) -> Owner | Source:
    if thing is None:
        raise Http404
    return thing


def _card(thing: Pipeline | Owner | Source | None) -> Response:
    return Response(serializers.as_dict(queries.scorecard(thing)))
