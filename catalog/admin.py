"""Catalog rows in Django's admin: people and tags to change, the rest to look at, since services write it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from catalog import models, policy
from catalog.policy import Action


class ForAdmins(admin.ModelAdmin):
    """Whoever may administer may look."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return policy.may(request.user, Action.ADMINISTER)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return policy.may(request.user, Action.ADMINISTER)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


admin.site.unregister(Group)  # roles stand on the person; groups would be a second, unused system


@admin.register(models.User)
class PersonAdmin(ForAdmins, UserAdmin):
    """People and their roles. Nobody is deleted, only made inactive: their name stays in the history."""

    list_display = ["username", "email", "role", "owner", "is_active", "last_login"]
    list_filter = ["role", "is_active"]
    autocomplete_fields = ["owner"]
    filter_horizontal: list[str] = []
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email", "owner"]}),
        ("Access", {"fields": ["role", "is_active"]}),
        ("Times", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"fields": ["username", "usable_password", "password1", "password2", "role", "owner"]})]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return policy.may(request.user, Action.ADMINISTER)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return policy.may(request.user, Action.ADMINISTER)


@admin.register(models.ApiToken)
class ApiTokenAdmin(ForAdmins):
    """Everybody's tokens, which an admin may take out of use."""

    list_display = ["name", "user", "scope", "created_at", "last_used_at"]
    exclude = ["digest"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return policy.may(request.user, Action.ADMINISTER)


@admin.register(models.Tag, models.Owner, models.Source, models.Table, models.Pipeline)
class NamedAdmin(ForAdmins):
    search_fields = ["name"]
    show_full_result_count = False


@admin.register(models.Column)
class ColumnAdmin(NamedAdmin):
    list_display = ["name", "table"]
    list_select_related = ["table"]


@admin.register(models.Run)
class RunAdmin(ForAdmins):
    list_display = ["external_id", "pipeline", "state", "started_at"]
    list_select_related = ["pipeline"]
    show_full_result_count = False


@admin.register(models.HistoryEntry)
class HistoryEntryAdmin(ForAdmins):
    list_display = ["at", "actor_name", "action", "noun", "object_name"]
    list_filter = ["noun", "action"]
    show_full_result_count = False
