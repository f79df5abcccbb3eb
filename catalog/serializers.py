"""How the catalog's things are written and read in JSON: flat objects, others named by their natural keys.

What a GET answers can be sent back in a PUT and changes nothing.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from rest_framework import serializers

from catalog import queries
from catalog.models import Column, Owner, Pipeline, Run, SchemaChange, Source, Table, Tag, Webhook, node_id
from catalog.runs import ExpectedRun


class OneOf(serializers.ChoiceField):
    """A choice whose refusal names what would do."""

    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices, **options)
        values = ", ".join(repr(value) for value in self.choices)
        self.error_messages["invalid_choice"] = f"Not one of: {values}."


class RowSerializer(serializers.ModelSerializer):
    """Shows rows of plain values, as `.values()` gives them: model objects, walked by DRF, cost five times more.

    A field shows the column of its name, or the one that `lookups` says; those in `made` are for `make` to fill in,
    which may use the columns in `needs` too. Those in `sent` are never shown.
    """

    lookups: ClassVar[dict[str, str]] = {}
    made: ClassVar[tuple[str, ...]] = ("url",)
    needs: ClassVar[tuple[str, ...]] = ("id",)
    sent: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def reads(cls) -> list[str]:
        """The columns that a row must have."""
        read = [cls.lookups.get(name, name) for name in cls.shown() if name not in cls.made]
        return list(dict.fromkeys([*read, *cls.needs]))

    @classmethod
    def shown(cls) -> list[str]:
        return [name for name in cls.Meta.fields if name not in cls.sent]

    def to_representation(self, row: dict[str, Any]) -> dict[str, Any]:
        made = self.make(row)
        lookups = self.lookups
        return {name: made[name] if name in made else row[lookups.get(name, name)] for name in self.shown()}

    def make(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"url": f"{self.context['url']}{row['id']}/"}


class StrictSerializer(serializers.Serializer):
    """Refuses fields that nobody knows, instead of passing them over."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict) and (unknown := [name for name in data if name not in self.fields]):
            raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)


class FactsSerializer(StrictSerializer, RowSerializer):
    """Checks what is sent; changing a field of `Meta.fixed` is refused."""

    serializer_choice_field = OneOf

    def validate(self, facts: dict[str, Any]) -> dict[str, Any]:
        if self.instance is None:
            return facts
        fixed = [name for name in getattr(self.Meta, "fixed", ()) if name in facts]
        moved = [name for name in fixed if facts.pop(name) != getattr(self.instance, name)]
        if moved:
            raise serializers.ValidationError({name: ["This cannot change once registered."] for name in moved})
        return facts


class OwnersSerializer(StrictSerializer):
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
    namespaces = serializers.ListField(
        child=serializers.CharField(max_length=500),
        required=False,
        help_text="OpenLineage's names of it, such as postgres://db:5432",
    )

    class Meta:
        model = Source
        fields = [
            *(
                "id",
                "url",
                "slug",
                "name",
                "platform",
                "storage",
                "dialect",
                "description",
                "namespaces",
                "connection",
                "crawled_at",
            )
        ]
        read_only_fields = ["crawled_at"]
        extra_kwargs = {"slug": {"required": False}}
        fixed = ["slug"]


class TagSerializer(FactsSerializer):
    url = serializers.URLField(read_only=True)

    class Meta:
        model = Tag
        fields = ["id", "url", "name", "description"]


class WebhookSerializer(FactsSerializer):
    url = serializers.URLField(read_only=True, help_text="Of the webhook here")
    target = serializers.URLField(source="url", max_length=1000, help_text="Where notices are posted")
    events = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, help_text="Names of events; empty: all of them"
    )

    lookups = {"target": "url"}

    class Meta:
        model = Webhook
        fields = ["id", "url", "name", "target", "shape", "events", "is_active", "created_at"]
        read_only_fields = ["created_at"]


class OwnerSerializer(FactsSerializer):
    url = serializers.URLField(read_only=True)
    lookups = {"team": "team__slug"}
    team = serializers.SlugRelatedField(
        slug_field="slug", queryset=Owner.objects.all(), required=False, allow_null=True, help_text="Slug of their team"
    )

    class Meta:
        model = Owner
        fields = ["id", "url", "slug", "name", "kind", "email", "team", "status"]
        extra_kwargs = {"slug": {"required": False}}
        fixed = ["slug"]


class OwnedSerializer(FactsSerializer):
    """What tables and pipelines share; `context` holds their `tags` and `owners` by id."""

    made = ("url", "node", "tags", "owners", "disagreements")
    needs = ("id", "name", "stated_fields", "ingested")
    url = serializers.URLField(read_only=True)
    node = serializers.CharField(read_only=True, help_text="Its id in the graph")
    tags = serializers.ListField(
        child=serializers.SlugField(max_length=100), required=False, help_text="Names of tags, made where new"
    )
    owners = OwnersSerializer(required=False)
    disagreements = DisagreementSerializer(many=True, read_only=True)

    def make(self, row: dict[str, Any]) -> dict[str, Any]:
        return super().make(row) | {
            "tags": self.context["tags"][row["id"]],
            "owners": owners_json(self.context["owners"][row["id"]]),
            "disagreements": [asdict(each) for each in queries.disagreements(row)],
        }


class TableSerializer(OwnedSerializer):
    lookups = {"source": "source__slug"}
    source = serializers.SlugRelatedField(
        slug_field="slug", queryset=Source.objects.all(), help_text="Slug of its source"
    )

    class Meta:
        model = Table
        fields = [
            *("id", "url", "node", "source", "name", "kind", "status", "description", "provenance"),
            *("retention_days", "keep_forever", "row_count", "size_bytes", "source_created_at", "tags", "owners"),
            *("origin", "disagreements", "created_at", "crawled_at"),
        ]
        read_only_fields = ["origin", "created_at", "crawled_at"]
        validators: list[Any] = []
        fixed = ["source"]

    def make(self, row: dict[str, Any]) -> dict[str, Any]:
        return super().make(row) | {"node": node_id("table", row["source__slug"], row["name"])}


class ColumnSerializer(FactsSerializer):
    lookups = {"source": "table__source__slug", "table": "table__name"}
    made = ("url", "node")
    needs = ("id", "table_id")
    url = serializers.URLField(read_only=True)
    node = serializers.CharField(read_only=True, help_text="Its id in the graph")
    source = serializers.CharField(max_length=100, source="table.source.slug", help_text="Slug of its table's source")
    table = serializers.CharField(max_length=500, source="table.name", help_text="Dotted name of its table")

    class Meta:
        model = Column
        fields = [
            *("id", "url", "node", "source", "table", "name", "position", "type", "description"),
            *("is_primary_key", "is_sensitive"),
        ]
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

    def make(self, row: dict[str, Any]) -> dict[str, Any]:
        return super().make(row) | {
            "node": node_id("column", row["table__source__slug"], row["table__name"], row["name"])
        }


class SchemaChangeSerializer(RowSerializer):
    lookups = {"source": "table__source__slug", "table": "table__name"}
    url = serializers.URLField(read_only=True)
    source = serializers.CharField(help_text="Slug of its table's source")
    table = serializers.CharField(help_text="Dotted name of its table")

    class Meta:
        model = SchemaChange
        fields = ["id", "url", "source", "table", "at", "change", "column", "before", "after"]


class PipelineSerializer(OwnedSerializer):
    class Meta:
        model = Pipeline
        fields = [
            *("id", "url", "node", "name", "kind", "kind_is_inferred", "status", "description", "schedule"),
            *("orchestrator", "dag", "repository_path", "tier", "load_strategy", "catchup", "backfill", "tags"),
            *("owners", "origin", "disagreements", "created_at"),
        ]
        read_only_fields = ["kind_is_inferred", "origin", "created_at"]

    def make(self, row: dict[str, Any]) -> dict[str, Any]:
        return super().make(row) | {"node": node_id("pipeline", row["name"])}


class RunSerializer(FactsSerializer):
    lookups = {"pipeline": "pipeline__name"}
    url = serializers.URLField(read_only=True)
    pipeline = serializers.SlugRelatedField(
        slug_field="name", queryset=Pipeline.objects.all(), help_text="Name of its pipeline"
    )

    class Meta:
        model = Run
        fields = [
            *("id", "url", "pipeline", "external_id", "state", "nominal_at", "started_at", "ended_at", "rows_in"),
            *("rows_out", "error", "parent_id"),
        ]
        validators: list[Any] = []  # the same external id again is a repeated report, not a fault
        fixed = ["pipeline", "external_id"]


class ExpectedRunSerializer(serializers.Serializer):
    pipeline = serializers.CharField(help_text="Name of the pipeline")
    schedule = serializers.CharField()
    punctuality = serializers.ChoiceField(["late", "missing"], help_text="missing: not even the run after it started")
    due_at = serializers.DateTimeField(help_text="When its next run was due")
    last_start = serializers.DateTimeField()


class LateSerializer(serializers.Serializer):
    results = ExpectedRunSerializer(many=True)


def expected_run_json(expected: ExpectedRun) -> dict[str, Any]:
    """A pipeline that is behind, in the order of `ExpectedRunSerializer`."""
    return {
        "pipeline": expected.pipeline.name,
        "schedule": expected.pipeline.schedule,
        "punctuality": expected.timing.punctuality.value,
        "due_at": expected.timing.due_at,
        "last_start": expected.last_start,
    }


def owners_json(owners: queries.Owners) -> dict[str, list[str]]:
    """Owners by slug, as `queries.owner_slugs_of` gives them, sorted."""
    return {
        "business": sorted(owners.business),
        "technical": sorted(owners.technical),
        "inherited_from": sorted(owners.inherited_from),
    }
