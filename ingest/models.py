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
    """A file of an ingest's scope as last read: the key that lets it be skipped, and the things it states."""

    scope = models.CharField(max_length=1000)
    path = models.CharField(max_length=1000)
    key = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "path"], name="ingested_file_once")]

    def __str__(self) -> str:
        return self.path
