"""How verdicts and deletion reviews read in JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from audits.deletion.models import DeletionReview, ReviewedPipeline, Verdict
from catalog.models import Table
from lineage.nodes import NodeId, find

MOST_CHOSEN = 50


class VerdictSerializer(serializers.ModelSerializer):
    """`context["words"]` holds the sentences by the table's id."""

    id = serializers.IntegerField(help_text="Of its table")
    url = serializers.URLField()
    node = serializers.CharField(help_text="The table's id in the graph")
    source = serializers.CharField(help_text="Slug of the table's source")
    table = serializers.CharField(help_text="Dotted name of the table")
    because = serializers.CharField(
        allow_null=True, help_text="Node id of the table built from it that decided, if one"
    )
    evidence = serializers.ListField(child=serializers.CharField(), help_text="In sentences")
    facts = serializers.JSONField(help_text="The same as codes and values")

    class Meta:
        model = Verdict
        fields = [
            *("id", "url", "node", "source", "table", "verdict", "is_proposed", "because", "evidence", "facts"),
            *("since", "changed_at"),
        ]

    def to_representation(self, verdict: Verdict) -> dict[str, Any]:
        table = verdict.table
        return {
            "id": table.pk,
            "url": f"{self.context['url']}{table.pk}/",
            "node": table.node,
            "source": table.source.slug,
            "table": table.name,
            "verdict": verdict.verdict,
            "is_proposed": verdict.is_proposed,
            "because": verdict.because.node if verdict.because else None,
            "evidence": self.context["words"][table.pk],
            "facts": verdict.evidence,
            "since": verdict.since,
            "changed_at": verdict.changed_at,
        }


class ReviewedPipelineSerializer(serializers.Serializer):
    pipeline = serializers.CharField(help_text="Node id")
    action = serializers.ChoiceField(ReviewedPipeline.Action.choices)


class ReviewEventSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    state = serializers.CharField(help_text="After it")
    words = serializers.CharField()


class DeletionReviewSerializer(serializers.ModelSerializer):
    """Sent, it is the tables alone; what is built from them goes along."""

    url = serializers.URLField(read_only=True)
    page = serializers.URLField(read_only=True, help_text="Where people look at it")
    tables = serializers.ListField(
        child=serializers.CharField(), allow_empty=False, max_length=MOST_CHOSEN, help_text="Node ids, in safe order"
    )
    pipelines = ReviewedPipelineSerializer(many=True, read_only=True)
    approvals = serializers.ListField(child=serializers.CharField(), read_only=True, help_text="Names of stewards")
    events = ReviewEventSerializer(many=True, read_only=True)
    savings = serializers.JSONField(read_only=True)

    class Meta:
        model = DeletionReview
        fields = [
            *("id", "url", "page", "state", "state_since", "tables", "pipelines", "opened_by_name", "opened_at"),
            *("evidence_until", "notice_until", "quarantine_by", "quarantine_until", "approvals_needed", "approvals"),
            *("is_reversible", "stop_reason", "is_restored", "savings", "events"),
        ]
        read_only_fields = [name for name in fields if name != "tables"]

    def validate_tables(self, nodes: list[str]) -> list[Table]:
        """Tables by their node ids."""
        try:
            things = [find(NodeId.parse(node)) for node in nodes]
        except (LookupError, ValueError) as error:
            raise serializers.ValidationError(str(error)) from error
        if any(not isinstance(thing, Table) for thing in things):
            raise serializers.ValidationError("Name tables: table:<source>:<name>.")
        return things

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict) and (unknown := [name for name in data if name != "tables"]):
            raise serializers.ValidationError({name: ["Only `tables` is sent."] for name in unknown})
        return super().to_internal_value(data)

    def to_representation(self, review: DeletionReview) -> dict[str, Any]:
        plain = ("state", "state_since", "opened_by_name", "opened_at", "evidence_until", "notice_until")
        plain += (
            "quarantine_by",
            "quarantine_until",
            "approvals_needed",
            "is_reversible",
            "stop_reason",
            "is_restored",
            "savings",
        )
        facts = {name: getattr(review, name) for name in plain} | {
            "id": review.pk,
            "url": f"{self.context['url']}{review.pk}/",
            "page": self.context["page"](review),
            "tables": [each.table.node for each in review.tables.all()],
            "pipelines": [{"pipeline": each.pipeline.node, "action": each.action} for each in review.pipelines.all()],
            "approvals": [each.steward_name for each in review.approvals.all()],
            "events": [
                {"at": each.at, "actor": each.actor_name, "state": each.to_state, "words": each.words}
                for each in review.events.all()
            ],
        }
        return {name: facts[name] for name in self.Meta.fields}


class ReasonSerializer(serializers.Serializer):
    """Why a review is stopped."""

    reason = serializers.CharField(max_length=1000)
