"""HOW FACTS ARRIVE, as stored: each run of an ingest, and each file it knows, so that unchanged ones are skipped."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class IngestRun(models.Model):
    """One run of an ingest: what, when, by whom, and what came of it."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    kind = models.CharField(max_length=30, help_text="repo, …")
    scope = models.CharField(max_length=1000, help_text="What it reads: a repository's name")
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    actor_name = models.CharField(max_length=150)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    summary = models.JSONField(default=dict, help_text="The counts it ended with")
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-started_at", "-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.scope}"


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
