"""REST of search: `catalog.search` as programs ask it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.rest import refuse_unknown_parameters
from catalog.search import CANDIDATES, FACETS, LONGEST_QUERY, Hit, Marked, search


class SearchParametersSerializer(serializers.Serializer):
    """What the address may say; each facet any number of times, of which one must hold."""

    q = serializers.CharField(max_length=LONGEST_QUERY, required=False, allow_blank=True, help_text="Words, or begun")
    limit = serializers.IntegerField(min_value=1, max_value=CANDIDATES, default=20)
    offset = serializers.IntegerField(min_value=0, max_value=2000, default=0)
    kind = serializers.CharField(required=False, help_text="table, column, pipeline, owner, source, tag, …")
    source = serializers.CharField(required=False, help_text="Slug of a source")
    owner = serializers.CharField(required=False, help_text="Slug of an owner, also of what a table is built by")
    tag = serializers.CharField(required=False, help_text="Name of a tag")
    tier = serializers.CharField(required=False, help_text="Criticality of a pipeline, 1 to 4")
    status = serializers.CharField(required=False)
    has_problems = serializers.ChoiceField(["true"], required=False)


class MarkedSerializer(serializers.Serializer):
    """A text and where in it the words stand, as pairs of start and end."""

    text = serializers.CharField()
    places = serializers.ListField(child=serializers.ListField(child=serializers.IntegerField()))


class FoundSerializer(serializers.Serializer):
    kind = serializers.CharField()
    id = serializers.IntegerField(help_text="Of the thing among its kind; of a column, its table's")
    name = MarkedSerializer()
    slug = serializers.CharField(help_text="An owner's or source's own, a table's source's")
    table = serializers.CharField(help_text="A column's table; else empty")
    page = serializers.URLField(help_text="The page for people")
    reads = serializers.IntegerField(help_text="Within the last 30 days")
    fresh_on = serializers.DateField(allow_null=True, help_text="When it was last run or built")
    snippet = MarkedSerializer(allow_null=True)


class FacetValueSerializer(serializers.Serializer):
    value = serializers.CharField()
    count = serializers.IntegerField()


class SearchSerializer(serializers.Serializer):
    q = serializers.CharField()
    total = serializers.IntegerField(help_text="Hits in all; `results` is the part asked for")
    capped = serializers.BooleanField(help_text="Whether more match than were looked at")
    read_as = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Words taken for one that nothing has"
    )
    facets = serializers.DictField(
        child=FacetValueSerializer(many=True), help_text="Values of the hits, with their numbers"
    )
    results = FoundSerializer(many=True)


class SearchView(APIView):
    """Everything that has all the words, best first: by name, then use, then freshness."""

    @extend_schema(
        operation_id="search_retrieve",
        tags=["search"],
        parameters=[SearchParametersSerializer],
        responses={200: SearchSerializer},
    )
    def get(self, request: Request) -> Response:
        parameters = SearchParametersSerializer(data=request.query_params)
        refuse_unknown_parameters(request, parameters.fields)
        parameters.is_valid(raise_exception=True)
        asked = parameters.validated_data
        facets = {name: request.query_params.getlist(name) for name in FACETS}
        found = search(asked.get("q", ""), facets, limit=asked["limit"], offset=asked["offset"])
        return Response(
            {
                "q": found.q,
                "total": found.total,
                "capped": found.capped,
                "read_as": found.read_as,
                "facets": {
                    name: [{"value": value, "count": count} for value, count in values]
                    for name, values in found.facets.items()
                },
                "results": [_as_json(hit, request) for hit in found.hits],
            }
        )


def _as_json(hit: Hit, request: Request) -> dict[str, Any]:
    return {
        "kind": hit.kind,
        "id": hit.object_id,
        "name": _marked(Marked(hit.name, hit.places)),
        "slug": hit.slug,
        "table": hit.table,
        "page": request.build_absolute_uri(hit.get_absolute_url()),
        "reads": hit.use,
        "fresh_on": hit.fresh_on,
        "snippet": _marked(hit.snippet) if hit.snippet else None,
    }


def _marked(text: Marked) -> dict[str, Any]:
    return {"text": text.text, "places": [list(place) for place in text.places]}
