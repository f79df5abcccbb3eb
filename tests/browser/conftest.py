"""A real browser against a running server: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, sync_playwright

from catalog.models import User

# Playwright's sync API runs an event loop in this thread, and Django takes that for asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_BAD = {"serious", "critical"}
_RULES_OF_COLOURS = ["color-contrast", "link-in-text-block"]
_AXE = Axe()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*_QUIET, "--disable-sync", "--no-first-run"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(params=["light", "dark"])
def page(request, browser: Browser, live_server) -> Iterator[Page]:
    """A window in either theme; whatever the page complains about to the console fails the test."""
    context = browser.new_context(
        base_url=live_server.url,
        color_scheme=request.param,
        reduced_motion="reduce",  # no colour is on its way to another when axe looks
        viewport={"width": 1280, "height": 800},
    )
    context.set_default_timeout(10_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [text for text in complaints if "status of 4" not in text] == []


@pytest.fixture
def sign_in(page: Page, live_server) -> Callable[[User], None]:
    """`sign_in(user)` gives the browser that person's session; the form is filled in by tests of the form."""

    def give_session(user: User) -> None:
        client = Client()
        client.force_login(user)
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])

    return give_session


@pytest.fixture
def assert_accessible(page: Page) -> Callable[[], None]:
    """`assert_accessible()` fails on what axe calls serious or critical on the page as it stands.

    All rules are asked in the light, and those of colours in the dark: to axe, themes differ in nothing else.
    """

    def check() -> None:
        if not page.evaluate("'axe' in window"):
            page.evaluate(_AXE.axe_script)
        is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        assert _violations(page, {"runOnly": _RULES_OF_COLOURS} if is_dark else {}) == [], page.url

    return check


def _violations(page: Page, options: dict) -> list[str]:
    run = "options => axe.run(options).then((found) => found.violations)"
    found = page.evaluate(run, {"resultTypes": ["violations"], **options})
    return [
        f"{each['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for each in found
        if each["impact"] in _BAD
        for node in each["nodes"][:3]
    ]


@pytest.fixture
def change_to(page: Page, sign_in) -> Callable[[User | None], None]:
    """Another person sits down at the browser; None: somebody who has not signed in."""

    def change(user: User | None) -> None:
        page.goto("about:blank")  # nothing asked for the last person answers late
        page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
        if user:
            sign_in(user)

    return change
