"""How reads and usage are narrowed, over REST and on pages."""

from __future__ import annotations

from django_filters import CharFilter, DateFilter, FilterSet, NumberFilter

from audits.usage.models import Read, Reader
from catalog.filters import OneOf, choices_of
from catalog.models import Table


class ReadFilter(FilterSet):
    source = CharFilter(field_name="table__source__slug", label="Slug of a source")
    table = CharFilter(field_name="table__name", label="Dotted name of a table")
    table_id = NumberFilter(field_name="table", label="Number of a table")
    reader_kind = OneOf(choices_of(Reader.Kind), field_name="reader__kind")
    day_from = DateFilter(field_name="day", lookup_expr="gte")
    day_to = DateFilter(field_name="day", lookup_expr="lte")

    class Meta:
        model = Read
        fields: list[str] = []


class UsageFilter(FilterSet):
    q = CharFilter(field_name="name", lookup_expr="icontains", label="Part of the name")
    table = CharFilter(field_name="name", label="Dotted name of a table")
    source = CharFilter(field_name="source__slug", label="Slug of a source")

    class Meta:
        model = Table
        fields: list[str] = []
