"""REST of the graph: where a table, pipeline or column comes from, and where it goes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.models import Column
from catalog.openapi import ErrorSerializer
from catalog.rest import refuse_unknown_parameters
from lineage.nodes import NodeId, find
from lineage.queries import DEEPEST, GraphNode, Lineage, lineage_of

_DIRECTIONS = ["upstream", "downstream", "both"]
_GRAINS = ["table", "column"]


class GraphParametersSerializer(serializers.Serializer):
    """What the address may say."""

    node = serializers.CharField(
        max_length=5000,
        help_text="table:<source>:<name>, pipeline:<name> or column:<source>:<table>:<column>, percent-encoded",
    )
    direction = serializers.ChoiceField(_DIRECTIONS, default="both")
    depth = serializers.IntegerField(min_value=1, max_value=DEEPEST, default=1, help_text="Hops between tables")
    grain = serializers.ChoiceField(_GRAINS, required=False, help_text="`column` for a column, else `table`")
    at = serializers.DateTimeField(required=False, help_text="Edges that held at that moment; now, if left out")

    def validate_node(self, text: str) -> NodeId:
        try:
            return NodeId.parse(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


class GraphNodeSerializer(serializers.Serializer):
    id = serializers.CharField(help_text="Node id. `rows` have the id of their table")
    kind = serializers.ChoiceField(["table", "pipeline", "column", "rows"])
    label = serializers.CharField()
    page = serializers.URLField(help_text="The page for people")
    distance = serializers.IntegerField(help_text="Hops from the start: negative upstream, positive downstream")
    source = serializers.CharField(help_text="Slug of the source; empty for pipelines")
    thing_kind = serializers.CharField(help_text="Kind of the table or pipeline")
    status = serializers.CharField()
    table = serializers.CharField(help_text="Node id of a column's table; else empty")
    table_label = serializers.CharField()
    folded_upstream = serializers.IntegerField(help_text="Upstream neighbours that the answer leaves out")
    folded_downstream = serializers.IntegerField(help_text="Downstream neighbours that the answer leaves out")


class GraphEdgeSerializer(serializers.Serializer):
    source = serializers.CharField(help_text="Node id")
    target = serializers.CharField(help_text="Node id")
    via = serializers.CharField(help_text="Name of the pipeline")
    kind = serializers.CharField(help_text="reads, writes; at column grain OpenLineage's transformation subtype")


class GraphSerializer(serializers.Serializer):
    node = serializers.CharField(help_text="The start, as a node id")
    direction = serializers.ChoiceField(_DIRECTIONS)
    depth = serializers.IntegerField()
    grain = serializers.ChoiceField(_GRAINS)
    at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField(help_text="Rises whenever edges change")
    capped = serializers.BooleanField(help_text="Nodes within the depth are left out")
    drawn = serializers.IntegerField(help_text="Tables, or columns, that are in this answer")
    reached = serializers.IntegerField(help_text="Tables, or columns, that lie within the depth")
    reached_exactly = serializers.BooleanField(help_text="If false, `reached` is the least number that there can be")
    nodes = GraphNodeSerializer(many=True)
    edges = GraphEdgeSerializer(many=True)


class GraphView(APIView):
    """The walk that the lineage page draws: nodes sorted by distance and name, edges by their ends."""

    @extend_schema(
        operation_id="graph_retrieve",
        tags=["graph"],
        parameters=[GraphParametersSerializer],
        responses={200: GraphSerializer, 404: OpenApiResponse(ErrorSerializer)},
    )
    def get(self, request: Request) -> Response:
        parameters = GraphParametersSerializer(data=request.query_params)
        refuse_unknown_parameters(request, parameters.fields)
        parameters.is_valid(raise_exception=True)
        asked = parameters.validated_data
        try:
            thing = find(asked["node"])
        except LookupError as error:
            raise NotFound(str(error)) from error
        grain = "column" if isinstance(thing, Column) else "table"
        lineage = lineage_of(thing, **{"grain": grain, **{name: asked[name] for name in asked if name != "node"}})
        return Response(as_json(lineage, request))


def as_json(lineage: Lineage, request: Request) -> dict[str, Any]:
    """The answer as plain values, in the order of `GraphSerializer`."""
    facts = {"node": lineage.start} | {name: getattr(lineage, name) for name in _FACTS}
    nodes = [_node_as_json(node, request) for node in lineage.nodes]
    return facts | {"nodes": nodes, "edges": [edge._asdict() for edge in lineage.edges]}


_FACTS = ("direction", "depth", "grain", "at", "version", "capped", "drawn", "reached", "reached_exactly")


def _node_as_json(node: GraphNode, request: Request) -> dict[str, Any]:
    facts = asdict(node) | {"page": request.build_absolute_uri(node.url)}
    return {name: facts[name] for name in GraphNodeSerializer._declared_fields}
