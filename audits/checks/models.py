"""WHETHER DATA IS AS IT SHOULD BE: checks on tables and pipelines, and their results over time."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from audits.checks.kinds import KINDS, Parameters, read_parameters
from catalog.links import link
from catalog.models import Owner, Pipeline, Source, Table


class State(models.TextChoices):
    """How a check stands. A failed check of severity warn is a warning; an error is a check that could not be run."""

    PASS = "pass", "Passes"
    WARN = "warn", "Warns"
    FAIL = "fail", "Fails"
    ERROR = "error", "Could not run"
    UNKNOWN = "unknown", "Not known yet"


WORST_FIRST = (State.FAIL, State.ERROR, State.WARN, State.UNKNOWN, State.PASS)


class Check(models.Model):
    """A rule that a table's data, or what a pipeline makes of its input, must meet."""

    class Kind(models.TextChoices):
        ROW_COUNT = "row_count", "Row count within bounds"
        ROW_COUNT_CHANGE = "row_count_change", "Row count against the last results"
        USUAL_ROW_COUNT = "usual_row_count", "Row count as usual on this weekday"
        IN_OUT_RATIO = "in_out_ratio", "Rows out for each row in"
        UNIQUE_KEY = "unique_key", "Unique key"
        DUPLICATE_ROWS = "duplicate_rows", "Duplicate rows"
        NOT_NULL = "not_null", "Not null"
        ACCEPTED_VALUES = "accepted_values", "Accepted values"
        REFERENTIAL = "referential", "Refers to what there is"
        FRESHNESS = "freshness", "Freshness"
        CUSTOM_SQL = "custom_sql", "Own SQL query"
        EXTERNAL = "external", "Measured elsewhere"

    class Severity(models.TextChoices):
        WARN = "warn", "Warn"
        FAIL = "fail", "Fail"

    class Origin(models.TextChoices):
        FORM = "form", "By form"
        REST = "rest", "Over REST"
        YAML = "yaml", "YAML file"
        PROPOSED = "proposed", "Proposed and accepted"
        DBT = "dbt", "dbt"
        OPENLINEAGE = "openlineage", "OpenLineage"
        SODA = "soda", "Soda"
        GREAT_EXPECTATIONS = "great_expectations", "Great Expectations"
        REPOSITORY = "repository", "SQL repository"

    MEASURED_ELSEWHERE = (Origin.DBT, Origin.OPENLINEAGE, Origin.SODA, Origin.GREAT_EXPECTATIONS, Origin.REPOSITORY)

    table = models.ForeignKey(Table, null=True, blank=True, on_delete=models.CASCADE, related_name="checks")
    pipeline = models.ForeignKey(Pipeline, null=True, blank=True, on_delete=models.CASCADE, related_name="checks")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    name = models.CharField(max_length=300, help_text="Its own among the checks of the same table or pipeline")
    parameters = models.JSONField(default=dict, help_text="See `audits.checks.kinds`")
    description = models.TextField(blank=True, help_text="What goes wrong if it fails")
    severity = models.CharField(max_length=4, choices=Severity.choices, default=Severity.FAIL)
    schedule = models.CharField(max_length=100, blank=True, help_text="Cron, in UTC; once a day if empty")
    owner = models.ForeignKey(Owner, null=True, blank=True, on_delete=models.SET_NULL, related_name="checks")
    origin = models.CharField(max_length=20, choices=Origin.choices, default=Origin.FORM)
    stated_in = models.CharField(max_length=1000, blank=True, help_text="The file or scope that states it, if one does")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    # Read off its results whenever one arrives, so that lists need not
    state = models.CharField(max_length=8, choices=State.choices, default=State.UNKNOWN)
    checked_at = models.DateTimeField(null=True, blank=True, help_text="When its latest result was measured")
    failing_since = models.DateTimeField(null=True, blank=True, help_text="Its first failure since it last passed")
    error_since = models.DateTimeField(
        null=True, blank=True, help_text="When it first could not be run since it last passed"
    )

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="in_out_ratio", pipeline__isnull=False, table__isnull=True)
                | (~Q(kind="in_out_ratio") & Q(pipeline__isnull=True, table__isnull=False))
                | Q(kind="external", pipeline__isnull=False, table__isnull=True),
                name="check_of_one_thing",
                violation_error_message="A check is of one table; in_out_ratio, and only it, is of a pipeline.",
            ),
            models.UniqueConstraint(
                fields=["table", "name"],
                name="check_name_once_per_table",
                violation_error_message="This table already has a check of this name.",
            ),
            models.UniqueConstraint(
                fields=["pipeline", "name"],
                name="check_name_once_per_pipeline",
                violation_error_message="This pipeline already has a check of this name.",
            ),
        ]
        indexes = [models.Index(fields=["state", "name", "id"], name="check_by_state")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return link("check-detail", self.pk)

    @property
    def thing(self) -> Table | Pipeline:
        """The table or pipeline that it is of."""
        thing = self.table or self.pipeline
        assert thing is not None  # noqa: S101 `check_of_one_thing`
        return thing

    @property
    def source(self) -> Source | None:
        """The source of its table; a pipeline has none."""
        return self.table.source if self.table else None

    @property
    def typed(self) -> Parameters:
        """Its parameters as a typed value; BadParameters where they are not of its kind."""
        return read_parameters(self.kind, self.parameters)

    @property
    def is_run_here(self) -> bool:
        """Whether Pipekeeper measures it; else results arrive from outside."""
        return self.kind != self.Kind.EXTERNAL and self.origin not in self.MEASURED_ELSEWHERE

    @property
    def unit(self) -> str:
        """What its figures count."""
        return KINDS[self.kind].unit


class CheckResult(models.Model):
    """What one measurement of a check came to. Reported twice under one `key`, it counts once."""

    check_of = models.ForeignKey(Check, on_delete=models.CASCADE, related_name="results")
    key = models.CharField(max_length=200, help_text="What tells it from the check's other results")
    at = models.DateTimeField(help_text="When it was measured")
    state = models.CharField(max_length=8, choices=State.choices)
    value = models.FloatField(null=True, blank=True, help_text="What was measured; empty where it could not be")
    low = models.FloatField(null=True, blank=True, help_text="The lower bound that was used")
    high = models.FloatField(null=True, blank=True, help_text="The upper bound that was used")
    words = models.TextField(blank=True, help_text="The same in a sentence, or why it could not be measured")
    sample = models.JSONField(default=list, help_text="Some offending keys, each a mapping; sensitive values masked")
    reported_by = models.CharField(max_length=150)
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["check_of", "key"], name="check_result_once")]
        indexes = [
            models.Index(fields=["check_of", "-at", "-id"], name="check_result_latest"),
            models.Index(fields=["-at", "-id"], name="check_result_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.check_of_id} {self.state} at {self.at:%Y-%m-%d %H:%M}"
