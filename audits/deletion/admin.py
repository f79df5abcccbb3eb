"""Deletion in Django's admin: windows are stated here; the rest is to look at."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from audits.deletion import models
from catalog import policy
from catalog.admin import ForAdmins
from catalog.policy import Action


@admin.register(models.UnreadWindow)
class UnreadWindowAdmin(ForAdmins):
    list_display = ["source", "tag", "tier", "days"]
    list_select_related = ["source", "tag"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return policy.may(request.user, Action.ADMINISTER)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return policy.may(request.user, Action.ADMINISTER)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return policy.may(request.user, Action.ADMINISTER)


@admin.register(models.VerdictRun)
class VerdictRunAdmin(ForAdmins):
    list_display = ["as_of", "window_days", "tables", "written", "ended_at"]


@admin.register(models.Protection)
class ProtectionAdmin(ForAdmins):
    list_display = ["table", "kind", "until", "stated_by_name", "lifted_at"]
    list_select_related = ["table"]
