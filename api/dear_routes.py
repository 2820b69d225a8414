"""Requests that cost many times what a poll does are computed one at a time, in their order.

Each computation has the interpreter to itself for as long as it is let: with several at once, a poll would wait for all
of them in turn.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync
from fastapi import Request

_SWITCH_S = 0.0001  # how long a thread that waits for the interpreter waits at most before it asks for it

T = TypeVar("T")


def one_at_a_time() -> anyio.CapacityLimiter:
    """What makes the dear requests of an application wait for each other; its state keeps it as `dear_routes`."""
    return anyio.CapacityLimiter(1)


def let_polls_in() -> None:
    """Let the computation of a dear request be interrupted after a tenth of a millisecond. Once for each process."""
    sys.setswitchinterval(_SWITCH_S)


async def compute(request: Request, work: Callable[[], T]) -> T:
    """What `work` returns, once the dear requests before this one are done."""
    return await run_sync(work, limiter=request.app.state.dear_routes)
