"""How lineage adds to the catalog's JSON, and how problems and SQL versions read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from catalog import serializers as catalog
from catalog.models import Table
from lineage.coverage import Coverage, coverage_of
from lineage.models import Problem, SqlVersion
from lineage.nodes import NodeId


class TablesField(serializers.ListField):
    """Tables by their node ids."""

    child = serializers.CharField(max_length=2000)

    def to_internal_value(self, data: Any) -> list[Table]:
        nodes = super().to_internal_value(data)
        try:
            wanted = [NodeId.parse(node) for node in nodes]
        except ValueError as error:
            raise serializers.ValidationError([str(error)]) from error
        tables = Table.objects.select_related("source").filter(name__in={node.name for node in wanted})
        found = {(table.source.slug, table.name): table for table in tables}
        missing = [text for text, node in zip(nodes, wanted, strict=True) if (node.source, node.name) not in found]
        if missing or any(node.kind != "table" for node in wanted):
            raise serializers.ValidationError([f"There is no table {node!r}." for node in missing or nodes])
        return [found[node.source, node.name] for node in wanted]


class PipelineSerializer(catalog.PipelineSerializer):
    """`context["tables"]` holds inputs and outputs, as node ids, by the pipeline's id."""

    inputs = serializers.ListField(child=serializers.CharField(), read_only=True, help_text="Tables it reads")
    outputs = serializers.ListField(child=serializers.CharField(), read_only=True, help_text="Tables it writes")
    declared_inputs = TablesField(required=False, help_text="Of its inputs, those stated without SQL")
    declared_outputs = TablesField(required=False, help_text="Of its outputs, those stated without SQL")

    made = (*catalog.PipelineSerializer.made, "inputs", "outputs", "declared_inputs", "declared_outputs")

    class Meta(catalog.PipelineSerializer.Meta):
        fields = [
            *catalog.PipelineSerializer.Meta.fields,
            *("inputs", "outputs", "declared_inputs", "declared_outputs"),
        ]

    def make(self, row: dict[str, Any]) -> dict[str, Any]:
        return super().make(row) | self.context["tables"][row["id"]]


class ProblemSerializer(catalog.RowSerializer):
    lookups = {"pipeline": "pipeline__name"}
    url = serializers.URLField(read_only=True)
    pipeline = serializers.CharField(allow_null=True, help_text="Name of the pipeline")

    class Meta:
        model = Problem
        fields = [
            *("id", "url", "pipeline", "scope", "path", "code", "severity", "message", "statement", "line", "found_at")
        ]


class SqlVersionSummarySerializer(catalog.RowSerializer):
    """All but the text, which can be long."""

    url = serializers.URLField(read_only=True)

    class Meta:
        model = SqlVersion
        fields = [
            *("id", "url", "digest", "dialect", "statements", "statements_read", "columns_named", "columns_found"),
            *("valid_from", "valid_to"),
        ]


class SqlVersionSerializer(SqlVersionSummarySerializer):
    class Meta(SqlVersionSummarySerializer.Meta):
        fields = [*SqlVersionSummarySerializer.Meta.fields, "practices", "sql"]


class FirstProblemSerializer(serializers.Serializer):
    """The worst problem of a pipeline, by severity, then line."""

    code = serializers.CharField()
    severity = serializers.CharField(help_text="error or warning")
    message = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)


class CountsSerializer(serializers.Serializer):
    """How much of some SQL was read; a share is from 0 to 1, null where there is nothing to read."""

    statements = serializers.IntegerField(help_text="Statements that can carry lineage")
    statements_read = serializers.IntegerField(help_text="Of those, the ones read without an error")
    share = serializers.FloatField(allow_null=True)
    columns_named = serializers.IntegerField(help_text="Columns that the SQL names")
    columns_found = serializers.IntegerField(help_text="Of those, the ones whose table is known for sure")
    column_share = serializers.FloatField(allow_null=True)


class SourceCountsSerializer(CountsSerializer):
    source = serializers.CharField(allow_null=True, help_text="Slug; null for all SQL together")


class CoverageSerializer(serializers.ModelSerializer):
    """Shows SQL versions of `coverage.with_first_problem`, under the ids of their pipelines."""

    url = serializers.URLField()
    pipeline = serializers.CharField(help_text="Name of the pipeline")
    share = serializers.FloatField(allow_null=True)
    column_share = serializers.FloatField(allow_null=True)
    first_problem = FirstProblemSerializer(allow_null=True)

    class Meta:
        model = SqlVersion
        fields = [
            *("id", "url", "pipeline", "statements", "statements_read", "share", "columns_named", "columns_found"),
            *("column_share", "first_problem"),
        ]

    def to_representation(self, version: SqlVersion) -> dict[str, Any]:
        names = ("code", "severity", "message", "line")
        problem = {name: getattr(version, f"first_{name}") for name in names}
        return {
            "id": version.pk,
            "url": f"{self.context['url']}{version.pk}/",
            "pipeline": version.pipeline.name,
            **counts(coverage_of(version)),
            "first_problem": problem if version.first_code else None,
        }


def counts(coverage: Coverage) -> dict[str, Any]:
    """A coverage for JSON."""
    return asdict(coverage) | {"share": coverage.share, "column_share": coverage.column_share}


class StepSerializer(serializers.Serializer):
    """One expression of a chain; `reads` names (relation, column), a table by its name in the SQL."""

    relation = serializers.CharField(help_text="The CTE, sub-query, temporary table or target that has the column")
    column = serializers.CharField()
    expression = serializers.CharField()
    start = serializers.IntegerField(help_text="Offset into the SQL version's text, in characters")
    end = serializers.IntegerField()
    line = serializers.IntegerField()
    reads = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))


class ExplanationSerializer(serializers.Serializer):
    """How one pipeline makes a column."""

    pipeline = serializers.CharField(source="version.pipeline.name")
    sql_version = serializers.IntegerField(source="version.pk")
    steps = StepSerializer(many=True, help_text="Sources first; empty when `why_not` says why")
    why_not = serializers.CharField()
