"""Incidents in the search index: found by their titles, by what was noted and reported of them, by what they hit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from django.db.models import QuerySet

from audits.postmortems.models import Hit, Incident, Section, TimelineEntry
from catalog.links import link
from catalog.search_index import Draft, Drafts, indexes


@indexes(
    "incident",
    lambda: Incident.objects.order_by().values_list("pk", flat=True),
    lambda _name, _slug, pk: link("incident-detail", pk),
)
def describe(ids: Collection[int]) -> Drafts:
    """Four queries."""
    began = Hit.objects.filter(incident__in=ids, distance=0, is_out=False)
    owners, sources = _by_incident(began.exclude(owner=None), "owner__slug"), _by_incident(began, "source")
    sections = Section.objects.filter(post_mortem__incident__in=ids).order_by("position")
    said = _by_incident(sections, "text", "post_mortem__incident")
    pinned = _by_incident(TimelineEntry.objects.filter(incident__in=ids, is_pinned=True), "text")
    return {
        pk: Draft(
            name=title,
            description="\n".join(pinned[pk])[:2000],
            text="\n".join(said[pk]),
            facets={"status": [status], "source": sorted({*sources[pk]} - {""}), "owner": sorted({*owners[pk]})},
            fresh_on=started_at.date(),
        )
        for pk, title, status, started_at in Incident.objects.filter(pk__in=ids)
        .order_by()
        .values_list("pk", "title", "status", "started_at")
    }


def _by_incident(rows: QuerySet, field: str, incident: str = "incident") -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for pk, value in rows.values_list(incident, field):
        found[pk].append(value)
    return found
