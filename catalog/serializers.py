"""How the catalog's things are written and read in JSON: flat objects, others named by their natural keys.

What a GET answers can be sent back in a PUT and changes nothing.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from catalog import queries
from catalog.models import Column, Owner, Pipeline, Run, Source, Table, Tag


class OneOf(serializers.ChoiceField):
    """A choice whose refusal names what would do."""

    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices, **options)
        values = ", ".join(repr(value) for value in self.choices)
        self.error_messages["invalid_choice"] = f"Not one of: {values}."


class FactsSerializer(serializers.ModelSerializer):
    """Checks what is sent: unknown fields are refused, and so is changing a field of `Meta.fixed`.

    Subclasses write `to_representation` out as one dict: DRF's walk over the fields takes five times as long.
    """

    serializer_choice_field = OneOf

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict) and (unknown := [name for name in data if name not in self.fields]):
            raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)

    def validate(self, facts: dict[str, Any]) -> dict[str, Any]:
        if self.instance is None:
            return facts
        fixed = [name for name in getattr(self.Meta, "fixed", ()) if name in facts]
        moved = [name for name in fixed if facts.pop(name) != getattr(self.instance, name)]
        if moved:
            raise serializers.ValidationError({name: ["This cannot change once registered."] for name in moved})
        return facts


class OwnersSerializer(serializers.Serializer):
    """Slugs of owners by role; `inherited_from` names the pipelines whose owners a table falls back to."""

    business = serializers.ListField(child=serializers.CharField(max_length=150), required=False)
    technical = serializers.ListField(child=serializers.CharField(max_length=150), required=False)
    inherited_from = serializers.ListField(child=serializers.CharField(), read_only=True)

    def validate(self, roles: dict[str, list[str]]) -> dict[str, list[Owner]]:
        found = {owner.slug: owner for owner in Owner.objects.filter(slug__in={s for r in roles.values() for s in r})}
        faults = {
            role: [f"No owner has the slug {slug!r}." for slug in slugs if slug not in found]
            for role, slugs in roles.items()
        }
        if any(faults.values()):
            raise serializers.ValidationError({role: words for role, words in faults.items() if words})
        return {role: [found[slug] for slug in slugs] for role, slugs in roles.items()}


class DisagreementSerializer(serializers.Serializer):
    """A fact where a person and the last ingest differ; the person's word is in force."""

    field = serializers.CharField()
    stated = serializers.JSONField()
    ingested = serializers.JSONField()


class SourceSerializer(FactsSerializer):
    url = serializers.URLField(read_only=True)

    class Meta:
        model = Source
        fields = ["id", "url", "slug", "name", "platform", "storage", "dialect", "description"]
        extra_kwargs = {"slug": {"required": False}}
        fixed = ["slug"]

    def to_representation(self, source: Source) -> dict[str, Any]:
        return {
            "id": source.pk,
            "url": f"{self.context['url']}{source.pk}/",
            "slug": source.slug,
            "name": source.name,
            "platform": source.platform,
            "storage": source.storage,
            "dialect": source.dialect,
            "description": source.description,
        }


class TagSerializer(FactsSerializer):
    url = serializers.URLField(read_only=True)

    class Meta:
        model = Tag
        fields = ["id", "url", "name", "description"]

    def to_representation(self, tag: Tag) -> dict[str, Any]:
        return {
            "id": tag.pk,
            "url": f"{self.context['url']}{tag.pk}/",
            "name": tag.name,
            "description": tag.description,
        }


class OwnerSerializer(FactsSerializer):
    url = serializers.URLField(read_only=True)
    team = serializers.SlugRelatedField(
        slug_field="slug", queryset=Owner.objects.all(), required=False, allow_null=True, help_text="Slug of their team"
    )

    class Meta:
        model = Owner
        fields = ["id", "url", "slug", "name", "kind", "email", "team", "status"]
        extra_kwargs = {"slug": {"required": False}}
        fixed = ["slug"]

    def to_representation(self, owner: Owner) -> dict[str, Any]:
        return {
            "id": owner.pk,
            "url": f"{self.context['url']}{owner.pk}/",
            "slug": owner.slug,
            "name": owner.name,
            "kind": owner.kind,
            "email": owner.email,
            "team": owner.team.slug if owner.team else None,
            "status": owner.status,
        }


def _tags() -> serializers.ListField:
    return serializers.ListField(
        child=serializers.SlugField(max_length=100), required=False, help_text="Names of tags, made where new"
    )


class TableSerializer(FactsSerializer):
    url = serializers.URLField(read_only=True)
    node = serializers.CharField(read_only=True, help_text="Its id in the graph")
    source = serializers.SlugRelatedField(
        slug_field="slug", queryset=Source.objects.all(), help_text="Slug of its source"
    )
    tags = _tags()
    owners = OwnersSerializer(required=False)
    disagreements = DisagreementSerializer(many=True, read_only=True)

    class Meta:
        model = Table
        fields = [
            *("id", "url", "node", "source", "name", "kind", "status", "description", "provenance"),
            *("retention_days", "keep_forever", "row_count", "size_bytes", "source_created_at", "tags", "owners"),
            *("origin", "disagreements", "created_at"),
        ]
        read_only_fields = ["origin", "created_at"]
        validators: list[Any] = []
        fixed = ["source"]

    def to_representation(self, table: Table) -> dict[str, Any]:
        return {
            "id": table.pk,
            "url": f"{self.context['url']}{table.pk}/",
            "node": table.node,
            "source": table.source.slug,
            "name": table.name,
            "kind": table.kind,
            "status": table.status,
            "description": table.description,
            "provenance": table.provenance,
            "retention_days": table.retention_days,
            "keep_forever": table.keep_forever,
            "row_count": table.row_count,
            "size_bytes": table.size_bytes,
            "source_created_at": table.source_created_at,
            "tags": self.context["tags"][table.pk],
            "owners": owners_json(self.context["owners"][table.pk]),
            "origin": table.origin,
            "disagreements": disagreements_json(table),
            "created_at": table.created_at,
        }


class ColumnSerializer(FactsSerializer):
    url = serializers.URLField(read_only=True)
    node = serializers.CharField(read_only=True, help_text="Its id in the graph")
    source = serializers.CharField(max_length=100, source="table.source.slug", help_text="Slug of its table's source")
    table = serializers.CharField(max_length=500, source="table.name", help_text="Dotted name of its table")

    class Meta:
        model = Column
        fields = ["id", "url", "node", "source", "table", "name", "position", "type", "description", "is_primary_key"]
        validators: list[Any] = []
        fixed = ["table"]

    def validate(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Put the table itself in the place of its two names."""
        named = facts.pop("table", {})
        name, source = named.get("name"), named.get("source", {}).get("slug")
        if name or source:
            facts["table"] = self._table(source, name)
        return super().validate(facts)

    def _table(self, source: str | None, name: str | None) -> Table:
        now = self.instance.table if self.instance else None
        try:
            return queries.find_table(source or now.source.slug, name or now.name)
        except Table.DoesNotExist as error:
            raise serializers.ValidationError({"table": ["No table of this source has this name."]}) from error

    def to_representation(self, column: Column) -> dict[str, Any]:
        table = column.table
        return {
            "id": column.pk,
            "url": f"{self.context['url']}{column.pk}/",
            "node": column.node,
            "source": table.source.slug,
            "table": table.name,
            "name": column.name,
            "position": column.position,
            "type": column.type,
            "description": column.description,
            "is_primary_key": column.is_primary_key,
        }


class PipelineSerializer(FactsSerializer):
    url = serializers.URLField(read_only=True)
    node = serializers.CharField(read_only=True, help_text="Its id in the graph")
    tags = _tags()
    owners = OwnersSerializer(required=False)
    disagreements = DisagreementSerializer(many=True, read_only=True)

    class Meta:
        model = Pipeline
        fields = [
            *("id", "url", "node", "name", "kind", "kind_is_inferred", "status", "description", "schedule"),
            *("orchestrator", "dag", "repository_path", "tier", "load_strategy", "backfill", "tags", "owners"),
            *("origin", "disagreements", "created_at"),
        ]
        read_only_fields = ["kind_is_inferred", "origin", "created_at"]

    def to_representation(self, pipeline: Pipeline) -> dict[str, Any]:
        return {
            "id": pipeline.pk,
            "url": f"{self.context['url']}{pipeline.pk}/",
            "node": pipeline.node,
            "name": pipeline.name,
            "kind": pipeline.kind,
            "kind_is_inferred": pipeline.kind_is_inferred,
            "status": pipeline.status,
            "description": pipeline.description,
            "schedule": pipeline.schedule,
            "orchestrator": pipeline.orchestrator,
            "dag": pipeline.dag,
            "repository_path": pipeline.repository_path,
            "tier": pipeline.tier,
            "load_strategy": pipeline.load_strategy,
            "backfill": pipeline.backfill,
            "tags": self.context["tags"][pipeline.pk],
            "owners": owners_json(self.context["owners"][pipeline.pk]),
            "origin": pipeline.origin,
            "disagreements": disagreements_json(pipeline),
            "created_at": pipeline.created_at,
        }


class RunSerializer(FactsSerializer):
    url = serializers.URLField(read_only=True)
    pipeline = serializers.SlugRelatedField(
        slug_field="name", queryset=Pipeline.objects.all(), help_text="Name of its pipeline"
    )

    class Meta:
        model = Run
        fields = [
            *("id", "url", "pipeline", "external_id", "state", "nominal_at", "started_at", "ended_at", "rows_out"),
            "error",
        ]
        validators: list[Any] = []  # the same external id again is a repeated report, not a fault
        fixed = ["pipeline", "external_id"]

    def to_representation(self, run: Run) -> dict[str, Any]:
        return {
            "id": run.pk,
            "url": f"{self.context['url']}{run.pk}/",
            "pipeline": run.pipeline.name,
            "external_id": run.external_id,
            "state": run.state,
            "nominal_at": run.nominal_at,
            "started_at": run.started_at,
            "ended_at": run.ended_at,
            "rows_out": run.rows_out,
            "error": run.error,
        }


def owners_json(owners: queries.Owners) -> dict[str, list[str]]:
    """Owners by slug, as `queries.owner_slugs_of` gives them, sorted."""
    return {
        "business": sorted(owners.business),
        "technical": sorted(owners.technical),
        "inherited_from": sorted(owners.inherited_from),
    }


def disagreements_json(thing: Any) -> list[dict[str, Any]]:
    return [
        {"field": each.field, "stated": each.stated, "ingested": each.ingested} for each in queries.disagreements(thing)
    ]
