"""How many event streams of a tenant are open in this process, and the response that is one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from store.errors import QuotaExceeded

STREAM_RETRY_S = 15
UNBUFFERED = {
    "X-Accel-Buffering": "no",
    "Cache-Control": "no-store, no-transform",
}  # asks proxies to pass it on at once


class OpenStreams:
    """The open streams of one API process, by tenant."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def count(self, tenant_id: str) -> int:
        return self._open[tenant_id]

    def enter(self, tenant_id: str, limit: int) -> None:
        """Count one as open. Raises QuotaExceeded if the tenant has as many as it may; 0: any number."""
        if limit and self._open[tenant_id] >= limit:
            detail = f"{limit} event streams are open; close one, or poll the events as JSON"
            raise QuotaExceeded("event_streams", limit + 1, limit, detail, STREAM_RETRY_S)
        self._open[tenant_id] += 1

    def leave(self, tenant_id: str) -> None:
        self._open[tenant_id] -= 1
        if not self._open[tenant_id]:
            del self._open[tenant_id]


class CountedStream(StreamingResponse):
    """A stream that counts as open until its client is gone, whatever ends it.

    Args:
        limit: how many its tenant may have open; 0: any number.
    """

    def __init__(self, content: AsyncIterator[str], streams: OpenStreams, tenant_id: str, limit: int) -> None:
        super().__init__(content, media_type="text/event-stream", headers=UNBUFFERED)
        self._streams, self._tenant_id, self._limit = streams, tenant_id, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._streams.enter(self._tenant_id, self._limit)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave(self._tenant_id)
