"""WHAT EXISTS: sources, tables, columns, pipelines, runs, owners, tags, and the history of what people edit.

A fact has one of two origins: a person stated it, or an ingest read it. A person's word wins; the ingested value is
kept beside it in `ingested`, so that the disagreement can be shown (`catalog.queries.disagreements`).
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, MinValueValidator, URLValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from catalog.addresses import validate_connection
from catalog.links import is_plain, link


def node_id(kind: str, *names: str) -> str:
    """How graphs and exports name a thing: its kind and names, each percent-encoded, with colons between."""
    return ":".join([kind, *(name if is_plain(name) else quote(name, safe="") for name in names)])


class Role(models.TextChoices):
    """What a person may do; see `catalog.policy`."""

    NONE = "", "No access"
    VIEWER = "viewer", "Viewer"
    EDITOR = "editor", "Editor"
    STEWARD = "steward", "Steward"
    ADMIN = "admin", "Admin"


class Origin(models.TextChoices):
    """Who says so."""

    PERSON = "person", "Stated by a person"
    INGEST = "ingest", "Read by an ingest"


class User(AbstractUser):
    """A person who signs in, with one role; `owner` ties them to the things they hold."""

    role = models.CharField(max_length=10, choices=Role.choices, blank=True, default=Role.NONE)
    owner = models.OneToOneField("Owner", null=True, blank=True, on_delete=models.SET_NULL, related_name="user")
    time_zone = models.CharField(max_length=64, blank=True, help_text="As Europe/Berlin; the browser's, if empty")


class ApiToken(models.Model):
    """A secret for programs, kept as a SHA-256 digest; it acts as its user, within its scope."""

    class Scope(models.TextChoices):
        READ = "read", "Read only"
        WRITE = "write", "Read and write"
        INGEST = "ingest", "Send OpenLineage events, nothing else"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.READ)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    """A word that groups pipelines and tables."""

    name = models.SlugField(max_length=100, unique=True)
    description = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Owner(models.Model):
    """A person or a team that answers for pipelines and tables."""

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        TEAM = "team", "Team"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        LEFT = "left", "Left"

    slug = models.SlugField(max_length=150, unique=True)
    name = models.CharField(max_length=150)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PERSON)
    email = models.EmailField(blank=True)
    team = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="members")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    stated_fields = models.JSONField(default=list, blank=True)
    ingested = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return link("owner-detail", self.slug)


class Source(models.Model):
    """A system that holds data."""

    class Storage(models.TextChoices):
        WAREHOUSE = "warehouse", "Warehouse"
        LAKE = "lake", "Lake"
        OPERATIONAL = "operational_database", "Operational database"
        WIDE_COLUMN = "wide_column", "Wide-column store"
        KEY_VALUE = "key_value_store", "Key-value store"
        CACHE = "cache", "Cache"
        SEARCH = "search_index", "Search index"
        STREAM = "stream", "Stream"
        FILES = "files", "Files"
        DASHBOARD = "dashboard", "Dashboards"

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=150)
    platform = models.CharField(max_length=50, help_text="The product: bigquery, postgres, kafka, …")
    storage = models.CharField(max_length=30, choices=Storage.choices, default=Storage.WAREHOUSE)
    dialect = models.CharField(max_length=30, blank=True, help_text="sqlglot's name of its SQL, if it speaks SQL")
    description = models.TextField(blank=True)
    connection = models.CharField(
        max_length=255,
        blank=True,
        validators=[validate_connection],
        help_text="Environment variable or secret file that holds its address; never the address itself",
    )
    crawled_at = models.DateTimeField(null=True, blank=True, help_text="When a crawl last saw all of it")
    namespaces = models.JSONField(
        default=list, blank=True, help_text="OpenLineage's names of it, such as postgres://db:5432"
    )
    stated_fields = models.JSONField(default=list, blank=True)
    ingested = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return link("source-detail", self.slug)


class Table(models.Model):
    """Anything in a source that holds rows or documents."""

    class Kind(models.TextChoices):
        TABLE = "table", "Table"
        VIEW = "view", "View"
        MATERIALIZED_VIEW = "materialized_view", "Materialized view"
        EXTERNAL = "external_table", "External table"
        TOPIC = "topic", "Topic"
        INDEX = "index", "Index"
        KEY_SPACE = "key_space", "Key space"
        FILES = "files", "Files"
        DASHBOARD = "dashboard", "Dashboard"

    class Provenance(models.TextChoices):
        UNKNOWN = "", "Not stated"
        ORIGINAL = "original", "Original: nothing can build it again"
        REBUILDABLE = "rebuildable", "Rebuildable from its inputs"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        DEPRECATED = "deprecated", "Deprecated"
        RETIRED = "retired", "Retired"

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="tables")
    name = models.CharField(max_length=500, help_text="Dotted, as the source names it: database.schema.table")
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.TABLE)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.ACTIVE)
    description = models.TextField(blank=True)
    provenance = models.CharField(max_length=12, choices=Provenance.choices, blank=True, default="")
    retention_days = models.PositiveIntegerField(null=True, blank=True)
    keep_forever = models.BooleanField(default=False)
    row_count = models.BigIntegerField(null=True, blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    source_created_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it was made in its source, as the source states; never when first heard of",
    )
    crawled_at = models.DateTimeField(null=True, blank=True, help_text="When a crawl of its source last saw it there")
    tags = models.ManyToManyField(Tag, blank=True, related_name="tables")
    stated_fields = models.JSONField(default=list, blank=True)
    ingested = models.JSONField(default=dict, blank=True)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.PERSON)
    stated_in = models.CharField(max_length=1000, blank=True, help_text="The ingest scope that states it, if one does")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "name"],
                name="table_once_per_source",
                violation_error_message="This source already has a table of this name.",
            ),
            models.CheckConstraint(
                condition=Q(keep_forever=False) | Q(retention_days__isnull=True),
                name="retention_or_forever",
                violation_error_message="Keep it for a number of days or forever, not both.",
            ),
        ]
        indexes = [
            models.Index(fields=["name", "id"], name="table_by_name"),
            models.Index(fields=["kind", "name", "id"], name="table_by_kind"),
            models.Index(fields=["status", "name", "id"], name="table_by_status"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return link("table-detail", self.source.slug, self.name)

    @property
    def node(self) -> str:
        """Its node id; reads `source`, so select it along."""
        return node_id("table", self.source.slug, self.name)


class Column(models.Model):
    """A column of a table; names are normalised by the source's dialect."""

    table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="columns")
    name = models.CharField(max_length=300)
    position = models.PositiveIntegerField(null=True, blank=True, help_text="1-based; empty where only SQL names it")
    type = models.CharField(max_length=1000, blank=True)
    description = models.TextField(blank=True)
    is_primary_key = models.BooleanField(default=False)
    is_sensitive = models.BooleanField(
        default=False, db_default=False, help_text="Its values are masked wherever samples are shown"
    )
    stated_fields = models.JSONField(default=list, blank=True)
    ingested = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["position", "name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["table", "name"],
                name="column_once_per_table",
                violation_error_message="This table already has a column of this name.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return link("column-detail", self.table.source.slug, self.table.name, self.pk)

    @property
    def node(self) -> str:
        """Its node id; reads the table and its source."""
        return node_id("column", self.table.source.slug, self.table.name, self.name)


class SchemaChange(models.Model):
    """A change of a known table's columns, as an ingest or a crawl found it; the names outlive the columns."""

    class Change(models.TextChoices):
        ADDED = "added", "Added"
        DROPPED = "dropped", "Dropped"
        RENAMED = "renamed", "Renamed"
        RETYPED = "retyped", "Retyped"

    table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="schema_changes")
    at = models.DateTimeField(default=timezone.now, help_text="When it was found")
    change = models.CharField(max_length=10, choices=Change.choices)
    column = models.CharField(max_length=300, help_text="Its name; after a renaming the new one")
    before = models.CharField(max_length=1000, blank=True, help_text="The type, or the name, that it had")
    after = models.CharField(max_length=1000, blank=True, help_text="The type, or the name, that it has")

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["table", "-at", "-id"], name="schema_change_of_table"),
            models.Index(fields=["-at", "-id"], name="schema_change_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.column} {self.change}"


class Pipeline(models.Model):
    """Code that moves or makes data, on a schedule (OpenLineage: job)."""

    class Kind(models.TextChoices):
        UNKNOWN = "", "Not known"
        RAW_INGEST = "raw_ingest", "Raw ingest (ETL)"
        SUMMARY = "summary", "Summary (ELT)"
        AB_TEST = "ab_test", "A/B-test analysis"
        EXPORT = "production_export", "Production export"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        PAUSED = "paused", "Paused"
        DEPRECATED = "deprecated", "Deprecated"
        RETIRED = "retired", "Retired"

    class LoadStrategy(models.TextChoices):
        UNKNOWN = "", "Not stated"
        FULL_REFRESH = "full_refresh", "Full refresh"
        INCREMENTAL = "incremental", "Incremental"
        APPEND = "append", "Append"
        MERGE = "merge", "Merge"

    name = models.CharField(max_length=500, unique=True)
    kind = models.CharField(max_length=20, choices=Kind.choices, blank=True, default="")
    kind_is_inferred = models.BooleanField(default=False)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.ACTIVE)
    description = models.TextField(blank=True)
    schedule = models.CharField(max_length=100, blank=True, help_text="Cron or the orchestrator's own words")
    orchestrator = models.CharField(max_length=50, blank=True)
    dag = models.CharField(max_length=250, blank=True)
    repository_path = models.CharField(max_length=1000, blank=True)
    tier = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(4)],
        help_text="Criticality: 1 is the most critical",
    )
    load_strategy = models.CharField(max_length=15, choices=LoadStrategy.choices, blank=True, default="")
    catchup = models.BooleanField(
        null=True, blank=True, help_text="Whether its scheduler runs by itself the dates that it missed"
    )
    backfill = models.TextField(blank=True, help_text="How to run it again for a range of dates")
    tags = models.ManyToManyField(Tag, blank=True, related_name="pipelines")
    stated_fields = models.JSONField(default=list, blank=True)
    ingested = models.JSONField(default=dict, blank=True)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.PERSON)
    stated_in = models.CharField(max_length=1000, blank=True, help_text="The ingest scope that states it, if one does")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(tier__isnull=True) | Q(tier__range=(1, 4)), name="tier_from_1_to_4")
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return link("pipeline-detail", self.name)

    @property
    def node(self) -> str:
        return node_id("pipeline", self.name)


class Ownership(models.Model):
    """That an owner answers for one pipeline or one table, as its business or its technical owner.

    Where a person has stated owners of a role, those are the owners; what an ingest read is kept beside them.
    """

    class Role(models.TextChoices):
        BUSINESS = "business", "Business owner"
        TECHNICAL = "technical", "Technical owner"

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="ownerships")
    role = models.CharField(max_length=10, choices=Role.choices)
    pipeline = models.ForeignKey(Pipeline, null=True, blank=True, on_delete=models.CASCADE, related_name="ownerships")
    table = models.ForeignKey(Table, null=True, blank=True, on_delete=models.CASCADE, related_name="ownerships")
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.PERSON)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(pipeline__isnull=True, table__isnull=False) | Q(pipeline__isnull=False, table__isnull=True),
                name="ownership_of_one_thing",
            ),
            models.UniqueConstraint(
                fields=["pipeline", "role", "owner", "origin"],
                condition=Q(pipeline__isnull=False),
                name="pipeline_owner_once",
            ),
            models.UniqueConstraint(
                fields=["table", "role", "owner", "origin"],
                condition=Q(table__isnull=False),
                name="table_owner_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.owner} ({self.role})"


class Run(models.Model):
    """One execution of a pipeline."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        ABORTED = "aborted", "Aborted"

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="runs")
    external_id = models.CharField(max_length=200, help_text="The orchestrator's id of the run")
    state = models.CharField(max_length=10, choices=State.choices)
    nominal_at = models.DateTimeField(null=True, blank=True, help_text="The logical date it ran for")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    rows_in = models.BigIntegerField(null=True, blank=True)
    rows_out = models.BigIntegerField(null=True, blank=True)
    error = models.TextField(blank=True)
    parent_id = models.CharField(
        max_length=200, blank=True, help_text="The orchestrator's id of the run that this one is a part of"
    )

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "external_id"], name="run_once_per_pipeline"),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=models.F("started_at")),
                name="run_ends_after_start",
                violation_error_message="A run cannot end before it starts.",
            ),
        ]
        indexes = [
            models.Index(fields=["pipeline", "-started_at", "-id"], name="run_latest"),
            models.Index(fields=["-started_at", "-id"], name="run_newest"),
            models.Index(fields=["-started_at", "pipeline"], condition=Q(state="failed"), name="run_failed"),
            models.Index(fields=["parent_id"], condition=~Q(parent_id=""), name="run_of_parent"),
            models.Index(fields=["external_id"], name="run_by_external_id"),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline_id}/{self.external_id}"


class HistoryEntry(models.Model):
    """Who changed what, when, from what to what. The names stay readable when the things are gone."""

    at = models.DateTimeField(default=timezone.now)
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=30)
    noun = models.CharField(max_length=30)
    object_id = models.BigIntegerField()
    object_name = models.CharField(max_length=500)
    before: Any = models.JSONField(default=dict)
    after: Any = models.JSONField(default=dict)
    act = models.CharField(max_length=32, blank=True, db_index=True, help_text="What one click did has one")
    undo: Any = models.JSONField(null=True, help_text="How it is taken back, if it can be")

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["noun", "object_id", "-at"], name="history_of_object")]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.noun} {self.object_name}"


class Webhook(models.Model):
    """Where notices go besides e-mail: an address of another program, which we post to, signed."""

    class Shape(models.TextChoices):
        PLAIN = "plain", "Pipekeeper's own"
        SLACK = "slack", "Slack's"

    name = models.CharField(max_length=100, unique=True)
    url = models.URLField(max_length=1000, validators=[URLValidator(schemes=["http", "https"])])
    shape = models.CharField(max_length=5, choices=Shape.choices, default=Shape.PLAIN)
    events = models.JSONField(default=list, blank=True, help_text="Names of the events it wants; empty: all of them")
    is_active = models.BooleanField(default=True)
    key = models.UUIDField(default=uuid.uuid4, editable=False, help_text="What its secret is derived from")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class OutgoingMessage(models.Model):
    """A mail or a post to a webhook, written with the change that it tells of; `send_notices` sends it."""

    event = models.CharField(max_length=40)
    mail_to = models.EmailField(blank=True)
    webhook = models.ForeignKey(Webhook, null=True, on_delete=models.CASCADE, related_name="messages")
    subject = models.CharField(max_length=300)
    body = models.TextField(help_text="The mail's text, or the JSON that is posted")
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(
        null=True, default=timezone.now, help_text="Empty once it is sent or given up"
    )
    sent_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(mail_to="", webhook__isnull=False) | (~Q(mail_to="") & Q(webhook__isnull=True)),
                name="message_goes_to_one_place",
            )
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="message_due"),
            models.Index(fields=["-created_at", "-id"], name="message_newest"),
        ]

    def __str__(self) -> str:
        return self.subject


class SearchDocument(models.Model):
    """One thing as search knows it, written by `catalog.search_index` and derived from the rest of the catalog.

    `words` holds what the databases' full-text indexes hold (see `catalog.search_index`); migrations make these
    indexes by hand, and on SQLite triggers keep them.
    """

    kind = models.CharField(max_length=20, help_text="Its noun: table, pipeline, owner, …")
    object_id = models.BigIntegerField()
    name = models.CharField(max_length=500)
    slug = models.CharField(max_length=150, blank=True, help_text="What its address needs beside the name")
    key = models.CharField(max_length=500, help_text="The name without capitals and accents")
    last_part = models.CharField(max_length=500, help_text="What stands behind the key's last dot")
    description = models.TextField(blank=True)
    columns = models.TextField(blank=True, help_text="Names of its columns, one a line")
    text = models.TextField(blank=True, help_text="SQL, or whatever else it says at length")
    words = models.TextField()
    facets = models.JSONField(default=dict)
    use = models.BigIntegerField(default=0, help_text="Reads of late")
    fresh_on = models.DateField(null=True, help_text="When it was last run or built")
    digest = models.CharField(max_length=32, help_text="Of all the above, so that what is the same is not written")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "object_id"], name="search_document_once")]
        indexes = [
            models.Index(fields=["key", "-use"], name="search_by_key"),
            models.Index(fields=["last_part", "-use"], name="search_by_last_part"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class SearchVariant(models.Model):
    """A word of some name, by one of its variants (`catalog.words.variants`): how a misspelt word finds it."""

    variant = models.CharField(max_length=20)
    word = models.CharField(max_length=20)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["variant", "word"], name="search_variant_once")]

    def __str__(self) -> str:
        return f"{self.variant} of {self.word}"


class SavedView(models.Model):
    """A list as somebody narrowed it, under a name; others see it if it is shared."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    page = models.CharField(max_length=50, help_text="Name of the list's route")
    name = models.CharField(max_length=80)
    query = models.CharField(max_length=2000, help_text="The filters, as they stand in the address")
    is_shared = models.BooleanField(default=False)

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["user", "page", "name"], name="saved_view_once")]

    def __str__(self) -> str:
        return self.name
