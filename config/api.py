"""The addresses under /api/: one noun each under /api/v1/, the OpenAPI schema, and a page to try it out."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.routers import DefaultRouter
from rest_framework.views import APIView

from audits.checks import api as checks
from audits.deletion import api as deletion
from audits.postmortems import api as postmortems
from audits.postmortems.backfill_api import BackfillPlanView
from audits.postmortems.barometer_api import BarometerView
from audits.postmortems.changes_api import UpstreamChangesView
from audits.postmortems.handover_api import HandOverView
from audits.postmortems.similar_api import SimilarView
from audits.practices import api as practices
from audits.usage import api as usage
from audits.usage.impact_api import ImpactView
from catalog import api as catalog
from catalog.search_api import SearchView
from ingest import api as ingest
from ingest.openlineage import api as openlineage
from ingest.openlineage import marquez_api as marquez
from lineage import api as lineage
from lineage.graph_api import GraphView
from lineage.mishap_api import MishapViewSet, StandingView

router = DefaultRouter(use_regex_path=False)
router.include_format_suffixes = False
router.register("sources", catalog.SourceViewSet, "source")
router.register("tables", lineage.TableViewSet, "table")
router.register("columns", lineage.ColumnViewSet, "column")
router.register("schema-changes", catalog.SchemaChangeViewSet, "schema-change")
router.register("pipelines", lineage.PipelineViewSet, "pipeline")
router.register("pipelines/<int:pipeline_pk>/sql-versions", lineage.SqlVersionViewSet, "sql-version")
router.register("owners", catalog.OwnerViewSet, "owner")
router.register("tags", catalog.TagViewSet, "tag")
router.register("runs", catalog.RunViewSet, "run")
router.register("coverage", lineage.CoverageViewSet, "coverage")
router.register("problems", lineage.ProblemViewSet, "problem")
router.register("mishaps", MishapViewSet, "mishap")
router.register("reads", usage.ReadViewSet, "read")
router.register("usage", usage.UsageViewSet, "usage")
router.register("verdicts", deletion.VerdictViewSet, "verdict")
router.register("deletion-reviews", deletion.DeletionReviewViewSet, "deletion-review")
router.register("scorecards", practices.ScorecardViewSet, "scorecard")
router.register("findings", practices.FindingViewSet, "finding")
router.register("waivers", practices.WaiverViewSet, "waiver")
router.register("checks", checks.CheckViewSet, "check")
router.register("check-results", checks.CheckResultViewSet, "check-result")
router.register("lineage-events", openlineage.LineageEventViewSet, "lineage-event")
router.register("incidents", postmortems.IncidentViewSet, "incident")
router.register("post-mortems", postmortems.PostMortemViewSet, "post-mortem")
router.register("action-items", postmortems.ActionItemViewSet, "action-item")
router.register("webhooks", catalog.WebhookViewSet, "webhook")
router.register("ingest-runs", ingest.IngestRunViewSet, "ingest-run")


class UnknownAddressView(APIView):
    """Every other address under /api/: a 404 in the shape of all errors."""

    schema = None

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        hint = "" if request.path.endswith("/") else f" Addresses end with a slash: {request.path}/"
        raise NotFound(f"There is nothing at {request.path}.{hint}")


views = [
    path("graph/", GraphView.as_view(), name="graph"),
    path("incidents/<int:pk>/similar/", SimilarView.as_view(), name="incident-similar"),
    path("incidents/<int:pk>/backfill-plan/", BackfillPlanView.as_view(), name="incident-backfill-plan"),
    path("barometer/", BarometerView.as_view(), name="barometer"),
    path("impact/", ImpactView.as_view(), name="impact"),
    path("standing/", StandingView.as_view(), name="standing"),
    path("search/", SearchView.as_view(), name="search"),
    path("owners/<int:pk>/hand-over/", HandOverView.as_view(), name="hand-over"),
    path("checks/<int:pk>/run/", ingest.RunCheckView.as_view(), name="check-run"),
    path("tables/<int:pk>/checks/run/", ingest.RunChecksOfTableView.as_view(), name="table-checks-run"),
    path("tables/<int:pk>/upstream-changes/", UpstreamChangesView.as_view(), name="upstream-changes"),
    # Addresses of OpenLineage's and Marquez's clients, which end without a slash
    path("lineage", openlineage.LineageView.as_view(), name="lineage"),
    path("lineage/batch", openlineage.LineageBatchView.as_view(), name="lineage-batch"),
    path("column-lineage", marquez.ColumnLineageView.as_view(), name="column-lineage"),
    path("events/lineage", marquez.EventsView.as_view(), name="marquez-events"),
    path("jobs", marquez.AllJobsView.as_view(), name="marquez-all-jobs"),
    path("namespaces", marquez.NamespacesView.as_view(), name="namespaces"),
    path("namespaces/<path:namespace>/jobs", marquez.JobsView.as_view(), name="marquez-jobs"),
    path("namespaces/<path:namespace>/jobs/<path:name>/runs", marquez.JobRunsView.as_view(), name="marquez-runs"),
    path("namespaces/<path:namespace>/jobs/<path:name>", marquez.JobView.as_view(), name="marquez-job"),
    path("namespaces/<path:namespace>/datasets", marquez.DatasetsView.as_view(), name="marquez-datasets"),
    path("namespaces/<path:namespace>/datasets/<path:name>", marquez.DatasetView.as_view(), name="marquez-dataset"),
    path("namespaces/<path:namespace>", marquez.NamespaceView.as_view(), name="namespace"),
]

urlpatterns = [
    path("v1/", include(([*views, *router.urls], "api"))),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", login_required(SpectacularSwaggerView.as_view(url_name="schema")), name="api-docs"),
    re_path("", UnknownAddressView.as_view()),
]
