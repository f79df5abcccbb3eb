"""WHO READS WHAT: reads per table, day and reader out of query logs, and what those logs do and do not cover.

No logged text is kept: queries are stored as fingerprints, which hold no literal and no comment. A name that a log
reads and the catalog does not know stays a name (`SeenName`); it becomes no table.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from catalog.models import Column, Owner, Pipeline, Source, Table


class Reader(models.Model):
    """Who asks, as the log of one source names them: a person, a service account, or a pipeline."""

    class Kind(models.TextChoices):
        HUMAN = "human", "Person"
        SERVICE = "service", "Service"
        PIPELINE = "pipeline", "Pipeline"
        UNKNOWN = "", "Not known"

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="readers")
    name = models.CharField(max_length=300, help_text="Empty for entries whose log names nobody")
    kind = models.CharField(max_length=10, choices=Kind.choices, blank=True, default=Kind.UNKNOWN)
    owner = models.ForeignKey(Owner, null=True, blank=True, on_delete=models.SET_NULL, related_name="readers")
    pipeline = models.ForeignKey(Pipeline, null=True, blank=True, on_delete=models.SET_NULL, related_name="readers")
    builds = models.ForeignKey(
        Table,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The only table that this account writes, by the log; empty for people and for who writes several",
    )

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["source", "name"], name="reader_once_per_source")]

    def __str__(self) -> str:
        return self.name or "(nobody named)"


class Read(models.Model):
    """Use of a table on a day by a reader: how many times, and the last of them. Failed queries are not among them."""

    table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="reads", db_index=False)
    day = models.DateField(help_text="In UTC")
    reader = models.ForeignKey(Reader, on_delete=models.PROTECT, related_name="reads", db_index=False)
    count = models.PositiveBigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ["-day", "-id"]
        constraints = [models.UniqueConstraint(fields=["table", "day", "reader"], name="read_once")]

    def __str__(self) -> str:
        return f"{self.table_id} on {self.day} by {self.reader_id}"


class ColumnRead(models.Model):
    """Use of a column that the query names, in a month by a reader: how many times, and on which days.

    A row per day would be ten times as many; `days` keeps the days as bits, the first of the month being bit 0.
    """

    column = models.ForeignKey(Column, on_delete=models.CASCADE, related_name="reads", db_index=False)
    month = models.DateField(help_text="Its first day, in UTC")
    reader = models.ForeignKey(Reader, on_delete=models.PROTECT, related_name="column_reads", db_index=False)
    count = models.PositiveBigIntegerField()
    days = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["column", "month", "reader"], name="column_read_once")]

    def __str__(self) -> str:
        return f"{self.column_id} in {self.month:%Y-%m} by {self.reader_id}"


class SeenName(models.Model):
    """A name that a log reads and the catalog does not know; once the catalog does, its reads move to the table."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="seen_names")
    name = models.CharField(max_length=500)

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["source", "name"], name="seen_name_once")]

    def __str__(self) -> str:
        return self.name


class SeenRead(models.Model):
    """Use of a name that the catalog does not know, on a day by a reader."""

    name = models.ForeignKey(SeenName, on_delete=models.CASCADE, related_name="reads", db_index=False)
    day = models.DateField(help_text="In UTC")
    reader = models.ForeignKey(Reader, on_delete=models.PROTECT, related_name="+", db_index=False)
    count = models.PositiveBigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "day", "reader"], name="seen_read_once")]

    def __str__(self) -> str:
        return f"{self.name_id} on {self.day} by {self.reader_id}"


class FailedRead(models.Model):
    """Queries that named a table and failed or were cancelled: no use, but a sign that somebody misses it.

    Kept by name, whether the catalog knows it or not, because a table in quarantine has two.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="failed_reads", db_index=False)
    name = models.CharField(max_length=500)
    table = models.ForeignKey(Table, null=True, on_delete=models.SET_NULL, related_name="failed_reads")
    day = models.DateField(help_text="In UTC")
    reader = models.ForeignKey(Reader, on_delete=models.PROTECT, related_name="+", db_index=False)
    count = models.PositiveBigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ["-day", "-id"]
        constraints = [models.UniqueConstraint(fields=["source", "name", "day", "reader"], name="failed_read_once")]

    def __str__(self) -> str:
        return f"{self.name} on {self.day} by {self.reader_id}"


class LoggedEdge(models.Model):
    """A query that writes: data of `source_name` reached `target_name`, as the log saw it.

    `source_name` is empty for a write that reads nothing. Pipelines' own runs are in here too; the edges that no
    stored lineage has are `queries.edges_only_in_log`.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="logged_edges", db_index=False)
    source_name = models.CharField(max_length=500, blank=True)
    target_name = models.CharField(max_length=500)
    source_table = models.ForeignKey(Table, null=True, on_delete=models.SET_NULL, related_name="logged_edges_out")
    target_table = models.ForeignKey(Table, null=True, on_delete=models.SET_NULL, related_name="logged_edges_in")
    reader = models.ForeignKey(Reader, on_delete=models.PROTECT, related_name="logged_edges")
    count = models.PositiveBigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ["-last_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["source", "target_name", "source_name", "reader"], name="logged_edge_once")
        ]

    def __str__(self) -> str:
        return f"{self.source_name} -> {self.target_name}"


class LogCoverage(models.Model):
    """What one import covers of a source: which channel (project, region, workspace, share), from when to when."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="log_coverage")
    channel = models.CharField(max_length=300, blank=True, help_text="Empty where the source has only one")
    covers_from = models.DateTimeField()
    covers_to = models.DateTimeField()
    format = models.CharField(max_length=20)
    entries = models.PositiveBigIntegerField(help_text="Entries of the period that were not counted before")
    unparsed = models.PositiveBigIntegerField(default=0, help_text="Of those, the ones whose SQL was not read, or cut")
    imported_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-covers_to", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(covers_to__gte=F("covers_from")), name="log_coverage_in_order"),
        ]
        indexes = [models.Index(fields=["source", "channel", "covers_from"], name="log_coverage_of_source")]

    def __str__(self) -> str:
        return f"{self.source_id} {self.channel} {self.covers_from:%Y-%m-%d} to {self.covers_to:%Y-%m-%d}"


class LoggedDay(models.Model):
    """A day of a source's log: how many entries may be use (neither failed nor a tool's), and which were counted.

    `counted` holds the sorted 64-bit digests of the entries' identities, eight bytes each, so that an overlapping
    file counts nothing twice.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="logged_days", db_index=False)
    day = models.DateField(help_text="In UTC")
    entries = models.PositiveBigIntegerField(default=0)
    unparsed = models.PositiveBigIntegerField(default=0)
    counted = models.BinaryField(default=bytes)

    class Meta:
        ordering = ["-day"]
        constraints = [models.UniqueConstraint(fields=["source", "day"], name="logged_day_once")]

    def __str__(self) -> str:
        return f"{self.source_id} on {self.day}"


class QueryFingerprint(models.Model):
    """A query without its literals and comments, and what was read off it: parsed once, remembered for all."""

    digest = models.CharField(max_length=64, help_text="SHA-256 of the text")
    dialect = models.CharField(max_length=30, blank=True)
    engine_version = models.PositiveIntegerField()
    text = models.TextField()
    reading = models.JSONField(help_text="tables, edges, columns: what `ingest.query_logs.Reading` holds")
    problem = models.TextField(blank=True, help_text="Why it could not be read whole; empty when it was")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["digest", "dialect", "engine_version"], name="query_fingerprint_once")
        ]

    def __str__(self) -> str:
        return self.text[:80]


class UnparsedQuery(models.Model):
    """Entries of a source's log whose SQL could not be read: they may name any table whose name is in the text."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="unparsed_queries", db_index=False)
    fingerprint = models.ForeignKey(QueryFingerprint, on_delete=models.CASCADE, related_name="unparsed")
    day = models.DateField(help_text="In UTC")
    count = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "fingerprint", "day"], name="unparsed_query_once")]

    def __str__(self) -> str:
        return f"{self.fingerprint_id} on {self.day}"


class Counter(models.Model):
    """A counter of a source that knows no times, as of its last snapshot: the next one shows what was added since."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=64, help_text="SHA-256 of what is counted")
    value = models.PositiveBigIntegerField()
    taken_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="counter_once")]

    def __str__(self) -> str:
        return f"{self.value} at {self.taken_at:%Y-%m-%d %H:%M}"
