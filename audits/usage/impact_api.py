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

from audits.usage.impact import LostReads, impact_of
from catalog.bulk import chunks
from catalog.models import Pipeline
from catalog.rest import refuse_unknown_parameters
from catalog.serializers import StrictSerializer
from lineage.impact import Hit, RepositoryPipelines, message_to
from lineage.nodes import NodeId
from lineage.planned import MOST_CHANGES, VERBS, PlannedChange
from lineage.questions import changes_of

VERSION = 1  # of the answer: raised when it no longer means the same to `check_change`
MOST_SENT = 2_000  # changes of a repository
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


class LostReadsSerializer(serializers.Serializer):
    """Queries of the last 90 days, not of pipelines, that read a table or name a column which goes."""

    node = serializers.CharField(help_text="Node id of a table or column")
    change = serializers.CharField(help_text="Which of the changes")
    path = serializers.ListField(child=serializers.CharField())
    reads = serializers.IntegerField()
    readers = serializers.IntegerField()
    people = serializers.IntegerField(help_text="Of the readers")


class RepositorySerializer(StrictSerializer):
    """Whose SQL the changes come from: whoever asks has judged what it makes of the tables that change."""

    pipelines = serializers.ListField(child=serializers.CharField(max_length=500), help_text="All of its pipelines")
    rewritten = serializers.ListField(
        child=serializers.CharField(max_length=500), help_text="Those whose SQL is not what was ingested"
    )


class ImpactQuestionSerializer(StrictSerializer):
    changes = serializers.ListField(
        child=serializers.CharField(), min_length=1, max_length=MOST_SENT, help_text="As in the address"
    )
    repository = RepositorySerializer(
        required=False, help_text="Then changes of what is not here are no fault, but listed in `not_found`"
    )


class OwnerMessageSerializer(serializers.Serializer):
    owner = serializers.CharField(help_text="Slug")
    name = serializers.CharField()
    email = serializers.CharField(allow_blank=True)
    message = serializers.CharField()


class ImpactSerializer(serializers.Serializer):
    """Each list in the order in which things would fail, dashboards and exports at the end."""

    version = serializers.IntegerField(help_text="Of this answer's meaning")
    changes = serializers.ListField(child=serializers.CharField())
    breaks = ImpactHitSerializer(many=True)
    stale = ImpactHitSerializer(many=True, help_text="Stale or wrong")
    affected = ImpactHitSerializer(many=True)
    unknown = ImpactHitSerializer(many=True, help_text="What cannot be resolved; not the same as unaffected")
    unaffected = serializers.ListField(
        child=serializers.CharField(), help_text="Pipelines that read a changed table but nothing that changes of it"
    )
    reads = LostReadsSerializer(many=True, help_text="Whose queries lose what they read; the most read first")
    not_found = serializers.ListField(
        child=serializers.CharField(), help_text="Node ids of a repository's changes that the catalog does not know"
    )
    capped = serializers.BooleanField(help_text="Whether there is more than could be followed")
    messages = OwnerMessageSerializer(many=True)
    page = serializers.URLField(
        help_text="The same for people; empty where the question is too long for an address", allow_blank=True
    )


class ImpactView(APIView):
    """What changes would break, make stale or wrong, or affect downstream, at column grain."""

    only_asks = True

    @extend_schema(
        operation_id="impact_retrieve",
        tags=["impact"],
        parameters=[
            OpenApiParameter(
                "change",
                str,
                many=True,
                description=f"What happens, a node id and what comes of it, parted by blanks: `rename_column "
                f"column:warehouse:mart.orders:reason reason_code`. One of {', '.join(VERBS)}. "
                f"Repeat it for several, {MOST_CHANGES} at most.",
            ),
            OpenApiParameter("saved", str, description="Instead: the key of a question that the page has kept"),
        ],
        responses={200: ImpactSerializer},
    )
    def get(self, request: Request) -> Response:
        refuse_unknown_parameters(request, ("change", "saved"))
        return Response(_as_json(read_changes(request.query_params), request))

    @extend_schema(
        operation_id="impact_ask",
        tags=["impact"],
        request=ImpactQuestionSerializer,
        responses={200: ImpactSerializer},
    )
    def post(self, request: Request) -> Response:
        """The same of any length, for any token that may read. Nothing is kept."""
        refuse_unknown_parameters(request, ())
        sent = ImpactQuestionSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        texts, repository = sent.validated_data["changes"], sent.validated_data.get("repository")
        if repository is None:
            return Response(_as_json(parsed(texts), request))
        changes, not_found = _parsed_from_repository(texts)
        return Response(_as_json(changes, request, _pipelines_of(repository), not_found))


def read_changes(asked: QueryDict) -> list[PlannedChange]:
    """The changes in an address, or those kept under its key; ValidationError names those that cannot be read, and
    why."""
    try:
        texts = changes_of(asked["saved"]) if asked.get("saved") else asked.getlist("change")
    except LookupError as error:
        raise serializers.ValidationError({"change": [str(error)]}) from error
    return parsed([text for text in texts if text.strip()])


def parsed(texts: list[str]) -> list[PlannedChange]:
    if not texts:
        raise serializers.ValidationError({"change": ["Say what changes: drop_table table:<source>:<name>, …"]})
    if len(texts) > MOST_CHANGES:
        raise serializers.ValidationError({"change": [f"{MOST_CHANGES} changes at most."]})
    changes, faults = [], []
    for text in texts:
        try:
            changes.append(PlannedChange.parse(text))
        except (ValueError, LookupError) as error:
            faults.append(f"{text[:200]}: {error}")
    if faults:
        raise serializers.ValidationError({"change": faults})
    return changes


def _parsed_from_repository(texts: list[str]) -> tuple[list[PlannedChange], list[str]]:
    """The changes of what is here, and the node ids of what is not."""
    changes, faults, not_found = [], [], []
    for text in texts:
        try:
            changes.append(PlannedChange.parse(text, columns_may_be_new=True))
        except LookupError:
            node = NodeId.parse(text.split()[1])
            not_found.append(str(NodeId("table", node.name, node.source) if node.kind == "column" else node))
        except ValueError as error:
            faults.append(f"{text[:200]}: {error}")
    if faults:
        raise serializers.ValidationError({"changes": faults})
    return changes, sorted(set(not_found))


def _pipelines_of(repository: dict[str, list[str]]) -> RepositoryPipelines:
    ids: dict[str, int] = {}
    for names in chunks(repository["pipelines"]):
        ids.update(Pipeline.objects.filter(name__in=names).values_list("name", "pk"))
    rewritten = frozenset(ids[name] for name in repository["rewritten"] if name in ids)
    return RepositoryPipelines(frozenset(ids.values()), rewritten)


def _as_json(
    changes: list[PlannedChange],
    request: Request,
    repository: RepositoryPipelines | None = None,
    not_found: list[str] | None = None,
) -> dict[str, Any]:
    impact, reads = impact_of(changes, repository)
    url = "" if repository else impact_url(changes)
    page = request.build_absolute_uri(url) if url else ""
    return {
        "version": VERSION,
        "changes": [str(change) for change in impact.changes],
        **{name: [_hit_as_json(hit, request) for hit in getattr(impact, name)] for name in _LISTS},
        "unaffected": [pipeline.name for pipeline in impact.unaffected],
        "reads": [_reads_as_json(lost) for lost in reads],
        "not_found": not_found or [],
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


LONGEST_ADDRESS = 3_500  # bytes that every server and browser on the way lets through


def impact_url(changes: list[PlannedChange]) -> str:
    """The page that shows the impact of these changes; "" where they are too long for an address."""
    query = QueryDict(mutable=True)
    query.setlist("change", [str(change) for change in changes])
    url = f"{reverse('impact')}?{query.urlencode(safe=':')}"
    return url if len(url) <= LONGEST_ADDRESS else ""


def _reads_as_json(lost: LostReads) -> dict[str, Any]:
    facts = {name: getattr(lost, name) for name in ("node", "change", "reads", "readers", "people")}
    return facts | {"path": list(dict.fromkeys([lost.start, lost.node]))}


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
