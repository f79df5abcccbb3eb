"""How lists are narrowed by what lineage knows: owners a table inherits from its builders, and problems."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django_filters import CharFilter, FilterSet

from catalog import filters
from catalog.filters import OneOf, YesNoFilter
from catalog.models import Ownership
from catalog.queries import ownerships_in_force
from lineage.coverage import IN_PART, that_write_to
from lineage.models import Problem, SqlVersion, TableEdge


class TableFilter(filters.TableFilter):
    """A table without owners of its own in a role is held by those of the pipelines that build it."""

    has_problems = YesNoFilter(method="with_problems", label="A pipeline that builds it has problems")

    def held(self, role: str, slug: str) -> Q:
        its_own = Exists(Ownership.objects.filter(role=role, table=OuterRef("pk")))
        theirs = ownerships_in_force("pipeline", role=role, owner__slug=slug)
        return super().held(role, slug) | (~Q(its_own) & _built_by(theirs.values("pipeline")))

    def owned(self, **wanted: Any) -> Q:
        theirs = Ownership.objects.filter(pipeline=OuterRef("pipeline"), **wanted)
        builders = TableEdge.objects.filter(target_table=OuterRef("pk"), valid_to=None)
        return super().owned(**wanted) | Q(Exists(builders.filter(Exists(theirs))))

    def with_problems(self, tables: QuerySet, _: str, answer: str) -> QuerySet:
        found = _built_by(Problem.objects.filter(pipeline__isnull=False).values("pipeline"))
        return tables.filter(found if answer == "true" else ~found)


class PipelineFilter(filters.PipelineFilter):
    has_problems = YesNoFilter(method="with_problems", label="Something of it could not be read")

    def with_problems(self, pipelines: QuerySet, _: str, answer: str) -> QuerySet:
        found = Q(pk__in=Problem.objects.filter(pipeline__isnull=False).values("pipeline"))
        return pipelines.filter(found if answer == "true" else ~found)


class CoverageFilter(FilterSet):
    q = CharFilter(field_name="pipeline__name", lookup_expr="icontains", label="Part of the pipeline's name")
    pipeline = CharFilter(field_name="pipeline__name", label="Name of a pipeline")
    source = CharFilter(method="writing_to", label="Slug of a source that the SQL writes to")
    is_whole = YesNoFilter(method="wholly_read", label="Every statement was read and every column found")

    class Meta:
        model = SqlVersion
        fields: list[str] = []

    def writing_to(self, versions: QuerySet, _: str, slug: str) -> QuerySet:
        return versions.filter(that_write_to(slug))

    def wholly_read(self, versions: QuerySet, _: str, answer: str) -> QuerySet:
        return versions.exclude(IN_PART) if answer == "true" else versions.filter(IN_PART)


class ProblemFilter(FilterSet):
    q = CharFilter(method="search", label="Part of the message or the file's path")
    severity = OneOf(Problem.Severity.choices)
    code = CharFilter()
    scope = CharFilter(label="The ingest that found it")
    path = CharFilter(label="File inside the repository")
    pipeline = CharFilter(field_name="pipeline__name", label="Name of a pipeline")

    class Meta:
        model = Problem
        fields: list[str] = []

    def search(self, problems: QuerySet, _: str, text: str) -> QuerySet:
        return problems.filter(Q(message__icontains=text) | Q(path__icontains=text))


def _built_by(pipelines: QuerySet) -> Q:
    """Tables that one of the pipelines writes now, found from the pipelines' side."""
    edges = TableEdge.objects.filter(pipeline__in=pipelines, target_table__isnull=False, valid_to=None)
    return Q(pk__in=edges.values("target_table"))
