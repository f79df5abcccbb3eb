"""HOW FACTS ARRIVE, as stored: each run of an ingest, and each file it knows, so that unchanged ones are skipped."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from catalog.links import link
from catalog.models import Pipeline, Run, Table


class IngestRun(models.Model):
    """One run of an ingest: what, when, by whom, how far it is, and what came of it."""

    class Kind(models.TextChoices):
        REPO = "repo", "SQL repository"
        DBT = "dbt", "dbt project"
        QUERY_LOG = "query_log", "Query log"
        OPENLINEAGE = "openlineage", "OpenLineage events"
        CRAWL = "crawl", "Database crawl"
        CHECKS = "checks", "Checks"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        CANCELLING = "cancelling", "Being cancelled"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        INTERRUPTED = "interrupted", "Interrupted"

    UNDER_WAY = (State.WAITING, State.RUNNING, State.CANCELLING)
    RESUMABLE = (State.INTERRUPTED, State.FAILED, State.CANCELLED)

    kind = models.CharField(max_length=30, choices=Kind.choices)
    scope = models.CharField(max_length=1000, help_text="What it reads: a repository's name")
    state = models.CharField(max_length=15, choices=State.choices, default=State.RUNNING)
    actor_name = models.CharField(max_length=150)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    summary = models.JSONField(default=dict, help_text="The counts it ended with")
    error = models.TextField(blank=True)
    options = models.JSONField(default=dict, help_text="What it was told, so that it can be taken up again")
    step = models.CharField(max_length=100, blank=True, help_text="What it is doing")
    done = models.PositiveIntegerField(default=0, help_text="How much of the step is done")
    total = models.PositiveIntegerField(default=0, help_text="How much the step has")
    attempt = models.PositiveSmallIntegerField(default=1, help_text="How often it was begun")
    host = models.CharField(max_length=255, blank=True, help_text="The machine that works on it")
    seen_at = models.DateTimeField(null=True, blank=True, help_text="When it last said how far it is")

    class Meta:
        ordering = ["-started_at", "-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.scope}"

    def get_absolute_url(self) -> str:
        return link("ingest-run-detail", self.pk)

    @property
    def is_under_way(self) -> bool:
        return self.state in self.UNDER_WAY

    @property
    def is_resumable(self) -> bool:
        """Whether it ended early and says what it was told, so that it can go on."""
        return self.state in self.RESUMABLE and bool(self.options)


class IngestChunk(models.Model):
    """A part of an ingest's work on its way to a Celery worker, and the answers on their way back."""

    payload = models.BinaryField()
    answer = models.BinaryField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    taken_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"chunk {self.pk}"


class IngestUpload(models.Model):
    """A file that somebody sent for a run to read. It lies in the database, where any worker finds it, until read."""

    run = models.OneToOneField(IngestRun, on_delete=models.CASCADE, related_name="upload")
    name = models.CharField(max_length=255)
    data = models.BinaryField()

    def __str__(self) -> str:
        return self.name


class IngestedFile(models.Model):
    """A file of an ingest's scope as last read, so that it is skipped while nothing that bears on it changes.

    `digest` stands for its bytes under the settings, layout and engine it was read with; `key`, for SQL, also for the
    schemas that its analysis used. `columns` are those it gave to tables, for others that read them.
    """

    scope = models.CharField(max_length=1000)
    path = models.CharField(max_length=1000)
    digest = models.CharField(max_length=64)
    key = models.CharField(max_length=64, blank=True)
    columns = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "path"], name="ingested_file_once")]

    def __str__(self) -> str:
        return self.path


class ReportedJob(models.Model):
    """A job as OpenLineage events name it, and what they say of it together.

    `stamps` holds for each facet the time of its newest word and the digest of that, `facets` the word itself; those
    under @ are told by runs and datasets. `data` are the datasets (ids) that it now reads and writes.
    """

    namespace = models.CharField(max_length=500)
    name = models.CharField(max_length=2000)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="reported_jobs")
    stamps = models.JSONField(default=dict)
    facets = models.JSONField(default=dict)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["namespace", "name"]
        constraints = [models.UniqueConstraint(fields=["namespace", "name"], name="reported_job_once")]

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


class ReportedDataset(models.Model):
    """A dataset as OpenLineage events name it, and what they say of it together; several names can be one table.

    `stamps` and `facets` are as those of a job; the register @alias holds the name under which it is known instead.
    """

    namespace = models.CharField(max_length=500)
    name = models.CharField(max_length=2000)
    table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="reported_datasets")
    seen_at = models.BigIntegerField(default=0, help_text="The newest event that names it, in microseconds since 1970")
    stamps = models.JSONField(default=dict)
    facets = models.JSONField(default=dict)

    class Meta:
        ordering = ["namespace", "name"]
        constraints = [models.UniqueConstraint(fields=["namespace", "name"], name="reported_dataset_once")]

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


class ReportedRun(models.Model):
    """What OpenLineage events say of a run together; `state` is an `openlineage.merge.RunState`."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, primary_key=True, related_name="reported")
    state = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"run {self.run_id}"


class LineageEvent(models.Model):
    """One OpenLineage event as it came, but for secrets; equal events are one."""

    class Kind(models.TextChoices):
        RUN = "run", "Run"
        JOB = "job", "Job"
        DATASET = "dataset", "Dataset"

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of its JSON, keys sorted")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    event_type = models.CharField(max_length=8, blank=True, help_text="START, COMPLETE, … of a run's event")
    event_time = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)
    producer = models.CharField(max_length=500)
    job = models.ForeignKey(ReportedJob, null=True, on_delete=models.CASCADE, related_name="events")
    dataset = models.ForeignKey(ReportedDataset, null=True, on_delete=models.CASCADE, related_name="events")
    run_id = models.CharField(max_length=36, blank=True, db_index=True)
    body = models.TextField(help_text="The event's JSON, keys sorted")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_type} {self.event_time:%Y-%m-%d %H:%M:%S}"
