"""HEAD wherever GET is: a path without a HEAD of its own responds as it does to GET, without the body."""

from __future__ import annotations

import asyncio

from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """ASGI middleware inside the one that counts requests, around the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD" and not _is_served(scope):
            await self._respond_as_to_get(scope, send)
        else:
            await self.app(scope, receive, send)

    async def _respond_as_to_get(self, scope: Scope, send: Send) -> None:
        started = asyncio.Event()

        async def receive_nothing() -> Message:
            await started.wait()  # a stream ends when its client is gone, and this one has all that it asked for
            return {"type": "http.disconnect"}

        async def send_start(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                started.set()

        as_get = {**scope, "method": "GET"}
        try:
            await self.app(as_get, receive_nothing, send_start)
        finally:
            if "route" in as_get:
                scope["route"] = as_get["route"]  # under which the request is counted


def _is_served(scope: Scope) -> bool:
    """Whether a route serves HEAD itself, as those of large files do."""
    return any(route.matches(scope)[0] == Match.FULL for route in scope["app"].routes)
