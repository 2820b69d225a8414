"""What the search process and the check process share: lifeline, settings, memory limit, logging, stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from autonl_core.host.capabilities import hide_environment
from store.settings import Settings
from store.stores import Stores, open_stores
from telemetry.log_lines import configure_logging
from worker.lifeline import Lifeline
from worker.memory import limit_memory


@dataclass(frozen=True)
class ProcessContext:
    """What a search or check process works with."""

    settings: Settings
    stores: Stores
    lifeline: Lifeline


@contextmanager
def process_context(memory_limit_bytes: Callable[[Settings], int]) -> Iterator[ProcessContext]:
    """Set this process up, and close its stores at the end.

    Args:
        memory_limit_bytes: the setting that limits the address space of this process; 0: no limit.
    """
    lifeline = Lifeline()
    lifeline.hold()  # first of all: from here on this process cannot outlive its parent
    hide_environment()
    settings = Settings()
    if limit_bytes := memory_limit_bytes(settings):
        limit_memory(limit_bytes)
    configure_logging(settings.log_level, settings.log_format)
    stores = open_stores(settings)
    try:
        yield ProcessContext(settings, stores, lifeline)
    finally:
        stores.close()
