"""HTTP/1.1 as uvicorn speaks it, for clients that send the head of a request within seconds, or lose the connection.

uvicorn waits for ever for a head that has begun or was never begun; each such client keeps a connection. Bodies have
their own limit (`api/body_limits.py`), which can say what is wrong.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 20.0  # for the head of a request, from the connection or its first byte on


class TimedProtocol(H11Protocol):
    """One connection."""

    head_s = HEAD_S
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._limit_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_answering = bool(self.cycle) and not self.cycle.response_complete
        if is_answering:
            self._end_limit()
        else:  # the head is not complete, or there is none yet
            self._limit_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_limit()
        super().connection_lost(exc)

    def _limit_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_s, self.transport.close)

    def _end_limit(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
