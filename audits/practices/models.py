"""HOW SOUND EACH PIPELINE IS, as stored: findings of the practices, waivers, and the scores of days gone by."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import models
from django.db.models import Case, CharField, Q, Value, When
from django.utils import timezone

from catalog.models import Owner, Pipeline, User
from lineage.models import SqlVersion


class Outcome(models.TextChoices):
    """How a pipeline stands in a practice."""

    FAIL = "fail", "Fails"
    UNKNOWN = "unknown", "Not known"
    WAIVED = "waived", "Waived"
    PASS = "pass", "Passes"


class FindingQuerySet(models.QuerySet["Finding"]):
    def with_standing(self) -> FindingQuerySet:
        """With `standing`: the outcome, or "waived" while a waiver covers a failure. It ends by itself, on its day."""
        covered = When(outcome=Outcome.FAIL, waived_until__gte=today(), then=Value(Outcome.WAIVED))
        return self.annotate(standing=Case(covered, default="outcome", output_field=CharField()))


class Finding(models.Model):
    """What the rule of one practice says of one pipeline, with the evidence. Written again only when it changes."""

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="findings")
    practice = models.CharField(max_length=30, help_text="Code of a rule, see `audits.practices.rules`")
    outcome = models.CharField(max_length=10, choices=Outcome.choices, help_text="As judged; waivers come on top")
    waived_until = models.DateField(null=True, blank=True, help_text="The last day of the waiver that covers it")
    evidence: Any = models.JSONField(help_text="Pairs of a sentence and a line of the SQL, if one shows it")
    remedies: Any = models.JSONField(help_text="Pairs of what to do and the node that it is about, if not the pipeline")
    sql_version = models.ForeignKey(SqlVersion, null=True, on_delete=models.SET_NULL, related_name="+")
    weight = models.PositiveSmallIntegerField(help_text="What it counts in scores, by the pipeline's tier")
    since = models.DateTimeField(help_text="When the outcome became this one")
    changed_at = models.DateTimeField(help_text="When outcome or evidence last changed")

    objects = FindingQuerySet.as_manager()

    class Meta:
        ordering = ["-weight", "-id"]
        constraints = [models.UniqueConstraint(fields=["pipeline", "practice"], name="finding_once")]
        indexes = [
            models.Index(fields=["-weight", "-id"], name="finding_weightiest"),
            models.Index(fields=["outcome", "-weight", "-id"], name="finding_by_outcome"),
        ]

    def __str__(self) -> str:
        return f"{self.practice} of {self.pipeline_id}: {self.outcome}"


class Waiver(models.Model):
    """A person's word that a pipeline need not keep a practice until a day, and who answers for that."""

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="waivers")
    practice = models.CharField(max_length=30)
    reason = models.TextField()
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="waivers", help_text="Answers for it")
    until = models.DateField(help_text="The last day on which it counts")
    stated_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    stated_by_name = models.CharField(max_length=150)
    stated_at = models.DateTimeField(default=timezone.now)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-stated_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(reason=""), name="waiver_has_a_reason", violation_error_message="Say why it is waived."
            )
        ]
        indexes = [models.Index(fields=["pipeline", "practice", "until"], name="waiver_of_finding")]

    def __str__(self) -> str:
        return f"{self.practice} of {self.pipeline_id} until {self.until}"

    @property
    def is_in_force(self) -> bool:
        return self.lifted_at is None and self.until >= today()


class Score(models.Model):
    """What a day's scorecard came to, kept where it differs from the day before: a trend is these, as steps."""

    class Scope(models.TextChoices):
        COMPANY = "company", "Whole company"
        SOURCE = "source", "Source"
        TEAM = "team", "Team"
        PIPELINE = "pipeline", "Pipeline"

    scope = models.CharField(max_length=10, choices=Scope.choices)
    key = models.BigIntegerField(default=0, help_text="Of the source, team (an owner) or pipeline; 0 for the company")
    day = models.DateField()
    score = models.FloatField(null=True, help_text="0 to 1; empty where nothing could be judged")
    known = models.FloatField(help_text="The share of findings that are not unknown, 0 to 1")

    class Meta:
        ordering = ["day"]
        constraints = [models.UniqueConstraint(fields=["scope", "key", "day"], name="score_once_a_day")]

    def __str__(self) -> str:
        return f"{self.scope} {self.key} on {self.day}: {self.score}"


def today() -> dt.date:
    """The day that it is, in UTC as everywhere."""
    return timezone.now().date()
