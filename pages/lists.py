"""What every list page does: filters from the address, one keyset page of rows, and the controls to change both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_filters import ChoiceFilter, FilterSet

from catalog import policy
from catalog.models import SavedView
from catalog.paging import BadCursor, Page, page_of
from catalog.policy import Action
from pages.saved_views import PAGES, views_of

Options = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Control:
    """One filter above a list: a choice where there are `options`, else a field to type in."""

    name: str
    label: str
    value: str
    options: Options = ()
    errors: Sequence[str] = ()


@dataclass(frozen=True)
class Listing:
    """A page of rows with the filters it was asked for."""

    page: Page
    found: QuerySet
    """All rows that the filters leave, whatever the page."""
    controls: list[Control]
    is_filtered: bool
    carried: Sequence[tuple[str, str]] = ()
    """Parameters in the address that no control shows, kept when a control changes."""
    q: str = ""
    route: str = ""
    views: Sequence[SavedView] = ()

    @property
    def has_views(self) -> bool:
        """Whether the list keeps views."""
        return self.route in PAGES


def listing(
    request: HttpRequest,
    filters: type[FilterSet],
    rows: QuerySet,
    *,
    order: Sequence[str],
    controls: Mapping[str, str],
    options: Mapping[str, Options] | None = None,
) -> Listing:
    """The rows that the address asks for; `controls` maps a filter's name to its label on the page.

    A filter with choices offers those; `options` gives choices to a free one. One query, and one for saved views. A
    filter that cannot be read shows its error and no rows; a foreign cursor raises BadRequest.
    """
    active = {name: value for name, value in request.GET.items() if name in filters.base_filters and value}
    found, errors = _narrowed(request, filters, rows) if active else (rows, {})
    try:
        page = page_of(found, order, request.GET.get("cursor", ""))
    except BadCursor as error:
        raise BadRequest(str(error)) from error
    route = getattr(request.resolver_match, "url_name", "") or ""
    return Listing(
        page=page,
        found=found,
        controls=[
            Control(name, label, active.get(name, ""), _options(filters, name, options or {}), errors.get(name, ()))
            for name, label in controls.items()
        ],
        is_filtered=bool(active),
        carried=[(name, value) for name, value in active.items() if name not in controls],
        q=active.get("q", ""),
        route=route,
        views=list(views_of(request.user, route)) if route in PAGES else (),
    )


def list_page(request: HttpRequest, template: str, title: str, found: Listing, **more: Any) -> HttpResponse:
    """The page of a list, by a template that extends shared/list.html; `more` is what its head and rows need."""
    may_edit = policy.may(request.user, Action.EDIT)
    return render(request, template, {"title": title, "listing": found, "may_edit": may_edit, **more})


def options_of(pairs: Iterable[tuple[str, str]]) -> Options:
    """Choices for a free filter: values and their labels."""
    return [(str(value), str(label)) for value, label in pairs]


def _narrowed(
    request: HttpRequest, filters: type[FilterSet], rows: QuerySet
) -> tuple[QuerySet, Mapping[str, Sequence[str]]]:
    """What the filters leave, and why some could not be read. Making a filter set costs more than a page's query."""
    asked = filters(request.GET, queryset=rows, request=request)
    return (asked.qs, {}) if asked.is_valid() else (rows.none(), asked.form.errors)


def _options(filters: type[FilterSet], name: str, options: Mapping[str, Options]) -> Options:
    chosen = filters.base_filters[name]
    return options.get(name, chosen.extra["choices"] if isinstance(chosen, ChoiceFilter) else ())
