"""WHAT BROKE, AND WHAT WAS DONE SO THAT IT DOES NOT COME BACK: incidents, post-mortems, action items.

Whatever an incident names (tables, pipelines, people) is kept by name beside its key, so that it reads the same when
the thing is gone or called otherwise.
"""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from audits.checks.models import Check
from audits.deletion.models import DeletionReview
from catalog.links import link
from catalog.models import Column, Owner, Ownership, Pipeline, Table, User


class Incident(models.Model):
    """Something went wrong with data that people rely on, from its start until it is resolved."""

    class Severity(models.IntegerChoices):
        CRITICAL = 1, "Critical"
        MAJOR = 2, "Major"
        MINOR = 3, "Minor"
        LOW = 4, "Low"

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        MITIGATED = "mitigated", "Mitigated"
        RESOLVED = "resolved", "Resolved"

    class Detection(models.TextChoices):
        UNKNOWN = "", "Not known"
        CHECK = "check", "A check of ours"
        CONSUMER = "consumer", "Somebody who uses the data"
        ALERT = "alert", "An alert of another tool"
        LUCK = "luck", "Luck"

    TIMES = ("started_at", "detected_at", "acknowledged_at", "mitigated_at", "resolved_at")  # in this order

    title = models.CharField(max_length=200)
    severity = models.PositiveSmallIntegerField(choices=Severity.choices, default=Severity.MAJOR)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    detection = models.CharField(max_length=10, choices=Detection.choices, blank=True, default="")
    started_at = models.DateTimeField(help_text="When the data began to be wrong, as far as known")
    detected_at = models.DateTimeField(help_text="When somebody or something noticed")
    acknowledged_at = models.DateTimeField(null=True, blank=True, help_text="When somebody took it on")
    mitigated_at = models.DateTimeField(null=True, blank=True, help_text="When it did no more harm")
    resolved_at = models.DateTimeField(null=True, blank=True, help_text="When the data was right again")
    data_from = models.DateField(null=True, blank=True, help_text="First day of wrong data")
    data_to = models.DateField(null=True, blank=True, help_text="Last day of wrong data")
    wrong_rows = models.BigIntegerField(null=True, blank=True, help_text="How many rows were wrong, as far as known")
    decisions = models.TextField(blank=True, help_text="Reports that showed it and decisions made on it")
    links = models.JSONField(default=list, blank=True, help_text="Of {title, url}: chat, dashboards, tickets")
    lineage_at = models.DateTimeField(null=True, blank=True, help_text="The moment whose lineage says what was hit")
    beyond = models.PositiveIntegerField(default=0, help_text="Tables downstream that the hit list had no room for")
    alert_key = models.CharField(max_length=300, blank=True, help_text="How the tool that opened it names the alert")
    opened_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    opened_by_name = models.CharField(max_length=150)
    opened_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["alert_key"],
                condition=~Q(alert_key="") & ~Q(status="resolved"),
                name="incident_once_per_alert_while_open",
            ),
            models.CheckConstraint(condition=Q(severity__range=(1, 4)), name="incident_severity_from_1_to_4"),
            models.CheckConstraint(
                condition=Q(data_from__isnull=True) | Q(data_to__isnull=True) | Q(data_to__gte=F("data_from")),
                name="incident_data_range_in_order",
                violation_error_message="The last day of wrong data is before the first.",
            ),
        ]
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="incident_newest"),
            models.Index(fields=["status", "-started_at", "-id"], name="incident_by_status"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return link("incident-detail", self.pk)

    @property
    def is_open(self) -> bool:
        """Still doing harm, or not known to be right again."""
        return self.status != self.Status.RESOLVED

    @property
    def wrong_days(self) -> str:
        """First and last day of wrong data in words; empty where neither is known."""
        if not self.data_from and not self.data_to:
            return ""
        return f"{self.data_from or '?'} to {self.data_to or 'today'}"

    def answered_by(self) -> set[int | None]:
        """Owners who may change it: lead, participants, and who answers for what is hit. Two queries."""
        hit = self.hits.filter(owner__isnull=False, is_out=False).values_list("owner", flat=True)
        return {*self.people.values_list("owner", flat=True), *hit}


class IncidentPerson(models.Model):
    """Who works on an incident: one lead, any number of participants."""

    class Role(models.TextChoices):
        LEAD = "lead", "Lead"
        PARTICIPANT = "participant", "Participant"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="people")
    owner = models.ForeignKey(Owner, null=True, on_delete=models.SET_NULL, related_name="incidents")
    name = models.CharField(max_length=150)
    role = models.CharField(max_length=11, choices=Role.choices, default=Role.PARTICIPANT)

    class Meta:
        ordering = ["role", "name", "id"]  # the lead first
        constraints = [
            models.UniqueConstraint(fields=["incident", "owner"], name="incident_person_once"),
            models.UniqueConstraint(fields=["incident"], condition=Q(role="lead"), name="incident_one_lead"),
        ]

    def __str__(self) -> str:
        return self.name


class Hit(models.Model):
    """A thing that an incident hit: where it began (distance 0), or downstream of that.

    Lineage as of the start fills the list once; people add to it and cross out (`is_out`) what was not hit after all.
    """

    class Kind(models.TextChoices):
        TABLE = "table", "Table"
        COLUMN = "column", "Column"
        PIPELINE = "pipeline", "Pipeline"
        DASHBOARD = "dashboard", "Dashboard"
        OWNER = "owner", "Owner"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="hits")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    node = models.CharField(max_length=2000, help_text="Its node id then; of an owner, owner:<slug>")
    source = models.CharField(max_length=100, blank=True, help_text="Slug of its source")
    name = models.CharField(max_length=850, help_text="Of a column with its table's name before it")
    distance = models.PositiveSmallIntegerField(default=0, help_text="Hops downstream of where it began")
    table = models.ForeignKey(Table, null=True, on_delete=models.SET_NULL, related_name="hits")
    column = models.ForeignKey(Column, null=True, on_delete=models.SET_NULL, related_name="hits")
    pipeline = models.ForeignKey(Pipeline, null=True, on_delete=models.SET_NULL, related_name="hits")
    owner = models.ForeignKey(Owner, null=True, on_delete=models.SET_NULL, related_name="hits")
    added_by_name = models.CharField(max_length=150, blank=True, help_text="Empty where lineage says so")
    is_out = models.BooleanField(default=False, help_text="A person says that it was not hit")
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["distance", "name", "id"]
        constraints = [models.UniqueConstraint(fields=["incident", "node"], name="hit_once")]

    def __str__(self) -> str:
        return self.name


class TimelineEntry(models.Model):
    """Something that happened, in the course of an incident: told by a person, or noted from an event."""

    class Source(models.TextChoices):
        PERSON = "person", "Person"
        STATUS = "status", "Status"
        RUN = "run", "Run"
        CHECK = "check", "Check"
        SQL = "sql", "SQL changed"
        ALERT = "alert", "Alert"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="timeline")
    at = models.DateTimeField(default=timezone.now)
    text = models.TextField()
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.PERSON)
    is_pinned = models.BooleanField(default=False)
    link = models.CharField(max_length=1000, blank=True, help_text="Of what it speaks of, here or elsewhere")
    event = models.CharField(max_length=100, blank=True, help_text="The event it was made of, so that it is made once")
    by_name = models.CharField(max_length=150)
    noted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["incident", "event"], condition=~Q(event=""), name="timeline_event_once")
        ]

    def __str__(self) -> str:
        return self.text


class Attachment(models.Model):
    """A file kept with an incident, such as a log; always handed out as a download."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="attachments")
    name = models.CharField(max_length=200)
    content = models.BinaryField()
    size = models.PositiveIntegerField()
    by_name = models.CharField(max_length=150)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return link("attachment", self.incident_id, self.pk)


class PostMortem(models.Model):
    """The report on an incident: what happened, why, and what was learned. Its text lies in sections."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        IN_REVIEW = "in_review", "In review"
        PUBLISHED = "published", "Published"
        REOPENED = "reopened", "Reopened"

    EDITABLE = (State.DRAFT, State.REOPENED)

    incident = models.OneToOneField(Incident, on_delete=models.PROTECT, related_name="post_mortem")
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    author = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    author_name = models.CharField(max_length=150)
    reviewer = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    reviewer_name = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    published_at = models.DateTimeField(null=True, blank=True, help_text="The last time")

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["state", "-created_at", "-id"], name="post_mortem_by_state")]

    def __str__(self) -> str:
        return f"Post-mortem: {self.incident}"

    def get_absolute_url(self) -> str:
        return link("post-mortem-detail", self.pk)

    def answered_by(self) -> set[int | None]:
        """Who may change the incident may change its report. Two queries."""
        return self.incident.answered_by()


class Section(models.Model):
    """One section of a post-mortem, in Markdown. `revision` grows with each save, so that nobody overwrites unseen."""

    class Name(models.TextChoices):
        SUMMARY = "summary", "Summary"
        IMPACT = "impact", "Impact"
        TRIGGER = "trigger", "Trigger"
        ROOT_CAUSE = "root_cause", "Root cause"
        FACTORS = "factors", "Contributing factors"
        DETECTION = "detection", "Detection"
        RESOLUTION = "resolution", "Resolution"
        WENT_WELL = "went_well", "What went well"
        WENT_WRONG = "went_wrong", "What went wrong"
        LUCKY = "lucky", "Where we were lucky"

    post_mortem = models.ForeignKey(PostMortem, on_delete=models.CASCADE, related_name="sections")
    name = models.CharField(max_length=12, choices=Name.choices)
    position = models.PositiveSmallIntegerField()
    text = models.TextField(blank=True)
    revision = models.PositiveIntegerField(default=0)
    saved_by_name = models.CharField(max_length=150, blank=True)
    saved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["post_mortem", "name"], name="section_once")]

    def __str__(self) -> str:
        return f"{self.name} of {self.post_mortem_id}"


class Cause(models.Model):
    """A cause of an incident by code, as its post-mortem states it: at most one root cause, and what contributed."""

    class Code(models.TextChoices):
        BUG = "bug", "Bug"
        SOURCE_FORMAT = "source_format", "Source format"
        SOURCE_LATE = "source_late", "Source late"
        UNKNOWN_DEPENDENCY = "unknown_dependency", "Unknown dependency"
        SCHEMA_CHANGE = "schema_change", "Schema change"
        RERUN = "rerun", "Non-idempotent re-run"
        PARTIAL_WRITE = "partial_write", "Partial write"
        MANUAL_CHANGE = "manual_change", "Manual change"
        PERMISSION = "permission", "Permission"
        CAPACITY = "capacity", "Capacity"

    post_mortem = models.ForeignKey(PostMortem, on_delete=models.CASCADE, related_name="causes")
    code = models.CharField(max_length=20, choices=Code.choices)
    is_root = models.BooleanField(default=False)

    class Meta:
        ordering = ["-is_root", "code"]
        constraints = [
            models.UniqueConstraint(fields=["post_mortem", "code"], name="cause_once"),
            models.UniqueConstraint(fields=["post_mortem"], condition=Q(is_root=True), name="one_root_cause"),
        ]

    def __str__(self) -> str:
        return self.code


class PostMortemVersion(models.Model):
    """A post-mortem as it read at one moment: at each step, before somebody else goes on, and what did not go in."""

    post_mortem = models.ForeignKey(PostMortem, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)
    by_name = models.CharField(max_length=150)
    words = models.CharField(max_length=500, help_text="Why it was kept: published, sent to review, …")
    state = models.CharField(max_length=10, choices=PostMortem.State.choices)
    content = models.JSONField(help_text="{sections: {name: text}, root_cause: code, causes: [code]}")

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["post_mortem", "number"], name="version_number_once")]

    def __str__(self) -> str:
        return f"Version {self.number}"


class ActionItem(models.Model):
    """What was decided so that an incident does not come back. It outlives the incident, until done or dropped."""

    class Type(models.TextChoices):
        PREVENT = "prevent", "Prevent"
        DETECT = "detect", "Detect"
        MITIGATE = "mitigate", "Mitigate"
        PROCESS = "process", "Process"
        CLEAN_UP = "clean_up", "Clean up"

    class Priority(models.IntegerChoices):
        HIGH = 1, "High"
        MEDIUM = 2, "Medium"
        LOW = 3, "Low"

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        IN_PROGRESS = "in_progress", "In progress"
        DONE = "done", "Done"
        DROPPED = "dropped", "Dropped"

    class Proof(models.TextChoices):
        WORD = "", "Somebody's word"
        CHECK = "check", "A check that passes"
        BACKFILL = "backfill", "A backfill note on a pipeline"
        DELETION = "deletion", "A deletion review that is through"
        OWNER = "owner", "An owner on record"

    ENDED = (Status.DONE, Status.DROPPED)

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="action_items")
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    type = models.CharField(max_length=10, choices=Type.choices)
    owner = models.ForeignKey(Owner, null=True, on_delete=models.SET_NULL, related_name="action_items")
    owner_name = models.CharField(max_length=150)
    due = models.DateField()
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.MEDIUM)
    status = models.CharField(max_length=11, choices=Status.choices, default=Status.OPEN)
    ticket = models.URLField(max_length=500, blank=True, help_text="In another tool")
    proof = models.CharField(max_length=10, choices=Proof.choices, blank=True, default="")
    proof_words = models.CharField(max_length=500, blank=True, help_text="What proves it done, in words")
    proof_check = models.ForeignKey(Check, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    proof_table = models.ForeignKey(Table, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    proof_pipeline = models.ForeignKey(Pipeline, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    proof_role = models.CharField(max_length=10, choices=Ownership.Role.choices, blank=True, default="")
    proof_review = models.ForeignKey(DeletionReview, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    drop_reason = models.TextField(blank=True)
    created_by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by_name = models.CharField(max_length=150, blank=True)
    reminded_on = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ["due", "priority", "id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="dropped") | ~Q(drop_reason=""),
                name="dropped_with_a_reason",
                violation_error_message="Say why it is dropped.",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["done", "dropped"], ended_at__isnull=False)
                | Q(status__in=["open", "in_progress"], ended_at__isnull=True),
                name="ended_items_say_when",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "due", "id"], name="action_item_by_status"),
            models.Index(fields=["due", "priority", "id"], name="action_item_by_due"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return link("action-item-detail", self.pk)

    @property
    def is_open(self) -> bool:
        return self.status not in self.ENDED

    @property
    def is_overdue(self) -> bool:
        """Its day has passed and it is neither done nor dropped."""
        return self.is_open and self.due < dt.datetime.now(dt.UTC).date()

    def answered_by(self) -> set[int | None]:
        """Its owner, and who may change its incident. Two queries."""
        return {self.owner_id} | self.incident.answered_by()
