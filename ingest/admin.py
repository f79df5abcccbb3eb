"""Ingest rows in Django's admin, to look at."""

from django.contrib import admin

from catalog.admin import ForAdmins
from ingest import models


@admin.register(models.IngestRun)
class IngestRunAdmin(ForAdmins):
    list_display = ["kind", "scope", "state", "actor_name", "started_at", "ended_at"]


@admin.register(models.IngestedFile)
class IngestedFileAdmin(ForAdmins):
    list_display = ["scope", "path"]
    search_fields = ["path"]
    show_full_result_count = False
