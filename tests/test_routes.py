"""Default deny, route by route: every address of the site, whoever adds it, is shut to whom nobody gave a role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from catalog.models import ApiToken, HistoryEntry, Tag
from catalog.tokens import issue_token
from tests.factories import (
    make_column,
    make_edge,
    make_owner,
    make_pipeline,
    make_problem,
    make_run,
    make_source,
    make_sql_version,
    make_table,
)

OPEN_TO_ALL = {  # each with the reason it needs no sign-in
    "login/": "one signs in there",
    "admin/login/": "one signs in there too",
    "account/theme/": "the colours of the page where one signs in",
}
OPEN_TO_SIGNED_IN = {  # each with the reason it needs no role
    "": "says who can give a role",
    "logout/": "one signs out there",
    "account/": "one's own account",
    "account/password/": "one's own password",
    "account/zone/": "one's own time zone",
    "account/tokens/<int:pk>/revoke/": "one's own tokens, as a test below holds",
    "admin/logout/": "one signs out there too",
}


def routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    """Every route of a URLconf as one text: `tables/<slug:source>/<path:name>/`."""
    for pattern in patterns:
        route = prefix + _plain(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route


def _plain(pattern: str) -> str:
    """A regular expression in the manner of the other routes: `(?P<url>.*)$` as `<url>`."""
    return re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", pattern).strip("^$").replace(r"\Z", "")


ALL_ROUTES = sorted(set(routes(get_resolver().url_patterns)))


@pytest.fixture
def address_of(db):
    """`address_of(route)` fills a route's parameters with things that exist."""
    source, pipeline = make_source("lake"), make_pipeline("nightly", owner=make_owner(slug="finance"))
    table = make_table("raw.events", source=source)
    make_edge(pipeline, target=table)
    make_column("id", table)
    make_run(pipeline)
    make_problem(pipeline)
    make_sql_version(pipeline)
    Tag.objects.create(name="pii")

    def fill(route: str) -> str:
        of_noun = {"tables": table.name, "pipelines": pipeline.name, "tags": "pii"}.get(route.split("/")[0], "x")
        values = {"source": "lake", "name": of_noun, "slug": "lake" if route.startswith("sources/") else "finance"}

        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(values.get(match[1], 1)), route)

    return fill


def refused(response: Any) -> bool:
    """Sent to sign in, told that one may not, or that the address does not do such a thing for anybody."""
    to_sign_in = response.status_code == 302 and "login" in response.headers["Location"]
    return to_sign_in or response.status_code in (401, 403, 405)


def let_in(client: Client, addresses: dict[str, str]) -> list[str]:
    """The requests that were not refused, in words."""
    methods = ("get", "post", "put", "patch", "delete")
    answers = {
        f"{method} {route}": getattr(client, method)(address)
        for route, address in addresses.items()
        for method in methods
    }
    return [f"{words}: {response.status_code}" for words, response in answers.items() if not refused(response)]


def test_the_walk_sees_pages_and_rest() -> None:
    assert {"tables/", "api/v1/tables/", "api/schema/", "api/docs/", "admin/"} <= set(ALL_ROUTES)


def test_nobody_who_is_not_signed_in_gets_anywhere(address_of, client) -> None:
    assert let_in(client, {route: address_of(route) for route in ALL_ROUTES if route not in OPEN_TO_ALL}) == []


def test_nobody_without_a_role_gets_anywhere(address_of, stranger, signed_in) -> None:
    shut = [route for route in ALL_ROUTES if route not in {**OPEN_TO_ALL, **OPEN_TO_SIGNED_IN}]
    assert let_in(signed_in(stranger), {route: address_of(route) for route in shut}) == []


def test_a_viewer_changes_nothing_anywhere(address_of, viewer, signed_in) -> None:
    facts = {"name": "new", "slug": "new", "source": "lake", "platform": "x", "description": "x", "kind": "summary"}
    browser = signed_in(viewer)
    for route in ALL_ROUTES:
        if "_auth_user_id" not in browser.session:
            browser = signed_in(viewer)  # one of the routes signs out
        for method in ("post", "put", "patch", "delete"):
            response = getattr(browser, method)(address_of(route), facts, content_type="application/json")
            assert response.status_code < 500, (method, route)
        assert browser.post(address_of(route), facts).status_code < 500, route
        assert not HistoryEntry.objects.exists(), route


def test_no_address_breaks_for_a_viewer(address_of, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    found = {route: browser.get(address_of(route)).status_code for route in ALL_ROUTES}
    assert {route: status for route, status in found.items() if status not in (200, 302, 400, 403, 404, 405)} == {}
    assert {found[route] for route in ("tables/", "tables/<slug:source>/<path:name>/", "api/v1/tables/")} == {200}


def test_nobody_revokes_the_token_of_another(viewer, stranger, signed_in) -> None:
    token, _ = issue_token(user=viewer, name="mine", scope="read")
    assert signed_in(stranger).post(f"/account/tokens/{token.pk}/revoke/").status_code == 404
    assert ApiToken.objects.filter(pk=token.pk).exists()


def test_an_admin_of_the_product_alone_uses_djangos_admin(viewer, editor, steward, signed_in) -> None:
    for person in (viewer, editor, steward):
        assert refused(signed_in(person).get("/admin/"))


def test_the_head_of_a_page_is_as_shut_as_the_page(client: Client, stranger, signed_in) -> None:
    for path in ("/tables/", "/api/v1/tables/"):
        assert refused(client.head(path))
        assert refused(signed_in(stranger).head(path))
