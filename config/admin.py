"""Django's admin, for people, roles and what has no page; whoever may administer may use it."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from catalog import policy
from catalog.policy import Action


class Administration(admin.AdminSite):
    site_header = site_title = "Pipekeeper administration"
    index_title = "People, roles and the rows behind the pages"

    def has_permission(self, request: HttpRequest) -> bool:
        """The role admin decides, not Django's staff flag."""
        return policy.may(request.user, Action.ADMINISTER)
