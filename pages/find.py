"""The thing an address names, or a 404 that says in words what is not there."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404

from catalog import queries
from catalog.models import Owner, Pipeline, Source, Table, Tag


def pipeline_or_404(name: str, pipelines: QuerySet[Pipeline] | None = None) -> Pipeline:
    """One query."""
    pipeline = (Pipeline.objects if pipelines is None else pipelines).filter(name=name).first()
    if pipeline is None:
        raise Http404(f"There is no pipeline called {name}.")
    return pipeline


def table_or_404(source: str, name: str) -> Table:
    """One query; its source comes along."""
    try:
        return queries.find_table(source, name)
    except Table.DoesNotExist as error:
        raise Http404(f"There is no table called {name} in the source {source}.") from error


def owner_or_404(slug: str) -> Owner:
    """One query; the team comes along."""
    owner = Owner.objects.select_related("team").filter(slug=slug).first()
    if owner is None:
        raise Http404(f"There is no owner with the slug {slug}.")
    return owner


def source_or_404(slug: str) -> Source:
    """One query."""
    source = Source.objects.filter(slug=slug).first()
    if source is None:
        raise Http404(f"There is no source with the slug {slug}.")
    return source


def tag_or_404(name: str) -> Tag:
    """One query."""
    tag = Tag.objects.filter(name=name).first()
    if tag is None:
        raise Http404(f"There is no tag called {name}.")
    return tag
