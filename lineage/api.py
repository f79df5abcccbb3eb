"""REST of problems and SQL versions, and what lineage adds to tables and pipelines."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from catalog import api as catalog
from catalog.models import Pipeline, Table
from catalog.queries import Owners
from catalog.rest import refuse_unknown_parameters
from catalog.viewsets import NounViewSet
from lineage import filters, queries, serializers, services
from lineage.coverage import Coverage, coverage, coverage_by_source, current_versions, with_first_problem
from lineage.explanations import explanations_of
from lineage.models import Problem, SqlVersion


class TableViewSet(catalog.TableViewSet):
    """Anything in a source that holds rows or documents; owners that it lacks are those of its builders."""

    filterset_class = filters.TableFilter

    def owner_slugs_of(self, ids: list[int]) -> dict[int, Owners]:
        return queries.owner_slugs_of_tables(ids)


class ColumnViewSet(catalog.ColumnViewSet):
    """Columns, table by table in the order of registration, by name within each."""

    @extend_schema(responses=serializers.ExplanationSerializer(many=True))
    @action(detail=True, pagination_class=None, filterset_class=None)
    def explain(self, request: Request, **_: Any) -> Response:
        """The expressions that make this column, for each pipeline that fills its table."""
        refuse_unknown_parameters(request, ())
        explanations = explanations_of(self.get_object())
        return Response(serializers.ExplanationSerializer(explanations, many=True).data)


class PipelineViewSet(catalog.PipelineViewSet):
    """Code that moves or makes data, with the tables it reads and writes."""

    serializer_class = serializers.PipelineSerializer
    filterset_class = filters.PipelineFilter

    def context_for(self, pipelines: list[dict[str, Any]]) -> dict[str, Any]:
        return super().context_for(pipelines) | {"tables": queries.tables_by_pipeline(each["id"] for each in pipelines)}

    def register(self, facts: dict[str, Any]) -> Pipeline:
        declared = _taken(facts, "declared_inputs", "declared_outputs")
        pipeline = super().register(facts)
        self._declare(pipeline, **declared)
        return pipeline

    def change(self, pipeline: Pipeline, facts: dict[str, Any]) -> Pipeline:
        declared = _taken(facts, "declared_inputs", "declared_outputs")
        super().change(pipeline, facts)
        self._declare(pipeline, **declared)
        return pipeline

    def _declare(
        self, pipeline: Pipeline, declared_inputs: list[Table] | None, declared_outputs: list[Table] | None
    ) -> None:
        """State what it reads and writes; a side that was not sent stays as it is."""
        if declared_inputs is None and declared_outputs is None:
            return
        inputs, outputs = queries.declared_inputs_and_outputs(pipeline)
        services.declare_edges(
            actor=self.request.user,
            pipeline=pipeline,
            inputs=inputs if declared_inputs is None else declared_inputs,
            outputs=outputs if declared_outputs is None else declared_outputs,
        )


def _taken(facts: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: facts.pop(name, None) for name in names}


class ProblemViewSet(NounViewSet):
    """What could not be read or resolved, errors first, then by file."""

    order = ("severity", "path", "id")
    queryset = Problem.objects.select_related("pipeline")
    serializer_class = serializers.ProblemSerializer
    filterset_class = filters.ProblemFilter


class SqlVersionViewSet(NounViewSet):
    """Texts of one pipeline's SQL, the newest first; the text itself is in each one's detail."""

    order = ("-valid_from", "-id")
    queryset = SqlVersion.objects.all()
    serializer_class = serializers.SqlVersionSerializer

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        get_object_or_404(Pipeline, pk=self.kwargs["pipeline_pk"])

    def get_queryset(self) -> QuerySet[SqlVersion]:
        return super().get_queryset().filter(pipeline=self.kwargs.get("pipeline_pk"))

    def get_serializer_class(self) -> type[BaseSerializer]:
        return serializers.SqlVersionSerializer if self.detail else serializers.SqlVersionSummarySerializer

    def context_for(self, versions: list[dict[str, Any]]) -> dict[str, Any]:
        address = reverse("api:sql-version-list", args=[self.kwargs["pipeline_pk"]])
        return {"url": self.request.build_absolute_uri(address)}


class CoverageViewSet(NounViewSet):
    """How much of each pipeline's SQL was read, with the problem to look at first. Pipelines without SQL have none."""

    order = ("pipeline_id", "id")
    queryset = with_first_problem(current_versions())
    serializer_class = serializers.CoverageSerializer
    filterset_class = filters.CoverageFilter

    @extend_schema(responses=serializers.SourceCountsSerializer(many=True), filters=False)
    @action(detail=False, pagination_class=None, filterset_class=None)
    def sources(self, request: Request) -> Response:
        """Of all SQL together, and by the source that it writes to."""
        refuse_unknown_parameters(request, ())
        by_source: dict[str | None, Coverage] = {None: coverage(), **coverage_by_source()}
        return Response([{"source": source, **serializers.counts(each)} for source, each in by_source.items()])
