"""How large a body may be, and how slowly it may arrive: checked as it is received, whatever its headers claim."""

from __future__ import annotations

import asyncio
import time

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from api import problems

PART_S = 30.0  # for the next part to arrive
PACE_BYTES_PER_S = 1024  # from the beginning, beyond the first PART_S


class LimitedBody:
    """A `receive` that refuses a body as soon as it is too large or too slow.

    Args:
        receive: the one of the server.
        max_values: of a body of JSON, counted by the commas between them: each may be wrong in its own way, and all
            that is wrong is found before any of it is reported.
    """

    def __init__(self, receive: Receive, max_bytes: int, max_values: int | None = None) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._max_values = max_values
        self._started = time.monotonic()
        self._bytes = self._values = 0
        self._complete = False

    async def __call__(self) -> Message:
        """The next message. Raises HTTPException with the limit that it breaks."""
        if self._complete:  # what comes now is the end of the connection, which may be far away
            return await self._receive()
        message = await self._next_in_time()
        self._complete = not message.get("more_body", False)
        part = message.get("body", b"")
        self._bytes += len(part)
        if self._bytes > self._max_bytes:
            raise _too_large(f"is larger than {self._max_bytes:,} bytes")
        if self._max_values is not None:
            self._values += part.count(b",")
            if self._values > self._max_values:
                raise _too_large(f"has more than {self._max_values:,} values")
        return message

    async def _next_in_time(self) -> Message:
        try:
            async with asyncio.timeout(seconds_left(self._bytes, time.monotonic() - self._started)):
                return await self._receive()
        except TimeoutError:
            detail = f"after {self._bytes:,} bytes the body arrives too slowly; send the request again"
            raise HTTPException(problems.REQUEST_TIMEOUT.status, detail) from None


def seconds_left(received_bytes: int, waited_s: float) -> float:
    """How long the next part may take, once `received_bytes` have arrived in `waited_s` seconds."""
    return min(PART_S, PART_S + received_bytes / PACE_BYTES_PER_S - waited_s)


def _too_large(reason: str) -> HTTPException:
    return HTTPException(problems.PAYLOAD_TOO_LARGE.status, f"the body {reason}")
