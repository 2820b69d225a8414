"""What the worker's long-running services share: start, serve until a signal asks to stop, close."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable

from store.settings import Settings
from store.stores import Stores, open_stores


def run_service(serve: Callable[[Stores, threading.Event], None]) -> None:
    """Run a service until SIGTERM or SIGINT, in the main thread of its process.

    Args:
        serve: does the work with the opened stores; returns soon after the event is set.
    """
    settings = Settings()
    configure_logging(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    stores = open_stores(settings)
    try:
        serve(stores, stopping)
    finally:
        stores.close()


def configure_logging(settings: Settings) -> None:
    """Log to standard error from `Settings.log_level` up."""
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
