"""Addresses: pages at the root, REST under /api/, Django's admin under /admin/."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("api/", include("config.api")),
    path("admin/", admin.site.urls),
    path("", include("pages.urls")),
]
