"""Makes calls with blocking functions."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Self, cast

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


class BlockingCaller:
    """Makes calls to one service; what `Client` is made of. Arguments are those of `Client`."""

    def __init__(self, url: str | None = None, *, key: str | None = None, retries: int = RETRIES) -> None:
        self._service = Service(url, key)
        self._retries = retries
        self._http = httpx.Client(**self._service.settings())

    @property
    def url(self) -> str:
        return self._service.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def run(self, call: Call[T]) -> T:
        """The result of a call: any of `autonl.*_operations` and `autonl.documents`."""
        with self._exchange(call) as (steps, exchange):
            step = advance(steps)
            while not isinstance(step, Done):
                step = advance(steps, *exchange.perform(step))
            return step.result

    def iterate(self, call: Iteration[T]) -> Generator[T]:
        """What a call shows, one after the other."""
        with self._exchange(call) as (steps, exchange):
            step = advance(steps)
            while not isinstance(step, Done):
                if isinstance(step, Show):
                    yield cast("T", step.value)
                step = advance(steps, *exchange.perform(step))

    @contextmanager
    def _exchange(self, call: AnyCall[T]) -> Iterator[tuple[AnyCall[T], _Exchange]]:
        with (
            closing(with_retries(call, self._retries)) as steps,
            closing(_Exchange(self._http, self._service)) as open_,
        ):
            yield steps, open_


class _Exchange:
    """Performs the steps of one call, which has at most one response open."""

    def __init__(self, http: httpx.Client, service: Service) -> None:
        self._http = http
        self._service = service
        self._response: httpx.Response | None = None
        self._blocks: Iterator[bytes] = iter(())
        self._elsewhere: httpx.Client | None = None

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        if self._elsewhere is not None:
            self._elsewhere.close()
            self._elsewhere = None

    def perform(self, step: Step) -> tuple[object, ConnectionFailed | None]:
        """The outcome of a step, or the error of the connection."""
        try:
            with self._service.errors():
                return self._outcome(step), None
        except ConnectionFailed as error:
            return None, error

    def _outcome(self, step: Step) -> object:
        match step:
            case Send(request):
                response = self._sent(request)
                return reply_of(response, response.content)
            case Open(request):
                self.close()
                self._response = self._sent(request, stream=True)
                self._blocks = self._response.iter_bytes()
                return reply_of(self._response)
            case Read():
                return next(self._blocks, b"")
            case Pause(seconds):
                time.sleep(seconds)
            case Work(function):
                return function()
        return None

    def _sent(self, request: Request, *, stream: bool = False) -> httpx.Response:
        arguments = self._service.arguments(request)
        if request.elsewhere is not None:
            self._elsewhere = httpx.Client(**self._service.settings_elsewhere(request.elsewhere))
            return self._elsewhere.send(self._elsewhere.build_request(**arguments), stream=stream)
        if not isinstance(request.body, Upload):
            return self._http.send(self._http.build_request(**arguments), stream=stream)
        with request.body.file.open("rb") as file:
            content = file_blocks(file, request.body)
            return self._http.send(self._http.build_request(**arguments | {"content": content}), stream=stream)
