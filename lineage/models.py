"""HOW DATA FLOWS, as stored: SQL versions, table and column edges with the time they held, and problems.

An edge goes from source to target, with the data. It never changes except `valid_to`: the edges of a date are those
with `valid_from <= date < valid_to`. Current edges (`valid_to` empty) and ended ones have partial indexes of their own:
what has ended costs a question about today nothing, and a question about a date is answered from both.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from catalog.models import Column, Pipeline, Table

_CURRENT = Q(valid_to__isnull=True)
_ENDED = Q(valid_to__isnull=False)


class EdgeOrigin(models.TextChoices):
    """What an edge was read from."""

    SQL = "sql", "Parsed SQL"
    OPENLINEAGE = "openlineage", "Reported by the program that ran (OpenLineage)"
    DECLARED = "declared", "Declared by a person or a metadata file"


class GraphVersion(models.Model):
    """How often the edges have changed: one row, whose number every transaction that writes edges raises by one.

    A snapshot carries the number it was built at, and an answer the number it speaks of. `graph` tells this database's
    graph from any other that uses the same folder.
    """

    graph = models.UUIDField(default=uuid.uuid4, editable=False)
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.number)


class SqlVersion(models.Model):
    """One text of a pipeline's SQL, from first to last seen; `valid_to` is empty for the current one."""

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="sql_versions")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the SQL as stored")
    key = models.CharField(max_length=64, help_text="Digest of SQL, layout settings, engine version and schemas used")
    sql = models.TextField(help_text="The SQL after templates, secrets redacted; every line refers to it")
    dialect = models.CharField(max_length=30, blank=True)
    statements = models.PositiveIntegerField(default=0, help_text="Statements that can carry lineage")
    statements_read = models.PositiveIntegerField(default=0, help_text="Of those, the ones read without an error")
    columns_named = models.PositiveIntegerField(default=0, help_text="Columns that the SQL names")
    columns_found = models.PositiveIntegerField(default=0, help_text="Of those, the ones whose table is known for sure")
    practices = models.JSONField(default=dict, help_text="analysis.practices as read off this SQL")
    valid_from = models.DateTimeField(default=timezone.now)
    valid_to = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-valid_from", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["pipeline"], condition=_CURRENT, name="sql_version_one_current"),
        ]
        indexes = [models.Index(fields=["pipeline", "valid_from"], name="sql_version_by_time")]

    def __str__(self) -> str:
        return f"SQL of {self.pipeline_id} from {self.valid_from:%Y-%m-%d}"


class TableEdge(models.Model):
    """Data of `source_table` reaches `target_table` through `pipeline`.

    A pipeline that only reads (an export) has edges without a target, one that only writes (a raw ingest) edges
    without a source.
    """

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="table_edges", db_index=False)
    source_table = models.ForeignKey(
        Table, null=True, on_delete=models.CASCADE, related_name="edges_out", db_index=False
    )
    target_table = models.ForeignKey(
        Table, null=True, on_delete=models.CASCADE, related_name="edges_in", db_index=False
    )
    sql_version = models.ForeignKey(SqlVersion, null=True, on_delete=models.CASCADE, related_name="table_edges")
    origin = models.CharField(max_length=15, choices=EdgeOrigin.choices)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(source_table__isnull=False) | Q(target_table__isnull=False), name="table_edge_has_an_end"
            ),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gte=F("valid_from")), name="table_edge_times_in_order"
            ),
        ]
        indexes = [
            # A hop of a walk is answered from these alone, in order, without touching the rows. `valid_to` is always
            # empty in them, but SQLite takes them as covering only when they hold every column that it is asked.
            models.Index(
                fields=["source_table", "target_table", "pipeline", "valid_to"],
                condition=_CURRENT,
                name="table_edge_downstream",
            ),
            models.Index(
                fields=["target_table", "source_table", "pipeline", "valid_to"],
                condition=_CURRENT,
                name="table_edge_upstream",
            ),
            models.Index(
                fields=["pipeline", "source_table", "target_table", "valid_to"],
                condition=_CURRENT,
                name="table_edge_of_pipeline",
            ),
            models.Index(fields=["source_table"], condition=_ENDED, name="table_edge_downstream_ended"),
            models.Index(fields=["target_table"], condition=_ENDED, name="table_edge_upstream_ended"),
            models.Index(fields=["pipeline"], condition=_ENDED, name="table_edge_of_pipeline_ended"),
        ]

    def __str__(self) -> str:
        return f"{self.source_table_id} -> {self.target_table_id}"


class ColumnEdge(models.Model):
    """A column's data, or its influence, reaches a column or every row of `target_table`.

    `source_column` is empty for a star that could not be expanded; `target_column` is empty for an influence on every
    row (FILTER, JOIN, GROUP_BY, SORT) and for such a star.
    """

    class Kind(models.TextChoices):
        """OpenLineage's transformation subtypes."""

        IDENTITY = "IDENTITY", "Copied"
        TRANSFORMATION = "TRANSFORMATION", "Transformed"
        AGGREGATION = "AGGREGATION", "Aggregated"
        CONDITIONAL = "CONDITIONAL", "Decides (CASE, IF)"
        WINDOW = "WINDOW", "Window"
        FILTER = "FILTER", "Filters rows"
        JOIN = "JOIN", "Joins rows"
        GROUP_BY = "GROUP_BY", "Groups rows"
        SORT = "SORT", "Sorts rows"

    class Basis(models.TextChoices):
        """How sure the engine is of the source."""

        PARSED = "parsed", "Qualified in the SQL"
        SCHEMA = "schema", "Found through a known schema"
        ONLY_CANDIDATE = "only_candidate", "The only source in scope"
        REPORTED = "reported", "Reported by the program that ran"

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="column_edges")
    sql_version = models.ForeignKey(SqlVersion, null=True, on_delete=models.CASCADE, related_name="column_edges")
    source_table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="+", db_index=False)
    source_column = models.ForeignKey(Column, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    target_table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="+", db_index=False)
    target_column = models.ForeignKey(Column, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=15, choices=Kind.choices)
    basis = models.CharField(max_length=15, choices=Basis.choices)
    statement = models.PositiveIntegerField()
    path = models.CharField(max_length=500, null=True, help_text="The rest of a struct field's path")
    origin = models.CharField(max_length=15, choices=EdgeOrigin.choices)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # As above; those of rows begin with two columns, so that SQLite prefers them to an index of columns.
            models.Index(
                fields=["source_column", "target_column", "kind", "valid_to"],
                condition=_CURRENT,
                name="column_edge_downstream",
            ),
            models.Index(
                fields=["target_column", "source_column", "kind", "valid_to"],
                condition=_CURRENT,
                name="column_edge_upstream",
            ),
            models.Index(
                fields=["source_table", "source_column", "target_column", "kind", "valid_to"],
                condition=_CURRENT & Q(source_column__isnull=True),
                name="column_edge_from_rows",
            ),
            models.Index(
                fields=["target_table", "target_column", "source_column", "kind", "valid_to"],
                condition=_CURRENT & Q(target_column__isnull=True),
                name="column_edge_on_rows",
            ),
            models.Index(fields=["source_column"], condition=_ENDED, name="column_edge_downstream_ended"),
            models.Index(fields=["target_column"], condition=_ENDED, name="column_edge_upstream_ended"),
            models.Index(
                fields=["source_table"],
                condition=_ENDED & Q(source_column__isnull=True),
                name="column_edge_from_rows_ended",
            ),
            models.Index(
                fields=["target_table"],
                condition=_ENDED & Q(target_column__isnull=True),
                name="column_edge_on_rows_ended",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source_column_id} -> {self.target_column_id} ({self.kind})"


class Problem(models.Model):
    """What could not be read or resolved: an error is a statement or file not read, a warning a guess not made."""

    class Severity(models.TextChoices):
        ERROR = "error", "Error"
        WARNING = "warning", "Warning"

    pipeline = models.ForeignKey(Pipeline, null=True, on_delete=models.CASCADE, related_name="problems")
    scope = models.CharField(max_length=1000, help_text="The ingest that found it; its next run replaces it")
    path = models.CharField(max_length=1000, blank=True, help_text="File inside the repository")
    code = models.CharField(max_length=50)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    message = models.TextField()
    statement = models.PositiveIntegerField(null=True)
    line = models.PositiveIntegerField(null=True)
    found_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["severity", "path", "line", "id"]
        indexes = [
            models.Index(fields=["severity", "path", "id"], name="problem_worst_first"),
            models.Index(fields=["code", "id"], name="problem_by_code"),
            models.Index(fields=["scope", "path"], name="problem_of_file"),
        ]

    def __str__(self) -> str:
        return f"{self.code}: {self.message[:80]}"


class ImpactQuestion(models.Model):
    """Changes whose impact somebody asked for, too long for an address; `key` stands in it instead."""

    key = models.CharField(max_length=24, unique=True, help_text="Digest of the changes")
    changes = models.JSONField(help_text="As `lineage.planned` spells them, secrets redacted")
    asked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["asked_at"], name="impact_question_by_time")]

    def __str__(self) -> str:
        return self.key


class Mishap(models.Model):
    """That a table was not refreshed, a run failed or rows are wrong, as somebody declared it.

    What is downstream counts as stale or wrong until it is built again, in order (`lineage.standing`), or until
    somebody ends the mishap. Nothing else is stored.
    """

    verb = models.CharField(max_length=20, help_text="not_refreshed, run_failed or wrong_rows, as in lineage.planned")
    argument = models.CharField(max_length=100, blank=True, help_text="Since when, or of which days")
    table = models.ForeignKey(Table, null=True, on_delete=models.CASCADE, related_name="mishaps")
    column = models.ForeignKey(Column, null=True, on_delete=models.CASCADE, related_name="mishaps")
    pipeline = models.ForeignKey(Pipeline, null=True, on_delete=models.CASCADE, related_name="mishaps")
    declared_at = models.DateTimeField(default=timezone.now)
    declared_by = models.CharField(max_length=150, help_text="Name of the user")
    ended_at = models.DateTimeField(null=True, help_text="When all was right again, or somebody said so")
    ended_by = models.CharField(max_length=150, blank=True, help_text="Empty where all was built again")

    class Meta:
        ordering = ["-declared_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(table__isnull=False, column__isnull=True, pipeline__isnull=True)
                | Q(table__isnull=True, column__isnull=False, pipeline__isnull=True)
                | Q(table__isnull=True, column__isnull=True, pipeline__isnull=False),
                name="mishap_of_one_thing",
            )
        ]
        indexes = [
            models.Index(fields=["declared_at"], condition=Q(ended_at__isnull=True), name="mishap_open"),
            models.Index(fields=["-declared_at", "-id"], name="mishap_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.thing}"

    @property
    def thing(self) -> Table | Column | Pipeline:
        thing = self.table or self.column or self.pipeline
        assert thing is not None  # the constraint
        return thing
