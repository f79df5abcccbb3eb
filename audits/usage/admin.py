"""Usage rows in Django's admin, to look at. Who reads is for owners and stewards, so reads are not among them."""

from django.contrib import admin

from audits.usage import models
from catalog.admin import ForAdmins


@admin.register(models.LogCoverage)
class LogCoverageAdmin(ForAdmins):
    list_display = ["source", "channel", "covers_from", "covers_to", "format", "entries", "unparsed", "imported_at"]
    list_select_related = ["source"]


@admin.register(models.SeenName)
class SeenNameAdmin(ForAdmins):
    list_display = ["name", "source"]
    list_select_related = ["source"]
    search_fields = ["name"]
    show_full_result_count = False


@admin.register(models.QueryFingerprint)
class QueryFingerprintAdmin(ForAdmins):
    list_display = ["text", "dialect", "engine_version", "problem"]
    search_fields = ["text"]
    show_full_result_count = False
