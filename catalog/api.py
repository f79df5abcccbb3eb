"""REST of the catalog's nouns: lists, details, and writes through `catalog.services` as the person who asks."""

from __future__ import annotations

from typing import Any, Literal

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import filters, outbox, policy, queries, serializers, services
from catalog.models import Column, Owner, Ownership, Pipeline, Run, SchemaChange, Source, Table, Tag, Webhook
from catalog.policy import Action
from catalog.rest import refuse_unknown_parameters
from catalog.runs import behind_schedule
from catalog.viewsets import NounViewSet, WritableNounViewSet


class SourceViewSet(WritableNounViewSet):
    """Systems that hold data."""

    queryset = Source.objects.all()
    serializer_class = serializers.SourceSerializer
    filterset_class = filters.SourceFilter

    def register(self, facts: dict[str, Any]) -> Source:
        return services.register_source(actor=self.request.user, **facts)

    def change(self, source: Source, facts: dict[str, Any]) -> Source:
        return services.change_source(actor=self.request.user, source=source, **facts)


class TagViewSet(WritableNounViewSet):
    """Words that group pipelines and tables."""

    queryset = Tag.objects.all()
    serializer_class = serializers.TagSerializer
    filterset_class = filters.TagFilter

    def register(self, facts: dict[str, Any]) -> Tag:
        return services.register_tag(actor=self.request.user, **facts)

    def change(self, tag: Tag, facts: dict[str, Any]) -> Tag:
        return services.change_tag(actor=self.request.user, tag=tag, **facts)


class WebhookViewSet(WritableNounViewSet):
    """Where notices are posted, signed; for admins alone, since an address may itself be a secret."""

    queryset = Webhook.objects.all()
    serializer_class = serializers.WebhookSerializer

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        policy.require(request.user, Action.ADMINISTER)

    def register(self, facts: dict[str, Any]) -> Webhook:
        return outbox.register_webhook(actor=self.request.user, **facts)

    def change(self, webhook: Webhook, facts: dict[str, Any]) -> Webhook:
        return outbox.change_webhook(actor=self.request.user, webhook=webhook, **facts)


class OwnerViewSet(WritableNounViewSet):
    """People and teams that answer for pipelines and tables."""

    queryset = Owner.objects.select_related("team")
    serializer_class = serializers.OwnerSerializer
    filterset_class = filters.OwnerFilter

    def register(self, facts: dict[str, Any]) -> Owner:
        return services.register_owner(actor=self.request.user, **facts)

    def change(self, owner: Owner, facts: dict[str, Any]) -> Owner:
        return services.change_owner(actor=self.request.user, owner=owner, **facts)


class OwnedViewSet(WritableNounViewSet):
    """What tables and pipelines share: their tags, and their owners, which are set along with their facts."""

    noun: Literal["table", "pipeline"]

    def context_for(self, things: list[Any]) -> dict[str, Any]:
        ids = [thing["id"] for thing in things]
        context = {"owners": self.owner_slugs_of(ids), "tags": queries.tag_names_of(self.noun, ids)}
        return super().context_for(things) | context

    def owner_slugs_of(self, ids: list[int]) -> dict[int, queries.Owners]:
        return queries.owner_slugs_of(self.noun, ids)

    def set_owners(self, thing: Table | Pipeline, wanted: dict[str, list[Owner]]) -> None:
        """State owners by role; a role sent as it was read changes nothing, so inherited owners stay inherited."""
        now = self.owner_slugs_of([thing.pk])[thing.pk]
        for role in Ownership.Role.values:
            if role in wanted and {owner.slug for owner in wanted[role]} != set(getattr(now, role)):
                services.set_owners(actor=self.request.user, thing=thing, role=role, owners=wanted[role])


class TableViewSet(OwnedViewSet):
    """Anything in a source that holds rows or documents."""

    noun = "table"
    queryset = Table.objects.select_related("source")
    serializer_class = serializers.TableSerializer
    filterset_class = filters.TableFilter

    def register(self, facts: dict[str, Any]) -> Table:
        owners = facts.pop("owners", {})
        table = services.register_table(actor=self.request.user, **facts)
        self.set_owners(table, owners)
        return table

    def change(self, table: Table, facts: dict[str, Any]) -> Table:
        owners = facts.pop("owners", {})
        services.change_table(actor=self.request.user, table=table, **facts)
        self.set_owners(table, owners)
        return table


class ColumnViewSet(WritableNounViewSet):
    """Columns, table by table in the order of registration, by name within each."""

    order = ("table_id", "name")
    created_inside = True
    queryset = Column.objects.select_related("table__source")
    serializer_class = serializers.ColumnSerializer
    filterset_class = filters.ColumnFilter

    def register(self, facts: dict[str, Any]) -> Column:
        return services.register_column(actor=self.request.user, **facts)

    def change(self, column: Column, facts: dict[str, Any]) -> Column:
        return services.change_column(actor=self.request.user, column=column, **facts)


class SchemaChangeViewSet(NounViewSet):
    """Changes of tables' columns, as ingests and crawls found them, the newest first."""

    order = ("-at", "-id")
    queryset = SchemaChange.objects.all()
    serializer_class = serializers.SchemaChangeSerializer
    filterset_class = filters.SchemaChangeFilter


class PipelineViewSet(OwnedViewSet):
    """Code that moves or makes data, on a schedule."""

    noun = "pipeline"
    queryset = Pipeline.objects.all()
    serializer_class = serializers.PipelineSerializer
    filterset_class = filters.PipelineFilter

    def register(self, facts: dict[str, Any]) -> Pipeline:
        owners = facts.pop("owners", {})
        pipeline = services.register_pipeline(actor=self.request.user, **facts)
        self.set_owners(pipeline, owners)
        return pipeline

    def change(self, pipeline: Pipeline, facts: dict[str, Any]) -> Pipeline:
        owners = facts.pop("owners", {})
        services.change_pipeline(actor=self.request.user, pipeline=pipeline, **facts)
        self.set_owners(pipeline, owners)
        return pipeline


class RunViewSet(WritableNounViewSet):
    """Executions of pipelines, the newest first; reporting the same external id again updates the run."""

    order = ("-started_at", "-id")
    created_inside = True
    queryset = Run.objects.select_related("pipeline")
    serializer_class = serializers.RunSerializer
    filterset_class = filters.RunFilter

    @extend_schema(operation_id="runs_late_list", filters=False, responses=serializers.LateSerializer)
    @action(detail=False, pagination_class=None)
    def late(self, request: Request) -> Response:
        """Pipelines whose next run, by their cron schedule and their last start, is late or missing."""
        refuse_unknown_parameters(request, ())
        return Response({"results": [serializers.expected_run_json(one) for one in behind_schedule()]})

    def register(self, facts: dict[str, Any]) -> Run:
        return services.record_run(actor=self.request.user, **facts)

    def change(self, run: Run, facts: dict[str, Any]) -> Run:
        kept = {"external_id": run.external_id, "state": run.state, "started_at": run.started_at}
        return services.record_run(actor=self.request.user, pipeline=run.pipeline, **{**kept, **facts})
