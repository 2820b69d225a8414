"""A running API for the client, and both clients as one: what a call does must not depend on which performs it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol

import httpx
import pytest

from autonl import AsyncClient, Client, retries
from autonl.steps import Call, Iteration, T
from tests.api.conftest import shared_broker
from tests.cli.conftest import service, settings
from tests.reliability.proxy import FaultProxy
from tests.servers import stores

__all__ = ["service", "settings", "shared_broker", "stores"]


class Caller(Protocol):
    """A client for each call, which is closed after it."""

    def run(self, url: str | None, call: Call[T], **options: Any) -> T: ...

    def collect(self, url: str | None, call: Iteration[T], **options: Any) -> list[T]: ...


class Blocking:
    """By `Client`."""

    def run(self, url: str | None, call: Call[T], **options: Any) -> T:
        with Client(url, **options) as client:
            return client.run(call)

    def collect(self, url: str | None, call: Iteration[T], **options: Any) -> list[T]:
        with Client(url, **options) as client:
            return list(client.iterate(call))


class Awaited:
    """By `AsyncClient`."""

    def run(self, url: str | None, call: Call[T], **options: Any) -> T:
        async def result() -> T:
            async with AsyncClient(url, **options) as client:
                return await client.run(call)

        return asyncio.run(result())

    def collect(self, url: str | None, call: Iteration[T], **options: Any) -> list[T]:
        async def shown() -> list[T]:
            async with AsyncClient(url, **options) as client:
                return [value async for value in client.iterate(call)]

        return asyncio.run(shown())


@pytest.fixture(params=[Blocking, Awaited], ids=["Client", "AsyncClient"])
def caller(request: pytest.FixtureRequest) -> Caller:
    made: Caller = request.param()
    return made


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits before retries that are too short to slow a test down."""
    monkeypatch.setattr(retries, "_FIRST_WAIT_S", 0.01)


@pytest.fixture
def proxy(service: httpx.Client) -> Iterator[FaultProxy]:
    """A proxy between the client and the service."""
    between = FaultProxy(service.base_url.port or 0)
    yield between
    between.close()
