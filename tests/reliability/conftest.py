"""Real servers and short intervals for tests that inject faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.settings import Settings
from tests.reliability.broker import VolatileBroker
from tests.reliability.proxy import FaultProxy
from tests.reliability.service import Service
from tests.servers import PostgresServer

# Leases are longer than a busy machine may stall a process, and short enough to expire within a test.
SHORT: dict[str, Any] = {
    "beat_s": 0.5,
    "lease_s": 6,
    "poll_s": 0.1,
    "sweep_s": 0.3,
    "ring_s": 0.5,
    "ring_max_s": 2,
    "crash_backoff_s": 0.1,
    "stop_grace_s": 20,
    "threads": 1,
}


@pytest.fixture
def broker() -> Iterator[VolatileBroker]:
    started = VolatileBroker()
    started.start()
    yield started
    started.kill()


@pytest.fixture
def proxy(broker: VolatileBroker) -> Iterator[FaultProxy]:
    """A proxy between the service and its broker."""
    opened = FaultProxy(broker.port)
    yield opened
    opened.close()


Start = Callable[..., Service]


@pytest.fixture
def start(postgres: PostgresServer, broker: VolatileBroker, tmp_path: Path) -> Iterator[Start]:
    """Opens a service on an empty database; `changes` are settings, upper-case names are environment variables."""
    opened: list[Service] = []

    def open_service(**changes: Any) -> Service:
        environment = {name: str(changes.pop(name)) for name in list(changes) if name.isupper()}
        addresses = {"database_url": postgres.emptied_database(), "broker_url": broker.url()}
        settings = Settings(**({"data_dir": tmp_path} | addresses | SHORT | changes))
        opened.append(Service(settings, environment))
        return opened[-1]

    yield open_service
    for service in opened:
        service.close()
