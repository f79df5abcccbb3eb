"""What every page's frame needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString

from catalog import policy
from catalog.policy import Action
from lineage.standing import standing

THEMES = {"light", "dark"}

_NAVIGATION = [
    ("", [("home", "Home", "home")]),
    (
        "Catalog",
        [
            ("pipeline-list", "Pipelines", "pipeline"),
            ("table-list", "Tables", "table"),
            ("owner-list", "Owners", "owner"),
            ("source-list", "Sources", "source"),
            ("tag-list", "Tags", "tag"),
            ("impact", "Impact", "impact"),
        ],
    ),
    (
        "Operation",
        [
            ("problem-list", "Problems", "problem"),
            ("run-list", "Runs", "run"),
            ("ingest-run-list", "Ingests", "ingest"),
            ("check-list", "Checks", "check"),
            ("usage", "Usage", "usage"),
            ("deletion-board", "Deletion", "deletion"),
            ("scorecard-company", "Scorecards", "scorecard"),
        ],
    ),
    (
        "Incidents",
        [
            ("incident-list", "Incidents", "incident"),
            ("post-mortem-list", "Post-mortems", "post-mortem"),
            ("action-item-list", "Action items", "action-item"),
            ("barometer", "Barometer", "barometer"),
        ],
    ),
]

_LIES_UNDER = {"column": "table", "coverage": "problem", "lineage-event": "ingest-run", "sql-change": "pipeline"}


@dataclass(frozen=True)
class NavigationEntry:
    """A link of the side bar; `is_current` on every page of its noun."""

    route: str
    label: str
    icon: str
    is_current: bool


def site(request: HttpRequest) -> dict[str, Any]:
    """The demo banner, the version, the theme, the zone, the side bar, and whether the admin is linked. No query.

    What is stale or wrong now (`unsound`) is asked for once a page, by the first template that shows it.
    `visited` is the noun whose thing the page is about, for the list of what was visited of late.
    """
    theme = request.COOKIES.get("theme", "")
    route = getattr(request.resolver_match, "url_name", "") or ""
    noun, _, aspect = route.rpartition("-")
    return {
        "is_demo": settings.DEMO,
        "version": settings.VERSION,
        "theme": theme if theme in THEMES else "",
        "zone": timezone.get_current_timezone_name(),
        "navigation": _navigation(route),
        "unsound": SimpleLazyObject(standing),
        "visited": noun if aspect == "detail" else "",
        "may_administer": policy.may(getattr(request, "user", None), Action.ADMINISTER),
    }


@cache
def _navigation(route: str) -> SafeString:
    """The side bar on pages of a route, the same for everybody; two thousandths of a second if made for each page."""
    here = _entry_of(route)
    groups = [
        (group, [NavigationEntry(name, label, icon, name == here) for name, label, icon in entries])
        for group, entries in _NAVIGATION
    ]
    return render_to_string("shared/nav.html", {"navigation": groups})


def _entry_of(route: str) -> str:
    """The entry under whose noun a page is: `table-check-create` is under `table-list`."""
    nouns = {name.rsplit("-", 1)[0]: name for _, entries in _NAVIGATION for name, _, _ in entries}
    nouns |= {noun: nouns[other] for noun, other in _LIES_UNDER.items()}
    mine = [noun for noun in nouns if f"{route}-".startswith(f"{noun}-")]
    return nouns[max(mine, key=len)] if mine else ""
