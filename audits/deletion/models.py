"""WHICH TABLES NOBODY NEEDS, as stored: what people protect, the verdicts, and the reviews that end in a deletion.

Pipekeeper drops nothing itself. A review holds the plan, who was asked, who agreed, and what happened, in order.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from catalog.links import link
from catalog.models import Owner, Pipeline, Source, Table, Tag, User


class Protection(models.Model):
    """A person's word that a table stays: pinned until a date, or under legal hold until somebody lifts it."""

    class Kind(models.TextChoices):
        PINNED = "pinned", "Pinned"
        LEGAL_HOLD = "legal_hold", "Legal hold"

    table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="protections")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PINNED)
    reason = models.TextField()
    until = models.DateField(null=True, blank=True, help_text="The last day; a legal hold may have none")
    stated_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    stated_by_name = models.CharField(max_length=150)
    stated_at = models.DateTimeField(default=timezone.now)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-stated_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="legal_hold") | Q(until__isnull=False),
                name="pin_has_an_end",
                violation_error_message="A pin needs its last day; only a legal hold may go without.",
            ),
            models.CheckConstraint(
                condition=~Q(reason=""), name="protection_has_a_reason", violation_error_message="Say why it must stay."
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.table_id}"


class UnreadWindow(models.Model):
    """After how many days without a read a table counts as unread: for a source, a tier of builders, or a tag.

    Where several hold for a table the longest counts; where none does, it is `facts.DEFAULT_WINDOW`.
    """

    source = models.OneToOneField(Source, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    tag = models.OneToOneField(Tag, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    tier = models.PositiveSmallIntegerField(null=True, blank=True, unique=True)
    days = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(source__isnull=False, tag__isnull=True, tier__isnull=True)
                | Q(source__isnull=True, tag__isnull=False, tier__isnull=True)
                | Q(source__isnull=True, tag__isnull=True, tier__isnull=False, tier__range=(1, 4)),
                name="unread_window_of_one_thing",
                violation_error_message="A window is for one source, one tag, or one tier from 1 to 4.",
            ),
            models.CheckConstraint(condition=Q(days__gte=1), name="unread_window_is_a_day_at_least"),
        ]

    def __str__(self) -> str:
        return f"{self.days} days"


class VerdictRun(models.Model):
    """One pass over all tables. What moves from day to day stands here once, so that verdicts stay as they are."""

    as_of = models.DateField()
    window_days = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    tables = models.PositiveIntegerField()
    written = models.PositiveIntegerField(help_text="Verdicts that were new or different, or gone")
    counts = models.JSONField(help_text="How many tables per verdict")
    totals = models.JSONField(default=dict, help_text="What all proposed tables weigh: see `savings.totals`")
    logs = models.JSONField(help_text="Per source slug, what its query log covers: see `facts.SourceLog`")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"verdicts as of {self.as_of}"


class Verdict(models.Model):
    """What the evidence says of a table's use, with the evidence. Written again only when one of them changes."""

    class Word(models.TextChoices):
        PROTECTED = "protected", "Protected"
        IN_USE = "in_use", "In use"
        UNKNOWN = "unknown", "Not known"
        UNREAD = "unread", "Unread"
        FEEDS_UNREAD = "feeds_unread", "Feeds only unread tables"

    table = models.OneToOneField(Table, primary_key=True, on_delete=models.CASCADE, related_name="verdict")
    verdict = models.CharField(max_length=12, choices=Word.choices)
    because = models.ForeignKey(  # no constraint and no index: a million of them are written in one go
        Table,
        null=True,
        db_constraint=False,
        db_index=False,
        on_delete=models.DO_NOTHING,
        related_name="+",
        help_text="The table built from this one that the verdict comes from; empty where it is the table's own",
    )
    is_proposed = models.BooleanField(default=False, help_text="Nobody needs it, and it could be built again")
    weight = models.BigIntegerField(
        default=0, help_text="Of what is proposed: bytes, or 100 a row, to list large ones first"
    )
    evidence = models.JSONField(help_text="Codes and values; `evidence.words` says them")
    digest = models.BigIntegerField(help_text="Of all the above, to see what changed")
    since = models.DateTimeField(help_text="When the verdict became this one")
    changed_at = models.DateTimeField(help_text="When verdict or evidence last changed")

    class Meta:
        indexes = [
            models.Index(fields=["verdict", "table"], name="verdict_by_word"),
            models.Index(fields=["-weight", "-table"], condition=Q(is_proposed=True), name="verdict_proposed"),
        ]

    def __str__(self) -> str:
        return f"{self.table_id} {self.verdict}"


class DeletionReview(models.Model):
    """One proposal to delete tables and the pipelines that go with them, from the first mail to the last look."""

    class State(models.TextChoices):
        FLAGGED = "flagged", "Flagged"
        NOTIFIED = "notified", "Owners notified"
        REMINDED = "reminded", "Owners reminded"
        AGREED = "agreed", "Agreed"
        QUARANTINED = "quarantined", "In quarantine"
        DELETED = "deleted", "Deleted"
        CONFIRMED = "confirmed", "Confirmed gone"
        STOPPED = "stopped", "Stopped"

    ENDED = (State.CONFIRMED, State.STOPPED)

    class QuarantineBy(models.TextChoices):
        RENAME = "rename", "Rename"
        REVOKE = "revoke", "Revoke"

    state = models.CharField(max_length=12, choices=State.choices, default=State.FLAGGED)
    state_since = models.DateTimeField(default=timezone.now)
    opened_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    opened_by_name = models.CharField(max_length=150)
    opened_at = models.DateTimeField(default=timezone.now)
    evidence_until = models.DateField(help_text="Reads up to this day were looked at when it was flagged")
    notice_until = models.DateField(null=True, blank=True, help_text="After this day a steward may decide on silence")
    quarantine_by = models.CharField(max_length=6, choices=QuarantineBy.choices, default=QuarantineBy.RENAME)
    quarantine_until = models.DateField(null=True, blank=True, help_text="Nothing is dropped up to this day")
    approvals_needed = models.PositiveSmallIntegerField(default=1)
    is_reversible = models.BooleanField(default=True)
    stop_reason = models.TextField(blank=True)
    stopped_in = models.CharField(max_length=12, choices=State.choices, blank=True, default="")
    is_restored = models.BooleanField(default=True, help_text="False while a stopped review waits for its undo script")
    savings = models.JSONField(default=dict, help_text="What it would save, and once confirmed has saved")

    class Meta:
        ordering = ["-opened_at", "-id"]
        indexes = [models.Index(fields=["state", "-opened_at"], name="deletion_review_by_state")]

    def __str__(self) -> str:
        return f"Deletion review {self.pk}"

    def get_absolute_url(self) -> str:
        return link("deletion-review-detail", self.pk)

    @property
    def is_open(self) -> bool:
        return self.state not in self.ENDED


class ReviewedTable(models.Model):
    """A table of a review, in the order in which it goes: what is built from it goes first."""

    review = models.ForeignKey(DeletionReview, on_delete=models.CASCADE, related_name="tables")
    table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="reviewed_in")
    position = models.PositiveIntegerField()
    quarantine_name = models.CharField(
        max_length=500, help_text="Dotted, as the table's own name, which it is in quarantine by revoke"
    )
    grants = models.JSONField(
        default=list, blank=True, help_text="What a quarantine by revoke takes away: `scripts.Grant`, as read before"
    )
    scans = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="How often the source had scanned it when the quarantine began; see `live`"
    )
    kept_name = models.CharField(max_length=500, blank=True, help_text="Where its data is kept after the drop")

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["review", "table"], name="reviewed_table_once")]

    def __str__(self) -> str:
        return f"{self.table_id} in {self.review_id}"


class ReviewedPipeline(models.Model):
    """A pipeline of a review: deleted whole, or trimmed of the outputs that go."""

    class Action(models.TextChoices):
        DELETE = "delete", "Delete"
        TRIM = "trim", "Trim"

    review = models.ForeignKey(DeletionReview, on_delete=models.CASCADE, related_name="pipelines")
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="reviewed_in")
    action = models.CharField(max_length=6, choices=Action.choices)

    class Meta:
        ordering = ["action", "pipeline__name", "id"]
        constraints = [models.UniqueConstraint(fields=["review", "pipeline"], name="reviewed_pipeline_once")]

    def __str__(self) -> str:
        return f"{self.action} {self.pipeline_id} in {self.review_id}"


class OwnerNotice(models.Model):
    """That an owner was told of a review, and what came of it.

    Silence counts only of somebody who could have answered: where one is away, has left, or the mail came back, the
    notice goes to their team.
    """

    class Answer(models.TextChoices):
        NONE = "", "No answer"
        AGREED = "agreed", "Agreed"
        OBJECTED = "objected", "Objected"

    class Reach(models.TextChoices):
        SENT = "sent", "Sent"
        NO_ADDRESS = "no_address", "Has no e-mail address"
        LEFT = "left", "Has left"
        AWAY = "away", "Away"
        BOUNCED = "bounced", "Mail came back"

    review = models.ForeignKey(DeletionReview, on_delete=models.CASCADE, related_name="notices")
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="deletion_notices")
    reach = models.CharField(max_length=10, choices=Reach.choices)
    instead_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="passed_on_to"
    )
    sent_at = models.DateTimeField(null=True, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=10, choices=Answer.choices, blank=True, default=Answer.NONE)
    answered_by_name = models.CharField(max_length=150, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["review", "owner"], name="owner_notified_once")]

    def __str__(self) -> str:
        return f"{self.owner_id} on {self.review_id}"


class Approval(models.Model):
    """A steward's yes to a review; each steward counts once."""

    review = models.ForeignKey(DeletionReview, on_delete=models.CASCADE, related_name="approvals")
    steward = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    steward_name = models.CharField(max_length=150)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["review", "steward"], name="steward_approves_once")]

    def __str__(self) -> str:
        return f"{self.steward_name} on {self.review_id}"


class ReviewEvent(models.Model):
    """What happened in a review: who did what, when, and from which state to which."""

    review = models.ForeignKey(DeletionReview, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150)
    from_state = models.CharField(max_length=12, blank=True)
    to_state = models.CharField(max_length=12, blank=True)
    words = models.TextField()

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.words
