"""Makes calls with coroutines, on asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, closing
from types import TracebackType
from typing import Self, cast

import anyio
import anyio.to_thread
import httpx

from autonl.errors import ConnectionFailed
from autonl.http import Service, file_blocks, reply_of
from autonl.retries import RETRIES, with_retries
from autonl.steps import (
    AnyCall,
    Call,
    Done,
    Iteration,
    Open,
    Pause,
    Read,
    Request,
    Send,
    Show,
    Step,
    T,
    Upload,
    Work,
    advance,
)


class AwaitingCaller:
    """Makes calls to one service; what `AsyncClient` is made of. Arguments are those of `AsyncClient`."""

    def __init__(self, url: str | None = None, *, key: str | None = None, retries: int = RETRIES) -> None:
        self._service = Service(url, key)
        self._retries = retries
        self._http = httpx.AsyncClient(**self._service.settings())

    @property
    def url(self) -> str:
        return self._service.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def run(self, call: Call[T]) -> T:
        """The result of a call: any of `autonl.*_operations` and `autonl.documents`."""
        async with self._exchange(call) as (steps, exchange):
            step = advance(steps)
            while not isinstance(step, Done):
                step = advance(steps, *await exchange.perform(step))
            return step.result

    async def iterate(self, call: Iteration[T]) -> AsyncGenerator[T]:
        """What a call shows, one after the other."""
        async with self._exchange(call) as (steps, exchange):
            step = advance(steps)
            while not isinstance(step, Done):
                if isinstance(step, Show):
                    yield cast("T", step.value)
                step = advance(steps, *await exchange.perform(step))

    @asynccontextmanager
    async def _exchange(self, call: AnyCall[T]) -> AsyncIterator[tuple[AnyCall[T], _Exchange]]:
        exchange = _Exchange(self._http, self._service)
        with closing(with_retries(call, self._retries)) as steps:
            async with aclosing(exchange):
                yield steps, exchange


class _Exchange:
    """Performs the steps of one call, which has at most one response open."""

    def __init__(self, http: httpx.AsyncClient, service: Service) -> None:
        self._http = http
        self._service = service
        self._response: httpx.Response | None = None
        self._blocks: AsyncIterator[bytes] | None = None
        self._elsewhere: httpx.AsyncClient | None = None

    async def aclose(self) -> None:
        if self._response is not None:
            await self._response.aclose()
        if self._elsewhere is not None:
            await self._elsewhere.aclose()
            self._elsewhere = None

    async def perform(self, step: Step) -> tuple[object, ConnectionFailed | None]:
        """The outcome of a step, or the error of the connection."""
        try:
            with self._service.errors():
                return await self._outcome(step), None
        except ConnectionFailed as error:
            return None, error

    async def _outcome(self, step: Step) -> object:
        match step:
            case Send(request):
                response = await self._sent(request)
                return reply_of(response, response.content)
            case Open(request):
                await self.aclose()
                self._response = await self._sent(request, stream=True)
                self._blocks = self._response.aiter_bytes()
                return reply_of(self._response)
            case Read():
                assert self._blocks is not None
                return await anext(self._blocks, b"")
            case Pause(seconds):
                await anyio.sleep(seconds)
            case Work(function):
                return await anyio.to_thread.run_sync(function)
        return None

    async def _sent(self, request: Request, *, stream: bool = False) -> httpx.Response:
        arguments = self._service.arguments(request)
        if request.elsewhere is not None:
            self._elsewhere = httpx.AsyncClient(**self._service.settings_elsewhere(request.elsewhere))
            return await self._elsewhere.send(self._elsewhere.build_request(**arguments), stream=stream)
        if not isinstance(request.body, Upload):
            return await self._http.send(self._http.build_request(**arguments), stream=stream)
        with request.body.file.open("rb") as file:
            content = _read_in_threads(file_blocks(file, request.body))
            return await self._http.send(self._http.build_request(**arguments | {"content": content}), stream=stream)


async def _read_in_threads(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while block := await anyio.to_thread.run_sync(next, blocks, b""):
        yield block
