"""Requests that cost many times what a poll does are computed one at a time, in their order, half of the time.

A computation and a poll share the interpreter: with several computations at once, a poll would wait for all of them in
turn, and with one after the other it would never have the interpreter to itself.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync
from fastapi import Request

_LONGEST_REST_S = 0.5
_SWITCH_S = 0.0001  # how long a thread that waits for the interpreter waits at most before it asks for it

T = TypeVar("T")


def one_at_a_time() -> anyio.CapacityLimiter:
    """What makes the dear requests of an application wait for each other; its state keeps it as `dear_routes`."""
    return anyio.CapacityLimiter(1)


def let_polls_in() -> None:
    """Let the computation of a dear request be interrupted after a tenth of a millisecond. Once for each process."""
    sys.setswitchinterval(_SWITCH_S)


async def compute(request: Request, work: Callable[[], T]) -> T:
    """What `work` returns, once the dear requests before this one are done.

    The next one then waits for as long as this one took; this one has its answer at once.
    """
    turns: anyio.CapacityLimiter = request.app.state.dear_routes
    turn = object()
    await turns.acquire_on_behalf_of(turn)
    began_s = time.perf_counter()
    try:
        return await run_sync(work)
    finally:
        rest_s = min(time.perf_counter() - began_s, _LONGEST_REST_S)
        asyncio.get_running_loop().call_later(rest_s, turns.release_on_behalf_of, turn)
