"""The first load of the web page over a slow connection and on a slow processor: bytes, first paint, when usable.

Chromium emulates both: 1.6 Mbit/s with 150 ms of latency, and a processor that is four times slower. The service is
empty and runs on this machine; each load is one without a cache. Medians. Needs a Chromium, as the tests of the page
do: `python -m benchmarks.page_load [--rounds 5]`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.api_reads import serving
from benchmarks.harness import say
from benchmarks.machine import describe
from store.migrate import upgrade

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LATENCY_MS, DOWN_BITS_S, UP_BITS_S = 150, 1_600_000, 750_000
SLOWER = 4  # times, of the processor
MOST_BYTES, LATEST_PAINT_MS = 400_000, 1000.0
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_LOADED = "performance.getEntries().map(({ transferSize }) => transferSize).filter(Boolean)"


@dataclass(frozen=True)
class Load:
    """One load: what was transferred, headers included; times from the beginning of the navigation.

    Args:
        usable_ms: when the form knows the datasets and suggests a budget.
    """

    requests: float
    transferred_bytes: float
    first_paint_ms: float
    usable_ms: float


def load(browser: Browser, url: str) -> Load:
    """Load the page once, with nothing cached."""
    context = browser.new_context(viewport={"width": 360, "height": 780})
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    conditions = {"latency": LATENCY_MS, "downloadThroughput": DOWN_BITS_S / 8, "uploadThroughput": UP_BITS_S / 8}
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", {"offline": False, **conditions})
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.goto(url)
    page.locator("#budget-hint", has_text="are feasible").wait_for()
    usable_ms: float = page.evaluate("performance.now()")
    sizes: list[int] = page.evaluate(_LOADED)
    loaded = Load(len(sizes), sum(sizes), page.evaluate(_PAINTED), usable_ms)
    context.close()
    return loaded


def measure(url: str, rounds: int) -> Load:
    """Medians of so many loads, after one that warms up the service."""
    from playwright.sync_api import sync_playwright

    from tests.browser import chromium

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.options())
        loads = [load(browser, url) for _ in range(1 + rounds)][1:]
        browser.close()
    columns = zip(*(asdict(one).values() for one in loads), strict=True)
    return Load(*(statistics.median(column) for column in columns))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args(arguments).rounds
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/autonl.db"
        upgrade(database)
        with serving(database, Path(folder)) as served:
            found = measure(f"http://127.0.0.1:{served.port}/", rounds)
    say(f"machine: {describe()}; medians of {rounds} loads")
    say(f"{found.requests:.0f} requests, {found.transferred_bytes / 1000:.0f} kB (at most {MOST_BYTES / 1000:.0f})")
    say(f"first contentful paint after {found.first_paint_ms:.0f} ms (at most {LATEST_PAINT_MS:.0f})")
    say(f"usable after {found.usable_ms:.0f} ms")
    return 0 if found.transferred_bytes <= MOST_BYTES and found.first_paint_ms <= LATEST_PAINT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
