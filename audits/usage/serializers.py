"""How usage reads as JSON, and how programs report reads."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from audits.usage.models import LogCoverage, Read, Reader
from audits.usage.queries import Usage
from audits.usage.services import StatedRead
from catalog.models import Source, Table

MOST_READS = 10_000


class ReadSerializer(serializers.ModelSerializer):
    """`context["named"]` holds the ids of the tables whose readers may be named to the person who asks."""

    url = serializers.URLField(read_only=True)
    table = serializers.CharField(help_text="Dotted name")
    source = serializers.CharField(help_text="Slug of the table's source")
    reader = serializers.CharField(allow_null=True, help_text="Shown to owners of the table and to stewards; else null")
    reader_kind = serializers.ChoiceField(choices=Reader.Kind.choices, allow_blank=True)

    class Meta:
        model = Read
        fields = ["id", "url", "table", "source", "day", "reader", "reader_kind", "count", "last_at"]

    def to_representation(self, read: Read) -> dict[str, Any]:
        return {
            "id": read.pk,
            "url": f"{self.context['url']}{read.pk}/",
            "table": read.table.name,
            "source": read.table.source.slug,
            "day": read.day,
            "reader": read.reader.name if read.table_id in self.context["named"] else None,
            "reader_kind": read.reader.kind,
            "count": read.count,
            "last_at": read.last_at,
        }


class StatedReadSerializer(serializers.Serializer):
    """One read, as a program saw it."""

    table = serializers.CharField(max_length=500, help_text="Full dotted name, as the source names it")
    at = serializers.DateTimeField(help_text="ISO 8601 with zone")
    reader = serializers.CharField(max_length=300, allow_blank=True, help_text="E-mail, account or pipeline")
    reader_kind = serializers.ChoiceField(choices=Reader.Kind.choices, required=False, default="", allow_blank=True)
    columns = serializers.ListField(
        child=serializers.CharField(max_length=300), required=False, default=list, max_length=2000
    )
    status = serializers.ChoiceField(choices=["success", "failed", "cancelled"], required=False, default="success")
    count = serializers.IntegerField(min_value=1, max_value=10**9, required=False, default=1)
    id = serializers.CharField(
        max_length=300,
        required=False,
        default="",
        allow_blank=True,
        help_text="The query's id: sent twice, it counts once",
    )

    def to_internal_value(self, data: Any) -> StatedRead:
        facts = super().to_internal_value(data)
        failed = facts.pop("status") != "success"
        return StatedRead(**facts | {"columns": tuple(facts["columns"]), "failed": failed})


class ReadBatchSerializer(serializers.Serializer):
    """Reads of one source, and the period that they cover where the program knows it."""

    source = serializers.SlugRelatedField(slug_field="slug", queryset=Source.objects.all())
    reads = StatedReadSerializer(many=True, max_length=MOST_READS)
    covers_from = serializers.DateTimeField(required=False, allow_null=True, default=None)
    covers_to = serializers.DateTimeField(required=False, allow_null=True, default=None)
    channel = serializers.CharField(
        max_length=300, required=False, default="", allow_blank=True, help_text="Project, region, workspace or share"
    )

    def validate(self, facts: dict[str, Any]) -> dict[str, Any]:
        begin, end = facts["covers_from"], facts["covers_to"]
        if (begin is None) != (end is None):
            raise serializers.ValidationError({"covers_to": ["Give covers_from and covers_to, or neither."]})
        if begin is not None and begin > end:
            raise serializers.ValidationError({"covers_to": ["It lies before covers_from."]})
        return facts

    @staticmethod
    def coverage(facts: dict[str, Any]) -> LogCoverage | None:
        """The period as a row, where it was given."""
        if facts["covers_from"] is None:
            return None
        keys = ("covers_from", "covers_to", "channel")
        return LogCoverage(format="rest", **{key: facts[key] for key in keys})


class RecordedSerializer(serializers.Serializer):
    counted = serializers.IntegerField(help_text="Reads that are counted now")
    known = serializers.IntegerField(help_text="Reads that were counted before")
    unmatched = serializers.ListField(child=serializers.CharField(), help_text="Names that no table here has")


class TableUseSerializer(serializers.ModelSerializer):
    """The use of a table in a line: of the last 90 days, but `last_read_at` of all time."""

    url = serializers.URLField(read_only=True)
    table = serializers.CharField(source="name", help_text="Dotted name")
    source = serializers.CharField(help_text="Slug of the table's source")
    last_read_at = serializers.DateTimeField(allow_null=True)
    reads = serializers.IntegerField(help_text="In the last 90 days")
    readers = serializers.IntegerField(help_text="In the last 90 days")

    class Meta:
        model = Table
        fields = ["id", "url", "table", "source", "last_read_at", "reads", "readers"]

    def to_representation(self, table: Table) -> dict[str, Any]:
        return {
            "id": table.pk,
            "url": f"{self.context['url']}{table.pk}/",
            "table": table.name,
            "source": table.source.slug,
            "last_read_at": table.last_read_at,  # type: ignore[attr-defined]
            "reads": table.reads_in_window or 0,  # type: ignore[attr-defined]
            "readers": table.readers_in_window or 0,  # type: ignore[attr-defined]
        }


class DayOfUseSerializer(serializers.Serializer):
    day = serializers.DateField()
    reads = serializers.IntegerField()
    readers = serializers.IntegerField()


class TopReaderSerializer(serializers.Serializer):
    label = serializers.CharField(help_text="A name, for owners of the table and stewards; for others a team")
    reader_kind = serializers.ChoiceField(choices=Reader.Kind.choices, allow_blank=True)
    readers = serializers.IntegerField()
    reads = serializers.IntegerField()
    last_day = serializers.DateField()


class ColumnUseSerializer(serializers.Serializer):
    column_id = serializers.IntegerField()
    name = serializers.CharField()
    reads = serializers.IntegerField()
    readers = serializers.IntegerField()
    last_day = serializers.DateField()


class UsageSerializer(serializers.Serializer):
    """The use of one table in full."""

    table = serializers.CharField(help_text="Dotted name")
    source = serializers.CharField(help_text="Slug of the table's source")
    since = serializers.DateField()
    until = serializers.DateField()
    last_read_at = serializers.DateTimeField(allow_null=True, help_text="Of all time")
    reads = serializers.IntegerField()
    readers = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Queries that named the table and failed")
    is_covered = serializers.BooleanField(help_text="Whether any log of the source is known; without, nothing is")
    by_day = DayOfUseSerializer(many=True)
    names_shown = serializers.BooleanField()
    top_readers = TopReaderSerializer(many=True)
    columns = ColumnUseSerializer(many=True)

    @staticmethod
    def of(table: Table, usage: Usage) -> dict[str, Any]:
        """Plain values, without a round through the fields."""
        return {
            "table": table.name,
            "source": table.source.slug,
            "since": usage.since,
            "until": usage.until,
            "last_read_at": usage.last_at,
            "reads": usage.reads,
            "readers": usage.readers,
            "failed": usage.failed,
            "is_covered": usage.is_covered,
            "by_day": [vars(day) for day in usage.by_day],
            "names_shown": usage.names_shown,
            "top_readers": [vars(reader) for reader in usage.top_readers],
            "columns": [vars(column) for column in usage.columns],
        }
