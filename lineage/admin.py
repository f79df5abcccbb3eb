"""Lineage rows in Django's admin, to look at."""

from django.contrib import admin

from catalog.admin import ForAdmins
from lineage import models


@admin.register(models.SqlVersion)
class SqlVersionAdmin(ForAdmins):
    list_display = ["pipeline", "dialect", "statements", "statements_read", "valid_from", "valid_to"]
    list_select_related = ["pipeline"]
    show_full_result_count = False


@admin.register(models.TableEdge, models.ColumnEdge)
class EdgeAdmin(ForAdmins):
    list_display = ["pipeline", "source_table", "target_table", "origin", "valid_from", "valid_to"]
    list_select_related = ["pipeline", "source_table", "target_table"]
    show_full_result_count = False


@admin.register(models.Problem)
class ProblemAdmin(ForAdmins):
    list_display = ["code", "severity", "path", "line", "message"]
    list_filter = ["severity", "code"]
    show_full_result_count = False
