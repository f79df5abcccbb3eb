"""How verdicts and deletion reviews are narrowed, the same for pages and REST."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import CharFilter, FilterSet

from audits.deletion.models import DeletionReview, Verdict
from catalog.filters import OneOf, YesNoFilter
from catalog.models import Table
from lineage.filters import TableFilter

NO_REVIEW = ("none", "In no open review")


class VerdictFilter(FilterSet):
    q = CharFilter(field_name="table__name", lookup_expr="icontains", label="Part of the table's name")
    table = CharFilter(field_name="table__name", label="Dotted name of the table")
    source = CharFilter(field_name="table__source__slug", label="Slug of a source")
    verdict = OneOf(Verdict.Word.choices)
    is_proposed = YesNoFilter()
    owner = CharFilter(method="held_by", label="Slug of an owner of the table, or of what builds it")
    state = OneOf([NO_REVIEW, *DeletionReview.State.choices], method="in_review", label="State of its review")

    class Meta:
        model = Verdict
        fields: list[str] = []

    def held_by(self, verdicts: QuerySet, _: str, slug: str) -> QuerySet:
        return verdicts.filter(table__in=TableFilter({"owner": slug}, Table.objects.order_by()).qs.values("pk"))

    def in_review(self, verdicts: QuerySet, _: str, state: str) -> QuerySet:
        reviews = DeletionReview.objects.order_by()
        if state != NO_REVIEW[0]:
            return verdicts.filter(table__in=reviews.filter(state=state).values("tables__table"))
        still_open = reviews.exclude(state__in=DeletionReview.ENDED).filter(tables__isnull=False)
        return verdicts.exclude(table__in=still_open.values("tables__table"))


class DeletionReviewFilter(FilterSet):
    state = OneOf(DeletionReview.State.choices)
    source = CharFilter(method="of_source", label="Slug of a source of its tables")
    table = CharFilter(method="of_table", label="Dotted name of one of its tables")
    owner = CharFilter(method="of_owner", label="Slug of an owner who was asked")

    class Meta:
        model = DeletionReview
        fields: list[str] = []

    def of_source(self, reviews: QuerySet, _: str, slug: str) -> QuerySet:
        return reviews.filter(tables__table__source__slug=slug).distinct()

    def of_table(self, reviews: QuerySet, _: str, name: str) -> QuerySet:
        return reviews.filter(tables__table__name=name).distinct()

    def of_owner(self, reviews: QuerySet, _: str, slug: str) -> QuerySet:
        return reviews.filter(notices__owner__slug=slug).distinct()
