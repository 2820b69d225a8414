"""Pages that are watched: a test ends with no error on the console, no refused resource, no request to another host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Response
    from playwright.sync_api._generated import LocatorAssertions

Scheme = Literal["light", "dark"]
DESKTOP, PHONE = 1280, 360  # pixels
WAIT_MS = 60_000  # machines stall
# How Chromium reports refusals, and that the service is away, which the page shows.
_SHOWN = "Failed to load resource"
_LOCAL = ("data", "blob", "file")
_GO = """address => new Promise((resolve, reject) => {
  if (location.hash === `#${address}`) reject(new Error("already there"));
  addEventListener("hashchange", () => setTimeout(resolve), { once: true });
  location.hash = address;
})"""


class Pages:
    """Opens pages of the service at `url`, and collects what is wrong with them."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self._faults: list[str] = []
        self._browser = browser

    def open(
        self, address: str = "", *, width: int = DESKTOP, height: int = 900, scheme: Scheme = "light", path: str = "/"
    ) -> Page:
        """The view at `address`, which follows the `#`, in a browser without any history."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
            locale="en-GB",
            accept_downloads=True,
        )
        context.set_default_timeout(WAIT_MS)
        context.on("request", self._requested)
        context.on("response", self._answered)
        context.on("console", self._said)
        context.on("weberror", lambda error: self._faults.append(f"script: {error.error}"))
        page = context.new_page()
        page.goto(f"{self.url}{path}{f'#{address}' if address else ''}")
        return page

    def check(self) -> None:
        """Fails if a page had a fault since the last check."""
        faults, self._faults = self._faults, []
        self.requests.clear()
        assert faults == []

    def _requested(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith(f"{self.url}/") and urlsplit(request.url).scheme not in _LOCAL:
            self._faults.append(f"another host: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 500 or (response.status >= 400 and "/static/" in response.url):
            self._faults.append(f"status {response.status}: {response.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_SHOWN):
            self._faults.append(f"console: {message.text}")


def go(page: Page, address: str) -> None:
    """Show another view, as a link on the page does; the same view again is shown from its beginning."""
    if page.evaluate("location.hash") == f"#{address}":
        page.evaluate(_GO, "/nowhere")
    page.evaluate(_GO, address)


def expect(found: Locator) -> LocatorAssertions:
    """Playwright's assertions, which wait; they are loaded only where there is a browser."""
    from playwright.sync_api import expect as of_playwright

    of_playwright.set_options(timeout=WAIT_MS)
    return of_playwright(found)
