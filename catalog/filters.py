"""How lists are narrowed, one filter set per noun, the same for pages and REST.

Parameters are named by nouns: `?source=warehouse&owner=finance&role=business`. `q` finds a part of a name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django_filters import CharFilter, ChoiceFilter, FilterSet, IsoDateTimeFilter
from django_filters.fields import IsoDateTimeField

from catalog.models import Column, Owner, Ownership, Pipeline, Run, SchemaChange, Source, Table, Tag
from catalog.queries import ownerships_in_force


def choices_of(choices: Any) -> list[tuple[str, str]]:
    """A model's choices without the empty one, which a filter cannot ask for."""
    return [(value, label) for value, label in choices.choices if value]


class OneOf(ChoiceFilter):
    """A choice whose refusal names what would do."""

    def __init__(self, choices: Iterable[tuple[str, str]], **options: Any) -> None:
        pairs = list(choices)
        refusal = f"Not one of: {', '.join(value for value, _ in pairs)}."
        super().__init__(choices=pairs, error_messages={"invalid_choice": refusal}, **options)


class YesNoFilter(OneOf):
    """`true` or `false`; anything else is refused, where django-filter's own would let it pass unfiltered."""

    def __init__(self, **options: Any) -> None:
        super().__init__([("true", "Yes"), ("false", "No")], **options)

    def filter(self, queryset: QuerySet, value: str) -> QuerySet:
        return super().filter(queryset, value == "true" if value and not self.method else value)


class MomentField(IsoDateTimeField):
    """A date and time in UTC: PostgreSQL takes offsets up to 16 hours only, ISO 8601 up to 24."""

    def to_python(self, value: Any) -> dt.datetime | None:
        moment = super().to_python(value)
        try:
            return moment and moment.astimezone(dt.UTC)
        except OverflowError as error:
            raise ValidationError("No moment between the years 1 and 9999.") from error


class Moment(IsoDateTimeFilter):
    """A date and time, in whatever zone it is written."""

    field_class = MomentField


class SourceFilter(FilterSet):
    q = CharFilter(method="search", label="Part of the name, slug or platform")
    platform = CharFilter()
    storage = OneOf(Source.Storage.choices)

    class Meta:
        model = Source
        fields: list[str] = []

    def search(self, sources: QuerySet, _: str, text: str) -> QuerySet:
        return sources.filter(Q(name__icontains=text) | Q(slug__icontains=text) | Q(platform__icontains=text))


class OwnedFilter(FilterSet):
    """What tables and pipelines share: their owners, in either role or in `role`, and their tags."""

    q = CharFilter(field_name="name", lookup_expr="icontains", label="Part of the name")
    name = CharFilter(label="The whole name")
    owner = CharFilter(method="held_by", label="Slug of an owner")
    role = OneOf(Ownership.Role.choices, method="held_in_role", label="Role of the owner")
    has_owner = YesNoFilter(method="held_by_anybody", label="Has an owner, in `role` where given")
    tag = CharFilter(field_name="tags__name", label="Name of a tag")

    def held_by(self, things: QuerySet, _: str, slug: str) -> QuerySet:
        role = self.form.cleaned_data.get("role")
        return things.filter(any_of(self.held(each, slug) for each in ([role] if role else Ownership.Role.values)))

    def held_in_role(self, things: QuerySet, _: str, role: str) -> QuerySet:
        """`role` alone asks for things with any owner in it; else it narrows `owner` and `has_owner`."""
        asked = self.form.cleaned_data
        return things if asked.get("owner") or asked.get("has_owner") else things.filter(self.owned(role=role))

    def held_by_anybody(self, things: QuerySet, _: str, answer: str) -> QuerySet:
        role = self.form.cleaned_data.get("role")
        owned = self.owned(role=role) if role else self.owned()
        return things.filter(owned if answer == "true" else ~owned)

    def held(self, role: str, slug: str) -> Q:
        """Things that the owner answers for in `role`, found from the owner's side, who holds few of many."""
        noun = self._meta.model._meta.model_name
        return Q(pk__in=ownerships_in_force(noun, role=role, owner__slug=slug).values(noun))

    def owned(self, **wanted: Any) -> Q:
        """Things with any such owner: where one is on record at all, one is in force."""
        return Q(Exists(Ownership.objects.filter(**{self._meta.model._meta.model_name: OuterRef("pk")}, **wanted)))


class TableFilter(OwnedFilter):
    source = CharFilter(field_name="source__slug", label="Slug of a source")
    kind = OneOf(Table.Kind.choices)
    status = OneOf(Table.Status.choices)
    provenance = OneOf(choices_of(Table.Provenance))

    class Meta:
        model = Table
        fields: list[str] = []


class PipelineFilter(OwnedFilter):
    kind = OneOf(choices_of(Pipeline.Kind))
    status = OneOf(Pipeline.Status.choices)
    tier = OneOf([(str(tier), str(tier)) for tier in range(1, 5)], label="Criticality, 1 to 4")
    load_strategy = OneOf(choices_of(Pipeline.LoadStrategy))
    orchestrator = CharFilter()
    dag = CharFilter()

    class Meta:
        model = Pipeline
        fields: list[str] = []


class ColumnFilter(FilterSet):
    q = CharFilter(field_name="name", lookup_expr="icontains", label="Part of the name")
    name = CharFilter(label="The whole name")
    source = CharFilter(field_name="table__source__slug", label="Slug of the table's source")
    table = CharFilter(field_name="table__name", label="Dotted name of the table")
    is_primary_key = YesNoFilter()

    class Meta:
        model = Column
        fields: list[str] = []


class SchemaChangeFilter(FilterSet):
    q = CharFilter(field_name="column", lookup_expr="icontains", label="Part of the column's name")
    source = CharFilter(field_name="table__source__slug", label="Slug of the table's source")
    table = CharFilter(field_name="table__name", label="Dotted name of the table")
    change = OneOf(SchemaChange.Change.choices)
    since = Moment(field_name="at", lookup_expr="gte", label="Found at or after")
    until = Moment(field_name="at", lookup_expr="lt", label="Found before")

    class Meta:
        model = SchemaChange
        fields: list[str] = []


class OwnerFilter(FilterSet):
    q = CharFilter(method="search", label="Part of the name, slug or e-mail address")
    kind = OneOf(Owner.Kind.choices)
    status = OneOf(Owner.Status.choices)
    team = CharFilter(field_name="team__slug", label="Slug of their team")
    email = CharFilter(lookup_expr="iexact")

    class Meta:
        model = Owner
        fields: list[str] = []

    def search(self, owners: QuerySet, _: str, text: str) -> QuerySet:
        return owners.filter(Q(name__icontains=text) | Q(slug__icontains=text) | Q(email__icontains=text))


class TagFilter(FilterSet):
    q = CharFilter(field_name="name", lookup_expr="icontains", label="Part of the name")

    class Meta:
        model = Tag
        fields: list[str] = []


class RunFilter(FilterSet):
    q = CharFilter(field_name="external_id", lookup_expr="icontains", label="Part of the orchestrator's id")
    pipeline = CharFilter(field_name="pipeline__name", label="Name of a pipeline")
    state = OneOf(Run.State.choices)
    parent_id = CharFilter(label="The orchestrator's id of the run that they are parts of")
    nominal_from = Moment(field_name="nominal_at", lookup_expr="gte", label="For this moment or later")
    nominal_to = Moment(field_name="nominal_at", lookup_expr="lt", label="For a moment before")
    since = Moment(field_name="started_at", lookup_expr="gte", label="Started at or after")
    until = Moment(field_name="started_at", lookup_expr="lt", label="Started before")

    class Meta:
        model = Run
        fields: list[str] = []


def any_of(conditions: Iterable[Q]) -> Q:
    """Those that meet at least one of the conditions."""
    result = Q()
    for condition in conditions:
        result |= condition
    return result
