"""What the worker's long-running services share: start, serve until a signal asks to stop, close."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable

from autonl_core.host.capabilities import hide_environment
from autonl_core.host.packages import describe_missing, missing_packages
from store.settings import Settings
from store.stores import Stores, open_stores
from telemetry.log_lines import configure_logging


def run_service(serve: Callable[[Stores, threading.Event], None]) -> None:
    """Run a service until SIGTERM or SIGINT, in the main thread of its process.

    Args:
        serve: does the work with the opened stores; returns soon after the event is set.
    """
    hide_environment()
    settings = Settings()
    configure_logging(settings.log_level, settings.log_format)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    stores = open_stores(settings)
    try:
        serve(stores, stopping)
    finally:
        stores.close()


def require_packages(name: str) -> None:
    """Exit with a message unless the packages that searches and checks compute with are installed.

    Without them, the service `name` would fail every search or check that it takes.
    """
    if missing := missing_packages():
        sys.exit(f"the {name} needs packages that are not installed: {describe_missing(missing)}")
