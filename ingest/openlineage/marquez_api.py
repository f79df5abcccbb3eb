"""The addresses that Marquez's clients read from. Like Marquez's they end without a slash."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.db.models import Max, Min, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.models import Column, Pipeline, Table
from catalog.rest import refuse_unknown_parameters
from ingest.models import LineageEvent, ReportedDataset, ReportedJob
from ingest.openlineage import marquez


class NodeParametersSerializer(serializers.Serializer):
    """Where a graph starts, and how far it goes."""

    nodeId = serializers.CharField(
        max_length=5000,
        help_text="dataset:<namespace>:<name>, job:<namespace>:<name> or datasetField:<namespace>:<name>:<field>",
    )
    depth = serializers.IntegerField(min_value=0, default=20, help_text="Hops; at most ten are gone")


class ColumnParametersSerializer(NodeParametersSerializer):
    withDownstream = serializers.BooleanField(default=False)


class PageParametersSerializer(serializers.Serializer):
    limit = serializers.IntegerField(min_value=0, max_value=1000, default=100)
    offset = serializers.IntegerField(min_value=0, default=0)


def asked(request: Request, parameters: type[serializers.Serializer]) -> dict[str, Any]:
    """The query parameters; one that is not known is refused."""
    read = parameters(data=request.query_params)
    refuse_unknown_parameters(request, read.fields)
    read.is_valid(raise_exception=True)
    return read.validated_data


def found(find: Callable[[], Any]) -> Any:
    """What a name means, or the refusal that says why it means nothing."""
    try:
        return find()
    except ValueError as error:
        raise exceptions.ValidationError({"nodeId": [str(error)]}) from error
    except LookupError as error:
        raise exceptions.NotFound(str(error)) from error


def lineage_answer(request: Request) -> Response:
    """`GET /api/v1/lineage?nodeId=&depth=`; of a column, the graph of its dataset."""
    told = asked(request, NodeParametersSerializer)
    thing = found(lambda: marquez.find(told["nodeId"]))
    return Response(
        {"graph": marquez.lineage_graph(thing.table if isinstance(thing, Column) else thing, told["depth"])}
    )


class ColumnLineageView(APIView):
    """What columns are made from, in Marquez's shape."""

    @extend_schema(
        operation_id="column_lineage",
        tags=["lineage"],
        parameters=[ColumnParametersSerializer],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        told = asked(request, ColumnParametersSerializer)
        thing = found(lambda: marquez.find(told["nodeId"]))
        return Response({"graph": marquez.column_graph(thing, told["depth"], told["withDownstream"])})


class NamespacesView(APIView):
    """Namespaces of jobs and datasets."""

    @extend_schema(
        operation_id="namespaces_list", tags=["lineage"], parameters=[PageParametersSerializer],
        responses=OpenApiTypes.OBJECT,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        page = asked(request, PageParametersSerializer)
        names = _namespaces()
        shown = sorted(names)[page["offset"] :][: page["limit"]]
        return Response({"namespaces": [_namespace_json(name, *names[name]) for name in shown]})


class NamespaceView(APIView):
    """One namespace."""

    @extend_schema(operation_id="namespaces_retrieve", tags=["lineage"], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str) -> Response:
        refuse_unknown_parameters(request, ())
        names = _namespaces()
        if namespace not in names:
            raise exceptions.NotFound(f"There is no namespace {namespace}.")
        return Response(_namespace_json(namespace, *names[namespace]))


def _namespaces() -> dict[str, tuple[Any, Any]]:
    """Each namespace with the first and the last moment at which anything of it came in. Two queries."""
    found: dict[str, tuple[Any, Any]] = {}
    for model, created in ((ReportedJob, "pipeline__created_at"), (ReportedDataset, "table__created_at")):
        rows = model.objects.order_by().values_list("namespace").annotate(first=Min(created), last=Max(created))
        for name, first, last in rows:
            before = found.get(name, (first, last))
            found[name] = (min(before[0], first), max(before[1], last))
    return found


def _namespace_json(name: str, first: Any, last: Any) -> dict[str, Any]:
    return {
        "name": name,
        "createdAt": first,
        "updatedAt": last,
        "ownerName": "anonymous",
        "description": None,
        "isHidden": False,
    }


class JobsView(APIView):
    """Jobs of a namespace."""

    @extend_schema(
        operation_id="marquez_jobs_list", tags=["lineage"], parameters=[PageParametersSerializer],
        responses=OpenApiTypes.OBJECT,
    )  # fmt: skip
    def get(self, request: Request, namespace: str = "") -> Response:
        jobs = ReportedJob.objects.filter(**({"namespace": namespace} if namespace else {}))
        ids, total = _page(request, jobs.values_list("pipeline_id", flat=True))
        pipelines = Pipeline.objects.filter(pk__in=ids)
        shown = marquez.jobs_json(pipelines, marquez.Names((), pipelines))
        return Response({"jobs": [shown[node] for node in sorted(shown)], "totalCount": total})


class AllJobsView(JobsView):
    """Jobs of all namespaces."""

    schema = None  # the same as in one namespace


class JobView(APIView):
    """One job."""

    @extend_schema(operation_id="marquez_jobs_retrieve", tags=["lineage"], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        refuse_unknown_parameters(request, ())
        pipeline = _job(namespace, name)
        (shown,) = marquez.jobs_json([pipeline], marquez.Names((), [pipeline])).values()
        return Response(shown)


class JobRunsView(APIView):
    """Runs of a job, the newest first."""

    @extend_schema(
        operation_id="marquez_runs_list", tags=["lineage"], parameters=[PageParametersSerializer],
        responses=OpenApiTypes.OBJECT,
    )  # fmt: skip
    def get(self, request: Request, namespace: str, name: str) -> Response:
        runs, total = _page(request, _job(namespace, name).runs.all())
        return Response({"runs": [marquez.run_json(run) for run in runs], "totalCount": total})


class DatasetsView(APIView):
    """Datasets of a namespace."""

    @extend_schema(
        operation_id="marquez_datasets_list", tags=["lineage"], parameters=[PageParametersSerializer],
        responses=OpenApiTypes.OBJECT,
    )  # fmt: skip
    def get(self, request: Request, namespace: str) -> Response:
        datasets = ReportedDataset.objects.filter(namespace=namespace)
        ids, total = _page(request, datasets.values_list("table_id", flat=True))
        tables = Table.objects.select_related("source").filter(pk__in=ids)
        shown = marquez.datasets_json(tables, marquez.Names(tables, ()))
        return Response({"datasets": [shown[node] for node in sorted(shown)], "totalCount": total})


class DatasetView(APIView):
    """One dataset."""

    @extend_schema(operation_id="marquez_datasets_retrieve", tags=["lineage"], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        refuse_unknown_parameters(request, ())
        table = marquez.find_dataset(namespace, name)
        if table is None:
            raise exceptions.NotFound(f"There is no dataset {name} in the namespace {namespace}.")
        (shown,) = marquez.datasets_json([table], marquez.Names([table], ())).values()
        return Response(shown)


class EventsView(APIView):
    """Events as they came in, the newest first."""

    @extend_schema(
        operation_id="marquez_events_list", tags=["lineage"], parameters=[PageParametersSerializer],
        responses=OpenApiTypes.OBJECT,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        bodies, total = _page(request, LineageEvent.objects.values_list("body", flat=True))
        return Response({"events": [json.loads(body) for body in bodies], "totalCount": total})


def _job(namespace: str, name: str) -> Pipeline:
    pipeline = marquez.find_job(namespace, name)
    if pipeline is None:
        raise exceptions.NotFound(f"There is no job {name} in the namespace {namespace}.")
    return pipeline


def _page(request: Request, rows: QuerySet) -> tuple[list[Any], int]:
    """The rows that limit and offset ask for, and how many there are."""
    page = asked(request, PageParametersSerializer)
    return list(rows[page["offset"] : page["offset"] + page["limit"]]), rows.count()
