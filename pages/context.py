"""What every page's frame needs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """The demo banner and the version in the footer."""
    return {"is_demo": settings.DEMO, "version": settings.VERSION}
