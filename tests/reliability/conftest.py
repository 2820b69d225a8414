"""Real servers and short intervals for tests that inject faults."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.settings import Settings
from tests.reliability.broker import VolatileBroker
from tests.reliability.proxy import FaultProxy
from tests.reliability.reference_search import uninterrupted_weights_sha256
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
    "spare_idle_s": 0,  # preparing takes CPU time from the searches that are timed
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


@pytest.fixture(scope="session")
def expected_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The SHA-256 of the weights of the reference search without interruption, computed once for all test processes."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # shared by all processes
    digest = folder / "expected-weights"
    with (folder / "expected-weights.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not digest.exists():
            digest.write_text(uninterrupted_weights_sha256(tmp_path_factory.mktemp("reference")))
    return digest.read_text()


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
