"""What lineage adds to the search index: SQL, problems, when a table was last built, the owners its builders lend."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from django.db.models import Max

from catalog.bulk import among
from catalog.models import Run
from catalog.search_index import Drafts, adds_to, follows
from lineage.models import Problem, SqlVersion, TableEdge
from lineage.queries import owner_slugs_of_tables


@adds_to("pipeline")
def add_sql(drafts: Drafts) -> None:
    """Two queries."""
    versions = SqlVersion.objects.filter(pipeline__in=among(drafts), valid_to=None).order_by()
    for pipeline, sql in versions.values_list("pipeline", "sql"):
        drafts[pipeline].text += f"\n{sql}"
    for pipeline in _with_problems(drafts):
        drafts[pipeline].facets["has_problems"] = ["true"]


@adds_to("table")
def add_builders(drafts: Drafts) -> None:
    """Six queries."""
    for table, owners in owner_slugs_of_tables(list(drafts)).items():
        drafts[table].facets["owner"] = sorted({*owners.business, *owners.technical})
    built: dict[int, list[int]] = defaultdict(list)
    edges = TableEdge.objects.filter(target_table__in=among(drafts), valid_to=None).order_by()
    for pipeline, table in edges.values_list("pipeline", "target_table").distinct():
        built[pipeline].append(table)
    runs = Run.objects.filter(pipeline__in=among(built), state=Run.State.SUCCEEDED).order_by().values_list("pipeline")
    for pipeline, last in runs.annotate(last=Max("started_at")):
        for table in built[pipeline]:
            draft = drafts[table]
            draft.fresh_on = max(draft.fresh_on or last.date(), last.date())
    for pipeline in _with_problems(built):
        for table in built[pipeline]:
            drafts[table].facets["has_problems"] = ["true"]


def _with_problems(pipelines: Collection[int]) -> Iterable[int]:
    problems = Problem.objects.filter(pipeline__in=among(pipelines)).order_by()
    return problems.values_list("pipeline", flat=True).distinct()


@follows("table", "pipeline")
def built_by(pipelines: Collection[int]) -> Iterable[int]:
    """Tables change with what builds them. One query."""
    edges = TableEdge.objects.filter(pipeline__in=among(pipelines), target_table__isnull=False, valid_to=None)
    return edges.order_by().values_list("target_table", flat=True).distinct()
