"""A real browser against a running server: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from catalog.models import User

# Playwright's sync API runs an event loop in this thread, and Django takes that for asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_BAD = {"serious", "critical"}


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
        base_url=live_server.url, color_scheme=request.param, viewport={"width": 1280, "height": 800}
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
def sign_in(page: Page) -> Callable[[User], None]:
    """`sign_in(user)` by the form, as a person does."""

    def fill(user: User) -> None:
        page.goto("/login/")
        page.get_by_label("User name").fill(user.username)
        page.get_by_label("Password").fill("correct horse")
        page.get_by_role("button", name="Sign in").click()
        # The next page has loaded and its scripts have run: keys do something.
        page.wait_for_url(lambda url: "/login/" not in url)

    return fill


@pytest.fixture
def assert_accessible(page: Page) -> Callable[[], None]:
    """`assert_accessible()` fails on what axe calls serious or critical on the page as it stands."""

    def check() -> None:
        found = Axe().run(page).response["violations"]
        bad = [
            f"{each['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
            for each in found
            if each["impact"] in _BAD
            for node in each["nodes"][:3]
        ]
        assert bad == [], page.url

    return check


@pytest.fixture
def change_to(page: Page, sign_in) -> Callable[[User | None], None]:
    """Another person sits down at the browser; None: somebody who has not signed in."""

    def change(user: User | None) -> None:
        page.goto("about:blank")
        # The CSRF cookie stays, as after signing out: every answer renews it, and one that comes late, with
        # another than the form to sign in was made with, would have the form refused.
        page.context.clear_cookies(name="sessionid")
        if user:
            sign_in(user)

    return change
