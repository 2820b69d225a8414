"""uvicorn's server, except that one without requests sleeps for a second at a time, not for a tenth of one."""

from __future__ import annotations

import asyncio
import contextlib
from types import FrameType

import uvicorn

_TICK_S = 1.0  # the `Date` header changes as often


class Server(uvicorn.Server):
    """Stops at once when a signal asks it to, as uvicorn's does within a tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked_to_stop = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):  # 0: the first of a second, which renews the header
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked_to_stop.wait(), _TICK_S)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._asked_to_stop.set)
