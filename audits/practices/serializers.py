"""How findings, waivers and scorecards read in JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from audits.practices.models import Finding, Outcome, Waiver
from audits.practices.queries import Scorecard
from audits.practices.rules import RULES
from audits.practices.scores import Tally
from catalog.models import Owner, Pipeline
from catalog.serializers import OneOf, StrictSerializer


class EvidenceSerializer(serializers.Serializer):
    words = serializers.CharField()
    line = serializers.IntegerField(allow_null=True, help_text="Of the SQL version")


class RemedySerializer(serializers.Serializer):
    words = serializers.CharField()
    node = serializers.CharField(help_text="What it is about: a table, or the pipeline itself")


class FindingSerializer(serializers.ModelSerializer):
    """Shows findings of `queries.findings()`."""

    url = serializers.URLField()
    pipeline = serializers.CharField(help_text="Name of the pipeline")
    practice = OneOf(list(RULES))
    standing = OneOf(Outcome.values, help_text="How it stands, waivers counted")
    evidence = EvidenceSerializer(many=True)
    remedies = RemedySerializer(many=True, help_text="What would mend it")
    sql_version = serializers.IntegerField(allow_null=True, help_text="Where `line` counts")

    class Meta:
        model = Finding
        fields = [
            *("id", "url", "pipeline", "practice", "standing", "waived_until", "evidence", "remedies", "sql_version"),
            *("weight", "since", "changed_at"),
        ]

    def to_representation(self, finding: Finding) -> dict[str, Any]:
        return {
            "id": finding.pk,
            "url": f"{self.context['url']}{finding.pk}/",
            "pipeline": finding.pipeline.name,
            **finding_facts(finding, finding.pipeline),
        }


def finding_facts(finding: Finding, pipeline: Pipeline) -> dict[str, Any]:
    """What a finding says, apart from what names it."""
    return {
        "practice": finding.practice,
        "standing": finding.standing,
        "waived_until": finding.waived_until,
        "evidence": [{"words": words, "line": line} for words, line in finding.evidence],
        "remedies": [{"words": words, "node": about or pipeline.node} for words, about in finding.remedies],
        "sql_version": finding.sql_version_id,
        "weight": finding.weight,
        "since": finding.since,
        "changed_at": finding.changed_at,
    }


class WaiverSerializer(StrictSerializer, serializers.ModelSerializer):
    url = serializers.URLField(read_only=True)
    pipeline = serializers.SlugRelatedField(slug_field="name", queryset=Pipeline.objects.all())
    practice = OneOf(list(RULES))
    owner = serializers.SlugRelatedField(
        slug_field="slug", queryset=Owner.objects.all(), help_text="Slug of who answers for it"
    )
    in_force = serializers.BooleanField(source="is_in_force", read_only=True)

    class Meta:
        model = Waiver
        fields = [
            *("id", "url", "pipeline", "practice", "reason", "owner", "until", "in_force"),
            *("stated_by_name", "stated_at", "lifted_at"),
        ]
        read_only_fields = ["stated_by_name", "stated_at", "lifted_at"]

    def to_representation(self, waiver: Waiver) -> dict[str, Any]:
        plain = ("reason", "until", "stated_by_name", "stated_at", "lifted_at", "practice")
        facts = {name: getattr(waiver, name) for name in plain} | {
            "id": waiver.pk,
            "url": f"{self.context['url']}{waiver.pk}/",
            "pipeline": waiver.pipeline.name,
            "owner": waiver.owner.slug,
            "in_force": waiver.is_in_force,
        }
        return {name: facts[name] for name in self.Meta.fields}


class TallySerializer(serializers.Serializer):
    passed = serializers.IntegerField()
    failed = serializers.IntegerField()
    waived = serializers.IntegerField()
    unknown = serializers.IntegerField()


class PipelineScoreSerializer(serializers.ModelSerializer):
    """The score of one pipeline, in a list of many; `context["tallies"]` and `context["findings"]` are by its id."""

    url = serializers.URLField()
    pipeline = serializers.CharField(help_text="Its name")
    node = serializers.CharField()
    score = serializers.FloatField(allow_null=True, help_text="0 to 1; null where nothing could be judged")
    known = serializers.FloatField(help_text="The share of findings that are not unknown, 0 to 1")
    standings = serializers.DictField(child=OneOf(Outcome.values), help_text="By practice")

    class Meta:
        model = Pipeline
        fields = ["id", "url", "pipeline", "node", "tier", "score", "known", "standings"]

    def to_representation(self, pipeline: Pipeline) -> dict[str, Any]:
        tally = self.context["tallies"].get(pipeline.pk, Tally())
        return {
            "id": pipeline.pk,
            "url": f"{self.context['url']}{pipeline.pk}/",
            "pipeline": pipeline.name,
            "node": pipeline.node,
            "tier": pipeline.tier,
            "score": tally.score,
            "known": tally.known,
            "standings": self.context["standings"].get(pipeline.pk, {}),
        }


class PointSerializer(serializers.Serializer):
    day = serializers.DateField()
    score = serializers.FloatField(allow_null=True)


class NextStepSerializer(serializers.Serializer):
    words = serializers.CharField()
    node = serializers.CharField(help_text="What it is about; empty where it is alike in many pipelines")
    practice = serializers.CharField()
    pipelines = serializers.ListField(child=serializers.CharField(), help_text="Some of them")
    spread = serializers.IntegerField(help_text="How many there are")
    mends = serializers.IntegerField(help_text="Findings that pass once it is done")
    helps = serializers.IntegerField(help_text="Findings that need more besides")
    gain = serializers.FloatField(help_text="What it adds to the score")


class ScorecardSerializer(serializers.Serializer):
    """A whole scorecard, as `queries.scorecard` gives it."""

    scope = serializers.CharField(help_text="company, source, team or pipeline")
    name = serializers.CharField()
    score = serializers.FloatField(allow_null=True, help_text="0 to 1; null where nothing could be judged")
    known = serializers.FloatField(help_text="The share of findings that are not unknown, 0 to 1")
    practices = serializers.DictField(child=TallySerializer(), help_text="Findings by practice and standing")
    trend = PointSerializer(many=True, help_text="The score from each day on")
    steps = NextStepSerializer(many=True, help_text="What to do next, the largest gain first")

    def to_representation(self, card: Scorecard) -> dict[str, Any]:
        return as_dict(card)


def as_dict(card: Scorecard) -> dict[str, Any]:
    """A scorecard for JSON, the same over REST and by the command."""
    return {
        "scope": card.scope,
        "name": card.name,
        "score": card.tally.score,
        "known": card.tally.known,
        "practices": {rule.code: tally.to_dict() for rule, tally in card.practices},
        "trend": [{"day": point.day.isoformat(), "score": point.score} for point in card.trend],
        "steps": [step.to_dict() for step in card.steps],
    }
