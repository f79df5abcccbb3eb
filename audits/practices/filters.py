"""How findings, waivers and scorecards are narrowed, the same for pages and REST."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import CharFilter, FilterSet

from audits.practices.models import Finding, Outcome, Waiver, today
from audits.practices.rules import RULES
from audits.practices.scores import pipelines_of_source, pipelines_of_team
from catalog.filters import OneOf, YesNoFilter
from catalog.models import Owner, Source

PRACTICES = [(rule.code, rule.name) for rule in RULES.values()]


class FindingFilter(FilterSet):
    q = CharFilter(field_name="pipeline__name", lookup_expr="icontains", label="Part of the pipeline's name")
    pipeline = CharFilter(field_name="pipeline__name", label="Name of a pipeline")
    practice = OneOf(PRACTICES)
    standing = OneOf(Outcome.choices, label="How it stands, waivers counted")
    tier = OneOf([(str(tier), str(tier)) for tier in range(1, 5)], field_name="pipeline__tier", label="Criticality")
    team = CharFilter(method="of_team", label="Slug of a team that keeps the pipeline running")
    source = CharFilter(method="of_source", label="Slug of a source that the pipeline writes to")

    class Meta:
        model = Finding
        fields: list[str] = []

    def of_team(self, findings: QuerySet, _: str, slug: str) -> QuerySet:
        team = Owner.objects.filter(slug=slug).first()
        return findings.filter(pipelines_of_team(team)) if team else findings.none()

    def of_source(self, findings: QuerySet, _: str, slug: str) -> QuerySet:
        source = Source.objects.filter(slug=slug).first()
        return findings.filter(pipelines_of_source(source)) if source else findings.none()


class WaiverFilter(FilterSet):
    pipeline = CharFilter(field_name="pipeline__name", label="Name of a pipeline")
    practice = OneOf(PRACTICES)
    owner = CharFilter(field_name="owner__slug", label="Slug of the owner who answers for it")
    in_force = YesNoFilter(method="that_count", label="Neither lifted nor over")

    class Meta:
        model = Waiver
        fields: list[str] = []

    def that_count(self, waivers: QuerySet, _: str, answer: str) -> QuerySet:
        in_force = {"lifted_at__isnull": True, "until__gte": today()}
        return waivers.filter(**in_force) if answer == "true" else waivers.exclude(**in_force)
