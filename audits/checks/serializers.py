"""How checks and their results read in JSON, and how they are sent."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from audits.checks.models import Check, CheckResult, State
from audits.checks.queries import statement_of
from catalog.models import Owner, Pipeline, Table
from catalog.serializers import OneOf, StrictSerializer
from lineage.nodes import NodeId, find


class CheckSerializer(StrictSerializer, serializers.ModelSerializer):
    """A check; `of` and `kind` cannot change once it is there."""

    serializer_choice_field = OneOf
    url = serializers.URLField(read_only=True)
    page = serializers.URLField(read_only=True, help_text="Where people look at it")
    of = serializers.CharField(help_text="Node id of its table, or of its pipeline for in_out_ratio")
    parameters = serializers.DictField(help_text="By kind: see docs/guides/checks.md")
    name = serializers.CharField(max_length=300, required=False, help_text="What it does, unless given")
    owner = serializers.SlugRelatedField(
        slug_field="slug",
        queryset=Owner.objects.all(),
        required=False,
        allow_null=True,
        help_text="Slug of who is told; without one, the owners of the table or pipeline are",
    )
    sql = serializers.CharField(read_only=True, help_text="What measures it; empty where it is measured elsewhere")

    class Meta:
        model = Check
        fields = [
            *("id", "url", "page", "of", "kind", "name", "parameters", "severity", "schedule", "owner", "description"),
            *("origin", "is_active", "state", "checked_at", "failing_since", "error_since", "sql"),
        ]
        read_only_fields = ["origin", "state", "checked_at", "failing_since", "error_since"]

    def validate_of(self, node: str) -> Table | Pipeline:
        """The thing by its node id."""
        try:
            thing = find(NodeId.parse(node))
        except (LookupError, ValueError) as error:
            raise serializers.ValidationError(str(error)) from error
        if not isinstance(thing, Table | Pipeline):
            raise serializers.ValidationError("Name a table or a pipeline.")
        if self.instance is not None and thing != self.instance.thing:
            raise serializers.ValidationError("This cannot change once there is a check: make another.")
        return thing

    def to_representation(self, check: Check) -> dict[str, Any]:
        plain = ("kind", "name", "parameters", "severity", "schedule", "description", "origin", "is_active", "state")
        facts = {name: getattr(check, name) for name in (*plain, "checked_at", "failing_since", "error_since")} | {
            "id": check.pk,
            "url": f"{self.context['url']}{check.pk}/",
            "page": self.context["page"](check),
            "of": check.thing.node,
            "owner": check.owner.slug if check.owner else None,
            "sql": statement_of(check),
        }
        return {name: facts[name] for name in self.Meta.fields}


class CheckResultSerializer(StrictSerializer, serializers.ModelSerializer):
    """A result. Without a `state`, the bounds of the check judge the `value`; the same `key` again counts once."""

    serializer_choice_field = OneOf
    url = serializers.URLField(read_only=True)
    check = serializers.PrimaryKeyRelatedField(
        queryset=Check.objects.select_related("table__source", "pipeline"), help_text="Number of the check"
    )
    state = OneOf(State.choices, required=False)
    key = serializers.CharField(
        max_length=200, required=False, help_text="What tells it from other results: the run's id, say"
    )
    sample = serializers.ListField(
        child=serializers.DictField(), read_only=True, help_text="Some offending keys; sensitive values masked"
    )

    class Meta:
        model = CheckResult
        fields = [
            *("id", "url", "check", "at", "state", "value", "low", "high", "words", "sample", "key", "reported_by"),
            "received_at",
        ]
        read_only_fields = ["reported_by", "received_at"]

    def to_representation(self, result: CheckResult) -> dict[str, Any]:
        facts = {name: getattr(result, name) for name in self.Meta.fields if name not in ("id", "url", "check")} | {
            "id": result.pk,
            "url": f"{self.context['url']}{result.pk}/",
            "check": result.check_of_id,
        }
        return {name: facts[name] for name in self.Meta.fields}
