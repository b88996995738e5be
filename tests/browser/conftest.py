"""A real Chromium against the real platform.

    live_url        the running platform (web, websockets, relay) on a database of these tests' own
    page            a desktop page; the test fails on a console error, a refused policy, an uncaught
                    exception or a request to another host
    new_page        the same with a size and a colour scheme of your own

What a page must be in every look is in `looks.py`.

Test modules say `pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]`, so that
one worker starts one platform.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connections
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.browser.live import Live, find_chromium, running_platform

_HARMLESS_SCHEMES = ("data", "blob", "about")

#: How long a page may take to show something. A busy machine is no fault of the page's.
_PATIENCE_MS = 60_000
expect.set_options(timeout=_PATIENCE_MS)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = find_chromium()
    if not path:
        if os.environ.get("CI"):
            pytest.fail("CI must drive a browser: install Chromium or set CHROMIUM_PATH.")
        pytest.skip("BROWSER TESTS DID NOT RUN: no Chromium was found; set CHROMIUM_PATH.")
    return path


# The platform's relay, senders and sweeps work off what they find: here, these tests' rows alone.
@pytest.fixture(scope="package", autouse=True)
def browser_database(
    another_database: Callable[[], AbstractContextManager[str]],
) -> Iterator[str]:
    with another_database() as name:
        yield name


@pytest.fixture(scope="package")
def live(
    chromium_path: str, browser_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    with running_platform(tmp_path_factory.mktemp("platform")) as running:
        yield running


@pytest.fixture(scope="package")
def live_url(live: Live) -> str:
    return live.url


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """One browser a module: Playwright's loop must not outlive it into other tests."""
    # Playwright runs a loop in this thread, and Django takes every query for one made inside it.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()
        # Inside that loop Django keeps a connection apart from the thread's own, and finds it again
        # inside the next one, when the server may have closed it long since.
        connections.close_all()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Watch:
    """Collects what a page must not do; `allow(pattern)` names a message that is expected."""

    def __init__(self, live: Live) -> None:
        self._hosts = {urlsplit(live.url).netloc, urlsplit(live.ws_url).netloc}
        self._allowed: list[str] = []
        self._faults: list[str] = []

    def allow(self, pattern: str) -> None:
        self._allowed.append(pattern)

    def attach(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._faults.append(f"uncaught: {error}"))
        page.on("request", self._request)
        page.on("websocket", lambda socket: self._address(socket.url))

    def check(self) -> None:
        faults = [
            fault
            for fault in self._faults
            if not any(re.search(pattern, fault) for pattern in self._allowed)
        ]
        assert not faults, "The page misbehaved:\n" + "\n".join(faults)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            self._faults.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        self._address(request.url)

    def _address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _HARMLESS_SCHEMES and parts.netloc not in self._hosts:
            self._faults.append(f"off-host: {url}")


@pytest.fixture
def watch(live: Live) -> Iterator[Watch]:
    watching = Watch(live)
    yield watching
    watching.check()


@pytest.fixture
def new_page(chromium: Browser, live: Live, watch: Watch) -> Iterator[Callable[..., Page]]:
    """new_page(width=390, color_scheme="dark", …): a page in a profile of its own, watched."""
    contexts: list[BrowserContext] = []

    def make(*, width: int = 1360, height: int = 900, **options: Any) -> Page:
        options.setdefault("color_scheme", "light")
        options.setdefault("reduced_motion", "reduce")
        context = chromium.new_context(
            base_url=live.url, viewport={"width": width, "height": height}, **options
        )
        contexts.append(context)
        context.set_default_timeout(_PATIENCE_MS)
        context.on("page", watch.attach)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    return new_page()
