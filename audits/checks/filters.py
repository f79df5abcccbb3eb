"""How checks and their results are narrowed, the same for pages and REST."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import CharFilter, FilterSet, NumberFilter

from audits.checks.models import Check, CheckResult, State
from catalog.filters import Moment, OneOf, YesNoFilter
from catalog.models import Table
from lineage.filters import TableFilter


class CheckFilter(FilterSet):
    q = CharFilter(method="search", label="Part of its name, or of its table's or pipeline's")
    source = CharFilter(field_name="table__source__slug", label="Slug of its table's source")
    table = CharFilter(field_name="table__name", label="Dotted name of its table")
    pipeline = CharFilter(field_name="pipeline__name", label="Name of its pipeline")
    kind = OneOf(Check.Kind.choices)
    state = OneOf(State.choices)
    severity = OneOf(Check.Severity.choices)
    origin = OneOf(Check.Origin.choices)
    owner = CharFilter(method="held_by", label="Slug of its owner, or of an owner of its table or what builds that")
    is_active = YesNoFilter()

    class Meta:
        model = Check
        fields: list[str] = []

    def search(self, checks: QuerySet, _: str, text: str) -> QuerySet:
        return (
            checks.filter(name__icontains=text)
            | checks.filter(table__name__icontains=text)
            | checks.filter(pipeline__name__icontains=text)
        )

    def held_by(self, checks: QuerySet, _: str, slug: str) -> QuerySet:
        tables = TableFilter({"owner": slug}, Table.objects.order_by()).qs.values("pk")
        return checks.filter(owner__slug=slug) | checks.filter(owner__isnull=True, table__in=tables)


class CheckResultFilter(FilterSet):
    check = NumberFilter(field_name="check_of", label="Number of its check")
    source = CharFilter(field_name="check_of__table__source__slug", label="Slug of the source of its check's table")
    table = CharFilter(field_name="check_of__table__name", label="Dotted name of its check's table")
    state = OneOf(State.choices)
    since = Moment(field_name="at", lookup_expr="gte", label="Measured at or after")
    until = Moment(field_name="at", lookup_expr="lt", label="Measured before")

    class Meta:
        model = CheckResult
        fields: list[str] = []
