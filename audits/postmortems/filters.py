"""How incidents, post-mortems and action items are narrowed, the same for pages and REST."""

from __future__ import annotations

import datetime as dt

from django.db.models import Q, QuerySet
from django_filters import CharFilter, DateFilter, FilterSet

from audits.postmortems.models import ActionItem, Cause, Hit, Incident, PostMortem
from audits.postmortems.queries import is_overdue, items_of, items_of_team
from audits.postmortems.similar import recurrences
from catalog.bulk import among
from catalog.filters import Moment, OneOf, YesNoFilter, choices_of


def _numbered(choices: type) -> list[tuple[str, str]]:
    return [(str(value), label) for value, label in choices.choices]


class IncidentFilter(FilterSet):
    q = CharFilter(method="search", label="Part of the title, or of a name that it hit")
    status = OneOf([("unresolved", "Not resolved"), *Incident.Status.choices], method="in_status")
    severity = OneOf(_numbered(Incident.Severity))
    detection = OneOf(choices_of(Incident.Detection))
    cause = OneOf(Cause.Code.choices, field_name="post_mortem__causes__code", label="A cause that its report states")
    source = CharFilter(method="on_source", label="Slug of a source of what it hit")
    table = CharFilter(method="on_table", label="Dotted name of a table that it hit")
    pipeline = CharFilter(method="on_pipeline", label="Name of a pipeline that it hit")
    owner = CharFilter(method="of_owner", label="Slug of an owner of what it hit, or of who works on it")
    team = CharFilter(method="of_team", label="Slug of a team that answers for what it hit, itself or by its people")
    root_cause = OneOf(Cause.Code.choices, method="of_root_cause", label="The root cause that its report states")
    is_recurrence = YesNoFilter(method="come_back", label="Its root cause had happened there before")
    since = Moment(field_name="started_at", lookup_expr="gte", label="Started at or after")
    until = Moment(field_name="started_at", lookup_expr="lt", label="Started before")

    class Meta:
        model = Incident
        fields: list[str] = []

    def search(self, incidents: QuerySet, _: str, text: str) -> QuerySet:
        return incidents.filter(Q(title__icontains=text) | _hitting(name__icontains=text))

    def in_status(self, incidents: QuerySet, _: str, status: str) -> QuerySet:
        if status == "unresolved":
            return incidents.exclude(status=Incident.Status.RESOLVED)
        return incidents.filter(status=status)

    def on_source(self, incidents: QuerySet, _: str, slug: str) -> QuerySet:
        return incidents.filter(_hitting(source=slug))

    def on_table(self, incidents: QuerySet, _: str, name: str) -> QuerySet:
        return incidents.filter(_hitting(name=name, kind__in=[Hit.Kind.TABLE, Hit.Kind.DASHBOARD]))

    def on_pipeline(self, incidents: QuerySet, _: str, name: str) -> QuerySet:
        return incidents.filter(_hitting(name=name, kind=Hit.Kind.PIPELINE))

    def of_owner(self, incidents: QuerySet, _: str, slug: str) -> QuerySet:
        people = Incident.objects.filter(people__owner__slug=slug).order_by()
        return incidents.filter(_hitting(node=f"owner:{slug}") | Q(pk__in=people.values("pk")))

    def of_team(self, incidents: QuerySet, _: str, slug: str) -> QuerySet:
        hits = Hit.objects.filter(Q(owner__slug=slug) | Q(owner__team__slug=slug), is_out=False).order_by()
        return incidents.filter(pk__in=hits.values("incident"))

    def of_root_cause(self, incidents: QuerySet, _: str, code: str) -> QuerySet:
        roots = Cause.objects.filter(code=code, is_root=True).order_by()
        return incidents.filter(pk__in=roots.values("post_mortem__incident"))

    def come_back(self, incidents: QuerySet, _: str, answer: str) -> QuerySet:
        found = Q(pk__in=among(recurrences()))
        return incidents.filter(found if answer == "true" else ~found)


def _hitting(**what: object) -> Q:
    """The condition that an incident hit such a thing; by name as it was then."""
    return Q(pk__in=Hit.objects.filter(is_out=False, **what).order_by().values("incident"))


class PostMortemFilter(FilterSet):
    q = CharFilter(method="search", label="Part of its title or text")
    state = OneOf(PostMortem.State.choices)
    severity = OneOf(_numbered(Incident.Severity), field_name="incident__severity")
    cause = OneOf(Cause.Code.choices, method="of_cause")
    root_cause = OneOf(Cause.Code.choices, method="of_root_cause")
    source = CharFilter(method="on_source", label="Slug of a source of what it hit")
    table = CharFilter(method="on_table", label="Dotted name of a table that it hit")
    owner = CharFilter(method="of_owner", label="Slug of an owner of what it hit")
    has_open_items = YesNoFilter(method="with_open_items", label="Has action items that are not ended")

    class Meta:
        model = PostMortem
        fields: list[str] = []

    def search(self, reports: QuerySet, _: str, text: str) -> QuerySet:
        in_text = PostMortem.objects.filter(sections__text__icontains=text).order_by()
        return reports.filter(Q(incident__title__icontains=text) | Q(pk__in=in_text.values("pk")))

    def of_cause(self, reports: QuerySet, _: str, code: str) -> QuerySet:
        return reports.filter(pk__in=Cause.objects.filter(code=code).order_by().values("post_mortem"))

    def of_root_cause(self, reports: QuerySet, _: str, code: str) -> QuerySet:
        return reports.filter(pk__in=Cause.objects.filter(code=code, is_root=True).order_by().values("post_mortem"))

    def on_source(self, reports: QuerySet, _: str, slug: str) -> QuerySet:
        return reports.filter(incident__in=IncidentFilter({"source": slug}, Incident.objects.order_by()).qs)

    def on_table(self, reports: QuerySet, _: str, name: str) -> QuerySet:
        return reports.filter(incident__in=IncidentFilter({"table": name}, Incident.objects.order_by()).qs)

    def of_owner(self, reports: QuerySet, _: str, slug: str) -> QuerySet:
        return reports.filter(incident__in=IncidentFilter({"owner": slug}, Incident.objects.order_by()).qs)

    def with_open_items(self, reports: QuerySet, _: str, answer: str) -> QuerySet:
        waiting = ActionItem.objects.exclude(status__in=ActionItem.ENDED).order_by().values("incident")
        has = Q(incident__in=waiting)
        return reports.filter(has if answer == "true" else ~has)


class ActionItemFilter(FilterSet):
    q = CharFilter(method="search", label="Part of the title or of its incident's")
    status = OneOf([("unfinished", "Not ended"), *ActionItem.Status.choices], method="in_status")
    whose = OneOf([("mine", "Mine"), ("team", "My team's")], method="belonging_to", label="Of whoever asks")
    is_overdue = YesNoFilter(method="overdue", label="Is open past its day")
    type = OneOf(ActionItem.Type.choices)
    priority = OneOf(_numbered(ActionItem.Priority))
    owner = CharFilter(field_name="owner__slug", label="Slug of its owner")
    team = CharFilter(method="of_team", label="Slug of a team, or of its owner's team")
    incident = CharFilter(method="of_incident", label="Number of its incident")
    due_from = DateFilter(field_name="due", lookup_expr="gte")
    due_to = DateFilter(field_name="due", lookup_expr="lte")
    source = CharFilter(method="on_source", label="Slug of a source of what its incident hit")
    pipeline = CharFilter(method="on_pipeline", label="Name of a pipeline that its incident hit")
    open_at = Moment(method="open_then", label="Was not ended at that moment")
    overdue_at = Moment(method="overdue_then", label="Was open past its day at that moment")

    class Meta:
        model = ActionItem
        fields: list[str] = []

    def search(self, items: QuerySet, _: str, text: str) -> QuerySet:
        return items.filter(Q(title__icontains=text) | Q(incident__title__icontains=text))

    def in_status(self, items: QuerySet, _: str, status: str) -> QuerySet:
        return items.exclude(status__in=ActionItem.ENDED) if status == "unfinished" else items.filter(status=status)

    def belonging_to(self, items: QuerySet, _: str, whose: str) -> QuerySet:
        return items.filter((items_of if whose == "mine" else items_of_team)(self.request.user))

    def overdue(self, items: QuerySet, _: str, answer: str) -> QuerySet:
        return items.filter(is_overdue()) if answer == "true" else items.exclude(is_overdue())

    def of_team(self, items: QuerySet, _: str, slug: str) -> QuerySet:
        return items.filter(Q(owner__slug=slug) | Q(owner__team__slug=slug))

    def of_incident(self, items: QuerySet, _: str, number: str) -> QuerySet:
        return (
            items.filter(incident=int(number))
            if number.isascii() and number.isdigit() and len(number) < 18
            else items.none()
        )

    def on_source(self, items: QuerySet, _: str, slug: str) -> QuerySet:
        return items.filter(incident__in=IncidentFilter({"source": slug}, Incident.objects.order_by()).qs)

    def on_pipeline(self, items: QuerySet, _: str, name: str) -> QuerySet:
        return items.filter(incident__in=IncidentFilter({"pipeline": name}, Incident.objects.order_by()).qs)

    def open_then(self, items: QuerySet, _: str, at: dt.datetime) -> QuerySet:
        return items.filter(Q(ended_at=None) | Q(ended_at__gte=at), created_at__lt=at)

    def overdue_then(self, items: QuerySet, name: str, at: dt.datetime) -> QuerySet:
        return self.open_then(items, name, at).filter(due__lt=at.date())
