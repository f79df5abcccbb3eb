"""Questions of impact that are too long for an address, kept under a key that stands there instead."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection

from django.utils import timezone

from lineage.models import ImpactQuestion

KEPT = dt.timedelta(days=365)  # since last asked


def keep_question(texts: Collection[str]) -> str:
    """The key under which changes are kept; the same ones have the same. Old questions go."""
    key = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:24]
    ImpactQuestion.objects.update_or_create(key=key, defaults={"changes": list(texts), "asked_at": timezone.now()})
    ImpactQuestion.objects.filter(asked_at__lt=timezone.now() - KEPT).delete()
    return key


def changes_of(key: str) -> list[str]:
    """The changes kept under a key; LookupError where there are none."""
    found = ImpactQuestion.objects.filter(key=key[:24]).first()
    if found is None:
        raise LookupError("This question is no longer kept. Ask it again.")
    return found.changes
