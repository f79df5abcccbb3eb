"""Addresses of the web site: list, thing, aspect."""

from django.contrib.auth import views as auth
from django.urls import path

from pages import (
    account,
    changes,
    columns,
    deletion,
    home,
    ingest_runs,
    lineage,
    owners,
    pipelines,
    problems,
    runs,
    search,
    sources,
    suggest,
    tables,
    tags,
    usage,
)
from pages.middleware import for_everyone

urlpatterns = [
    path("", home.home, name="home"),
    path("search/", search.search_page, name="search"),
    path("search/offers/", search.offers, name="search-offers"),
    path("suggest/owners/", suggest.owners, name="suggest-owners"),
    path("suggest/tables/", suggest.tables, name="suggest-tables"),
    # /account/
    path("login/", for_everyone(account.SignIn.as_view()), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("account/", account.account, name="account"),
    path("account/password/", for_everyone(account.ChangePassword.as_view()), name="password-change"),
    path("account/tokens/<int:pk>/revoke/", account.revoke_token, name="token-revoke"),
    path("account/theme/", account.set_theme, name="theme"),
    # /pipelines/
    path("pipelines/", pipelines.pipeline_list, name="pipeline-list"),
    path("pipelines/new/", pipelines.create, name="pipeline-create"),
    path("pipelines/<path:name>/lineage/", lineage.of_pipeline, name="pipeline-lineage"),
    path("pipelines/<path:name>/sql/<int:pk>/", changes.sql_change, name="sql-change"),
    path("pipelines/<path:name>/edit/", pipelines.edit, name="pipeline-edit"),
    path("pipelines/<path:name>/", pipelines.detail, name="pipeline-detail"),
    # /tables/
    path("tables/", tables.table_list, name="table-list"),
    path("tables/new/", tables.create, name="table-create"),
    path("tables/<slug:source>/<path:name>/lineage/", lineage.of_table, name="table-lineage"),
    path("tables/<slug:source>/<path:name>/columns/new/", tables.create_column, name="column-create"),
    path("tables/<slug:source>/<path:name>/columns/<int:pk>/", columns.detail, name="column-detail"),
    path("tables/<slug:source>/<path:name>/columns/<int:pk>/edit/", tables.edit_column, name="column-edit"),
    path("tables/<slug:source>/<path:name>/edit/", tables.edit, name="table-edit"),
    path("tables/<slug:source>/<path:name>/schema/", tables.schema_changes, name="table-schema"),
    path("tables/<slug:source>/<path:name>/upstream-changes/", changes.of_table, name="table-upstream-changes"),
    path("tables/<slug:source>/<path:name>/use/", usage.table_usage, name="table-usage"),
    path("tables/<slug:source>/<path:name>/verdict/", deletion.table_verdict, name="table-verdict"),
    path("tables/<slug:source>/<path:name>/protect/", deletion.protect, name="table-protect"),
    path("tables/<slug:source>/<path:name>/", tables.detail, name="table-detail"),
    # /owners/
    path("owners/", owners.owner_list, name="owner-list"),
    path("owners/new/", owners.create, name="owner-create"),
    path("owners/<slug:slug>/edit/", owners.edit, name="owner-edit"),
    path("owners/<slug:slug>/", owners.detail, name="owner-detail"),
    # /sources/
    path("sources/", sources.source_list, name="source-list"),
    path("sources/new/", sources.create, name="source-create"),
    path("sources/<slug:slug>/edit/", sources.edit, name="source-edit"),
    path("sources/<slug:slug>/connection/", sources.try_connection, name="source-connection"),
    path("sources/<slug:slug>/", sources.detail, name="source-detail"),
    # /tags/
    path("tags/", tags.tag_list, name="tag-list"),
    path("tags/<slug:name>/", tags.detail, name="tag-detail"),
    # /usage/
    path("usage/", usage.usage_lists, name="usage"),
    # /deletion/
    path("deletion/", deletion.board, name="deletion-board"),
    path("deletion/preview/", deletion.preview, name="deletion-preview"),
    path("deletion/reviews/", deletion.review_list, name="deletion-review-list"),
    path("deletion/reviews/<int:pk>/", deletion.review_detail, name="deletion-review-detail"),
    path("deletion/reviews/<int:pk>/<slug:verb>/", deletion.act, name="deletion-review-act"),
    path("deletion/notices/<int:pk>/unreached/", deletion.unreached, name="deletion-notice-unreached"),
    path("deletion/notices/<str:token>/", deletion.notice, name="deletion-notice"),
    path("deletion/protections/<int:pk>/lift/", deletion.lift, name="protection-lift"),
    # what happened
    path("problems/", problems.problem_list, name="problem-list"),
    path("runs/", runs.run_list, name="run-list"),
    path("ingest-runs/", ingest_runs.ingest_run_list, name="ingest-run-list"),
]
