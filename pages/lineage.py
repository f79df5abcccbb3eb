"""The lineage page of a table, pipeline or column: a picture and a list of the same walk."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse


def of_table(request: HttpRequest, source: str, name: str) -> HttpResponse:
    return HttpResponse("soon")


def of_pipeline(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse("soon")
